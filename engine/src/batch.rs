//! Batches: what one input wrote goes to the store together.
//!
//! Invariant: nothing is acknowledged to anybody (receipt, `Have`, "saved here", credit) before the batch that carries it
//! was reported as persisted.

use ordered::{Map, Set};
use protocol::{DeviceId, EntryId};

use crate::Engine;
use crate::io::{LinkId, Output};
use crate::store::{Batch, BatchId, Op, Strictness, Table};

/// What the current input wrote so far.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    ops: Vec<Op>,
    strict: bool,
    feeds: Set<DeviceId>,
    consumed: Map<LinkId, u32>,
}

/// What becomes true once a batch is persisted.
#[derive(Debug, Default)]
pub(crate) struct Commitment {
    /// How far each touched feed is durable then.
    pub(crate) feeds: Vec<(DeviceId, u64, EntryId)>,
    /// Bulk from neighbours that no longer fills memory then.
    pub(crate) consumed: Map<LinkId, u32>,
}

impl Engine {
    pub(crate) fn write(&mut self, op: Op) {
        self.batch.ops.push(op);
    }

    pub(crate) fn write_all(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.batch.ops.extend(ops);
    }

    /// The current batch carries identity, own entries, or what a receipt will be given for.
    pub(crate) fn write_strictly(&mut self) {
        self.batch.strict = true;
    }

    /// The feed moved: its record is written with the batch.
    pub(crate) fn touch_feed(&mut self, device: DeviceId) {
        self.batch.feeds.insert(device);
    }

    /// Bulk from a neighbour was taken in with the current batch.
    pub(crate) fn consume(&mut self, link: LinkId, bytes: usize) {
        let consumed = self.batch.consumed.or_default(link);
        *consumed = consumed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// The batch that what is written now goes into.
    pub(crate) fn next_batch(&self) -> BatchId {
        BatchId(self.last_batch.0 + 1)
    }

    /// The last batch that is on disk with all before it.
    pub(crate) fn persisted(&self) -> BatchId {
        let first = self.batches.first_key_value();
        first.map_or(self.last_batch, |(first, _)| BatchId(first.0 - 1))
    }

    pub(crate) fn flush_batch(&mut self) {
        let pending = core::mem::take(&mut self.batch);
        let mut ops = pending.ops;
        let mut commitment = Commitment {
            consumed: pending.consumed,
            ..Commitment::default()
        };
        for device in pending.feeds {
            if let Some(feed) = self.feeds.get(&device) {
                ops.push(Op::put(Table::Feeds, device.0.to_vec(), &feed.record()));
                commitment.feeds.push((device, feed.next_seq, feed.head));
            }
        }
        if ops.is_empty() {
            self.grant_consumed(&commitment.consumed);
            return;
        }
        self.last_batch.0 += 1;
        let id = self.last_batch;
        let strictness = if pending.strict || self.is_relay() {
            Strictness::Strict
        } else {
            Strictness::Relaxed
        };
        self.batches.insert(id, commitment);
        self.emit(Output::Persist(Batch { id, strictness, ops }));
    }

    pub(crate) fn on_persisted(&mut self, id: BatchId) {
        let before = self.persisted();
        let mut advanced: Map<DeviceId, u64> = Map::new();
        let is_due = |batches: &Map<BatchId, Commitment>| {
            let first = batches.first_key_value();
            first.is_some_and(|(first, _)| *first <= id)
        };
        while is_due(&self.batches) {
            let Some((_, commitment)) = self.batches.pop_first() else {
                break;
            };
            for (device, next_seq, head) in commitment.feeds {
                if let Some(feed) = self.feeds.get_mut(&device)
                    && feed.durable < next_seq
                {
                    advanced.or_insert_with(device, || feed.durable);
                    feed.durable = next_seq;
                    feed.durable_head = head;
                }
            }
            self.grant_consumed(&commitment.consumed);
        }
        for (device, before) in &advanced {
            self.on_feed_durable(*device, *before);
        }
        if self.claims.any_stored(before, self.persisted()) {
            self.next_housekeeping = self.now.instant;
        }
    }
}
