//! What it costs two peers to find out what differs, with real engines on a simulated channel: bytes and round trips.
//! Beside it negentropy, range-based reconciliation over the same entries.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine::api::{Command, CommandResult, Request, Response, Transport};
use engine::io::Admission;
use engine::memory::MemoryStore;
use engine::store::Table;
use engine::{Candidate, Config, Engine, Input, LinkId, Now, Output, RequestId};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use protocol::PeerId;
use protocol::link::frame;
use protocol::link::handshake::{Binding, Side};
use starling_tests::figures::{Figure, SEED, Target};

use crate::authors::{Author, BEGIN, key};

/// Feeds of the relays, and entries of each: a million together.
const FEEDS: usize = 10_000;
const ENTRIES: u64 = 100;
/// Entries that only one of them has.
const DIFFERENCES: usize = 1_000;
/// People a browser follows, and how many of them wrote while it was away.
const FOLLOWED: usize = 2_000;
const CHANGED: usize = 10;
/// One way, between the peers, while they fetch.
const LATENCY: Duration = Duration::from_millis(25);
/// One way, while they compare: so long that what the engines pace adds up to far less than half a round trip.
const LATENCY_OF_COMPARISONS: Duration = Duration::from_millis(500);
/// Kinds of messages that compare.
const COMPARING: [u8; 5] = [1, 2, 27, 28, 29];
/// A request for entries: what comparing leads to.
const WANT: u8 = 3;

/// An engine with a disk that is always ready.
struct Peer {
    engine: Engine,
    disk: MemoryStore,
    out: Vec<Vec<u8>>,
    dials: usize,
    answers: VecDeque<Response>,
    asked: u64,
}

impl Peer {
    fn new(config: Config, disk: MemoryStore, now: Now) -> Self {
        let mut peer = Self {
            engine: Engine::new(config, [7; 32], now),
            disk,
            out: Vec::new(),
            dials: 0,
            answers: VecDeque::new(),
            asked: 0,
        };
        peer.drain(now);
        peer
    }

    fn input(&mut self, now: Now, input: Input) {
        self.engine.handle(now, input);
        self.drain(now);
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist(batch) => {
                    self.disk.apply(&batch);
                    self.engine.handle(now, Input::Persisted { id: batch.id });
                }
                Output::Load(load) => {
                    let rows = self.disk.load(&load);
                    self.engine.handle(now, Input::Loaded { id: load.id, rows });
                }
                Output::Send { bytes, .. } => self.out.push(bytes),
                Output::Dial { .. } => self.dials += 1,
                Output::Response { response, .. } => self.answers.push_back(response),
                _ => {}
            }
        }
    }

    fn command(&mut self, now: Now, command: Command) -> Result<CommandResult> {
        self.asked += 1;
        let id = RequestId(self.asked);
        let request = Request::Command(command);
        self.input(now, Input::Request { id, request });
        match self.answers.pop_front() {
            Some(Response::Done(result)) => Ok(result),
            other => anyhow::bail!("not done: {other:?}"),
        }
    }

    fn entries(&self) -> usize {
        self.disk.len(Table::Entries)
    }
}

/// Two peers and the channel between them.
struct Pair {
    peers: [Peer; 2],
    now: Now,
    latency: Duration,
    link: u64,
    up: bool,
    on_the_way: VecDeque<(protocol::Instant, usize, Vec<u8>)>,
    /// Bytes by kind of message.
    traffic: BTreeMap<u8, usize>,
    /// When who dialled sent the first of each kind.
    sent: BTreeMap<u8, protocol::Instant>,
    middle: [Option<u8>; 2],
}

/// What comparing costs.
struct Spent {
    bytes: usize,
    round_trips: f64,
    /// What the engines waited because they do long work in pieces.
    paced_ms: f64,
}

impl Pair {
    fn new(dialler: Peer, other: Peer, now: Now) -> Self {
        Self {
            peers: [dialler, other],
            now,
            latency: LATENCY_OF_COMPARISONS,
            link: 0,
            up: false,
            on_the_way: VecDeque::new(),
            traffic: BTreeMap::new(),
            sent: BTreeMap::new(),
            middle: [None; 2],
        }
    }

    fn input(&mut self, to: usize, input: Input) {
        let now = self.now;
        self.peers[to].input(now, input);
        self.collect();
    }

    /// Puts on the channel what was sent.
    fn collect(&mut self) {
        for from in 0..2 {
            for bytes in std::mem::take(&mut self.peers[from].out) {
                if !self.up {
                    continue;
                }
                if let [kind @ (frame::MORE | frame::LAST), first, ..] = bytes.as_slice() {
                    let message = *self.middle[from].get_or_insert(*first);
                    *self.traffic.entry(message).or_default() += bytes.len();
                    if from == 0 {
                        self.sent.entry(message).or_insert(self.now.instant);
                    }
                    if *kind == frame::LAST {
                        self.middle[from] = None;
                    }
                }
                self.on_the_way
                    .push_back((self.now.instant + self.latency, 1 - from, bytes));
            }
        }
    }

