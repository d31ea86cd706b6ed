//! What every part may use: time, randomness, configuration, who this peer is, and the outputs of the input at hand.
//!
//! Invariants: what one input writes goes to the store as one batch; loads are emitted after it, so a load sees
//! everything its input wrote. Nothing is acknowledged before the batch that carries it was reported as persisted.

use std::collections::VecDeque;
use std::time::Duration;

use ordered::{Map, Set};
use protocol::kinds::Certificate;
use protocol::link::frame;
use protocol::link::handshake::NoCommonVersion;
use protocol::messages::Message;
use protocol::{AccountId, DeviceId, EntryId, EntryRef, Instant, KeyPair, PeerId, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::api::{Event, Response, StoreState};
use crate::facts::Fact;
use crate::io::{Config, Input, LinkId, Log, Now, Output, RequestId};
use crate::store::{Batch, BatchId, Load, LoadId, Op, Read, Strictness};

/// Who this peer is.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// The key it proves on its links.
    pub(crate) key: KeyPair,
    /// [`protocol::link::handshake::feature`] bits of its kind.
    pub(crate) features: u64,
    /// For a person's device: its certificate.
    pub(crate) certificate: Option<Certificate>,
}

/// What the directory of relays is to this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectoryMode {
    /// A relay is listed itself. It lists the relays that describe themselves to it and those that listed relays
    /// describe, links with all of them, and passes descriptions on within a second.
    Relay,
    /// A person's device is not listed. It hears of relays from any neighbour, links with those that it knows, and passes
    /// descriptions on to other devices every half minute.
    Device,
}

/// How the parts that both roles share are set up for one of them.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) local: Option<Local>,
    /// Feeds held at most.
    pub(crate) feeds_max: usize,
    /// Every write is acknowledged only once it is on the disk.
    pub(crate) strict: bool,
    pub(crate) signs_receipts: bool,
    pub(crate) directory: DirectoryMode,
    /// Interfaces get events.
    pub(crate) events: bool,
}

/// Whose long work goes on with the input at hand. The adapter debits its time to the address that the input comes from,
/// or for which it was loaded, so that is not the work of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkOf {
    All,
    Link(LinkId),
    Nobody,
}

/// Which part waits for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadOwner {
    Boot,
    Serve,
    ForkCheck,
    View,
    Reindex,
    /// A command of a person that reads before it writes.
    Command,
    Cut,
    #[cfg(feature = "relay")]
    Drop,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Entries received that were held already.
    pub(crate) duplicates: u64,
    /// Frames, messages and entries refused.
    pub(crate) refused: u64,
    pub(crate) audits: u64,
    pub(crate) audits_failed: u64,
}

/// Bytes on one link since it opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Changes that are reported to interfaces at the end of the input.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) profiles: Set<AccountId>,
    pub(crate) me: bool,
    /// Posts about which other entries, or this device's claims, say something else.
    pub(crate) beside: Set<EntryRef>,
}

/// Posts in [`Changed::beside`]. Policy when full: there is no event for more.
const BESIDE_MAX: usize = 256;

impl Changed {
    /// Other entries, or this device's claims, say something else about this post.
    pub(crate) fn record_beside(&mut self, post: EntryRef) {
        if self.beside.len() < BESIDE_MAX {
            self.beside.insert(post);
        }
    }
}

/// A feed as far as a batch makes it durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    pub(crate) device: DeviceId,
    pub(crate) next_seq: u64,
    pub(crate) head: EntryId,
}

/// What becomes true once batches are persisted.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// A feed that several of the batches carry further is listed once for each, in order.
    pub(crate) feeds: Vec<Reached>,
    /// Bytes of entries from neighbours that no longer fill memory then.
    pub(crate) consumed: Map<LinkId, u32>,
    /// Bytes of the batches themselves.
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) work_of: WorkOf,
    pub(crate) rng: ChaCha20Rng,
    /// `None`: a person's device without an account.
    pub(crate) local: Option<Local>,
    /// The store has been read.
    pub(crate) ready: bool,
    pub(crate) store_state: StoreState,
    /// Every batch is acknowledged only once it is on the disk: what a relay signs receipts for.
    pub(crate) strict_always: bool,
    /// A relay that keeps feeds: it signs receipts for what is on its disk.
    pub(crate) signs_receipts: bool,
    pub(crate) totals: Totals,
    /// The last peer that had no protocol version in common with this one.
    pub(crate) incompatible: Option<NoCommonVersion>,
    pub(crate) changed: Changed,
    /// When time alone has something to do next.
    pub(crate) next_timeout: Instant,
    /// When the role goes on with work that it does in pieces.
    #[cfg(feature = "relay")]
    pub(crate) next_work: Option<Instant>,
    outputs: VecDeque<Output>,
    facts: VecDeque<Fact>,
    traffic: Map<LinkId, Traffic>,
    ops: Vec<Op>,
    strict: bool,
    consumed: Map<LinkId, u32>,
    commits: Map<BatchId, Commit>,
    /// Bytes of the batches in `commits`.
    unwritten_bytes: usize,
    last_batch: BatchId,
    owners: Map<LoadId, LoadOwner>,
    last_load: LoadId,
    loads: Vec<Load>,
    last_request: u32,
    /// The time in the last receipt or withdrawal.
    signed_at: Timestamp,
}

