//! One node of the favourite-books network: what it knows, to which peers it sends that, and how it handles what it
//! receives.
//!
//! A state machine without sockets, clocks or random sources of its own: one input ([`Node::wake`],
//! [`Node::asked_for_peers`], [`Node::receive`], [`Node::told`], [`Node::answered`]), then all outputs
//! ([`Node::poll`]), then a wait for the next deadline ([`Node::deadline`]). `now` is the time since the node started.
//!
//! How news travels. Each round the node tells `infection_factor` peers, picked at random, what it absorbed since the
//! last round, with the TTL that is left: few hops, quickly. That alone may miss a peer, so the same batch is filled up
//! with everything else the node knows, under the ids the news came with: who has it skips it, who lacks it catches up.
//! Peers that are new, or have just asked for peers as after a restart, get everything in addition. As long as the
//! peers hang together, every book reaches everybody.
//!
//! Invariants:
//! - a book is replaced only by one of a higher version of the same node;
//! - this node's own version is above any it heard of under its own id: a node that forgot its version in a restart,
//!   and whose clock cannot make up for it, learns it from the first peer that remembers, and goes on from there;
//! - what is not newer than what is known is not passed on, so nothing circulates forever;
//! - every table is bounded, and says what happens when it is full.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use crate::peers::{Contact, Failure, Peers};
use crate::seen::Seen;
use crate::wire::{self, Message, Payload, PeerId};

/// Nodes whose books are known; the books of further ones are ignored, since to forget one would let an older one in.
pub(crate) const BOOKS_MAX: usize = 4_096;
/// Ids of messages that are remembered; see [`Seen`].
pub(crate) const SEEN_MAX: usize = 65_536;
/// New peers that get everything in one round, besides those picked at random.
pub(crate) const GREETINGS_MAX: usize = 8;
/// TTL of what is repeated: a peer that lacked it passes it on once.
pub(crate) const REPEAT_TTL: i64 = 2;

/// How a node behaves.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Its port.
    pub(crate) id: PeerId,
    /// The peer that it asks for peers when it has none.
    pub(crate) seed: Option<PeerId>,
    /// How many peers it tells its news in a round.
    pub(crate) infection_factor: usize,
    /// How far its own news may travel.
    pub(crate) ttl: i64,
    /// Time between rounds.
    pub(crate) gossip_interval: Duration,
    /// Time between changes of mind; zero for never.
    pub(crate) fickle_interval: Duration,
    /// The version of its first book. A clock's reading makes books of one run newer than those of the run before.
    pub(crate) first_version: u64,
    /// What it may choose from; not empty.
    pub(crate) titles: Vec<String>,
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// `POST /gossip`; then [`Node::told`].
    Tell {
        peer: PeerId,
        /// What; never empty.
        messages: Vec<Message>,
    },
    /// `GET /peers/{own id}`; then [`Node::answered`].
    Ask { peer: PeerId },
    /// Something a person may want to read.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// This node has a new favourite.
    Chosen { version: u64, book: String },
    /// Peers knew of a later version of this node than itself.
    Overtaken { version: u64 },
    /// Another node has a new favourite.
    Learned {
        node: PeerId,
        version: u64,
        book: String,
    },
    /// There is a new peer.
    Met { peer: PeerId, contact: Contact },
    /// A peer was given up.
    Dropped { peer: PeerId, why: Failure },
    /// The seed did not answer. It is asked again each round while there is no peer.
    SeedFailed { seed: PeerId, why: Failure },
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The version of its book.
    pub(crate) version: u64,
    pub(crate) book: String,
    /// The time at which that was learned.
    pub(crate) at: Duration,
    /// The id under which it travels.
    uuid: String,
}

/// What became of messages and peers since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Messages received.
    pub(crate) received: u64,
    /// Of them: news.
    pub(crate) absorbed: u64,
    /// Of them: seen before.
    pub(crate) duplicate: u64,
    /// Of them: not newer than what is known.
    pub(crate) stale: u64,
    /// Of them: their TTL was used up.
    pub(crate) expired: u64,
    /// Of them: no port, no title, or no place left.
    pub(crate) unfit: u64,
    /// Messages sent.
    pub(crate) sent: u64,
    /// Requests of others that were refused.
    pub(crate) refused: u64,
    /// Peers dropped.
    pub(crate) dropped: BTreeMap<Failure, u64>,
}

