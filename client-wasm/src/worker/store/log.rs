//! The engine's ordered tables as a log of packed segments, after Bitcask (Sheehy and Smith, "Bitcask: A
//! Log-Structured Hash Table for Fast Key/Value Data", 2010): values lie in append-only segments, an in-memory
//! directory knows where, and merging copies what still counts out of segments that are mostly dead. Two differences:
//! the directory is ordered, and a segment is one record of a transactional store, so that nothing half-written is
//! ever found.
//!
//! Pure: the disk executes [`Write`]s and brings the segments that a read misses.
//!
//! ```text
//! append(batch)* → next_write() → (the disk commits) → written(write) → the batches that became durable
//! ```
//!
//! Invariants:
//! - a read sees every batch appended before it, durable or not;
//! - a segment holds whole batches, and segments become durable in the order of their numbers: after a crash the disk
//!   holds all batches up to some point and nothing of later ones;
//! - a merged segment has a number of its own, holds the state as of that number, and replaces its sources in one
//!   transaction; it is written only when every segment before it is durable;
//! - the bytes under a number never change.

use std::rc::Rc;

use engine::store::{Batch, BatchId, Read, Rows, Strictness};

use super::cache::Cache;
use super::directory::{Directory, SegmentInfo, Slot};
use super::segment::{Broken, HEADER_LEN, SegmentBytes, SegmentNumber, SegmentReader, SegmentWriter};
use crate::vec_map::VecMap;

/// Bytes of recently used segments kept in memory.
const CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A growing segment is closed at this size: a packed put of 2.5 MB took 40 ms, so this one takes about 15.
const SEGMENT_LEN_MAX: usize = 1024 * 1024;
/// A segment below this size is small: its put costs more than its bytes.
const SMALL_BYTES: u64 = 128 * 1024;
/// More small segments than this are merged: at start each costs a record, 70,000 of which are read a second.
const SMALL_COUNT_MAX: usize = 64;
/// Live bytes a merge copies at most: one step of bounded work.
const MERGE_BYTES_MAX: u64 = 1024 * 1024;
/// Segments a merge takes in at most.
const MERGE_SOURCES_MAX: usize = 128;
/// A segment with a greater part dead is worth rewriting.
const DEAD_PERCENT_MAX: u64 = 50;

/// One transaction for the disk. Repeating it until it succeeds is harmless.
#[derive(Clone, Debug)]
pub struct Write {
    /// Records to add.
    pub add: Vec<(SegmentNumber, SegmentBytes)>,
    /// Records to remove.
    pub remove: Vec<SegmentNumber>,
    /// Report success only once it is on the disk.
    pub strict: bool,
    /// It copies what is durable already: if it fails, only space is lost.
    pub merge: bool,
}

/// A closed segment that is not durable yet.
#[derive(Debug)]
struct Staged {
    number: SegmentNumber,
    bytes: SegmentBytes,
    batches: Vec<BatchId>,
    strict: bool,
}

/// A merged segment that is not durable yet.
#[derive(Debug)]
struct Merged {
    number: SegmentNumber,
    bytes: Option<SegmentBytes>,
    sources: Vec<SegmentNumber>,
}

/// The segment that takes new batches.
#[derive(Debug, Default)]
struct Open {
    writer: SegmentWriter,
    batches: Vec<BatchId>,
    strict: bool,
}

/// Whether something waits to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// It may wait for further batches.
    Soon,
    /// It should not.
    Now,
}

/// Rows found as they were when they were looked up; values that are not in memory are filled in later.
#[derive(Debug)]
pub struct Lookup {
    reads: Vec<Vec<(Vec<u8>, Value)>>,
}

#[derive(Debug)]
enum Value {
    Here(Vec<u8>),
    OnDisk(Slot),
}

/// The segments a merge reads.
#[derive(Debug, Default)]
pub struct Sources {
    held: VecMap<SegmentNumber, SegmentBytes>,
    missing: Vec<SegmentNumber>,
}

/// Statistics of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// The number of keys.
    pub keys: usize,
    pub segments: usize,
    /// Bytes of all operations.
    pub total_bytes: u64,
    /// Of these, bytes that still count.
    pub live_bytes: u64,
    /// Segments that could not be read.
    pub broken: u32,
    /// Merges done.
    pub merges: u32,
}

