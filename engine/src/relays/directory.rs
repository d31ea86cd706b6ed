//! The directory of relays: what each says of itself, and which of them are alive, judged by every peer on its own.
//!
//! A relay signs a new description with every heartbeat. A peer that receives a higher heartbeat checks the signature,
//! keeps the description and passes it on: relays within a second, persons' devices, which mostly hear of it from a
//! relay anyway, every half minute. A device that is linked with no relay judges by that slower pace.
//!
//! Invariants: nothing is kept or passed on whose signature was not checked; the checks a neighbour can cause per
//! second are bounded, and so is the table (policy when full: see [`gossip::detector`]). A description says where a
//! relay is and how loaded it is. It gives no standing: a relay lists the members of its network alone
//! ([`Directory::set_members`]), and keeps their descriptions on disk, so that they are known after a restart and
//! however long they are silent. In an open network it lists every peer that keeps a link with it and describes itself
//! there, and those that listed relays describe. For a device a receipt counts only from a relay it knows, or one that
//! such a relay lists and passes on, and it chooses relays among those; none of the two counts that is no member of the
//! network by what such relays say ([`Directory::judge`]). A relay that breaks the protocol is banned like
//! any peer.
//!
//! A relay whose clock was ahead goes on from the heartbeat that others know: they send it its own description.

use std::time::Duration;

use gossip::detector::{Change, Detector, State};
use ordered::{Map, Set};
use protocol::messages::directory::{Description, SignedDescription, role};
use protocol::messages::{Message, Relays};
use protocol::names::RegistryId;
use protocol::{Instant, KeyPair, PeerId, codec, limits};

use crate::api::{Event, RelayState, RelayView};
use crate::ctx::{Ctx, DirectoryMode};
use crate::facts::Fact;
use crate::io::{Config, LinkId, Log, RelayMetrics};
use crate::store::{Op, Table};

use super::member_lists::{MemberList, MemberLists};

/// How long a relay waits to pass descriptions on together, at most; otherwise a fifth of a heartbeat.
const RELAYS_PASS_ON_MAX: Duration = Duration::from_secs(1);
/// Interval at which a browser passes new descriptions on.
const BROWSERS_PASS_ON: Duration = Duration::from_secs(30);
/// Number of missing heartbeats after which a relay is considered dead.
const DEAD_AFTER: u32 = 6;
/// Signatures checked for one neighbour per second. Policy beyond: the rest comes again with the next heartbeat.
const CHECKS_PER_S: u32 = 128;

/// Prefix of a key of the `Meta` table: a member, and how it described itself last.
const MEMBER: &[u8] = b"member:";

#[derive(Debug)]
struct Known {
    signed: SignedDescription,
    /// While it is to be passed on: the links that know it already.
    fresh: Option<Vec<LinkId>>,
    /// A member that was not heard of since the start, or for so long that the detector forgot it: since when it counts
    /// as dead.
    unheard: Option<Duration>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Directory {
    detector: Detector<PeerId>,
    known: Map<PeerId, Known>,
    checks: Map<LinkId, u32>,
    /// The description of this relay itself.
    own: Option<Known>,
    metrics: RelayMetrics,
    /// A description is to be passed on.
    fresh: bool,
    next_beat: Instant,
    next_pass: Instant,
    changed: bool,
    partitioned: bool,
    mode: DirectoryMode,
    /// At a relay: the relays that may be listed. `None`: any.
    members: Option<Set<PeerId>>,
    /// At a device: what the relays it knows say.
    lists: MemberLists,
}

/// What goes into a relay's own description with each heartbeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// Entries held.
    pub(crate) revision: u64,
    pub(crate) registry: Option<RegistryId>,
}

/// The neighbour a list of relays came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) link: LinkId,
    pub(crate) peer: PeerId,
    /// It is a relay this peer knows, or for relays one of the directory.
    pub(crate) anchor: bool,
}

