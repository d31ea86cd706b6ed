//! The parts that both roles share, and what concerns several of them at once.

use protocol::messages::Relays;
use protocol::{AccountId, Instant, VerifiedEntry};

use crate::ctx::{Ctx, Setup};
use crate::io::{Config, LinkId, Now};
use crate::kinds::Kinds;
use crate::log::Log;
use crate::lookups::Lookups;
use crate::net::Net;
use crate::relays::directory::{Directory, Own, Sender};
use crate::sync::Sync;
use crate::views::Views;

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) log: Log,
    pub(crate) net: Net,
    pub(crate) sync: Sync,
    pub(crate) kinds: Kinds,
    pub(crate) views: Views,
    pub(crate) directory: Directory,
    pub(crate) lookups: Lookups,
    /// When one random neighbour is compared with next.
    pub(crate) next_anti_entropy: Instant,
}

impl Parts {
    pub(crate) fn new(config: &Config, now: Now, setup: &Setup) -> Self {
        Self {
            log: Log::new(setup.feeds_max),
            net: Net::new(),
            sync: Sync::new(),
            kinds: Kinds::default(),
            views: Views::new(setup.events),
            directory: Directory::new(config, now.instant, setup.directory),
            lookups: Lookups::default(),
            next_anti_entropy: now.instant + config.anti_entropy,
        }
    }

    /// The next deadline of the parts.
    pub(crate) fn next_deadline(&self) -> Instant {
        let gossip = [self.net.next_deadline(), self.sync.spread.next_deadline()];
        let gossip = gossip.into_iter().flatten().min();
        let gossip = gossip.map(|at| Instant(u64::try_from(at.as_micros()).unwrap_or(u64::MAX)));
        let directory = self.directory.next_deadline();
        let due = gossip.map_or(directory, |at| at.min(directory));
        self.sync.next_deadline().map_or(due, |at| at.min(due))
    }

    /// Lets the overlay and the trees act on time.
    pub(crate) fn tick(&mut self, ctx: &mut Ctx) {
        let (now, spread) = (ctx.clock(), &self.sync.spread);
        self.net.tick(ctx, |link| spread.carries(link, now));
        self.sync.tick(ctx);
        #[cfg(feature = "relay")]
        self.sync.confirm_next(ctx, &self.net, &self.log);
    }

    /// Once a second.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx) {
        self.directory.refill();
        self.lookups.on_timer(ctx, &self.kinds);
        self.views.on_timer(ctx, &mut self.log, &mut self.kinds);
    }

    /// What goes into a relay's own description.
    pub(crate) fn own_description(&self) -> Own {
        Own {
            revision: self.log.feeds.entries(),
            registry: self.kinds.registry().id(),
        }
    }

    /// The neighbours, and whether each calls itself a relay.
    pub(crate) fn neighbour_kinds(&self) -> Vec<(LinkId, bool)> {
        let neighbours = self.net.neighbours();
        neighbours.map(|session| (session.link, session.relay)).collect()
    }

    pub(crate) fn on_directory_timer(&mut self, ctx: &mut Ctx) {
        let own = self.own_description();
        let links = self.neighbour_kinds();
        let near_relay = self.net.links_with_relay();
        self.directory.on_timer(ctx, own, &links, near_relay);
    }

    /// A peer became a neighbour.
    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, link: LinkId) {
        let Some(session) = self.net.session(link) else {
            return;
        };
        let known = self.net.known.contains(&session.peer);
        self.directory
            .send_living(ctx, link, &session.peer, session.relay);
        self.net.ping(ctx, link);
        if known {
            self.lookups.send(ctx, &self.net);
        }
    }

    pub(crate) fn on_relays(&mut self, ctx: &mut Ctx, link: LinkId, relays: Relays) {
        let Some(session) = self.net.session(link) else {
            return;
        };
        let from = Sender {
            link,
            peer: session.peer,
            anchor: self.net.is_anchor(&self.directory, &session.peer),
        };
        let known = &self.net.known;
        self.directory.on_relays(
            ctx,
            from,
            relays,
            |peer| known.contains(peer),
            |peer| known.is_named(peer),
        );
    }

    pub(crate) fn on_appended(&mut self, ctx: &mut Ctx, entry: &VerifiedEntry) {
        let Self {
            views, log, kinds, ..
        } = self;
        views.on_appended(ctx, log, kinds, entry);
    }

    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx) {
        let Self {
            views, log, kinds, ..
        } = self;
        views.on_ready(ctx, log, kinds);
    }

    /// Entries of the account became void.
    pub(crate) fn reindex(&mut self, ctx: &mut Ctx, account: AccountId) {
        let Self {
            views, log, kinds, ..
        } = self;
        views.reindex(ctx, log, kinds, account);
    }

    /// Every view is thrown away and indexed again.
    pub(crate) fn rebuild(&mut self, ctx: &mut Ctx) {
        let Self {
            views, log, kinds, ..
        } = self;
        views.rebuild(ctx, log, kinds);
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
