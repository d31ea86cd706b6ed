//! Datagrams at the WebRTC port: no answer to a sender that does not know the link's password.
#![no_main]

#[path = "../../../relay-node/tests/parsers/outside.rs"]
mod outside;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| outside::datagram(bytes));
