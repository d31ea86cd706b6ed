//! Which relays a browser links with: the one it was told of, and the best of those that one's network has.
//!
//! Relays are ranked by `1 / (i·replication delay + j·response time + k·distance + l·error rate)`, each term with its weight,
//! which the operator of this browser's own relay may set.
//! The replication delay is this very feed's: how long after an entry was written the relay signed for it. What is not
//! measured yet counts as the usual, or as nothing for the relays that keep the feed anyway ([`crate::assignment`]). Whoever was chosen stays until it dies: moving costs more than a little speed is worth.
//!
//! Invariant: nobody is chosen whom no relay this device knows lists. Strangers may describe relays as they like.

use std::time::Duration;

use ordered::Map;
use protocol::directory::{Description, role};
use protocol::{Instant, PeerId};

use crate::api::{RelayState, ScoreView};
use crate::assignment::{Assignment, Worker, fair_share};
use crate::io::{Routing, Terms};
use crate::{Engine, clock};

/// How often it is looked whether there are enough.
const EVERY: Duration = Duration::from_secs(2);
/// Relays known besides those linked with, to turn to when they die.
const SPARE: usize = 1;
/// Relays chosen at most. Policy when full: nobody else is, until one is gone from the directory.
const CHOSEN_MAX: usize = 8;

/// What was measured of relays, and who was chosen.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Smoothed, in milliseconds.
    replication: Map<PeerId, f32>,
    next: Instant,
}

impl Routes {
    /// A relay signed for an entry this long after it was written.
    pub(crate) fn measured(&mut self, relay: PeerId, delay: Duration) {
        let sample = delay.as_millis() as f32;
        let smoothed = self.replication.or_insert_with(relay, || sample);
        *smoothed += (sample - *smoothed) / 8.0;
    }

    /// What is known of a relay. `rtt` as this device measured it, if it did.
    fn terms(&self, weights: &Routing, relay: &Description, keeps: bool, rtt: Option<Duration>) -> Terms {
        // Whoever keeps the feed anyway has it first.
        let usual = if keeps { 0.0 } else { weights.usual_replication_ms };
        let delay = self.replication.get(&relay.relay).copied();
        let response = rtt.map_or_else(
            || weights.usual_response_ms.max(relay.response_us as f32 / 1_000.0),
            |rtt| rtt.as_micros() as f32 / 1_000.0,
        );
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
    /// Once a second: whether there are relays enough to turn to.
    pub(crate) fn keep_routing(&mut self) {
        let now = self.now.instant;
        if self.is_relay() || now < self.routes.next {
            return;
        }
        self.routes.next = now + EVERY;
        let living = self.directory.views();
        let living = living.iter().filter(|view| view.state == RelayState::Alive);
        let (known, strangers): (Vec<_>, Vec<_>) =
            living.partition(|view| self.peers.is_relay(&view.description.relay));
        let wanted = self.config.relays_target + SPARE;
        if known.len() >= wanted || self.peers.relays_len() >= CHOSEN_MAX {
            return;
        }
        let serves = |relay: &Description| {
            self.directory.vouches_for(&relay.relay)
                && !relay.url.is_empty()
                && relay.roles & role::WORKER != 0
                && relay.capacity > 0
        };
        let keepers = self.own_replicas();
        let mut best: Option<(f32, &Description)> = None;
        for view in &strangers {
            let relay = &view.description;
            let score = self.config.routing.score(&self.terms_of(relay, &keepers));
            if serves(relay) && best.is_none_or(|(before, _)| score > before) {
                best = Some((score, relay));
            }
        }
        if let Some((_, relay)) = best {
            let (peer, url) = (relay.relay, relay.url.clone());
            self.choose(peer, url);
        }
    }

    /// The relays that keep this device's own feed.
    fn own_replicas(&self) -> Vec<PeerId> {
        let Some(me) = self.me() else {
            return Vec::new();
        };
        let workers = || self.directory.living_workers();
        let most = fair_share(workers().map(|relay| relay.capacity));
        let assignment = Assignment::new(workers().map(|relay| Worker {
            peer: relay.relay,
            capacity: relay.capacity.min(most),
            zone: &relay.zone,
        }));
        assignment.replicas(&me, self.config.replicas)
    }

    /// From now on this device knows the relay.
    fn choose(&mut self, peer: PeerId, url: String) {
        self.know_relay(peer, url);
        if let Some(overlay) = &mut self.overlay {
            overlay.learn(peer, true, clock(self.now), &mut self.rng);
        }
    }

    fn terms_of(&self, relay: &Description, keepers: &[PeerId]) -> Terms {
        let (keeps, rtt) = (keepers.contains(&relay.relay), self.rtt_of(&relay.relay));
        self.routes.terms(&self.config.routing, relay, keeps, rtt)
    }

    /// How good each relay of the directory seems to be for this device's own feed.
    pub(crate) fn scores(&self) -> Vec<ScoreView> {
        let keepers = self.own_replicas();
        let score = |relay: &Description| {
            let (routing, terms) = (&self.config.routing, self.terms_of(relay, &keepers));
            ScoreView {
                relay: relay.relay,
                score: (routing.score(&terms) * 10_000.0) as u32,
                parts: routing.parts(&terms).map(|part| (part * 10.0 + 0.5) as u32),
            }
        };
        self.directory.descriptions().map(score).collect()
    }
}
