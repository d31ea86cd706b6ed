//! How long a relay with many feeds takes to fill an empty one, over 100 Mbit/s and 20 ms each way. Then two empty relays
//! come in, so that the feeds are divided and every relay applies a new assignment to all of them.
//!
//! Real engines, each on a processor of its own: the clock of the run goes on by the time that an engine really
//! computes. The links, the queues in front of them and the disks are emulated; a link whose queue is full is closed, as
//! the programs do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use engine::api::{Event, Transport};
use engine::memory::MemoryStore;
use engine::store::{BatchId, LoadId, Rows, Table};
use engine::{Candidate, Config, Engine, Input, LinkId, Now, Output};
use protocol::link::handshake::{Binding, Side};
use protocol::messages::directory::{Description, role};
use protocol::{Instant, PeerId, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use starling_tests::figures::{Figure, Target};

use crate::authors::{self, BEGIN};
use crate::sync::relay;

/// Feeds unless `STARLING_BENCH_FEEDS` says how many.
const FEEDS: usize = 100_000;
/// Entries of each feed: the certificate, and posts.
const ENTRIES: u64 = 4;
/// With more feeds than this each has its certificate alone, so that two relays fit into the memory of a laptop.
const FEEDS_WITH_POSTS_MAX: usize = 200_000;
/// Bytes per microsecond: 100 Mbit/s.
const RATE: f64 = 12.5;
/// One way, between the relays.
const LATENCY: Duration = Duration::from_millis(20);
/// Bytes and frames that wait in front of a link: those of the programs.
const QUEUE_BYTES_MAX: f64 = 4.0 * 1024.0 * 1024.0;
/// Bytes of TCP and WebSocket headers, for each frame.
const FRAME_BYTES: usize = 10;
/// Until a batch is on the disk: what a strict commit of the relay's store takes.
const COMMIT: Duration = Duration::from_millis(18);
/// Until rows are read.
const LOAD: Duration = Duration::from_millis(1);
/// The run is given up after this long.
const PATIENCE: Duration = Duration::from_mins(30);
/// How long the longest step is looked for once more relays came in.
const DIVIDING: Duration = Duration::from_secs(30);

enum Happening {
    Frame(u64, Vec<u8>),
    LinkUp(u64, usize, Side),
    LinkDown(u64),
    Commit,
    Loaded(LoadId, Rows),
    Wake(u64),
}

struct Peer {
    engine: Engine,
    disk: MemoryStore,
    /// Until then it computes.
    busy: Instant,
    /// Until then what was sent occupies the link.
    link_busy: Instant,
    /// Which peer is at the other end of each link.
    links: BTreeMap<u64, usize>,
    /// The last batch, while its commit is under way.
    batch: Option<BatchId>,
    bytes_out: usize,
    frames_out: usize,
    wakes: u64,
    step_max: Duration,
    steps: VecDeque<(Duration, String)>,
    ready: Option<Instant>,
}

struct Run {
    peers: Vec<Peer>,
    ids: Vec<PeerId>,
    now: Instant,
    wall: Timestamp,
    queue: BTreeMap<(Instant, u64), (usize, Happening)>,
    count: u64,
    links: u64,
    /// Pairs of peers that are linked, or about to be.
    pairs: BTreeSet<(usize, usize)>,
}

/// Time that this thread has computed, so that other programs on this machine do not count.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

impl Peer {
    fn new(config: Config, now: Now) -> Self {
        Self {
            engine: Engine::new(config, [7; 32], now),
            disk: MemoryStore::default(),
            busy: now.instant,
            link_busy: now.instant,
            links: BTreeMap::new(),
            batch: None,
            bytes_out: 0,
            frames_out: 0,
            wakes: 0,
            step_max: Duration::ZERO,
            steps: VecDeque::new(),
            ready: None,
        }
    }

    fn entries(&self) -> usize {
        self.disk.len(Table::Entries)
    }

    /// Takes an input while nothing is emulated.
    fn input(&mut self, now: Now, input: Input) {
        self.engine.handle(now, input);
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
                _ => {}
            }
        }
    }
}

impl Run {
    fn new(now: Now) -> Self {
        Self {
            peers: Vec::new(),
            ids: Vec::new(),
            now: now.instant,
            wall: now.wall,
            queue: BTreeMap::new(),
            count: 0,
            links: 0,
            pairs: BTreeSet::new(),
        }
    }

    /// A relay comes in that knows of the first one.
    fn join(&mut self, mut peer: Peer, id: PeerId) {
        let (now, n) = (self.at(self.now), self.peers.len());
        peer.busy = self.now;
        peer.link_busy = self.now;
        let zone = format!("zone{n}");
        peer.input(now, Input::Describe(Box::new(description(&zone))));
        peer.step_max = Duration::ZERO;
        self.peers.push(peer);
        self.ids.push(id);
        let first = Candidate {
            peer: self.ids[0],
            relay: true,
        };
        let input = if n == 0 {
            Input::Tick
        } else {
            Input::Candidates(vec![first])
        };
        self.input(n, input);
    }