    /// The first dials the second.
    fn connect(&mut self) {
        self.link += 1;
        (self.up, self.middle) = (true, [None; 2]);
        for (to, side) in [(0, Side::Initiator), (1, Side::Responder)] {
            let link_up = Input::LinkUp {
                link: LinkId(self.link),
                side,
                binding: Binding::Memory,
                transport: Transport::Memory,
                address: None,
            };
            self.input(to, link_up);
        }
    }

    fn disconnect(&mut self) {
        self.up = false;
        self.on_the_way.clear();
        for to in 0..2 {
            let link = LinkId(self.link);
            self.input(to, Input::LinkDown { link });
        }
    }

    /// The next thing that happens.
    fn step(&mut self) {
        let wakes = self.peers.each_ref().map(|peer| peer.engine.next_deadline());
        let wake = wakes.into_iter().flatten().min();
        let arrival = self.on_the_way.front().map(|(at, ..)| *at);
        let Some(next) = wake.into_iter().chain(arrival).min() else {
            return;
        };
        let passed = next.since(self.now.instant);
        self.now.instant = self.now.instant.max(next);
        self.now.wall = self.now.wall.plus(passed);
        match arrival {
            Some(at) if at == next => {
                if let Some((_, to, bytes)) = self.on_the_way.pop_front() {
                    let link = LinkId(self.link);
                    self.input(to, Input::Frame { link, bytes });
                }
            }
            _ => {
                for (to, wake) in wakes.iter().enumerate() {
                    if wake.is_some_and(|at| at <= self.now.instant) {
                        self.input(to, Input::Tick);
                    }
                }
            }
        }
    }

    fn run_until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) -> Result<()> {
        let end = self.now.instant + Duration::from_secs(600);
        while !reached(self) {
            ensure!(
                self.now.instant < end,
                "after ten minutes still not: {what}; they have {:?} entries, sent {:?}",
                self.peers.each_ref().map(Peer::entries),
                self.traffic
            );
            self.step();
        }
        Ok(())
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            self.step();
        }
    }

    /// What comparing costs, from the first message of the one that dialled to its first request for entries.
    fn spent(&self) -> Result<Spent> {
        let comparing = COMPARING.iter().filter_map(|kind| self.traffic.get(kind));
        let began = COMPARING.iter().filter_map(|kind| self.sent.get(kind)).min();
        let began = began.context("nothing was compared")?;
        let asked = self.sent.get(&WANT).context("nothing was requested")?;
        let took = asked.since(*began).as_secs_f64();
        let round_trip = 2.0 * LATENCY_OF_COMPARISONS.as_secs_f64();
        let round_trips = (took / round_trip).round();
        let paced_ms = (took - round_trips * round_trip) * 1_000.0;
        ensure!(
            (0.0..500.0).contains(&paced_ms),
            "{took} s are no round trips of {round_trip} s"
        );
        Ok(Spent {
            bytes: comparing.sum(),
            round_trips,
            paced_ms,
        })
    }
}

pub(crate) fn relay(n: u8) -> (Config, PeerId) {
    let key = key(0xee, usize::from(n));
    let peer = PeerId(key.public());
    let admission = Admission::Open;
    (
        Config {
            admission,
            ..Config::relay(key)
        },
        peer,
    )
}

/// Everybody's entries, on the disk of a relay; what negentropy compares besides.
fn stored(now: Now, authors: &mut [Author]) -> (Peer, Vec<(u64, [u8; 32])>) {
    let mut peer = Peer::new(relay(1).0, MemoryStore::default(), now);
    let mut ids = Vec::with_capacity(FEEDS * ENTRIES as usize);
    for n in 0..ENTRIES {
        for (place, author) in authors.iter_mut().enumerate() {
            let at = BEGIN.plus(Duration::from_millis(n * 10_000_000 + place as u64 * 1_000));
            let entry = author.write(at);
            ids.push((at.0, author.prev.0));
            let entries = vec![entry];
            peer.input(now, Input::Entries(entries));
        }
        eprintln!("{} % of a million entries are stored", (n + 1) * 100 / ENTRIES);
    }
    (peer, ids)
}

/// Bytes, round trips and seconds that negentropy needs.
fn negentropy(one: &[(u64, [u8; 32])], other: &[(u64, [u8; 32])]) -> Result<(usize, usize, f64)> {
    let sealed = |items: &[(u64, [u8; 32])]| -> Result<NegentropyStorageVector> {
        let mut storage = NegentropyStorageVector::with_capacity(items.len());
        for (at, id) in items {
            storage.insert(*at, Id::from_byte_array(*id))?;
        }
        storage.seal()?;
        Ok(storage)
    };
    let (one, other) = (sealed(one)?, sealed(other)?);
    let began = Instant::now();
    let (mut client, mut server) = (Negentropy::owned(one, 0)?, Negentropy::owned(other, 0)?);
    let mut query = client.initiate()?;
    let (mut bytes, mut rounds) = (0, 0);
    let (mut have, mut need) = (Vec::new(), Vec::new());
    loop {
        let answer = server.reconcile(&query)?;
        bytes += query.len() + answer.len();
        rounds += 1;
        match client.reconcile_with_ids(&answer, &mut have, &mut need)? {
            Some(next) => query = next,
            None => break,
        }
    }
    ensure!(
        have.len() + need.len() == DIFFERENCES,
        "negentropy found {}",
        have.len() + need.len()
    );
    Ok((bytes, rounds, began.elapsed().as_secs_f64()))
}

