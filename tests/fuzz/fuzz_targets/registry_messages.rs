//! What peers say about names and relays: decoding and verifying never panic, and what decodes has one form.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| checks::words(bytes));
