//! Fetching what neighbours hold beyond what is held here ([`Message::Want`]), answered in order ([`Message::Entries`]
//! …, [`Message::RangeEnd`]). A feed is fetched from one neighbour; while it does not grow by verified entries, one
//! more neighbour that holds more of it is asked every [`SLOW`], and a neighbour that goes is replaced. A device of the
//! feed's account is asked at once; neighbours that did not send the feed before come last ([`super::failures`]).
//!
//! Invariant: of a neighbour no more than [`REQUESTS_MAX`] requests are remembered, and no more feeds than
//! [`super::missing`] has room for.
//!
//! While too much waits for the disk ([`Ctx::has_room_to_write`]), entries are refused and nothing is asked for; what
//! neighbours hold is remembered and fetched once there is room.

use std::time::Duration;

use gossip::broadcast::Route;
use ordered::{Map, Set, sorted_by_key};
use protocol::messages::{Entries, FeedHead, HeadCredit, Message, Quota, QuotaExceeded, Want};
use protocol::{AccountId, DeviceId, Entry, Instant, limits};
use rand_core::Rng as _;

use crate::ctx::Ctx;
use crate::facts::{Fact, Source};
#[cfg(feature = "relay")]
use crate::io::AddressId;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::append::Taken;
use crate::log::feeds::Feed;
use crate::net::Net;

use super::failures::Failures;
use super::quotas::Addition;
use super::{Sync, Wanting};

/// Maximum number of requests in progress to one neighbour: on a link with a round trip of 40 ms, 4,800 feeds a second.
/// With fewer than [`super::serve::WAITING_MAX`], audits and the like find room at the neighbour.
const REQUESTS_MAX: usize = 192;
/// Entries requested from one neighbour at once, some 2.5 MB. A longer range is requested alone.
const REQUESTED_ENTRIES_MAX: u64 = 8_192;
/// Bytes of a usual entry.
const ENTRY_BYTES: u64 = 300;
/// A feed that is fetched and did not grow for this time is requested from a further neighbour too.
pub(super) const SLOW: Duration = Duration::from_secs(4);
/// A request is given up if neither its feed nor any other one grew by what its neighbour sent for this time.
pub(super) const STALLED: Duration = Duration::from_secs(15);
/// A neighbour that named more feeds than are remembered is asked again once no more than this number are left.
const ASK_AGAIN_BELOW: usize = 1_024;
/// A neighbour is sent at most once in this time that a quota is used up.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);
/// Bytes of an entry beside its body.
const HEADER_BYTES: u64 = 250;
/// Credit for heads is granted in pieces of this number.
pub(super) const GRANT_HEADS: u32 = limits::HEADS_WINDOW / 4;

/// A request of ours that a neighbour is answering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// How far the neighbour said it holds the feed.
    pub(crate) next_seq: u64,
    /// Entries asked for, at most [`REQUESTED_ENTRIES_MAX`].
    entries: u64,
    is_second: bool,
    progress: Instant,
}

/// A neighbour holds a feed further than this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerHolds {
    pub(crate) account: AccountId,
    pub(crate) next_seq: u64,
    /// A request for it was given up before.
    pub(super) is_second: bool,
    /// It is not requested before: a quota is used up.
    pub(super) not_before: Instant,
}

/// What is fetched over one link.
#[derive(Debug, Default)]
pub(super) struct LinkFetches {
    /// Wanted feeds of which the neighbour holds more.
    pub(super) missing: Map<DeviceId, PeerHolds>,
    requests: Map<u32, Request>,
    last_request: u32,
    /// When a requested feed grew last by what the neighbour sent.
    progress: Instant,
    /// Heads handled and not granted again yet.
    heads: u32,
    /// Nothing is requested before: the quota of the neighbour's address is used up.
    not_before: Instant,
    /// When the neighbour was last sent that a quota is used up.
    reported: Option<Instant>,
    /// When it was last asked for work, and for how many bits.
    #[cfg(feature = "relay")]
    asked_for_work: Option<(Instant, u8)>,
    /// The address whose quotas limit it.
    #[cfg(feature = "relay")]
    pub(super) address: Option<AddressId>,
    /// What it did not send.
    failures: Failures,
    /// There was no room for a feed that the neighbour named; when it may be asked again.
    pub(super) overflowed: Option<Instant>,
}

impl LinkFetches {
    fn number(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }

