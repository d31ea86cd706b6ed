//! The simulated world: members, connections, time.
//!
//! A connection keeps the order of what is sent on it. A killed member sends nothing more: its neighbours have to
//! notice. A frozen member does nothing, and receives everything that was sent to it when it thaws.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::clock::Agenda;
use super::graph::Graph;
use super::member::{Input, Member, Output};
use super::network::{Hostility, Network, share};

#[derive(Debug)]
enum Event<M> {
    Deliver {
        to: u32,
        from: u32,
        connection: u32,
        message: M,
    },
    Opened {
        dialler: u32,
        dialled: u32,
    },
    DialFailed {
        dialler: u32,
        dialled: u32,
    },
    Closed {
        at: u32,
        peer: u32,
        connection: u32,
    },
    Timer {
        at: u32,
    },
    Thaw {
        at: u32,
    },
}

impl<M> Event<M> {
    /// The member it happens to, if it waits while that member is frozen.
    const fn at(&self) -> Option<u32> {
        match self {
            Self::Deliver { to: at, .. }
            | Self::DialFailed { dialler: at, .. }
            | Self::Closed { at, .. }
            | Self::Timer { at } => Some(*at),
            // An attempt at a frozen member fails; a thaw is what it waits for.
            Self::Opened { .. } | Self::Thaw { .. } => None,
        }
    }
}

/// In what state a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unborn,
    Alive,
    Frozen,
    Dead,
}

#[derive(Debug)]
struct Slot<M: Member> {
    member: Option<M>,
    state: State,
    hostility: Option<Hostility>,
    /// The side of the cut it is on.
    side: u8,
    /// Peers connected to, with the name of the connection.
    connections: BTreeMap<u32, u32>,
    timer: Duration,
    /// What happens to it when it thaws.
    stash: Vec<Event<M::Message>>,
}

/// A message broadcast.
#[derive(Clone, Debug)]
pub struct Published {
    /// The sender.
    pub origin: u32,
    /// When.
    pub at: Duration,
    /// Who has it, by bit.
    pub holders: Vec<u64>,
    /// When the last member got it that did so far.
    pub last: Duration,
    /// The most links it travelled.
    pub hops_max: u16,
}

impl Published {
    /// Whether `node` has it.
    #[must_use]
    pub fn held_by(&self, node: u32) -> bool {
        self.holders[node as usize / 64] & (1 << (node % 64)) != 0
    }
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Messages and bytes sent, by kind.
    pub sent: BTreeMap<&'static str, (u64, u64)>,
    /// Bodies that arrived.
    pub payloads: u64,
    /// Bodies that were news.
    pub delivered: u64,
    /// Messages lost on the way.
    pub lost: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Things that happened, of any kind.
    pub events: u64,
    /// The most neighbours any member ever had.
    pub degree_max: usize,
    /// Inputs after which a hostile member sent more or less than its protocol says, by behaviour.
    pub tampered: BTreeMap<Hostility, u64>,
}

/// Members and what is between them.
#[derive(Debug)]
pub struct World<M: Member> {
    seed: u64,
    network: Network,
    setup: M::Setup,
    agenda: Agenda<Event<M::Message>>,
    slots: Vec<Slot<M>>,
    rng: ChaCha8Rng,
    cut: bool,
    next_connection: u32,
    published: Vec<Published>,
    counts: Counts,
    outputs: Vec<Output<M::Message>>,
}

