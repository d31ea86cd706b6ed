//! Which other peers hold this account's own entries.
//!
//! Invariant: a number shown to a person was confirmed: by this device's store, by a peer over its proven link, or by
//! a known relay's signed receipt.

use ordered::Map;
use protocol::{DeviceId, EntryId, EntryRef, PeerId};

use crate::api::{Durability, HolderView};
use crate::ctx::Ctx;
use crate::log::Log;
use crate::log::keys;
use crate::log::records::HolderRecord;
use crate::store::{Op, Table};

/// Own posts whose progress is reported as they become safer. Policy when full: the oldest is reported no more.
pub(crate) const OWN_POSTS_MAX: usize = 1_024;
/// Peers remembered as holders of one feed. Policy when full: further peers are not counted; relays always are.
const PEERS_PER_FEED_MAX: usize = 64;

/// What was confirmed about own feeds.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    feeds: Map<DeviceId, Map<PeerId, HolderRecord>>,
    /// The newest own posts.
    own_posts: Map<(DeviceId, u64), EntryRef>,
    /// The newest entries of this device.
    own_ids: Map<(DeviceId, u64), EntryId>,
}

impl Holders {
    pub(crate) fn restore(&mut self, device: DeviceId, peer: PeerId, record: HolderRecord) {
        self.feeds.or_default(device).insert(peer, record);
    }

    pub(crate) fn record_own(&mut self, device: DeviceId, seq: u64, id: EntryId) {
        self.own_ids.insert((device, seq), id);
        if self.own_ids.len() > OWN_POSTS_MAX {
            self.own_ids.pop_first();
        }
    }

    pub(crate) fn record_own_post(&mut self, device: DeviceId, seq: u64, post: EntryRef) {
        self.own_posts.insert((device, seq), post);
        if self.own_posts.len() > OWN_POSTS_MAX {
            self.own_posts.pop_first();
        }
    }

    /// The id of an entry of this device, if it is one of the newest.
    pub(crate) fn own_id(&self, device: DeviceId, seq: u64) -> Option<EntryId> {
        self.own_ids.get(&(device, seq)).copied()
    }

    /// Nobody confirmed more than the first `next_seq` entries: what there was beyond is lost, and what takes its place is
    /// not what was confirmed.
    fn clamp(&mut self, ctx: &mut Ctx, device: DeviceId, next_seq: u64) {
        let records = self.feeds.get_mut(&device).into_iter();
        for (peer, record) in records.flat_map(Map::iter_mut) {
            if record.next_seq > next_seq {
                record.next_seq = next_seq;
                ctx.write(Op::put(Table::Holders, keys::holder(&device, peer), record));
            }
        }
    }

    /// Entries of this device from `seq` on are not its own any more.
    pub(crate) fn cut_own(&mut self, device: DeviceId, seq: u64) {
        self.own_ids.retain(|(of, at), _| *of != device || *at < seq);
        self.own_posts.retain(|(of, at), _| *of != device || *at < seq);
    }

    /// Forgets which posts are the account's own, for a new device.
    pub(crate) fn forget_own(&mut self) {
        self.own_posts.clear();
        self.own_ids.clear();
    }

    /// Records a confirmation; returns how far the peer was known to hold the feed before, if this is more.
    fn record(&mut self, device: DeviceId, peer: PeerId, record: HolderRecord) -> Option<u64> {
        let holders = self.feeds.or_default(device);
        let before = holders.get(&peer).copied();
        if before.is_some_and(|before| before.next_seq >= record.next_seq && before.relay >= record.relay) {
            return None;
        }
        if before.is_none() && !record.relay && holders.len() >= PEERS_PER_FEED_MAX {
            return None;
        }
        holders.insert(peer, record);
        Some(before.map_or(0, |before| before.next_seq))
    }

