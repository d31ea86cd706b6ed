//! Offers of browsers: read or refused, and nothing unchecked gets into the answer.
#![no_main]

#[path = "../../../relay-node/tests/parsers/outside.rs"]
mod outside;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| outside::offer(text));
