//! Who becomes a neighbour, and who is one no more.

use core::cmp::Reverse;
use core::fmt::Debug;
use core::time::Duration;

use rand_core::Rng;

use super::message::Wish;
use super::{
    Cause, Descriptor, Guest, Membership, Message, Neighbour, Output, SAMPLE_MAX, SPLIT_EVERY, YOUNG, jitter,
    pick,
};

impl<P: Copy + Ord + Debug> Membership<P> {
    pub(super) fn on_request(
        &mut self,
        peer: P,
        wish: Wish,
        anchor: bool,
        heartbeat: u64,
        now: Duration,
        rng: &mut impl Rng,
    ) {
        if self.active.contains_key(&peer) {
            // It did not hear the answer.
            return self.accept(peer, now, rng);
        }
        if !self.guests.contains_key(&peer) {
            return;
        }
        self.passive.set_anchor(&peer, anchor);
        if wish == Wish::Join {
            let newcomer = Descriptor {
                peer,
                anchor,
                heartbeat,
                age_s: 0,
            };
            self.start_walks(newcomer, now, rng);
        }
        let may = !self.anchors_only || anchor;
        if may && matches!(wish, Wish::Join | Wish::Urgent) && self.active.len() >= self.room(wish, anchor) {
            self.split_a_link(peer, now, rng);
        }
        if anchor && now >= self.next_split && self.make_room_for_anchor(now, rng) {
            // One at a time, as for newcomers: who calls itself an anchor need not be one.
            self.next_split = now + SPLIT_EVERY;
        }
        if may && self.active.len() < self.room(wish, anchor) {
            self.guests.remove(&peer);
            // The answer goes first: whatever follows is for a neighbour.
            self.accept(peer, now, rng);
            self.add_neighbour(peer, anchor, heartbeat, 0, now);
        } else {
            let peers = self.sample(&peer, now, rng);
            self.send(peer, Message::Refuse { peers });
            self.guests.insert(
                peer,
                Guest {
                    asked: None,
                    until: now + self.config.request_timeout,
                },
            );
        }
    }

    /// Takes in a new peer although all places are taken, by splitting a link: the neighbour at the other end of the link is
    /// referred to the new peer. The number of neighbours stays the same at both ends.
    fn split_a_link(&mut self, newcomer: P, now: Duration, rng: &mut impl Rng) {
        if now < self.next_split {
            return;
        }
        let settled = |neighbour: &Neighbour| {
            !neighbour.anchor && now.saturating_sub(neighbour.since) >= self.config.request_timeout
        };
        let n = self
            .active
            .values()
            .filter(|neighbour| settled(neighbour))
            .count();
        if n == 0 {
            return;
        }
        let chosen = pick(n, rng);
        let other = self
            .active
            .iter()
            .filter(|(_, neighbour)| settled(neighbour))
            .nth(chosen)
            .map(|(peer, _)| *peer);
        if let Some(other) = other {
            self.next_split = now + SPLIT_EVERY;
            let mut peers = vec![Descriptor {
                peer: newcomer,
                anchor: false,
                heartbeat: 0,
                age_s: 0,
            }];
            peers.extend(self.sample(&other, now, rng));
            peers.truncate(SAMPLE_MAX);
            self.send(other, Message::Leave { peers });
            self.drop_neighbour(other, Cause::LetGo, now, rng);
            self.outputs
                .push_back(Output::Close(other, "a newcomer took this place"));
        }
    }

    pub(super) fn on_accept(
        &mut self,
        peer: P,
        anchor: bool,
        heartbeat: u64,
        degree: u16,
        now: Duration,
        rng: &mut impl Rng,
    ) {
        if let Some(neighbour) = self.active.get_mut(&peer) {
            neighbour.anchor = anchor;
            neighbour.heartbeat = neighbour.heartbeat.max(heartbeat);
            neighbour.degree = degree;
            return;
        }
        let Some(guest) = self.guests.remove(&peer) else {
            return self.close(peer, "it accepted what nobody asked");
        };
        self.passive.set_anchor(&peer, anchor);
        if anchor && guest.asked.is_some() {
            self.make_room_for_anchor(now, rng);
        }
        // Where requests crossed and the other one was refused, there is no room for this one either.
        let may = !self.anchors_only || anchor;
        let has_room = |wish| may && self.active.len() < self.room(wish, anchor);
        if !guest.asked.is_some_and(has_room) {
            // Others were faster.
            let peers = self.sample(&peer, now, rng);
            self.send(peer, Message::Leave { peers });
            self.outputs.push_back(Output::Close(peer, "no room by now"));
            let pause = self.config.backoff_max;
            self.passive.refused(&peer, now, pause, rng);
            return;
        }
        self.add_neighbour(peer, anchor, heartbeat, degree, now);
        self.surplus = self.active.len() > self.config.active_target;
    }