impl Ctx {
    pub(crate) fn new(config: Config, seed: [u8; 32], now: Now, setup: Setup) -> Self {
        Self {
            config,
            now,
            work_of: WorkOf::All,
            rng: ChaCha20Rng::from_seed(seed),
            local: setup.local,
            ready: false,
            store_state: StoreState::Ok,
            strict_always: setup.strict,
            signs_receipts: setup.signs_receipts,
            totals: Totals::default(),
            incompatible: None,
            changed: Changed::default(),
            next_timeout: now.instant,
            #[cfg(feature = "relay")]
            next_work: None,
            outputs: VecDeque::new(),
            facts: VecDeque::new(),
            traffic: Map::new(),
            ops: Vec::new(),
            strict: false,
            consumed: Map::new(),
            commits: Map::new(),
            unwritten_bytes: 0,
            last_batch: BatchId(0),
            owners: Map::new(),
            last_load: LoadId(0),
            loads: Vec::new(),
            last_request: 0,
            signed_at: Timestamp(0),
        }
    }

    /// The monotonic clock as the gossip library wants it.
    pub(crate) fn clock(&self) -> Duration {
        Duration::from_micros(self.now.instant.0)
    }

    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.local.as_ref().map(|local| PeerId(local.key.public()))
    }

    fn certificate(&self) -> Option<&Certificate> {
        self.local.as_ref()?.certificate.as_ref()
    }

    /// The account of this device.
    pub(crate) fn me(&self) -> Option<AccountId> {
        self.certificate().map(|certificate| certificate.account)
    }

    /// This device, if a person uses it.
    pub(crate) fn device(&self) -> Option<DeviceId> {
        self.certificate().map(|certificate| certificate.device)
    }

    pub(crate) fn is_me(&self, account: &AccountId) -> bool {
        self.me().as_ref() == Some(account)
    }

    /// An input comes.
    pub(crate) fn begin_input(&mut self, now: Now, input: &Input) {
        self.now = now;
        self.work_of = match input {
            Input::Frame { link, .. } => WorkOf::Link(*link),
            Input::LinkUp { .. }
            | Input::Loaded { .. }
            | Input::LoadFailed { .. }
            | Input::Request { .. } => WorkOf::Nobody,
            _ => WorkOf::All,
        };
    }

    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// One of `choices` at random.
    pub(crate) fn any_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() {
            return None;
        }
        Some(choices[(self.rng.next_u64() % choices.len() as u64) as usize])
    }

    /// A fresh number for a question to the registry.
    pub(crate) fn next_request(&mut self) -> u32 {
        self.last_request = self.last_request.wrapping_add(1);
        self.last_request
    }

    /// The time of a receipt: no earlier than that of the statements before it, even if the clock was set back.
    pub(crate) fn time_of_receipt(&mut self) -> Timestamp {
        self.signed_at = self.signed_at.max(self.now.wall);
        self.signed_at
    }

    /// The time of a withdrawal: later than that of every receipt before it.
    pub(crate) fn time_of_withdrawal(&mut self) -> Timestamp {
        let next = Timestamp(self.signed_at.0.saturating_add(1));
        self.signed_at = next.max(self.now.wall);
        self.signed_at
    }

    /// This peer made a statement at this time before its last start.
    pub(crate) fn record_signed_at(&mut self, at: Timestamp) {
        self.signed_at = self.signed_at.max(at);
    }

    /// Sets the deadline to now, so that timers run as soon as this input is handled.
    pub(crate) fn wake(&mut self) {
        self.next_timeout = self.now.instant;
    }

    /// Calls for the role to go on with its work at this time.
    #[cfg(feature = "relay")]
    pub(crate) fn work_at(&mut self, at: Instant) {
        self.next_work = Some(self.next_work.map_or(at, |before| before.min(at)));
    }

    /// When time alone has something to do.
    pub(crate) fn next_deadline(&self) -> Instant {
        #[cfg(feature = "relay")]
        if let Some(at) = self.next_work {
            return at.min(self.next_timeout);
        }
        self.next_timeout
    }

    // Outputs.

    pub(crate) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn log(&mut self, line: Log) {
        self.emit(Output::Log(line));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.emit(Output::Event(event));
    }

    pub(crate) fn answer(&mut self, id: RequestId, response: Response) {
        self.emit(Output::Response { id, response });
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // Facts.

    pub(crate) fn fact(&mut self, fact: Fact) {
        self.facts.push_back(fact);
    }

    pub(crate) fn next_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// Every fact has been routed.
    pub(crate) fn is_settled(&self) -> bool {
        self.facts.is_empty()
    }

    /// A neighbour broke the protocol.
    pub(crate) fn misbehaved(&mut self, link: LinkId, reason: impl Into<String>) {
        let reason = reason.into();
        self.fact(Fact::Misbehaved { link, reason });
    }

    // Frames.

    pub(crate) fn open_link(&mut self, link: LinkId) {
        self.traffic.insert(link, Traffic::default());
    }

    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.traffic.remove(&link);
    }

    pub(crate) fn traffic(&self, link: LinkId) -> Traffic {
        self.traffic.get(&link).copied().unwrap_or_default()
    }

    pub(crate) fn count_received(&mut self, link: LinkId, bytes: usize) {
        self.totals.bytes_in += bytes as u64;
        if let Some(traffic) = self.traffic.get_mut(&link) {
            traffic.bytes_in += bytes as u64;
        }
    }

    /// Sends a message to a proven peer; nothing happens when its link has ended.
    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        if self.traffic.contains_key(&link) {
            self.send_bytes(link, &message.encode());
        }
    }

    /// Sends an encoded message.
    pub(crate) fn send_bytes(&mut self, link: LinkId, message: &[u8]) {
        for frame in frame::fragment(message) {
            self.send_frame(link, frame);
        }
    }

    pub(crate) fn send_frame(&mut self, link: LinkId, bytes: Vec<u8>) {
        let Some(traffic) = self.traffic.get_mut(&link) else {
            return;
        };
        traffic.bytes_out += bytes.len() as u64;
        self.totals.bytes_out += bytes.len() as u64;
        self.emit(Output::Send { link, bytes });
    }

    // The store.

    pub(crate) fn write(&mut self, op: Op) {
        self.ops.push(op);
    }

    pub(crate) fn write_all(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.ops.extend(ops);
    }

    /// The batch carries the identity or own entries.
    pub(crate) fn write_strictly(&mut self) {
        self.strict = true;
    }

    /// Bytes of entries were taken in with this batch; the neighbour may send as many again once it is persisted.
    pub(crate) fn consume(&mut self, link: LinkId, bytes: usize) {
        let consumed = self.consumed.or_default(link);
        *consumed = consumed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Whether entries of neighbours may be written. Without it, a disk that takes nothing would fill the memory, since
    /// each link that reconnects has its credit again.
    pub(crate) fn has_room_to_write(&self) -> bool {
        self.unwritten_bytes < self.config.unwritten_bytes_max
    }

    /// Reads from the store; the rows go to `owner`.
    pub(crate) fn load(&mut self, owner: LoadOwner, reads: Vec<Read>) -> LoadId {
        self.last_load.0 += 1;
        let id = self.last_load;
        self.owners.insert(id, owner);
        self.loads.push(Load { id, reads });
        id
    }

    pub(crate) fn loads_len(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn end_load(&mut self, id: LoadId) -> Option<LoadOwner> {
        self.owners.remove(&id)
    }

    /// Ends an input: one batch with what it wrote, then its loads. `feeds`: the feeds the batch makes durable.
    /// Returns what can be acknowledged at once, because nothing had to be written for it.
    pub(crate) fn flush(&mut self, feeds: Vec<Reached>) -> Option<Commit> {
        let commit = Commit {
            feeds,
            consumed: core::mem::take(&mut self.consumed),
            bytes: self.ops.iter().map(Op::bytes).sum(),
        };
        let ops = core::mem::take(&mut self.ops);
        let strict = core::mem::take(&mut self.strict);
        let written = !ops.is_empty();
        let mut due = None;
        if written {
            self.last_batch.0 += 1;
            let id = self.last_batch;
            let strictness = if strict || self.strict_always {
                Strictness::Strict
            } else {
                Strictness::Relaxed
            };
            self.unwritten_bytes += commit.bytes;
            self.commits.insert(id, commit);
            self.emit(Output::Persist(Batch { id, strictness, ops }));
        } else {
            due = Some(commit);
        }
        for load in core::mem::take(&mut self.loads) {
            self.emit(Output::Load(load));
        }
        due
    }

    /// The batch that takes what this input writes.
    pub(crate) fn next_batch(&self) -> BatchId {
        BatchId(self.last_batch.0 + 1)
    }

    /// The last batch that is durable with all before it.
    pub(crate) fn persisted(&self) -> BatchId {
        let first = self.commits.first_key_value();
        first.map_or(self.last_batch, |(first, _)| BatchId(first.0 - 1))
    }

    /// This batch and all before it are durable: what became true with them together, in order.
    pub(crate) fn on_persisted(&mut self, id: BatchId) -> Commit {
        let mut all = Commit::default();
        while self
            .commits
            .first_key_value()
            .is_some_and(|(first, _)| *first <= id)
        {
            let Some((_, commit)) = self.commits.pop_first() else {
                break;
            };
            self.unwritten_bytes -= commit.bytes;
            all.feeds.extend(commit.feeds);
            for (link, bytes) in commit.consumed {
                let consumed = all.consumed.or_default(link);
                *consumed = consumed.saturating_add(bytes);
            }
        }
        all
    }
}

#[cfg(test)]
#[path = "ctx_tests.rs"]
mod tests;
