//! Entries and bodies: decoding and verifying never panic, what decodes has one form, and nothing verifies but what a
//! key has signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{Body, Entry, Kind, codec};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = codec::decode::<Entry>(bytes) {
        assert_eq!(codec::encode(&entry), bytes, "two byte strings for one entry");
        let id = entry.signed.header.id();
        if let Ok(verified) = entry.verify() {
            assert_eq!(verified.id(), id);
            assert_eq!(
                verified.header().seq == 0,
                verified.header().kind == Kind::CERTIFICATE
            );
            // What is understood of a body must not depend on anything but its bytes.
            let _ = Body::decode(verified.header().kind, verified.body());
        }
    }
    for kind in [
        Kind::CERTIFICATE,
        Kind::PROFILE,
        Kind::POST,
        Kind::FOLLOW,
        Kind::REVOCATION,
    ] {
        if let Some(body) = Body::decode(kind, bytes) {
            assert_eq!(body.kind(), kind);
        }
    }
});
