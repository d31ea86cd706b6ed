//! A link's frames in any order and cut: reassembly stays within its bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_protocol::frame::{self, Reassembly};
use starling_protocol::limits;

fuzz_target!(|bytes: &[u8]| {
    let mut reassembly = Reassembly::default();
    let mut rest = bytes;
    // The first byte of each piece says how many of the following ones are its frame.
    while let Some((length, after)) = rest.split_first() {
        let (piece, next) = after.split_at(usize::from(*length).min(after.len()));
        rest = next;
        if let Ok((kind, payload)) = frame::split(piece)
            && let Ok(Some(message)) = reassembly.push(kind, payload)
        {
            assert!(message.len() <= limits::MESSAGE_LEN_MAX);
        }
    }
});
