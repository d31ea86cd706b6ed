//! A registry's rows that no registry wrote, in the file and in etcd: it answers or says what is damaged, and gives no
//! name to two.
#![no_main]

#[path = "../../../relay-node/tests/parsers/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;
use starling_relay_node::names::skeleton;

// Rows to begin with, as many of them in the file's own form as `raw` says, and the name that is wanted.
fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, u8, &str)| {
    let (rows, raw, wanted) = input;
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = rows
        .into_iter()
        .take(4)
        .map(|(key, value)| {
            let key = match key % 5 {
                0 => b"key".to_vec(),
                1 => b"l/leader".to_vec(),
                2 => [b"a/".as_slice(), &value[..value.len().min(32)]].concat(),
                _ => [b"n/".as_slice(), skeleton(wanted).as_bytes()].concat(),
            };
            (key, value)
        })
        .collect();
    let raw = rows.split_off(usize::from(raw).min(rows.len()));
    checks::ledger(&rows, &raw, wanted);
});
