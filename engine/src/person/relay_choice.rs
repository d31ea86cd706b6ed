//! The relays a person's device links with: those of its address book, and the best of their network.
//!
//! Relays are ranked by `1 / (i·replication delay + j·response time + k·distance + l·error rate)`, each term with its
//! weight, which the operator of the device's own relay may set. The replication delay is that of this very feed: how
//! long after an entry was written the relay signed for it. What is not measured yet counts as the usual, or as
//! nothing for the relays that keep the feed anyway ([`crate::relays::assignment`]).
//!
//! Moving costs more than a little speed is worth: a chosen relay stays until it dies, or until another has been more
//! than twice as good for a minute. The device links with that one first, and then leaves the worse one. The relay the
//! app is from always stays. Where too few of the known relays accept this device, one more is chosen each minute.
//!
//! Invariant: no relay is chosen that no known relay lists. Strangers may describe relays as they like.

use std::time::Duration;

use ordered::Map;
use protocol::messages::directory::{Description, role};
use protocol::{Instant, PeerId};

use crate::api::ScoreView;
use crate::ctx::Ctx;
use crate::io::{Routing, Terms};
use crate::net::Net;
use crate::relays::assignment::{Assignment, Worker};
use crate::relays::directory::Directory;
use crate::relays::{REPAIR, smooth};

/// Interval between two evaluations of the choice.
const EVERY: Duration = Duration::from_secs(2);
/// Relays known besides those linked with, to turn to when they die.
const SPARE: usize = 1;
/// Relays known at most. Policy when full: a chosen one that is not alive gives way; if all are alive, none is added.
const CHOSEN_MAX: usize = 8;
/// Relays measured at most. Policy when full: all are forgotten.
const MEASURED_MAX: usize = 256;

/// Interval at which a named relay that is alive and not linked is dialled, though there are links enough.
const NAMED_EVERY: Duration = Duration::from_secs(15);

/// Another relay must be this many times as good as the worst one chosen to take its place.
const BETTER: f32 = 2.0;
/// The other relay must be better for this time without a break.
const BETTER_FOR: Duration = Duration::from_secs(60);
/// The new relay must be linked within this time; otherwise the old one is kept.
const LINKED_WITHIN: Duration = Duration::from_secs(30);
/// Shortest time between two moves.
const MOVES_EVERY: Duration = Duration::from_mins(10);

/// What was measured of relays, and what is to change.
#[derive(Debug, Default)]
pub(crate) struct RelayChoice {
    /// Smoothed, in milliseconds.
    replication: Map<PeerId, f32>,
    /// Of relays that were left: their response time in milliseconds.
    response: Map<PeerId, f32>,
    /// How far this device's feed was written in this run, and when.
    written: Option<(u64, Instant)>,
    /// Since when there are too few links with relays.
    short: Option<Instant>,
    /// The move that would be worth it, and since when.
    better: Option<(Move, Instant)>,
    /// The move under way, and until when its relay must be linked.
    moving: Option<(Move, Instant)>,
    next: Instant,
    next_move: Instant,
    next_named: Instant,
}

/// From one relay to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    from: PeerId,
    to: PeerId,
}

impl RelayChoice {
    /// This device wrote an entry.
    pub(crate) fn wrote(&mut self, next_seq: u64, at: Instant) {
        self.written = Some((next_seq, at));
    }

