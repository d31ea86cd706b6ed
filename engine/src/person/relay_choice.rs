//! Which relays a browser links with: the one it was told of, and the best of those that one's network has.
//!
//! Relays are ranked by `1 / (i·replication delay + j·response time + k·distance + l·error rate)`, each term with its weight,
//! which the operator of this browser's own relay may set.
//! The replication delay is this very feed's: how long after an entry was written the relay signed for it. What is not
//! measured yet counts as the usual, or as nothing for the relays that keep the feed anyway ([`crate::relays::assignment`]).
//!
//! Moving costs more than a little speed is worth: who was chosen stays until it dies, or until another has been more than
//! twice as good for a minute. That one is linked with first, then the worse is left. The relay the app is from always stays.
//! Where too few of those known take this browser in, one more is chosen each minute.
//!
//! Invariant: nobody is chosen whom no relay this device knows lists. Strangers may describe relays as they like.

use std::time::Duration;

use ordered::Map;
use protocol::directory::{Description, role};
use protocol::{Instant, PeerId};

use crate::api::ScoreView;
use crate::io::{Routing, Terms};
use crate::relays::assignment::{Assignment, Worker};
use crate::{Engine, clock};

/// How often it is looked whether there are enough.
const EVERY: Duration = Duration::from_secs(2);
/// Relays known besides those linked with, to turn to when they die.
const SPARE: usize = 1;
/// Relays known at most. Policy when full: one that was chosen and does not live goes for another; if all live, nobody.
const CHOSEN_MAX: usize = 8;
/// Relays measured at most. Policy when full: all are forgotten.
const MEASURED_MAX: usize = 256;
/// What takes so long to be copied was not on its way: the other relay was away, and made up for it.
pub(crate) const REPAIR: Duration = Duration::from_secs(60);

/// Another relay must be so many times as good as the worst one chosen,
const BETTER: f32 = 2.0;
/// for so long,
const BETTER_FOR: Duration = Duration::from_secs(60);
/// and be linked with by then,
const LINKED_WITHIN: Duration = Duration::from_secs(30);
/// to take its place; so often at most.
const MOVES_EVERY: Duration = Duration::from_mins(10);

/// What was measured of relays, and who was chosen.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Smoothed, in milliseconds.
    replication: Map<PeerId, f32>,
    /// Of relays that were left: how soon they answered, in milliseconds.
    response: Map<PeerId, f32>,
    /// How far this device's feed was written in this run, and when.
    written: Option<(u64, Instant)>,
    /// Since when there are too few links with relays.
    short: Option<Instant>,
    /// Who could take whose place, and since when.
    better: Option<(Move, Instant)>,
    /// Who is to, once it is linked with, and until when that is waited for.
    moving: Option<(Move, Instant)>,
    next: Instant,
    next_move: Instant,
}

/// From one relay to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    from: PeerId,
    to: PeerId,
}

/// Takes a sample into what is known of a relay.
pub(crate) fn smooth(of: &mut Map<PeerId, f32>, most: usize, relay: PeerId, sample: Duration) {
    let sample = sample.as_micros() as f32 / 1_000.0;
    if of.len() >= most && !of.contains_key(&relay) {
        *of = Map::new();
    }
    let smoothed = of.or_insert_with(relay, || sample);
    *smoothed += (sample - *smoothed) / 8.0;
}

impl Routes {
    /// This device wrote an entry.
    pub(crate) fn wrote(&mut self, next_seq: u64, at: Instant) {
        self.written = Some((next_seq, at));
    }

    /// A relay signed for this device's feed for the first time so far; its word came over a link that opened at `since`.
    pub(crate) fn signed(&mut self, relay: PeerId, next_seq: u64, since: Option<Instant>, now: Instant) {
        let Some((written, at)) = self.written else {
            return;
        };
        let delay = now.since(at);
        if written == next_seq && since.is_some_and(|since| since <= at) && delay < REPAIR {
            smooth(&mut self.replication, MEASURED_MAX, relay, delay);
        }
    }

    /// What is known of a relay. `rtt` as this device measured it, if it did.
    fn terms(&self, weights: &Routing, relay: &Description, keeps: bool, rtt: Option<Duration>) -> Terms {
        // Whoever keeps the feed anyway has it first.
        let usual = if keeps { 0.0 } else { weights.usual_replication_ms };
        let delay = self.replication.get(&relay.relay).copied();
        let measured = rtt.map(|rtt| rtt.as_micros() as f32 / 1_000.0);
        let measured = measured.or_else(|| self.response.get(&relay.relay).copied());
        let response =
            measured.unwrap_or_else(|| weights.usual_response_ms.max(relay.response_us as f32 / 1_000.0));
        Terms {
            replication_ms: delay.unwrap_or(usual),
            // A busy one answers later than it did.
            response_ms: response * (1.0 + f32::from(relay.load) / 1_000.0),
            // Browsers do not know where they are.
            distance_km: 0.0,
            errors: relay.errors_ppm as f32 / 1_000_000.0,
        }
    }
}