    fn happen(&mut self, at: Instant, to: usize, happening: Happening) {
        self.count += 1;
        self.queue.insert((at, self.count), (to, happening));
    }

    fn at(&self, instant: Instant) -> Now {
        Now {
            instant,
            wall: self.wall.plus(instant.since(Instant(0))),
        }
    }

    /// A peer takes an input when it has time, and what it wants done happens when it has computed it.
    fn input(&mut self, to: usize, input: Input) {
        let begin = self.peers[to].busy.max(self.now);
        let now = self.at(begin);
        let kind = match &input {
            Input::Frame { bytes, .. } => format!("a frame {:?}", bytes.get(..2)),
            Input::Loaded { .. } => "rows".to_owned(),
            Input::Entries(_) => "entries".to_owned(),
            other => format!("{other:?}").chars().take(40).collect(),
        };
        let peer = &mut self.peers[to];
        let before = computed();
        peer.engine.handle(now, input);
        let took = computed().saturating_sub(before);
        peer.step_max = peer.step_max.max(took);
        if took >= Duration::from_millis(5) {
            peer.steps.push_back((took, kind));
        }
        peer.busy = begin + took;
        let end = peer.busy;
        let mut outputs = Vec::new();
        while let Some(output) = peer.engine.poll_output() {
            outputs.push(output);
        }
        for output in outputs {
            self.execute(to, end, output);
        }
        if let Some(deadline) = self.peers[to].engine.next_deadline() {
            self.peers[to].wakes += 1;
            let wake = Happening::Wake(self.peers[to].wakes);
            self.happen(deadline.max(end), to, wake);
        }
    }

    fn execute(&mut self, from: usize, at: Instant, output: Output) {
        let peer = &mut self.peers[from];
        match output {
            Output::Send { link, bytes } => {
                let Some(to) = peer.links.get(&link.0).copied() else {
                    return;
                };
                peer.link_busy = peer.link_busy.max(at);
                let queued = peer.link_busy.since(at).as_micros() as f64 * RATE;
                if queued + bytes.len() as f64 > QUEUE_BYTES_MAX {
                    return self.cut(link.0, from, at);
                }
                let len = bytes.len() + FRAME_BYTES;
                peer.bytes_out += len;
                peer.frames_out += 1;
                peer.link_busy = peer.link_busy + Duration::from_secs_f64(len as f64 / RATE / 1e6);
                let arrives = peer.link_busy + LATENCY;
                self.happen(arrives, to, Happening::Frame(link.0, bytes));
            }
            Output::Close { link, .. } => self.cut(link.0, from, at),
            Output::Persist(batch) => {
                peer.disk.apply(&batch);
                if peer.batch.replace(batch.id).is_none() {
                    self.happen(at + COMMIT, from, Happening::Commit);
                }
            }
            Output::Load(load) => {
                let rows = peer.disk.load(&load);
                self.happen(at + LOAD, from, Happening::Loaded(load.id, rows));
            }
            Output::Dial { peer, .. } => {
                let Some(to) = self.ids.iter().position(|id| *id == peer) else {
                    return;
                };
                if !self.pairs.insert(pair(from, to)) {
                    return;
                }
                self.links += 1;
                let link = self.links;
                for (end, other, side) in [(from, to, Side::Initiator), (to, from, Side::Responder)] {
                    self.happen(at + LATENCY * 2, end, Happening::LinkUp(link, other, side));
                }
            }
            Output::Event(Event::Repair(view)) if view.caught_up && peer.ready.is_none() => {
                peer.ready = Some(at);
            }
            _ => {}
        }
    }

    /// A queue is full, or a peer closes the link.
    fn cut(&mut self, link: u64, from: usize, at: Instant) {
        let Some(to) = self.peers[from].links.get(&link).copied() else {
            return;
        };
        self.pairs.remove(&pair(from, to));
        for end in [from, to] {
            self.peers[end].links.remove(&link);
            self.happen(at, end, Happening::LinkDown(link));
        }
    }

    /// Two more relays come in. What the steps take until then no longer counts.
    fn divide(&mut self) -> Result<()> {
        for peer in &mut self.peers {
            peer.step_max = Duration::ZERO;
        }
        for n in [3, 4] {
            let (peer, id) = empty(n, self.at(self.now));
            self.join(peer, id);
        }
        let until = self.now + DIVIDING;
        while self.now < until {
            self.step()?;
        }
        self.print_longest_steps();
        let entries: Vec<usize> = self.peers.iter().map(Peer::entries).collect();
        eprintln!("after {DIVIDING:?} the relays hold {entries:?} entries");
        ensure!(
            entries[2..].iter().all(|held| *held > 0),
            "nothing was assigned to the new relays"
        );
        Ok(())
    }

    fn step_max_ms(&self) -> f64 {
        let steps = self.peers.iter().map(|peer| peer.step_max);
        steps.max().unwrap_or_default().as_secs_f64() * 1_000.0
    }

    fn print_longest_steps(&mut self) {
        for peer in &mut self.peers {
            let mut steps: Vec<_> = peer.steps.drain(..).collect();
            steps.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
            eprintln!("longest steps: {:?}", &steps[..steps.len().min(8)]);
        }
    }