    /// Whether a range of this many entries may be requested now; `most`: entries that may be requested at once.
    fn has_room(&self, entries: u64, most: u64) -> bool {
        let requested: u64 = self.requests.values().map(|request| request.entries).sum();
        self.requests.len() < REQUESTS_MAX && (self.requests.is_empty() || requested + entries <= most)
    }
}

/// A feed that is being fetched.
#[derive(Debug)]
struct Fetching {
    /// The links over which it was requested.
    links: Vec<LinkId>,
    /// When it grew last by requested entries, or a further neighbour was asked.
    progress: Instant,
}

/// The feeds in progress, and the links over which each is fetched.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    pub(super) links: Map<LinkId, LinkFetches>,
    feeds: Map<DeviceId, Fetching>,
    /// Bytes relays sent to this relay in this second.
    repaired: u32,
    /// Something was not fetched, because too much waits for the disk.
    put_off: bool,
    /// When a quota allows the next feed that waits for it.
    delayed_until: Option<Instant>,
    /// Feeds recorded as missing.
    #[cfg(feature = "relay")]
    pub(super) recorded: usize,
}

impl Fetches {
    /// Feeds of which a neighbour holds more, and which are not requested.
    pub(super) fn missing_len(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |of_link| of_link.missing.len())
    }

    /// A neighbour sent heads of which nothing is to be remembered.
    pub(super) fn add_handled(&mut self, link: LinkId, heads: usize) {
        let of_link = self.links.or_default(link);
        of_link.heads = of_link.heads.saturating_add(heads as u32);
    }

    /// A requested feed grew by what the neighbour sent.
    fn on_progress(&mut self, link: LinkId, request: u32, device: &DeviceId, now: Instant) {
        if let Some(of_link) = self.links.get_mut(&link) {
            of_link.progress = now;
            of_link.failures.on_progress(device);
            if let Some(request) = of_link.requests.get_mut(&request) {
                request.progress = now;
            }
        }
        if let Some(fetching) = self.feeds.get_mut(device) {
            fetching.progress = now;
        }
    }

    /// A quota is used up for so long: the feed, or all that the neighbour holds, is fetched after that. Whether the
    /// neighbour is to be sent that.
    fn delay(&mut self, now: Instant, link: LinkId, device: &DeviceId, quota: Quota, wait: Duration) -> bool {
        self.put_off_feed(now, link, device, wait);
        if quota == Quota::AddressBytes {
            self.links.or_default(link).not_before = now + wait;
        }
        self.may_report(now, link)
    }

    /// A feed that the neighbour holds is requested after this time.
    pub(super) fn put_off_feed(&mut self, now: Instant, link: LinkId, device: &DeviceId, wait: Duration) {
        let until = now + wait;
        let of_link = self.links.or_default(link);
        if let Some(claim) = of_link.missing.get_mut(device) {
            claim.not_before = until;
        }
        let earlier = self.delayed_until.is_none_or(|before| until < before);
        if earlier {
            self.delayed_until = Some(until);
        }
    }

    /// Whether a neighbour is to be sent that a quota is used up; then it counts as sent.
    pub(super) fn may_report(&mut self, now: Instant, link: LinkId) -> bool {
        may_again(&mut self.links.or_default(link).reported, now, REPORT_INTERVAL)
    }

    /// Whether a neighbour may be asked for work of this many bits: for more than before at once, else after an interval.
    /// Then it counts as asked.
    #[cfg(feature = "relay")]
    pub(super) fn may_ask_for_work(
        &mut self,
        now: Instant,
        link: LinkId,
        bits: u8,
        interval: Duration,
    ) -> bool {
        let asked = &mut self.links.or_default(link).asked_for_work;
        let may = asked.is_none_or(|(at, before)| bits > before || now.since(at) >= interval);
        if may {
            *asked = Some((now, bits));
        }
        may
    }

    /// The feeds of an account that a neighbour holds are requested at once.
    #[cfg(feature = "relay")]
    pub(super) fn resume_account(&mut self, link: LinkId, account: &AccountId) {
        let missing = self.links.or_default(link).missing.values_mut();
        for claim in missing.filter(|claim| claim.account == *account) {
            claim.not_before = Instant::default();
        }
    }

    /// Whether feeds may be fetched again that waited for a quota.
    fn end_delays(&mut self, now: Instant) -> bool {
        if self.delayed_until.is_none_or(|until| now < until) {
            return false;
        }
        let links = self.links.values().flat_map(|of_link| {
            let claims = of_link.missing.values().map(|claim| claim.not_before);
            claims.chain([of_link.not_before])
        });
        self.delayed_until = links.filter(|until| *until > now).min();
        true
    }

    /// Feeds that others are to send rather than this neighbour, which did not send them before.
    fn left_to_others(&self, link: LinkId, now: Instant) -> Set<DeviceId> {
        let Some(of_link) = self.links.get(&link) else {
            return Set::new();
        };
        let may_send = |other: &LinkFetches, device: &DeviceId| {
            other.missing.contains_key(device) && !other.failures.is_paused(device, now)
        };
        let others = || self.links.iter().filter(|(other, _)| **other != link);
        let is_left = |device: &&DeviceId| {
            let fetching = self.feeds.get(*device);
            let is_asked = fetching.is_some_and(|fetching| fetching.links.iter().any(|other| *other != link));
            is_asked || others().any(|(_, other)| may_send(other, device))
        };
        of_link.failures.paused(now).filter(is_left).copied().collect()
    }

    /// Takes a request off the feed that it fetches.
    fn end_request(&mut self, link: LinkId, device: &DeviceId) {
        if let Some(fetching) = self.feeds.get_mut(device) {
            fetching.links.retain(|of| *of != link);
            if fetching.links.is_empty() {
                self.feeds.remove(device);
            }
        }
    }
}

