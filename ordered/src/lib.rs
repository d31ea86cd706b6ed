//! An ordered map and an ordered set that cost little code.
//!
//! A B-tree of the standard library takes about 6 kB of WebAssembly for each pair of key and value types, which is too
//! much for an app with dozens of tables. Here entries are sorted in chunks of at most [`CHUNK_MAX`]: two binary
//! searches find an entry, and an insertion moves half a chunk on average. That is a sixth of the code; a lookup among
//! ten thousand entries takes 1.5 times as long, among a million (1 µs) three times as long.
//!
//! [`sorted_by_key`] replaces `slice::sort_by_key` for short lists, with a tenth of its code.
//!
//! Methods have the names and meanings of those of `std::collections::BTreeMap` and `BTreeSet`.
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

/// The items sorted by key, stably. An insertion sort, meant for at most a few hundred items.
pub fn sorted_by_key<T, K: Ord>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut sorted = Vec::new();
    for item in items {
        let at = sorted.partition_point(|before| key(before) <= key(&item));
        sorted.insert(at, item);
    }
    sorted
}

/// Most entries in a chunk. A full chunk is split in half.
pub const CHUNK_MAX: usize = 128;
