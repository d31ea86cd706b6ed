//! Spreading what is new along the trees of [`gossip::broadcast`]: an entry is pushed on eager links and announced on
//! the others.
//!
//! Invariant: an own entry is spread only when it is durable here.

use std::time::Duration;

use gossip::broadcast::{self, AuthorActivity, Broadcast, Item, Rank, Route, Tree};
use protocol::messages::{Announced, Announcements, FeedHead, Message, OnTree, Push};
use protocol::{DeviceId, VerifiedEntry, limits};

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::feeds::Feed;
use crate::net::Net;

use super::digest::head_of;
use super::{Sync, Wanting};

const _: () = assert!(broadcast::HOPS_MAX == limits::HOPS_MAX);
const _: () = assert!(broadcast::ANNOUNCEMENTS_PER_MESSAGE <= limits::HEADS_PER_MESSAGE_MAX);

/// Neighbours want different feeds, so a fresh link is eager in every tree until it proves redundant.
const CONFIG: broadcast::Config = broadcast::Config {
    credit_window: limits::CREDIT_WINDOW_BYTES,
    eager_start: None,
};
/// A feed of which a neighbour has this many entries more is fetched at once: they are not on their way along a tree.
const BEHIND: u64 = 4;
/// Announced feeds of a neighbour that are remembered until they arrive along a tree, 140 bytes each; as many as the
/// trees wait for of one neighbour. Policy when full: those that are not awaited any more are forgotten, and further
/// feeds are fetched at once.
const ANNOUNCED_MAX: usize = 1_024;
/// Bytes of a push beside its entry: its tag, hops and tree. Exact: the neighbour grants again what arrived, and what
/// is charged beyond that would never come back.
const PUSH_OVERHEAD_BYTES: usize = 3;

/// The broadcast trees, and how often own entries start a new one.
#[derive(Debug)]
pub(crate) struct Spread {
    broadcast: Broadcast<LinkId, DeviceId>,
    activity: AuthorActivity,
    /// Feeds a neighbour announced that may arrive along a tree.
    announced: ordered::Map<LinkId, ordered::Map<DeviceId, FeedHead>>,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self {
            broadcast: Broadcast::new(CONFIG),
            activity: AuthorActivity::default(),
            announced: ordered::Map::new(),
        }
    }

    pub(crate) fn on_up(&mut self, link: LinkId) {
        self.broadcast.on_up(link);
    }

    pub(crate) fn on_down(&mut self, link: LinkId, now: Duration) {
        self.broadcast.on_down(&link, now);
        self.announced.remove(&link);
    }

    pub(crate) fn set_rtt(&mut self, link: LinkId, rtt: Duration) {
        self.broadcast.set_rtt(&link, rtt);
    }

    /// Whether the link lies in a tree.
    pub(crate) fn carries(&self, link: LinkId, now: Duration) -> bool {
        self.broadcast.carries(&link, now)
    }

    /// The next deadline of the trees.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.broadcast.next_deadline()
    }

    pub(super) fn credit(&self, link: LinkId) -> i64 {
        self.broadcast.credit(&link)
    }

    pub(super) fn spend(&mut self, link: LinkId, bytes: usize) {
        self.broadcast.spend(&link, bytes);
    }

    pub(super) fn grant(&mut self, link: LinkId, bytes: u32) {
        self.broadcast.grant(&link, bytes);
    }

    pub(super) fn on_graft(&mut self, link: LinkId, on: OnTree, now: Duration) {
        self.broadcast.on_graft(&link, Tree::from_byte(on.tree), now);
    }

    pub(super) fn on_prune(&mut self, link: LinkId, on: OnTree, now: Duration) {
        self.broadcast.on_prune(&link, Tree::from_byte(on.tree), now);
    }

    /// What a neighbour announced and is still awaited from a tree.
    pub(crate) fn awaited(&self, link: LinkId) -> impl Iterator<Item = &FeedHead> {
        let announced = self.announced.get(&link).into_iter();
        let announced = announced.flat_map(|announced| announced.iter());
        let awaited = announced.filter(|(device, _)| self.broadcast.waits_for(device));
        awaited.map(|(_, head)| head)
    }
}

/// How a push travelled until here.
pub(super) fn route_of(push: &Push) -> Route {
    Route {
        tree: Tree::from_byte(push.tree),
        hops: push.hops - 1,
    }
}

fn item_of(entry: &VerifiedEntry) -> Item<DeviceId> {
    Item {
        key: entry.header().device,
        upto: entry.header().seq + 1,
    }
}

