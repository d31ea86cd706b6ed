//! Iteration over the entries, from either end.

/// A position among the chunks. The one after a chunk's last entry is the start of the next chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) chunk: usize,
    pub(crate) at: usize,
}

impl Position {
    /// The position after this entry.
    pub(crate) fn next<T>(self, chunks: &[Vec<T>]) -> Self {
        if self.at + 1 < chunks[self.chunk].len() {
            Self {
                chunk: self.chunk,
                at: self.at + 1,
            }
        } else {
            Self {
                chunk: self.chunk + 1,
                at: 0,
            }
        }
    }

    /// The position of the previous entry.
    fn back<T>(self, chunks: &[Vec<T>]) -> Self {
        if self.at > 0 {
            Self {
                chunk: self.chunk,
                at: self.at - 1,
            }
        } else {
            Self {
                chunk: self.chunk - 1,
                at: chunks[self.chunk - 1].len() - 1,
            }
        }
    }
}

/// Entries of a map, in order.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    chunks: &'a [Vec<(K, V)>],
    from: Position,
    to: Position,
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(crate) fn new(chunks: &'a [Vec<(K, V)>], from: Position, to: Position) -> Self {
        Self { chunks, from, to }
    }

    fn entry(&self, place: Position) -> (&'a K, &'a V) {
        let (key, value) = &self.chunks[place.chunk][place.at];
        (key, value)
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        (self.from < self.to).then(|| {
            let entry = self.entry(self.from);
            self.from = self.from.next(self.chunks);
            entry
        })
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        (self.from < self.to).then(|| {
            self.to = self.to.back(self.chunks);
            self.entry(self.to)
        })
    }
}
