//! Starling client.
fn main() {}