/// The store without its disk.
#[derive(Debug)]
pub struct Log {
    directory: Directory,
    cache: Cache,
    /// The number of the growing segment.
    next: SegmentNumber,
    open: Open,
    staged: Vec<Staged>,
    merged: Option<Merged>,
    broken: u32,
    merges: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            directory: Directory::default(),
            cache: Cache::new(CACHE_BYTES_MAX),
            next: 1,
            open: Open::default(),
            staged: Vec::new(),
            merged: None,
            broken: 0,
            merges: 0,
        }
    }
}

impl Log {
    /// At start: takes a segment from the disk, in the order of numbers. A broken one is skipped and counted.
    pub fn replay(&mut self, number: SegmentNumber, bytes: &SegmentBytes) -> Result<(), Broken> {
        self.next = self.next.max(number.saturating_add(1));
        let result = self.replay_records(number, bytes);
        if result.is_err() {
            self.broken += 1;
        } else {
            self.cache.insert(number, Rc::clone(bytes));
        }
        result
    }

    fn replay_records(&mut self, number: SegmentNumber, bytes: &[u8]) -> Result<(), Broken> {
        let mut reader = SegmentReader::open(bytes, number)?;
        self.directory.add_segment(number);
        while let Some(record) = reader.next()? {
            self.directory.apply(number, &record);
        }
        Ok(())
    }

    /// Takes a batch; reads see it from now on.
    pub fn append(&mut self, batch: &Batch) {
        for op in &batch.ops {
            let record = self.open.writer.push(op);
            self.directory.apply(self.next, &record);
        }
        self.directory.add_segment(self.next);
        self.open.batches.push(batch.id);
        self.open.strict |= batch.strictness == Strictness::Strict;
        if self.open.writer.bytes().len() >= SEGMENT_LEN_MAX {
            self.close_open();
        }
    }

    fn close_open(&mut self) {
        if self.open.batches.is_empty() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let number = self.next;
        self.next += 1;
        self.staged.push(Staged {
            number,
            bytes: Rc::new(open.writer.finish(number)),
            batches: open.batches,
            strict: open.strict,
        });
    }

    /// How urgent the next write is.
    pub fn due(&self) -> Due {
        let strict = self.open.strict || self.staged.iter().any(|staged| staged.strict);
        if strict || !self.staged.is_empty() {
            Due::Now
        } else if !self.open.batches.is_empty() {
            Due::Soon
        } else {
            Due::Nothing
        }
    }

    /// Bytes not durable yet.
    pub fn backlog_bytes(&self) -> usize {
        self.open.writer.bytes().len() - HEADER_LEN
            + self.staged.iter().map(|staged| staged.bytes.len()).sum::<usize>()
    }

    /// The next transaction: a finished merge once everything before it is durable, or else what was appended (at most
    /// a few segments).
    pub fn next_write(&mut self, merges: bool) -> Option<Write> {
        const SEGMENTS_PER_WRITE_MAX: usize = 4;
        if let Some(merged) = self.merged.as_ref().filter(|_| merges)
            && self
                .staged
                .first()
                .is_none_or(|staged| staged.number > merged.number)
        {
            return Some(Write {
                add: merged
                    .bytes
                    .iter()
                    .map(|bytes| (merged.number, Rc::clone(bytes)))
                    .collect(),
                remove: merged.sources.clone(),
                strict: false,
                merge: true,
            });
        }
        if self.staged.len() < SEGMENTS_PER_WRITE_MAX {
            self.close_open();
        }
        let part = &self.staged[..self.staged.len().min(SEGMENTS_PER_WRITE_MAX)];
        (!part.is_empty()).then(|| Write {
            add: part
                .iter()
                .map(|staged| (staged.number, Rc::clone(&staged.bytes)))
                .collect(),
            remove: Vec::new(),
            strict: part.iter().any(|staged| staged.strict),
            merge: false,
        })
    }

    /// Whether a finished merge waits to be written.
    pub fn merge_waits(&self) -> bool {
        self.merged.is_some()
    }

