//! An ordered map and an ordered set that cost little code.
//!
//! A B-tree of the standard library takes some 6 kB of WebAssembly for each pair of key and value types, and an app made
//! of dozens of tables is a long download. Here entries stand sorted in chunks of at most [`CHUNK_MAX`]: two binary
//! searches find one, and a new one moves half a chunk on average. That is a sixth of the code; looking something up
//! among ten thousand entries takes about half as long again, among a million (1 µs) three times as long.
//!
//! [`sorted_by_key`] does for short lists what `slice::sort_by_key` does, for a tenth of its code.
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

/// The items in the order of their keys; those with equal keys stay in the order they came. Every item is put in its
/// place by itself: meant for a few hundred.
pub fn sorted_by_key<T, K: Ord>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut sorted = Vec::new();
    for item in items {
        let at = sorted.partition_point(|before| key(before) <= key(&item));
        sorted.insert(at, item);
    }
    sorted
}

/// Entries in a chunk. A full one is halved.
pub const CHUNK_MAX: usize = 128;
