//! Comparing feeds with a relay by a [`super::sketch`]: where a digest costs a hundred bytes for each feed, this costs
//! about thirty for each that differs.
//!
//! The peer that dialled the relay sends cells of what it holds; the relay answers how many more it needs, or what
//! differs. Both compare what they held when it began; entries that come meanwhile are pushed anyway. Devices compare
//! with each other by digests, since they have little in common.
//!
//! Going over all feeds is done in pieces ([`super::work`]): the feeds are gathered, their cells added up, the differences
//! found in the cells and looked up among the feeds, and what both hold alike is recorded.
//!
//! Invariants: one comparison per link is under way, and a neighbour can begin no more than its [`WorkCount`] allows; of
//! limited neighbours of one address one compares many feeds at a time; a
//! neighbour makes this peer send or hold no more cells than [`limits::SKETCH_CELLS_MAX`], and each request for more
//! must ask for a quarter more than before.

use core::ops::Bound;
use core::time::Duration;

use ordered::{Map, Set};
use protocol::messages::{Compared, Differences, FeedHead, FeedKey, Message, Sketch, Verdict};
use protocol::{AccountId, DeviceId, EntryId, Instant, limits};

use crate::ctx::Ctx;
use crate::facts::Fact;
#[cfg(feature = "relay")]
use crate::io::AddressId;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::feeds::Feed;
use crate::net::{Net, Session};

use super::answers::{DigestJob, DigestScope};
use super::sketch::{self, Cell, Item, Items};
#[cfg(feature = "relay")]
use super::sketch::{Solved, Solving, TooFew};
use super::work::{HASH, LOOK, RECORD, TELL, Turn, WorkCount};
use super::{Sync, Wanting};
use crate::log::keys::FeedNumber;

#[cfg(feature = "relay")]
mod deferred;

#[cfg(feature = "relay")]
use deferred::take_cells;

/// With fewer feeds a digest is as short.
const FEEDS_MIN: usize = 16;
/// Cells a device sends first: enough for about forty differences.
const CELLS_OF_DEVICES: usize = 64;
/// Cells a relay sends first: enough for two hundred differences, since relays miss more of each other.
const CELLS_OF_RELAYS: usize = 256;

/// A neighbour that does not send the cells it was asked for within this time is not waited for: the feeds gathered for
/// the comparison take 24 bytes each.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where others of its address wait for its place.
#[cfg(feature = "relay")]
const PATIENCE_OF_MANY_FEEDS: Duration = Duration::from_secs(30);
/// The same for a comparison of this peer, which the neighbour may have put off.
const PATIENCE_OF_SENDER: Duration = Duration::from_mins(10);

/// A comparison under way on one link.
#[derive(Debug)]
struct Comparing {
    round: u32,
    /// When it began, or the other end was asked for cells.
    waits_since: Instant,
    /// The limited address whose only comparison of many feeds it is, and how many feeds it has room for.
    #[cfg(feature = "relay")]
    place: Option<(AddressId, usize)>,
    /// This end sent the sketch.
    sends: bool,
    items: Items,
    /// The accounts whose feeds are compared; `None`: those the neighbour wants.
    accounts: Option<Set<AccountId>>,
    /// Cells sent, or asked for.
    sent: usize,
    /// Cells of the feeds held here: all up to now, or those that are sent next.
    own: Vec<Cell>,
    /// Cells received.
    #[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "devices only send"))]
    cells: Vec<Cell>,
    /// Feeds that the other end holds.
    #[cfg_attr(not(feature = "relay"), expect(dead_code, reason = "devices only send"))]
    theirs: usize,
    differences: Differences,
    stage: Stage,
}