impl Sync {
    /// Links whose neighbour wants an account's feeds.
    pub(crate) fn links_wanting(&self, account: &protocol::AccountId) -> Vec<LinkId> {
        let wanting = self.interests.iter();
        let wanting = wanting.filter(|(_, interest)| interest.wants(account));
        wanting.map(|(link, _)| *link).collect()
    }

    /// Spreads an entry of this device, durable by now.
    pub(crate) fn publish(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &Log,
        entry: &VerifiedEntry,
        len: usize,
    ) {
        let tree = self.spread.activity.tree(&entry.header().device, ctx.clock());
        self.push(ctx, net, log, entry, len, None, Route { tree, hops: 0 });
    }

    /// Passes on an entry of `len` bytes that a neighbour pushed.
    pub(super) fn pass_on(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &Log,
        entry: &VerifiedEntry,
        len: usize,
        source: LinkId,
        route: Route,
    ) {
        self.push(ctx, net, log, entry, len, Some(source), route);
    }

    fn push(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &Log,
        entry: &VerifiedEntry,
        len: usize,
        source: Option<LinkId>,
        route: Route,
    ) {
        let header = entry.header();
        let item = item_of(entry);
        let Some(number) = log.feeds.get(&header.device).map(|feed| feed.number) else {
            return;
        };
        let now = ctx.clock();
        let len = PUSH_OVERHEAD_BYTES + len;
        let (interests, advertised) = (&self.interests, &self.advertised);
        let wants = |link: &LinkId| {
            let interest = interests.get(link);
            let told = advertised
                .get(link)
                .and_then(|advertised| advertised.get(&number));
            interest.is_some_and(|interest| interest.wants(&header.account))
                && told.is_none_or(|told| *told < item.upto)
        };
        match source {
            Some(from) => {
                let rank = Rank::of(&header.device);
                self.spread
                    .broadcast
                    .on_news(from, item, route, rank, len, now, wants);
                self.set_advertised(from, number, item.upto);
                net.add_merit(from, 1);
            }
            None => self.spread.broadcast.publish(item, route.tree, len, now, wants),
        }
        self.pump_broadcast(ctx, net, log, Some(entry));
    }

    /// Announces an entry that came with a range or, without a `source`, from a backup: neighbours that want it learn
    /// of it, and ask for it.
    pub(crate) fn announce(&mut self, ctx: &Ctx, log: &Log, entry: &VerifiedEntry, source: Option<LinkId>) {
        let header = entry.header();
        let item = item_of(entry);
        let now = ctx.clock();
        self.spread.broadcast.on_fetched(item, now);
        let tree = Tree::of_author(&header.device);
        let number = log.feeds.get(&header.device).map(|feed| feed.number);
        for link in self.links_wanting(&header.account) {
            match number.filter(|_| Some(link) == source) {
                Some(number) => self.set_advertised(link, number, item.upto),
                None => self.spread.broadcast.announce(&link, item, tree, now),
            }
        }
    }

    /// An entry that is held was pushed once more.
    pub(super) fn on_duplicate(
        &mut self,
        ctx: &Ctx,
        log: &Log,
        from: LinkId,
        device: DeviceId,
        seq: u64,
        tree: Tree,
    ) {
        let item = Item {
            key: device,
            upto: seq + 1,
        };
        if let Some(feed) = log.feeds.get(&device) {
            self.raise_advertised(from, feed.number, item.upto);
        }
        let now = ctx.clock();
        let rank = Rank::of(&device);
        self.spread.broadcast.on_duplicate(from, item, tree, rank, now);
    }

    /// Lets the trees act on time.
    pub(crate) fn tick(&mut self, ctx: &Ctx) {
        let now = ctx.clock();
        if self.spread.next_deadline().is_some_and(|at| at <= now) {
            self.spread.broadcast.tick(now);
        }
    }