impl<M: Member> World<M> {
    /// A world for `nodes` members, none of which is there yet.
    #[must_use]
    pub fn new(nodes: u32, network: Network, setup: M::Setup, seed: u64) -> Self {
        let slots = (0..nodes).map(|_| Slot {
            member: None,
            state: State::Unborn,
            hostility: None,
            side: 0,
            connections: BTreeMap::new(),
            timer: Duration::MAX,
            stash: Vec::new(),
        });
        Self {
            seed,
            network,
            setup,
            agenda: Agenda::default(),
            slots: slots.collect(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            cut: false,
            next_connection: 0,
            published: Vec::new(),
            counts: Counts::default(),
            outputs: Vec::new(),
        }
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.agenda.now()
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: Duration) {
        while let Some(event) = self.agenda.next(until) {
            self.counts.events += 1;
            self.happen(event);
        }
    }

    /// A member is born, or reborn after its death, and hears of the others in `via`.
    pub fn join(&mut self, node: u32, via: &[u32]) {
        let now = self.now();
        let member = M::new(node, &self.setup, now, &mut self.rng);
        let slot = &mut self.slots[node as usize];
        slot.member = Some(member);
        slot.state = State::Alive;
        slot.timer = Duration::MAX;
        for peer in via {
            self.input(
                node,
                Input::Learn {
                    peer: *peer,
                    anchor: false,
                },
            );
        }
        if via.is_empty() {
            self.schedule(node);
        }
    }

    /// A member broadcasts something.
    pub fn publish(&mut self, node: u32) {
        let message = self.published.len() as u32;
        self.published.push(Published {
            origin: node,
            at: self.now(),
            holders: vec![0; self.slots.len().div_ceil(64)],
            last: self.now(),
            hops_max: 0,
        });
        self.hold(node, message, 0);
        self.input(node, Input::Publish(message));
    }

    /// Kills a member without notice to others.
    pub fn kill(&mut self, node: u32) {
        let slot = &mut self.slots[node as usize];
        slot.state = State::Dead;
        slot.connections.clear();
        slot.stash.clear();
        slot.member = None;
        for published in &mut self.published {
            published.holders[node as usize / 64] &= !(1 << (node % 64));
        }
    }

    /// A member does nothing until then.
    pub fn freeze(&mut self, node: u32, until: Duration) {
        let slot = &mut self.slots[node as usize];
        if slot.state == State::Alive {
            slot.state = State::Frozen;
            self.agenda.add(until, Event::Thaw { at: node });
        }
    }

    /// A member turns hostile.
    pub fn turn(&mut self, node: u32, how: Hostility) {
        self.slots[node as usize].hostility = Some(how);
    }

    /// Nothing passes any more between members on different sides.
    pub fn cut(&mut self, side: impl Fn(u32) -> u8) {
        self.cut = true;
        for (node, slot) in self.slots.iter_mut().enumerate() {
            slot.side = side(node as u32);
        }
    }

    /// Everything passes again.
    pub const fn heal(&mut self) {
        self.cut = false;
    }

    /// The random source, for the driver of the world.
    pub const fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// A member, if it is there.
    #[must_use]
    pub fn member(&self, node: u32) -> Option<&M> {
        self.slots[node as usize].member.as_ref()
    }

    /// Members that live and mean well.
    pub fn honest(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| {
                matches!(slot.state, State::Alive | State::Frozen) && slot.hostility.is_none()
            })
            .map(|(node, _)| node as u32)
    }

