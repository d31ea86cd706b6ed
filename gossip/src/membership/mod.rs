//! Membership of the overlay: which peers are linked.
//!
//! After HyParView (Leitão, Pereira, Rodrigues: "HyParView: a membership protocol for reliable gossip-based broadcast",
//! DSN 2007). Each peer keeps a small *active view* of neighbours it is linked with, both ways, and a larger *passive
//! view* of acquaintances. Where this departs from the paper, and why:
//!
//! - A link must be dialled before anything can be said, and a dial between tabs takes seconds. So the peer that
//!   dials first states what it wants ([`Wish`]), several dials run in parallel, and a peer that is in no view yet is a *guest*.
//! - A join never evicts a neighbour without a replacement (rejoin storms would churn for ever). A full peer refuses it with
//!   a list of others or, at a limited rate, splits a link: the new peer becomes the neighbour of both its ends.
//! - Places in the active view are reserved for *anchors*, peers that never sleep.
//! - A shuffle walk exchanges samples at every peer it passes, so that no answer has to be routed back.
//! - Periodically a peer outside the view becomes a neighbour and the least useful neighbour is dropped, so that the halves
//!   of a partitioned swarm find each other again and no peer keeps the same few neighbours for ever.
//! - Leaving is distinguished from failing: a peer that left stays in the passive view, a silent one is suspected.
//!
//! Invariants: no link to oneself; never more than [`Config::active_max`] neighbours, [`Config::guests_max`] guests,
//! [`Config::dials_max`] dials; a neighbour is never a guest, being dialled, or in the passive view.

mod config;
mod dials;
mod message;
mod passive;
mod requests;
mod walks;

use core::fmt::Debug;
use core::time::Duration;
use std::collections::VecDeque;

use ordered::Map;
use rand_core::Rng;

pub use config::Config;
pub use message::{Descriptor, Message, SAMPLE_MAX, WALK_TTL_MAX, Wish};
pub use passive::MET_KEPT;
use passive::Passive;

/// Links a walk travels. The paper's active random walk length.
const WALK_TTL: u8 = 6;
/// Walks a join starts here.
const JOIN_WALKS: usize = 3;
/// Walks for newcomers started or passed on per second; beyond it the newcomer has only the list it was given. A tab
/// that is the one known contact of a thousand newcomers must not drown.
const WALKS_PER_S: u32 = 32;
/// Limit on the walks that one neighbour sends between two of our heartbeats; further ones end here, unread. An honest
/// neighbour forwards less than one shuffle, or, in a storm of joins, about twenty new peers.
const WALKS_PER_NEIGHBOUR: u16 = 40;
/// This many walks break the protocol. Far above [`WALKS_PER_NEIGHBOUR`], because a peer that wakes up after minutes receives
/// at once everything that was sent meanwhile.
const WALKS_OF_A_FLOOD: u16 = 4_096;
/// An honest guest has asked to be a neighbour by then: its first message takes half a round trip. A younger one never gives
/// way to another, or a thousand peers that join at once would push each other out before any could ask.
const GUEST_ASKS_WITHIN: Duration = Duration::from_secs(1);
/// Time for which a peer that broke the protocol is not linked with.
const BAN: Duration = Duration::from_mins(10);
/// Peers banned at once; the ban that ends first goes first.
const BANNED_MAX: usize = 256;
/// A link is split for a newcomer at most this often: a storm of joins must not churn.
const SPLIT_EVERY: Duration = Duration::from_secs(1);
/// A neighbour younger than this is not let go for another. Guess: long enough for its usefulness to show.
const YOUNG: Duration = Duration::from_secs(20);

/// Why a neighbour was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It left in order.
    Left,
    /// The connection broke.
    Broke,
    /// Too many heartbeats were missing.
    Silent,
    /// It was dropped in favour of another peer.
    LetGo,
    /// It broke the protocol.
    Banned,
}

