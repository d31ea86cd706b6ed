//! The store's journal after a power cut: repaired by one truncation, or damaged, whatever is stored in it.
#![no_main]

#[path = "../../../relay-node/tests/parsers/outside.rs"]
mod outside;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (usize, &[u8])| {
    let (at, bytes) = input;
    outside::journal(bytes, at);
});
