//! Whom a node gossips with, and whom it gave up.
//!
//! ```text
//! named by others ─► named ──answers──► met ◄── asks or tells us
//!                      │                 │
//!                      └──── fails ──────┴──► dropped ──tried again, answers──► met
//!                                                └────── fails often ─────────► forgotten
//! ```
//!
//! Invariants:
//! - only peers that were met are named to others, so the name of a dead one dies out with those who met it;
//! - at most one request of a kind is under way to a peer;
//! - a full table takes a caller in place of a peer that was only named, and takes nobody who was only named.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::wire::PeerId;

/// Peers a node has at a time.
pub(crate) const PEERS_MAX: usize = 128;
/// Dropped peers a node remembers; then those it tried longest ago are forgotten.
pub(crate) const DROPPED_MAX: usize = 128;
/// Who asks for peers may be about to start listening; it is not told anything for this long.
pub(crate) const STARTING: Duration = Duration::from_secs(2);
/// A dropped peer is first tried again after as many rounds.
pub(crate) const RETRY_ROUNDS_MIN: u32 = 4;
/// Each failure doubles them, up to this.
pub(crate) const RETRY_ROUNDS_MAX: u32 = 64;
/// A dropped peer that failed as often is forgotten.
pub(crate) const FAILURES_MAX: u32 = 10;

/// Why a peer was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No connection came about.
    Unreachable,
    /// It took too long.
    Silent,
    /// It closed the connection without a whole answer.
    Closed,
    /// It answered something else.
    Rubbish,
    /// It answered, and not "OK".
    Unwilling,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "cannot be reached",
            Self::Silent => "did not answer in time",
            Self::Closed => "hung up without an answer",
            Self::Rubbish => "answered rubbish",
            Self::Unwilling => "did not say OK",
        })
    }
}

/// How a node heard of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// It asked for peers.
    Asked,
    /// It sent news.
    Told,
    Answered,
    /// Others named it.
    Mentioned,
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "it asked for peers",
            Self::Told => "it sent news",
            Self::Answered => "it answered",
            Self::Mentioned => "others named it",
        })
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Whether it was ever heard itself.
    pub(crate) met: bool,
    /// When it was last heard itself, or else named.
    pub(crate) heard_at: Duration,
    /// Whether it got everything since it appeared or last asked for peers.
    pub(crate) greeted: bool,
    /// Not told anything before.
    ready_at: Duration,
    /// A batch is under way to it.
    telling: bool,
    /// A question is under way to it.
    asking: bool,
    asked_at: Option<Duration>,
    /// Failures since it last took a batch.
    failures: u32,
}

/// A peer that was given up, for now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    /// Why, the last time.
    pub(crate) why: Failure,
    /// The time at which it was dropped.
    pub(crate) at: Duration,
    tried_at: Duration,
    retry_at: Duration,
    failures: u32,
    /// A question is under way to it.
    asking: bool,
}

/// All peers of a node.
#[derive(Debug)]
pub(crate) struct Peers {
    me: PeerId,
    round: Duration,
    known: BTreeMap<PeerId, Peer>,
    dropped: BTreeMap<PeerId, Dropped>,
}

impl Peers {
    /// Nobody yet. `round` is the time from one gossip to the next.
    pub(crate) fn new(me: PeerId, round: Duration) -> Self {
        Self {
            me,
            round,
            known: BTreeMap::new(),
            dropped: BTreeMap::new(),
        }
    }

    pub(crate) fn known(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.known.iter().map(|(&id, peer)| (id, peer))
    }