/// Work for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// Connect to a peer; answered by [`Membership::on_connected`] or [`Membership::on_dial_failed`].
    Dial(P),
    /// Send a message on the connection to a peer.
    Send(P, Message<P>),
    /// Close the connection to a peer, after what was sent. Not answered.
    Close(P, &'static str),
    /// A peer is a neighbour now.
    Up(P),
    /// A neighbour is one no more; its connection may live on for a moment.
    Down(P, Cause),
    /// The round trip to a neighbour was measured.
    Rtt(P, Duration),
}

#[derive(Debug)]
struct Neighbour {
    anchor: bool,
    heartbeat: u64,
    heard: Duration,
    /// When its heartbeat counter last rose.
    beat: Duration,
    since: Duration,
    degree: u16,
    /// What the walks cost that it sent since our last heartbeat.
    walks: u16,
    /// How often it was first with news, lately. The caller says.
    merit: u32,
}

/// A connection that is no neighbourhood yet.
#[derive(Debug)]
struct Guest {
    /// What we asked of it; `None` when it is for the guest to ask.
    asked: Option<Wish>,
    until: Duration,
}

#[derive(Debug)]
struct Dial {
    wish: Wish,
    until: Duration,
    anchor: bool,
}

/// One peer's view of the overlay. `P` names peers. See the module.
#[derive(Debug)]
pub struct Membership<P> {
    me: P,
    config: Config,
    anchors_only: bool,
    active: Map<P, Neighbour>,
    guests: Map<P, Guest>,
    dialing: Map<P, Dial>,
    passive: Passive<P>,
    banned: Map<P, Duration>,
    outputs: VecDeque<Output<P>>,
    heartbeat: u64,
    /// The last heartbeats sent, to measure round trips by their echo.
    sent: [(u64, Duration); 4],
    joined: bool,
    /// One neighbour more than needed came.
    surplus: bool,
    walks_left: u32,
    walks_since: Duration,
    last_tick: Duration,
    next_heartbeat: Duration,
    next_shuffle: Duration,
    next_mix: Duration,
    next_split: Duration,
    /// When the next tick is due; never too late, now and then too early.
    deadline: Duration,
}

impl<P: Copy + Ord + Debug> Membership<P> {
    /// A peer that knows nobody. `heartbeat`: a number that is higher than at the last start, such as the Unix time.
    #[must_use]
    pub fn new(me: P, config: Config, heartbeat: u64, now: Duration, rng: &mut impl Rng) -> Self {
        let passive = Passive::new(config.passive_max, config.passive_age_max);
        let mut new = Self {
            me,
            anchors_only: false,
            active: Map::new(),
            guests: Map::new(),
            dialing: Map::new(),
            passive,
            banned: Map::new(),
            outputs: VecDeque::new(),
            heartbeat,
            sent: [(0, now); 4],
            joined: false,
            surplus: false,
            walks_left: WALKS_PER_S,
            walks_since: now,
            last_tick: now,
            next_heartbeat: now + jitter(config.heartbeat_every, rng),
            next_shuffle: now + jitter(config.shuffle_every, rng),
            next_mix: now + config.mix_every / 2 + jitter(config.mix_every, rng),
            next_split: now,
            deadline: now,
            config,
        };
        new.set_deadline();
        new
    }