/// Whether the interval has passed since `last`, which is now in that case.
fn may_again(last: &mut Option<Instant>, now: Instant, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| now.since(last) >= interval);
    if is_due {
        *last = Some(now);
    }
    is_due
}

impl Sync {
    /// Whether anything is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        !self.fetches.feeds.is_empty()
    }

    /// Feeds of which a neighbour holds more, as far as that is not asked for.
    pub(crate) fn missing(&self, link: LinkId) -> impl Iterator<Item = (&DeviceId, &PeerHolds)> {
        let link = self.fetches.links.get(&link);
        link.into_iter().flat_map(|link| link.missing.iter())
    }

    /// What a neighbour was asked for and has not answered in full.
    pub(crate) fn requests(&self, link: LinkId) -> impl Iterator<Item = &Request> {
        let link = self.fetches.links.get(&link);
        link.into_iter().flat_map(|link| link.requests.values())
    }

    /// Asks a neighbour for the one entry that shows whether its branch of a feed is another than ours.
    pub(super) fn probe_fork(&mut self, ctx: &mut Ctx, net: &Net, link: LinkId, device: DeviceId, seq: u64) {
        if self.requests(link).count() < REQUESTS_MAX {
            self.want_one(ctx, net, link, device, seq);
        }
    }

    /// Asks for one entry that is not part of a fetch. The number of the request.
    pub(crate) fn want_one(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        link: LinkId,
        device: DeviceId,
        seq: u64,
    ) -> Option<u32> {
        net.session(link)?;
        let want = Want {
            request: self.fetches.links.or_default(link).number(),
            device,
            from: seq,
            to: seq + 1,
        };
        ctx.send(link, &Message::Want(want));
        Some(want.request)
    }

    /// Whether a link is one between relays, and what those may fetch in this second is used up.
    fn repairs_enough(&self, ctx: &Ctx, net: &Net, wanting: Wanting<'_>, link: LinkId) -> bool {
        let between_relays =
            wanting.serves_others() && net.session(link).is_some_and(|session| session.relay);
        between_relays && self.fetches.repaired >= ctx.config.repair_bytes_per_s
    }

    /// Asks a neighbour for what it holds beyond this peer, as much as may be under way.
    pub(super) fn pump_fetches(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        if !ctx.has_room_to_write() {
            self.fetches.put_off = true;
            return;
        }
        if self.repairs_enough(ctx, net, wanting, link) {
            // Goes on with the next second.
            return;
        }
        let now = ctx.now.instant;
        let most = match net.session(link) {
            // What is under way must not exceed by far what relays may send in a second.
            Some(session) if session.relay && wanting.serves_others() => {
                REQUESTED_ENTRIES_MAX.min(u64::from(ctx.config.repair_bytes_per_s) / ENTRY_BYTES)
            }
            _ => REQUESTED_ENTRIES_MAX,
        };
        let left_to_others = self.fetches.left_to_others(link, now);
        let of_account = net.session(link).and_then(|session| session.account);
        let Fetches { links, feeds, .. } = &mut self.fetches;
        let Some(of_link) = links.get_mut(&link) else {
            return;
        };
        if of_link.not_before > now {
            return;
        }
        let mut done = Vec::new();
        for (device, claim) in &of_link.missing {
            if of_link.requests.len() >= REQUESTS_MAX {
                break;
            }
            if claim.not_before > now || left_to_others.contains(device) {
                continue;
            }
            let held = log.feeds.get(device).map_or(0, Feed::valid_len);
            let upto = claim.next_seq.min(log.limit_of(claim.account, device));
            if held < upto {
                let fetching = feeds.get(device);
                let is_own = of_account == Some(claim.account);
                let is_fetched = |fetching: &Fetching| {
                    fetching.links.contains(&link) || (now.since(fetching.progress) < SLOW && !is_own)
                };
                if fetching.is_some_and(is_fetched) {
                    continue;
                }
                let entries = (upto - held).min(REQUESTED_ENTRIES_MAX);
                if !of_link.has_room(entries, most) {
                    break;
                }
                let fetching = feeds.or_insert_with(*device, || Fetching {
                    links: Vec::new(),
                    progress: now,
                });
                fetching.links.push(link);
                fetching.progress = now;
                if of_link.requests.is_empty() {
                    of_link.progress = now;
                }
                of_link.last_request = of_link.last_request.wrapping_add(1);
                let request = of_link.last_request;
                of_link.requests.insert(
                    request,
                    Request {
                        account: claim.account,
                        device: *device,
                        next_seq: upto,
                        entries,
                        is_second: claim.is_second,
                        progress: now,
                    },
                );
                ctx.send(
                    link,
                    &Message::Want(Want {
                        request,
                        device: *device,
                        from: held,
                        to: upto,
                    }),
                );
            }
            done.push((*device, claim.next_seq));
        }
        of_link.heads = of_link.heads.saturating_add(done.len() as u32);
        if of_link.heads >= GRANT_HEADS {
            let heads = core::mem::take(&mut of_link.heads);
            if net.session(link).is_some_and(|session| session.paces_digests) {
                ctx.send(link, &Message::HeadCredit(HeadCredit { heads }));
            }
        }
        for (device, next_seq) in done {
            if let Some(of_link) = self.fetches.links.get_mut(&link) {
                of_link.missing.remove(&device);
            }
            // It said so before the feed was known here.
            Self::record_peer_has(ctx, wanting, link, device, next_seq);
        }
    }

    /// The neighbours that named more feeds than were remembered, and are to be asked again what they hold.
    #[cfg(feature = "relay")]
    pub(crate) fn links_to_ask_again(&mut self, now: Instant) -> Vec<LinkId> {
        let due = |of_link: &LinkFetches| {
            of_link.missing.len() <= ASK_AGAIN_BELOW && of_link.overflowed.is_some_and(|at| now >= at)
        };
        let mut links = Vec::new();
        for (link, of_link) in self.fetches.links.iter_mut() {
            if due(of_link) {
                of_link.overflowed = None;
                links.push(*link);
            }
        }
        links
    }

    /// How many those of [`Self::missing`] are.
    pub(crate) fn missing_len(&self, link: LinkId) -> usize {
        self.fetches.missing_len(link)
    }

    /// Whether a neighbour named more feeds than were remembered.
    pub(crate) fn overflowed(&self, link: LinkId) -> bool {
        let of_link = self.fetches.links.get(&link);
        of_link.is_some_and(|of_link| of_link.overflowed.is_some())
    }

    /// A link ended: what was fetched over it is fetched from others.
    pub(super) fn release_fetches(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        let Some(of_link) = self.fetches.links.remove(&link) else {
            return;
        };
        for request in of_link.requests.values() {
            self.fetches.end_request(link, &request.device);
        }
        for request in of_link.requests.values() {
            self.pump_other_fetches(ctx, net, log, wanting, request.device, None);
        }
    }

    fn pump_other_fetches(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        device: DeviceId,
        except: Option<LinkId>,
    ) {
        let links = self.fetches.links.iter();
        let others =
            links.filter(|(link, of_link)| Some(**link) != except && of_link.missing.contains_key(&device));
        // By chance, so that no neighbour always comes before another.
        let mut places = || ctx.rng.next_u64();
        let others = others.map(|(link, of_link)| (of_link.failures.times(&device), places(), *link));
        for (_, _, other) in sorted_by_key(others, |place| *place) {
            self.pump_fetches(ctx, net, log, wanting, other);
        }
    }

    /// An entry is not taken because a quota is used up: it is fetched later.
    fn on_exceeded(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        head: FeedHead,
        quota: Quota,
        wait: Duration,
    ) {
        self.quotas.record_refused(quota);
        ctx.totals.refused += 1;
        self.record_head(ctx, net, log, wanting, link, head);
        let now = ctx.now.instant;
        if self.fetches.delay(now, link, &head.device, quota, wait) {
            let exceeded = QuotaExceeded {
                quota,
                per_hour: ctx.config.quotas.per_hour(quota),
                wait_s: u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX),
            };
            ctx.send(link, &Message::QuotaExceeded(exceeded));
        }
    }

    /// Once a second: feeds that do not grow are requested from further neighbours.
    pub(super) fn fetch_on_timer(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, wanting: Wanting<'_>) {
        let most = ctx.config.repair_bytes_per_s;
        let waited = wanting.serves_others() && self.fetches.repaired >= most;
        self.fetches.repaired = self.fetches.repaired.saturating_sub(most);
        let has_room = ctx.has_room_to_write() && core::mem::take(&mut self.fetches.put_off);
        let is_allowed = self.fetches.end_delays(ctx.now.instant);
        if waited || has_room || is_allowed {
            for link in net.neighbour_links() {
                self.pump_fetches(ctx, net, log, wanting, link);
            }
        }
        let now = ctx.now.instant;
        let Fetches { links, feeds, .. } = &mut self.fetches;
        let mut waiting: Vec<DeviceId> = Vec::new();
        let slow = feeds
            .iter()
            .filter(|(_, fetching)| now.since(fetching.progress) >= SLOW);
        waiting.extend(slow.map(|(device, _)| *device));
        let mut stalled = Vec::new();
        for (link, of_link) in links.iter_mut() {
            if now.since(of_link.progress) < STALLED {
                continue;
            }
            let of_account = net.session(*link).and_then(|session| session.account);
            let LinkFetches {
                requests,
                missing,
                failures,
                ..
            } = of_link;
            requests.retain(|_, request| {
                let keep = now.since(request.progress) < STALLED;
                if !keep {
                    stalled.push((*link, request.device));
                    // Nobody comes before a device of the account.
                    if of_account != Some(request.account) {
                        failures.record(request.device, now);
                    }
                    // A neighbour that was too busy gets one more chance.
                    if !request.is_second {
                        let claim = PeerHolds {
                            account: request.account,
                            next_seq: request.next_seq,
                            is_second: true,
                            not_before: Instant::default(),
                        };
                        missing.insert(request.device, claim);
                    }
                }
                keep
            });
        }
        for (link, device) in &stalled {
            self.fetches.end_request(*link, device);
        }
        for device in waiting {
            self.pump_other_fetches(ctx, net, log, wanting, device, None);
        }
        for (link, device) in &stalled {
            self.pump_other_fetches(ctx, net, log, wanting, *device, Some(*link));
        }
        for (link, _) in stalled {
            self.pump_fetches(ctx, net, log, wanting, link);
        }
    }

    /// Entries this peer asked for.
    pub(super) fn on_entries(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        wanting: Wanting<'_>,
        link: LinkId,
        entries: Entries,
        len: usize,
    ) {
        ctx.consume(link, len);
        let of_link = self.fetches.links.get(&link);
        let request = of_link.and_then(|of_link| of_link.requests.get(&entries.request));
        let requested = request.map(|request| request.device);
        let length = |log: &Log| log.feeds.get(&requested?).map(|feed| feed.next_seq);
        let (number, before) = (entries.request, length(log));
        if net.session(link).is_some_and(|session| session.relay) {
            self.fetches.repaired = self.fetches.repaired.saturating_add(len as u32);
        }
        let held = log.feeds.entries();
        for entry in entries.entries {
            if let Err(reason) = self.ingest(ctx, net, log, wanting, link, entry, None) {
                return ctx.misbehaved(link, reason);
            }
        }
        if let Some(device) = requested.filter(|_| length(log) > before) {
            self.fetches.on_progress(link, number, &device, ctx.now.instant);
        }
        if log.feeds.entries() > held {
            ctx.fact(Fact::Helped { link, entries: true });
        }
    }

    /// A neighbour's answer is complete.
    pub(super) fn on_range_end(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        request: u32,
    ) {
        let of_link = self.fetches.links.get_mut(&link);
        if let Some(request) = of_link.and_then(|of_link| of_link.requests.remove(&request)) {
            self.fetches.end_request(link, &request.device);
            self.pump_fetches(ctx, net, log, wanting, link);
            self.pump_other_fetches(ctx, net, log, wanting, request.device, None);
        }
    }

    /// Takes in an entry of a neighbour and passes it on; `pushed`: along which tree it came. An error is the
    /// neighbour's fault.
    pub(super) fn ingest(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        wanting: Wanting<'_>,
        link: LinkId,
        entry: Entry,
        pushed: Option<Route>,
    ) -> Result<(), String> {
        if !wanting.wants(log, &entry.signed.header.account) {
            return Ok(());
        }
        let addition = addition(net, log, link, &entry);
        if let Some(addition) = &addition {
            let header = &entry.signed.header;
            let sender = || FeedHead {
                account: header.account,
                device: header.device,
                next_seq: header.seq + 1,
                head: header.id(),
            };
            let (quotas, now) = (&ctx.config.quotas, ctx.now.instant);
            if let Err((quota, wait)) = self.quotas.check(quotas, now, addition) {
                self.on_exceeded(ctx, net, log, wanting, link, sender(), quota, wait);
                return Ok(());
            }
            #[cfg(feature = "relay")]
            if let Some(demand) = self.admissions.demand(quotas, &self.quotas, now, addition) {
                self.on_unadmitted(ctx, net, log, wanting, link, sender(), demand);
                return Ok(());
            }
        }
        match log.take_in(ctx, Some(link), entry, pushed.is_some())? {
            Taken::Ignored => {}
            Taken::Held { device, seq } => {
                if let Some(route) = pushed {
                    self.on_duplicate(ctx, log, link, device, seq, route.tree);
                }
            }
            Taken::TooEarly(head) => {
                self.record_head(ctx, net, log, wanting, link, head);
                self.pump_fetches(ctx, net, log, wanting, link);
            }
            Taken::NoRoom(head) => {
                self.fetches.put_off = true;
                self.record_head(ctx, net, log, wanting, link, head);
            }
            Taken::OtherBranch { device, seq } => {
                if log.is_unconfirmed(ctx, &device, seq) {
                    ctx.fact(Fact::OwnBranch);
                } else {
                    self.probe_fork(ctx, net, link, device, seq);
                }
            }
            Taken::Appended { entry, len } => {
                if let Some(addition) = &addition {
                    self.quotas.spend(&ctx.config.quotas, ctx.now.instant, addition);
                    #[cfg(feature = "relay")]
                    self.admissions
                        .on_added(&ctx.config.quotas, ctx.now.instant, addition);
                }
                let header = entry.header();
                let (device, seq, account) = (header.device, header.seq, header.account);
                let relay = net.session(link).is_some_and(|session| session.relay);
                if let Some(feed) = log.feeds.get_mut(&device) {
                    feed.source = relay.then_some(link);
                }
                if seq == 0 {
                    // Neighbours that asked for the account before are to learn of this very entry.
                    self.on_account_seen(net, log, wanting, account);
                }
                Self::record_peer_has(ctx, wanting, link, device, seq + 1);
                self.record_mention(ctx, log, wanting, link, account);
                match pushed {
                    Some(route) => self.pass_on(ctx, net, log, &entry, len, link, route),
                    None => self.announce(ctx, log, &entry, Some(link)),
                }
                ctx.fact(Fact::Appended {
                    entry,
                    from: Source::Link(link),
                });
            }
        }
        Ok(())
    }
}

/// Devices limit nobody.
#[cfg(not(feature = "relay"))]
fn addition(_: &Net, _: &Log, _: LinkId, _: &Entry) -> Option<Addition> {
    None
}

/// What an entry would add if it is the next one of its feed. `None`: it adds nothing, or its neighbour is not limited.
#[cfg(feature = "relay")]
fn addition(net: &Net, log: &Log, link: LinkId, entry: &Entry) -> Option<Addition> {
    let address = net.session(link)?.limited()?;
    let header = &entry.signed.header;
    let next_seq = log.feeds.get(&header.device).map_or(0, |feed| feed.next_seq);
    (header.seq == next_seq).then(|| Addition {
        address,
        account: header.account,
        is_new: log.feeds.devices(&header.account).is_empty(),
        bytes: entry.body.len() as u64 + HEADER_BYTES,
    })
}