    /// Does what the trees want done. `entry`: what is pushed, if something is.
    pub(super) fn pump_broadcast(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        entry: Option<&VerifiedEntry>,
    ) {
        let mut encoded: Option<Vec<u8>> = None;
        while let Some(output) = self.spread.broadcast.poll() {
            match output {
                broadcast::Output::Push { to, item, route } => {
                    let Some(entry) = entry else { continue };
                    let bytes = encoded.get_or_insert_with(|| {
                        Message::Push(Push {
                            hops: route.hops + 1,
                            tree: route.tree.byte(),
                            entry: entry.entry().clone(),
                        })
                        .encode()
                    });
                    ctx.send_bytes(to, bytes);
                    if let Some(feed) = log.feeds.get(&item.key) {
                        self.set_advertised(to, feed.number, item.upto);
                    }
                }
                broadcast::Output::Announce { to, items } => self.send_announcements(ctx, log, to, &items),
                broadcast::Output::Reconcile { with } => self.digest_changes(ctx, net, log, with),
                broadcast::Output::Graft { to, item, tree } => {
                    ctx.send(to, &Message::Graft(OnTree { tree: tree.byte() }));
                    if let Some(item) = item {
                        self.fetch_announced(to, &item.key);
                    }
                }
                broadcast::Output::Prune { to, tree } => {
                    ctx.send(to, &Message::Prune(OnTree { tree: tree.byte() }));
                }
            }
        }
    }

    /// What a neighbour announced did not arrive along a tree: it is to be fetched.
    fn fetch_announced(&mut self, link: LinkId, device: &DeviceId) {
        let announced = self.spread.announced.get_mut(&link);
        let head = announced.and_then(|announced| announced.remove(device));
        self.overdue.extend(head.map(|head| (link, head)));
    }

    /// Once per input: pumps the trees and fetches what did not arrive along them.
    pub(crate) fn pump(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, wanting: Wanting<'_>) {
        self.pump_broadcast(ctx, net, log, None);
        self.work(ctx, net, log, wanting);
        for (link, head) in core::mem::take(&mut self.overdue) {
            self.record_head(ctx, net, log, wanting, link, head);
            self.pump_fetches(ctx, net, log, wanting, link);
        }
    }

    fn send_announcements(
        &mut self,
        ctx: &mut Ctx,
        log: &Log,
        link: LinkId,
        announcements: &[broadcast::Announcement<DeviceId>],
    ) {
        let mut items = Vec::with_capacity(announcements.len());
        for announcement in announcements {
            let device = announcement.item.key;
            let Some(feed) = log.feeds.get(&device) else {
                continue;
            };
            let Some(head) = head_of(device, feed) else {
                continue;
            };
            if self.advertised(link, feed.number) != Some(head.next_seq) {
                self.set_advertised(link, feed.number, head.next_seq);
                items.push(Announced {
                    head,
                    tree: announcement.tree.byte(),
                    hops: announcement.hops,
                    waited_ms: announcement.waited_ms,
                });
            }
        }
        if !items.is_empty() {
            ctx.send(link, &Message::Announce(Announcements { items }));
        }
    }

    /// A neighbour announces what it holds. What is only a few entries ahead may be on its way along a tree and is
    /// awaited; the rest is fetched at once.
    pub(super) fn on_announce(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        announcements: &Announcements,
    ) {
        let mut behind = Vec::new();
        let mut awaited = Vec::new();
        let remembered = self.spread.announced.or_default(link);
        if remembered.len() >= ANNOUNCED_MAX {
            let broadcast = &self.spread.broadcast;
            remembered.retain(|device, _| broadcast.waits_for(device));
        }
        for announced in &announcements.items {
            let head = announced.head;
            Self::record_peer_has(ctx, wanting, link, head.device, head.next_seq);
            if !wanting.wants(log, &head.account) {
                continue;
            }
            let feed = log.feeds.get(&head.device);
            let held = feed.map_or(0, Feed::valid_len);
            let upto = head.next_seq.min(log.limit_of(head.account, &head.device));
            let is_full = remembered.len() >= ANNOUNCED_MAX;
            let behind_by_much = feed.is_none() || upto.saturating_sub(held) > BEHIND;
            if is_full || upto <= held || behind_by_much {
                behind.push(head);
                if upto > held {
                    continue;
                }
            } else {
                remembered.insert(head.device, head);
            }
            awaited.push(broadcast::Announcement {
                item: Item {
                    key: head.device,
                    upto,
                },
                tree: Tree::from_byte(announced.tree),
                hops: announced.hops,
                waited_ms: announced.waited_ms,
            });
        }
        self.on_heads(ctx, net, log, wanting, link, &behind);
        let has = |item: &Item<DeviceId>| {
            let feed = log.feeds.get(&item.key);
            feed.is_some_and(|feed| feed.valid_len() >= item.upto)
        };
        let now = ctx.clock();
        let news = self
            .spread
            .broadcast
            .on_announce(link, &awaited, now, has, Rank::of);
        net.add_merit(link, news);
    }
}
