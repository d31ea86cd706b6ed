//! The feeds held: what is needed of each of them at every moment, in memory.
//!
//! Invariant: the entries below `next_seq` of a feed were verified, link to each other by `prev`, and are stored or in
//! a batch on its way to the store.

use core::ops::Bound;

use ordered::Map;
use protocol::entry::Header;
use protocol::limits::DEVICES_PER_ACCOUNT_MAX;
use protocol::{AccountId, DeviceId, EntryId, Timestamp};

use crate::io::LinkId;
use crate::log::keys::FeedNumber;
use crate::log::records::FeedRecord;

/// One device's log, as far as it is held.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) number: FeedNumber,
    pub(crate) account: AccountId,
    pub(crate) next_seq: u64,
    pub(crate) head: EntryId,
    /// Entries below this are on disk.
    pub(crate) durable: u64,
    /// The last of those.
    pub(crate) durable_head: EntryId,
    pub(crate) lamport: u64,
    pub(crate) name: String,
    pub(crate) since: Timestamp,
    /// Posts among its entries that are not void.
    pub(crate) posts: u64,
    /// When the last of those entries was signed, by its author's clock.
    pub(crate) signed_at: Timestamp,
    /// The relay its last entry came from, if it came from one.
    pub(crate) source: Option<LinkId>,
    /// Two entries carry this number.
    pub(crate) forked: Option<u64>,
    /// The account revoked the device from this number on.
    pub(crate) revoked: Option<u64>,
    /// Where the feed ends if void entries of it are held: their first number, and the id of the entry before.
    pub(crate) end: Option<(u64, EntryId)>,
    /// This device writes it.
    pub(crate) own: bool,
    /// Neighbours learn of no more than this of the own feed: until it is known to be complete here.
    pub(crate) withheld: Option<(u64, EntryId)>,
}

impl Feed {
    /// How far neighbours may learn of the feed: of no void entries, whichever came first, the entry or what made it void.
    /// An own entry leaves this device only once it is on its disk: after a crash this device would otherwise sign another
    /// entry with the same number.
    pub(crate) fn shared(&self) -> (u64, EntryId) {
        let held = match self.withheld {
            _ if !self.own => (self.next_seq, self.head),
            Some(withheld) if withheld.0 < self.durable => withheld,
            _ => (self.durable, self.durable_head),
        };
        self.ended(held)
    }

    /// How far the feed is on disk, without void entries.
    pub(crate) fn saved(&self) -> (u64, EntryId) {
        self.ended((self.durable, self.durable_head))
    }

    /// As far as the feed goes at most. Nothing, until it is read which entry is the last.
    fn ended(&self, held: (u64, EntryId)) -> (u64, EntryId) {
        let limit = self.limit();
        match held.0 > limit {
            true => self.end.filter(|end| end.0 == limit).unwrap_or_default(),
            false => held,
        }
    }

    /// Entries held that are not void.
    pub(crate) fn valid_len(&self) -> u64 {
        self.next_seq.min(self.limit())
    }

    /// Entries from here on are void: not shown, and not accepted.
    pub(crate) fn limit(&self) -> u64 {
        self.forked
            .unwrap_or(u64::MAX)
            .min(self.revoked.unwrap_or(u64::MAX))
    }

    pub(crate) fn record(&self) -> FeedRecord {
        FeedRecord {
            number: self.number,
            account: self.account,
            next_seq: self.next_seq,
            head: self.head,
            lamport: self.lamport,
            name: self.name.clone(),
            since: self.since,
            posts: self.posts,
            signed_at: self.signed_at,
        }
    }
}

/// Why a feed cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Feeds,
    Devices,
}

/// All feeds held, by device, and the accounts they belong to.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    feeds: Map<DeviceId, Feed>,
    accounts: Map<AccountId, Vec<DeviceId>>,
    numbers: Map<FeedNumber, DeviceId>,
    /// The highest number given so far: none is given twice, since rows of a dropped feed may still be there.
    last_number: FeedNumber,
    entries: u64,
}

impl Feeds {
    pub(crate) fn get(&self, device: &DeviceId) -> Option<&Feed> {
        self.feeds.get(device)
    }

    /// For everything but the log's own position; that moves by [`Self::advance`].
    pub(crate) fn get_mut(&mut self, device: &DeviceId) -> Option<&mut Feed> {
        self.feeds.get_mut(device)
    }

