//! Entries and bodies: decoding never panics, and what decodes has one form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_protocol::{Body, Entry, Kind, codec};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = codec::decode::<Entry>(bytes) {
        assert_eq!(codec::encode(&entry), bytes, "two byte strings for one entry");
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