enum Verdict {
    Absorbed,
    Duplicate,
    Stale,
    Expired,
    Unfit,
}

#[derive(Debug)]
pub(crate) struct Node {
    config: Config,
    /// The random source of choices: which node to tell and which book to like.
    choices: ChaCha12Rng,
    /// Must never repeat, not even when the choices do.
    uuids: ChaCha12Rng,
    books: BTreeMap<PeerId, Known>,
    /// What was absorbed since the last round, at most one message of each node.
    fresh: BTreeMap<PeerId, Message>,
    /// The node whose book is repeated next.
    repeat_from: PeerId,
    seen: Seen,
    peers: Peers,
    asking_seed: bool,
    gossip_at: Duration,
    fickle_at: Option<Duration>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Node {
    /// A node that has just chosen its first book and asks its seed for peers. `choices` decides whom it tells and what
    /// it likes; `uuids` must differ from run to run and from node to node, or its news would be taken for known.
    pub(crate) fn new(config: Config, choices: [u8; 32], uuids: [u8; 32]) -> Self {
        let mut node = Self {
            choices: ChaCha12Rng::from_seed(choices),
            uuids: ChaCha12Rng::from_seed(uuids),
            books: BTreeMap::new(),
            fresh: BTreeMap::new(),
            repeat_from: config.id,
            seen: Seen::new(SEEN_MAX),
            peers: Peers::new(config.id, config.gossip_interval),
            asking_seed: false,
            gossip_at: config.gossip_interval,
            fickle_at: (!config.fickle_interval.is_zero()).then_some(config.fickle_interval),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            config,
        };
        node.choose(Duration::ZERO);
        node.ask_seed();
        node
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The time at which [`Self::wake`] is to be called next.
    pub(crate) fn deadline(&self) -> Duration {
        self.fickle_at
            .map_or(self.gossip_at, |fickle_at| fickle_at.min(self.gossip_at))
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Duration) {
        if self.fickle_at.is_some_and(|at| at <= now) {
            self.choose(now);
            self.fickle_at = Some(now.saturating_add(self.config.fickle_interval));
        }
        if self.gossip_at <= now {
            self.gossip(now);
            self.gossip_at = now.saturating_add(self.config.gossip_interval);
        }
    }

    /// `GET /peers/{caller}`: the caller becomes a peer and gets the others that were met.
    pub(crate) fn asked_for_peers(&mut self, caller: PeerId, now: Duration) -> Vec<PeerId> {
        self.hear(caller, Contact::Asked, now);
        self.met_peers()
    }

    /// The peers that were met.
    pub(crate) fn met_peers(&self) -> Vec<PeerId> {
        let met = self.peers.known().filter(|(_, peer)| peer.met);
        met.map(|(id, _)| id).collect()
    }

    /// `POST /gossip`: the sender becomes a peer, and what is new is absorbed.
    pub(crate) fn receive(&mut self, sender: PeerId, messages: Vec<Message>, now: Duration) {
        self.hear(sender, Contact::Told, now);
        for message in messages {
            self.counters.received += 1;
            let counter = match self.absorb(message, now) {
                Verdict::Absorbed => &mut self.counters.absorbed,
                Verdict::Duplicate => &mut self.counters.duplicate,
                Verdict::Stale => &mut self.counters.stale,
                Verdict::Expired => &mut self.counters.expired,
                Verdict::Unfit => &mut self.counters.unfit,
            };
            *counter += 1;
        }
    }

    /// Messages of a request were left out before they got here.
    pub(crate) fn left_out(&mut self, messages: u64) {
        self.counters.received += messages;
        self.counters.unfit += messages;
    }

    /// A request was refused before it got here.
    pub(crate) fn refused(&mut self) {
        self.counters.refused += 1;
    }

    /// What became of an [`Output::Tell`].
    pub(crate) fn told(&mut self, peer: PeerId, result: Result<(), Failure>, now: Duration) {
        match result {
            Ok(()) => {
                self.hear(peer, Contact::Answered, now);
                self.peers.told(peer);
            }
            Err(why) => self.fail(peer, why, now),
        }
    }

    /// What became of an [`Output::Ask`].
    pub(crate) fn answered(&mut self, peer: PeerId, result: Result<Vec<String>, Failure>, now: Duration) {
        let of_seed = self.config.seed == Some(peer) && std::mem::take(&mut self.asking_seed);
        match result {
            Ok(ids) => {
                let had_none = self.peers.is_empty();
                self.hear(peer, Contact::Answered, now);
                self.peers.asked(peer);
                for id in ids.iter().filter_map(|id| id.parse().ok()) {
                    self.hear(id, Contact::Mentioned, now);
                }
                if had_none && !self.peers.is_empty() {
                    self.gossip_at = now;
                }
            }
            Err(why) => {
                if of_seed && self.peers.is_empty() {
                    self.event(Event::SeedFailed { seed: peer, why });
                }
                self.fail(peer, why, now);
            }
        }
    }

    /// The id of this node.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// All known books, the node's own among them, by node.
    pub(crate) fn books(&self) -> &BTreeMap<PeerId, Known> {
        &self.books
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// What became of messages and peers.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many ids of messages it remembers.
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn hear(&mut self, peer: PeerId, contact: Contact, now: Duration) {
        if self.peers.heard(peer, contact, now) {
            self.event(Event::Met { peer, contact });
        }
    }

    fn fail(&mut self, peer: PeerId, why: Failure, now: Duration) {
        if self.peers.failed(peer, why, now) {
            *self.counters.dropped.entry(why).or_default() += 1;
            self.event(Event::Dropped { peer, why });
        }
    }

    fn absorb(&mut self, message: Message, now: Duration) -> Verdict {
        if message.ttl <= 0 {
            return Verdict::Expired;
        }
        if self.seen.contains(&message.uuid) {
            return Verdict::Duplicate;
        }
        let Message {
            uuid,
            client_id,
            payload: Payload { version, book },
            ttl,
        } = message;
        let (Ok(origin), Ok(version)) = (client_id.parse::<PeerId>(), u64::try_from(version)) else {
            return Verdict::Unfit;
        };
        let fits = (1..=wire::UUID_LEN_MAX).contains(&uuid.len())
            // One below, so that a node can always go above what is said of it.
            && version < wire::VERSION_MAX
            && wire::is_title(&book);
        if !fits {
            return Verdict::Unfit;
        }
        if origin == self.config.id {
            return self.absorb_own(&uuid, version, &book, now);
        }
        match self.books.get(&origin) {
            Some(known) if known.uuid == uuid => return Verdict::Duplicate,
            Some(known) if known.version >= version => return Verdict::Stale,
            None if self.books.len() >= BOOKS_MAX => return Verdict::Unfit,
            Some(_) | None => {}
        }
        self.seen.insert(&uuid);
        self.event(Event::Learned {
            node: origin,
            version,
            book: book.clone(),
        });
        let ttl = ttl.min(wire::TTL_MAX) - 1;
        self.keep(origin, version, book, uuid, ttl, now);
        self.hear(origin, Contact::Mentioned, now);
        Verdict::Absorbed
    }

    /// News of this node that it does not know: it was sent before a restart, or another node uses this id.
    fn absorb_own(&mut self, uuid: &str, version: u64, book: &str, now: Duration) -> Verdict {
        let Some(own) = self.books.get(&self.config.id) else {
            return Verdict::Unfit;
        };
        if own.uuid == uuid {
            return Verdict::Duplicate;
        }
        if version < own.version || (version == own.version && book == own.book) {
            return Verdict::Stale;
        }
        let book = own.book.clone();
        self.seen.insert(uuid);
        self.event(Event::Overtaken { version });
        self.announce(version + 1, book, now);
        Verdict::Absorbed
    }

    fn keep(&mut self, origin: PeerId, version: u64, book: String, uuid: String, ttl: i64, now: Duration) {
        // What was not sent yet of the same node is out of date.
        self.fresh.remove(&origin);
        let known = Known {
            version,
            book,
            at: now,
            uuid,
        };
        if ttl > 0 {
            self.fresh.insert(origin, message(origin, &known, ttl));
        }
        self.books.insert(origin, known);
    }

    /// Changes this node's mind.
    fn choose(&mut self, now: Duration) {
        let own = self.books.get(&self.config.id);
        let others: Vec<&String> = self
            .config
            .titles
            .iter()
            .filter(|&title| own.is_none_or(|own| own.book != *title))
            .collect();
        let version = own.map_or(self.config.first_version, |own| own.version.saturating_add(1));
        let book = match (below(&mut self.choices, others.len()), own) {
            (Some(index), _) => others[index].clone(),
            (None, Some(own)) => own.book.clone(),
            (None, None) => return,
        };
        self.event(Event::Chosen {
            version: version.min(wire::VERSION_MAX),
            book: book.clone(),
        });
        self.announce(version, book, now);
    }

    fn announce(&mut self, version: u64, book: String, now: Duration) {
        let uuid = self.uuid();
        self.seen.insert(&uuid);
        let version = version.min(wire::VERSION_MAX);
        self.keep(self.config.id, version, book, uuid, self.config.ttl, now);
    }

    /// One round.
    fn gossip(&mut self, now: Duration) {
        if self.peers.is_empty() {
            self.ask_seed();
        }
        let mut ready = self.peers.ready(now);
        let mut targets = Vec::new();
        while targets.len() < self.config.infection_factor
            && let Some(index) = below(&mut self.choices, ready.len())
        {
            targets.push(ready.swap_remove(index));
        }
        ready.retain(|&peer| self.peers.is_new(peer));
        let mut greeted = Vec::new();
        while greeted.len() < GREETINGS_MAX
            && let Some(index) = below(&mut self.choices, ready.len())
        {
            greeted.push(ready.swap_remove(index));
        }
        if !targets.is_empty() {
            let (fresh, repeated) = self.batch();
            for peer in targets {
                self.tell(peer, fresh.iter().chain(&repeated).cloned().collect());
            }
            // News for the few is repeated for the many: what greets newcomers must not travel as if it were new.
            let fresh = fresh.into_iter().map(|fresh| Message {
                ttl: fresh.ttl.min(REPEAT_TTL),
                ..fresh
            });
            let greeting: Vec<_> = fresh.chain(repeated).collect();
            for peer in greeted {
                self.tell(peer, greeting.clone());
            }
        }
        for peer in self.peers.take_due_questions(now) {
            self.outputs.push_back(Output::Ask { peer });
        }
    }

    /// What is new, which is taken off the list, and what else is known, in turns if it is too much.
    fn batch(&mut self) -> (Vec<Message>, Vec<Message>) {
        let mut fresh = Vec::new();
        while fresh.len() < wire::BATCH_MAX
            && let Some((_, message)) = self.fresh.pop_first()
        {
            fresh.push(message);
        }
        let ttl = REPEAT_TTL.min(self.config.ttl);
        let repeated: Vec<(PeerId, Message)> = self
            .books
            .range(self.repeat_from..)
            .chain(self.books.range(..self.repeat_from))
            .map(|(&origin, known)| (origin, message(origin, known, ttl)))
            .filter(|(_, message)| fresh.iter().all(|fresh| fresh.uuid != message.uuid))
            .take(wire::BATCH_MAX - fresh.len())
            .collect();
        if let Some((last, _)) = repeated.last() {
            self.repeat_from = PeerId(last.0.wrapping_add(1));
        }
        (fresh, repeated.into_iter().map(|(_, message)| message).collect())
    }

    fn tell(&mut self, peer: PeerId, messages: Vec<Message>) {
        self.counters.sent += messages.len() as u64;
        self.peers.telling(peer);
        self.outputs.push_back(Output::Tell { peer, messages });
    }

    fn ask_seed(&mut self) {
        if let Some(seed) = self.config.seed
            && !self.asking_seed
        {
            self.asking_seed = true;
            self.outputs.push_back(Output::Ask { peer: seed });
        }
    }

    /// A random (version 4) UUID.
    fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        self.uuids.fill_bytes(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = |range: std::ops::Range<usize>| -> String {
            bytes[range].iter().map(|byte| format!("{byte:02x}")).collect()
        };
        [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
    }
}

fn message(origin: PeerId, known: &Known, ttl: i64) -> Message {
    Message {
        uuid: known.uuid.clone(),
        client_id: origin.to_string(),
        payload: Payload {
            // Versions stay below 2^53.
            version: i64::try_from(known.version).unwrap_or(i64::MAX),
            book: known.book.clone(),
        },
        ttl,
    }
}

/// A random index below `len`, if there is one. The bias is below one in 2^48 for all lengths in use.
fn below(random: &mut ChaCha12Rng, len: usize) -> Option<usize> {
    let index = random.next_u64().checked_rem(len as u64)?;
    usize::try_from(index).ok()
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "network_tests.rs"]
mod network_tests;
