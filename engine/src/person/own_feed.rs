//! The check whether the own feed here is the one this device wrote last. A copied browser profile, or a machine that
//! was set back, starts with an older state of it. Whatever is signed then contradicts what was signed before: the feed
//! would be forked for good.
//!
//! After a start, and when it is linked again after it was alone, the device therefore asks its neighbours how far they
//! hold its feed before it signs anything, and advertises nothing that no other peer has confirmed. Each neighbour has to answer, and as many of the relays
//! that the device knows as it wants to be linked with: a neighbour that never had the feed answers first and proves
//! nothing, and a relay may itself have been set back. If they hold more, it is fetched and writing goes on after it.
//! If they hold something else, which an entry signed by this device proves, the entries here that no other peer
//! confirmed are taken back: this is an old copy.
//! What they say is set aside, and is issued again once the person makes this copy a device of its own. The same is
//! set aside of a feed that is forked, from the number of the fork on.
//!
//! Neighbours that are slow to answer do not keep a person from writing, but they keep what is written from being
//! published: until it is, it can be taken back.
//!
//! Invariants: what was confirmed by another peer is never taken back; that would be a real fork
//! ([`crate::log::forks`]). An entry that is set aside is issued again or found to be known to others, whatever
//! happens between.

use std::collections::VecDeque;
use std::time::Duration;

use ordered::{Map, Set, sorted_by_key};
use protocol::entry::Header;
use protocol::kinds::Kind;
use protocol::messages::FeedHead;
use protocol::{Body, DeviceId, Entry, EntryId, Instant, codec};
use serde::{Deserialize, Serialize};

use crate::api::Command;
use crate::ctx::{Ctx, LoadOwner};
use crate::facts::Fact;
use crate::io::{LinkId, RequestId};
use crate::kinds::{Kinds, Viewer};
use crate::log::Log;
use crate::log::keys;
use crate::log::records::meta;
use crate::net::Net;
use crate::store::{Op, Read, Rows, Table};

/// A person who writes waits this long for neighbours to say how far they hold the own feed, and for known relays to
/// become neighbours.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Entries written before the neighbours answered are published after this time even if no answer came: a neighbour that never
/// answers must not be able to keep a device from publishing.
pub(super) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);
/// A person who writes waits this long for what neighbours say they hold beyond this copy: that it exists is their word
/// alone. Once some of it has arrived it is proven, and the person waits for the rest.
pub(super) const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// Nothing is published before what neighbours hold has arrived, unless the next entry takes longer than this: the largest
/// entry, behind others, over the slowest link that is of use.
pub(super) const PROGRESS_TIMEOUT: Duration = Duration::from_mins(1);
/// Commands that wait for the check. Policy when full: further ones are refused.
pub(super) const WAITING_MAX: usize = 64;
/// Links whose neighbour has answered. Policy when full: further answers are not counted, and time ends the check.
const COMPARED_MAX: usize = 256;

/// How sure it is that the own feed is complete here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is no neighbour to ask yet.
    #[default]
    Unchecked,
    /// Neighbours are asked.
    Asked {
        since: Instant,
    },
    /// They were asked and did not answer in time: commands wait no more; what they write is not published yet.
    Unanswered {
        since: Instant,
    },
    /// A neighbour says that it holds more, or something else.
    Behind(Behind),
    Checked,
}

/// What a neighbour says it holds that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind {
    /// It has entries up to this number.
    next_seq: u64,
    /// The last of them; all zero if it did not say.
    head: EntryId,
    /// When it said so, or when the last of its entries arrived.
    since: Instant,
    /// Some arrived.
    arrived: bool,
}

impl Behind {
    /// Whether a person who writes waits.
    fn must_wait(&self, now: Instant) -> bool {
        self.arrived || now.since(self.since) < CATCH_UP_TIMEOUT
    }

    /// Whether it is all here, or nothing more of it comes. `own`: the entry here in the place of its last one. What was
    /// written here meanwhile is not what the neighbour holds.
    fn is_over(&self, now: Instant, own: Option<EntryId>) -> bool {
        let here = own.is_some_and(|own| match self.head == EntryId::default() {
            true => self.must_wait(now),
            false => own == self.head,
        });
        here || now.since(self.since) >= PROGRESS_TIMEOUT
    }
}

