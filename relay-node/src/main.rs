//! Starling relay.
fn main() {}