    /// The next thing to be done. Drain it after every call.
    pub fn poll(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// Peers that could be dialled became known from outside: a list of contacts, a signaling server, a stored view.
    pub fn learn(&mut self, peer: P, anchor: bool, now: Duration, rng: &mut impl Rng) {
        let told = Descriptor {
            peer,
            anchor,
            heartbeat: 0,
            age_s: 0,
        };
        self.note(&told, None, now);
        self.fill(now, rng);
        self.set_deadline();
    }

    /// Link with anchors alone from now on, or with everybody again.
    pub fn set_anchors_only(&mut self, on: bool, now: Duration, rng: &mut impl Rng) {
        self.anchors_only = on;
        if on {
            let others: Vec<P> = self
                .active
                .iter()
                .filter(|(_, neighbour)| !neighbour.anchor)
                .map(|(peer, _)| *peer)
                .collect();
            for peer in others {
                self.let_go(peer, now, rng);
            }
        }
        self.fill(now, rng);
        self.set_deadline();
    }

    /// Dials a known peer although there are enough neighbours; it is meant to replace one, which the caller then dismisses.
    pub fn dial_beyond(&mut self, peer: P, now: Duration) {
        self.dial(peer, Wish::Fill, now);
        self.set_deadline();
    }

    /// Lets `peer` go, if it is a neighbour, and forgets it.
    pub fn dismiss(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        if self.active.contains_key(&peer) {
            self.let_go(peer, now, rng);
        }
        self.passive.remove(&peer);
        self.fill(now, rng);
        self.set_deadline();
    }

    /// A connection to `peer` opened. `dialled`: by us. A peer that was connected already must be reported with
    /// [`Membership::on_disconnected`] first.
    pub fn on_connected(&mut self, peer: P, dialled: bool, now: Duration, rng: &mut impl Rng) {
        if peer == self.me {
            self.outputs.push_back(Output::Close(peer, "a link to oneself"));
            return;
        }
        let dial = self.dialing.remove(&peer);
        if self.active.contains_key(&peer) {
            return;
        }
        if self.is_banned(&peer, now) {
            self.outputs
                .push_back(Output::Close(peer, "it broke the protocol before"));
            return;
        }
        let asked = dialled.then(|| dial.map_or_else(|| self.wish(), |dial| dial.wish));
        if asked.is_none() && self.guests.len() >= self.config.guests_max && !self.evict_guest(now) {
            let peers = self.sample(&peer, now, rng);
            self.send(peer, Message::Refuse { peers });
            self.outputs.push_back(Output::Close(peer, "too many guests"));
            return;
        }
        let until = now + self.config.request_timeout;
        self.guests.insert(peer, Guest { asked, until });
        if let Some(wish) = asked {
            let peers = self.sample(&peer, now, rng);
            let request = Message::Request {
                wish,
                anchor: self.config.anchor,
                heartbeat: self.heartbeat,
                peers,
            };
            self.send(peer, request);
        }
        self.set_deadline();
    }

    /// Closes the connection of the guest that was to ask and has kept silent for the longest time, at least
    /// [`GUEST_ASKS_WITHIN`]. `false`: there is none.
    fn evict_guest(&mut self, now: Duration) -> bool {
        let due = now + self.config.request_timeout.saturating_sub(GUEST_ASKS_WITHIN);
        let guests = self.guests.iter();
        let silent = guests.filter(|(_, guest)| guest.asked.is_none() && guest.until <= due);
        let oldest = silent.min_by_key(|(_, guest)| guest.until).map(|(peer, _)| *peer);
        if let Some(oldest) = oldest {
            self.guests.remove(&oldest);
            self.outputs
                .push_back(Output::Close(oldest, "gave way to a newcomer"));
        }
        oldest.is_some()
    }

    /// Dialling `peer` came to nothing.
    pub fn on_dial_failed(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        if self.dialing.remove(peer).is_some() {
            self.failed(peer, now, rng);
            self.fill(now, rng);
            self.set_deadline();
        }
    }

    /// The connection to `peer` is gone, from outside.
    pub fn on_disconnected(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        if self
            .guests
            .remove(peer)
            .is_some_and(|guest| guest.asked.is_some())
        {
            self.failed(peer, now, rng);
        }
        self.drop_neighbour(*peer, Cause::Broke, now, rng);
        self.fill(now, rng);
        self.set_deadline();
    }

    /// `peer` is not dialled again for as long as one that refused.
    pub fn postpone(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        let pause = self.config.mix_every;
        self.dialing.remove(peer);
        self.passive.refused(peer, now, pause, rng);
        self.set_deadline();
    }

    /// `peer` broke the protocol: it is not linked with for a while. The caller closes the connection.
    pub fn ban(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        self.guests.remove(&peer);
        self.dialing.remove(&peer);
        self.drop_neighbour(peer, Cause::Banned, now, rng);
        self.passive.remove(&peer);
        self.banned.retain(|_, until| *until > now);
        if self.banned.len() >= BANNED_MAX {
            let first = self.banned.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(peer, _)| *peer) {
                self.banned.remove(&first);
            }
        }
        self.banned.insert(peer, now + BAN);
        self.fill(now, rng);
        self.set_deadline();
    }

