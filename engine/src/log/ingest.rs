//! Taking entries in: verify, store, fold into views, pass on — in this order, on every path.
//!
//! Feeds are taken in strictly in order. What comes too early is fetched as a range; what is held already is dropped and
//! costs no signature check; what contradicts what is held is proof of a fork: both headers are kept and passed on, and the
//! feed is frozen there for everybody.

use gossip::broadcast::Route;
use protocol::entry::{EntryError, Kind};
use protocol::identity::Certificate;
use protocol::key::PublicKey;
use protocol::message::{FeedHead, ForkProof, Message};
use protocol::{AccountId, DeviceId, Entry, SignedHeader, VerifiedEntry, codec};

use crate::api::Event;
use crate::io::{LinkId, Log, Output};
use crate::log::feeds::NoRoom;
use crate::log::keys;
use crate::store::{Op, Read, Rows, Table};
use crate::{Engine, Waiting};

/// Comparisons of old entries with stored ones under way at once; more suspicions are ignored until one is settled.
const FORK_CHECKS_MAX: usize = 16;

/// The name of no link.
const NO_LINK: LinkId = LinkId(0);

/// Keys of feeds kept ready, 200 bytes each; when full, all are forgotten.
const READY_KEYS_MAX: usize = 2_048;

impl Engine {
    /// Takes in an entry from a neighbour; `pushed` says along which tree it was pushed, if it was. An error is the neighbour's fault.
    pub(crate) fn ingest(&mut self, link: LinkId, entry: Entry, pushed: Option<Route>) -> Result<(), String> {
        let header = &entry.signed.header;
        // What an operator restores is taken in whoever keeps it: the relays that should will fetch it.
        if link != NO_LINK && !self.wants(&header.account) {
            return Ok(());
        }
        if self.cache.is_dropping(&header.account) {
            return Err("an entry of a feed whose rows are being deleted: restore it again".into());
        }
        let (device, seq) = (header.device, header.seq);
        let (next_seq, head, limit) = match self.feeds.get(&device) {
            Some(feed) if feed.account != header.account => {
                return Err("an entry that changes its feed's account".into());
            }
            Some(feed) => (feed.next_seq, feed.head, feed.limit()),
            None => (
                0,
                protocol::EntryId::default(),
                self.revocations
                    .get(&(header.account, device))
                    .copied()
                    .unwrap_or(u64::MAX),
            ),
        };
        if seq >= limit {
            return Ok(());
        }
        if seq < next_seq {
            self.duplicates += 1;
            let same_head = header.id() == head;
            if let Some(route) = pushed {
                self.on_duplicate(link, device, seq, route.tree);
            }
            if !same_head || seq + 1 != next_seq {
                self.suspect_fork(link, entry.signed, pushed.is_some());
            }
            return Ok(());
        }
        if seq > next_seq {
            // The head it builds on is unknown; the range that ends with it is fetched.
            let ahead = FeedHead {
                account: header.account,
                device,
                next_seq: seq + 1,
                head: header.id(),
            };
            self.note_head(link, ahead);
            self.pump_fetches(link);
            return Ok(());
        }
        if header.prev != head {
            if seq > 0 {
                self.probe_fork(link, device, seq - 1);
                return Ok(());
            }
            return Err("an entry without a beginning".into());
        }
        let verified = self.verify(entry).map_err(|error| error.to_string())?;
        if seq == 0 && !self.begin_feed(&verified) {
            return Ok(());
        }
        if self.is_relay() {
            let source = self.up(link).filter(|up| up.relay).map(|_| link);
            if let Some(feed) = self.feeds.get_mut(&device) {
                feed.source = source;
            }
            if source.is_none() && link != NO_LINK {
                self.note_written(device, seq + 1);
            }
        }
        let len = self.append(&verified);
        self.note_has(link, &device, seq + 1);
        self.note_spoke(link, verified.header().account);
        match pushed {
            Some(route) => self.spread(&verified, len, Some(link), route),
            None => self.announce(&verified, link),
        }
        Ok(())
    }

    /// Takes in entries from a backup. What does not hold is left out.
    pub(crate) fn restore_entries(&mut self, entries: Vec<Entry>) {
        if !self.is_relay() {
            return;
        }
        for entry in entries {
            if let Err(reason) = self.ingest(NO_LINK, entry, None) {
                self.refused += 1;
                self.emit(Output::Log(Log::Refused {
                    link: NO_LINK,
                    peer: None,
                    reason,
                }));
            }
        }
    }

    /// Checks an entry. The keys of feeds that come along again and again are kept ready.
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
    fn begin_feed(&mut self, first: &VerifiedEntry) -> bool {
        let Ok(certificate) = codec::decode_extensible::<Certificate>(first.body()) else {
            return false;
        };
        let header = first.header();
        let fresh_account = self.feeds.devices(&header.account).is_empty();
        // Feeds this person asked for are never refused for want of room.
        let feeds_max = if self.is_relay() {
            self.config.feeds_max
        } else {
            usize::MAX
        };
        match self.feeds.begin(
            header.device,
            header.account,
            certificate.name,
            certificate.since,
            feeds_max,
        ) {
            Ok(()) => {}
            Err(NoRoom::Feeds | NoRoom::Devices) => {
                self.refused += 1;
                return false;
            }
        }
        if let (Some(next_seq), Some(feed)) = (
            self.revocations.get(&(header.account, header.device)),
            self.feeds.get_mut(&header.device),
        ) {
            feed.revoked = Some(*next_seq);
        }
        if fresh_account {
            self.match_new_account(header.account);
            if self.is_relay() {
                self.cache_new_account(header.account);
            }
        }
        true
    }

