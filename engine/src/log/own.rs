//! What this device writes into its own feed.
//!
//! Invariant: an own entry is signed once and handed to the store in the same input; neighbours learn of it only when
//! it is durable ([`crate::log::feeds::Feed::shared`]).

use std::time::Duration;

use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::Kind;
use protocol::{Body, DeviceId, Entry, EntryId, EntryRef, Timestamp, VerifiedEntry, codec};

use crate::api::{Error, StoreState};
use crate::ctx::Ctx;
use crate::facts::{Fact, Source};
use crate::log::Log;
use crate::log::durability::OWN_POSTS_MAX;
use crate::log::keys;
use crate::store::{Read, Row, Table};

/// How far own timestamps may run ahead of the wall clock to keep posts in order.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(5);

impl Log {
    /// Whether this device's feed can be written.
    pub(crate) fn may_write(&self, ctx: &Ctx) -> Result<(), Error> {
        let device = ctx.device().ok_or(Error::NoAccount)?;
        match self.feeds.get(&device) {
            Some(feed) if feed.forked.is_some() => Err(Error::Forked),
            Some(feed) if feed.revoked.is_some() => Err(Error::Revoked),
            Some(_) if ctx.store_state == StoreState::Full => Err(Error::Store(StoreState::Full)),
            Some(_) => Ok(()),
            None => Err(Error::NoAccount),
        }
    }

    /// Begins this device's feed with its certificate.
    pub(crate) fn begin_own(&mut self, ctx: &mut Ctx, certificate: Certificate) {
        let (device, account) = (certificate.device, certificate.account);
        // There is always room for one's own feed.
        let begun = self.feeds.begin(
            device,
            account,
            certificate.name.clone(),
            certificate.since,
            usize::MAX,
        );
        debug_assert!(begun.is_ok(), "a fresh device of an account that is not held yet");
        if let Some(feed) = self.feeds.get_mut(&device) {
            feed.own = true;
        }
        self.append_own(ctx, &Body::Certificate(certificate));
    }

    /// Signs and stores an entry of this device. `None`: there is no account here.
    pub(crate) fn append_own(&mut self, ctx: &mut Ctx, body: &Body) -> Option<VerifiedEntry> {
        let (account, device) = (ctx.me()?, ctx.device()?);
        let feed = self.feeds.get(&device)?;
        let lamports = self.feeds.feeds_of(&account).map(|(_, feed)| feed.lamport);
        let at = Position {
            seq: feed.next_seq,
            prev: feed.head,
            lamport: lamports.max().unwrap_or(0).saturating_add(1),
        };
        let timestamp = self.next_timestamp(ctx.now.wall);
        let key = &ctx.local.as_ref()?.key;
        let entry = VerifiedEntry::create(key, at, account, timestamp, body);
        self.last_timestamp = timestamp;
        let len = self.append(ctx, &entry);
        ctx.write_strictly();
        self.holders.record_own(device, at.seq, entry.id());
        self.unsaved.push(entry.clone(), len);
        ctx.fact(Fact::Appended {
            entry: entry.clone(),
            from: Source::Own,
        });
        Some(entry)
    }

    /// The wall clock, but later than the last own entry, so that posts written at once keep their order. A clock that
    /// was put back by more than that is believed.
    fn next_timestamp(&self, wall: Timestamp) -> Timestamp {
        let next = self.last_timestamp.plus(Duration::from_millis(1));
        if next > wall && next <= wall.plus(CLOCK_STEP_MAX) {
            next
        } else {
            wall
        }
    }

    /// The next own entry that came to be on disk, and its encoded length in bytes.
    pub(crate) fn next_saved(&mut self, device: &DeviceId) -> Option<(VerifiedEntry, usize)> {
        let durable = self.feeds.get(device)?.shared().0;
        self.unsaved.pop_saved(device, durable)
    }

    /// Neighbours learn of no more than these first entries of the own feed; `None`: of all that is durable.
    pub(crate) fn withhold_own(&mut self, device: &DeviceId, beyond: Option<(u64, EntryId)>) {
        if let Some(feed) = self.feeds.get_mut(device) {
            feed.withheld = beyond;
        }
    }

    /// Takes own entries back that no other peer has confirmed, `posts` of them posts: the feed ends with its first
    /// `next_seq` entries, of which `head` is the last.
    pub(crate) fn cut_own(&mut self, device: &DeviceId, next_seq: u64, head: EntryId, posts: u64) {
        self.feeds.cut(device, next_seq, head);
        if let Some(feed) = self.feeds.get_mut(device) {
            feed.posts = feed.posts.saturating_sub(posts);
            feed.withheld = None;
        }
        self.holders.cut_own(*device, next_seq);
        self.unsaved.clear();
        self.touch(*device);
    }

    /// This device leaves its feed, for another one of its own.
    pub(crate) fn leave_own(&mut self, ctx: &Ctx) {
        let device = ctx.device();
        if let Some(feed) = device.and_then(|device| self.feeds.get_mut(&device)) {
            feed.own = false;
        }
        self.holders.forget_own();
        self.unsaved.clear();
    }

    /// Whether an entry is one of this device that no other peer has confirmed to hold, so that it can be taken back.
    pub(crate) fn is_unconfirmed(&self, ctx: &Ctx, device: &DeviceId, seq: u64) -> bool {
        ctx.device().as_ref() == Some(device) && self.holders.reached(device) <= seq
    }

    /// The read of the newest own entries, at the start. `None`: this device has written nothing.
    pub(crate) fn own_entries_read(&self, ctx: &Ctx) -> Option<Read> {
        let feed = self.feeds.get(&ctx.device()?)?;
        Some(Read::Range {
            table: Table::Entries,
            start: keys::entry(feed.number, 0),
            end: keys::entry(feed.number, feed.next_seq),
            limit: OWN_POSTS_MAX,
            bytes_max: usize::MAX,
            reverse: true,
        })
    }

    /// The newest own entries, read at the start.
    pub(crate) fn restore_own_entries(&mut self, rows: Vec<Row>) {
        for (_, value) in rows {
            if let Ok(entry) = codec::decode::<Entry>(&value) {
                let header = &entry.signed.header;
                self.last_timestamp = self.last_timestamp.max(header.timestamp);
                let (id, account) = (header.id(), header.account);
                self.holders.record_own(header.device, header.seq, id);
                if header.kind == Kind::POST {
                    let post = EntryRef { account, id };
                    self.holders.record_own_post(header.device, header.seq, post);
                }
            }
        }
    }
}
