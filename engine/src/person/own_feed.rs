//! Is the own feed here the one this device wrote last? A copied browser profile, or a machine that was set back, starts with an
//! older state of it. Whatever is signed then contradicts what was signed before: the feed would be forked for good.
//!
//! After a start the device therefore asks its neighbours how far they hold its feed before it signs anything, and tells them of
//! nothing that no other peer has confirmed. Each neighbour has to answer, and one of the relays that the device knows, if it knows
//! any: a neighbour that never had the feed answers first and proves nothing. If they hold more, it is fetched and writing goes on after it. If they hold something
//! else, the entries here that no other peer confirmed are taken back: this is an old copy. Their posts are set aside, and are
//! issued again once the person makes this copy a device of its own.
//!
//! Invariant: what was confirmed by another peer is never taken back; that would be a real fork ([`crate::log::forks`]).

use std::collections::VecDeque;
use std::time::Duration;

use ordered::{Map, Set, sorted_by_key};
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

/// Neighbours are given this long to say how far they hold the own feed, and a known relay to become one.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// What they hold beyond this copy is waited for this long: that it exists is their word alone, and nobody may keep a person from
/// writing for ever.
pub(super) const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);
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
    /// A neighbour holds more: up to this number.
    Behind {
        next_seq: u64,
        since: Instant,
    },
    Checked,
}

/// A post that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SetAside {
    seq: u64,
    post: protocol::kinds::Post,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct OwnFeed {
    state: State,
    /// Links whose neighbour has said all that it holds, until the feed is checked.
    compared: Set<LinkId>,
    /// Neighbours hold another continuation of the feed than this copy did.
    old_copy: bool,
    /// The entries that contradict theirs are being read, from this number on.
    cutting: Option<u64>,
    set_aside: Map<EntryId, SetAside>,
    waiting: VecDeque<(RequestId, Command)>,
}

impl OwnFeed {
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if key == meta::OLD_COPY {
            self.old_copy = true;
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
        u32::try_from(self.set_aside.len()).unwrap_or(u32::MAX)
    }

    /// The store has been read: neighbours learn only of what others have confirmed, until the feed is checked.
    pub(super) fn on_ready(&mut self, ctx: &mut Ctx, log: &mut Log) {
        let Some(device) = ctx.device() else { return };
        let confirmed = log.holders.reach(&device).0;
        if let Some(head) = head_of(log, device, confirmed) {
            log.withhold_own(&device, Some((confirmed, head)));
        }
        if log
            .feeds
            .get(&device)
            .is_some_and(|feed| feed.next_seq > confirmed)
            && self.old_copy
        {
            self.begin_cut(ctx, log);
        }
    }

