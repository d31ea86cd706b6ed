//! The verbs of Starling: feeds, sync, views and social rules.
//!
//! Sans-I/O. One contract, stated in [`io`]: **one input, drain all outputs, then wait for the next deadline.** The same
//! engine runs in a tab, in a relay, and many times over in one simulated network; the same seed and the same inputs give
//! the same outputs.
//!
//! Where to find things: [`api`] is the edge to an interface, [`store`] the edge to a disk; `boot` reads the store;
//! `links` holds the channels to neighbours and dispatches what arrives; `overlay` decides with the gossip library who is a
//! neighbour and along which links news travels; `ingest` verifies, stores and folds entries and
//! passes them on; `sync` compares and fetches; `durability` counts who holds one's own entries; `commands` writes, and
//! `unsaved` holds what it wrote back until it is on disk;
//! `views` folds entries into timelines and reads them; `names` knows names of the registry and `slugs` those of posts, `claims`
//! asks for them, `offers` hands the own one on, `registrar` is a relay's part in that; `placement` says which feeds a relay keeps, `routing`
//! which relays a browser turns to.
//!
//! What is absent: a clock, a socket, a file, a thread, a lock, an iteration order that depends on chance.

pub mod api;
pub mod io;
pub mod memory;
pub mod store;

mod batch;
mod boot;
mod kinds;
mod log;
mod net;
mod person;
mod relay;
mod relays;
mod sync;
mod views;

pub use relays::assignment;
use std::collections::VecDeque;
use std::time::Duration;

use gossip::broadcast::{Broadcast, Pace};
use gossip::membership::Membership;
use ordered::{Map, Set};
use protocol::link::handshake::NoCommonVersion;
use protocol::{AccountId, DeviceId, EntryRef, Instant, KeyPair, PeerId};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use api::{Answer, Ask, Event, PostView, Refusal, StatusView, StoreState};
pub use io::{AskId, Candidate, Config, Input, LinkId, Log, NameTicket, Now, Output, PeerKind};
use log::records::{FollowRecord, Identity};
use store::{BatchId, LoadId, Read, Rows};

/// How often the engine looks at what time alone changes: handshakes, pings, fetches that stalled.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// The same while a handshake is under way.
const HOUSEKEEPING_BUSY: Duration = Duration::from_millis(250);
/// Asks kept while the store is being read.
const EARLY_ASKS_MAX: usize = 256;
/// Reads for interfaces under way at once; more are refused as busy.
const READS_MAX: usize = 1_024;

/// A whole peer, without its sockets, disk and clock.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    rng: ChaCha20Rng,
    now: Now,
    outputs: VecDeque<Output>,
    stage: boot::Stage,
    early_asks: Vec<(AskId, Ask)>,

    identity: Option<Identity>,
    relays_only: bool,
    feeds: log::feeds::Feeds,
    forks: Map<protocol::DeviceId, protocol::message::ForkProof>,
    revocations: Map<(AccountId, protocol::DeviceId), u64>,
    ready_keys: Map<DeviceId, protocol::key::PublicKey>,
    follows: Map<AccountId, FollowRecord>,
    visits: VecDeque<sync::interests::Visit>,
    compared: Map<AccountId, protocol::Timestamp>,
    recalled: sync::compare::Recalled,
    holders: log::durability::Holders,
    own_posts: Map<(protocol::DeviceId, u64), EntryRef>,
    unsaved: log::unsaved::Unsaved,
    last_timestamp: protocol::Timestamp,
    tokens: Map<[u8; 16], log::records::TokenRecord>,

    batch: batch::Pending,
    batches: Map<BatchId, batch::Commitment>,
    last_batch: BatchId,
    loads: Map<LoadId, Waiting>,
    last_load: LoadId,
    store_state: StoreState,

    links: Map<LinkId, net::sessions::Link>,
    peers: net::overlay::Peers,
    introductions: net::introductions::Introductions,
    directory: relays::directory::Directory,
    names: kinds::names::Names,
    claims: person::claims::Claims,
    offered: Option<AccountId>,
    registrar: relay::name_proxy::Registrar,
    placement: relay::placement::Placement,
    replicas: relay::replicas::Replicas,
    served: relay::presence::Served,
    cache: relay::cache::Cache,
    routes: person::relay_choice::Routes,
    overlay: Option<Membership<PeerId>>,
    broadcast: Broadcast<LinkId, DeviceId>,
    pace: Pace,
    fetches: sync::exchange::Fetches,
    next_housekeeping: Instant,
    next_anti_entropy: Instant,
    online: bool,

    fresh_posts: Vec<PostView>,
    fresh_more: bool,
    changed_profiles: Set<AccountId>,
    changed_slugs: Vec<(EntryRef, Option<String>)>,
    me_changed: bool,
    status: StatusView,
    bytes_in: u64,
    bytes_out: u64,
    duplicates: u64,
    refused: u64,
    incompatible: Option<NoCommonVersion>,
    audits: u64,
    audits_failed: u64,
    refold: views::Refolding,
}

