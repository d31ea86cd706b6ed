//! The disk of a simulated peer: what it was given, what it confirmed, and what is left of that after each kind of
//! death.
//!
//! As the store's contract has it: batches are written in order and each as a whole. A confirmed strict batch survives
//! everything; a confirmed relaxed one survives the end of the process and not a power cut; one that was not confirmed
//! may survive or not.

use std::collections::{BTreeMap, VecDeque};

use protocol::{DeviceId, Entry, EntryId, codec};
use starling_engine::memory::MemoryStore;
use starling_engine::store::{Batch, BatchId, Op, Strictness, Table};

use crate::model::Model;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What it confirmed: what is there when the process ends.
    confirmed: MemoryStore,
    /// What is there when the power is cut: as far as the last confirmed strict batch, and
    strict: MemoryStore,
    /// any number of the first of these, which it confirmed since.
    relaxed: Vec<Batch>,
    /// Given to it, in order, and not confirmed.
    written: VecDeque<Batch>,
    /// What reads see: everything it was given.
    pub(crate) view: MemoryStore,
    entries: Entries,
    /// It writes nothing until there is room.
    pub(crate) full: bool,
    /// A test put other contents in its place: what this peer promised before is void.
    pub(crate) replaced: bool,
    /// A test took entries away without the peer knowing: nothing it says is held against it.
    pub(crate) tampered: bool,
}

/// The entries that are on a disk.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    rows: BTreeMap<Vec<u8>, (DeviceId, u64)>,
    ids: BTreeMap<(DeviceId, u64), EntryId>,
}

impl Entries {
    fn read(store: &MemoryStore) -> Self {
        let mut entries = Self::default();
        for (key, value) in store.rows(Table::Entries) {
            entries.put(key, &value);
        }
        entries
    }

    fn put(&mut self, key: Vec<u8>, value: &[u8]) -> Option<(DeviceId, u64, EntryId)> {
        let header = codec::decode::<Entry>(value).ok()?.signed.header;
        let id = header.id();
        self.rows.insert(key, (header.device, header.seq));
        self.ids.insert((header.device, header.seq), id);
        Some((header.device, header.seq, id))
    }

    fn delete(&mut self, key: &[u8]) -> Option<DeviceId> {
        let (device, seq) = self.rows.remove(key)?;
        self.ids.remove(&(device, seq));
        Some(device)
    }

    pub(crate) fn id(&self, device: DeviceId, seq: u64) -> Option<EntryId> {
        self.ids.get(&(device, seq)).copied()
    }

    /// How many entries of a feed there are below this number.
    pub(crate) fn below(&self, device: DeviceId, seq: u64) -> u64 {
        self.ids.range((device, 0)..(device, seq)).count() as u64
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&(DeviceId, u64), &EntryId)> {
        self.ids.iter()
    }
}

impl Disk {
    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// A copy of what it confirmed.
    pub(crate) fn copy(&self) -> MemoryStore {
        self.confirmed.clone()
    }

    /// The rows it confirmed.
    pub(crate) fn rows(&self, table: Table) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.confirmed.rows(table)
    }

    /// How many rows it confirmed.
    pub(crate) fn len(&self, table: Table) -> usize {
        self.confirmed.len(table)
    }

    /// Whether a confirmed row holds these bytes.
    pub(crate) fn mentions(&self, table: Table, bytes: &[u8]) -> bool {
        let rows = self.confirmed.rows(table);
        let holds = |(_, value): (&Vec<u8>, &Vec<u8>)| value.windows(bytes.len()).any(|part| part == bytes);
        rows.iter().any(holds)
    }

    /// A process opens it.
    pub(crate) fn open(&mut self) {
        self.view = self.confirmed.clone();
    }

    pub(crate) fn write(&mut self, batch: Batch) {
        self.view.apply(&batch);
        self.written.push_back(batch);
    }

    /// The next batch is as durable as it asked to be.
    pub(crate) fn confirm(&mut self, peer: usize, model: &mut Model) -> Option<BatchId> {
        let batch = self.written.pop_front()?;
        let id = batch.id;
        self.confirmed.apply(&batch);
        for op in &batch.ops {
            match op {
                Op::Put { table, key, value } if *table == Table::Entries => {
                    if let Some((device, seq, id)) = self.entries.put(key.clone(), value) {
                        model.on_stored(device, seq, id);
                    }
                }
                Op::Delete { table, key } if *table == Table::Entries => {
                    if let Some(device) = self.entries.delete(key) {
                        model.on_dropped(peer, device);
                    }
                }
                _ => {}
            }
        }
        let strict = batch.strictness == Strictness::Strict;
        self.relaxed.push(batch);
        if strict {
            for batch in self.relaxed.drain(..) {
                self.strict.apply(&batch);
            }
        }
        Some(id)
    }

    /// The process ends, and nothing is written any more.
    pub(crate) fn crash(&mut self) {
        self.written.clear();
    }

    /// The process ends, or the power is cut. `chance` says how much of what may be there is there.
    pub(crate) fn die(&mut self, power_cut: bool, chance: u32) {
        let mut unsure: Vec<Batch> = Vec::new();
        if power_cut {
            self.confirmed = self.strict.clone();
            unsure.append(&mut self.relaxed);
        }
        unsure.extend(self.written.drain(..));
        let kept = chance as usize % (unsure.len() + 1);
        for batch in &unsure[..kept] {
            self.confirmed.apply(batch);
        }
        self.settle();
    }

    /// A test puts other contents in its place.
    pub(crate) fn replace(&mut self, store: MemoryStore) {
        self.confirmed = store;
        self.replaced = true;
        self.settle();
    }

    /// A test changes rows.
    pub(crate) fn change(&mut self, batch: &Batch) {
        self.confirmed.apply(batch);
        self.settle();
    }

    /// It forgets all entries, and nothing else.
    pub(crate) fn lose_entries(&mut self) {
        for store in [&mut self.view, &mut self.confirmed, &mut self.strict] {
            store.clear(Table::Entries);
        }
        self.entries = Entries::default();
        self.tampered = true;
    }

    fn settle(&mut self) {
        self.written.clear();
        self.relaxed.clear();
        self.strict = self.confirmed.clone();
        self.entries = Entries::read(&self.confirmed);
    }
}