impl Directory {
    pub(crate) fn new(config: &Config, now: Instant, mode: DirectoryMode) -> Self {
        let mut detector = Detector::new(Default::default(), Duration::from_micros(now.0));
        detector.set_pace(config.relays_beat_every, config.relays_beat_every * DEAD_AFTER);
        Self {
            detector,
            known: Map::new(),
            checks: Map::new(),
            own: None,
            metrics: RelayMetrics::default(),
            fresh: false,
            next_beat: now,
            next_pass: now,
            changed: false,
            partitioned: false,
            mode,
            members: None,
            lists: MemberLists::default(),
        }
    }

    pub(crate) fn mode(&self) -> DirectoryMode {
        self.mode
    }

    /// Load and response time of this relay, as measured lately.
    pub(crate) fn set_metrics(&mut self, metrics: RelayMetrics) {
        self.metrics = metrics;
    }

    /// A second passed.
    pub(crate) fn refill(&mut self) {
        self.checks.clear();
    }

    /// When [`Self::on_timer`] has something to do.
    pub(crate) fn next_deadline(&self) -> Instant {
        let judging = self.detector.next_deadline().as_micros();
        let judging = Instant(u64::try_from(judging).unwrap_or(u64::MAX));
        let beat = self.own.as_ref().map(|_| self.next_beat);
        let pass = self.fresh.then_some(self.next_pass);
        [beat, pass].into_iter().flatten().fold(judging, Instant::min)
    }

    /// The relays listed, this one last.
    pub(crate) fn views(&self) -> Vec<RelayView> {
        let view = |description: &Description, state, this| RelayView {
            description: description.clone(),
            state,
            this,
        };
        let others = self
            .known
            .iter()
            .filter_map(|(peer, known)| Some(view(&known.signed.description, self.state(peer)?, false)));
        let own = self.own.iter();
        let own = own.map(|own| view(&own.signed.description, RelayState::Alive, true));
        others.chain(own).collect()
    }

    /// The description of a relay that is alive.
    pub(crate) fn alive(&self, peer: &PeerId) -> Option<&Description> {
        let alive = self.detector.state(peer) == Some(State::Alive);
        let known = self.known.get(peer).filter(|_| alive)?;
        Some(&known.signed.description)
    }

    /// The address a relay describes itself with.
    pub(crate) fn url_of(&self, peer: &PeerId) -> Option<String> {
        let url = &self.known.get(peer)?.signed.description.url;
        (!url.is_empty()).then(|| url.clone())
    }

    /// The descriptions of all relays, alive or not, this one included.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &Description> {
        let known = self.known.values().chain(&self.own);
        known.map(|known| &known.signed.description)
    }

    /// The description of this relay itself.
    pub(crate) fn own_description(&self) -> Option<&Description> {
        self.own.as_ref().map(|own| &own.signed.description)
    }

    /// The descriptions of the other relays that are alive.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Description> {
        self.known_living().map(|known| &known.signed.description)
    }

    fn known_living(&self) -> impl Iterator<Item = &Known> {
        let alive = |peer: &PeerId| self.detector.state(peer) == Some(State::Alive);
        let known = self.known.iter().filter(move |(peer, _)| alive(peer));
        known.map(|(_, known)| known)
    }

    /// The other relays of this network that are alive and keep feeds.
    pub(crate) fn living_workers(&self) -> impl Iterator<Item = &Description> {
        self.living()
            .filter(|description| description.roles & role::WORKER != 0)
    }

    /// The state of another relay; `None`: it is not listed.
    pub(crate) fn state(&self, peer: &PeerId) -> Option<RelayState> {
        let known = self.known.get(peer)?;
        let left = known.signed.description.roles & role::LEFT != 0;
        Some(match self.detector.state(peer) {
            Some(State::Alive) => RelayState::Alive,
            Some(State::Suspect) => RelayState::Suspect,
            Some(State::Dead) | None if left => RelayState::Left,
            Some(State::Dead) | None => RelayState::Dead,
        })
    }

    /// How long a relay has been dead by now. `None`: it is not.
    pub(crate) fn dead_for(&self, peer: &PeerId, now: Duration) -> Option<Duration> {
        let unheard = self.known.get(peer).and_then(|known| known.unheard);
        let unheard = unheard.map(|since| now.saturating_sub(since));
        self.detector.dead_for(peer, now).or(unheard)
    }

    /// More than a tolerable share of the relays fell silent at once: this peer is more likely cut off itself.
    pub(crate) fn suspects_partition(&self) -> bool {
        self.partitioned
    }

    /// Whether a relay may keep feeds: its description does not say otherwise.
    pub(crate) fn may_keep(&self, peer: &PeerId) -> bool {
        let roles = self.known.get(peer).map(|known| known.signed.description.roles);
        roles.is_none_or(|roles| roles & role::WORKER != 0)
    }

    /// Whether it lists `peer`.
    pub(crate) fn lists(&self, peer: &PeerId) -> bool {
        self.known.contains_key(peer)
    }
}

