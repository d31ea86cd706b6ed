//! Names: one spelling each, and within their bounds.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| checks::name(text));
