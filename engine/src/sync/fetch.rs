//! Fetching what neighbours hold beyond what is held here ([`Message::Want`]), answered in order ([`Message::Entries`]
//! …, [`Message::RangeEnd`]). A feed is fetched from one neighbour at a time; when that one stalls or goes, the next
//! one that holds more takes over.
//!
//! While too much waits for the disk ([`Ctx::has_room_to_write`]), entries are refused and nothing is asked for; what
//! neighbours hold is remembered and fetched once there is room.

use std::time::Duration;

use gossip::broadcast::Route;
use ordered::Map;
use protocol::messages::{Entries, FeedHead, Message, Want};
use protocol::{AccountId, DeviceId, Entry, Instant};

use crate::ctx::Ctx;
use crate::facts::{Fact, Source};
use crate::io::LinkId;
use crate::log::Log;
use crate::log::append::Taken;
use crate::net::Net;

use super::{Sync, Wanting};

/// Maximum number of requests in progress to one neighbour.
const REQUESTS_MAX: usize = 64;
/// A request without progress for this long is given to another neighbour.
pub(super) const STALLED: Duration = Duration::from_secs(15);

/// A request of ours that a neighbour is answering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// How far the neighbour said it holds the feed.
    pub(crate) next_seq: u64,
    progress: Instant,
}

/// What is fetched over one link.
#[derive(Debug, Default)]
struct LinkFetches {
    /// Wanted feeds of which the neighbour holds more.
    missing: Map<DeviceId, FeedHead>,
    requests: Map<u32, Request>,
    last_request: u32,
}

impl LinkFetches {
    fn number(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }
}

/// The feeds in progress, and the link over which each is fetched.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    links: Map<LinkId, LinkFetches>,
    feeds: Map<DeviceId, LinkId>,
    /// Bytes relays sent to this relay in this second.
    repaired: u32,
    /// Something was not fetched, because too much waits for the disk.
    put_off: bool,
}

impl Fetches {
    /// A neighbour holds more of a wanted feed than is held here. Policy when full: anti-entropy reports it again
    /// later.
    pub(super) fn record_missing(&mut self, ctx: &Ctx, link: LinkId, head: FeedHead) {
        let missing = &mut self.links.or_default(link).missing;
        if missing.len() < ctx.config.feeds_max || missing.contains_key(&head.device) {
            missing.insert(head.device, head);
        }
    }
}

impl Sync {
    /// Whether anything is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        !self.fetches.feeds.is_empty()
    }

    /// Feeds of which a neighbour holds more, as far as that is not asked for.
    pub(crate) fn missing(&self, link: LinkId) -> impl Iterator<Item = (&DeviceId, &FeedHead)> {
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
        let Fetches { links, feeds, .. } = &mut self.fetches;
        let Some(of_link) = links.get_mut(&link) else {
            return;
        };
        let mut done = Vec::new();
        for (device, head) in &of_link.missing {
            if of_link.requests.len() >= REQUESTS_MAX {
                break;
            }
            let held = log.feeds.get(device).map_or(0, |feed| feed.next_seq);
            if held < head.next_seq {
                if feeds.contains_key(device) {
                    continue;
                }
                feeds.insert(*device, link);
                of_link.last_request = of_link.last_request.wrapping_add(1);
                let request = of_link.last_request;
                of_link.requests.insert(
                    request,
                    Request {
                        account: head.account,
                        device: *device,
                        next_seq: head.next_seq,
                        progress: ctx.now.instant,
                    },
                );
                ctx.send(
                    link,
                    &Message::Want(Want {
                        request,
                        device: *device,
                        from: held,
                        to: head.next_seq,
                    }),
                );
            }
            done.push((*device, head.next_seq));
        }
        for (device, next_seq) in done {
            of_link.missing.remove(&device);
            // It said so before the feed was known here.
            Self::record_peer_has(ctx, wanting, link, device, next_seq);
        }
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
            self.fetches.feeds.remove(&request.device);
        }
        for request in of_link.requests.values() {
            self.pump_other_fetches(ctx, net, log, wanting, request.device);
        }
    }

    fn pump_other_fetches(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        device: DeviceId,
    ) {
        let links = self.fetches.links.iter();
        let others = links.filter(|(_, of_link)| of_link.missing.contains_key(&device));
        let others: Vec<LinkId> = others.map(|(link, _)| *link).collect();
        for other in others {
            self.pump_fetches(ctx, net, log, wanting, other);
        }
    }

    /// Once a second: requests that stalled go to other neighbours.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, wanting: Wanting<'_>) {
        let most = ctx.config.repair_bytes_per_s;
        let waited = wanting.serves_others() && self.fetches.repaired >= most;
        self.fetches.repaired = self.fetches.repaired.saturating_sub(most);
        let has_room = ctx.has_room_to_write() && core::mem::take(&mut self.fetches.put_off);
        if waited || has_room {
            for link in net.neighbour_links() {
                self.pump_fetches(ctx, net, log, wanting, link);
            }
        }
        let now = ctx.now.instant;
        let mut stalled = Vec::new();
        for of_link in self.fetches.links.values_mut() {
            of_link.requests.retain(|_, request| {
                let keep = now.since(request.progress) < STALLED;
                if !keep {
                    stalled.push(request.device);
                }
                keep
            });
        }
        for device in stalled {
            self.fetches.feeds.remove(&device);
            self.pump_other_fetches(ctx, net, log, wanting, device);
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
        let of_link = self.fetches.links.get_mut(&link);
        if let Some(request) = of_link.and_then(|of_link| of_link.requests.get_mut(&entries.request)) {
            request.progress = ctx.now.instant;
        }
        if net.session(link).is_some_and(|session| session.relay) {
            self.fetches.repaired = self.fetches.repaired.saturating_add(len as u32);
        }
        let held = log.feeds.entries();
        for entry in entries.entries {
            if let Err(reason) = self.ingest(ctx, net, log, wanting, link, entry, None) {
                return ctx.misbehaved(link, reason);
            }
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
            self.fetches.feeds.remove(&request.device);
            self.pump_fetches(ctx, net, log, wanting, link);
            self.pump_other_fetches(ctx, net, log, wanting, request.device);
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
