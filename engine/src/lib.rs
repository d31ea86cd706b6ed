//! Starling's engine: feeds, sync, views and social rules.
//!
//! Sans-I/O. One contract, stated in [`io`]: **one input, drain all outputs, then wait for the next deadline.** The same
//! engine runs in a tab, in a relay, and many times over in a simulated network; the same seed gives the same outputs.
//!
//! [`Engine`] is made of parts that know each other in one direction only, from the bottom: `log` keeps feeds,
//! `relays` lists relays, `net` holds links and neighbours, `sync` exchanges entries, `kinds` knows what entries say,
//! `views` reads it, `person` and `relay` are the two roles of a peer. A part takes `ctx` (time, randomness, outputs)
//! and what it reads, and records facts. This file routes inputs and facts to the parts, and `role` routes those that
//! concern a role to `person` or `relay`; nothing else does. [`api`] is the edge to an interface, [`store`] the edge
//! to a disk.
//!
//! What is absent: a clock, a socket, a file, a thread, a lock, an iteration order that depends on chance.

#![cfg_attr(
    not(feature = "relay"),
    allow(dead_code, reason = "what only relays call is left out by the linker")
)]

pub mod api;
pub mod io;
pub mod memory;
pub mod store;

mod boot;
mod ctx;
mod facts;
mod kinds;
mod log;
mod lookups;
mod net;
mod parts;
mod person;
#[cfg(feature = "relay")]
mod relay;
mod relays;
mod role;
mod sync;
#[cfg(test)]
mod testing;
mod timer;
mod views;

use protocol::{Instant, KeyPair};

use api::{Error, Request, Response, StoreState};
use boot::Boot;
use ctx::{Ctx, LoadOwner};
use facts::{Fact, Source};
pub use io::{Candidate, Config, Input, LinkId, Log, NameTicket, Now, Output, PeerKind, RequestId};
use parts::Parts;
pub use relays::assignment;
use role::{Role, messages, requests, view_context};
use store::{LoadId, Rows};

/// Requests of interfaces kept while the store is being read. Policy when full: further ones are refused.
const EARLY_REQUESTS_MAX: usize = 256;

/// A whole peer, without its sockets, disk and clock.
#[derive(Debug)]
pub struct Engine {
    ctx: Ctx,
    role: Role,
    parts: Parts,
    boot: Boot,
    early_requests: Vec<(RequestId, Request)>,
}

