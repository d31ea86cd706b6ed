//! Recovery phrases: no text makes reading one panic, and every phrase that is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{KeyPair, phrase};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = core::str::from_utf8(bytes)
        && let Ok(key) = phrase::from_words(text)
    {
        let typed: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        assert_eq!(phrase::to_words(&key), typed);
    }
    if let Some(seed) = bytes.first_chunk::<32>() {
        let words = phrase::to_words(&KeyPair::from_seed(seed));
        let read = phrase::from_words(&words.join(" ")).expect("a phrase");
        assert_eq!(read.seed(), *seed);
        // Put the words in an order the input chooses: another key or an error, never the same key twice.
        let mut shuffled = words.clone();
        for swap in bytes[32..].chunks_exact(2) {
            shuffled.swap(usize::from(swap[0]) % 24, usize::from(swap[1]) % 24);
        }
        if let Ok(other) = phrase::from_words(&shuffled.join(" ")) {
            assert_eq!(other.seed() == *seed, shuffled == words);
        }
    }
});