    /// This device has just been made: nothing older of it can exist.
    pub(super) fn on_created(&mut self) {
        *self = Self {
            state: State::Checked,
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
        let pending = matches!(self.state, State::Asked { .. } | State::Behind { .. });
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
    pub(crate) fn take_ready(&mut self) -> VecDeque<(RequestId, Command)> {
        match self.state {
            State::Checked => core::mem::take(&mut self.waiting),
            _ if self.old_copy => core::mem::take(&mut self.waiting),
            _ => VecDeque::new(),
        }
    }

    /// Once a second. `true`: neighbours may learn of the whole feed from now on.
    pub(crate) fn on_timer(&mut self, ctx: &Ctx, net: &Net, log: &mut Log) -> bool {
        let now = ctx.now.instant;
        if self.state == State::Unchecked && ctx.me().is_some() && net.neighbours().next().is_some() {
            self.state = State::Asked { since: now };
        }
        let over = match self.state {
            State::Asked { since } => now.since(since) >= CHECK_TIMEOUT || self.have_all_answered(net),
            State::Behind { next_seq, since } => {
                let own = ctx.device().and_then(|device| log.feeds.get(&device));
                own.is_none_or(|feed| feed.next_seq >= next_seq) || now.since(since) >= CATCH_UP_TIMEOUT
            }
            State::Unchecked | State::Checked => false,
        };
        over && self.finish(ctx, log)
    }

    /// Whether every neighbour has said all that it holds, and among them a relay that this device knows, if it knows any.
    fn have_all_answered(&self, net: &Net) -> bool {
        let (mut answered, mut relay) = (false, net.known.len() == 0);
        for session in net.neighbours() {
            if !self.compared.contains(&session.link) {
                return false;
            }
            answered = true;
            relay |= net.known.contains(&session.peer);
        }
        answered && relay
    }

    fn finish(&mut self, ctx: &Ctx, log: &mut Log) -> bool {
        self.state = State::Checked;
        self.compared = Set::new();
        if let Some(device) = ctx.device().filter(|_| !self.old_copy) {
            log.withhold_own(&device, None);
        }
        !self.old_copy
    }

    /// A neighbour has said how far it holds everything wanted here. `true`: neighbours may learn of the whole feed from now on.
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
        matches!(self.state, State::Asked { .. }) && self.have_all_answered(net) && self.finish(ctx, log)
    }

    /// A neighbour says how far it holds the own feed; its head is all zero if it does not say.
    pub(super) fn on_heard(&mut self, ctx: &mut Ctx, log: &mut Log, head: FeedHead) {
        let Some(next_seq) = log.feeds.get(&head.device).map(|feed| feed.next_seq) else {
            return;
        };
        if head.next_seq > next_seq {
            if self.state != State::Checked {
                self.state = State::Behind {
                    next_seq: head.next_seq,
                    since: ctx.now.instant,
                };
            }
            return;
        }
        let last = head.next_seq.checked_sub(1);
        let own = last.and_then(|seq| log.holders.own_id(head.device, seq));
        let known = head.head != EntryId::default();
        if known && own.is_some_and(|own| own != head.head) {
            self.on_other_branch(ctx, log);
        }
    }

    /// Neighbours hold another continuation of the own feed.
    pub(super) fn on_other_branch(&mut self, ctx: &mut Ctx, log: &mut Log) {
        if self.old_copy {
            return;
        }
        self.old_copy = true;
        ctx.write(Op::Put {
            table: Table::Meta,
            key: meta::OLD_COPY.to_vec(),
            value: Vec::new(),
        });
        ctx.changed.me = true;
        self.begin_cut(ctx, log);
    }

    /// Reads the entries that no other peer has confirmed.
    fn begin_cut(&mut self, ctx: &mut Ctx, log: &Log) {
        let Some(device) = ctx.device() else { return };
        let confirmed = log.holders.reach(&device).0;
        let Some(feed) = log
            .feeds
            .get(&device)
            .filter(|_| head_of(log, device, confirmed).is_some())
        else {
            return;
        };
        if self.cutting.is_some() || confirmed >= feed.next_seq {
            return;
        }
        self.cutting = Some(confirmed);
        let read = Read::Range {
            table: Table::Entries,
            start: keys::entry(feed.number, confirmed),
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

    /// Takes entries back, and sets their posts aside. All of it is one batch.
    pub(super) fn on_cut_rows(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &Kinds, rows: Rows) {
        let (Some(from), Some(device), Some(account)) = (self.cutting.take(), ctx.device(), ctx.me()) else {
            return;
        };
        // Another peer may have confirmed more while it was read.
        let from = from.max(log.holders.reach(&device).0);
        let Some((number, head)) = log
            .feeds
            .get(&device)
            .map(|feed| feed.number)
            .zip(head_of(log, device, from))
        else {
            return;
        };
        let mut posts = 0;
        for (key, value) in rows.into_iter().flatten() {
            let Some(seq) = keys::seq_of(&key).filter(|seq| *seq >= from) else {
                continue;
            };
            if let Ok(entry) = codec::decode::<Entry>(&value) {
                let header = &entry.signed.header;
                kinds.unindex(ctx, Viewer::of(ctx), header, header.id(), &entry.body, number);
                if let Some(Body::Post(post)) = Body::decode(header.kind, &entry.body) {
                    posts += 1;
                    self.set_aside(ctx, header.id(), SetAside { seq, post });
                }
            }
            let table = Table::Entries;
            ctx.write(Op::Delete { table, key });
        }
        log.cut_own(&device, from, head, posts);
        ctx.write_strictly();
        ctx.changed.me = true;
        // Names, profile and follows as of the entries that are left; then neighbours are asked again.
        ctx.fact(Fact::Voided(account));
    }

    fn set_aside(&mut self, ctx: &mut Ctx, id: EntryId, post: SetAside) {
        ctx.write(Op::put(Table::Meta, set_aside_key(&id), &post));
        self.set_aside.insert(id, post);
    }

    /// An entry of the own feed arrived: if it was taken back, others have it after all.
    pub(super) fn on_arrived(&mut self, ctx: &mut Ctx, id: &EntryId) {
        if self.set_aside.remove(id).is_some() {
            ctx.write(Op::Delete {
                table: Table::Meta,
                key: set_aside_key(id),
            });
            ctx.changed.me = true;
        }
    }

    /// This copy becomes a device of its own: the posts to issue again, in their order.
    pub(super) fn take_set_aside(&mut self, ctx: &mut Ctx) -> Vec<protocol::kinds::Post> {
        let posts = sorted_by_key(core::mem::take(&mut self.set_aside), |(_, post)| post.seq);
        for (id, _) in &posts {
            ctx.write(Op::Delete {
                table: Table::Meta,
                key: set_aside_key(id),
            });
        }
        ctx.write(Op::Delete {
            table: Table::Meta,
            key: meta::OLD_COPY.to_vec(),
        });
        posts.into_iter().map(|(_, post)| post.post).collect()
    }
}

/// The id of the last of the first `next_seq` entries; `None` if it is not known.
fn head_of(log: &Log, device: DeviceId, next_seq: u64) -> Option<EntryId> {
    match next_seq.checked_sub(1) {
        Some(seq) => log.holders.own_id(device, seq),
        None => Some(EntryId::default()),
    }
}

fn set_aside_key(id: &EntryId) -> Vec<u8> {
    [meta::SET_ASIDE, id.0.as_slice()].concat()
}
