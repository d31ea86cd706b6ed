//! Which other peers hold this account's own entries.
//!
//! Invariant: a number shown to a person was confirmed: by this device's store, by a peer over its proven link, or by
//! the signed receipt of a known relay that is a member of the network and has not taken the receipt back.

use ordered::{Map, Set};
use protocol::messages::receipt::{Reason, Withdrawal};
use protocol::{DeviceId, EntryId, EntryRef, PeerId, Timestamp};

use crate::api::{Durability, HolderView};
use crate::ctx::Ctx;
use crate::log::Log;
use crate::log::keys;
use crate::log::records::HolderRecord;
use crate::log::records::meta;
use crate::store::{Op, Table};

/// Own posts whose progress is reported as they become safer. Policy when full: the oldest is reported no more.
pub(crate) const OWN_POSTS_MAX: usize = 1_024;
/// Peers remembered as holders of one feed. Policy when full: further peers are not counted; relays always are.
const PEERS_PER_FEED_MAX: usize = 64;

/// What a confirmation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    Nothing,
    /// The relay signed for what it had signed for before, later.
    Again,
    /// The peer holds more than it was known to: the entries below this number.
    More(u64),
    /// The relay signed later for fewer entries: it was set back to an older copy of its disk.
    Less,
}

/// What a relay takes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotKept {
    pub(crate) relay: PeerId,
    pub(crate) device: DeviceId,
    /// The first entry that it keeps no longer.
    pub(crate) from: u64,
    /// By its clock.
    pub(crate) signed_at: Timestamp,
    pub(crate) reason: Reason,
}

impl From<&Withdrawal> for NotKept {
    fn from(withdrawal: &Withdrawal) -> Self {
        Self {
            relay: withdrawal.relay,
            device: withdrawal.device,
            from: withdrawal.from,
            signed_at: withdrawal.at,
            reason: withdrawal.reason,
        }
    }
}

/// What a withdrawal changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakenBack {
    Nothing,
    /// It is remembered, since it counts against receipts that come later and were signed earlier.
    Remembered,
    /// The relay was counted as a holder of the entries from this number on.
    From(u64),
}