/// Members.
impl Directory {
    /// Only these relays are listed from now on; `None`: any. Others are forgotten.
    pub(crate) fn set_members(&mut self, ctx: &mut Ctx, members: Option<Set<PeerId>>) {
        self.members = members;
        let gone: Vec<PeerId> = self
            .known
            .keys()
            .filter(|peer| !self.admits(peer))
            .copied()
            .collect();
        for peer in gone {
            self.known.remove(&peer);
            self.detector.remove(&peer);
            let (table, key) = (Table::Meta, key_of(&peer));
            ctx.write(Op::Delete { table, key });
            self.changed = true;
        }
    }

    /// At a device: a linked relay that it knows says who is a member.
    pub(crate) fn set_list(&mut self, by: PeerId, list: MemberList) {
        self.lists.set(by, list);
    }

    /// At a device: a relay that has sent a list is no member itself.
    pub(crate) fn distrust_list(&mut self, by: &PeerId) {
        self.lists.distrust(by);
    }

    /// At a device: the link with a relay has ended.
    pub(crate) fn remove_list(&mut self, by: &PeerId) {
        self.lists.remove(by);
    }

    /// At a device: whether a relay is a member of the network. `None`: no relay says so. `named`: the address book
    /// names it.
    pub(crate) fn judge(&self, relay: &PeerId, named: bool) -> Option<bool> {
        let alive = matches!(self.detector.state(relay), Some(State::Alive | State::Suspect));
        self.lists.judge(relay, named, alive)
    }

    /// At a device: relays that are no members are not listed.
    pub(crate) fn drop_no_members(&mut self, is_named: impl Fn(&PeerId) -> bool) {
        let known: Vec<PeerId> = self.known.keys().copied().collect();
        for peer in known {
            if self.judge(&peer, is_named(&peer)) == Some(false) {
                self.known.remove(&peer);
                self.detector.remove(&peer);
                self.changed = true;
            }
        }
    }

    /// Whether a relay is a member. `None`: any may be.
    pub(crate) fn is_member(&self, peer: &PeerId) -> Option<bool> {
        self.members.as_ref().map(|members| members.contains(peer))
    }

    /// Whether a relay may be listed.
    fn admits(&self, peer: &PeerId) -> bool {
        self.members.as_ref().is_none_or(|members| members.contains(peer))
    }

    /// A member, as it described itself before the last start.
    pub(crate) fn restore(&mut self, signed: SignedDescription, now: Duration) {
        let known = Known {
            signed,
            fresh: None,
            unheard: Some(now),
        };
        self.known.insert(known.signed.description.relay, known);
        self.changed = true;
    }

