//! Comparing feeds with a relay by a [`super::sketch`]: where a digest costs a hundred bytes for each feed, this costs
//! about thirty for each that differs.
//!
//! The peer that dialled the relay sends cells of what it holds; the relay answers how many more it needs, or what
//! differs. Both compare what they held when it began; entries that come meanwhile are pushed anyway. Devices compare
//! with each other by digests, since they have little in common.
//!
//! Invariants: one comparison per link is under way; a neighbour makes this peer send or hold no more cells than
//! [`limits::SKETCH_CELLS_MAX`], and each request for more must ask for a quarter more than before.

use ordered::{Map, Set};
use protocol::messages::{Compared, Differences, FeedHead, FeedKey, Message, Sketch, Verdict};
use protocol::{AccountId, DeviceId, EntryId, limits};

use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::LinkId;
use crate::log::Log;
use crate::net::{Net, Session};

use super::digest::head_of;
use super::sketch::{self, Cell, Item, Items};
use super::{Sync, Wanting};

/// With fewer feeds a digest is as short.
const FEEDS_MIN: usize = 16;
/// Cells a device sends first: enough for about forty differences.
const CELLS_OF_DEVICES: usize = 64;
/// Cells a relay sends first: enough for two hundred differences, since relays miss more of each other.
const CELLS_OF_RELAYS: usize = 256;

/// A comparison under way on one link.
#[derive(Debug)]
struct Comparing {
    round: u32,
    items: Items,
    /// Cells sent, or asked for.
    sent: usize,
    /// Cells received.
    #[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "devices only send"))]
    cells: Vec<Cell>,
    /// Feeds the other end lacks, of those it spoke of so far.
    lacked: Set<DeviceId>,
}

impl Comparing {
    fn new(round: u32, items: Items) -> Box<Self> {
        Box::new(Self {
            round,
            items,
            sent: 0,
            cells: Vec::new(),
            lacked: Set::new(),
        })
    }
}

#[derive(Debug, Default)]
struct LinkComparison {
    under_way: Option<Box<Comparing>>,
    last_round: u32,
}

/// The comparisons of all links.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    links: Map<LinkId, LinkComparison>,
}

impl Comparisons {
    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Takes the comparison of this round off its link.
    fn take(&mut self, link: LinkId, round: u32) -> Option<Box<Comparing>> {
        let under_way = &mut self.links.get_mut(&link)?.under_way;
        under_way.take_if(|comparing| comparing.round == round)
    }

    /// Another comparison begins on the link.
    #[cfg(feature = "relay")]
    fn abandon(&mut self, link: LinkId) {
        self.links.or_default(link).under_way = None;
    }

    fn put(&mut self, link: LinkId, comparing: Box<Comparing>) {
        self.links.or_default(link).under_way = Some(comparing);
    }
}

impl Sync {
    /// Whether this end is to send a sketch on a link.
    pub(super) fn may_sketch(&self, log: &Log, wanting: Wanting<'_>, session: &Session) -> bool {
        if !session.dialled || !session.relay {
            return false;
        }
        if wanting.serves_others() {
            return log.feeds.len() >= FEEDS_MIN;
        }
        let wanted = wanting.wanted(log);
        let held = wanted.iter().map(|account| log.feeds.devices(account).len());
        held.sum::<usize>() >= FEEDS_MIN
    }

    /// The feeds that the ends of a link compare by sketch.
    fn items(&self, log: &Log, wanting: Wanting<'_>, session: &Session) -> Items {
        let mut items = Vec::new();
        let mut add = |account: &AccountId| {
            for (device, feed) in log.feeds.feeds_of(account) {
                let (next_seq, head) = feed.shared();
                if next_seq > 0 {
                    let salt = &session.link_salt;
                    items.push(Item::new(salt, &device, next_seq, &head, feed.number));
                }
            }
        };
        if wanting.serves_others() {
            let interest = self.interest(session.link);
            let wants = |account: &AccountId| interest.is_some_and(|interest| interest.wants(account));
            let accounts = log.feeds.accounts().filter(wants);
            accounts.for_each(|account| add(&account));
        } else {
            wanting.wanted(log).iter().for_each(&mut add);
        }
        Items::new(items)
    }

    /// Begins to compare.
    pub(super) fn send_sketch(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        let Some(session) = net.session(link) else { return };
        let items = self.items(log, wanting, session);
        let first = if wanting.serves_others() {
            CELLS_OF_RELAYS
        } else {
            CELLS_OF_DEVICES
        };
        let comparison = self.comparisons.links.or_default(link);
        comparison.last_round = comparison.last_round.wrapping_add(1);
        let mut comparing = Comparing::new(comparison.last_round, items);
        send_cells(ctx, link, &mut comparing, first);
        comparison.under_way = Some(comparing);
    }

