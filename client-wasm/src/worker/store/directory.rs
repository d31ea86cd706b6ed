//! Where every key's value is: one ordered map per table, and for each segment how much of it still counts.
//!
//! Invariant: a slot names a segment listed here, and that segment's live bytes are the sum of the operations whose
//! slots point to it, plus its deletes (kept until nothing older is left that they could bring back).

use std::convert::Infallible;
use std::ops::Bound;

use engine::store::{Read, Table, first_of_each};
use ordered::Map;

use super::segment::{Record, SegmentNumber};
use crate::vec_map::VecMap;

/// The position of a value in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub segment: SegmentNumber,
    /// From which byte of the record.
    pub offset: u32,
    /// How many bytes.
    pub len: u32,
}

impl Slot {
    /// Its value in the bytes of its segment.
    pub fn of(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let start = self.offset as usize;
        bytes
            .get(start..start.checked_add(self.len as usize)?)
            .map(<[u8]>::to_vec)
    }
}

/// What is known of a segment without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Bytes of its operations.
    pub total: u64,
    /// Of these, bytes that still count.
    pub live: u64,
}

/// A resolved row: its key and where its value is.
pub type Found = (Box<[u8]>, Slot);

/// The in-memory key directory.
#[derive(Debug, Default)]
pub struct Directory {
    tables: VecMap<Table, Map<Box<[u8]>, Slot>>,
    segments: Map<SegmentNumber, SegmentInfo>,
}

/// What an operation that put `slot` under a key of `key_len` bytes is charged with. Not the exact bytes it takes (the
/// length prefixes differ), but the same when it is added and when it is taken away.
fn cost(key_len: usize, len: u32) -> u64 {
    key_len as u64 + u64::from(len) + 4
}

impl Directory {
    /// Takes an operation of a segment as the newest of its key.
    pub fn apply(&mut self, segment: SegmentNumber, record: &Record<'_>) {
        let info = self.segments.or_default(segment);
        if !self.tables.contains(record.table) {
            self.tables.insert(record.table, Map::new());
        }
        let Some(table) = self.tables.get_mut(record.table) else {
            return;
        };
        let old = if let Some((offset, len)) = record.value {
            let cost = cost(record.key.len(), len);
            info.total += cost;
            info.live += cost;
            let slot = Slot { segment, offset, len };
            match table.get_mut(record.key) {
                Some(old) => Some(std::mem::replace(old, slot)),
                None => table.insert(record.key.into(), slot),
            }
        } else {
            let cost = cost(record.key.len(), 0);
            info.total += cost;
            info.live += cost;
            table.remove(record.key)
        };
        if let Some(old) = old
            && let Some(info) = self.segments.get_mut(&old.segment)
        {
            info.live = info.live.saturating_sub(cost(record.key.len(), old.len));
        }
    }

    /// A segment without operations counts too: it is on the disk.
    pub fn add_segment(&mut self, segment: SegmentNumber) {
        self.segments.or_default(segment);
    }

    /// Forgets a segment to which no slot points any more.
    pub fn remove_segment(&mut self, segment: SegmentNumber) {
        self.segments.remove(&segment);
    }

    /// All segments with their sizes, oldest first.
    pub fn segments(&self) -> &Map<SegmentNumber, SegmentInfo> {
        &self.segments
    }

    /// The position of a key's value.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Slot> {
        self.tables.get(table)?.get(key).copied()
    }

    /// Keys of all tables.
    pub fn len(&self) -> usize {
        self.tables.values().map(Map::len).sum()
    }

    /// The rows a read names, in its order, within its limits.
    pub fn resolve(&self, read: &Read) -> Vec<Found> {
        match read {
            Read::Get { table, key } => self
                .get(*table, key)
                .map(|slot| (key.as_slice().into(), slot))
                .into_iter()
                .collect(),
            Read::Range {
                table,
                start,
                end,
                limit,
                bytes_max,
                reverse,
            } => {
                if start >= end {
                    return Vec::new();
                }
                let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
                let Some(rows) = self.tables.get(*table) else {
                    return Vec::new();
                };
                let range = rows.range::<[u8]>(bounds);
                if *reverse {
                    within(range.rev(), *limit, *bytes_max)
                } else {
                    within(range, *limit, *bytes_max)
                }
            }
            Read::FirstOfEach { table, .. } => {
                let Some(rows) = self.tables.get(*table) else {
                    return Vec::new();
                };
                let Ok(firsts) = first_of_each(read, |start, end| {
                    let bounds = (Bound::Included(start), Bound::Excluded(end));
                    let first = rows.range::<[u8]>(bounds).next();
                    Ok::<_, Infallible>(first.map(|(key, slot)| (key.clone(), *slot)))
                });
                firsts
            }
        }
    }
}

fn within<'a>(
    rows: impl Iterator<Item = (&'a Box<[u8]>, &'a Slot)>,
    limit: usize,
    bytes_max: usize,
) -> Vec<Found> {
    let mut found = Vec::new();
    let mut bytes = 0usize;
    for (key, slot) in rows.take(limit) {
        if bytes >= bytes_max && !found.is_empty() {
            break;
        }
        bytes = bytes.saturating_add(slot.len as usize);
        found.push((key.clone(), *slot));
    }
    found
}