/// What was confirmed about own feeds.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    feeds: Map<DeviceId, Map<PeerId, HolderRecord>>,
    /// Of these and of known relays, those that are no members of the network: their receipts do not count. Others are
    /// taken out once a second.
    no_members: Set<PeerId>,
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
            if record.next_seq.max(record.held) > next_seq {
                record.next_seq = record.next_seq.min(next_seq);
                record.held = record.held.min(next_seq);
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

    /// Records a confirmation. One that was signed before the peer's withdrawal says nothing.
    fn record(&mut self, device: DeviceId, peer: PeerId, record: HolderRecord) -> Recorded {
        let holders = self.feeds.or_default(device);
        let Some(before) = holders.get_mut(&peer) else {
            if !record.relay && holders.len() >= PEERS_PER_FEED_MAX {
                return Recorded::Nothing;
            }
            holders.insert(peer, record);
            return Recorded::More(0);
        };
        let later = record.signed_at > before.signed_at;
        if before.withdrawn.is_some() && !later {
            return Recorded::Nothing;
        }
        let signed_at = record.signed_at.max(before.signed_at);
        let held = before.held.max(before.next_seq).max(record.next_seq);
        if before.next_seq >= record.next_seq && before.relay >= record.relay {
            (before.signed_at, before.withdrawn) = (signed_at, None);
            if later && record.relay && record.next_seq < before.next_seq {
                (before.next_seq, before.held) = (record.next_seq, held);
                return Recorded::Less;
            }
            return if later { Recorded::Again } else { Recorded::Nothing };
        }
        let record = HolderRecord {
            signed_at,
            held,
            ..record
        };
        let before = core::mem::replace(before, record);
        // As a relay it counts for entries that it held as another peer.
        Recorded::More(if record.relay && !before.relay {
            0
        } else {
            before.next_seq
        })
    }

    /// Takes a relay out of the holders of a feed. `unheard`: also if it never confirmed anything, so that what it
    /// signed earlier and comes later does not count.
    fn take_back(&mut self, not_kept: NotKept, unheard: bool, now: Timestamp) -> TakenBack {
        let NotKept {
            relay,
            device,
            from,
            signed_at,
            reason,
        } = not_kept;
        let of = self.feeds.get_mut(&device);
        let before = of.and_then(|holders| holders.get(&relay).copied());
        if before.is_none() && !unheard {
            return TakenBack::Nothing;
        }
        let held = before.map_or(0, |before| before.next_seq);
        let is_old = |before: HolderRecord| match before.withdrawn {
            Some(_) => before.signed_at >= signed_at,
            None => before.signed_at > signed_at,
        };
        if before.is_some_and(is_old) {
            return TakenBack::Nothing;
        }
        let record = HolderRecord {
            next_seq: held.min(from),
            relay: true,
            at: now,
            signed_at,
            held: before.map_or(0, |before| before.held.max(held)),
            withdrawn: Some(reason),
        };
        self.feeds.or_default(device).insert(relay, record);
        if held > from {
            TakenBack::From(from)
        } else {
            TakenBack::Remembered
        }
    }

    fn get(&self, device: &DeviceId, peer: &PeerId) -> Option<&HolderRecord> {
        self.feeds.get(device)?.get(peer)
    }

    /// The relays that signed receipts which they did not take back.
    pub(crate) fn relays(&self) -> Set<PeerId> {
        let records = self.feeds.iter().flat_map(|(_, holders)| holders);
        let relays = records.filter(|(_, record)| record.relay && record.next_seq > 0);
        relays.map(|(peer, _)| *peer).collect()
    }

    pub(crate) fn restore_no_member(&mut self, relay: PeerId) {
        self.no_members.insert(relay);
    }

    /// Whether what a peer confirmed counts.
    fn counts(&self, peer: &PeerId, record: &HolderRecord) -> bool {
        !(record.relay && self.no_members.contains(peer))
    }

    /// The feeds that a relay signed receipts for and did not take back.
    fn held_by(&self, relay: PeerId) -> impl Iterator<Item = DeviceId> + '_ {
        let held = move |holders: &Map<PeerId, HolderRecord>| {
            let record = holders.get(&relay);
            record.is_some_and(|record| record.relay && record.next_seq > 0)
        };
        let feeds = self.feeds.iter().filter(move |(_, holders)| held(holders));
        feeds.map(|(device, _)| *device)
    }

    fn of(&self, device: &DeviceId, seq: u64) -> impl Iterator<Item = (PeerId, HolderRecord)> + '_ {
        self.all_of(device)
            .filter(move |(peer, record)| record.next_seq > seq && self.counts(peer, record))
    }

    fn all_of(&self, device: &DeviceId) -> impl Iterator<Item = (PeerId, HolderRecord)> + '_ {
        let holders = self.feeds.get(device).into_iter().flatten();
        holders.map(|(peer, record)| (*peer, *record))
    }

    /// How far any other peer held the feed at some time. It may still have what it said that it keeps no longer.
    pub(crate) fn reached(&self, device: &DeviceId) -> u64 {
        let held = self
            .all_of(device)
            .map(|(_, record)| record.held.max(record.next_seq));
        held.max().unwrap_or(0)
    }

    /// How far the feed is held by any other peer, and by any relay.
    pub(crate) fn reach(&self, device: &DeviceId) -> (u64, u64) {
        let furthest = |relays: bool| {
            let records = self.of(device, 0).filter(|(_, record)| record.relay || !relays);
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
    /// When it signed that, by its clock; 0 if it did not sign.
    pub(crate) signed_at: Timestamp,
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

    /// Who holds an own entry, and then which relays keep it no longer.
    pub(crate) fn holder_views(&self, device: &DeviceId, seq: u64) -> Vec<HolderView> {
        let view = |(peer, record): (PeerId, HolderRecord), withdrawn: Option<Reason>| HolderView {
            peer,
            relay: record.relay,
            at: record.at,
            withdrawn,
        };
        let holders = self.holders.of(device, seq).map(|holder| view(holder, None));
        let others = self.holders.all_of(device);
        let left = others.filter_map(|holder| {
            let (peer, record) = holder;
            let is_no_member = record.next_seq > seq && !self.holders.counts(&peer, &record);
            let reason = match is_no_member {
                true => Some(Reason::NO_MEMBER),
                false => record
                    .withdrawn
                    .filter(|_| record.next_seq <= seq && record.held > seq),
            };
            Some(view(holder, Some(reason?)))
        });
        holders.chain(left).collect()
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
        let reach = self.holders.reached(device);
        self.holders.clamp(ctx, *device, next_seq);
        (reach > next_seq).then_some(reach)
    }

    /// A peer confirmed to hold an own feed. Returns from where on more peers, or fewer, are known to hold it than before. What a peer holds
    /// of another continuation of this device's feed confirms nothing of what is here, and neither does what cannot be
    /// compared with it any more.
    pub(crate) fn confirm(&mut self, ctx: &mut Ctx, confirmed: Confirmed) -> Option<u64> {
        let Confirmed {
            peer,
            relay,
            device,
            next_seq,
            head,
            signed_at,
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
            signed_at,
            held: next_seq,
            withdrawn: None,
        };
        let recorded = self.holders.record(device, peer, record);
        if recorded != Recorded::Nothing {
            self.write_holder(ctx, &device, &peer);
        }
        match recorded {
            Recorded::More(before) => Some(before),
            // From there on, fewer hold it.
            Recorded::Less => Some(next_seq),
            Recorded::Again | Recorded::Nothing => None,
        }
    }

    fn write_holder(&self, ctx: &mut Ctx, device: &DeviceId, peer: &PeerId) {
        if let Some(record) = self.holders.get(device, peer) {
            ctx.write(Op::put(Table::Holders, keys::holder(device, peer), record));
        }
    }

    /// A relay keeps a feed no longer; the withdrawal is verified. `believed`: receipts of this relay count. Returns from which number
    /// on an own feed has one holder less.
    pub(crate) fn take_back(&mut self, ctx: &mut Ctx, not_kept: NotKept, believed: bool) -> Option<u64> {
        let NotKept { relay, device, .. } = not_kept;
        let feed = self.feeds.get(&device)?;
        if !ctx.is_me(&feed.account) {
            return None;
        }
        let taken = self.holders.take_back(not_kept, believed, ctx.now.wall);
        if taken != TakenBack::Nothing {
            self.write_holder(ctx, &device, &relay);
        }
        match taken {
            TakenBack::From(seq) => Some(seq),
            TakenBack::Remembered | TakenBack::Nothing => None,
        }
    }

    /// Whether receipts of a relay count, since it is a member of the network or is none. The own feeds that have one
    /// holder less with it, or one more.
    pub(crate) fn set_member(&mut self, ctx: &mut Ctx, relay: PeerId, is_member: bool) -> Vec<DeviceId> {
        let key = [meta::NO_MEMBER, &relay.0].concat();
        let table = Table::Meta;
        let is_news = if is_member {
            let was_none = self.holders.no_members.remove(&relay);
            if was_none {
                ctx.write(Op::Delete { table, key });
            }
            was_none
        } else {
            let is_new = self.holders.no_members.insert(relay);
            if is_new {
                let value = Vec::new();
                ctx.write(Op::Put { table, key, value });
            }
            is_new
        };
        match is_news {
            true => self.holders.held_by(relay).collect(),
            false => Vec::new(),
        }
    }

    /// Forgets which relays are no members, but for these.
    pub(crate) fn retain_no_members(&mut self, ctx: &mut Ctx, relays: &Set<PeerId>) {
        let no_members = self.holders.no_members.iter();
        let gone: Vec<PeerId> = no_members
            .filter(|relay| !relays.contains(relay))
            .copied()
            .collect();
        for relay in gone {
            self.set_member(ctx, relay, true);
        }
    }

    /// A relay keeps nothing any longer of what it signed for until now. The own feeds that have one holder less.
    pub(crate) fn take_back_all(
        &mut self,
        ctx: &mut Ctx,
        relay: PeerId,
        signed_at: Timestamp,
        reason: Reason,
    ) -> Vec<DeviceId> {
        let held: Vec<DeviceId> = self.holders.held_by(relay).collect();
        let taken = held.into_iter().filter(|device| {
            let not_kept = NotKept {
                relay,
                device: *device,
                from: 0,
                signed_at,
                reason,
            };
            self.take_back(ctx, not_kept, false).is_some()
        });
        taken.collect()
    }
}

#[cfg(test)]
#[path = "durability_tests.rs"]
mod tests;