impl Engine {
    /// A peer whose randomness all comes from `seed` (32 bytes; from the operating system in a program, chosen in a
    /// test). Emits the loads that read its store.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> Self {
        let (role, setup) = Role::new(&config, now);
        let parts = Parts::new(&config, now, &setup);
        let mut ctx = Ctx::new(config, seed, now, setup);
        let boot = Boot::begin(&mut ctx);
        let mut engine = Self {
            ctx,
            role,
            parts,
            boot,
            early_requests: Vec::new(),
        };
        engine.flush();
        engine
    }

    /// Takes one input. Afterwards drain [`Self::poll_output`] and look at [`Self::next_deadline`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.ctx.begin_input(now, &input);
        self.on_input(input);
        self.settle();
        if self.ctx.ready && now.instant >= self.ctx.next_deadline() {
            timer::handle_timeout(&mut self.ctx, &mut self.role, &mut self.parts);
        }
        if self.ctx.ready && now.instant >= self.parts.directory.next_deadline() {
            self.parts.on_directory_timer(&mut self.ctx);
        }
        self.parts.net.begin_overlay(&mut self.ctx);
        self.parts.tick(&mut self.ctx);
        self.settle();
        self.flush();
    }

    /// The next thing to do outside, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.ctx.poll_output()
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] at the latest. `None` until the store is read.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ctx
            .ready
            .then(|| self.parts.next_deadline().min(self.ctx.next_deadline()))
    }

    /// The key this peer proves on its links: a relay's own, or this device's once there is an account.
    #[must_use]
    pub fn key(&self) -> Option<&KeyPair> {
        self.ctx.local.as_ref().map(|local| &local.key)
    }

    /// Whether there is a neighbour to carry an introduction (see [`Input::Introduce`]).
    #[must_use]
    pub fn has_neighbours(&self) -> bool {
        self.parts.net.has_neighbours()
    }

    fn on_input(&mut self, input: Input) {
        let Self { ctx, parts, role, .. } = self;
        let net = &mut parts.net;
        match input {
            Input::Loaded { id, rows } => self.on_loaded(id, Some(rows)),
            Input::LoadFailed { id } => {
                ctx.store_state = StoreState::Failing;
                self.on_loaded(id, None);
            }
            Input::Persisted { id } => role.on_persisted(ctx, parts, id),
            Input::Store(state) => ctx.store_state = state,
            Input::LinkUp {
                link,
                side,
                binding,
                transport,
                address,
            } => net.on_link_up(ctx, link, side, binding, transport, address),
            Input::Frame { link, bytes } => net.on_frame(ctx, &parts.directory, link, &bytes),
            Input::LinkDown { link } => net.end(ctx, link, "the channel closed"),
            Input::DialFailed { peer } => net.on_dial_failed(ctx, &peer),
            Input::Introduce { to, payload } => net.introduce(ctx, to, payload),
            Input::Candidates(candidates) => net.on_candidates(ctx, &candidates),
            Input::Describe(description) => parts.directory.describe(ctx, *description),
            Input::RelayMetrics(metrics) => parts.directory.set_metrics(metrics),
            Input::Entries(entries) => role.restore_entries(ctx, parts, entries),
            Input::HandOver { for_good } => role.hand_over(ctx, parts, for_good),
            Input::Routing(routing) => ctx.config.routing = routing,
            Input::Registry(registry) => parts.kinds.learn_registry(ctx, registry, true),
            Input::RegistryAnswer { ticket, answer } => role.on_registry_answer(ctx, net, ticket, answer),
            Input::Membership(input) => role.on_membership(ctx, parts, input),
            Input::Network { online } => net.set_online(ctx, online),
            Input::Request { id, request } => self.on_request(id, request),
            Input::Tick => {}
        }
    }

    /// Routes facts, and what the overlay and the trees want done, until nothing is left.
    fn settle(&mut self) {
        loop {
            while let Some(fact) = self.ctx.next_fact() {
                self.on_fact(fact);
            }
            let Self { ctx, role, parts, .. } = self;
            let wanting = role.wanting(&parts.kinds);
            parts.sync.pump(ctx, &parts.net, &parts.log, wanting);
            if !parts.net.pump(ctx, &parts.directory) && ctx.is_settled() {
                return;
            }
        }
    }

    fn on_fact(&mut self, fact: Fact) {
        let Self { ctx, role, parts, .. } = self;
        let wanting = role.wanting(&parts.kinds);
        let (net, log, sync) = (&mut parts.net, &mut parts.log, &mut parts.sync);
        match fact {
            Fact::Misbehaved { link, reason } => net.on_misbehaved(ctx, link, &reason),
            Fact::SessionDown(ended) => {
                let interest = sync.on_session_down(ctx, net, log, wanting, &ended);
                role.on_session_down(ctx, parts, &ended, interest);
            }
            Fact::NeighbourUp { link } => {
                sync.spread.on_up(link);
                sync.send_interests(ctx, net, log, wanting, link);
                parts.on_neighbour_up(ctx, link);
                role.on_neighbour_up(ctx, parts, link);
            }
            Fact::NeighbourDown { link } => sync.spread.on_down(link, ctx.clock()),
            Fact::RoundTrip { link, rtt } => sync.spread.set_rtt(link, rtt),
            Fact::Received { link, message, len } => {
                messages::on_received(role, ctx, parts, link, message, len);
            }
            Fact::Appended { entry, from } => {
                if from == Source::Backup {
                    let header = entry.header();
                    if header.seq == 0 {
                        sync.on_account_seen(net, log, wanting, header.account);
                    }
                    sync.announce(ctx, log, &entry, None);
                }
                parts.on_appended(ctx, &entry);
                role.on_appended(ctx, parts, &entry, from);
            }
            Fact::AccountSeen(account) => role.on_account_seen(ctx, parts, account),
            Fact::Forked { account, device } => role.on_forked(ctx, parts, &account, &device),
            Fact::Voided(account) => parts.reindex(ctx, account),
            Fact::Reindexed(account) if ctx.is_me(&account) => {
                for link in net.neighbour_links() {
                    sync.send_interests(ctx, net, log, wanting, link);
                }
            }
            Fact::Reindexed(_) => {}
            Fact::RebuildViews => parts.rebuild(ctx),
            Fact::PeerHas {
                link,
                device,
                next_seq,
            } => role.on_peer_has(parts, link, device, next_seq),
            Fact::OwnFeedAt { head } => role.on_own_feed_at(ctx, parts, head),
            Fact::OwnBranch => role.on_own_branch(ctx, parts),
            Fact::AccountsWanted { link, accounts } => role.on_accounts_wanted(ctx, parts, link, accounts),
            Fact::Compared { link } => role.on_compared(ctx, parts, link),
            Fact::Helped { link, entries } => role.on_helped(ctx, parts, link, entries),
            Fact::Followed { account, on } => role.on_followed(ctx, parts, account, on),
            Fact::Interest { account, on } => role.on_interest(ctx, parts, account, on),
            Fact::RelayFound(peer) => net.learn(ctx, peer, true),
            Fact::Members { gone } => role.on_members(ctx, parts, &gone),
            Fact::RegistryNamed(registry) => parts.kinds.learn_registry(ctx, registry, false),
        }
    }

    /// Rows of a load; `None`: it failed.
    fn on_loaded(&mut self, id: LoadId, rows: Option<Rows>) {
        let Some(owner) = self.ctx.end_load(id) else {
            return;
        };
        let Self {
            ctx,
            role,
            parts,
            boot,
            ..
        } = self;
        match (owner, rows) {
            (LoadOwner::Boot, Some(rows)) => {
                if boot.on_rows(ctx, role, parts, rows) {
                    parts.on_ready(ctx);
                    role.on_ready(ctx, parts);
                    for (id, request) in core::mem::take(&mut self.early_requests) {
                        self.on_request(id, request);
                    }
                }
            }
            (LoadOwner::View, rows) => requests::on_view_rows(role, ctx, parts, id, rows),
            (owner, rows) => role.on_rows(ctx, parts, owner, id, rows),
        }
    }

    fn on_request(&mut self, id: RequestId, request: Request) {
        let Self { ctx, role, parts, .. } = self;
        if !ctx.ready {
            if self.early_requests.len() >= EARLY_REQUESTS_MAX {
                ctx.answer(id, Response::Error(Error::Starting));
            } else {
                self.early_requests.push((id, request));
            }
            return;
        }
        match request {
            Request::Command(command) => requests::on_command(role, ctx, parts, id, command),
            Request::Query(query) => requests::on_query(role, ctx, parts, id, query),
        }
    }

    /// Ends an input: its writes go to the store, and interfaces learn what it changed.
    fn flush(&mut self) {
        let Self { ctx, role, parts, .. } = self;
        let reached = parts.log.flush(ctx);
        parts.views.read_changed(ctx);
        let due = ctx.flush(reached);
        if let Some(commit) = due {
            parts.sync.grant_consumed(ctx, &commit.consumed);
        }
        view_context::flush_events(role, ctx, parts);
    }
}
