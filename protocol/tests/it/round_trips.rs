//! What is written is read back, and nothing but what is written is read.

use core::fmt::Debug;

use proptest::prelude::*;
use protocol::codec;
use protocol::messages::{Decoded, Message};
use protocol::signal::{self, SignalMessage};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::any;

/// Bytes that follow are refused, or let pass if the value may be extended; a missing byte never passes.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut bytes = codec::encode(value);
    assert_eq!(codec::decode(&bytes).as_ref(), Ok(value));
    for len in 0..bytes.len() {
        assert!(codec::decode::<T>(&bytes[..len]).is_err(), "{len} bytes");
        assert!(codec::decode_open::<T>(&bytes[..len]).is_err(), "{len} bytes");
    }
    bytes.push(0);
    assert!(codec::decode::<T>(&bytes).is_err());
    assert_eq!(codec::decode_open(&bytes).as_ref(), Ok(value));
}

fn check_signal<T: SignalMessage + PartialEq + Debug>(value: &T) {
    check(value);
    assert_eq!(signal::decode(&codec::encode(value)).as_ref(), Ok(value));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn certificates_and_revocations_are_read_as_written(
        certificate in any::certificate(),
        revocation in any::revocation(),
    ) {
        check(&certificate);
        check(&revocation);
    }

    #[test]
    fn entries_are_read_as_written(entry in any::entry()) {
        check(&entry);
    }

    #[test]
    fn hellos_and_bindings_are_read_as_written(hello in any::hello(), binding in any::binding()) {
        check(&hello);
        check(&binding);
    }

    #[test]
    fn signal_messages_are_read_as_written(
        to_server in any::to_server(),
        to_peer in any::to_peer(),
        payload in any::payload(),
    ) {
        check_signal(&to_server);
        check_signal(&to_peer);
        check_signal(&payload);
    }
}

proptest! {
    #[test]
    fn messages_are_read_as_written(message in any::message()) {
        let mut bytes = message.encode();
        prop_assert_eq!(Message::decode(&bytes), Ok(Decoded::Known(message)));
        for len in 0..bytes.len() {
            prop_assert!(Message::decode(&bytes[..len]).is_err(), "{} bytes", len);
        }
        bytes.push(0);
        prop_assert!(Message::decode(&bytes).is_err());
    }
}