/// What is done next for a comparison.
#[derive(Debug)]
enum Stage {
    /// Gathering the feeds, from the one after this device on.
    Gathering(Option<DeviceId>),
    /// The same, of those accounts alone that are compared, from the one after this on.
    GatheringOf(Option<AccountId>),
    /// Adding feeds to the cells, from the one at this place on.
    Counting(usize),
    /// The other end is to answer.
    Waiting,
    #[cfg(feature = "relay")]
    Solving(Box<Solving>),
    /// Looking up which feeds differ.
    #[cfg(feature = "relay")]
    LookingUp(usize, Box<Solved>),
    /// Recording what both hold.
    #[cfg(feature = "relay")]
    Recording(usize, Box<Solved>),
    /// Taking what the relay said differs, and recording what both hold.
    Taking(usize, Box<Lacked>),
}

/// What a relay said differs, to be looked up.
#[derive(Debug, Default)]
struct Lacked {
    asked: Set<FeedKey>,
    ahead: Map<FeedKey, u64>,
    /// Feeds the relay lacks, found so far.
    feeds: Vec<FeedNumber>,
}

impl Comparing {
    /// The feeds are gathered.
    fn on_gathered(&mut self) {
        if self.sends {
            let first = match self.accounts {
                Some(_) => CELLS_OF_DEVICES,
                None => CELLS_OF_RELAYS,
            };
            self.own = vec![Cell::default(); first];
            self.stage = Stage::Counting(0);
        } else {
            #[cfg(feature = "relay")]
            self.count_received();
        }
    }

    /// The cells of the feeds held here are added up.
    fn on_counted(&mut self, ctx: &mut Ctx, link: LinkId) {
        if self.sends {
            send_cells(ctx, link, self);
        } else {
            #[cfg(feature = "relay")]
            self.solve();
        }
    }

    /// How long the other end is waited for.
    fn patience(&self) -> Duration {
        #[cfg(feature = "relay")]
        if self.place.is_some() {
            return PATIENCE_OF_MANY_FEEDS;
        }
        if self.sends { PATIENCE_OF_SENDER } else { PATIENCE }
    }

    fn new(round: u32, began: Instant, accounts: Option<Set<AccountId>>) -> Box<Self> {
        Box::new(Self {
            round,
            waits_since: began,
            #[cfg(feature = "relay")]
            place: None,
            sends: false,
            items: Items::default(),
            accounts,
            sent: 0,
            own: Vec::new(),
            cells: Vec::new(),
            theirs: 0,
            differences: Differences::default(),
            stage: Stage::Gathering(None),
        })
    }
}

#[derive(Debug, Default)]
struct LinkComparison {
    under_way: Option<Box<Comparing>>,
    last_round: u32,
    /// This end told the other one that a sketch would come, and has not heard what differs.
    expected: bool,
    work: WorkCount,
    /// The first cells of a comparison that the neighbour may not begin yet.
    deferred: Option<Sketch>,
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

    /// Takes the comparison of this round off its link, if it waits for the other end.
    fn take(&mut self, link: LinkId, round: u32) -> Option<Box<Comparing>> {
        let under_way = &mut self.links.get_mut(&link)?.under_way;
        under_way.take_if(|comparing| comparing.round == round && matches!(comparing.stage, Stage::Waiting))
    }

    fn put(&mut self, link: LinkId, comparing: Box<Comparing>) {
        self.links.or_default(link).under_way = Some(comparing);
    }

    /// This end tells the other one whether a sketch will come.
    pub(super) fn expect(&mut self, link: LinkId, on: bool) {
        let comparison = self.links.or_default(link);
        comparison.expected = on;
        comparison.under_way.take_if(|comparing| comparing.sends);
    }

    /// Whether the ends of a link are about to compare by sketch: a digest is not all that the neighbour holds.
    pub(super) fn is_open(&self, link: LinkId) -> bool {
        let Some(comparison) = self.links.get(&link) else {
            return false;
        };
        let found = |comparing: &Comparing| match comparing.stage {
            #[cfg(feature = "relay")]
            Stage::Recording(..) => true,
            _ => false,
        };
        comparison.expected || comparison.under_way.as_deref().is_some_and(|it| !found(it))
    }