    fn of(&self, device: &DeviceId, seq: u64) -> impl Iterator<Item = (PeerId, HolderRecord)> + '_ {
        let holders = self.feeds.get(device).into_iter().flatten();
        let holders = holders.filter(move |(_, record)| record.next_seq > seq);
        holders.map(|(peer, record)| (*peer, *record))
    }

    /// How far the feed is held by any other peer, and by any relay.
    pub(crate) fn reach(&self, device: &DeviceId) -> (u64, u64) {
        let records = || self.feeds.get(device).into_iter().flatten();
        let furthest = |relays: bool| {
            let records = records().filter(|(_, record)| record.relay || !relays);
            records.map(|(_, record)| record.next_seq).max().unwrap_or(0)
        };
        (furthest(false), furthest(true))
    }

    /// The newest own posts from `seq` on.
    pub(crate) fn own_posts_from(&self, device: DeviceId, seq: u64) -> Vec<(u64, EntryRef)> {
        let posts = self.own_posts.range((device, seq)..=(device, u64::MAX));
        posts.map(|((_, seq), post)| (*seq, *post)).collect()
    }
}

/// How far a peer says it holds an own feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    pub(crate) peer: PeerId,
    /// By a receipt of a relay that keeps feeds.
    pub(crate) relay: bool,
    pub(crate) device: DeviceId,
    pub(crate) next_seq: u64,
    pub(crate) head: EntryId,
}

impl Log {
    /// How safe an own entry is. `relays_known`: relays that should hold it.
    pub(crate) fn durability(&self, device: &DeviceId, seq: u64, relays_known: u32) -> Durability {
        let mut durability = Durability {
            saved: self.feeds.get(device).is_some_and(|feed| feed.durable > seq),
            ..Durability::default()
        };
        for (_, record) in self.holders.of(device, seq) {
            if record.relay {
                durability.relays += 1;
            } else {
                durability.peers += 1;
            }
        }
        durability.relays_known = relays_known.max(durability.relays);
        durability
    }

    pub(crate) fn holder_views(&self, device: &DeviceId, seq: u64) -> Vec<HolderView> {
        let holders = self.holders.of(device, seq);
        let view = |(peer, record): (PeerId, HolderRecord)| HolderView {
            peer,
            relay: record.relay,
            at: record.at,
        };
        holders.map(view).collect()
    }

    /// The id of the last of the first `next_seq` entries of this device; `None` if it is not known.
    pub(crate) fn own_head(&self, device: &DeviceId, next_seq: u64) -> Option<EntryId> {
        match next_seq.checked_sub(1) {
            Some(seq) => self.holders.own_id(*device, seq),
            None => Some(EntryId::default()),
        }
    }

    /// The store has been read. Returns how far other peers confirmed this device's feed, if some of that is missing here: it
    /// does not count as confirmed any more.
    pub(crate) fn find_lost(&mut self, ctx: &mut Ctx, device: &DeviceId) -> Option<u64> {
        let next_seq = self.feeds.get(device)?.next_seq;
        let reach = self.holders.reach(device).0;
        self.holders.clamp(ctx, *device, next_seq);
        (reach > next_seq).then_some(reach)
    }

    /// A peer confirmed to hold an own feed. Returns how far it was known to before, if this is more. What a peer holds
    /// of another continuation of this device's feed confirms nothing of what is here, and neither does what cannot be
    /// compared with it any more.
    pub(crate) fn confirm(&mut self, ctx: &mut Ctx, confirmed: Confirmed) -> Option<u64> {
        let Confirmed {
            peer,
            relay,
            device,
            next_seq,
            head,
        } = confirmed;
        let feed = self.feeds.get(&device)?;
        if !ctx.is_me(&feed.account) || next_seq > feed.next_seq {
            return None;
        }
        if next_seq == feed.next_seq && head != feed.head {
            return None;
        }
        if ctx.device() == Some(device) && self.own_head(&device, next_seq) != Some(head) {
            return None;
        }
        let record = HolderRecord {
            next_seq,
            relay,
            at: ctx.now.wall,
        };
        let before = self.holders.record(device, peer, record)?;
        ctx.write(Op::put(Table::Holders, keys::holder(&device, &peer), &record));
        Some(before)
    }
}

#[cfg(test)]
#[path = "durability_tests.rs"]
mod tests;