    /// The disk committed a write; these batches are durable now.
    pub fn written(&mut self, write: &Write) -> Vec<BatchId> {
        for (number, bytes) in &write.add {
            self.cache.insert(*number, Rc::clone(bytes));
        }
        if write.merge {
            self.merged = None;
            self.merges += 1;
            return Vec::new();
        }
        let mut durable = Vec::new();
        self.staged.retain(|staged| {
            let written = write.add.iter().any(|(number, _)| *number == staged.number);
            if written {
                durable.extend_from_slice(&staged.batches);
            }
            !written
        });
        durable
    }

    /// Looks the rows of some reads up as they are now.
    pub fn lookup(&mut self, reads: &[Read]) -> Lookup {
        let mut resolved = Vec::with_capacity(reads.len());
        for read in reads {
            let mut rows = Vec::new();
            for (key, slot) in self.directory.resolve(read) {
                rows.push((key.into_vec(), self.value(slot)));
            }
            resolved.push(rows);
        }
        Lookup { reads: resolved }
    }

    fn value(&mut self, slot: Slot) -> Value {
        if slot.len == 0 {
            return Value::Here(Vec::new());
        }
        let number = slot.segment;
        let here = if number == self.next {
            slot.of(self.open.writer.bytes())
        } else if let Some(staged) = self.staged.iter().find(|staged| staged.number == number) {
            slot.of(&staged.bytes)
        } else if let Some(merged) = self.merged.as_ref().filter(|merged| merged.number == number) {
            merged.bytes.as_ref().and_then(|bytes| slot.of(bytes))
        } else {
            self.cache.get(number).and_then(|bytes| slot.of(&bytes))
        };
        here.map_or(Value::OnDisk(slot), Value::Here)
    }

    /// A segment that a read or a merge missed came from the disk. `None`: it is broken, and counted.
    pub fn check(&mut self, number: SegmentNumber, bytes: Vec<u8>) -> Option<SegmentBytes> {
        if SegmentReader::open(&bytes, number).is_err() {
            self.broken += 1;
            return None;
        }
        let bytes = Rc::new(bytes);
        if self.directory.segments().contains_key(&number) {
            self.cache.insert(number, Rc::clone(&bytes));
        }
        Some(bytes)
    }

    /// What should be merged now, if anything: at most one merge is under way.
    pub fn merge_plan(&self) -> Option<Vec<SegmentNumber>> {
        if self.merged.is_some() {
            return None;
        }
        let durable = || {
            self.directory.segments().iter().filter(|(number, _)| {
                **number < self.staged.first().map_or(self.next, |staged| staged.number)
            })
        };
        let small = durable().filter(|(_, info)| info.total < SMALL_BYTES).count();
        let worth = |info: &SegmentInfo| {
            (small > SMALL_COUNT_MAX && info.total < SMALL_BYTES)
                || (info.total - info.live.min(info.total)) * 100 > info.total * DEAD_PERCENT_MAX
        };
        let mut sources = Vec::new();
        let mut live = 0;
        for (number, info) in durable().filter(|(_, info)| worth(info)) {
            if sources.len() == MERGE_SOURCES_MAX
                || (live + info.live > MERGE_BYTES_MAX && !sources.is_empty())
            {
                break;
            }
            live += info.live;
            sources.push(*number);
        }
        // A single small segment that is mostly dead would be rewritten for nothing after every overwrite of one key.
        let total: u64 = sources
            .iter()
            .filter_map(|n| self.directory.segments().get(n))
            .map(|i| i.total)
            .sum();
        (total >= SMALL_BYTES || small > SMALL_COUNT_MAX)
            .then_some(sources)
            .filter(|sources| !sources.is_empty())
    }

    /// The sources of a merge that are in memory, and which are not.
    pub fn merge_sources(&mut self, numbers: &[SegmentNumber]) -> Sources {
        let mut sources = Sources::default();
        for number in numbers {
            match self.cache.get(*number) {
                Some(bytes) => sources.add(*number, bytes),
                None => sources.missing.push(*number),
            }
        }
        sources
    }