    /// The accounts of which at least one feed is held.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.accounts.keys().copied()
    }

    /// The devices of an account whose feeds are held, the first one seen first.
    pub(crate) fn devices(&self, account: &AccountId) -> &[DeviceId] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn feeds_of(&self, account: &AccountId) -> impl Iterator<Item = (DeviceId, &Feed)> + '_ {
        self.devices(account)
            .iter()
            .filter_map(|device| Some((*device, self.feeds.get(device)?)))
    }

    pub(crate) fn device(&self, number: FeedNumber) -> Option<DeviceId> {
        self.numbers.get(&number).copied()
    }

    pub(crate) fn by_number(&self, number: FeedNumber) -> Option<(DeviceId, &Feed)> {
        let device = self.device(number)?;
        Some((device, self.feeds.get(&device)?))
    }

    pub(crate) fn len(&self) -> usize {
        self.feeds.len()
    }

    /// The feeds in the order of their devices, from the one after `after` on.
    pub(crate) fn after(&self, after: Option<DeviceId>) -> impl Iterator<Item = (&DeviceId, &Feed)> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.feeds.range((from, Bound::Unbounded))
    }

    /// The accounts in order, from the one after `after` on.
    pub(crate) fn accounts_after(&self, after: Option<AccountId>) -> impl Iterator<Item = &AccountId> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts
            .range((from, Bound::Unbounded))
            .map(|(account, _)| account)
    }

    pub(crate) fn accounts_len(&self) -> usize {
        self.accounts.len()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Begins a feed. The caller has verified its certificate.
    pub(crate) fn begin(
        &mut self,
        device: DeviceId,
        account: AccountId,
        name: String,
        since: Timestamp,
        feeds_max: usize,
    ) -> Result<(), NoRoom> {
        if self.feeds.len() >= feeds_max {
            return Err(NoRoom::Feeds);
        }
        let devices = self.accounts.get(&account).map_or(0, Vec::len);
        if devices >= DEVICES_PER_ACCOUNT_MAX {
            return Err(NoRoom::Devices);
        }
        self.accounts.or_default(account).push(device);
        self.last_number += 1;
        let number = self.last_number;
        self.numbers.insert(number, device);
        let feed = Feed {
            number,
            account,
            next_seq: 0,
            head: EntryId::default(),
            durable: 0,
            durable_head: EntryId::default(),
            lamport: 0,
            name,
            since,
            posts: 0,
            signed_at: since,
            source: None,
            forked: None,
            revoked: None,
            end: None,
            own: false,
            withheld: None,
        };
        self.feeds.insert(device, feed);
        Ok(())
    }

    /// Puts a feed back that was stored.
    pub(crate) fn restore(&mut self, device: DeviceId, record: FeedRecord) {
        self.accounts.or_default(record.account).push(device);
        self.numbers.insert(record.number, device);
        self.reserve(record.number);
        self.entries += record.next_seq;
        let feed = Feed {
            number: record.number,
            account: record.account,
            next_seq: record.next_seq,
            head: record.head,
            durable: record.next_seq,
            durable_head: record.head,
            lamport: record.lamport,
            name: record.name,
            since: record.since,
            posts: record.posts,
            signed_at: record.signed_at,
            source: None,
            forked: None,
            revoked: None,
            end: None,
            own: false,
            withheld: None,
        };
        self.feeds.insert(device, feed);
    }

    /// A number that is not to be given again.
    pub(crate) fn reserve(&mut self, number: FeedNumber) {
        self.last_number = self.last_number.max(number);
    }

    /// Cuts a feed back to its first `next_seq` entries, of which `head` is the last.
    pub(crate) fn cut(&mut self, device: &DeviceId, next_seq: u64, head: EntryId) {
        if let Some(feed) = self.feeds.get_mut(device) {
            self.entries -= feed.next_seq.saturating_sub(next_seq);
            feed.next_seq = next_seq;
            feed.head = head;
            if feed.durable > next_seq {
                (feed.durable, feed.durable_head) = (next_seq, head);
            }
        }
    }

    /// Takes an account's feeds out.
    pub(crate) fn forget(&mut self, account: &AccountId) -> Vec<(DeviceId, Feed)> {
        let devices = self.accounts.remove(account);
        let feeds = devices.unwrap_or_default().into_iter();
        let feeds: Vec<_> = feeds
            .filter_map(|device| Some((device, self.feeds.remove(&device)?)))
            .collect();
        for (_, feed) in &feeds {
            self.numbers.remove(&feed.number);
            self.entries -= feed.next_seq;
        }
        feeds
    }

    /// A verified entry was appended.
    pub(crate) fn advance(&mut self, header: &Header, id: EntryId) {
        if let Some(feed) = self.feeds.get_mut(&header.device) {
            feed.next_seq += 1;
            feed.head = id;
            feed.lamport = feed.lamport.max(header.lamport);
            feed.signed_at = header.timestamp;
            self.entries += 1;
        }
    }
}
