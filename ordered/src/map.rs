//! The map.

use core::borrow::Borrow;
use core::ops::{Bound, RangeBounds};

use crate::CHUNK_MAX;
use crate::iter::{Iter, Position};

/// A map whose entries are sorted by key.
///
/// The three private methods that hold most of the code are not copied into their callers in what is downloaded: that
/// made it 5.6 kB larger. What depends on an entry's size alone is a function of its own, so that maps with entries of
/// one size share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<K, V> {
    pub(crate) chunks: Vec<Vec<(K, V)>>,
    len: usize,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Map<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the map is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// All entries.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.chunks, Position::default(), self.end())
    }

    /// All entries, with mutable values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.chunks
            .iter_mut()
            .flatten()
            .map(|(key, value)| (&*key, value))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// All values, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// The entry with the least key.
    #[must_use]
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The entry with the greatest key.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next_back()
    }

    /// Removes and returns the entry with the least key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| self.take(Position::default()))
    }

    /// Removes the entries for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for chunk in &mut self.chunks {
            chunk.retain_mut(|(key, value)| keep(key, value));
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(Vec::len).sum();
    }

    fn end(&self) -> Position {
        Position {
            chunk: self.chunks.len(),
            at: 0,
        }
    }

    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn take(&mut self, Position { chunk, at }: Position) -> (K, V) {
        let entry = self.chunks[chunk].remove(at);
        drop_if_empty(&mut self.chunks, chunk);
        self.len -= 1;
        entry
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The position of a key, or where it would be inserted: in a chunk, or after the last one.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Position, Position>
    where
        K: Borrow<Q>,
    {
        let before = |chunk: &Vec<(K, V)>| chunk.last().is_some_and(|(last, _)| last.borrow() < key);
        let chunk = self.chunks.partition_point(before);
        let Some(entries) = self.chunks.get(chunk) else {
            return Err(self.end());
        };
        match entries.binary_search_by(|(found, _)| found.borrow().cmp(key)) {
            Ok(at) => Ok(Position { chunk, at }),
            Err(at) => Err(Position { chunk, at }),
        }
    }

    /// Inserts an entry at the position from [`Self::find`], and returns its final position.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn put(&mut self, place: Position, key: K, value: V) -> Position {
        let place = make_room(&mut self.chunks, place);
        self.chunks[place.chunk].insert(place.at, (key, value));
        self.len += 1;
        place
    }

    /// Whether the key has an entry.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let Position { chunk, at } = self.find(key).ok()?;
        Some(&self.chunks[chunk][at].1)
    }

    /// The value of a key, mutable.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let Position { chunk, at } = self.find(key).ok()?;
        Some(&mut self.chunks[chunk][at].1)
    }

    /// The value of a key, mutable; if there is none, `make` provides it.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let Position { chunk, at } = match self.find(&key) {
            Ok(found) => found,
            Err(free) => self.put(free, key, make()),
        };
        &mut self.chunks[chunk][at].1
    }

    /// The value of a key, mutable; if there is none, the default is inserted.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    /// Sets the value of a key, and returns the previous one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(Position { chunk, at }) => Some(core::mem::replace(&mut self.chunks[chunk][at].1, value)),
            Err(free) => {
                self.put(free, key, value);
                None
            }
        }
    }

    /// Removes an entry, and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let found = self.find(key).ok()?;
        Some(self.take(found).1)
    }

    /// The entries with keys in a range, which is empty if its upper bound is below the lower one.
    pub fn range<Q: Ord + ?Sized>(&self, bounds: impl RangeBounds<Q>) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        // A position before the key, or behind it.
        let edge = |key: &Q, behind: bool| match self.find(key) {
            Ok(found) if behind => found.next(&self.chunks),
            Ok(place) | Err(place) => place,
        };
        let from = match bounds.start_bound() {
            Bound::Included(key) => edge(key, false),
            Bound::Excluded(key) => edge(key, true),
            Bound::Unbounded => Position::default(),
        };
        let to = match bounds.end_bound() {
            Bound::Included(key) => edge(key, true),
            Bound::Excluded(key) => edge(key, false),
            Bound::Unbounded => self.end(),
        };
        Iter::new(&self.chunks, from, to)
    }
}

/// Makes room for an entry at a place where it would be inserted: the place, in a chunk that is not full.
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn make_room<T>(chunks: &mut Vec<Vec<T>>, Position { mut chunk, mut at }: Position) -> Position {
    if chunk == chunks.len() {
        // Behind the last entry: at the end of the last chunk.
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        chunk = chunks.len() - 1;
        at = chunks[chunk].len();
    }
    if chunks[chunk].len() >= CHUNK_MAX {
        let half = CHUNK_MAX / 2;
        let rest = chunks[chunk].split_off(half);
        chunks.insert(chunk + 1, rest);
        if at > half {
            (chunk, at) = (chunk + 1, at - half);
        }
    }
    Position { chunk, at }
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
fn drop_if_empty<T>(chunks: &mut Vec<Vec<T>>, chunk: usize) {
    if chunks[chunk].is_empty() {
        chunks.remove(chunk);
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = core::iter::Flatten<std::vec::IntoIter<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}