    /// A message of `peer` arrived. An error is a breach of the protocol: the peer is banned, and the caller closes the
    /// connection.
    pub fn on_message(
        &mut self,
        peer: P,
        message: Message<P>,
        now: Duration,
        rng: &mut impl Rng,
    ) -> Result<(), &'static str> {
        let cost = match message {
            Message::Shuffle { .. } => 5,
            Message::ForwardJoin { .. } => 1,
            _ => 0,
        };
        let walks = self.active.get_mut(&peer).map(|neighbour| {
            neighbour.walks = neighbour.walks.saturating_add(cost);
            neighbour.walks
        });
        let breach = if message.peers().len() > SAMPLE_MAX {
            Some("too many descriptors")
        } else if walks > Some(WALKS_OF_A_FLOOD) {
            Some("a flood of walks")
        } else {
            None
        };
        if let Some(breach) = breach {
            self.ban(peer, now, rng);
            return Err(breach);
        }
        if cost > 0 && walks.is_none_or(|walks| walks > WALKS_PER_NEIGHBOUR) {
            return Ok(());
        }
        for told in message.peers() {
            self.note(told, Some(peer), now);
        }
        if let Some(neighbour) = self.active.get_mut(&peer) {
            neighbour.heard = now;
        }
        // The two frequent kinds put nothing nearer, but for what they make this peer dial.
        let frequent = matches!(message, Message::Heartbeat { .. } | Message::Shuffle { .. });
        let dials = self.dialing.len();
        match message {
            Message::Request {
                wish,
                anchor,
                heartbeat,
                ..
            } => self.on_request(peer, wish, anchor, heartbeat, now, rng),
            Message::Accept {
                anchor,
                heartbeat,
                degree,
                ..
            } => self.on_accept(peer, anchor, heartbeat, degree, now, rng),
            Message::Refuse { .. } => self.on_refuse(peer, now, rng),
            Message::ForwardJoin { newcomer, ttl } => {
                self.walk_join(newcomer, ttl.min(WALK_TTL_MAX), Some(peer), None, now, rng);
            }
            Message::Shuffle { ttl, peers } => {
                self.walk_shuffle(peers, ttl.min(WALK_TTL_MAX), peer, now, rng);
            }
            Message::Heartbeat {
                counter,
                degree,
                echo,
                held_ms,
            } => {
                self.on_heartbeat(peer, counter, degree, now, rng);
                self.measure(peer, echo, held_ms, now);
            }
            Message::Leave { peers } => {
                self.drop_neighbour(peer, Cause::Left, now, rng);
                self.close(peer, "it left");
                // The first peer named needs a neighbour.
                let needy = peers.first().filter(|first| !self.is_banned(&first.peer, now));
                if let Some(first) = needy.filter(|_| self.wanted() > 0) {
                    self.dial(first.peer, Wish::Fill, now);
                }
            }
        }
        self.fill(now, rng);
        if !frequent || self.dialing.len() != dials {
            self.set_deadline();
        }
        Ok(())
    }

    /// `peer` was first with news, `times` times.
    pub fn add_merit(&mut self, peer: &P, times: u32) {
        if let Some(neighbour) = self.active.get_mut(peer) {
            neighbour.merit = neighbour.merit.saturating_add(times);
        }
    }

    /// Something of `peer` arrived that is not of the overlay: it lives.
    pub fn heard(&mut self, peer: &P, now: Duration) {
        if let Some(neighbour) = self.active.get_mut(peer) {
            neighbour.heard = now;
        }
    }

    /// The network came back, or the machine woke: everything may be tried at once.
    pub fn retry_now(&mut self, now: Duration, rng: &mut impl Rng) {
        self.passive.retry_now(now);
        self.fill(now, rng);
        self.set_deadline();
    }

    /// Time passed. Call it at [`Membership::next_deadline`] at the latest. `in_use` tells on which links the caller's
    /// payload travels: they are let go last.
    pub fn tick(&mut self, now: Duration, rng: &mut impl Rng, in_use: impl Fn(&P) -> bool) {
        let asleep = now.saturating_sub(self.last_tick);
        self.last_tick = now;
        if asleep >= self.silence_max() {
            // It was us who were away: a frozen tab, a sleeping machine. Nobody is judged by that silence.
            for neighbour in self.active.values_mut() {
                neighbour.heard = now;
            }
            for guest in self.guests.values_mut() {
                guest.until = now + self.config.request_timeout;
            }
            self.passive.retry_now(now);
        }
        self.give_up_overdue(now, rng);
        if core::mem::take(&mut self.surplus) {
            self.let_least_useful_go(now, rng, in_use);
        }
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + self.config.heartbeat_every;
            self.beat(now);
            self.passive.expire(now);
        }
        if now >= self.next_shuffle {
            self.next_shuffle = now + self.config.shuffle_every / 2 + jitter(self.config.shuffle_every, rng);
            self.shuffle(now, rng);
            // What joins and dials from both sides brought too much is shed bit by bit.
            self.surplus |= self.active.len() > self.config.active_target + 1;
        }
        if now >= self.next_mix {
            self.next_mix = now + self.config.mix_every / 2 + jitter(self.config.mix_every, rng);
            self.mix(now, rng);
        }
        self.fill(now, rng);
        self.set_deadline();
    }

    /// When [`Membership::tick`] has something to do.
    #[must_use]
    pub const fn next_deadline(&self) -> Duration {
        self.deadline
    }

    /// The neighbours.
    pub fn neighbours(&self) -> impl Iterator<Item = &P> {
        self.active.keys()
    }

    /// How many neighbours there are.
    #[must_use]
    pub fn neighbours_len(&self) -> usize {
        self.active.len()
    }

    /// Whether `peer` is a neighbour.
    #[must_use]
    pub fn is_neighbour(&self, peer: &P) -> bool {
        self.active.contains_key(peer)
    }

    /// Whether `peer` is known never to sleep.
    #[must_use]
    pub fn is_anchor(&self, peer: &P) -> bool {
        match self.active.get(peer) {
            Some(neighbour) => neighbour.anchor,
            None => self.passive.get(peer).is_some_and(|known| known.anchor),
        }
    }

    /// Anchors known, linked or not.
    pub fn anchors(&self) -> impl Iterator<Item = P> + '_ {
        let linked = self.active.iter().filter(|(_, neighbour)| neighbour.anchor);
        let known = self.passive.iter().filter(|(_, known)| known.anchor);
        linked.map(|(peer, _)| *peer).chain(known.map(|(peer, _)| *peer))
    }

    /// Acquaintances, to be stored and given to [`Membership::learn`] at the next start.
    pub fn acquaintances(&self) -> impl Iterator<Item = (P, bool)> + '_ {
        self.passive.iter().map(|(peer, known)| (*peer, known.anchor))
    }

    /// Whether `peer` is being dialled.
    #[must_use]
    pub fn is_dialing(&self, peer: &P) -> bool {
        self.dialing.contains_key(peer)
    }

    /// Dials under way.
    #[must_use]
    pub fn dialing(&self) -> usize {
        self.dialing.len()
    }

    /// A neighbour silent for longer than this is inactive.
    #[must_use]
    pub fn silence_max(&self) -> Duration {
        // Half a period more, so that a heartbeat that is merely late does not count as missed.
        self.config.heartbeat_every * self.config.missed_max + self.config.heartbeat_every / 2
    }

    fn set_deadline(&mut self) {
        let retry = self.wants_more().then(|| self.passive.next_try(self.last_tick));
        let silence_max = self.silence_max();
        let silences = self
            .active
            .values()
            .map(|neighbour| neighbour.heard + silence_max);
        let guests = self.guests.values().map(|guest| guest.until);
        let dials = self.dialing.values().map(|dial| dial.until);
        let clocks = [self.next_heartbeat, self.next_shuffle, self.next_mix];
        self.deadline = guests
            .chain(dials)
            .chain(silences)
            .chain(retry)
            .chain(clocks)
            .min()
            .unwrap_or(self.next_heartbeat);
    }

    fn beat(&mut self, now: Duration) {
        self.heartbeat += 1;
        self.sent.rotate_right(1);
        self.sent[0] = (self.heartbeat, now);
        let (counter, degree) = (self.heartbeat, self.degree());
        for (peer, neighbour) in self.active.iter_mut() {
            neighbour.walks = 0;
            let held = now.saturating_sub(neighbour.beat).as_millis();
            let message = Message::Heartbeat {
                counter,
                degree,
                echo: neighbour.heartbeat,
                held_ms: u16::try_from(held).unwrap_or(u16::MAX),
            };
            self.outputs.push_back(Output::Send(*peer, message));
        }
    }

    /// One of our heartbeats came back.
    fn measure(&mut self, peer: P, echo: u64, held_ms: u16, now: Duration) {
        let sent = self.sent.iter().find(|(counter, _)| *counter == echo);
        if let Some((_, at)) = sent
            && held_ms < u16::MAX
            && self.active.contains_key(&peer)
        {
            let rtt = now
                .saturating_sub(*at)
                .saturating_sub(Duration::from_millis(u64::from(held_ms)));
            self.outputs.push_back(Output::Rtt(peer, rtt));
        }
    }

    fn on_heartbeat(&mut self, peer: P, counter: u64, degree: u16, now: Duration, rng: &mut impl Rng) {
        if let Some(neighbour) = self.active.get_mut(&peer) {
            if counter > neighbour.heartbeat {
                neighbour.heartbeat = counter;
                neighbour.beat = now;
            }
            neighbour.degree = degree;
        } else if self.guests.get(&peer).is_some_and(|guest| guest.asked.is_some()) {
            // Its acceptance was lost; the heartbeat says as much.
            let anchor = self.is_anchor(&peer);
            self.on_accept(peer, anchor, counter, degree, now, rng);
        } else {
            let peers = self.sample(&peer, now, rng);
            self.send(peer, Message::Refuse { peers });
        }
    }

    fn close(&mut self, peer: P, why: &'static str) {
        self.guests.remove(&peer);
        self.outputs.push_back(Output::Close(peer, why));
    }

    fn is_banned(&self, peer: &P, now: Duration) -> bool {
        self.banned.get(peer).is_some_and(|until| *until > now)
    }

    fn anchors_linked(&self) -> usize {
        self.active.values().filter(|neighbour| neighbour.anchor).count()
    }

    fn degree(&self) -> u16 {
        u16::try_from(self.active.len()).unwrap_or(u16::MAX)
    }

    fn send(&mut self, peer: P, message: Message<P>) {
        self.outputs.push_back(Output::Send(peer, message));
    }

    /// Peers in the passive view.
    #[must_use]
    pub fn acquaintances_len(&self) -> usize {
        self.passive.len()
    }
}

/// A number below `n`, which is not zero.
pub(crate) fn pick(n: usize, rng: &mut impl Rng) -> usize {
    // The bias of the remainder is below 2^-32 for any table here.
    (rng.next_u64() % n as u64) as usize
}

/// A duration below `ceiling`.
pub(crate) fn jitter(ceiling: Duration, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(rng.next_u64() % micros)
}

/// Keeps `n` of `items`, by chance, in any order.
fn choose_some<T>(items: &mut Vec<T>, n: usize, rng: &mut impl Rng) {
    for at in 0..n.min(items.len()) {
        let other = at + pick(items.len() - at, rng);
        items.swap(at, other);
    }
    items.truncate(n);
}
