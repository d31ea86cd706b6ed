//! Forks: two entries of one feed with the same number prove that its key is misused. Both headers are kept and passed
//! on, and the feed is frozen there on every peer.

use std::time::Duration;

use ordered::Map;
use protocol::messages::ForkProof;
use protocol::{DeviceId, Entry, Instant, SignedHeader, codec};

use crate::api::Event;
use crate::ctx::{Ctx, LoadOwner};
use crate::facts::Fact;
use crate::io::{LinkId, Log as Line};
use crate::log::Log;
use crate::log::keys;
use crate::store::{LoadId, Op, Read, Rows, Table};

/// Comparisons with stored entries under way at once. Policy when full: further suspicions are ignored until one is
/// settled.
const FORK_CHECKS_MAX: usize = 16;

/// A fork of one feed that is proven at a lower number than before counts only after this time: each makes all that the
/// account's views are built from be read again.
const LOWER_INTERVAL: Duration = Duration::from_secs(10);
/// Proofs that wait for that. Policy when full: further ones are ignored; they come again with the next link.
const WAITING_MAX: usize = 1_024;

/// Proofs of feeds whose fork was found a short time ago.
#[derive(Debug, Default)]
pub(super) struct RecentForks {
    /// When each may be found at a lower number.
    settled: Map<DeviceId, Instant>,
    /// The lowest proof that came meanwhile.
    waiting: Map<DeviceId, ForkProof>,
}

impl Log {
    /// Once a second: proofs whose time has come count.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx) {
        let now = ctx.now.instant;
        self.recent_forks.settled.retain(|_, until| now < *until);
        let settled = &self.recent_forks.settled;
        let due = self.recent_forks.waiting.keys();
        let due: Vec<_> = due
            .filter(|device| !settled.contains_key(device))
            .copied()
            .collect();
        for device in due {
            if let Some(proof) = self.recent_forks.waiting.remove(&device) {
                self.on_fork(ctx, proof);
            }
        }
    }

    /// An entry with a number that is held may be another one: it is compared with what is stored.
    pub(super) fn suspect_fork(&mut self, ctx: &mut Ctx, link: LinkId, suspect: SignedHeader, pushed: bool) {
        let Some(feed) = self.feeds.get(&suspect.header.device) else {
            return;
        };
        if feed.forked.is_some_and(|seq| seq <= suspect.header.seq) {
            return;
        }
        let is_head = suspect.header.seq + 1 == feed.next_seq;
        if self.fork_checks.len() >= FORK_CHECKS_MAX && !(is_head && pushed) {
            return;
        }
        let read = Read::Get {
            table: Table::Entries,
            key: keys::entry(feed.number, suspect.header.seq),
        };
        let id = ctx.load(LoadOwner::ForkCheck, vec![read]);
        self.fork_checks.insert(id, (link, Box::new(suspect)));
    }

    pub(crate) fn on_fork_check_failed(&mut self, ctx: &mut Ctx, id: LoadId) {
        self.on_end_rows(ctx, id, None);
        self.fork_checks.remove(&id);
    }

    pub(crate) fn on_fork_check_rows(&mut self, ctx: &mut Ctx, id: LoadId, rows: Rows) {
        let Some((link, suspect)) = self.fork_checks.remove(&id) else {
            self.on_end_rows(ctx, id, Some(rows));
            return;
        };
        let Some((_, value)) = rows.into_iter().flatten().next() else {
            return;
        };
        let Ok(held) = codec::decode::<Entry>(&value) else {
            return ctx.log(Line::Corrupt {
                table: Table::Entries,
            });
        };
        if held.signed.header.id() == suspect.header.id() {
            return;
        }
        match suspect.verify() {
            Ok(_) if self.is_unconfirmed(ctx, &suspect.header.device, suspect.header.seq) => {
                ctx.fact(Fact::OwnBranch);
            }
            Ok(_) => self.on_fork(
                ctx,
                ForkProof {
                    one: held.signed,
                    other: *suspect,
                },
            ),
            Err(error) => ctx.misbehaved(link, error.to_string()),
        }
    }

    /// A neighbour claims that a feed, of an account wanted here, is forked.
    pub(crate) fn on_fork_proof(&mut self, ctx: &mut Ctx, link: LinkId, proof: ForkProof) {
        let (one, other) = (&proof.one.header, &proof.other.header);
        let same = one.device == other.device && one.account == other.account && one.seq == other.seq;
        if !same || one.id() == other.id() {
            return ctx.misbehaved(link, "a fork proof that proves nothing");
        }
        let known = self.forks.get(&one.device);
        if known.is_some_and(|known| known.one.header.seq <= one.seq) {
            return;
        }
        if proof.one.verify().is_err() || proof.other.verify().is_err() {
            return ctx.misbehaved(link, "a fork proof with a wrong signature");
        }
        let held = self.feeds.get(&one.device);
        if held.is_none_or(|feed| feed.account != one.account) {
            // Nothing of the feed is held: the proof would be a row that costs its sender nothing. It comes again.
            return;
        }
        self.on_fork(ctx, proof);
    }

    /// A proven fork: keep it, freeze the feed.
    fn on_fork(&mut self, ctx: &mut Ctx, proof: ForkProof) {
        let header = &proof.one.header;
        let (device, account, seq) = (header.device, header.account, header.seq);
        let Some(feed) = self.feeds.get_mut(&device) else {
            return;
        };
        if feed.forked.is_some_and(|known| known <= seq) {
            return;
        }
        let RecentForks { settled, waiting } = &mut self.recent_forks;
        if settled.contains_key(&device) {
            let lower = waiting
                .get(&device)
                .is_none_or(|known| seq < known.one.header.seq);
            if lower && (waiting.len() < WAITING_MAX || waiting.contains_key(&device)) {
                waiting.insert(device, proof);
            }
            return;
        }
        settled.insert(device, ctx.now.instant + LOWER_INTERVAL);
        feed.forked = Some(seq);
        ctx.write(Op::put(Table::Forks, device.0.to_vec(), &proof));
        ctx.log(Line::Forked { device, seq });
        ctx.event(Event::Forked { account, device });
        ctx.changed.profiles.insert(account);
        ctx.changed.me |= ctx.is_me(&account);
        self.forks.insert(device, proof);
        self.find_end(ctx, device);
        ctx.fact(Fact::Forked { account, device });
        ctx.fact(Fact::Voided(account));
    }
}