    /// Members that live, mean well and are not frozen.
    pub fn awake(&self) -> impl Iterator<Item = u32> + '_ {
        self.honest()
            .filter(|node| self.slots[*node as usize].state == State::Alive)
    }

    /// Whether a member can dial another, as far as their place in the network goes.
    #[must_use]
    pub fn can_dial(&self, from: u32, to: u32) -> bool {
        self.network.can_dial(self.seed, from, to)
    }

    /// What was broadcast.
    #[must_use]
    pub fn published(&self) -> &[Published] {
        &self.published
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Bytes of memory cannot be counted here; connections can.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| slot.connections.len())
            .sum::<usize>()
            / 2
    }

    /// The overlay among honest living members: a link is where both take each other for neighbours.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let adjacent = self.claims();
        let kept = adjacent.iter().enumerate().map(|(node, neighbours)| {
            let both = |other: &u32| claims(&adjacent, *other, node as u32);
            let neighbours = neighbours.as_ref()?;
            Some(neighbours.iter().copied().filter(both).collect())
        });
        Graph {
            adjacent: kept.collect(),
        }
    }

    /// Links that only the first of the two takes for one.
    #[must_use]
    pub fn one_sided(&self) -> BTreeSet<(u32, u32)> {
        let adjacent = self.claims();
        let claimed = adjacent.iter().enumerate().flat_map(|(node, neighbours)| {
            let claimed = neighbours.iter().flatten();
            claimed.map(move |other| (node as u32, *other))
        });
        claimed
            .filter(|(node, other)| !claims(&adjacent, *other, *node))
            .collect()
    }

    /// The neighbours of each honest living member, by its own account, sorted.
    fn claims(&self) -> Vec<Option<Vec<u32>>> {
        let mut adjacent: Vec<Option<Vec<u32>>> = vec![None; self.slots.len()];
        for node in self.honest() {
            let mut found = Vec::new();
            if let Some(member) = self.member(node) {
                member.neighbours(&mut found);
            }
            found.sort_unstable();
            adjacent[node as usize] = Some(found);
        }
        adjacent
    }

    fn happen(&mut self, event: Event<M::Message>) {
        if let Some(at) = event.at()
            && self.slots[at as usize].state == State::Frozen
        {
            self.slots[at as usize].stash.push(event);
            return;
        }
        match event {
            Event::Deliver {
                to,
                from,
                connection,
                message,
            } => {
                if self.slots[to as usize].connections.get(&from) == Some(&connection) {
                    self.deliver(to, from, message);
                }
            }
            Event::Opened { dialler, dialled } => self.opened(dialler, dialled),
            Event::DialFailed { dialler, dialled } => {
                self.counts.dials_failed += 1;
                self.input(dialler, Input::DialFailed(dialled));
            }
            Event::Closed { at, peer, connection } => {
                let slot = &mut self.slots[at as usize];
                if slot.connections.get(&peer) == Some(&connection) {
                    slot.connections.remove(&peer);
                    self.input(at, Input::Disconnected(peer));
                }
            }
            Event::Timer { at } => {
                let now = self.now();
                let slot = &mut self.slots[at as usize];
                if slot.timer <= now {
                    slot.timer = Duration::MAX;
                    self.input(at, Input::Tick);
                }
            }
            Event::Thaw { at } => {
                if self.slots[at as usize].state != State::Frozen {
                    return;
                }
                self.slots[at as usize].state = State::Alive;
                self.slots[at as usize].timer = Duration::MAX;
                self.input(at, Input::Tick);
                for event in core::mem::take(&mut self.slots[at as usize].stash) {
                    self.happen(event);
                }
            }
        }
    }

    fn deliver(&mut self, to: u32, from: u32, message: M::Message) {
        if M::label(&message).payload {
            self.counts.payloads += 1;
        }
        self.input(to, Input::Message(from, message));
    }

    fn opened(&mut self, dialler: u32, dialled: u32) {
        let alive = |slot: &Slot<M>| slot.state == State::Alive;
        let reachable = self.passes(dialler, dialled)
            && alive(&self.slots[dialled as usize])
            && self.network.can_dial(self.seed, dialler, dialled);
        if !alive(&self.slots[dialler as usize]) {
            return;
        }
        if !reachable || share(self.rng.next_u64()) < self.network.dial_failure {
            let at = self.now() + Duration::from_millis(self.network.dial_refused_ms);
            self.agenda.add(at, Event::DialFailed { dialler, dialled });
            return;
        }
        if self.slots[dialler as usize].connections.contains_key(&dialled) {
            // Both dialled at once; one connection is enough.
            return;
        }
        self.next_connection += 1;
        let connection = self.next_connection;
        self.slots[dialler as usize]
            .connections
            .insert(dialled, connection);
        // The other side may hold an older connection whose end has not reached it.
        let stale = self.slots[dialled as usize]
            .connections
            .insert(dialler, connection);
        if stale.is_some() {
            self.input(dialled, Input::Disconnected(dialler));
        }
        self.input(
            dialled,
            Input::Connected {
                peer: dialler,
                dialled: false,
            },
        );
        self.input(
            dialler,
            Input::Connected {
                peer: dialled,
                dialled: true,
            },
        );
    }

    fn passes(&self, a: u32, b: u32) -> bool {
        let known = (a as usize) < self.slots.len() && (b as usize) < self.slots.len();
        known && !(self.cut && self.slots[a as usize].side != self.slots[b as usize].side)
    }

    fn input(&mut self, node: u32, input: Input<M::Message>) {
        let now = self.now();
        let slot = &mut self.slots[node as usize];
        let Some(member) = slot.member.as_mut().filter(|_| slot.state == State::Alive) else {
            return;
        };
        let mut outputs = core::mem::take(&mut self.outputs);
        member.handle(input, now, &mut self.rng, &mut outputs);
        if let Some(how) = slot.hostility {
            let honest = outputs.len();
            M::corrupt(how, &mut outputs, &mut self.rng);
            if outputs.len() != honest {
                *self.counts.tampered.entry(how).or_default() += 1;
            }
        }
        for output in outputs.drain(..) {
            self.execute(node, output);
        }
        self.outputs = outputs;
        self.schedule(node);
    }

    fn execute(&mut self, node: u32, output: Output<M::Message>) {
        let now = self.now();
        match output {
            Output::Dial(peer) => {
                let (min, max) = self.network.dial_ms;
                let extra = Duration::from_millis(min + self.rng.next_u64() % (max - min + 1).max(1));
                let known = (peer as usize) < self.slots.len();
                let way = if known {
                    self.network.latency(self.seed, node, peer)
                } else {
                    Duration::ZERO
                };
                let event = if known {
                    Event::Opened {
                        dialler: node,
                        dialled: peer,
                    }
                } else {
                    Event::DialFailed {
                        dialler: node,
                        dialled: peer,
                    }
                };
                self.agenda.add(now + way * 4 + extra, event);
            }
            Output::Send(peer, message) => {
                let label = M::label(&message);
                let sent = self.counts.sent.entry(label.kind).or_default();
                sent.0 += 1;
                sent.1 += label.bytes as u64;
                let Some(connection) = self.slots[node as usize].connections.get(&peer).copied() else {
                    return;
                };
                let lost = self.network.loss > 0.0 && share(self.rng.next_u64()) < self.network.loss;
                if lost || !self.passes(node, peer) {
                    self.counts.lost += 1;
                    return;
                }
                let at = now + self.network.latency(self.seed, node, peer);
                self.agenda.add(
                    at,
                    Event::Deliver {
                        to: peer,
                        from: node,
                        connection,
                        message,
                    },
                );
            }
            Output::Close(peer) => {
                if let Some(connection) = self.slots[node as usize].connections.remove(&peer)
                    && self.passes(node, peer)
                {
                    let at = now + self.network.latency(self.seed, node, peer);
                    let event = Event::Closed {
                        at: peer,
                        peer: node,
                        connection,
                    };
                    self.agenda.add(at, event);
                }
            }
            Output::Delivered { message, hops } => {
                self.counts.delivered += 1;
                self.hold(node, message, hops);
            }
        }
    }

    fn hold(&mut self, node: u32, message: u32, hops: u16) {
        let now = self.now();
        let published = &mut self.published[message as usize];
        published.holders[node as usize / 64] |= 1 << (node % 64);
        if self.slots[node as usize].hostility.is_none() {
            published.last = now;
            published.hops_max = published.hops_max.max(hops);
        }
    }

    fn schedule(&mut self, node: u32) {
        let slot = &mut self.slots[node as usize];
        let Some(member) = &slot.member else {
            return;
        };
        self.counts.degree_max = self.counts.degree_max.max(member.degree());
        let deadline = member.next_deadline();
        if deadline < slot.timer {
            slot.timer = deadline;
            self.agenda.add(deadline, Event::Timer { at: node });
        }
    }
}

/// Whether `a` takes `b` for a neighbour.
fn claims(adjacent: &[Option<Vec<u32>>], a: u32, b: u32) -> bool {
    let neighbours = adjacent[a as usize].as_ref();
    neighbours.is_some_and(|neighbours| neighbours.binary_search(&b).is_ok())
}
