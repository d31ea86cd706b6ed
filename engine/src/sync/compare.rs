//! Comparing feeds with a relay by a [`crate::sync::sketch`]: what costs a digest a hundred bytes for each feed costs this some thirty
//! for each that differs.
//!
//! Whoever dialled the relay sends cells of what it holds; the relay says how many more it needs, or what differs. Both
//! compare what they held when it began; what comes meanwhile is pushed anyway. Browsers compare among themselves by
//! digests, since they have little in common.
//!
//! Invariants: one comparison per link is under way; a neighbour makes this peer send or hold no more cells than
//! [`limits::SKETCH_CELLS_MAX`], and each request for more must ask for a quarter more than before.

use std::collections::VecDeque;

use ordered::{Map, Set};
use protocol::handshake::Role;
use protocol::message::{
    Compared, Differences, FeedHead, FeedKey, Interests, Message, SaltedAccount, Sketch, Verdict,
};
use protocol::{AccountId, DeviceId, EntryId, PeerId, limits};

use crate::Engine;
use crate::io::LinkId;
use crate::log::feeds::Feed;
use crate::sync::sketch::{self, Cell, Item, Items};

/// Of fewer feeds a digest is as short.
const FEEDS_MIN: usize = 16;
/// Cells sent first: enough for some forty differences between a browser and its relay,
const CELLS_OF_BROWSERS: usize = 64;
/// and for two hundred between relays, which miss more of each other.
const CELLS_OF_RELAYS: usize = 256;
/// Of fewer accounts it is not remembered who wanted them.
const RECALLED_MIN: usize = 64;
/// Accounts remembered of all browsers together. Policy when full: of whom left first is forgotten.
const RECALLED_MAX: usize = 1 << 20;

/// A comparison under way on one link.
#[derive(Debug)]
pub(crate) struct Comparing {
    round: u32,
    items: Items,
    /// Cells sent, or asked for.
    sent: usize,
    /// Cells that came.
    #[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "browsers only send"))]
    cells: Vec<Cell>,
    /// Feeds the other end lacks, of those it spoke of so far.
    lacked: Set<DeviceId>,
}

/// What browsers wanted that are no longer linked, for when they come back.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    of: Map<PeerId, (Set<SaltedAccount>, Set<AccountId>)>,
    order: VecDeque<PeerId>,
    accounts: usize,
}

impl Recalled {
    pub(crate) fn remember(&mut self, peer: PeerId, wanted: Set<SaltedAccount>, named: Set<AccountId>) {
        self.take(&peer);
        if !(RECALLED_MIN..=RECALLED_MAX).contains(&wanted.len()) {
            return;
        }
        self.accounts += wanted.len() + named.len();
        self.of.insert(peer, (wanted, named));
        self.order.push_back(peer);
        while self.accounts > RECALLED_MAX {
            let Some(oldest) = self.order.front().copied() else {
                return;
            };
            self.take(&oldest);
        }
    }

    pub(crate) fn take(&mut self, peer: &PeerId) -> Option<(Set<SaltedAccount>, Set<AccountId>)> {
        let (wanted, named) = self.of.remove(peer)?;
        self.accounts -= wanted.len() + named.len();
        self.order.retain(|other| other != peer);
        Some((wanted, named))
    }
}

fn head(device: DeviceId, feed: &Feed) -> FeedHead {
    let (next_seq, head) = feed.shareable();
    FeedHead {
        account: feed.account,
        device,
        next_seq,
        head,
    }
}

impl Engine {
    /// Whether this end is to send a sketch on a link.
    pub(crate) fn may_sketch(&self, link: LinkId) -> bool {
        let dialled = self
            .links
            .get(&link)
            .is_some_and(|link| link.origin().0 == Role::Initiator);
        if !dialled || self.up(link).is_none_or(|up| !up.relay) {
            return false;
        }
        if self.is_relay() {
            return self.feeds.len() >= FEEDS_MIN;
        }
        let wanted = self.wanted();
        let held = wanted.iter().map(|account| self.feeds.devices(account).len());
        held.sum::<usize>() >= FEEDS_MIN
    }

    /// The fingerprint of these interests, if it is worth asking a relay whether it remembers them.
    pub(crate) fn recallable(&self, wanted: &Set<SaltedAccount>) -> Option<[u8; 16]> {
        (!self.is_relay() && wanted.len() >= RECALLED_MIN).then(|| Interests::fingerprint(wanted.iter()))
    }

    /// The feeds a link's ends compare by sketch.
    fn items(&self, link: LinkId) -> Items {
        let Some(up) = self.up(link) else {
            return Items::default();
        };
        let mut items = Vec::new();
        let mut add = |account: &AccountId| {
            for (device, feed) in self.feeds.feeds_of(account) {
                let (salt, (next_seq, head)) = (&up.link_salt, feed.shareable());
                if next_seq > 0 {
                    items.push(Item::new(salt, &device, next_seq, &head, feed.number));
                }
            }
        };
        if self.is_relay() {
            let accounts = self.feeds.accounts().filter(|account| up.wants(account));
            accounts.for_each(|account| add(&account));
        } else {
            self.wanted().iter().for_each(&mut add);
        }
        Items::new(items)
    }

