//! An ordered map and an ordered set that cost little code.
//!
//! A B-tree of the standard library takes some 6 kB of WebAssembly for each pair of key and value types, and an app made
//! of dozens of tables is a long download. Here entries stand sorted in chunks of at most [`CHUNK_MAX`]: two binary
//! searches find one, and a new one moves half a chunk on average. That is a sixth of the code; looking something up
//! among ten thousand entries takes about half as long again, among a million (1 µs) three times as long.
//!
//! Names and meanings are those of `std::collections::BTreeMap` and `BTreeSet`.
//!
//! Invariants: no chunk is empty; keys ascend strictly, within a chunk and from one chunk to the next.

mod iter;
mod map;
mod set;
#[cfg(test)]
mod tests;

pub use iter::Iter;
pub use map::Map;
pub use set::Set;

/// Entries in a chunk. A full one is halved.
pub const CHUNK_MAX: usize = 128;
