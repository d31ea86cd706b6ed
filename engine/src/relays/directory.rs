//! Which relays there are: what each says of itself, and who of them lives, judged by every peer alone.
//!
//! A relay describes itself anew with every heartbeat; whoever hears of a higher one checks the signature, keeps it and
//! passes it on. Relays do so within a second; browsers, who mostly hear it from a relay anyway, every half minute. A
//! browser that is linked with no relay judges by that slower pace.
//!
//! Invariants: nothing is kept or passed on whose signature was not checked; what a neighbour makes this peer check is
//! bounded per second, and so is the table. Policy when full: see [`gossip::detector`]. A description says where a relay
//! is and how it does, and relays link with each other by it; alone it gives it no standing: a receipt counts only
//! from a relay this device knows, or if such a relay lists its signer and passes it on; a browser chooses relays
//! among those that such a relay lists; and one that breaks the protocol is banned like anybody.
//! A relay lists whoever keeps a link with it and describes itself there, and whom relays that it lists describe;
//! [`Config::relays_allowed`] closes the network.

use std::time::Duration;

use gossip::detector::{Change, Detector, State};
use ordered::Map;
use protocol::directory::{Description, SignedDescription, role};
use protocol::message::{Message, Relays};
use protocol::{Instant, PeerId, limits};

use crate::api::{Event, RelayState, RelayView};
use crate::io::{Config, Figures, LinkId, Log, Output, PeerKind};
use crate::{Engine, clock};

/// How long a relay waits for more to pass on together, at most; otherwise a fifth of a heartbeat.
const RELAYS_PASS_ON_MAX: Duration = Duration::from_secs(1);
/// How often a browser passes on what it heard.
const BROWSERS_PASS_ON: Duration = Duration::from_secs(30);
/// Heartbeats that may be missing before a relay is dead.
const DEAD_AFTER: u32 = 6;
/// Signatures checked for one neighbour per second; what is beyond comes again with the next heartbeat.
const CHECKS_PER_S: u32 = 128;

#[derive(Debug)]
struct Known {
    signed: SignedDescription,
    /// While it is to be passed on: which links know it already.
    fresh: Option<Vec<LinkId>>,
    /// A relay this device knows lists it.
    vouched: bool,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Directory {
    detector: Detector<PeerId>,
    known: Map<PeerId, Known>,
    checks: Map<LinkId, u32>,
    /// What this relay says of itself.
    own: Option<Known>,
    figures: Figures,
    /// Somebody's description is to be passed on.
    fresh: bool,
    next_beat: Instant,
    next_pass: Instant,
    changed: bool,
    doubted: bool,
}

impl Directory {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        let mut detector = Detector::new(Default::default(), Duration::from_micros(now.0));
        detector.set_pace(config.relays_beat_every, config.relays_beat_every * DEAD_AFTER);
        Self {
            detector,
            known: Map::new(),
            checks: Map::new(),
            own: None,
            figures: Figures::default(),
            fresh: false,
            next_beat: now,
            next_pass: now,
            changed: false,
            doubted: false,
        }
    }

    /// How this relay does.
    pub(crate) fn set_figures(&mut self, figures: Figures) {
        self.figures = figures;
    }

    /// A second passed.
    pub(crate) fn refill(&mut self) {
        self.checks.clear();
    }

    /// When [`Engine::keep_directory`] has something to do.
    pub(crate) fn next_deadline(&self) -> Instant {
        let judging = self.detector.next_deadline().as_micros();
        let judging = Instant(u64::try_from(judging).unwrap_or(u64::MAX));
        let beat = self.own.as_ref().map(|_| self.next_beat);
        let pass = self.fresh.then_some(self.next_pass);
        [beat, pass].into_iter().flatten().fold(judging, Instant::min)
    }

    /// The relays known, this one last.
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

    /// What a relay that lives says of itself.
    pub(crate) fn alive(&self, peer: &PeerId) -> Option<&Description> {
        let alive = self.detector.state(peer) == Some(State::Alive);
        let known = self.known.get(peer).filter(|_| alive)?;
        Some(&known.signed.description)
    }

    /// Where a relay says it is.
    pub(crate) fn url_of(&self, peer: &PeerId) -> Option<String> {
        let url = &self.known.get(peer)?.signed.description.url;
        (!url.is_empty()).then(|| url.clone())
    }