/// Prints all figures of comparing.
pub(crate) fn measure() -> Result<()> {
    let now = Now {
        instant: protocol::Instant(0),
        wall: BEGIN.plus(Duration::from_hours(300)),
    };
    let mut authors: Vec<Author> = (0..FEEDS).map(Author::new).collect();
    let (mut first, mut ids) = stored(now, &mut authors);
    let (config, second_id) = relay(2);
    let mut second = Peer::new(config, first.disk.clone(), now);
    ensure!(first.entries() == second.entries());

    // Half of the differences at each, in feeds chosen by chance.
    let mut chance = SEED;
    let mut others = ids.clone();
    for n in 0..DIFFERENCES {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let author = &mut authors[(chance >> 33) as usize % FEEDS];
        // Of one author in one place: two ends that each went on alone would be a fork.
        let at_first = author.device.public()[0].is_multiple_of(2);
        let at = now.wall.plus(Duration::from_secs(n as u64));
        let entry = author.write(at);
        let (peer, list) = if at_first {
            (&mut first, &mut ids)
        } else {
            (&mut second, &mut others)
        };
        list.push((at.0, author.prev.0));
        peer.input(now, Input::Entries(vec![entry]));
    }
    let all = FEEDS * ENTRIES as usize + DIFFERENCES;
    let (bytes, rounds, seconds) = negentropy(&ids, &others)?;
    let mut pair = Pair::new(first, second, now);
    let candidate = Candidate {
        peer: second_id,
        relay: true,
    };
    pair.input(0, Input::Candidates(vec![candidate]));
    pair.run_until("the relay dials", |pair| pair.peers[0].dials > 0)?;
    let began = Instant::now();
    pair.connect();
    pair.run_until("both relays have everything", |pair| {
        pair.peers.iter().all(|peer| peer.entries() == all)
    })?;
    let took = began.elapsed().as_secs_f64();
    let spent = pair.spent()?;
    let n = FEEDS * ENTRIES as usize;
    let figure = |name, value, unit| Figure::new("sync", name, value, unit).n(n);
    figure("relays_bytes", spent.bytes as f64, "B")
        .target(Target::AtMost(40_000.0))
        .print();
    figure("relays_bytes", bytes as f64, "B")
        .peer("negentropy")
        .print();
    figure("relays_round_trips", spent.round_trips, "")
        .target(Target::AtMost(4.0))
        .print();
    figure("relays_paced", spent.paced_ms, "ms").print();
    figure("relays_round_trips", rounds as f64, "")
        .peer("negentropy")
        .print();
    figure("relays_cpu_with_fetching", took, "s").print();
    figure("relays_cpu", seconds, "s").peer("negentropy").print();

    pair.disconnect();
    let Pair {
        peers: [relay, _],
        now,
        ..
    } = pair;
    let mut browser = Peer::new(Config::browser(), MemoryStore::default(), now);
    browser.command(
        now,
        Command::CreateAccount {
            name: "Ada".into(),
            device_name: "laptop".into(),
        },
    )?;
    for author in &authors[..FOLLOWED] {
        let account = author.account;
        browser.command(now, Command::Follow { account })?;
    }
    let mut pair = Pair::new(browser, relay, now);
    pair.latency = LATENCY;
    pair.connect();
    let of_followed = |authors: &[Author]| {
        authors[..FOLLOWED]
            .iter()
            .map(|author| author.next_seq as usize)
            .sum::<usize>()
    };
    let own = pair.peers[0].entries();
    let all = own + of_followed(&authors);
    pair.run_until("the browser has everybody's entries", |pair| {
        pair.peers[0].entries() == all
    })?;
    pair.run_for(Duration::from_mins(2));
    pair.disconnect();
    pair.latency = LATENCY_OF_COMPARISONS;
    pair.run_for(Duration::from_mins(1));
    for author in authors.iter_mut().take(FOLLOWED).step_by(FOLLOWED / CHANGED) {
        let entry = author.write(pair.now.wall);
        pair.input(1, Input::Entries(vec![entry]));
    }
    pair.traffic.clear();
    pair.sent.clear();
    pair.connect();
    let all = own + of_followed(&authors);
    pair.run_until("the browser has what is new", |pair| {
        pair.peers[0].entries() == all
    })?;
    let spent = pair.spent()?;
    let figure = |name, value, unit| Figure::new("sync", name, value, unit).n(FOLLOWED);
    figure("browser_bytes", spent.bytes as f64, "B")
        .target(Target::AtMost(2_000.0))
        .print();
    figure("browser_round_trips", spent.round_trips, "")
        .target(Target::AtMost(1.0))
        .print();
    figure("browser_paced", spent.paced_ms, "ms").print();
    Ok(())
}
