//! Records a browser keeps its tables in: read as they were written, or said to be broken.
#![no_main]

#[path = "../../../client-wasm/src/worker/store/segment.rs"]
#[allow(dead_code)]
mod segment;
#[path = "../../../relay-node/tests/parsers/segments.rs"]
mod segments;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u32, &[u8])| {
    let (number, ops, bytes) = input;
    segments::segment(bytes, number, ops);
});
