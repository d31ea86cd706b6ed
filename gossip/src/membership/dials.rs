//! Which peers to dial, how many at once, and when to give up.

use core::fmt::Debug;
use core::time::Duration;

use rand_core::Rng;

use super::{Cause, Dial, Membership, Output, Wish};

impl<P: Copy + Ord + Debug> Membership<P> {
    pub(super) fn give_up_overdue(&mut self, now: Duration, rng: &mut impl Rng) {
        let silence_max = self.silence_max();
        let silent: Vec<P> = self
            .active
            .iter()
            .filter(|(_, neighbour)| now.saturating_sub(neighbour.heard) >= silence_max)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in silent {
            self.drop_neighbour(peer, Cause::Silent, now, rng);
            self.outputs
                .push_back(Output::Close(peer, "it was silent for too long"));
        }
        let dials: Vec<P> = self
            .dialing
            .iter()
            .filter(|(_, dial)| now >= dial.until)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in dials {
            self.dialing.remove(&peer);
            self.failed(&peer, now, rng);
        }
        let guests: Vec<P> = self
            .guests
            .iter()
            .filter(|(_, guest)| now >= guest.until)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in guests {
            if self
                .guests
                .remove(&peer)
                .is_some_and(|guest| guest.asked.is_some())
            {
                self.failed(&peer, now, rng);
            }
            self.outputs.push_back(Output::Close(peer, "nothing came of it"));
        }
    }

    /// Whether another neighbour is wanted, beyond those on the way.
    pub(super) fn wants_more(&self) -> bool {
        self.wanted() > 0 || self.anchors_wanted() > 0
    }

    pub(super) fn wanted(&self) -> usize {
        let asked = self.guests.values().filter(|guest| guest.asked.is_some()).count();
        let coming = self.active.len() + self.dialing.len() + asked;
        self.config.active_target.saturating_sub(coming)
    }

    pub(super) fn dials_max(&self) -> usize {
        let lonely = self.active.len() * 2 < self.config.active_target;
        self.config.dials_max * if lonely { 3 } else { 1 }
    }

    pub(super) fn anchors_wanted(&self) -> usize {
        if self.config.anchors_target == 0 {
            return 0;
        }
        let linked = self.anchors_linked();
        let dialing = self.dialing.values().filter(|dial| dial.anchor).count();
        let asked = self
            .guests
            .iter()
            .filter(|(peer, guest)| guest.asked.is_some() && self.is_anchor(peer))
            .count();
        self.config
            .anchors_target
            .saturating_sub(linked + dialing + asked)
    }

    /// Dials until enough are on the way.
    pub(super) fn fill(&mut self, now: Duration, rng: &mut impl Rng) {
        while self.dialing.len() < self.dials_max() {
            let anchor = (self.anchors_wanted() > 0)
                .then(|| {
                    self.passive.choose(now, rng, |peer, known| {
                        known.anchor && self.may_dial(peer, known.anchor)
                    })
                })
                .flatten();
            // Anchors beyond their share are left to others, unless there is nobody else.
            let any = |anchors: bool, rng: &mut _| {
                self.passive.choose(now, rng, |peer, known| {
                    (anchors || !known.anchor) && self.may_dial(peer, known.anchor)
                })
            };
            let lonely = self.active.is_empty() && self.dialing.is_empty();
            let chosen = anchor.or_else(|| {
                (self.wanted() > 0)
                    .then(|| any(false, rng).or_else(|| lonely.then(|| any(true, rng)).flatten()))
                    .flatten()
            });
            let Some(peer) = chosen else {
                return;
            };
            self.dial(peer, self.wish(), now);
        }
    }

    /// What another neighbour is wanted for.
    pub(super) fn wish(&self) -> Wish {
        if !self.joined {
            Wish::Join
        } else if self.active.is_empty() {
            Wish::Urgent
        } else {
            Wish::Fill
        }
    }

    pub(super) fn may_dial(&self, peer: &P, anchor: bool) -> bool {
        let kind = anchor || !(self.anchors_only || self.config.dial_anchors_only);
        kind && *peer != self.me && !self.guests.contains_key(peer) && !self.dialing.contains_key(peer)
    }

    pub(super) fn dial(&mut self, peer: P, wish: Wish, now: Duration) {
        let anchor = self.is_anchor(&peer);
        if self.dialing.len() < self.dials_max()
            && !self.active.contains_key(&peer)
            && self.may_dial(&peer, anchor)
        {
            let until = now + self.config.dial_timeout;
            self.dialing.insert(peer, Dial { wish, until, anchor });
            self.outputs.push_back(Output::Dial(peer));
        }
    }

    pub(super) fn failed(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        let (min, max) = (self.config.backoff_min, self.config.backoff_max);
        self.passive.failed(peer, now, min, max, rng);
    }
}