    /// Copies what counts out of the sources into a new segment. One that could not be brought is left alone. `false`:
    /// none could, or the last merge is not written yet.
    pub fn merge(&mut self, sources: &Sources) -> bool {
        if self.merged.is_some() {
            return false;
        }
        // What was appended before must keep a smaller number than the copy.
        self.close_open();
        let number = self.next;
        let oldest_other = self
            .directory
            .segments()
            .keys()
            .copied()
            .find(|number| !sources.held.contains(*number));
        let mut writer = SegmentWriter::default();
        let mut taken = Vec::new();
        for (source, bytes) in sources.held.iter() {
            // One that stops decoding half-way stays; what was copied from it until then is right all the same.
            match self.copy_live(source, bytes, oldest_other, &mut writer) {
                Ok(()) => taken.push(source),
                Err(_) => self.broken += 1,
            }
        }
        if taken.is_empty() {
            return false;
        }
        self.next += 1;
        let bytes = (writer.ops() > 0).then(|| Rc::new(writer.finish(number)));
        if let Some(bytes) = &bytes
            && self.replay_records(number, bytes).is_err()
        {
            debug_assert!(false, "a segment just made is whole");
        }
        for source in &taken {
            self.directory.remove_segment(*source);
            self.cache.remove(*source);
        }
        self.merged = Some(Merged {
            number,
            bytes,
            sources: taken,
        });
        true
    }

    fn copy_live(
        &self,
        source: SegmentNumber,
        bytes: &[u8],
        oldest_other: Option<SegmentNumber>,
        writer: &mut SegmentWriter,
    ) -> Result<(), Broken> {
        let mut reader = SegmentReader::open(bytes, source)?;
        while let Some(record) = reader.next()? {
            let slot = self.directory.get(record.table, record.key);
            match record.value {
                Some((offset, len))
                    if slot
                        == Some(Slot {
                            segment: source,
                            offset,
                            len,
                        }) =>
                {
                    let value = bytes.get(offset as usize..offset as usize + len as usize);
                    writer.push_parts(record.table, record.key, Some(value.ok_or(Broken::Operation)?));
                }
                // A delete counts as long as an older segment could bring its key back.
                None if slot.is_none() && oldest_other.is_some_and(|other| other < source) => {
                    writer.push_parts(record.table, record.key, None);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn stats(&self) -> LogStats {
        let segments = self.directory.segments();
        LogStats {
            keys: self.directory.len(),
            segments: segments.len(),
            total_bytes: segments.values().map(|info| info.total).sum(),
            live_bytes: segments.values().map(|info| info.live).sum(),
            broken: self.broken,
            merges: self.merges,
        }
    }
}

impl Lookup {
    /// The segments to bring before [`Self::into_rows`] is whole.
    pub fn missing(&self) -> Vec<SegmentNumber> {
        let mut missing = Vec::new();
        for (_, value) in self.reads.iter().flatten() {
            if let Value::OnDisk(slot) = value
                && !missing.contains(&slot.segment)
            {
                missing.push(slot.segment);
            }
        }
        missing
    }

    /// Fills in the values that lie in a segment.
    pub fn provide(&mut self, number: SegmentNumber, bytes: &[u8]) {
        for (_, value) in self.reads.iter_mut().flatten() {
            if let Value::OnDisk(slot) = value
                && slot.segment == number
                && let Some(bytes) = slot.of(bytes)
            {
                *value = Value::Here(bytes);
            }
        }
    }

    /// The rows. Those whose segment could not be brought are left out.
    pub fn into_rows(self) -> Rows {
        let row = |(key, value)| match value {
            Value::Here(bytes) => Some((key, bytes)),
            Value::OnDisk(_) => None,
        };
        self.reads
            .into_iter()
            .map(|rows| rows.into_iter().filter_map(row).collect())
            .collect()
    }
}

impl Sources {
    /// The segments to bring before merging.
    pub fn missing(&self) -> &[SegmentNumber] {
        &self.missing
    }

    /// A segment that was brought and checked.
    pub fn add(&mut self, number: SegmentNumber, bytes: SegmentBytes) {
        self.held.insert(number, bytes);
    }
}
