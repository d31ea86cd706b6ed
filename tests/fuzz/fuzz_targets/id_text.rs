//! Ids in text form: no text makes reading one panic, and an id has one text but for upper and lower case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::AccountId;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = core::str::from_utf8(bytes)
        && let Ok(id) = text.parse::<AccountId>()
    {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
    if let Some(raw) = bytes.first_chunk::<32>() {
        let id = AccountId(*raw);
        let mut text = id.to_string().into_bytes();
        assert_eq!(core::str::from_utf8(&text).map(str::parse), Ok(Ok(id)));
        if let [place, by, ..] = &bytes[32..] {
            let place = usize::from(*place) % text.len();
            text[place] ^= by & 0x5f;
            if let Ok(text) = core::str::from_utf8(&text)
                && let Ok(other) = text.parse::<AccountId>()
            {
                assert_eq!(other.to_string(), text.to_ascii_lowercase());
            }
        }
    }
});