impl Engine {
    /// Once a second: whether there are relays enough to turn to, and the right ones.
    pub(crate) fn keep_routing(&mut self) {
        let now = self.now.instant;
        if self.is_relay() || now < self.routes.next {
            return;
        }
        self.routes.next = now + EVERY;
        let keepers = self.own_replicas();
        let (mut known, mut linked) = (0, 0);
        let mut worst: Option<(f32, PeerId)> = None;
        let mut best: Option<(f32, PeerId)> = None;
        let mut stranger: Option<(f32, PeerId)> = None;
        for relay in self.directory.living() {
            let (peer, score) = (relay.relay, self.score_of(relay, &keepers).1);
            let chosen = self.peers.is_chosen(&peer);
            let serves = self.directory.vouches_for(&peer)
                && !relay.url.is_empty()
                && relay.roles & role::WORKER != 0
                && relay.capacity > 0;
            known += usize::from(chosen.is_some());
            if self.is_neighbour(&peer) {
                linked += usize::from(chosen.is_some());
                if chosen == Some(true) && worst.is_none_or(|(before, _)| score < before) {
                    worst = Some((score, peer));
                }
            } else if serves {
                if best.is_none_or(|(before, _)| score > before) {
                    best = Some((score, peer));
                }
                if chosen.is_none() && stranger.is_none_or(|(before, _)| score > before) {
                    stranger = Some((score, peer));
                }
            }
        }
        let short = match linked < self.config.relays_target {
            true => Some(self.routes.short.unwrap_or(now)),
            false => None,
        };
        self.routes.short = short;
        let refused = short.is_some_and(|since| now.since(since) >= BETTER_FOR);
        let few = known < self.config.relays_target + SPARE || refused;
        match stranger {
            Some((_, peer)) if few => self.choose(peer),
            _ => self.move_on(worst, best),
        }
    }

    /// Goes over from the worst relay chosen to the best other one, if that is worth it.
    fn move_on(&mut self, worst: Option<(f32, PeerId)>, best: Option<(f32, PeerId)>) {
        let now = self.now.instant;
        if let Some((Move { from, to }, until)) = self.routes.moving {
            let linked = self.is_neighbour(&to);
            if linked {
                self.leave(from);
            }
            if linked || now >= until {
                self.routes.moving = None;
            }
            return;
        }
        let better = worst.zip(best);
        let better = better.filter(|((worse, _), (better, _))| *better > BETTER * *worse);
        let Some(((_, from), (_, to))) = better else {
            self.routes.better = None;
            return;
        };
        let way = Move { from, to };
        match self.routes.better {
            Some((before, since)) if before == way => {
                if now.since(since) < BETTER_FOR || now < self.routes.next_move {
                    return;
                }
                self.routes.better = None;
                self.routes.moving = Some((way, now + LINKED_WITHIN));
                self.routes.next_move = now + MOVES_EVERY;
                self.choose(to);
                if let Some(overlay) = &mut self.overlay {
                    overlay.dial_beyond(to, clock(self.now));
                }
            }
            _ => self.routes.better = Some((way, now)),
        }
    }

    /// The relays that keep this device's own feed.
    fn own_replicas(&self) -> Vec<PeerId> {
        let Some(me) = self.me() else {
            return Vec::new();
        };
        let workers = self.directory.living_workers().map(|relay| Worker {
            peer: relay.relay,
            capacity: relay.capacity,
            zone: &relay.zone,
        });
        Assignment::fair(&workers.collect::<Vec<_>>()).replicas(&me, self.config.replicas)
    }

    /// From now on this device knows the relay.
    fn choose(&mut self, peer: PeerId) {
        self.routes.short = None;
        if !self.peers.is_relay(&peer) && self.peers.relays_len() >= CHOSEN_MAX {
            let dead = |peer: &PeerId| self.directory.alive(peer).is_none() && !self.is_neighbour(peer);
            let Some(dead) = self.peers.chosen().find(dead) else {
                return;
            };
            self.leave(dead);
        }
        let Some(url) = self.directory.url_of(&peer) else {
            return;
        };
        self.know_relay(peer, url);
        if let Some(overlay) = &mut self.overlay {
            overlay.learn(peer, true, clock(self.now), &mut self.rng);
        }
    }

    /// From now on this device does not know the relay, and is not linked with it.
    fn leave(&mut self, peer: PeerId) {
        if let Some(rtt) = self.rtt_of(&peer) {
            self.routes.response.remove(&peer);
            smooth(&mut self.routes.response, MEASURED_MAX, peer, rtt);
        }
        self.forget_relay(&peer);
        if let Some(overlay) = &mut self.overlay {
            overlay.dismiss(peer, clock(self.now), &mut self.rng);
        }
    }

    fn score_of(&self, relay: &Description, keepers: &[PeerId]) -> (Terms, f32) {
        let (keeps, rtt) = (keepers.contains(&relay.relay), self.rtt_of(&relay.relay));
        let terms = self.routes.terms(&self.config.routing, relay, keeps, rtt);
        (terms, self.config.routing.score(&terms))
    }

    /// How good each relay of the directory seems to be for this device's own feed.
    pub(crate) fn scores(&self) -> Vec<ScoreView> {
        let keepers = self.own_replicas();
        let score = |relay: &Description| {
            let (terms, score) = self.score_of(relay, &keepers);
            ScoreView {
                relay: relay.relay,
                score: (score * 10_000.0) as u32,
                parts: self
                    .config
                    .routing
                    .parts(&terms)
                    .map(|part| (part * 10.0 + 0.5) as u32),
            }
        };
        self.directory.descriptions().map(score).collect()
    }
}