    /// What came of this peer's sketch.
    pub(super) fn on_verdict(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        compared: Compared,
    ) {
        // An answer to an earlier round means nothing any more.
        let Some(mut comparing) = self.comparisons.take(link, compared.round) else {
            return;
        };
        match compared.verdict {
            Verdict::More(enough) => {
                let (enough, sent) = (enough as usize, comparing.sent);
                if enough < sent + sent / 4 || enough > limits::SKETCH_CELLS_MAX {
                    return ctx.misbehaved(link, "a request for cells that are too few or too many");
                }
                send_cells(ctx, link, &mut comparing, enough);
                self.comparisons.put(link, comparing);
            }
            Verdict::Plain => self.send_heads(ctx, link, heads_of(log, &comparing.items), true),
            Verdict::Differ(differences) => {
                let heads = self.take_differences(ctx, net, log, wanting, link, &mut comparing, &differences);
                let lacks = !comparing.lacked.is_empty();
                if differences.end {
                    self.end_comparing(ctx, log, wanting, link, &comparing);
                } else {
                    self.comparisons.put(link, comparing);
                }
                if !heads.is_empty() || (differences.end && lacks) {
                    self.send_heads(ctx, link, heads, differences.end);
                }
                self.pump_fetches(ctx, net, log, wanting, link);
            }
        }
    }

    /// Records what a relay holds more of. The heads of what it lacks.
    fn take_differences(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        comparing: &mut Comparing,
        differences: &Differences,
    ) -> Vec<FeedHead> {
        let asked: Set<FeedKey> = differences.asked.iter().copied().collect();
        let ahead: Map<FeedKey, u64> = differences.ahead.iter().copied().collect();
        let (mut heads, mut more) = (Vec::new(), Vec::new());
        for item in comparing.items.iter() {
            let key = item.short();
            let Some((device, feed)) = log.feeds.by_number(item.number) else {
                continue;
            };
            if asked.contains(&key) {
                comparing.lacked.insert(device);
                heads.extend(head_of(device, feed));
            } else if let Some(next_seq) = ahead.get(&key).filter(|next_seq| **next_seq > feed.next_seq) {
                more.push(FeedHead {
                    account: feed.account,
                    device,
                    next_seq: *next_seq,
                    head: EntryId::default(),
                });
            }
        }
        for head in more {
            self.record_head(ctx, net, log, wanting, link, head);
        }
        heads
    }

    /// Everything that differs was said: the rest is held by both.
    fn end_comparing(
        &mut self,
        ctx: &mut Ctx,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        comparing: &Comparing,
    ) {
        for item in comparing.items.iter() {
            let Some((device, feed)) = log.feeds.by_number(item.number) else {
                continue;
            };
            if comparing.lacked.contains(&device) {
                continue;
            }
            let account = feed.account;
            self.record_same(ctx, wanting, link, item, device);
            self.record_mention(ctx, log, wanting, link, account);
        }
        ctx.fact(Fact::Compared { link });
    }

    /// The neighbour holds at least as much of a feed as was here when the comparison began, or will ask for it.
    fn record_same(
        &mut self,
        ctx: &mut Ctx,
        wanting: Wanting<'_>,
        link: LinkId,
        item: &Item,
        device: DeviceId,
    ) {
        self.raise_advertised(link, item.number, item.next_seq());
        Self::record_peer_has(ctx, wanting, link, device, item.next_seq());
    }
}

/// Sends cells until this many are sent.
fn send_cells(ctx: &mut Ctx, link: LinkId, comparing: &mut Comparing, enough: usize) {
    let mut first = comparing.sent;
    let cells = comparing.items.cells(first, enough);
    comparing.sent = enough;
    for cells in cells.chunks(limits::SKETCH_CELLS_PER_MESSAGE_MAX) {
        let message = Message::Sketch(Sketch {
            round: comparing.round,
            feeds: comparing.items.len() as u32,
            first: first as u32,
            cells: sketch::encode(cells),
        });
        first += cells.len();
        ctx.send(link, &message);
    }
}

/// How far the feeds of a comparison are held by now.
fn heads_of(log: &Log, items: &Items) -> Vec<FeedHead> {
    let feeds = items.iter().filter_map(|item| log.feeds.by_number(item.number));
    feeds.filter_map(|(device, feed)| head_of(device, feed)).collect()
}