    /// What relays say of themselves, this one too, living or not.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &Description> {
        let known = self.known.values().chain(&self.own);
        known.map(|known| &known.signed.description)
    }

    /// What this relay says of itself.
    pub(crate) fn own_description(&self) -> Option<&Description> {
        self.own.as_ref().map(|own| &own.signed.description)
    }

    /// Other relays that live.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Description> {
        self.known_living().map(|known| &known.signed.description)
    }

    fn known_living(&self) -> impl Iterator<Item = &Known> {
        let alive = |peer: &PeerId| self.detector.state(peer) == Some(State::Alive);
        let known = self.known.iter().filter(move |(peer, _)| alive(peer));
        known.map(|(_, known)| known)
    }

    /// Other relays that live and keep feeds, of this network.
    pub(crate) fn living_workers(&self) -> impl Iterator<Item = &Description> {
        let known = self.known_living().filter(|known| known.vouched);
        let described = known.map(|known| &known.signed.description);
        described.filter(|description| description.roles & role::WORKER != 0)
    }

    /// How another relay seems to do; `None`: nobody knows it.
    pub(crate) fn state(&self, peer: &PeerId) -> Option<RelayState> {
        Some(match self.detector.state(peer)? {
            State::Alive => RelayState::Alive,
            State::Suspect => RelayState::Suspect,
            State::Dead => RelayState::Dead,
        })
    }

    /// How long a relay has been dead by now. `None`: it is not.
    pub(crate) fn dead_for(&self, peer: &PeerId, now: Duration) -> Option<Duration> {
        self.detector.dead_for(peer, now)
    }

    /// So many relays fell silent that this peer is more likely cut off.
    pub(crate) fn doubts(&self) -> bool {
        self.doubted
    }

    /// Whether a relay may keep feeds: it does not say that it does not.
    pub(crate) fn may_keep(&self, peer: &PeerId) -> bool {
        let roles = self.known.get(peer).map(|known| known.signed.description.roles);
        roles.is_none_or(|roles| roles & role::WORKER != 0)
    }

    /// Whether it lists `peer`.
    pub(crate) fn lists(&self, peer: &PeerId) -> bool {
        self.known.contains_key(peer)
    }

    /// Whether `peer` is a relay of this network: whoever is listed by a relay this device knows.
    pub(crate) fn vouches_for(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(|known| known.vouched)
    }
}

impl Engine {
    /// How a relay seems to do, this one too.
    pub(crate) fn relay_state(&self, peer: &PeerId) -> Option<RelayState> {
        match self.own_peer() == Some(*peer) {
            true => Some(RelayState::Alive),
            false => self.directory.state(peer),
        }
    }

    /// What this relay says of itself from now on.
    pub(crate) fn describe(&mut self, description: Description) {
        let PeerKind::Relay { key } = &self.config.kind else {
            return;
        };
        if !self.is_relay() {
            return;
        }
        let before = self.directory.own.as_ref();
        let heartbeat = before.map_or(0, |own| own.signed.description.heartbeat);
        let description = Description {
            heartbeat,
            ..description
        };
        self.directory.own = Some(Known {
            signed: description.sign(key),
            fresh: None,
            vouched: true,
        });
        self.directory.changed = true;
        self.directory.next_beat = self.now.instant;
        // Whose feeds are whose follows from it.
        self.next_housekeeping = self.now.instant;
    }

    /// This relay wants no share any more, and says so at once.
    pub(crate) fn give_up_share(&mut self) {
        if let Some(own) = &self.directory.own {
            let description = Description {
                capacity: 0,
                ..own.signed.description.clone()
            };
            self.describe(description);
            self.beat();
        }
    }

    pub(crate) fn on_relays(&mut self, link: LinkId, relays: Relays) {
        let Some(sender) = self.up(link).map(|up| up.peer) else {
            return;
        };
        let vouched = self.is_anchor(&sender);
        let own = self.own_peer();
        for signed in relays.relays {
            let peer = signed.description.relay;
            let allowed = self.config.relays_allowed.as_ref();
            if own == Some(peer) || allowed.is_some_and(|allowed| !allowed.contains(&peer)) {
                continue;
            }
            // Whom a relay lists gets feeds to keep and is passed on: either it is here itself, or a relay says so.
            let vouched = vouched || (self.is_relay() && (peer == sender || self.directory.lists(&sender)));
            if self.is_relay() && !vouched {
                continue;
            }
            if let Some(known) = self.directory.known.get_mut(&peer) {
                known.vouched |= vouched;
            }
            let known = self.directory.detector.counter(&peer);
            if known.is_some_and(|known| known > signed.description.heartbeat) {
                continue;
            }
            if known == Some(signed.description.heartbeat) {
                let told = self.directory.known.get_mut(&peer);
                if let Some(told) = told.and_then(|known| known.fresh.as_mut()) {
                    told.push(link);
                }
                continue;
            }
            let checks = self.directory.checks.or_default(link);
            *checks += 1;
            if *checks > CHECKS_PER_S {
                return;
            }
            if signed.verify().is_err() {
                return self.misbehaved(link, "a description with a wrong signature");
            }
            self.learn_relay(peer, signed, link, vouched);
        }
        self.tell_changes();
    }