    /// Once a second: gives up comparisons that the other end does not go on with. The links on which one may begin.
    pub(super) fn on_timer(&mut self, now: Instant) -> Vec<LinkId> {
        let mut due = Vec::new();
        for (link, comparison) in self.links.iter_mut() {
            let given_up = comparison.under_way.take_if(|comparing| {
                matches!(comparing.stage, Stage::Waiting)
                    && now.since(comparing.waits_since) >= comparing.patience()
            });
            if given_up.is_some_and(|comparing| comparing.sends) {
                comparison.expected = false;
            }
            if comparison.deferred.is_some() {
                due.push(*link);
            }
        }
        due
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

    /// Begins to compare.
    pub(super) fn send_sketch(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        if net.session(link).is_none() {
            return;
        }
        let comparison = self.comparisons.links.or_default(link);
        comparison.last_round = comparison.last_round.wrapping_add(1);
        let accounts = (!wanting.serves_others()).then(|| wanting.wanted(log));
        let mut comparing = Comparing::new(comparison.last_round, ctx.now.instant, accounts);
        comparing.sends = true;
        comparison.under_way = Some(comparing);
        self.work.begin(link);
    }

    /// Goes on with a comparison. Whether there is more to do at once.
    pub(super) fn go_on_comparing(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        turn: &mut Turn,
    ) -> bool {
        #[cfg(feature = "relay")]
        self.begin_deferred(ctx, net, log, wanting, link);
        let comparison = self.comparisons.links.get_mut(&link);
        let Some(mut comparing) = comparison.and_then(|comparison| comparison.under_way.take()) else {
            return false;
        };
        let Some(session) = net.session(link) else {
            return false;
        };
        while !turn.is_over() {
            let stage = core::mem::replace(&mut comparing.stage, Stage::Waiting);
            match stage {
                Stage::Waiting => break,
                Stage::Gathering(after) => self.gather(log, session, &mut comparing, after, turn),
                Stage::GatheringOf(after) => self.gather_of(log, session, &mut comparing, after, turn),
                Stage::Counting(at) => {
                    let from = if comparing.sends { comparing.sent } else { 0 };
                    if count(&mut comparing, at, from, turn) {
                        comparing.on_counted(ctx, link);
                    }
                }
                #[cfg(feature = "relay")]
                Stage::Solving(mut solving) => {
                    let mut is_done = false;
                    while !is_done && !turn.is_over() {
                        turn.spend(TELL);
                        is_done = solving.step();
                    }
                    if !is_done {
                        comparing.stage = Stage::Solving(solving);
                        continue;
                    }
                    match solving.end() {
                        Ok(solved) => comparing.stage = Stage::LookingUp(0, Box::new(solved)),
                        Err(few) => {
                            if self.on_too_few(ctx, link, &mut comparing, few) {
                                return false;
                            }
                        }
                    }
                }
                #[cfg(feature = "relay")]
                Stage::LookingUp(mut at, mut solved) => {
                    while let Some(item) = comparing.items.get(at).filter(|_| !turn.is_over()) {
                        turn.spend(LOOK);
                        solved.look_up(&item);
                        at += 1;
                    }
                    if at < comparing.items.len() {
                        comparing.stage = Stage::LookingUp(at, solved);
                        continue;
                    }
                    match solved.differences() {
                        Ok(differences) => {
                            turn.spend(RECORD * differences.len() as u32);
                            self.on_differences(ctx, net, log, wanting, link, comparing.round, differences);
                            comparing.stage = Stage::Recording(0, solved);
                        }
                        Err(few) => {
                            if self.on_too_few(ctx, link, &mut comparing, few) {
                                return false;
                            }
                        }
                    }
                }
                #[cfg(feature = "relay")]
                Stage::Recording(mut at, solved) => {
                    while let Some(item) = comparing.items.get(at).filter(|_| !turn.is_over()) {
                        at += 1;
                        turn.spend(LOOK);
                        if let Some(device) =
                            log.feeds.device(item.number).filter(|_| !solved.contains(&item))
                        {
                            turn.spend(RECORD);
                            self.record_same(ctx, wanting, link, &item, device);
                        }
                    }
                    if at >= comparing.items.len() {
                        return false;
                    }
                    comparing.stage = Stage::Recording(at, solved);
                }
                Stage::Taking(at, lacked) => {
                    let left = self.take_differences(
                        ctx,
                        net,
                        log,
                        wanting,
                        link,
                        &comparing.items,
                        at,
                        lacked,
                        turn,
                    );
                    match left {
                        Some((at, lacked)) => comparing.stage = Stage::Taking(at, lacked),
                        None => return false,
                    }
                }
            }
        }
        let more = !matches!(comparing.stage, Stage::Waiting);
        self.comparisons.put(link, comparing);
        more
    }

    /// Gathers the feeds that the ends of a link compare by sketch, of all there are.
    fn gather(
        &self,
        log: &Log,
        session: &Session,
        comparing: &mut Comparing,
        mut after: Option<DeviceId>,
        turn: &mut Turn,
    ) {
        let interest = self.interest(session.link);
        if comparing.accounts.is_some() || !interest.is_some_and(|interest| interest.everything) {
            comparing.items = Items::default();
            comparing.stage = Stage::GatheringOf(None);
            return;
        }
        if after.is_none() {
            comparing.items = Items::with_room(log.feeds.len());
        }
        for (device, feed) in log.feeds.after(after) {
            if turn.is_over() {
                comparing.stage = Stage::Gathering(after);
                return;
            }
            turn.spend(LOOK);
            add_item(&mut comparing.items, session, device, feed, turn);
            after = Some(*device);
        }
        comparing.on_gathered();
    }

    /// The same of some accounts.
    fn gather_of(
        &self,
        log: &Log,
        session: &Session,
        comparing: &mut Comparing,
        mut after: Option<AccountId>,
        turn: &mut Turn,
    ) {
        let matched = || Some(&self.interest(session.link)?.matched);
        let Some(accounts) = comparing.accounts.as_ref().or_else(matched) else {
            return comparing.on_gathered();
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for account in accounts.range((from, Bound::Unbounded)) {
            if turn.is_over() {
                comparing.stage = Stage::GatheringOf(after);
                return;
            }
            turn.spend(TELL);
            for (device, feed) in log.feeds.feeds_of(account) {
                add_item(&mut comparing.items, session, &device, feed, turn);
            }
            after = Some(*account);
        }
        comparing.on_gathered();
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
                comparing.own = vec![Cell::default(); enough - sent];
                comparing.stage = Stage::Counting(0);
            }
            Verdict::Plain => {
                self.comparisons.links.or_default(link).expected = false;
                let source = match comparing.accounts {
                    Some(accounts) => {
                        DigestScope::Accounts(accounts.iter().copied().collect::<Vec<_>>().into_iter())
                    }
                    None => DigestScope::Wanted(None),
                };
                self.add_digest(link, DigestJob::new(source, true));
                return self.work(ctx, net, log, wanting);
            }
            Verdict::Differ(part) => {
                let all = &mut comparing.differences;
                all.asked.extend(part.asked);
                all.ahead.extend(part.ahead);
                if all.asked.len() + all.ahead.len() > limits::SKETCH_CELLS_MAX {
                    return ctx.misbehaved(link, "more differences than cells");
                }
                if !part.end {
                    return self.comparisons.put(link, comparing);
                }
                let Differences { asked, ahead, .. } = core::mem::take(all);
                let lacked = Lacked {
                    asked: asked.into_iter().collect(),
                    ahead: ahead.into_iter().collect(),
                    feeds: Vec::new(),
                };
                comparing.stage = Stage::Taking(0, Box::new(lacked));
            }
        }
        self.comparisons.put(link, comparing);
        self.work.begin(link);
        self.work(ctx, net, log, wanting);
    }

