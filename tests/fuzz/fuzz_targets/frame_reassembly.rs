//! A link's frames in any order and cut: reassembly stays within its bound, and a message arrives as it was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::limits;
use protocol::link::frame::{self, Reassembly};

fuzz_target!(|bytes: &[u8]| {
    let mut reassembly = Reassembly::default();
    let mut rest = bytes;
    // The first byte of each piece says how long its frame is, in steps that reach past a frame's limit.
    while let Some((length, after)) = rest.split_first() {
        let (piece, next) = after.split_at((usize::from(*length) * 65).min(after.len()));
        rest = next;
        if let Ok((kind, payload)) = frame::split(piece)
            && let Ok(Some(message)) = reassembly.push(kind, payload)
        {
            assert!(message.len() <= limits::MESSAGE_LEN_MAX);
        }
    }

    let mut reassembly = Reassembly::default();
    let mut whole = None;
    for part in frame::fragment(bytes) {
        assert!(whole.is_none(), "nothing follows the last frame");
        let (kind, payload) = frame::split(&part).expect("within the limit");
        whole = reassembly.push(kind, payload).expect("within the limit");
    }
    assert_eq!(whole.as_deref(), Some(bytes));
});
