//! The store's journal after a power cut: mended by one cut or damaged, whatever somebody has stored in it.
#![no_main]

#[path = "../../../relay-node/tests/parsers/outside.rs"]
mod outside;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (usize, &[u8])| {
    let (at, bytes) = input;
    outside::journal(bytes, at);
});
