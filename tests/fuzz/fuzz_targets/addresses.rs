//! Addresses of relays and of etcd, places, keys, roles: what is read is written and read as the same.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| checks::address(text));
