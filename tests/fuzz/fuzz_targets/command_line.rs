//! Command lines, one argument per line.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| checks::arguments(text));
