//! Peer messages: decoding never panics, and what decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::messages::{Decoded, Message};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Decoded::Known(message)) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes, "two byte strings for one message");
    }
});