    fn learn_relay(&mut self, peer: PeerId, signed: SignedDescription, from: LinkId, vouched: bool) {
        let now = clock(self.now);
        let is_relay = self.is_relay();
        let directory = &mut self.directory;
        let was_alive = directory.detector.state(&peer) == Some(State::Alive);
        if !directory.detector.heard(peer, signed.description.heartbeat, now) {
            return;
        }
        let fresh = Known {
            signed,
            fresh: Some(vec![from]),
            vouched: vouched || directory.vouches_for(&peer),
        };
        let after = fresh.signed.description.clone();
        let before = directory.known.insert(peer, fresh);
        directory.fresh = true;
        let same = |before: &Known| {
            let before = &before.signed.description;
            before.url == after.url && before.zone == after.zone && before.capacity == after.capacity
        };
        // A relay's own list is looked at by operators: its numbers are fresh.
        directory.changed |= is_relay || !before.as_ref().is_some_and(same);
        let registry = after.registry;
        if let Some(overlay) = self.overlay.as_mut().filter(|_| is_relay && !was_alive) {
            // Relays link with relays; whoever is there proves its key.
            overlay.learn(peer, true, now, &mut self.rng);
        }
        if let Some(registry) = registry.filter(|_| self.peers.is_relay(&peer)) {
            self.learn_registry(registry, false);
        }
    }

    /// What time alone does: heartbeats, judgements, passing on.
    pub(crate) fn keep_directory(&mut self) {
        let pace = if self.is_relay() || self.links_with_relay() {
            self.config.relays_beat_every
        } else {
            self.config.relays_beat_every.max(BROWSERS_PASS_ON)
        };
        self.directory.detector.set_pace(pace, pace * DEAD_AFTER);
        self.directory.detector.tick(clock(self.now));
        self.tell_changes();
        self.beat();
        if self.directory.fresh && self.now.instant >= self.directory.next_pass {
            let pause = if self.is_relay() {
                (self.config.relays_beat_every / 5).min(RELAYS_PASS_ON_MAX)
            } else {
                BROWSERS_PASS_ON
            };
            self.directory.next_pass = self.now.instant + pause;
            self.pass_on();
        }
        if core::mem::take(&mut self.directory.changed) {
            let views = self.directory.views();
            self.event(Event::Relays(views));
        }
    }

    fn beat(&mut self) {
        let PeerKind::Relay { key } = &self.config.kind else {
            return;
        };
        if !self.is_relay() {
            return;
        }
        if self.now.instant < self.directory.next_beat {
            return;
        }
        let figures = self.directory.figures;
        let Some(own) = &mut self.directory.own else {
            return;
        };
        let before = &own.signed.description;
        let description = Description {
            // Counted on from the wall clock, so that a restart repeats none.
            heartbeat: self.now.wall.0.max(before.heartbeat + 1),
            revision: self.feeds.entries(),
            registry: self.names.registry(),
            load: figures.load,
            response_us: figures.response_us,
            errors_ppm: figures.errors_ppm,
            ..before.clone()
        };
        *own = Known {
            signed: description.sign(key),
            fresh: Some(Vec::new()),
            vouched: true,
        };
        self.directory.fresh = true;
        self.directory.next_beat = self.now.instant + self.config.relays_beat_every;
    }

    /// Tells neighbours what is new and what they did not say themselves.
    fn pass_on(&mut self) {
        self.directory.fresh = false;
        for link in self.up_links() {
            let known = self.directory.known.values().chain(&self.directory.own);
            let news = known.filter(|known| known.fresh.as_ref().is_some_and(|told| !told.contains(&link)));
            let news = news.map(|known| known.signed.clone()).collect();
            self.tell(link, news);
        }
        let Directory { known, own, .. } = &mut self.directory;
        for known in known.values_mut().chain(own) {
            known.fresh = None;
        }
    }

    fn tell(&mut self, link: LinkId, mut relays: Vec<SignedDescription>) {
        // Relays do not take a browser's word for it.
        if !self.is_relay() && self.up(link).is_some_and(|up| up.relay) {
            return;
        }
        while !relays.is_empty() {
            let rest = relays.split_off(relays.len().min(limits::RELAYS_PER_MESSAGE_MAX));
            self.send(link, &Message::Relays(Relays { relays }));
            relays = rest;
        }
    }

    /// A new neighbour hears of everybody who lives.
    pub(crate) fn tell_relays(&mut self, link: LinkId) {
        // Its own first: with that it is listed, and its word about others counts.
        let own = self.directory.own.iter();
        let living = own
            .chain(self.directory.known_living())
            .map(|known| known.signed.clone())
            .collect();
        self.tell(link, living);
    }

    fn tell_changes(&mut self) {
        while let Some(Change {
            peer,
            from,
            to,
            silent,
        }) = self.directory.detector.poll()
        {
            let url = self
                .directory
                .known
                .get(&peer)
                .map(|known| known.signed.description.url.clone());
            if to.is_none() {
                self.directory.known.remove(&peer);
            }
            self.directory.changed = true;
            let name = |state| match state {
                State::Alive => "alive",
                State::Suspect => "suspect",
                State::Dead => "dead",
            };
            self.emit(Output::Log(Log::Relay {
                peer,
                url: url.unwrap_or_default(),
                from: from.map_or("unknown", name),
                to: to.map_or("gone", name),
                silent,
            }));
        }
        let doubts = self.directory.detector.doubts_itself();
        if doubts != self.directory.doubted {
            self.directory.doubted = doubts;
            self.emit(Output::Log(Log::Doubt { on: doubts }));
        }
    }
}
