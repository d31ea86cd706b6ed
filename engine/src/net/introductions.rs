//! Peers introduce peers: what two peers must tell each other to open a channel travels over the links there are, so
//! the mesh grows and mends itself without a signaling server.
//!
//! An introduction goes to the neighbour over which its recipient was last heard of: descriptors and introductions
//! that pass leave a trace at every peer they pass. Without a trace it goes to [`BLIND_COPIES`] random neighbours.
//!
//! Invariants: an introduction is verified before it is kept, handed out or passed on, and passed on once. What a
//! neighbour may send is bounded per second, and so are the tables. Policy when full: the oldest trace, the oldest
//! identifier goes.

use std::collections::VecDeque;

use ordered::{Map, Set};
use protocol::messages::Message;
use protocol::messages::introduction::Introduction;
use protocol::{PeerId, Timestamp, limits};
use rand_core::Rng;

use crate::ctx::Ctx;
use crate::io::{LinkId, Output};

use super::Net;

/// Maximum number of traces that are stored.
const TRACES_MAX: usize = 1_024;
/// Maximum number of identifiers stored of forwarded introductions, so that none is forwarded twice.
const SEEN_MAX: usize = 1_024;
/// Introductions accepted from one neighbour per second; the rest is dropped. A dial takes about five.
const PER_SECOND_MAX: u32 = 32;
/// Neighbours that get a copy when the way is unknown.
const BLIND_COPIES: usize = 2;

/// Traces of peers, and identifiers of introductions that passed.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    traces: Map<PeerId, LinkId>,
    traced: VecDeque<PeerId>,
    seen: Set<(PeerId, Timestamp)>,
    seen_order: VecDeque<(PeerId, Timestamp)>,
    /// Introductions of each neighbour in the current second.
    counts: Map<LinkId, u32>,
    last: Timestamp,
}

impl Introductions {
    /// `peer` was heard of over `link`.
    pub(super) fn trace(&mut self, peer: PeerId, link: LinkId) {
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
    pub(super) fn refill(&mut self) {
        self.counts.clear();
    }

    fn record(&mut self, id: (PeerId, Timestamp)) {
        self.seen.insert(id);
        self.seen_order.push_back(id);
        if self.seen_order.len() > SEEN_MAX
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

impl Net {
    /// The adapter has a message for a peer it has no channel to.
    pub(crate) fn introduce(&mut self, ctx: &mut Ctx, to: PeerId, payload: Vec<u8>) {
        let Some(local) = &ctx.local else { return };
        if payload.len() > limits::SIGNAL_PAYLOAD_LEN_MAX {
            return;
        }
        // The time identifies it: no two of one sender have the same.
        let now = self.common_time(ctx.now.wall);
        let at = Timestamp(now.0.max(self.introductions.last.0 + 1));
        let introduction = Introduction::issue(&local.key, to, at, payload, limits::INTRODUCTION_HOPS_MAX);
        self.introductions.last = at;
        self.introductions.record((introduction.from, at));
        self.carry(ctx, introduction, None);
    }

    pub(super) fn on_introduction(&mut self, ctx: &mut Ctx, link: LinkId, mut introduction: Introduction) {
        let count = self.introductions.counts.or_default(link);
        *count += 1;
        let id = (introduction.from, introduction.at);
        if *count > PER_SECOND_MAX
            || !introduction.is_fresh(self.common_time(ctx.now.wall))
            || self.introductions.seen.contains(&id)
        {
            return;
        }
        if introduction.verify().is_err() {
            return self.on_misbehaved(ctx, link, "an introduction with a wrong signature");
        }
        self.introductions.record(id);
        self.introductions.trace(introduction.from, link);
        if ctx.peer() == Some(introduction.to) {
            return ctx.emit(Output::Introduced {
                from: introduction.from,
                payload: introduction.payload,
            });
        }
        if introduction.hops > 0 {
            introduction.hops -= 1;
            self.carry(ctx, introduction, Some(link));
        } else if self.by_peer.contains_key(&introduction.to) {
            self.carry(ctx, introduction, Some(link));
        }
    }

    fn carry(&mut self, ctx: &mut Ctx, introduction: Introduction, source: Option<LinkId>) {
        let others = self.links_whose(|session| session.neighbour && Some(session.link) != source);
        if others.is_empty() {
            return;
        }
        let to = introduction.to;
        let trace = || self.introductions.traces.get(&to).copied();
        let way = self
            .link_to(&to)
            .or_else(trace)
            .filter(|link| others.contains(link));
        let copies = way.map_or(BLIND_COPIES.min(others.len()), |_| 1);
        let first = (ctx.rng.next_u64() % others.len() as u64) as usize;
        let message = Message::Introduction(introduction);
        for copy in 0..copies {
            let link = way.unwrap_or(others[(first + copy) % others.len()]);
            ctx.send(link, &message);
        }
    }
}