    /// The dropped ones that are not forgotten, by id.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (PeerId, &Dropped)> {
        self.dropped.iter().map(|(&id, dropped)| (id, dropped))
    }

    /// Whether there is nobody to gossip with.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes note of a peer; true if it is a new one.
    pub(crate) fn heard(&mut self, id: PeerId, contact: Contact, now: Duration) -> bool {
        if id == self.me {
            return false;
        }
        if contact == Contact::Mentioned {
            return self.named(id, now);
        }
        let failures = self.dropped.remove(&id).map_or(0, |dropped| dropped.failures);
        if let Some(peer) = self.known.get_mut(&id) {
            peer.met = true;
            peer.heard_at = now;
            match contact {
                // It may have lost everything in a restart nobody noticed.
                Contact::Asked => peer.greeted = false,
                // Who speaks on its own is up.
                Contact::Told | Contact::Answered => peer.ready_at = peer.ready_at.min(now),
                Contact::Mentioned => {}
            }
            return false;
        }
        if self.known.len() >= PEERS_MAX {
            let only_named = self.known.iter().find(|(_, peer)| !peer.met).map(|(&id, _)| id);
            let Some(only_named) = only_named else {
                return false;
            };
            self.known.remove(&only_named);
        }
        let mut peer = Peer::new(true, now);
        // To answer one question and fail the next does not start the count again.
        peer.failures = failures;
        if contact == Contact::Asked {
            peer.ready_at = now.saturating_add(STARTING);
        }
        self.known.insert(id, peer);
        true
    }

    fn named(&mut self, id: PeerId, now: Duration) -> bool {
        if let Some(dropped) = self.dropped.get_mut(&id) {
            // A peer considers it alive: it is tried soon, but peers that do not know yet must not make us try at once.
            let soon = dropped
                .tried_at
                .saturating_add(self.round.saturating_mul(RETRY_ROUNDS_MIN));
            dropped.retry_at = dropped.retry_at.min(soon);
            return false;
        }
        if self.known.contains_key(&id) || self.known.len() >= PEERS_MAX {
            return false;
        }
        self.known.insert(id, Peer::new(false, now));
        true
    }

    /// Gives a peer up; true if it was one.
    pub(crate) fn failed(&mut self, id: PeerId, why: Failure, now: Duration) -> bool {
        let peer = self.known.remove(&id);
        let was_known = peer.is_some();
        let before = self.dropped.get(&id).copied();
        let Some(earlier) = peer
            .map(|peer| peer.failures)
            .or(before.map(|dropped| dropped.failures))
        else {
            return false;
        };
        let failures = earlier.saturating_add(1);
        if failures >= FAILURES_MAX {
            self.dropped.remove(&id);
            return was_known;
        }
        let rounds = RETRY_ROUNDS_MIN
            .saturating_mul(1 << (failures - 1))
            .min(RETRY_ROUNDS_MAX);
        let dropped = Dropped {
            why,
            at: before.map_or(now, |dropped| dropped.at),
            tried_at: now,
            retry_at: now.saturating_add(self.round.saturating_mul(rounds)),
            failures,
            asking: false,
        };
        self.dropped.insert(id, dropped);
        if self.dropped.len() > DROPPED_MAX {
            let oldest = self.dropped.iter().min_by_key(|(_, dropped)| dropped.tried_at);
            if let Some(oldest) = oldest.map(|(&id, _)| id) {
                self.dropped.remove(&oldest);
            }
        }
        was_known
    }

    /// The peers to which something can be sent now.
    pub(crate) fn ready(&self, now: Duration) -> Vec<PeerId> {
        self.known
            .iter()
            .filter(|(_, peer)| peer.ready_at <= now && !peer.telling)
            .map(|(&id, _)| id)
            .collect()
    }

    /// Whether this peer waits to get everything.
    pub(crate) fn is_new(&self, id: PeerId) -> bool {
        self.known.get(&id).is_some_and(|peer| !peer.greeted)
    }

    /// A batch is on its way.
    pub(crate) fn telling(&mut self, id: PeerId) {
        if let Some(peer) = self.known.get_mut(&id) {
            peer.telling = true;
            peer.greeted = true;
        }
    }

    /// The batch has arrived.
    pub(crate) fn told(&mut self, id: PeerId) {
        if let Some(peer) = self.known.get_mut(&id) {
            peer.telling = false;
            peer.failures = 0;
        }
    }

    /// Whom to ask for peers: who was asked longest ago, and in addition a dropped one that is due.
    pub(crate) fn take_due_questions(&mut self, now: Duration) -> Vec<PeerId> {
        let longest = self
            .known
            .iter_mut()
            .filter(|(_, peer)| peer.ready_at <= now && !peer.asking)
            .min_by_key(|(_, peer)| peer.asked_at);
        let longest = longest.map(|(&id, peer)| {
            peer.asking = true;
            peer.asked_at = Some(now);
            id
        });
        let due = self
            .dropped
            .iter_mut()
            .filter(|(_, dropped)| dropped.retry_at <= now && !dropped.asking)
            .min_by_key(|(_, dropped)| dropped.retry_at);
        let due = due.map(|(&id, dropped)| {
            dropped.asking = true;
            id
        });
        longest.into_iter().chain(due).collect()
    }

    /// The question has been answered.
    pub(crate) fn asked(&mut self, id: PeerId) {
        if let Some(peer) = self.known.get_mut(&id) {
            peer.asking = false;
        }
    }
}

impl Peer {
    fn new(met: bool, now: Duration) -> Self {
        Self {
            met,
            heard_at: now,
            greeted: false,
            ready_at: now,
            telling: false,
            asking: false,
            asked_at: None,
            failures: 0,
        }
    }
}