/// What an entry said that was taken back, or that a fork has made void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SetAside {
    seq: u64,
    kind: Kind,
    body: Vec<u8>,
}

impl SetAside {
    fn of(entry: &Entry) -> Option<Self> {
        let header = &entry.signed.header;
        let issued_again = matches!(
            Body::decode(header.kind, &entry.body)?,
            Body::Post(_) | Body::Profile(_) | Body::Follow(_) | Body::Reaction(_)
        );
        issued_again.then(|| Self {
            seq: header.seq,
            kind: header.kind,
            body: entry.body.clone(),
        })
    }

    fn is_post(&self) -> bool {
        self.kind == Kind::POST
    }
}

/// Which entries are being read to be set aside, from the first number on.
#[derive(Clone, Copy, Debug)]
struct Cutting {
    from: u64,
    /// They stay where they are: others have them, and a fork made them void.
    keep: bool,
}

#[derive(Debug, Default)]
pub(crate) struct OwnFeed {
    state: State,
    /// The device was made in this run and has had no neighbour: no other copy of it can have written.
    fresh: bool,
    /// Links whose neighbour has said all that it holds, until the feed is checked.
    compared: Set<LinkId>,
    /// Neighbours hold another continuation of the feed than this copy did.
    old_copy: bool,
    /// The entries that contradict theirs have been taken back. What the feed has beyond that came from others.
    cut: bool,
    cutting: Option<Cutting>,
    set_aside: Map<EntryId, SetAside>,
    waiting: VecDeque<(RequestId, Command)>,
}

