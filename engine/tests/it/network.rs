//! A deterministic network of engines: virtual time, latency, loss of links, partitions, crashes between any two
//! outputs.
//!
//! [`crate::model`] watches every run: what must hold whatever happens is checked while it happens.
//!
//! Everything that happens is an event in one queue ordered by (time, number). The same seed gives the same run; a
//! failing run prints its seed, and `STARLING_SEED=n` replays it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::link::frame;
use protocol::link::handshake::{Binding, Side};
use protocol::messages::Message;
use protocol::names::NameAnswer;
use protocol::{Instant, KeyPair, PeerId, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use starling_engine::api::{Command, Event, Query, QueryResult, Request, Response, StoreState, Transport};
use starling_engine::io::{AddressId, Admission, MembershipInput};
use starling_engine::store::Rows;
use starling_engine::{Candidate, Config, Engine, Input, LinkId, Log, NameTicket, Now, Output, RequestId};

use crate::disk::Disk;
use crate::model::Model;
use crate::registry::Registry;

/// The wall clock at the beginning of every run: some day in 2026.
const EPOCH_MS: u64 = 1_780_000_000_000;

/// Interval at which a write is tried again while the disk is full, in microseconds.
const FULL_DISK_RETRY_US: u64 = 100_000;

/// What two peers say to each other before there is a channel.
const OFFER: &[u8] = b"offer";
const ANSWER: &[u8] = b"answer";

pub(crate) fn seed() -> u64 {
    std::env::var("STARLING_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1)
}

/// One simulated peer.
pub(crate) struct Peer {
    pub(crate) engine: Option<Engine>,
    pub(crate) disk: Disk,
    config: Config,
    pub(crate) group: u32,
    pub(crate) events: Vec<Event>,
    pub(crate) log: Vec<Log>,
    answers: BTreeMap<u64, Response>,
    /// Channels: own name of it → (other peer, its name there).
    channels: BTreeMap<LinkId, (usize, LinkId)>,
    runs: u64,
    /// Where others see it come from; `None`: from their own machine.
    pub(crate) address: Option<AddressId>,
    /// How far its wall clock is ahead.
    pub(crate) clock_ahead_ms: u64,
    /// Outputs it still executes before it dies, and how it dies then.
    fuse: Option<(u32, Death)>,
}

/// How a peer dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process is killed: what it gave to a channel still arrives, and what the store was given may yet be
    /// written, in order.
    Killed,
    /// The power is cut: the same, and what was confirmed without being strict may be lost.
    PowerCut,
}

#[derive(Debug)]
enum Happening {
    Frame {
        to: usize,
        link: LinkId,
        bytes: Vec<u8>,
    },
    Down {
        to: usize,
        link: LinkId,
    },
    Persisted {
        to: usize,
        run: u64,
    },
    Loaded {
        to: usize,
        run: u64,
        id: starling_engine::store::LoadId,
        rows: Rows,
    },
    Dialled {
        from: usize,
        run: u64,
        peer: PeerId,
    },
    /// A dial found nobody to introduce it.
    Unanswered {
        from: usize,
        run: u64,
        peer: PeerId,
    },
    Wake {
        to: usize,
        run: u64,
    },
    RegistryAnswer {
        to: usize,
        ticket: NameTicket,
        answer: NameAnswer,
    },
    Invitation {
        to: usize,
        link: LinkId,
        valid: bool,
    },
}

pub(crate) struct Network {
    /// Who dialled whom.
    pub(crate) dialled: BTreeSet<(usize, PeerId)>,
    /// Secrets of invitations that were not used yet, and the relay that issued each.
    pub(crate) invitations: BTreeSet<(usize, [u8; 16])>,
    pub(crate) registry: Registry,
    pub(crate) model: Model,
    pub(crate) seed: u64,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now_us: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    counter: u64,
    pub(crate) peers: Vec<Peer>,
    pub(crate) latency_us: (u64, u64),
    pub(crate) persist_us: (u64, u64),
    pub(crate) load_us: (u64, u64),
    wakes: BTreeMap<usize, u64>,
    /// Fingerprint of everything that happened, to prove that runs repeat.
    pub(crate) trace: blake3::Hasher,
    /// Channels carry their frames in order: the time the last one arrives.
    arrivals: BTreeMap<(usize, LinkId), u64>,
    blocked_pairs: BTreeSet<(usize, usize)>,
    /// Channels opened so far.
    pub(crate) opened: u64,
    /// Whether there is a signaling server; without it, peers must introduce each other.
    pub(crate) signaling: bool,
    /// Dials that wait for an introduction.
    calls: BTreeSet<(usize, PeerId)>,
    /// Bytes sent by everybody, by the kind of message.
    pub(crate) traffic: BTreeMap<u8, usize>,
    /// The message each channel is in the middle of.
    middle: BTreeMap<(usize, LinkId), u8>,
    /// Bytes that may be on their way on a channel. With more it is closed, as the programs do.
    pub(crate) channel_bytes_max: usize,
    on_the_way: BTreeMap<(usize, LinkId), usize>,
}

/// A relay of an open network.
pub(crate) fn open_relay(key: KeyPair) -> Config {
    Config {
        admission: Admission::Open,
        ..Config::relay(key)
    }
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed} (replay with STARLING_SEED={seed})");
        Self {
            dialled: BTreeSet::new(),
            invitations: BTreeSet::new(),
            registry: Registry::new(),
            model: Model::new(seed),
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now_us: 0,
            queue: BTreeMap::new(),
            counter: 0,
            peers: Vec::new(),
            latency_us: (5_000, 50_000),
            persist_us: (1_000, 20_000),
            load_us: (100, 2_000),
            wakes: BTreeMap::new(),
            trace: blake3::Hasher::new(),
            arrivals: BTreeMap::new(),
            blocked_pairs: BTreeSet::new(),
            opened: 0,
            signaling: true,
            calls: BTreeSet::new(),
            traffic: BTreeMap::new(),
            middle: BTreeMap::new(),
            channel_bytes_max: usize::MAX,
            on_the_way: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            instant: Instant(self.now_us),
            wall: Timestamp(EPOCH_MS + self.now_us / 1_000),
        }
    }

    fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.rng.next_u64() % (high - low + 1)
    }

    fn happen(&mut self, at_us: u64, happening: Happening) {
        self.counter += 1;
        self.queue.insert((at_us, self.counter), happening);
    }

    pub(crate) fn add_browser(&mut self) -> usize {
        self.add(Config::browser())
    }

    pub(crate) fn add_relay(&mut self) -> usize {
        let mut key = [0; 32];
        self.rng.fill_bytes(&mut key);
        self.add(open_relay(KeyPair::from_seed(&key)))
    }

    pub(crate) fn add(&mut self, config: Config) -> usize {
        self.peers.push(Peer {
            engine: None,
            disk: Disk::default(),
            config,
            group: 0,
            events: Vec::new(),
            log: Vec::new(),
            answers: BTreeMap::new(),
            channels: BTreeMap::new(),
            runs: 0,
            address: None,
            clock_ahead_ms: 0,
            fuse: None,
        });
        let peer = self.peers.len() - 1;
        self.start(peer);
        peer
    }

    /// Starts a peer from its disk.
    pub(crate) fn start(&mut self, peer: usize) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let mut now = self.now();
        let it = &mut self.peers[peer];
        now.wall.0 += it.clock_ahead_ms;
        it.runs += 1;
        it.fuse = None;
        it.disk.full = false;
        it.disk.open();
        if core::mem::take(&mut it.disk.replaced) {
            self.model.forget(peer);
        }
        it.engine = Some(Engine::new(it.config.clone(), seed, now));
        self.drain(peer);
    }

    /// Kills a peer: what its disk did not confirm is gone; its channels break at once.
    pub(crate) fn crash(&mut self, peer: usize) {
        self.peers[peer].disk.crash();
        self.end(peer, false);
    }

    /// The disk of a peer is full from now on, and writes nothing, or has room again.
    pub(crate) fn fill_disk(&mut self, peer: usize, full: bool) {
        self.peers[peer].disk.full = full;
        let state = if full { StoreState::Full } else { StoreState::Ok };
        self.input(peer, Input::Store(state));
    }

    /// A peer says something on all its channels that its engine does not mean.
    pub(crate) fn lie(&mut self, peer: usize, message: &Message) {
        let links: Vec<_> = self.peers[peer].channels.keys().copied().collect();
        for link in links {
            for bytes in frame::fragment(&message.encode()) {
                self.send(peer, link, bytes);
            }
        }
    }

    /// Lets a peer execute this many outputs, and kills it before the next one, in the middle of a step or between two.
    pub(crate) fn crash_after(&mut self, peer: usize, outputs: u32, death: Death) {
        self.peers[peer].fuse = Some((outputs, death));
    }

    /// A peer that was to die and has not yet shall live.
    pub(crate) fn spare(&mut self, peer: usize) {
        self.peers[peer].fuse = None;
    }

    fn die(&mut self, peer: usize, death: Death) {
        let chance = self.rng.next_u32();
        self.peers[peer].disk.die(death == Death::PowerCut, chance);
        self.end(peer, true);
    }

    fn end(&mut self, peer: usize, arrives: bool) {
        let it = &mut self.peers[peer];
        it.engine = None;
        it.fuse = None;
        it.runs += 1;
        self.model.on_crash(peer, &it.disk);
        let channels = core::mem::take(&mut it.channels);
        for (ours, (to, link)) in channels {
            self.middle.remove(&(peer, ours));
            let last = self.arrivals.get(&(to, link)).copied().filter(|_| arrives);
            let at = last.unwrap_or(0).max(self.now_us + 1_000);
            self.happen(at, Happening::Down { to, link });
        }
    }

    /// Splits the network: peers of different groups can neither talk nor dial.
    pub(crate) fn partition(&mut self, groups: &[u32]) {
        for (peer, group) in groups.iter().enumerate() {
            self.peers[peer].group = *group;
        }
        for peer in 0..self.peers.len() {
            let broken: Vec<_> = self.peers[peer]
                .channels
                .iter()
                .filter(|(_, (other, _))| self.peers[*other].group != self.peers[peer].group)
                .map(|(link, _)| *link)
                .collect();
            for link in broken {
                self.peers[peer].channels.remove(&link);
                let at = self.now_us + 1_000;
                self.happen(at, Happening::Down { to: peer, link });
            }
        }
    }

    pub(crate) fn heal(&mut self) {
        let groups = vec![0; self.peers.len()];
        self.partition(&groups);
    }

    /// These two can never link directly.
    pub(crate) fn block(&mut self, one: usize, other: usize) {
        self.blocked_pairs.insert((one.min(other), one.max(other)));
    }

    pub(crate) fn peer_id(&self, peer: usize) -> Option<PeerId> {
        self.peers[peer]
            .engine
            .as_ref()?
            .key()
            .map(|key| PeerId(key.public()))
    }

    /// Everybody learns who exists, as signaling would tell.
    pub(crate) fn introduce_all(&mut self) {
        let candidates: Vec<Candidate> = (0..self.peers.len())
            .filter_map(|peer| {
                let relay = matches!(
                    self.peers[peer].config.kind,
                    starling_engine::PeerKind::Relay { .. }
                );
                Some(Candidate {
                    peer: self.peer_id(peer)?,
                    relay,
                })
            })
            .collect();
        for peer in 0..self.peers.len() {
            self.input(peer, Input::Candidates(candidates.clone()));
        }
    }

    pub(crate) fn input(&mut self, peer: usize, input: Input) {
        let mut now = self.now();
        now.wall.0 += self.peers[peer].clock_ahead_ms;
        if let Some(engine) = &mut self.peers[peer].engine {
            engine.handle(now, input);
            self.drain(peer);
        }
    }

    fn drain(&mut self, peer: usize) {
        let run = self.peers[peer].runs;
        let mut outputs = VecDeque::new();
        if let Some(engine) = &mut self.peers[peer].engine {
            while let Some(output) = engine.poll_output() {
                outputs.push_back(output);
            }
        }
        for output in &outputs {
            self.model.on_output(peer, output);
        }
        for output in outputs {
            match &mut self.peers[peer].fuse {
                Some((0, death)) => {
                    let death = *death;
                    return self.die(peer, death);
                }
                Some((left, _)) => *left -= 1,
                None => {}
            }
            if let Output::Dial { peer: target, .. } = &output {
                self.dialled.insert((peer, *target));
            }
            self.trace.update(&peer.to_le_bytes());
            self.trace.update(format!("{output:?}").as_bytes());
            match output {
                Output::Send { link, bytes } => self.send(peer, link, bytes),
                Output::Close { link, .. } => self.close(peer, link),
                Output::Name { ticket, question } => {
                    if self.registry.answers {
                        let answer = self.registry.answer(question, self.now().wall);
                        let at = self.now_us + self.between((500, 5_000));
                        self.happen(
                            at,
                            Happening::RegistryAnswer {
                                to: peer,
                                ticket,
                                answer,
                            },
                        );
                    }
                }
                Output::Invitation { link, secret, .. } => {
                    let valid = self.invitations.remove(&(peer, secret));
                    let at = self.now_us + self.between((500, 5_000));
                    self.happen(
                        at,
                        Happening::Invitation {
                            to: peer,
                            link,
                            valid,
                        },
                    );
                }
                Output::Persist(batch) => {
                    self.peers[peer].disk.write(batch);
                    let key = (peer, LinkId(0));
                    let due = self.now_us + self.between(self.persist_us);
                    let at = due.max(self.arrivals.get(&key).copied().unwrap_or(0));
                    self.arrivals.insert(key, at);
                    self.happen(at, Happening::Persisted { to: peer, run });
                }
                Output::Load(load) => {
                    let rows = self.peers[peer].disk.view.load(&load);
                    let at = self.now_us + self.between(self.load_us);
                    self.happen(
                        at,
                        Happening::Loaded {
                            to: peer,
                            run,
                            id: load.id,
                            rows,
                        },
                    );
                }
                Output::Dial { peer: target, .. } if !self.signaling => {
                    self.calls.insert((peer, target));
                    let unanswered = Happening::Unanswered {
                        from: peer,
                        run,
                        peer: target,
                    };
                    self.happen(self.now_us + 10_000_000, unanswered);
                    self.introduce(peer, target, OFFER);
                }
                Output::Introduced { from, payload } => {
                    if payload == OFFER {
                        self.introduce(peer, from, ANSWER);
                    } else if self.calls.remove(&(peer, from)) {
                        let dialled = Happening::Dialled {
                            from: peer,
                            run,
                            peer: from,
                        };
                        self.happen(self.now_us + 50_000, dialled);
                    }
                }
                Output::Dial { peer: target, .. } => {
                    let at = self.now_us + self.between((20_000, 200_000));
                    self.happen(
                        at,
                        Happening::Dialled {
                            from: peer,
                            run,
                            peer: target,
                        },
                    );
                }
                Output::Response { id, response } => {
                    self.peers[peer].answers.insert(id.0, response);
                }
                Output::Event(event) => {
                    self.model.on_event(peer, &event);
                    self.peers[peer].events.push(event);
                }
                // Adapters with an address book learn from it who is where; here a peer's number is its address.
                Output::SessionUp { .. } | Output::Member { .. } => {}
                Output::Log(log) => self.peers[peer].log.push(log),
            }
        }
        let deadline = self.peers[peer].engine.as_ref().and_then(Engine::next_deadline);
        if let Some(deadline) = deadline {
            let at = deadline.0.max(self.now_us);
            if self
                .wakes
                .get(&peer)
                .is_none_or(|known| *known > at || *known < self.now_us)
            {
                self.wakes.insert(peer, at);
                self.happen(at, Happening::Wake { to: peer, run });
            }
        }
    }

    fn send(&mut self, from: usize, link: LinkId, bytes: Vec<u8>) {
        let Some((to, theirs)) = self.peers[from].channels.get(&link).copied() else {
            return;
        };
        if let [kind @ (frame::MORE | frame::LAST), first, ..] = bytes.as_slice() {
            let message = *self.middle.entry((from, link)).or_insert(*first);
            *self.traffic.entry(message).or_default() += bytes.len();
            if *kind == frame::LAST {
                self.middle.remove(&(from, link));
            }
        }
        if let Some(own) = self.peer_id(from) {
            self.model
                .on_send(from, own, link, &bytes, &self.peers[from].disk);
        }
        let on_the_way = self.on_the_way.entry((to, theirs)).or_default();
        *on_the_way += bytes.len();
        if *on_the_way > self.channel_bytes_max {
            return self.cut(from, to);
        }
        let due = self.now_us + self.between(self.latency_us);
        let at = due.max(self.arrivals.get(&(to, theirs)).copied().unwrap_or(0));
        self.arrivals.insert((to, theirs), at);
        self.happen(
            at,
            Happening::Frame {
                to,
                link: theirs,
                bytes,
            },
        );
    }

    fn close(&mut self, from: usize, link: LinkId) {
        if let Some((to, theirs)) = self.peers[from].channels.remove(&link) {
            let at = self
                .arrivals
                .get(&(to, theirs))
                .copied()
                .unwrap_or(0)
                .max(self.now_us + 1_000);
            self.happen(at, Happening::Down { to, link: theirs });
        }
    }

    /// Breaks the channel between two peers, if there is one.
    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        let links: Vec<_> = self.peers[one]
            .channels
            .iter()
            .filter(|(_, (to, _))| *to == other)
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            self.close(one, link);
            let at = self.now_us + 1_000;
            self.happen(at, Happening::Down { to: one, link });
        }
    }

    pub(crate) fn connect(&mut self, from: usize, to: usize) {
        self.opened += 1;
        self.counter += 2;
        let (ours, theirs) = (LinkId(self.counter), LinkId(self.counter + 1));
        self.counter += 1;
        self.peers[from].channels.insert(ours, (to, theirs));
        self.peers[to].channels.insert(theirs, (from, ours));
        let link_up = |link, side, address| Input::LinkUp {
            link,
            side,
            binding: Binding::Memory,
            transport: Transport::Memory,
            address,
        };
        // Who dials limits nobody.
        let address = self.peers[from].address;
        self.input(from, link_up(ours, Side::Initiator, None));
        self.input(to, link_up(theirs, Side::Responder, address));
    }

    fn introduce(&mut self, peer: usize, to: PeerId, payload: &[u8]) {
        let payload = payload.to_vec();
        self.input(peer, Input::Introduce { to, payload });
    }

    /// Living peers this one has a channel to.
    pub(crate) fn linked(&self, peer: usize) -> Vec<usize> {
        self.peers[peer]
            .channels
            .values()
            .map(|(other, _)| *other)
            .collect()
    }

    /// How many neighbours a peer has, as it says itself.
    pub(crate) fn neighbours(&mut self, peer: usize) -> usize {
        match self.query(peer, Query::Network) {
            QueryResult::Network(network) => network.links.len(),
            other => panic!("no network: {other:?}"),
        }
    }

    /// Lets everything up to `until_us` happen.
    pub(crate) fn run_until(&mut self, until_us: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until_us {
                break;
            }
            let ((at, _), happening) = entry.remove_entry();
            self.now_us = self.now_us.max(at);
            self.occur(happening);
        }
        self.now_us = self.now_us.max(until_us);
    }

    pub(crate) fn run_for_ms(&mut self, ms: u64) {
        self.run_until(self.now_us + ms * 1_000);
    }

    fn occur(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { to, link, bytes } => {
                if let Some(on_the_way) = self.on_the_way.get_mut(&(to, link)) {
                    *on_the_way -= bytes.len();
                }
                if self.peers[to].channels.contains_key(&link) {
                    self.input(to, Input::Frame { link, bytes });
                }
            }
            Happening::Down { to, link } => {
                self.peers[to].channels.remove(&link);
                self.input(to, Input::LinkDown { link });
            }
            Happening::RegistryAnswer { to, ticket, answer } => {
                self.input(to, Input::RegistryAnswer { ticket, answer });
            }
            Happening::Invitation { to, link, valid } => {
                self.input(
                    to,
                    Input::Membership(MembershipInput::Invitation {
                        link,
                        valid: Some(valid),
                    }),
                );
            }
            Happening::Persisted { to, run } if self.peers[to].disk.full => {
                let again = self.now_us + FULL_DISK_RETRY_US;
                self.happen(again, Happening::Persisted { to, run });
            }
            Happening::Persisted { to, run } => {
                if self.peers[to].runs == run
                    && let Some(id) = self.peers[to].disk.confirm(to, &mut self.model)
                {
                    self.input(to, Input::Persisted { id });
                }
            }
            Happening::Loaded { to, run, id, rows } => {
                if self.peers[to].runs == run {
                    self.input(to, Input::Loaded { id, rows });
                }
            }
            Happening::Dialled { from, run, peer } => {
                if self.peers[from].runs != run {
                    return;
                }
                let to = (0..self.peers.len()).find(|to| self.peer_id(*to) == Some(peer));
                match to {
                    Some(to)
                        if self.peers[to].group == self.peers[from].group
                            && !self.blocked_pairs.contains(&(to.min(from), to.max(from))) =>
                    {
                        self.connect(from, to);
                    }
                    _ => self.input(from, Input::DialFailed { peer }),
                }
            }
            Happening::Unanswered { from, run, peer } => {
                if self.calls.remove(&(from, peer)) && self.peers[from].runs == run {
                    self.input(from, Input::DialFailed { peer });
                }
            }
            Happening::Wake { to, run } => {
                self.wakes.remove(&to);
                if self.peers[to].runs == run {
                    self.input(to, Input::Tick);
                }
            }
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, peer: usize, request: Request) -> Response {
        let answer = self.try_ask(peer, request);
        answer.unwrap_or_else(|| panic!("no answer within ten seconds (seed {})", self.seed))
    }

    /// Asks and waits for the answer. `None`: the peer dies without giving one.
    pub(crate) fn try_ask(&mut self, peer: usize, request: Request) -> Option<Response> {
        self.counter += 1;
        let (id, run) = (self.counter, self.peers[peer].runs);
        self.input(
            peer,
            Input::Request {
                id: RequestId(id),
                request,
            },
        );
        for _ in 0..10_000 {
            if let Some(answer) = self.peers[peer].answers.remove(&id) {
                return Some(answer);
            }
            if self.peers[peer].runs != run {
                return None;
            }
            self.run_for_ms(1);
        }
        None
    }

    pub(crate) fn command(&mut self, peer: usize, command: Command) -> Response {
        self.ask(peer, Request::Command(command))
    }

    pub(crate) fn query(&mut self, peer: usize, query: Query) -> QueryResult {
        match self.ask(peer, Request::Query(query)) {
            Response::Result(reply) => *reply,
            other => panic!("not a reply: {other:?} (seed {})", self.seed),
        }
    }
}