    /// The store has been read: the members of before the start are dialled.
    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx) {
        if core::mem::take(&mut self.changed) {
            // The adapter learns their addresses before it is to dial them.
            ctx.event(Event::Relays(self.views()));
        }
        for (peer, known) in self.known.iter() {
            if known.signed.description.roles & role::LEFT == 0 {
                ctx.fact(Fact::RelayFound(*peer));
            }
        }
    }

    /// This relay leaves its network in order, and tells its neighbours.
    pub(crate) fn leave(&mut self, ctx: &mut Ctx, own: Own, links: &[(LinkId, bool)]) {
        let Some(known) = &self.own else { return };
        let description = known.signed.description.clone();
        let roles = description.roles | role::LEFT;
        self.describe(ctx, Description { roles, ..description });
        self.beat(ctx, own);
        self.pass_on(ctx, links);
    }

    /// Others know a higher heartbeat of this relay than it signed since its start: its clock was ahead.
    fn on_own_description(&mut self, ctx: &mut Ctx, signed: &SignedDescription) {
        let Some(own) = self.own.as_mut().filter(|_| self.mode == DirectoryMode::Relay) else {
            return;
        };
        let heartbeat = signed.description.heartbeat;
        if heartbeat > own.signed.description.heartbeat && signed.verify().is_ok() {
            own.signed.description.heartbeat = heartbeat;
            self.next_beat = ctx.now.instant;
            ctx.wake();
        }
    }
}

impl Directory {
    /// How this relay describes itself from now on.
    pub(crate) fn describe(&mut self, ctx: &mut Ctx, description: Description) {
        let Some(key) = self.own_key(ctx) else { return };
        let before = self.own.as_ref();
        let heartbeat = before.map_or(0, |own| own.signed.description.heartbeat);
        let description = Description {
            heartbeat,
            ..description
        };
        self.own = Some(Known {
            signed: description.sign(key),
            fresh: None,
            unheard: None,
        });
        self.changed = true;
        self.next_beat = ctx.now.instant;
        // The assignment follows from it.
        ctx.wake();
    }

