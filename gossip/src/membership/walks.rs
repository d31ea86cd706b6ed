//! Random walks: news of newcomers, and acquaintances swapped along the way.

use core::fmt::Debug;
use core::time::Duration;

use rand_core::Rng;

use super::passive::age_s;
use super::{
    Descriptor, JOIN_WALKS, Membership, Message, SAMPLE_MAX, WALK_TTL, WALKS_PER_S, Wish, choose_some, pick,
};

impl<P: Copy + Ord + Debug> Membership<P> {
    /// Starts the walks for a peer that joins here. An anchor sends the first of them by way of another anchor, if it is linked
    /// with one: else the peers that join at one anchor would link with each other alone, and the network would fall apart
    /// when the anchors die.
    pub(super) fn start_walks(&mut self, newcomer: Descriptor<P>, now: Duration, rng: &mut impl Rng) {
        for n in 0..JOIN_WALKS {
            let by_anchor = n == 0 && self.config.anchor;
            let next = by_anchor
                .then(|| self.neighbour_by_chance(rng, |peer| *peer != newcomer.peer && self.is_anchor(peer)))
                .flatten();
            self.walk_join(newcomer, WALK_TTL, Some(newcomer.peer), next, now, rng);
        }
    }

    /// A walk for a newcomer is at this peer: it goes on to `next`, or to a neighbour by chance, or ends here.
    pub(super) fn walk_join(
        &mut self,
        newcomer: Descriptor<P>,
        ttl: u8,
        from: Option<P>,
        next: Option<P>,
        now: Duration,
        rng: &mut impl Rng,
    ) {
        if now.saturating_sub(self.walks_since) >= Duration::from_secs(1) {
            self.walks_since = now;
            self.walks_left = WALKS_PER_S;
        }
        if newcomer.peer == self.me || self.walks_left == 0 {
            return;
        }
        self.walks_left -= 1;
        let next = next.or_else(|| {
            (ttl > 0)
                .then(|| self.neighbour_by_chance(rng, |peer| Some(*peer) != from && *peer != newcomer.peer))
                .flatten()
        });
        match next {
            Some(next) => self.send(
                next,
                Message::ForwardJoin {
                    newcomer,
                    ttl: ttl - 1,
                },
            ),
            // The walk ends here. This peer accepts the new peer if it has room.
            None if self.active.len() < self.room(Wish::Fill, newcomer.anchor) => {
                self.note(&newcomer, from, now);
                self.dial(newcomer.peer, Wish::Fill, now);
            }
            None => {}
        }
    }

    pub(super) fn shuffle(&mut self, now: Duration, rng: &mut impl Rng) {
        if let Some(to) = self.neighbour_by_chance(rng, |_| true) {
            let peers = self.sample(&to, now, rng);
            self.send(to, Message::Shuffle { ttl: WALK_TTL, peers });
        }
    }

    pub(super) fn walk_shuffle(
        &mut self,
        mut peers: Vec<Descriptor<P>>,
        ttl: u8,
        from: P,
        now: Duration,
        rng: &mut impl Rng,
    ) {
        if ttl == 0 {
            return;
        }
        if let Some(next) = self.neighbour_by_chance(rng, |peer| *peer != from) {
            // Half of what came goes on, half is swapped for ours.
            choose_some(&mut peers, SAMPLE_MAX / 2, rng);
            let mut ours = self.sample(&next, now, rng);
            ours.truncate(SAMPLE_MAX / 2);
            peers.retain(|told| told.peer != next && ours.iter().all(|our| our.peer != told.peer));
            peers.extend(ours);
            self.send(next, Message::Shuffle { ttl: ttl - 1, peers });
        }
    }

    /// Contacts a peer outside the view.
    pub(super) fn mix(&mut self, now: Duration, rng: &mut impl Rng) {
        // A network may have fewer anchors than a peer would like: that is no reason never to mix.
        if self.active.is_empty() || self.wanted() > 0 || self.dialing.len() >= self.config.dials_max {
            return;
        }
        // Former neighbours that fell silent may be on the other side of a cut: they come first, every other time.
        let met_first = rng.next_u64().is_multiple_of(2);
        let fits = |peer: &P, anchor: bool| self.may_dial(peer, anchor);
        let met = met_first
            .then(|| {
                self.passive.choose(now, rng, |peer, known| {
                    known.was_met() && fits(peer, known.anchor)
                })
            })
            .flatten();
        let chosen = met.or_else(|| {
            self.passive
                .choose(now, rng, |peer, known| fits(peer, known.anchor))
        });
        if let Some(peer) = chosen {
            self.dial(peer, Wish::Mix, now);
        }
    }

    /// A sample of known peers, itself included: half neighbours, half from the passive view.
    pub(super) fn sample(&self, without: &P, now: Duration, rng: &mut impl Rng) -> Vec<Descriptor<P>> {
        let mut peers: Vec<_> = self
            .active
            .iter()
            .filter(|(peer, _)| *peer != without)
            .map(|(peer, neighbour)| Descriptor {
                peer: *peer,
                anchor: neighbour.anchor,
                heartbeat: neighbour.heartbeat,
                age_s: age_s(now.saturating_sub(neighbour.heard)),
            })
            .collect();
        choose_some(&mut peers, SAMPLE_MAX / 4, rng);
        peers.push(Descriptor {
            peer: self.me,
            anchor: self.config.anchor,
            heartbeat: self.heartbeat,
            age_s: 0,
        });
        peers.extend(self.passive.sample(
            SAMPLE_MAX / 2 - peers.len().min(SAMPLE_MAX / 2),
            without,
            now,
            rng,
        ));
        peers
    }

    pub(super) fn neighbour_by_chance(&self, rng: &mut impl Rng, fits: impl Fn(&P) -> bool) -> Option<P> {
        let n = self.active.keys().filter(|peer| fits(peer)).count();
        (n > 0).then(|| {
            self.active
                .keys()
                .filter(|peer| fits(peer))
                .nth(pick(n, rng))
                .copied()
        })?
    }

    pub(super) fn note(&mut self, told: &Descriptor<P>, source: Option<P>, now: Duration) {
        if told.peer == self.me || (source.is_some() && self.is_banned(&told.peer, now)) {
            return;
        }
        match self.active.get_mut(&told.peer) {
            // Only a neighbour itself says when it was heard from.
            Some(neighbour) => neighbour.anchor |= told.anchor && source.is_none(),
            None => self.passive.learn(told, source, now),
        }
    }
}