    /// A relay signed for this device's feed further than before; the receipt came over a link that opened at `since`.
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
        // A relay that keeps the feed anyway has it first.
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

impl RelayChoice {
    /// Once a second: whether there are enough relays to turn to, and the right ones.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx, net: &mut Net, directory: &Directory) {
        let now = ctx.now.instant;
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        self.dial_named(ctx, net, directory);
        let replicas = own_replicas(ctx, directory);
        let (mut known, mut linked) = (0, 0);
        let mut worst: Option<(f32, PeerId)> = None;
        let mut best: Option<(f32, PeerId)> = None;
        let mut stranger: Option<(f32, PeerId)> = None;
        for relay in directory.living() {
            let peer = relay.relay;
            let score = self.score_of(ctx, net, relay, &replicas).1;
            let chosen = net.known.is_chosen(&peer);
            let serves = directory.lists(&peer)
                && !relay.url.is_empty()
                && relay.roles & role::WORKER != 0
                && relay.capacity > 0;
            known += usize::from(chosen.is_some());
            if net.is_neighbour(&peer) {
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
        self.short = match linked < ctx.config.relays_target {
            true => Some(self.short.unwrap_or(now)),
            false => None,
        };
        let refused = self.short.is_some_and(|since| now.since(since) >= BETTER_FOR);
        let few = known < ctx.config.relays_target + SPARE || refused;
        match stranger {
            Some((_, peer)) if few => self.choose(ctx, net, directory, peer),
            _ => self.move_on(ctx, net, directory, worst, best),
        }
    }

    /// Dials the relay that the app is from, if chosen ones took its place: what it says of the network counts most.
    fn dial_named(&mut self, ctx: &mut Ctx, net: &mut Net, directory: &Directory) {
        if ctx.now.instant < self.next_named {
            return;
        }
        let is_missing = |peer: &PeerId| {
            net.known.is_named(peer) && !net.is_neighbour(peer) && directory.alive(peer).is_some()
        };
        let missing: Vec<PeerId> = net.known.peers().filter(is_missing).collect();
        for peer in missing {
            self.next_named = ctx.now.instant + NAMED_EVERY;
            net.dial_beyond(ctx, peer);
        }
    }

    /// Goes over from the worst chosen relay to the best other one, if that is worth it.
    fn move_on(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        directory: &Directory,
        worst: Option<(f32, PeerId)>,
        best: Option<(f32, PeerId)>,
    ) {
        let now = ctx.now.instant;
        if let Some((Move { from, to }, until)) = self.moving {
            let linked = net.is_neighbour(&to);
            if linked {
                self.leave(ctx, net, from);
            }
            if linked || now >= until {
                self.moving = None;
            }
            return;
        }
        let better = worst.zip(best);
        let better = better.filter(|((worse, _), (better, _))| *better > BETTER * *worse);
        let Some(((_, from), (_, to))) = better else {
            self.better = None;
            return;
        };
        let way = Move { from, to };
        match self.better {
            Some((before, since)) if before == way => {
                if now.since(since) < BETTER_FOR || now < self.next_move {
                    return;
                }
                self.better = None;
                self.moving = Some((way, now + LINKED_WITHIN));
                self.next_move = now + MOVES_EVERY;
                self.choose(ctx, net, directory, to);
                net.dial_beyond(ctx, to);
            }
            _ => self.better = Some((way, now)),
        }
    }

    /// From now on this device knows the relay.
    fn choose(&mut self, ctx: &mut Ctx, net: &mut Net, directory: &Directory, peer: PeerId) {
        self.short = None;
        if !net.known.contains(&peer) && net.known.len() >= CHOSEN_MAX {
            let dead = |peer: &PeerId| directory.alive(peer).is_none() && !net.is_neighbour(peer);
            let Some(dead) = net.known.chosen().find(dead) else {
                return;
            };
            self.leave(ctx, net, dead);
        }
        let Some(url) = directory.url_of(&peer) else {
            return;
        };
        net.know_relay(ctx, peer, url);
        net.learn(ctx, peer, true);
    }

    /// From now on this device does not know the relay, and is not linked with it.
    fn leave(&mut self, ctx: &mut Ctx, net: &mut Net, peer: PeerId) {
        if let Some(rtt) = net.rtt_of(&peer) {
            self.response.remove(&peer);
            smooth(&mut self.response, MEASURED_MAX, peer, rtt);
        }
        net.forget_relay(ctx, &peer);
        net.dismiss(ctx, peer);
    }

    fn score_of(&self, ctx: &Ctx, net: &Net, relay: &Description, replicas: &[PeerId]) -> (Terms, f32) {
        let (keeps, rtt) = (replicas.contains(&relay.relay), net.rtt_of(&relay.relay));
        let routing = &ctx.config.routing;
        let terms = self.terms(routing, relay, keeps, rtt);
        (terms, routing.score(&terms))
    }

    /// How good each relay of the directory seems to be for this device's own feed.
    pub(crate) fn scores(&self, ctx: &Ctx, net: &Net, directory: &Directory) -> Vec<ScoreView> {
        let replicas = own_replicas(ctx, directory);
        let score = |relay: &Description| {
            let (terms, score) = self.score_of(ctx, net, relay, &replicas);
            let parts = ctx.config.routing.parts(&terms);
            ScoreView {
                relay: relay.relay,
                score: (score * 10_000.0) as u32,
                parts: parts.map(|part| (part * 10.0 + 0.5) as u32),
            }
        };
        directory.descriptions().map(score).collect()
    }
}

/// The relays that keep this device's own feed.
fn own_replicas(ctx: &Ctx, directory: &Directory) -> Vec<PeerId> {
    let Some(me) = ctx.me() else {
        return Vec::new();
    };
    let workers = directory.living_workers().map(|relay| Worker {
        peer: relay.relay,
        capacity: relay.capacity,
        zone: &relay.zone,
    });
    Assignment::fair(&workers.collect::<Vec<_>>()).replicas(&me, ctx.config.replicas)
}

#[cfg(test)]
#[path = "relay_choice_tests.rs"]
mod tests;