    pub(super) fn on_refuse(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        if self.active.contains_key(&peer) {
            // It does not take us for a neighbour, so it is none.
            self.drop_neighbour(peer, Cause::Left, now, rng);
        }
        self.guests.remove(&peer);
        self.dialing.remove(&peer);
        let pause = self.config.backoff_max;
        self.passive.refused(&peer, now, pause, rng);
        self.outputs.push_back(Output::Close(peer, "it refused"));
    }

    /// How many neighbours there may be before one more with this wish is too many. Places of anchors stay free.
    pub(super) fn room(&self, wish: Wish, anchor: bool) -> usize {
        let most = match wish {
            Wish::Join | Wish::Urgent => self.config.active_max,
            Wish::Fill | Wish::Mix => self.config.active_high,
        };
        if anchor {
            return self.config.active_max;
        }
        // Where no anchor is to be expected there is nothing to keep a place for: should one return, room is made for it.
        let wanted = self.config.anchors_target.saturating_sub(self.anchors_linked());
        let kept_free = wanted.min(self.passive.anchors_awaited());
        most.min(self.config.active_max.saturating_sub(kept_free))
    }

    /// An anchor takes this peer in, or asks to be taken in, and all places are taken, since none was to be expected: the
    /// neighbour that was of least use makes room, unless there are anchors enough. Whether one did.
    fn make_room_for_anchor(&mut self, now: Duration, rng: &mut impl Rng) -> bool {
        if self.active.len() < self.config.active_max || self.anchors_linked() >= self.config.anchors_target {
            return false;
        }
        let others = self.active.iter().filter(|(_, neighbour)| !neighbour.anchor);
        let least = others.min_by_key(|(_, other)| (other.merit, Reverse(other.degree), other.since));
        let least = least.map(|(peer, _)| *peer);
        if let Some(peer) = least {
            self.let_go(peer, now, rng);
        }
        least.is_some()
    }

    pub(super) fn accept(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        let accept = Message::Accept {
            anchor: self.config.anchor,
            heartbeat: self.heartbeat,
            degree: self.degree(),
            peers: self.sample(&peer, now, rng),
        };
        self.send(peer, accept);
    }

    pub(super) fn add_neighbour(
        &mut self,
        peer: P,
        anchor: bool,
        heartbeat: u64,
        degree: u16,
        now: Duration,
    ) {
        self.passive.remove(&peer);
        self.dialing.remove(&peer);
        self.active.insert(
            peer,
            Neighbour {
                anchor,
                heartbeat,
                heard: now,
                beat: now,
                since: now,
                degree,
                walks: 0,
                merit: 0,
            },
        );
        self.joined = true;
        self.outputs.push_back(Output::Up(peer));
    }

    pub(super) fn drop_neighbour(&mut self, peer: P, cause: Cause, now: Duration, rng: &mut impl Rng) {
        let Some(neighbour) = self.active.remove(&peer) else {
            return;
        };
        let pause = match cause {
            Cause::Broke | Cause::Silent => jitter(self.config.backoff_min, rng),
            Cause::Left | Cause::LetGo | Cause::Banned => self.config.mix_every,
        };
        self.passive.met(
            peer,
            neighbour.anchor,
            neighbour.heartbeat,
            neighbour.heard,
            now + pause,
        );
        self.outputs.push_back(Output::Down(peer, cause));
    }

    pub(super) fn let_go(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        let peers = self.sample(&peer, now, rng);
        self.send(peer, Message::Leave { peers });
        self.drop_neighbour(peer, Cause::LetGo, now, rng);
        self.outputs.push_back(Output::Close(peer, "let go for another"));
    }

    /// There is one neighbour more than needed: lets the least useful go that can spare us too.
    pub(super) fn let_least_useful_go(
        &mut self,
        now: Duration,
        rng: &mut impl Rng,
        in_use: impl Fn(&P) -> bool,
    ) {
        let target = self.config.active_target;
        if self.active.len() <= target {
            return;
        }
        // A link in use is let go now and then all the same, when nothing ever comes from its other end: payload goes
        // along it, but who knows what becomes of it there.
        let any = rng.next_u64().is_multiple_of(4);
        let victim = self
            .active
            .iter()
            .filter(|(peer, neighbour)| {
                !neighbour.anchor
                    && usize::from(neighbour.degree) > target
                    && now.saturating_sub(neighbour.since) >= YOUNG
                    && (!in_use(peer) || (any && neighbour.merit == 0))
            })
            .min_by_key(|(_, neighbour)| (neighbour.merit, neighbour.since))
            .map(|(peer, _)| *peer);
        if let Some(victim) = victim {
            self.let_go(victim, now, rng);
        }
        for neighbour in self.active.values_mut() {
            neighbour.merit /= 2;
        }
    }
}