/// What a load was for.
#[derive(Debug)]
enum Waiting {
    Boot,
    Serve {
        link: LinkId,
        serve: sync::exchange::Serve,
    },
    ForkCheck {
        link: LinkId,
        suspect: Box<protocol::SignedHeader>,
    },
    View {
        ask: AskId,
        reading: Box<views::Reading>,
    },
    Refold(views::RefoldStep),
    Drop,
}

impl Engine {
    /// A peer whose randomness all comes from `seed` (32 bytes; from the operating system in a program, chosen in a
    /// test). Emits the loads that read its store.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> Self {
        let mut engine = Self {
            rng: ChaCha20Rng::from_seed(seed),
            now,
            outputs: VecDeque::new(),
            stage: boot::Stage::Reading,
            early_asks: Vec::new(),
            identity: None,
            relays_only: false,
            feeds: log::feeds::Feeds::default(),
            forks: Map::new(),
            revocations: Map::new(),
            ready_keys: Map::new(),
            follows: Map::new(),
            visits: VecDeque::new(),
            compared: Map::new(),
            recalled: sync::compare::Recalled::default(),
            holders: log::durability::Holders::default(),
            own_posts: Map::new(),
            unsaved: log::unsaved::Unsaved::default(),
            last_timestamp: protocol::Timestamp(0),
            tokens: Map::new(),
            batch: batch::Pending::default(),
            batches: Map::new(),
            last_batch: BatchId(0),
            loads: Map::new(),
            last_load: LoadId(0),
            store_state: StoreState::Ok,
            links: Map::new(),
            peers: net::overlay::Peers::default(),
            introductions: net::introductions::Introductions::default(),
            directory: relays::directory::Directory::new(&config, now.instant),
            names: kinds::names::Names::default(),
            claims: person::claims::Claims::default(),
            offered: None,
            registrar: relay::name_proxy::Registrar::default(),
            placement: relay::placement::Placement::new(&config, now.instant),
            replicas: relay::replicas::Replicas::default(),
            served: relay::presence::Served::default(),
            cache: relay::cache::Cache::default(),
            routes: person::relay_choice::Routes::default(),
            overlay: None,
            broadcast: Broadcast::new(net::overlay::SPREADING),
            pace: Pace::default(),
            fetches: sync::exchange::Fetches::default(),
            next_housekeeping: now.instant,
            next_anti_entropy: now.instant + config.anti_entropy,
            online: true,
            fresh_posts: Vec::new(),
            fresh_more: false,
            changed_profiles: Set::new(),
            changed_slugs: Vec::new(),
            me_changed: false,
            status: StatusView {
                phrase_confirmed: true,
                ..StatusView::default()
            },
            bytes_in: 0,
            bytes_out: 0,
            duplicates: 0,
            refused: 0,
            incompatible: None,
            audits: 0,
            audits_failed: 0,
            refold: views::Refolding::default(),
            config,
        };
        engine.begin_boot();
        engine
    }

    /// Takes one input. Afterwards drain [`Self::poll_output`] and look at [`Self::next_deadline`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Loaded { id, rows } => self.on_loaded(id, rows),
            Input::LoadFailed { id } => self.on_load_failed(id),
            Input::Persisted { id } => self.on_persisted(id),
            Input::Store(state) => self.store_state = state,
            Input::LinkUp {
                link,
                role,
                binding,
                transport,
            } => self.on_link_up(link, role, binding, transport),
            Input::Frame { link, bytes } => self.on_frame(link, &bytes),
            Input::LinkDown { link } => self.end_link(link, "the channel closed"),
            Input::DialFailed { peer } => {
                if let Some(overlay) = &mut self.overlay {
                    overlay.on_dial_failed(&peer, clock(now), &mut self.rng);
                }
            }
            Input::Introduce { to, payload } => self.introduce(to, payload),
            Input::Candidates(candidates) => self.on_candidates(&candidates),
            Input::Describe(description) => self.describe(*description),
            Input::Figures(figures) => self.directory.set_figures(figures),
            Input::Entries(entries) => self.restore_entries(entries),
            Input::HandOver { for_good } => self.hand_over(for_good),
            Input::Routing(routing) => self.config.routing = routing,
            Input::Registry(registry) => self.learn_registry(registry, true),
            Input::Named { ticket, answer } => self.on_named(ticket, answer),
            Input::Network { online } => {
                self.online = online;
                if let Some(overlay) = self.overlay.as_mut().filter(|_| online) {
                    overlay.retry_now(clock(now), &mut self.rng);
                }
            }
            Input::Ask { id, ask } => self.on_ask(id, ask),
            Input::Tick => {}
        }
        if now.instant >= self.next_housekeeping {
            self.keep_house();
        }
        if matches!(self.stage, boot::Stage::Ready) && now.instant >= self.directory.next_deadline() {
            self.keep_directory();
        }
        self.begin_overlay();
        self.pump_overlay();
        self.flush();
    }

    /// The next thing to do outside, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] at the latest. `None` until the store is read.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if !matches!(self.stage, boot::Stage::Ready) {
            return None;
        }
        let overlay = self.overlay.as_ref().map(Membership::next_deadline);
        let gossip = [overlay, self.broadcast.next_deadline()]
            .into_iter()
            .flatten()
            .min();
        let gossip = gossip.map(|at| Instant(u64::try_from(at.as_micros()).unwrap_or(u64::MAX)));
        let others = self.next_housekeeping.min(self.directory.next_deadline());
        Some(gossip.map_or(others, |at| at.min(others)))
    }

    /// The key this peer proves on its links: a relay's own, or this device's once there is an account.
    #[must_use]
    pub fn key(&self) -> Option<&KeyPair> {
        match &self.config.kind {
            PeerKind::Relay { key } => Some(key),
            PeerKind::Browser => self.identity.as_ref().map(|identity| &identity.key),
        }
    }

    fn own_peer(&self) -> Option<PeerId> {
        self.key().map(|key| PeerId(key.public()))
    }

    /// Whether there is a neighbour to carry a word (see [`Input::Introduce`]).
    #[must_use]
    pub fn has_neighbours(&self) -> bool {
        self.overlay
            .as_ref()
            .is_some_and(|overlay| overlay.neighbours_len() > 0)
    }

    /// Without the feature `relay` nobody is, and whatever only relays do is left out of what people download.
    fn is_relay(&self) -> bool {
        cfg!(feature = "relay") && matches!(self.config.kind, PeerKind::Relay { .. })
    }

    fn me(&self) -> Option<AccountId> {
        self.identity.as_ref().map(|identity| identity.account)
    }

    fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn answer(&mut self, id: AskId, answer: Answer) {
        self.emit(Output::Answer { id, answer });
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn load(&mut self, reads: Vec<Read>, waiting: Waiting) {
        self.last_load.0 += 1;
        self.loads.insert(self.last_load, waiting);
        // A load sees every batch emitted before it: what this input wrote so far must be among them.
        self.flush_batch();
        self.emit(Output::Load(store::Load {
            id: self.last_load,
            reads,
        }));
    }

    fn on_loaded(&mut self, id: LoadId, rows: Rows) {
        match self.loads.remove(&id) {
            Some(Waiting::Boot) => self.on_boot_rows(rows),
            Some(Waiting::Serve { link, serve }) => self.on_serve_rows(link, serve, rows),
            Some(Waiting::ForkCheck { link, suspect }) => self.on_fork_check_rows(link, &suspect, rows),
            Some(Waiting::View { ask, reading }) => self.on_view_rows(ask, *reading, rows),
            Some(Waiting::Refold(step)) => self.on_refold_rows(step, rows),
            Some(Waiting::Drop) if self.is_relay() => self.on_drop_rows(rows),
            Some(Waiting::Drop) | None => {}
        }
    }

    fn on_load_failed(&mut self, id: LoadId) {
        self.store_state = StoreState::Failing;
        match self.loads.remove(&id) {
            Some(Waiting::View { ask, .. }) => {
                self.answer(ask, Answer::Refused(Refusal::Store(StoreState::Failing)));
            }
            Some(Waiting::Serve { link, serve }) => self.end_serve(link, &serve),
            Some(Waiting::Drop) => self.on_drop_failed(),
            Some(Waiting::Boot | Waiting::ForkCheck { .. } | Waiting::Refold(_)) | None => {}
        }
    }

    fn on_ask(&mut self, id: AskId, ask: Ask) {
        if !matches!(self.stage, boot::Stage::Ready) {
            if self.early_asks.len() >= EARLY_ASKS_MAX {
                self.answer(id, Answer::Refused(Refusal::Starting));
            } else {
                self.early_asks.push((id, ask));
            }
            return;
        }
        match ask {
            Ask::Command(command) => {
                let answer = match self.on_command(id, command) {
                    Ok(Some(outcome)) => Answer::Done(outcome),
                    Ok(None) => return,
                    Err(refusal) => Answer::Refused(refusal),
                };
                self.answer(id, answer);
            }
            Ask::Query(_) if self.loads.len() >= READS_MAX => self.answer(id, Answer::Refused(Refusal::Busy)),
            Ask::Query(query) => self.on_query(id, query),
        }
    }

    fn keep_house(&mut self) {
        if !matches!(self.stage, boot::Stage::Ready) {
            return;
        }
        self.keep_links();
        self.keep_fetches();
        self.keep_visits();
        self.introductions.refill();
        self.directory.refill();
        self.keep_claims();
        self.keep_offer();
        self.keep_lookups();
        self.keep_registrar();
        self.keep_placement();
        self.keep_served();
        self.keep_routing();
        if self.now.instant >= self.next_anti_entropy {
            self.next_anti_entropy = self.now.instant + self.config.anti_entropy;
            self.anti_entropy();
            self.audit();
        }
        let busy = self.links.values().any(net::sessions::Link::is_handshaking);
        let pause = match (self.claims.is_busy(), busy) {
            (true, _) => Duration::ZERO,
            (false, true) => HOUSEKEEPING_BUSY,
            (false, false) => HOUSEKEEPING,
        };
        self.next_housekeeping = self.now.instant + pause;
    }

    /// Ends an input: what it wrote goes to the store, what it changed is told.
    fn flush(&mut self) {
        self.flush_batch();
        self.flush_events();
    }

    fn event(&mut self, event: Event) {
        self.emit(Output::Event(event));
    }
}

/// The monotonic clock as the overlay wants it.
fn clock(now: Now) -> Duration {
    Duration::from_micros(now.instant.0)
}