    /// Begins to compare.
    pub(crate) fn send_sketch(&mut self, link: LinkId) {
        let items = self.items(link);
        let first = if self.is_relay() {
            CELLS_OF_RELAYS
        } else {
            CELLS_OF_BROWSERS
        };
        let Some(up) = self.up_mut(link) else { return };
        up.last_round = up.last_round.wrapping_add(1);
        up.comparing = Some(Box::new(Comparing {
            round: up.last_round,
            items,
            sent: 0,
            cells: Vec::new(),
            lacked: Set::new(),
        }));
        self.send_cells(link, first);
    }

    /// Sends cells until so many are.
    fn send_cells(&mut self, link: LinkId, enough: usize) {
        let Some(comparing) = self.up_mut(link).and_then(|up| up.comparing.as_mut()) else {
            return;
        };
        let mut first = comparing.sent;
        let cells = comparing.items.cells(first, enough);
        comparing.sent = enough;
        let (round, feeds) = (comparing.round, comparing.items.len() as u32);
        for cells in cells.chunks(limits::SKETCH_CELLS_PER_MESSAGE_MAX) {
            let message = Message::Sketch(Sketch {
                round,
                feeds,
                first: first as u32,
                cells: sketch::encode(cells),
            });
            first += cells.len();
            self.send(link, &message);
        }
    }

    /// A relay does not remember what this peer wanted.
    pub(crate) fn on_forgotten(&mut self, link: LinkId) {
        if !self.is_relay() {
            self.tell_interests_in_full(link);
        }
    }

    /// What came of this peer's sketch.
    pub(crate) fn on_verdict(&mut self, link: LinkId, compared: Compared) {
        let Some(up) = self.up_mut(link) else { return };
        let Some(mut comparing) = up
            .comparing
            .take_if(|comparing| comparing.round == compared.round)
        else {
            // Of an earlier one.
            return;
        };
        match compared.verdict {
            Verdict::More(enough) => {
                let (enough, sent) = (enough as usize, comparing.sent);
                if enough < sent + sent / 4 || enough > limits::SKETCH_CELLS_MAX {
                    return self.misbehaved(link, "a request for cells that are too few or too many");
                }
                up.comparing = Some(comparing);
                self.send_cells(link, enough);
            }
            Verdict::Plain => {
                let numbers = comparing.items.iter().map(|item| item.number);
                let held = numbers.filter_map(|number| self.feeds.by_number(number));
                let heads = held.map(|(device, feed)| head(device, feed)).collect();
                self.send_heads(link, heads, true);
            }
            Verdict::Differ(differences) => {
                let heads = self.take_differences(link, &mut comparing, &differences);
                let lacks = !comparing.lacked.is_empty();
                if differences.end {
                    self.end_comparing(link, &comparing);
                } else if let Some(up) = self.up_mut(link) {
                    up.comparing = Some(comparing);
                }
                if !heads.is_empty() || (differences.end && lacks) {
                    self.send_heads(link, heads, differences.end);
                }
                self.pump_fetches(link);
            }
        }
    }

    /// Notes what a relay has more of. What it lacks.
    fn take_differences(
        &mut self,
        link: LinkId,
        comparing: &mut Comparing,
        differences: &Differences,
    ) -> Vec<FeedHead> {
        let asked: Set<FeedKey> = differences.asked.iter().copied().collect();
        let ahead: Map<FeedKey, u64> = differences.ahead.iter().copied().collect();
        let (mut heads, mut more) = (Vec::new(), Vec::new());
        for item in comparing.items.iter() {
            let key = item.short();
            let Some((device, feed)) = self.feeds.by_number(item.number) else {
                continue;
            };
            if asked.contains(&key) {
                comparing.lacked.insert(device);
                heads.push(head(device, feed));
            } else if let Some(next_seq) = ahead.get(&key).filter(|next_seq| **next_seq > feed.next_seq) {
                more.push(FeedHead {
                    next_seq: *next_seq,
                    head: EntryId::default(),
                    ..head(device, feed)
                });
            }
        }
        for head in more {
            self.note_head(link, head);
        }
        heads
    }

    /// All that differs was told: the rest is held by both.
    fn end_comparing(&mut self, link: LinkId, comparing: &Comparing) {
        for item in comparing.items.iter() {
            let Some((device, feed)) = self.feeds.by_number(item.number) else {
                continue;
            };
            if comparing.lacked.contains(&device) {
                continue;
            }
            let account = feed.account;
            self.note_same(link, item, device);
            self.note_spoke(link, account);
        }
        self.on_compared(link);
    }

    /// The neighbour has at least as much of a feed as was here when the comparison began, or will ask for it.
    fn note_same(&mut self, link: LinkId, item: &Item, device: DeviceId) {
        if let Some(up) = self.up_mut(link) {
            let told = up.told.or_default(item.number);
            *told = item.next_seq().max(*told);
        }
        self.note_has(link, &device, item.next_seq());
    }
}