    fn step(&mut self) -> Result<()> {
        let ((at, _), (to, happening)) = self.queue.pop_first().context("nothing happens any more")?;
        self.now = self.now.max(at);
        match happening {
            Happening::Frame(link, bytes) => {
                if self.peers[to].links.contains_key(&link) {
                    let link = LinkId(link);
                    self.input(to, Input::Frame { link, bytes });
                }
            }
            Happening::LinkUp(link, other, side) => {
                self.peers[to].links.insert(link, other);
                let up = Input::LinkUp {
                    link: LinkId(link),
                    side,
                    binding: Binding::Memory,
                    transport: Transport::Memory,
                    address: None,
                };
                self.input(to, up);
            }
            Happening::LinkDown(link) => self.input(to, Input::LinkDown { link: LinkId(link) }),
            Happening::Commit => {
                if let Some(id) = self.peers[to].batch.take() {
                    self.input(to, Input::Persisted { id });
                }
            }
            Happening::Loaded(id, rows) => self.input(to, Input::Loaded { id, rows }),
            Happening::Wake(n) if n == self.peers[to].wakes => self.input(to, Input::Tick),
            Happening::Wake(_) => {}
        }
        Ok(())
    }
}

/// Feeds of this many people on the disk of a relay, and the bytes of their entries.
fn filled(now: Now, feeds: usize, entries: u64) -> (Peer, usize) {
    let mut peer = Peer::new(relay(1).0, now);
    let mut bytes = 0;
    let mut batch = Vec::new();
    for n in 0..feeds {
        for entry in authors::feed(n, entries) {
            bytes += protocol::codec::encode(&entry).len();
            batch.push(entry);
        }
        if batch.len() >= 1_000 || n + 1 == feeds {
            peer.input(now, Input::Entries(std::mem::take(&mut batch)));
        }
        if (n + 1).is_multiple_of(feeds / 10) {
            eprintln!("{} of {feeds} feeds are written", n + 1);
        }
    }
    (peer, bytes)
}

/// Two peers, in either order.
fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// An empty relay.
fn empty(n: u8, now: Now) -> (Peer, PeerId) {
    let (config, id) = relay(n);
    let joins = true;
    (Peer::new(Config { joins, ..config }, now), id)
}

fn description(zone: &str) -> Description {
    Description {
        roles: role::WORKER,
        capacity: 100,
        url: format!("https://{zone}.example/"),
        zone: zone.to_owned(),
        ..Description::default()
    }
}

/// Prints all figures of filling a relay.
pub(crate) fn measure() -> Result<()> {
    let feeds = authors::feeds(FEEDS)?;
    let each = if feeds > FEEDS_WITH_POSTS_MAX { 1 } else { ENTRIES };
    let now = Now {
        instant: Instant(0),
        wall: BEGIN.plus(Duration::from_hours(1)),
    };
    let (full, bytes) = filled(now, feeds, each);
    let all = full.entries();
    ensure!(all as u64 == feeds as u64 * each, "{all} entries are stored");
    let mut run = Run::new(now);
    run.join(full, relay(1).1);
    let (second, id) = empty(2, now);
    run.join(second, id);
    let mut filled = None;
    while run.peers[1].ready.is_none() || filled.is_none() {
        run.step()?;
        if filled.is_none() && run.peers[1].entries() == all {
            filled = Some(run.now);
        }
        if run.now >= Instant(0) + PATIENCE {
            bail!(
                "after {PATIENCE:?} {} of {all} entries are there, over {} links, ready {:?}",
                run.peers[1].entries(),
                run.links,
                run.peers[1].ready
            );
        }
    }
    let seconds = |at: Option<Instant>| at.map_or(f64::NAN, |at| at.since(Instant(0)).as_secs_f64());
    run.print_longest_steps();
    let million = feeds >= 1_000_000;
    let names = if million {
        ["fill_1m_s", "step_ms_max_1m_feeds"]
    } else {
        ["fill_100k_s", "step_ms_max"]
    };
    let figure = |name, value, unit| Figure::new("fill", name, value, unit).n(feeds);
    let fill = figure(names[0], seconds(filled), "s");
    match million {
        true => fill.print(),
        false => fill.target(Target::AtMost(60.0)).print(),
    }
    figure("ready_s", seconds(run.peers[1].ready), "s").print();
    let ratio = |n: usize| n as f64 / bytes as f64;
    let received = figure("bytes_received_per_entry_byte", ratio(run.peers[0].bytes_out), "");
    match million {
        true => received.print(),
        false => received.target(Target::AtMost(1.3)).print(),
    }
    figure("bytes_sent_per_entry_byte", ratio(run.peers[1].bytes_out), "").print();
    figure(names[1], run.step_max_ms(), "ms")
        .target(Target::AtMost(10.0))
        .print();
    figure("links", run.links as f64, "").print();
    run.divide()?;
    let name = match million {
        true => "step_ms_max_dividing_1m_feeds",
        false => "step_ms_max_dividing",
    };
    figure(name, run.step_max_ms(), "ms")
        .target(Target::AtMost(10.0))
        .print();
    Ok(())
}