    /// The key that this peer signs its description with; `None`: it is not listed.
    fn own_key<'a>(&self, ctx: &'a Ctx) -> Option<&'a KeyPair> {
        match self.mode {
            DirectoryMode::Relay => ctx.local.as_ref().map(|local| &local.key),
            DirectoryMode::Device => None,
        }
    }

    /// This relay wants no feeds any more, and describes itself so at once.
    pub(crate) fn give_up_share(&mut self, ctx: &mut Ctx, own: Own) {
        if let Some(known) = &self.own {
            let description = Description {
                capacity: 0,
                ..known.signed.description.clone()
            };
            self.describe(ctx, description);
            self.beat(ctx, own);
        }
    }

    /// A neighbour passes descriptions on. `is_known`: whether this peer knows a relay; `is_named`: whether its address
    /// book names it.
    pub(crate) fn on_relays(
        &mut self,
        ctx: &mut Ctx,
        from: Sender,
        relays: Relays,
        is_known: impl Fn(&PeerId) -> bool,
        is_named: impl Fn(&PeerId) -> bool,
    ) {
        let own = ctx.peer();
        for signed in relays.relays {
            let peer = signed.description.relay;
            if own == Some(peer) {
                if self.may_check(from.link) {
                    self.on_own_description(ctx, &signed);
                }
                continue;
            }
            if !self.admits(&peer) {
                continue;
            }
            let is_listed = match self.mode {
                DirectoryMode::Relay if self.members.is_some() => from.anchor || peer == from.peer,
                // Either it is linked itself, or a listed relay describes it.
                DirectoryMode::Relay => from.anchor || peer == from.peer || self.lists(&from.peer),
                // A description is a sign of life.
                DirectoryMode::Device if self.lists.judge(&peer, is_named(&peer), true) == Some(false) => {
                    false
                }
                DirectoryMode::Device => from.anchor || is_known(&peer) || self.lists(&peer),
            };
            if !is_listed {
                continue;
            }
            let stored = self
                .known
                .get(&peer)
                .map(|known| known.signed.description.heartbeat);
            let known = self.detector.counter(&peer).max(stored);
            let heartbeat = signed.description.heartbeat;
            if known.is_some_and(|known| known > heartbeat) {
                let newer = self.known.get(&peer).filter(|_| peer == from.peer);
                if let Some(newer) = newer.map(|known| known.signed.clone()) {
                    // Its clock was ahead: it goes on from there.
                    self.send(ctx, from.link, true, vec![newer]);
                }
                continue;
            }
            let heard = self.detector.state(&peer).is_some();
            if known == Some(heartbeat) && (heard || peer != from.peer) {
                let told = self.known.get_mut(&peer);
                if let Some(told) = told.and_then(|known| known.fresh.as_mut()) {
                    told.push(from.link);
                }
                continue;
            }
            if !self.may_check(from.link) {
                return;
            }
            if signed.verify().is_err() {
                return ctx.misbehaved(from.link, "a description with a wrong signature");
            }
            self.learn(ctx, peer, signed, from.link, is_known(&peer));
        }
        self.report_changes(ctx);
    }

    /// Whether one more signature is checked for a neighbour in this second.
    fn may_check(&mut self, link: LinkId) -> bool {
        let checks = self.checks.or_default(link);
        *checks += 1;
        *checks <= CHECKS_PER_S
    }

    fn learn(
        &mut self,
        ctx: &mut Ctx,
        peer: PeerId,
        signed: SignedDescription,
        from: LinkId,
        is_known: bool,
    ) {
        let was_alive = self.detector.state(&peer) == Some(State::Alive);
        if !self
            .detector
            .heard(peer, signed.description.heartbeat, ctx.clock())
        {
            return;
        }
        let fresh = Known {
            signed,
            fresh: Some(vec![from]),
            unheard: None,
        };
        let after = fresh.signed.description.clone();
        let before = self.known.insert(peer, fresh);
        self.fresh = true;
        let same = |before: &Known| {
            let before = &before.signed.description;
            before.url == after.url
                && before.zone == after.zone
                && before.capacity == after.capacity
                && before.roles == after.roles
        };
        let is_same = before.as_ref().is_some_and(same);
        if after.roles & role::LEFT != 0 {
            self.detector.left(&peer, ctx.clock());
        }
        if let Some(known) = self
            .known
            .get(&peer)
            .filter(|_| self.members.is_some() && !is_same)
        {
            ctx.write(Op::put(Table::Meta, key_of(&peer), &known.signed));
        }
        match self.mode {
            DirectoryMode::Relay => {
                // Operators look at a relay's own list: its metrics are fresh.
                self.changed = true;
                if !was_alive {
                    // Relays link with relays; on the link the peer proves its key.
                    ctx.fact(Fact::RelayFound(peer));
                }
            }
            DirectoryMode::Device => self.changed |= !is_same,
        }
        if let Some(registry) = after.registry.filter(|_| is_known) {
            ctx.fact(Fact::RegistryNamed(registry));
        }
    }

    /// What time alone does: heartbeats, judgements, passing on. `links`: the neighbours, and whether each calls
    /// itself a relay; `near_relay`: a relay this peer knows is among them.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, own: Own, links: &[(LinkId, bool)], near_relay: bool) {
        let beat = ctx.config.relays_beat_every;
        let pace = match self.mode {
            DirectoryMode::Device if !near_relay => beat.max(BROWSERS_PASS_ON),
            DirectoryMode::Relay | DirectoryMode::Device => beat,
        };
        self.detector.set_pace(pace, pace * DEAD_AFTER);
        self.detector.tick(ctx.clock());
        self.report_changes(ctx);
        self.beat(ctx, own);
        if self.fresh && ctx.now.instant >= self.next_pass {
            let pause = match self.mode {
                DirectoryMode::Relay => (beat / 5).min(RELAYS_PASS_ON_MAX),
                DirectoryMode::Device => BROWSERS_PASS_ON,
            };
            self.next_pass = ctx.now.instant + pause;
            self.pass_on(ctx, links);
        }
        if core::mem::take(&mut self.changed) {
            ctx.event(Event::Relays(self.views()));
        }
    }

    fn beat(&mut self, ctx: &Ctx, now: Own) {
        let Some(key) = self.own_key(ctx) else { return };
        if ctx.now.instant < self.next_beat {
            return;
        }
        let metrics = self.metrics;
        let Some(own) = &mut self.own else { return };
        let before = &own.signed.description;
        let description = Description {
            // Counted on from the wall clock, so that a restart repeats none.
            heartbeat: ctx.now.wall.0.max(before.heartbeat + 1),
            revision: now.revision,
            registry: now.registry,
            load: metrics.load,
            response_us: metrics.response_us,
            errors_ppm: metrics.errors_ppm,
            ..before.clone()
        };
        *own = Known {
            signed: description.sign(key),
            fresh: Some(Vec::new()),
            unheard: None,
        };
        self.fresh = true;
        self.next_beat = ctx.now.instant + ctx.config.relays_beat_every;
    }

    /// Sends the neighbours what is new and did not come from them.
    fn pass_on(&mut self, ctx: &mut Ctx, links: &[(LinkId, bool)]) {
        self.fresh = false;
        for (link, relay) in links {
            let known = self.known.values().chain(&self.own);
            let news = known.filter(|known| known.fresh.as_ref().is_some_and(|told| !told.contains(link)));
            let news = news.map(|known| known.signed.clone()).collect();
            self.send(ctx, *link, *relay, news);
        }
        for known in self.known.values_mut().chain(&mut self.own) {
            known.fresh = None;
        }
    }

    fn send(&self, ctx: &mut Ctx, link: LinkId, to_relay: bool, mut relays: Vec<SignedDescription>) {
        if self.mode == DirectoryMode::Device && to_relay {
            // Relays do not take descriptions from persons' devices.
            return;
        }
        while !relays.is_empty() {
            let rest = relays.split_off(relays.len().min(limits::RELAYS_PER_MESSAGE_MAX));
            ctx.send(link, &Message::Relays(Relays { relays }));
            relays = rest;
        }
    }

    /// Sends a new neighbour the descriptions of all relays that are alive, and its own, from whose heartbeat it goes on. A
    /// person's device also learns which relays have left, since it may count on what they held.
    pub(crate) fn send_living(&self, ctx: &mut Ctx, link: LinkId, peer: &PeerId, to_relay: bool) {
        // Its own first: with that the neighbour lists this relay, and takes the others from it.
        let other = self
            .known
            .get(peer)
            .filter(|_| self.state(peer) != Some(RelayState::Alive));
        let left = self
            .known
            .values()
            .filter(|known| !to_relay && known.signed.description.roles & role::LEFT != 0);
        let living = self
            .own
            .iter()
            .chain(other)
            .chain(self.known_living())
            .chain(left);
        let living = living.map(|known| known.signed.clone()).collect();
        self.send(ctx, link, to_relay, living);
    }

    fn report_changes(&mut self, ctx: &mut Ctx) {
        while let Some(Change {
            peer,
            from,
            to,
            silent,
        }) = self.detector.poll()
        {
            let known = self.known.get(&peer);
            let url = known.map(|known| known.signed.description.url.clone());
            if to.is_none() {
                let unheard = Some(ctx.clock().saturating_sub(silent));
                match self.known.get_mut(&peer).filter(|_| self.members.is_some()) {
                    Some(known) => known.unheard = unheard,
                    None => drop(self.known.remove(&peer)),
                }
            }
            self.changed = true;
            let name = |state| match state {
                State::Alive => "alive",
                State::Suspect => "suspect",
                State::Dead => "dead",
            };
            ctx.log(Log::Relay {
                peer,
                url: url.unwrap_or_default(),
                from: from.map_or("unknown", name),
                to: to.map_or("gone", name),
                silent,
            });
        }
        let partitioned = self.detector.suspects_partition();
        if partitioned != self.partitioned {
            self.partitioned = partitioned;
            ctx.log(Log::PartitionSuspected { on: partitioned });
        }
    }
}

fn key_of(member: &PeerId) -> Vec<u8> {
    [MEMBER, &member.0].concat()
}

/// A member of the `Meta` table. The inner `None`: a damaged row.
pub(crate) fn stored(key: &[u8], value: &[u8]) -> Option<Option<SignedDescription>> {
    key.starts_with(MEMBER)
        .then(|| codec::decode_extensible(value).ok())
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
