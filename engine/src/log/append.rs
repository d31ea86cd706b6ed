//! Taking in entries of neighbours and backups: verify, store, then let the rest of the engine know; in this order on
//! every path.

use protocol::entry::EntryError;
use protocol::key::PublicKey;
use protocol::kinds::Certificate;
use protocol::kinds::Kind;
use protocol::messages::FeedHead;
use protocol::{AccountId, Body, DeviceId, Entry, EntryId, VerifiedEntry, codec};

use crate::ctx::Ctx;
use crate::facts::{Fact, Source};
use crate::io::LinkId;
use crate::log::Log;
use crate::log::keys;
use crate::store::{Op, Table};

/// Keys of feeds kept ready, 200 bytes each. Policy when full: all are forgotten.
const READY_KEYS_MAX: usize = 2_048;

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Not kept: void, or there is no room for its feed.
    Ignored,
    /// Held already.
    Held { device: DeviceId, seq: u64 },
    /// Entries before it are missing: how far the sender holds the feed at least.
    TooEarly(FeedHead),
    /// Too much waits for the disk: how far the sender holds the feed at least.
    NoRoom(FeedHead),
    /// It does not continue the feed held here: the sender holds another entry with the number `seq`. Its signature was
    /// checked.
    OtherBranch { device: DeviceId, seq: u64 },
    /// Appended to its feed.
    Appended {
        entry: VerifiedEntry,
        /// Encoded length in bytes.
        len: usize,
    },
}

impl Log {
    /// Takes in an entry; `link`: the neighbour it came from, `pushed`: it came along a tree. The caller records
    /// [`Fact::Appended`] once it has passed the entry on. An error is the neighbour's fault.
    pub(crate) fn take_in(
        &mut self,
        ctx: &mut Ctx,
        link: Option<LinkId>,
        entry: Entry,
        pushed: bool,
    ) -> Result<Taken, String> {
        let header = &entry.signed.header;
        let (device, seq) = (header.device, header.seq);
        let (next_seq, head, limit) = match self.feeds.get(&device) {
            Some(feed) if feed.account != header.account => {
                return Err("an entry that changes its feed's account".into());
            }
            Some(feed) => (feed.next_seq, feed.head, feed.limit()),
            None => (0, EntryId::default(), self.revoked_from(header.account, device)),
        };
        if seq >= limit {
            return Ok(Taken::Ignored);
        }
        if seq < next_seq {
            ctx.totals.duplicates += 1;
            let is_head = seq + 1 == next_seq && header.id() == head;
            if let Some(link) = link.filter(|_| !is_head) {
                self.suspect_fork(ctx, link, entry.signed, pushed);
            }
            return Ok(Taken::Held { device, seq });
        }
        let sender = || FeedHead {
            account: header.account,
            device,
            next_seq: seq + 1,
            head: header.id(),
        };
        if seq > next_seq {
            return Ok(Taken::TooEarly(sender()));
        }
        if header.prev != head {
            let Some(seq) = seq.checked_sub(1) else {
                return Err("an entry without a beginning".into());
            };
            self.verify(entry).map_err(|error| error.to_string())?;
            return Ok(Taken::OtherBranch { device, seq });
        }
        if link.is_some() && !ctx.has_room_to_write() {
            ctx.totals.refused += 1;
            return Ok(Taken::NoRoom(sender()));
        }
        let entry = self.verify(entry).map_err(|error| error.to_string())?;
        if seq == 0 && !self.begin_feed(ctx, &entry) {
            return Ok(Taken::Ignored);
        }
        let len = self.append(ctx, &entry);
        Ok(Taken::Appended { entry, len })
    }

    /// Takes in entries of a backup. What does not hold is left out and logged.
    pub(crate) fn restore(&mut self, ctx: &mut Ctx, entry: Entry) -> Result<(), String> {
        if let Taken::Appended { entry, .. } = self.take_in(ctx, None, entry, false)? {
            let from = Source::Backup;
            ctx.fact(Fact::Appended { entry, from });
        }
        Ok(())
    }

    pub(super) fn revoked_from(&self, account: AccountId, device: DeviceId) -> u64 {
        let revoked = self.revocations.get(&(account, device));
        revoked.map_or(u64::MAX, |revocation| revocation.next_seq)
    }

    /// Checks an entry. The keys of feeds of which entries come again and again are kept ready.
    fn verify(&mut self, entry: Entry) -> Result<VerifiedEntry, EntryError> {
        let device = entry.signed.header.device;
        if let Some(key) = self.ready_keys.get(&device) {
            return entry.verify_by(key);
        }
        let key = PublicKey::new(&device.0).map_err(|_| EntryError::Signature)?;
        let verified = entry.verify_by(&key)?;
        if self.ready_keys.len() >= READY_KEYS_MAX {
            self.ready_keys.clear();
        }
        self.ready_keys.insert(device, key);
        Ok(verified)
    }

    /// Begins a feed with its verified certificate. `false`: there is no room for it.
    fn begin_feed(&mut self, ctx: &mut Ctx, first: &VerifiedEntry) -> bool {
        let Ok(certificate) = codec::decode_extensible::<Certificate>(first.body()) else {
            return false;
        };
        let header = first.header();
        let fresh = self.feeds.devices(&header.account).is_empty();
        let begun = self.feeds.begin(
            header.device,
            header.account,
            certificate.name,
            certificate.since,
            self.feeds_max,
        );
        if begun.is_err() {
            ctx.totals.refused += 1;
            return false;
        }
        let revoked = self.revocations.get(&(header.account, header.device));
        let revoked = revoked.map(|revocation| revocation.next_seq);
        if let Some(feed) = self.feeds.get_mut(&header.device) {
            feed.revoked = revoked;
        }
        if fresh {
            ctx.fact(Fact::AccountSeen(header.account));
        }
        true
    }

    /// Appends a verified entry to its feed. How many bytes the entry is.
    pub(super) fn append(&mut self, ctx: &mut Ctx, entry: &VerifiedEntry) -> usize {
        let header = entry.header();
        let Some(number) = self.feeds.get(&header.device).map(|feed| feed.number) else {
            return 0;
        };
        debug_assert!(
            self.feeds
                .get(&header.device)
                .is_some_and(|feed| feed.next_seq == header.seq)
        );
        let value = codec::encode(entry.entry());
        let len = value.len();
        ctx.write(Op::Put {
            table: Table::Entries,
            key: keys::entry(number, header.seq),
            value,
        });
        self.feeds.advance(header, entry.id());
        self.touch(header.device);
        ctx.changed.me |= header.kind == Kind::CERTIFICATE && ctx.is_me(&header.account);
        if header.kind == Kind::REVOCATION {
            self.apply_revocation(ctx, entry);
        }
        len
    }

    /// A revocation counts at once: what comes after it must not get in.
    fn apply_revocation(&mut self, ctx: &mut Ctx, entry: &VerifiedEntry) {
        let account = entry.header().account;
        // Decoding checks the signature of the account's key: a device alone cannot revoke another.
        if let Some(Body::Revocation(revocation)) = Body::decode(entry.header().kind, entry.body())
            && revocation.account == account
        {
            self.revoke(ctx, &revocation);
        }
    }
}
