//! A disk in memory: for peers that keep nothing, and for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Changes, Disk, DiskError, RowIter};

/// Rows copied at once while a range is read.
const CHUNK_ROWS: usize = 64;

/// Its rows live as long as it does.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    rows: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Disk for MemoryDisk {
    fn commit(&self, changes: &Changes) -> Result<(), DiskError> {
        let mut rows = self.rows.borrow_mut();
        for (key, value) in changes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        true
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.rows.borrow().get(key).cloned())
    }

    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_> {
        let (mut start, mut end) = (Bound::Included(start), Bound::Excluded(end));
        let mut chunk = Vec::new().into_iter();
        Box::new(std::iter::from_fn(move || {
            if chunk.len() == 0 {
                if is_empty(&start, &end) {
                    return None;
                }
                let rows = self.rows.borrow();
                let range = rows.range::<Vec<u8>, _>((start.as_ref(), end.as_ref()));
                let copied = |(key, value): (&Vec<u8>, &Vec<u8>)| Ok((key.clone(), value.clone()));
                let next: Vec<_> = match reverse {
                    false => range.take(CHUNK_ROWS).map(copied).collect(),
                    true => range.rev().take(CHUNK_ROWS).map(copied).collect(),
                };
                if let Some(Ok((last, _))) = next.last() {
                    match reverse {
                        false => start = Bound::Excluded(last.clone()),
                        true => end = Bound::Excluded(last.clone()),
                    }
                }
                chunk = next.into_iter();
            }
            chunk.next()
        }))
    }
}

/// Whether no key can be within these bounds: `BTreeMap::range` panics for some of them.
fn is_empty(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_many_chunks_is_read_in_both_directions() {
        let disk = MemoryDisk::default();
        let keys: Vec<Vec<u8>> = (0..1_000_u16).map(|n| n.to_be_bytes().to_vec()).collect();
        let changes = keys.iter().map(|key| (key.clone(), Some(key.clone()))).collect();
        disk.commit(&changes).unwrap();
        disk.commit(&Changes::from([(keys[500].clone(), None)])).unwrap();
        let read = |start: usize, end: usize, reverse| -> Vec<Vec<u8>> {
            disk.range(keys[start].clone(), keys[end].clone(), reverse)
                .map(|row| row.unwrap().0)
                .collect()
        };
        let mut expected: Vec<Vec<u8>> = keys[10..990].to_vec();
        expected.retain(|key| *key != keys[500]);
        assert_eq!(read(10, 990, false), expected);
        expected.reverse();
        assert_eq!(read(10, 990, true), expected);
        assert_eq!(read(10, 10, false), Vec::<Vec<u8>>::new());
        assert_eq!(disk.get(&keys[500]).unwrap(), None);
        assert_eq!(disk.get(&keys[501]).unwrap(), Some(keys[501].clone()));
    }
}