    /// Appends a verified entry to its feed: store, then views. How many bytes the entry is.
    pub(crate) fn append(&mut self, verified: &VerifiedEntry) -> usize {
        let header = verified.header();
        let Some(number) = self.feeds.get(&header.device).map(|feed| feed.number) else {
            return 0;
        };
        debug_assert!(
            self.feeds
                .get(&header.device)
                .is_some_and(|feed| feed.next_seq == header.seq)
        );
        let value = codec::encode(verified.entry());
        let len = value.len();
        self.write(Op::Put {
            table: Table::Entries,
            key: keys::entry(number, header.seq),
            value,
        });
        self.feeds.advance(header, verified.id());
        self.touch_feed(header.device);
        if header.kind == Kind::CERTIFICATE && self.me() == Some(header.account) {
            self.me_changed = true;
        }
        self.fold(verified, number);
        len
    }

    /// An entry with a number that is held may be another one: compare with what is stored.
    fn suspect_fork(&mut self, link: LinkId, suspect: SignedHeader, pushed: bool) {
        let Some(feed) = self.feeds.get(&suspect.header.device) else {
            return;
        };
        if feed.forked.is_some_and(|seq| seq <= suspect.header.seq) {
            return;
        }
        let is_head = suspect.header.seq + 1 == feed.next_seq;
        let checks = self
            .loads
            .values()
            .filter(|waiting| matches!(waiting, Waiting::ForkCheck { .. }))
            .count();
        if checks >= FORK_CHECKS_MAX && !(is_head && pushed) {
            return;
        }
        let read = Read::Get {
            table: Table::Entries,
            key: keys::entry(feed.number, suspect.header.seq),
        };
        self.load(
            vec![read],
            Waiting::ForkCheck {
                link,
                suspect: Box::new(suspect),
            },
        );
    }

    pub(crate) fn on_fork_check_rows(&mut self, link: LinkId, suspect: &SignedHeader, rows: Rows) {
        let Some((_, value)) = rows.into_iter().flatten().next() else {
            return;
        };
        let Ok(held) = codec::decode::<Entry>(&value) else {
            return self.emit(Output::Log(Log::Corrupt {
                table: Table::Entries,
            }));
        };
        if held.signed.header.id() == suspect.header.id() {
            return;
        }
        match suspect.verify() {
            Ok(_) => self.on_fork(ForkProof {
                one: held.signed,
                other: suspect.clone(),
            }),
            Err(error) => self.misbehaved(link, &error.to_string()),
        }
    }

    /// A neighbour claims that a feed is forked.
    pub(crate) fn on_fork_proof(&mut self, link: LinkId, proof: ForkProof) {
        let (one, other) = (&proof.one.header, &proof.other.header);
        if !self.wants(&one.account) {
            return;
        }
        let same = one.device == other.device && one.account == other.account && one.seq == other.seq;
        if !same || one.id() == other.id() {
            return self.misbehaved(link, "a fork proof that proves nothing");
        }
        if self
            .forks
            .get(&one.device)
            .is_some_and(|known| known.one.header.seq <= one.seq)
        {
            return;
        }
        if proof.one.verify().is_err() || proof.other.verify().is_err() {
            return self.misbehaved(link, "a fork proof with a wrong signature");
        }
        if self
            .feeds
            .get(&one.device)
            .is_none_or(|feed| feed.account != one.account)
        {
            // Nothing of the feed is held: the proof would be a row that costs its sender nothing. It comes again.
            return;
        }
        self.on_fork(proof);
    }

    /// A proven fork: keep it, freeze the feed, pass it on, show it.
    fn on_fork(&mut self, proof: ForkProof) {
        let (device, account, seq) = (
            proof.one.header.device,
            proof.one.header.account,
            proof.one.header.seq,
        );
        let Some(feed) = self.feeds.get_mut(&device) else {
            return;
        };
        if feed.forked.is_some_and(|known| known <= seq) {
            return;
        }
        feed.forked = Some(seq);
        self.write(Op::put(Table::Forks, device.0.to_vec(), &proof));
        self.emit(Output::Log(Log::Forked { device, seq }));
        self.event(Event::Forked { account, device });
        self.changed_profiles.insert(account);
        self.me_changed |= self.me() == Some(account);
        for link in self.links_wanting(&account) {
            self.send(link, &Message::ForkProof(proof.clone()));
        }
        self.forks.insert(device, proof);
        self.begin_refold(account);
    }

    /// Tells a neighbour of the forks of an account.
    pub(crate) fn send_forks(&mut self, link: LinkId, account: &AccountId) {
        let proofs: Vec<_> = self
            .feeds
            .devices(account)
            .iter()
            .filter_map(|device| self.forks.get(device))
            .cloned()
            .collect();
        for proof in proofs {
            self.send(link, &Message::ForkProof(proof));
        }
    }

    /// The account withdrew one of its devices: what came after is void. A revocation concerns the signer's own devices
    /// alone, whoever else's key it names.
    pub(crate) fn revoke(&mut self, account: AccountId, device: DeviceId, next_seq: u64) {
        let of = (account, device);
        if self.revocations.get(&of).is_some_and(|known| *known <= next_seq) {
            return;
        }
        self.revocations.insert(of, next_seq);
        if let Some(feed) = self.feeds.get_mut(&device).filter(|feed| feed.account == account) {
            feed.revoked = Some(next_seq);
            if feed.next_seq > next_seq {
                self.begin_refold(account);
            }
        }
        self.me_changed |= self.me() == Some(account);
        self.changed_profiles.insert(account);
    }
}
