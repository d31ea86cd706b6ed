//! The log: verified, append-only feeds, one a device. Entries come in by [`Log::take_in`] from neighbours and by
//! [`Log::append_own`] from this device; both verify, store and record [`Fact::Appended`].
//!
//! Feeds are taken in strictly in order. An entry that comes too early is not kept: the range before it is fetched.
//! One that is held already is dropped and costs no signature check. One that contradicts what is held proves a fork
//! ([`forks`]).

pub(crate) mod append;
pub(crate) mod durability;
mod ends;
pub(crate) mod feeds;
pub(crate) mod forks;
pub(crate) mod keys;
pub(crate) mod own;
pub(crate) mod records;
mod unsaved;

#[cfg(test)]
mod tests;

use core::ops::Bound;

use ordered::{Map, Set};
use protocol::key::PublicKey;
use protocol::kinds::Revocation;
use protocol::messages::ForkProof;
use protocol::{AccountId, DeviceId, EntryId, SignedHeader, Timestamp};

use crate::ctx::{Ctx, Reached};
use crate::facts::Fact;
use crate::io::LinkId;
use crate::store::{LoadId, Op, Table};

use durability::Holders;
use ends::Ends;
use feeds::Feeds;
use forks::RecentForks;
use unsaved::Unsaved;

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) feeds: Feeds,
    pub(crate) forks: Map<DeviceId, ForkProof>,
    /// Of each device that its account revoked, the revocation that counts.
    pub(crate) revocations: Map<(AccountId, DeviceId), Revocation>,
    pub(crate) holders: Holders,
    /// Public keys of feeds of which entries came lately, decompressed.
    ready_keys: Map<DeviceId, PublicKey>,
    /// Comparisons of suspicious entries with stored ones.
    fork_checks: Map<LoadId, (LinkId, Box<SignedHeader>)>,
    ends: Ends,
    recent_forks: RecentForks,
    /// Own entries on their way to the disk.
    unsaved: Unsaved,
    /// Feeds whose record is written with the batch.
    touched: Set<DeviceId>,
    /// Of the newest own entry.
    last_timestamp: Timestamp,
    /// Feeds held at most. Policy when full: an entry that would begin another one is dropped.
    feeds_max: usize,
}

/// A feed of which more became durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advanced {
    pub(crate) device: DeviceId,
    /// How far it was durable before.
    pub(crate) before: u64,
}

impl Log {
    pub(crate) fn new(feeds_max: usize) -> Self {
        Self {
            feeds: Feeds::default(),
            forks: Map::new(),
            revocations: Map::new(),
            holders: Holders::default(),
            ready_keys: Map::new(),
            fork_checks: Map::new(),
            ends: Ends::default(),
            recent_forks: RecentForks::default(),
            unsaved: Unsaved::default(),
            touched: Set::new(),
            last_timestamp: Timestamp(0),
            feeds_max,
        }
    }

    /// The feed changed: its record is written with the batch.
    pub(crate) fn touch(&mut self, device: DeviceId) {
        self.touched.insert(device);
    }

    /// Ends an input: writes the records of the feeds that changed.
    pub(crate) fn flush(&mut self, ctx: &mut Ctx) -> Vec<Reached> {
        let mut reached = Vec::new();
        for device in core::mem::take(&mut self.touched) {
            if let Some(feed) = self.feeds.get(&device) {
                ctx.write(Op::put(Table::Feeds, device.0.to_vec(), &feed.record()));
                reached.push(Reached {
                    device,
                    next_seq: feed.next_seq,
                    head: feed.head,
                });
            }
        }
        reached
    }

    /// Batches are durable: which feeds they carry further. Each feed is listed once, however many batches carry it.
    pub(crate) fn on_persisted(&mut self, feeds: &[Reached]) -> Vec<Advanced> {
        let mut advanced = Map::new();
        for reached in feeds {
            if let Some(feed) = self.feeds.get_mut(&reached.device)
                && feed.durable < reached.next_seq
                && reached.next_seq <= feed.next_seq
            {
                if !advanced.contains_key(&reached.device) {
                    advanced.insert(reached.device, feed.durable);
                }
                (feed.durable, feed.durable_head) = (reached.next_seq, reached.head);
            }
        }
        let advanced = advanced.into_iter();
        advanced
            .map(|(device, before)| Advanced { device, before })
            .collect()
    }

    /// Applies forks and revocations to the feeds read from the store.
    pub(crate) fn restore_limits(&mut self, ctx: &mut Ctx) {
        let own = ctx.device();
        for (device, proof) in &self.forks {
            if let Some(feed) = self.feeds.get_mut(device) {
                feed.forked = Some(proof.one.header.seq);
            }
        }
        for ((account, device), revocation) in &self.revocations {
            if let Some(feed) = self.feeds.get_mut(device).filter(|feed| feed.account == *account) {
                feed.revoked = Some(revocation.next_seq);
            }
        }
        if let Some(feed) = own.and_then(|own| self.feeds.get_mut(&own)) {
            feed.own = true;
        }
        let limited: Set<_> = self
            .forks
            .keys()
            .chain(self.revocations.keys().map(|(_, device)| device))
            .copied()
            .collect();
        for device in limited {
            self.find_end(ctx, device);
        }
    }

    /// An account revoked one of its devices: what came after is void. A revocation concerns the signer's own devices
    /// alone, whichever key it names. Of several for one device the lowest number counts, also after a restart.
    pub(crate) fn revoke(&mut self, ctx: &mut Ctx, revocation: &Revocation) {
        let Revocation {
            account,
            device,
            next_seq,
            ..
        } = *revocation;
        let of = (account, device);
        if self
            .revocations
            .get(&of)
            .is_some_and(|known| known.next_seq <= next_seq)
        {
            return;
        }
        self.revocations.insert(of, revocation.clone());
        let key = [account.0, device.0].concat();
        ctx.write(Op::put(Table::Revocations, key, revocation));
        if let Some(feed) = self.feeds.get_mut(&device).filter(|feed| feed.account == account) {
            feed.revoked = Some(next_seq);
            if feed.next_seq > next_seq {
                ctx.fact(Fact::Voided(account));
            }
            self.find_end(ctx, device);
        }
        ctx.changed.me |= ctx.is_me(&account);
        ctx.changed.profiles.insert(account);
    }

    /// The devices of forked feeds in order, from the one after `after` on.
    pub(crate) fn forked_after(&self, after: Option<DeviceId>) -> impl Iterator<Item = &DeviceId> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.forks
            .range((from, Bound::Unbounded))
            .map(|(device, _)| device)
    }

    /// A feed's number and head as they are on disk, without void entries.
    pub(crate) fn durable(&self, device: &DeviceId) -> Option<(AccountId, u64, EntryId)> {
        let feed = self.feeds.get(device)?;
        let (next_seq, head) = feed.saved();
        (next_seq > 0).then_some((feed.account, next_seq, head))
    }

    /// The entries of a feed from this number on are void, as far as is known here.
    pub(crate) fn limit_of(&self, account: AccountId, device: &DeviceId) -> u64 {
        match self.feeds.get(device) {
            Some(feed) => feed.limit(),
            None => self.revoked_from(account, *device),
        }
    }
}