impl OwnFeed {
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if key == meta::OLD_COPY {
            self.old_copy = true;
            self.cut = !value.is_empty();
            return Some(());
        }
        let id = keys::id_at(key, meta::SET_ASIDE.len())?;
        self.set_aside
            .insert(EntryId(id), codec::decode_extensible(value).ok()?);
        Some(())
    }

    /// This is an old copy of the device: it cannot write.
    pub(crate) fn is_old_copy(&self) -> bool {
        self.old_copy
    }

    /// Posts that will be issued again.
    pub(crate) fn set_aside_len(&self) -> u32 {
        let posts = self.set_aside.values().filter(|entry| entry.is_post());
        u32::try_from(posts.count()).unwrap_or(u32::MAX)
    }

    /// The store has been read: neighbours learn only of what others have confirmed, until the feed is checked.
    pub(super) fn on_ready(&mut self, ctx: &mut Ctx, log: &mut Log) {
        let Some(device) = ctx.device() else { return };
        if let Some(next_seq) = log.find_lost(ctx, &device) {
            // The disk lost own entries that others have seen.
            self.set_behind(ctx, next_seq, EntryId::default());
        }
        Self::withhold(log, device);
        if self.old_copy && !self.cut {
            self.begin_cut(ctx, log);
        }
        self.on_forked(ctx, log);
    }

    /// The own feed may be forked: what it says from there on is void everywhere, and is set aside.
    pub(super) fn on_forked(&mut self, ctx: &mut Ctx, log: &Log) {
        let device = ctx.device();
        let Some(from) = device.and_then(|device| log.feeds.get(&device)?.forked) else {
            return;
        };
        if self.cutting.is_none() {
            self.read_entries(ctx, log, Cutting { from, keep: true });
        }
    }

    /// This device has just been made: nothing older of it can exist.
    pub(super) fn on_created(&mut self) {
        *self = Self {
            state: State::Checked,
            fresh: true,
            ..Self::default()
        };
    }

    /// Whether a command that writes has to wait.
    pub(super) fn must_wait(&mut self, ctx: &Ctx, net: &Net) -> bool {
        if self.state == State::Unchecked && net.neighbours().next().is_some() {
            self.state = State::Asked {
                since: ctx.now.instant,
            };
        }
        let pending = match self.state {
            State::Asked { .. } => true,
            State::Behind(behind) => behind.must_wait(ctx.now.instant),
            State::Unchecked | State::Unanswered { .. } | State::Checked => false,
        };
        pending && !self.old_copy
    }

    /// Keeps a command until the check is over. `false`: too many wait already.
    pub(super) fn wait(&mut self, request: RequestId, command: Command) -> bool {
        let room = self.waiting.len() < WAITING_MAX;
        if room {
            self.waiting.push_back((request, command));
        }
        room
    }

    /// The commands that need not wait any more.
    pub(crate) fn take_ready(&mut self, ctx: &Ctx, net: &Net) -> VecDeque<(RequestId, Command)> {
        match self.must_wait(ctx, net) {
            true => VecDeque::new(),
            false => core::mem::take(&mut self.waiting),
        }
    }

    /// Once a second. `true`: neighbours may learn of the whole feed from now on.
    pub(crate) fn on_timer(&mut self, ctx: &Ctx, net: &Net, log: &mut Log) -> bool {
        let now = ctx.now.instant;
        let alone = net.neighbours().next().is_none();
        self.fresh &= alone;
        match self.state {
            State::Unchecked if ctx.me().is_some() && !alone => self.state = State::Asked { since: now },
            // What is written without a network can be taken back.
            State::Asked { .. } | State::Unanswered { .. } | State::Behind(_) if alone => {
                self.state = State::Unchecked;
                self.compared = Set::new();
            }
            State::Asked { since } if now.since(since) >= CHECK_TIMEOUT => {
                self.state = State::Unanswered { since };
            }
            _ => {}
        }
        let over = match self.state {
            State::Asked { .. } | State::Unanswered { .. } => self.is_answered(ctx, net),
            State::Behind(behind) => {
                let device = ctx.device();
                let own =
                    device.and_then(|device| log.holders.own_id(device, behind.next_seq.checked_sub(1)?));
                behind.is_over(now, own)
            }
            State::Unchecked | State::Checked => false,
        };
        over && self.finish(ctx, log)
    }

    /// A neighbour is linked, and none was before: another copy of this device may have written meanwhile. What was written
    /// here without a network can be taken back, so the feed is checked again.
    pub(super) fn on_neighbour_up(&mut self, ctx: &Ctx, net: &Net, log: &mut Log) {
        if core::mem::take(&mut self.fresh) {
            return;
        }
        let device = ctx.device().filter(|_| self.state == State::Checked);
        if let Some(device) = device.filter(|_| net.neighbours().nth(1).is_none()) {
            self.state = State::Asked {
                since: ctx.now.instant,
            };
            self.compared = Set::new();
            Self::withhold(log, device);
        }
    }

    /// Neighbours learn of no more than others have seen of the feed.
    fn withhold(log: &mut Log, device: DeviceId) {
        let confirmed = log.holders.reached(&device);
        let head = log.own_head(&device, confirmed);
        // Of what can be told without the head there is nothing.
        let told = head.map_or_else(Default::default, |head| (confirmed, head));
        log.withhold_own(&device, Some(told));
    }

    /// Whether every neighbour has said all that it holds, and among them as many known relays as this device wants to
    /// be linked with. One of them is enough after a while, and nobody after a longer one.
    fn is_answered(&self, ctx: &Ctx, net: &Net) -> bool {
        let (now, known) = (ctx.now.instant, net.known.len());
        let relays_wanted = match self.state {
            State::Asked { .. } => known.min(ctx.config.relays_target),
            State::Unanswered { since } if now.since(since) >= PUBLISH_TIMEOUT => return true,
            State::Unanswered { .. } => known.min(1),
            State::Unchecked | State::Behind(_) | State::Checked => return false,
        };
        let (mut answered, mut relays) = (false, 0);
        for session in net.neighbours() {
            if !self.compared.contains(&session.link) {
                return false;
            }
            answered = true;
            relays += usize::from(net.known.contains(&session.peer));
        }
        answered && relays >= relays_wanted
    }

    fn finish(&mut self, ctx: &Ctx, log: &mut Log) -> bool {
        self.state = State::Checked;
        self.compared = Set::new();
        if let Some(device) = ctx.device().filter(|_| !self.old_copy) {
            log.withhold_own(&device, None);
        }
        !self.old_copy
    }

    /// A neighbour has said how far it holds everything wanted here. `true`: neighbours may learn of the whole feed
    /// from now on.
    pub(crate) fn on_compared(&mut self, ctx: &Ctx, net: &Net, log: &mut Log, link: LinkId) -> bool {
        if self.state == State::Checked {
            return false;
        }
        if self.state == State::Unchecked {
            let since = ctx.now.instant;
            self.state = State::Asked { since };
        }
        if self.compared.len() < COMPARED_MAX {
            self.compared.insert(link);
        }
        self.is_answered(ctx, net) && self.finish(ctx, log)
    }

    /// A neighbour says how far it holds the own feed; its head is all zero if it does not say.
    pub(super) fn on_heard(&mut self, ctx: &mut Ctx, log: &mut Log, head: FeedHead) {
        let Some(next_seq) = log.feeds.get(&head.device).map(|feed| feed.next_seq) else {
            return;
        };
        let said = head.head != EntryId::default();
        let own = log.own_head(&head.device, head.next_seq);
        if head.next_seq > next_seq || said && own.is_some_and(|own| own != head.head) {
            self.set_behind(ctx, head.next_seq, head.head);
        }
    }

    /// A neighbour claims to hold what is not here. A repeated claim does not extend the wait.
    fn set_behind(&mut self, ctx: &Ctx, next_seq: u64, head: EntryId) {
        let known = match self.state {
            State::Checked => return,
            State::Behind(behind) => Some(behind),
            State::Unchecked | State::Asked { .. } | State::Unanswered { .. } => None,
        };
        if known.is_none_or(|known| known.next_seq < next_seq) {
            self.state = State::Behind(Behind {
                next_seq,
                head,
                since: known.map_or(ctx.now.instant, |known| known.since),
                arrived: known.is_some_and(|known| known.arrived),
            });
        }
    }

    /// Neighbours hold another continuation of the own feed.
    pub(super) fn on_other_branch(&mut self, ctx: &mut Ctx, log: &mut Log) {
        if self.old_copy {
            return;
        }
        self.old_copy = true;
        write_old_copy(ctx, false);
        ctx.changed.me = true;
        self.begin_cut(ctx, log);
    }

    /// Reads the entries that no other peer has confirmed.
    fn begin_cut(&mut self, ctx: &mut Ctx, log: &Log) {
        let Some(device) = ctx.device() else { return };
        let from = log.holders.reached(&device);
        if self.cutting.is_some_and(|cutting| !cutting.keep) {
            return;
        }
        if log.feeds.get(&device).is_some_and(|feed| from >= feed.next_seq) {
            self.cut = true;
            return write_old_copy(ctx, true);
        }
        self.read_entries(ctx, log, Cutting { from, keep: false });
    }

    fn read_entries(&mut self, ctx: &mut Ctx, log: &Log, cutting: Cutting) {
        let device = ctx.device();
        let Some(feed) = device.and_then(|device| log.feeds.get(&device)) else {
            return;
        };
        if cutting.from >= feed.next_seq {
            return;
        }
        self.cutting = Some(cutting);
        let read = Read::Range {
            table: Table::Entries,
            // The one before is the head that is left.
            start: keys::entry(feed.number, cutting.from.saturating_sub(1)),
            end: keys::entry(feed.number, feed.next_seq),
            limit: usize::MAX,
            bytes_max: usize::MAX,
            reverse: false,
        };
        ctx.load(LoadOwner::Cut, vec![read]);
    }

    pub(super) fn on_cut_failed(&mut self) {
        self.cutting = None;
    }

    /// Sets aside what entries say, and takes them back unless others have them. All of it is one batch.
    pub(super) fn on_cut_rows(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &Kinds, rows: Rows) {
        let (Some(cutting), Some(device), Some(account)) = (self.cutting.take(), ctx.device(), ctx.me())
        else {
            return;
        };
        // Another peer may have confirmed more while it was read.
        let from = match cutting.keep {
            true => cutting.from,
            false => cutting.from.max(log.holders.reached(&device)),
        };
        let mut rows: Vec<_> = rows.into_iter().flatten().collect();
        let begins = rows.partition_point(|(key, _)| keys::seq_of(key).is_none_or(|seq| seq < from));
        let rest = rows.split_off(begins);
        let entries = rest
            .into_iter()
            .map(|(key, value)| (key, codec::decode::<Entry>(&value).ok()));
        if cutting.keep {
            for entry in entries.filter_map(|(_, entry)| entry) {
                self.set_aside(ctx, &entry);
            }
            ctx.changed.me = true;
            return;
        }
        let last = rows
            .last()
            .and_then(|(_, value)| codec::decode::<Entry>(value).ok());
        let last = last.map(|entry| entry.signed.header);
        let last = last
            .filter(|header| header.seq + 1 == from)
            .map(|header| header.id());
        let head = last.or_else(|| log.own_head(&device, from));
        let number = log.feeds.get(&device).map(|feed| feed.number);
        let Some((number, head)) = number.zip(head) else {
            return;
        };
        let mut posts = 0;
        for (key, entry) in entries {
            if let Some(entry) = entry {
                let header = &entry.signed.header;
                kinds.unindex(ctx, Viewer::of(ctx), header, header.id(), &entry.body, number);
                posts += u64::from(header.kind == Kind::POST);
                self.set_aside(ctx, &entry);
            }
            let table = Table::Entries;
            ctx.write(Op::Delete { table, key });
        }
        log.cut_own(&device, from, head, posts);
        self.cut = true;
        write_old_copy(ctx, true);
        ctx.write_strictly();
        ctx.changed.me = true;
        // Names, profile and follows as of the entries that are left; then neighbours are asked again.
        ctx.fact(Fact::Voided(account));
    }

    fn set_aside(&mut self, ctx: &mut Ctx, entry: &Entry) {
        let id = entry.signed.header.id();
        // Those of a forked feed are read again at every start.
        if self.set_aside.contains_key(&id) {
            return;
        }
        if let Some(said) = SetAside::of(entry) {
            ctx.write(Op::put(Table::Meta, set_aside_key(&id), &said));
            self.set_aside.insert(id, said);
        }
    }

    /// An entry of the own feed arrived: if it was taken back, others have it after all.
    pub(super) fn on_arrived(&mut self, ctx: &mut Ctx, log: &mut Log, header: &Header, id: &EntryId) {
        log.holders.record_own(header.device, header.seq, *id);
        if let State::Behind(behind) = &mut self.state {
            (behind.since, behind.arrived) = (ctx.now.instant, true);
        }
        if self.set_aside.remove(id).is_some() {
            ctx.write(Op::Delete {
                table: Table::Meta,
                key: set_aside_key(id),
            });
            ctx.changed.me = true;
        }
    }

    /// This copy becomes a device of its own: what to issue again, in its order, with the ids that it had.
    pub(super) fn take_set_aside(&mut self, ctx: &mut Ctx) -> Vec<(EntryId, Body)> {
        let entries = sorted_by_key(core::mem::take(&mut self.set_aside), |(_, entry)| entry.seq);
        for (id, _) in &entries {
            ctx.write(Op::Delete {
                table: Table::Meta,
                key: set_aside_key(id),
            });
        }
        ctx.write(Op::Delete {
            table: Table::Meta,
            key: meta::OLD_COPY.to_vec(),
        });
        let bodies = entries.into_iter();
        bodies
            .filter_map(|(id, entry)| Some((id, Body::decode(entry.kind, &entry.body)?)))
            .collect()
    }
}

/// This is an old copy. `cut`: what contradicts the others has been taken back.
fn write_old_copy(ctx: &mut Ctx, cut: bool) {
    ctx.write(Op::Put {
        table: Table::Meta,
        key: meta::OLD_COPY.to_vec(),
        value: if cut { vec![1] } else { Vec::new() },
    });
}

fn set_aside_key(id: &EntryId) -> Vec<u8> {
    [meta::SET_ASIDE, id.0.as_slice()].concat()
}

#[cfg(test)]
#[path = "own_feed_tests.rs"]
mod tests;