/// A relay's part.
#[cfg(feature = "relay")]
impl Sync {
    /// Cells of what a neighbour holds.
    pub(super) fn on_sketch(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        sketch: &Sketch,
    ) {
        let Some(session) = net.session(link).filter(|_| wanting.serves_others()) else {
            return;
        };
        let interest = self.interests.or_default(link);
        if interest.resume_failed {
            return;
        }
        let (first, round) = (sketch.first as usize, sketch.round);
        let under_way = self.comparisons.take(link, round);
        let mut comparing = match under_way {
            Some(comparing) => comparing,
            None if first == 0 => {
                interest.awaits_sketch = false;
                self.comparisons.abandon(link);
                Comparing::new(round, self.items(log, wanting, session))
            }
            None => return,
        };
        let cells = sketch::decode(&sketch.cells).filter(|_| comparing.cells.len() == first);
        let Some(cells) = cells.filter(|cells| first + cells.len() <= limits::SKETCH_CELLS_MAX) else {
            return ctx.misbehaved(link, "cells of a sketch that are none");
        };
        comparing.cells.extend(cells);
        // Those asked for may come in several messages.
        if comparing.cells.len() < comparing.sent {
            return self.comparisons.put(link, comparing);
        }
        let (theirs, ours) = (sketch.feeds as usize, comparing.items.len());
        let verdict = match comparing.items.differences(&comparing.cells) {
            Ok(differences) => {
                return self.on_differences(ctx, net, log, wanting, link, &comparing, differences);
            }
            // At least this many differ, and a digest of all is as short: five cells weigh a head.
            Err(few) if few.enough.max(theirs.abs_diff(ours)) / 5 >= theirs.min(ours) => Verdict::Plain,
            Err(few) if few.enough > limits::SKETCH_CELLS_MAX => Verdict::Plain,
            Err(few) => Verdict::More(few.enough as u32),
        };
        if let Verdict::More(enough) = verdict {
            comparing.sent = enough as usize;
            self.comparisons.put(link, comparing);
            return ctx.send(link, &Message::Compared(Compared { round, verdict }));
        }
        ctx.send(link, &Message::Compared(Compared { round, verdict }));
        self.send_heads(ctx, link, heads_of(log, &comparing.items), true);
    }

    /// What a neighbour holds differently.
    fn on_differences(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        comparing: &Comparing,
        differences: Vec<sketch::Difference>,
    ) {
        let mut told = Differences::default();
        let (mut heads, mut more, mut forks) = (Vec::new(), Vec::new(), Vec::new());
        let mut differing = Set::new();
        for difference in differences {
            let Some(item) = difference.ours else {
                told.asked.push(difference.key);
                continue;
            };
            let Some((device, feed)) = log.feeds.by_number(item.number) else {
                continue;
            };
            differing.insert(item.number);
            let theirs = difference.theirs;
            if theirs > feed.next_seq {
                more.push(FeedHead {
                    account: feed.account,
                    device,
                    next_seq: theirs,
                    head: EntryId::default(),
                });
            } else if theirs == 0 || theirs == item.next_seq() {
                heads.extend(head_of(device, feed));
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
            if let Some(device) = log.feeds.device(item.number) {
                self.record_same(ctx, wanting, link, item, device);
            }
        }
        for head in more {
            self.record_head(ctx, net, log, wanting, link, head);
        }
        for (device, seq) in forks {
            self.probe_fork(ctx, net, link, device, seq);
        }
        if !heads.is_empty() {
            self.send_heads(ctx, link, heads, false);
        }
        let complete = told.asked.is_empty();
        send_differences(ctx, link, comparing.round, told);
        if complete {
            ctx.fact(Fact::Compared { link });
        }
        self.pump_fetches(ctx, net, log, wanting, link);
    }
}

#[cfg(not(feature = "relay"))]
impl Sync {
    #[expect(clippy::unused_self, reason = "relays compare")]
    pub(super) fn on_sketch(&mut self, _: &mut Ctx, _: &Net, _: &Log, _: Wanting<'_>, _: LinkId, _: &Sketch) {
    }
}

#[cfg(feature = "relay")]
fn send_differences(ctx: &mut Ctx, link: LinkId, round: u32, mut told: Differences) {
    loop {
        let most = limits::DIFFERENCES_PER_MESSAGE_MAX;
        let asked = told.asked.split_off(told.asked.len().min(most));
        let ahead = told
            .ahead
            .split_off(told.ahead.len().min(most - told.asked.len()));
        let end = asked.is_empty() && ahead.is_empty();
        let part = Differences { end, ..told };
        let verdict = Verdict::Differ(part);
        ctx.send(link, &Message::Compared(Compared { round, verdict }));
        if end {
            return;
        }
        told = Differences { asked, ahead, end };
    }
}

#[cfg(all(test, feature = "relay"))]
#[path = "compare_tests.rs"]
mod tests;