/// A relay's part.
impl Engine {
    /// Cells of what a neighbour holds.
    #[cfg(feature = "relay")]
    pub(crate) fn on_sketch(&mut self, link: LinkId, sketch: &Sketch) {
        let Some(up) = self.up(link).filter(|up| self.is_relay() && !up.forgot) else {
            return;
        };
        let (first, round) = (sketch.first as usize, sketch.round);
        let begun = up
            .comparing
            .as_ref()
            .is_some_and(|comparing| comparing.round == round);
        if first == 0 && !begun {
            let items = self.items(link);
            let Some(up) = self.up_mut(link) else { return };
            up.awaits_sketch = false;
            up.comparing = Some(Box::new(Comparing {
                round,
                items,
                sent: 0,
                cells: Vec::new(),
                lacked: Set::new(),
            }));
        }
        let Some(up) = self.up_mut(link) else { return };
        let Some(mut comparing) = up.comparing.take_if(|comparing| comparing.round == round) else {
            return;
        };
        let cells = sketch::decode(&sketch.cells).filter(|_| comparing.cells.len() == first);
        let Some(cells) = cells.filter(|cells| first + cells.len() <= limits::SKETCH_CELLS_MAX) else {
            return self.misbehaved(link, "cells of a sketch that are none");
        };
        comparing.cells.extend(cells);
        // Those asked for may come in several messages.
        if comparing.cells.len() < comparing.sent {
            up.comparing = Some(comparing);
            return;
        }
        let (theirs, ours) = (sketch.feeds as usize, comparing.items.len());
        let verdict = match comparing.items.differences(&comparing.cells) {
            Ok(differences) => return self.on_differences(link, &comparing, differences),
            // So many differ at least, and a digest of all is as short: five cells weigh a head.
            Err(few) if few.enough.max(theirs.abs_diff(ours)) / 5 >= theirs.min(ours) => Verdict::Plain,
            Err(few) if few.enough > limits::SKETCH_CELLS_MAX => Verdict::Plain,
            Err(few) => Verdict::More(few.enough as u32),
        };
        if let Verdict::More(enough) = verdict {
            comparing.sent = enough as usize;
            up.comparing = Some(comparing);
            return self.send(link, &Message::Compared(Compared { round, verdict }));
        }
        self.send(link, &Message::Compared(Compared { round, verdict }));
        let numbers = comparing.items.iter().map(|item| item.number);
        let held = numbers.filter_map(|number| self.feeds.by_number(number));
        let heads = held.map(|(device, feed)| head(device, feed)).collect();
        self.send_heads(link, heads, true);
    }

    #[cfg(not(feature = "relay"))]
    pub(crate) fn on_sketch(&mut self, _: LinkId, _: &Sketch) {}

    /// What a neighbour has differently.
    #[cfg(feature = "relay")]
    fn on_differences(&mut self, link: LinkId, comparing: &Comparing, differences: Vec<sketch::Difference>) {
        let mut told = Differences::default();
        let (mut heads, mut more, mut forks) = (Vec::new(), Vec::new(), Vec::new());
        let mut differing = Set::new();
        for difference in differences {
            let Some(item) = difference.ours else {
                told.asked.push(difference.key);
                continue;
            };
            let Some((device, feed)) = self.feeds.by_number(item.number) else {
                continue;
            };
            differing.insert(item.number);
            let theirs = difference.theirs;
            if theirs > feed.next_seq {
                more.push(FeedHead {
                    next_seq: theirs,
                    head: EntryId::default(),
                    ..head(device, feed)
                });
            } else if theirs == 0 || theirs == item.next_seq() {
                heads.push(head(device, feed));
                forks.extend(theirs.checked_sub(1).map(|seq| (device, seq)));
            } else {
                told.ahead.push((difference.key, feed.next_seq));
            }
        }
        for item in comparing
            .items
            .iter()
            .filter(|item| !differing.contains(&item.number))
        {
            if let Some(device) = self.feeds.device(item.number) {
                self.note_same(link, item, device);
            }
        }
        for head in more {
            self.note_head(link, head);
        }
        for (device, seq) in forks {
            self.probe_fork(link, device, seq);
        }
        if !heads.is_empty() {
            self.send_heads(link, heads, false);
        }
        let complete = told.asked.is_empty();
        self.send_differences(link, comparing.round, told);
        if complete {
            self.on_compared(link);
        }
        self.pump_fetches(link);
    }

    #[cfg(feature = "relay")]
    fn send_differences(&mut self, link: LinkId, round: u32, mut told: Differences) {
        loop {
            let most = limits::DIFFERENCES_PER_MESSAGE_MAX;
            let asked = told.asked.split_off(told.asked.len().min(most));
            let ahead = told
                .ahead
                .split_off(told.ahead.len().min(most - told.asked.len()));
            let end = asked.is_empty() && ahead.is_empty();
            let part = Differences { end, ..told };
            let verdict = Verdict::Differ(part);
            self.send(link, &Message::Compared(Compared { round, verdict }));
            if end {
                return;
            }
            told = Differences { asked, ahead, end };
        }
    }
}