    /// Records what a relay holds more of and what both hold alike, and sends the heads of what it lacks. What is left
    /// to do.
    fn take_differences(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        items: &Items,
        mut at: usize,
        mut lacked: Box<Lacked>,
        turn: &mut Turn,
    ) -> Option<(usize, Box<Lacked>)> {
        while let Some(item) = items.get(at).filter(|_| !turn.is_over()) {
            at += 1;
            turn.spend(LOOK);
            let key = item.short();
            let Some((device, feed)) = log.feeds.by_number(item.number) else {
                continue;
            };
            if lacked.asked.contains(&key) {
                lacked.feeds.push(item.number);
                continue;
            }
            turn.spend(RECORD);
            let account = feed.account;
            let ahead = lacked.ahead.get(&key).copied();
            if let Some(next_seq) = ahead.filter(|next_seq| *next_seq > feed.valid_len()) {
                let head = FeedHead {
                    account,
                    device,
                    next_seq,
                    head: EntryId::default(),
                };
                self.record_head(ctx, net, log, wanting, link, head);
            }
            self.record_same(ctx, wanting, link, &item, device);
            self.record_mention(ctx, log, wanting, link, account);
        }
        self.pump_fetches(ctx, net, log, wanting, link);
        if at < items.len() {
            return Some((at, lacked));
        }
        self.comparisons.links.or_default(link).expected = false;
        let lacked = lacked.feeds;
        if !lacked.is_empty() {
            self.add_digest(link, DigestJob::new(DigestScope::Feeds(lacked.into_iter()), true));
        }
        ctx.fact(Fact::Compared { link });
        None
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

fn add_item(items: &mut Items, session: &Session, device: &DeviceId, feed: &Feed, turn: &mut Turn) {
    let (next_seq, head) = feed.shared();
    if next_seq > 0 {
        turn.spend(HASH);
        items.push(Item::new(
            &session.link_salt,
            device,
            next_seq,
            &head,
            feed.number,
        ));
    }
}

/// Adds feeds to the cells, the first of which has the number `from`. Whether all are added.
fn count(comparing: &mut Comparing, mut at: usize, from: usize, turn: &mut Turn) -> bool {
    while let Some(item) = comparing.items.get(at).filter(|_| !turn.is_over()) {
        turn.spend(HASH);
        item.add_to(&mut comparing.own, from);
        at += 1;
    }
    let is_done = at >= comparing.items.len();
    if !is_done {
        comparing.stage = Stage::Counting(at);
    }
    is_done
}

/// Sends the cells that were added up.
fn send_cells(ctx: &mut Ctx, link: LinkId, comparing: &mut Comparing) {
    for cells in core::mem::take(&mut comparing.own).chunks(limits::SKETCH_CELLS_PER_MESSAGE_MAX) {
        let message = Message::Sketch(Sketch {
            round: comparing.round,
            feeds: comparing.items.len() as u32,
            first: comparing.sent as u32,
            cells: sketch::encode(cells),
        });
        comparing.sent += cells.len();
        ctx.send(link, &message);
    }
}

/// A relay's part.
#[cfg(feature = "relay")]
impl Comparing {
    /// Looks for the differences between both ends' cells.
    fn solve(&mut self) {
        let solving = Solving::new(&self.cells, &self.own);
        self.stage = Stage::Solving(Box::new(solving));
    }

    /// Once all cells asked for are there, those of the feeds held here are added up.
    fn count_received(&mut self) {
        if !matches!(self.stage, Stage::Waiting) || self.cells.len() < self.sent {
            return;
        }
        // A feed falls into later cells by what it fell into before, so all are added up from the first one.
        self.own = vec![Cell::default(); self.cells.len()];
        self.stage = Stage::Counting(0);
    }
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
        sketch: Sketch,
    ) {
        if net.session(link).is_none() || !wanting.serves_others() {
            return;
        }
        let interest = self.interests.or_default(link);
        if interest.resume_failed {
            return;
        }
        if sketch.first == 0 {
            interest.awaits_sketch = false;
            let comparison = self.comparisons.links.or_default(link);
            let before = comparison.under_way.take();
            if before.is_some_and(|before| before.round == sketch.round && !before.sends) {
                return ctx.misbehaved(link, "the same cells of a sketch again");
            }
            comparison.deferred = Some(sketch);
            self.work.begin(link);
            return self.work(ctx, net, log, wanting);
        }
        // Those asked for may come in several messages.
        let Some(mut comparing) = self.comparisons.take(link, sketch.round) else {
            return;
        };
        if take_cells(ctx, link, &mut comparing, &sketch) {
            comparing.count_received();
            self.comparisons.put(link, comparing);
            self.work.begin(link);
            self.work(ctx, net, log, wanting);
        }
    }

    /// The cells do not tell all differences. Whether the comparison ends with that.
    fn on_too_few(&mut self, ctx: &mut Ctx, link: LinkId, comparing: &mut Comparing, few: TooFew) -> bool {
        let (round, theirs, ours) = (comparing.round, comparing.theirs, comparing.items.len());
        // At least this many differ, and a digest of all is as short: five cells weigh a head.
        let is_as_short = few.enough.max(theirs.abs_diff(ours)) / 5 >= theirs.min(ours);
        let plain = is_as_short || few.enough > limits::SKETCH_CELLS_MAX;
        let verdict = if plain {
            Verdict::Plain
        } else {
            comparing.sent = few.enough;
            comparing.waits_since = ctx.now.instant;
            Verdict::More(few.enough as u32)
        };
        ctx.send(link, &Message::Compared(Compared { round, verdict }));
        if plain {
            self.add_digest(link, DigestJob::new(DigestScope::Wanted(None), true));
        }
        plain
    }

    /// What a neighbour holds differently.
    fn on_differences(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        round: u32,
        differences: Vec<sketch::Difference>,
    ) {
        let mut told = Differences::default();
        let (mut lacked, mut more, mut forks) = (Vec::new(), Vec::new(), Vec::new());
        for difference in differences {
            let Some(item) = difference.ours else {
                told.asked.push(difference.key);
                continue;
            };
            let Some((device, feed)) = log.feeds.by_number(item.number) else {
                continue;
            };
            let theirs = difference.theirs;
            if theirs > feed.valid_len() {
                more.push(FeedHead {
                    account: feed.account,
                    device,
                    next_seq: theirs,
                    head: EntryId::default(),
                });
            } else if theirs == 0 || theirs == item.next_seq() {
                lacked.push(item.number);
                forks.extend(theirs.checked_sub(1).map(|seq| (device, seq)));
            } else {
                told.ahead.push((difference.key, feed.shared().0));
            }
        }
        for head in more {
            self.record_head(ctx, net, log, wanting, link, head);
        }
        for (device, seq) in forks {
            self.probe_fork(ctx, net, link, device, seq);
        }
        let complete = told.asked.is_empty();
        let verdicts = differences_in_parts(round, told);
        if lacked.is_empty() {
            verdicts.iter().for_each(|verdict| ctx.send(link, verdict));
        } else {
            // That these are all differences is said after the last one.
            let mut job = DigestJob::new(DigestScope::Feeds(lacked.into_iter()), true);
            (job.end, job.then) = (false, verdicts);
            self.add_digest(link, job);
        }
        if complete {
            ctx.fact(Fact::Compared { link });
        }
        self.pump_fetches(ctx, net, log, wanting, link);
    }
}

#[cfg(not(feature = "relay"))]
impl Sync {
    #[expect(clippy::unused_self, reason = "relays compare")]
    pub(super) fn on_sketch(&mut self, _: &mut Ctx, _: &Net, _: &Log, _: Wanting<'_>, _: LinkId, _: Sketch) {}
}

#[cfg(feature = "relay")]
fn differences_in_parts(round: u32, mut told: Differences) -> Vec<Message> {
    let mut parts = Vec::new();
    loop {
        let most = limits::DIFFERENCES_PER_MESSAGE_MAX;
        let asked = told.asked.split_off(told.asked.len().min(most));
        let ahead = told
            .ahead
            .split_off(told.ahead.len().min(most - told.asked.len()));
        let end = asked.is_empty() && ahead.is_empty();
        let part = Differences { end, ..told };
        let verdict = Verdict::Differ(part);
        parts.push(Message::Compared(Compared { round, verdict }));
        if end {
            return parts;
        }
        told = Differences { asked, ahead, end };
    }
}

#[cfg(all(test, feature = "relay"))]
#[path = "compare_tests.rs"]
mod tests;
