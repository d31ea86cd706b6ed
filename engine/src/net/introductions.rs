//! Peers introduce peers: what two peers must say to each other to open a channel travels over the links there are, so the
//! mesh grows and mends itself with no signaling server.
//!
//! A word to a peer goes to the neighbour it was last heard of from, as whoever is passed on in the overlay leaves a
//! trace at every peer it passes; without a trace, to [`BLIND_COPIES`] neighbours by chance. Words and descriptors that
//! come by are the traces for the answer.
//!
//! Invariants: a word is checked before it is kept, shown or passed on, and passed on once; what a neighbour may send is
//! bounded per second, and so are the tables. Policy when full: the oldest trace, the oldest name of a word goes.

use std::collections::VecDeque;

use ordered::{Map, Set};
use protocol::introduction::Introduction;
use protocol::message::Message;
use protocol::{PeerId, Timestamp, limits};
use rand_core::Rng;

use crate::Engine;
use crate::io::{LinkId, Output};

/// Traces kept.
const TRACES_MAX: usize = 1_024;
/// Names of words kept, to pass none on twice.
const SEEN_MAX: usize = 1_024;
/// Words one neighbour may send per second; the rest is dropped. A dial takes about five.
const PER_S: u32 = 32;
/// Neighbours a word goes to when nobody knows the way.
const BLIND_COPIES: usize = 2;

/// Traces of peers, and names of words that passed.
#[derive(Debug, Default)]
pub(crate) struct Introductions {
    traces: Map<PeerId, LinkId>,
    traced: VecDeque<PeerId>,
    seen: Set<(PeerId, Timestamp)>,
    seen_order: VecDeque<(PeerId, Timestamp)>,
    /// Words of each neighbour in the current second.
    counts: Map<LinkId, u32>,
    last: Timestamp,
}

impl Introductions {
    /// `peer` was heard of over `link`.
    pub(crate) fn trace(&mut self, peer: PeerId, link: LinkId) {
        if self.traces.insert(peer, link).is_some() {
            return;
        }
        self.traced.push_back(peer);
        if self.traced.len() > TRACES_MAX
            && let Some(oldest) = self.traced.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }

    /// A second passed.
    pub(crate) fn refill(&mut self) {
        self.counts.clear();
    }

    fn note(&mut self, word: (PeerId, Timestamp)) {
        self.seen.insert(word);
        self.seen_order.push_back(word);
        if self.seen_order.len() > SEEN_MAX
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

impl Engine {
    /// The adapter wants to say something to a peer it has no channel to.
    pub(crate) fn introduce(&mut self, to: PeerId, payload: Vec<u8>) {
        let Some(key) = self.key().cloned() else {
            return;
        };
        if payload.len() > limits::SIGNAL_PAYLOAD_LEN_MAX {
            return;
        }
        // Its name is its moment: no two of one sender are of the same.
        let at = Timestamp(self.now.wall.0.max(self.introductions.last.0 + 1));
        self.introductions.last = at;
        let word = Introduction::issue(&key, to, at, payload, limits::INTRODUCTION_HOPS_MAX);
        self.introductions.note((word.from, at));
        self.carry(word, None);
    }

    /// A word came by.
    pub(crate) fn on_introduction(&mut self, link: LinkId, mut word: Introduction) {
        let count = self.introductions.counts.or_default(link);
        *count += 1;
        let name = (word.from, word.at);
        if *count > PER_S || !word.is_fresh(self.now.wall) || self.introductions.seen.contains(&name) {
            return;
        }
        if word.verify().is_err() {
            return self.misbehaved(link, "an introduction with a wrong signature");
        }
        self.introductions.note(name);
        self.introductions.trace(word.from, link);
        let me = self.own_peer();
        if me == Some(word.to) {
            return self.emit(Output::Introduced {
                from: word.from,
                payload: word.payload,
            });
        }
        if word.hops > 0 {
            word.hops -= 1;
            self.carry(word, Some(link));
        } else if self.peers.links.contains_key(&word.to) {
            self.carry(word, Some(link));
        }
    }

    fn carry(&mut self, word: Introduction, source: Option<LinkId>) {
        let others: Vec<LinkId> = self
            .up_links()
            .into_iter()
            .filter(|link| Some(*link) != source)
            .collect();
        let known = self
            .peers
            .links
            .get(&word.to)
            .or_else(|| self.introductions.traces.get(&word.to))
            .copied()
            .filter(|link| others.contains(link));
        let copies = known.map_or(BLIND_COPIES.min(others.len()), |_| 1);
        let first = match others.len() {
            0 => return,
            n => (self.rng.next_u64() % n as u64) as usize,
        };
        let message = Message::Introduction(word);
        for copy in 0..copies {
            let to = known.unwrap_or(others[(first + copy) % others.len()]);
            self.send(to, &message);
        }
    }
}
