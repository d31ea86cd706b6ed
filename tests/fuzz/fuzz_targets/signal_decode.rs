//! Signal messages of both directions, and what peers pass each other inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::signal::{self, Payload, SignalMessage, ToPeer, ToServer};

fn check<T: SignalMessage>(bytes: &[u8]) {
    if let Ok(message) = signal::decode::<T>(bytes) {
        assert!(message.within_limits());
        assert_eq!(
            protocol::codec::encode(&message),
            bytes,
            "two byte strings for one message"
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<ToServer>(bytes);
    check::<ToPeer>(bytes);
    check::<Payload>(bytes);
});
