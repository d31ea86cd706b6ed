//! Runs the engine: one input, all its outputs, then the next input or deadline.
//!
//! ```text
//! links ──── frames (bounded, fair) ───►┐
//! store ──── answers ──────────────────►│ driver thread ├──► links' queues (bounded, never waited for)
//! clock ──── ticks ────────────────────►┘               └──► store's queue (bounded)
//! ```
//!
//! Invariants:
//! - outputs are executed in order, and all of them before the next input;
//! - the driver never waits for a link: a link whose queue is full is closed, a slow peer slows only itself;
//! - while the store's queue is full, no frames are taken (they wait in the links, and in the end in their senders); what
//!   waits for the store meanwhile stems from one input and the store's own answers;
//! - a link's name is never used again.

mod gauge;
mod link;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::Engine;
use engine::api::{Answer, Ask, Event, Query, RelayView, RepairView, Reply, StoreState, Transport};
use engine::io::{AskId, Candidate, Config, Input, LinkId, Log, NameTicket, Now, Output};
use engine::store::BatchId;
use protocol::directory::Description;
use protocol::handshake::{Binding, Role};
use protocol::name::{NameAnswer, NameQuestion, RegistryId};
use protocol::{PeerId, Timestamp, frame};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use gauge::Gauge;
pub use link::{FrameSink, Handful, LinkEnd, Outgoing, ToLink};
use link::{LinkHandle, link_queue};

use crate::names::{Availability, RegistryQueue};
use crate::network::{AddressBook, RelayUrl};
use crate::store::{Command, Store};

/// Handfuls of frames waiting for the engine, of all links together; each link has at most one more in hand, so that they
/// take turns.
const INPUTS_MAX: usize = 128;
/// While there is more to do, the engine hears this much later of what is on the disk: a relay signs a receipt for each feed
/// it hears of, and one for ten posts costs as much as one for a single post. With 20 ms it takes no more in a second.
const PERSISTED_WITHIN: Duration = Duration::from_millis(8);
/// At a stop, how long links may take to say goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(3);

/// Set in the tickets of this machine's own questions; the engine counts its own from 1.
const OWN_TICKET: u64 = 1 << 63;

/// What links tell the driver.
#[derive(Debug)]
pub(crate) enum FromLink {
    Up {
        link: LinkId,
        role: Role,
        binding: Binding,
        transport: Transport,
        /// Where it was dialled, if it was.
        dialled: Option<RelayUrl>,
        handle: LinkHandle,
    },
    /// A dial the engine asked for came to nothing.
    DialFailed(PeerId),
    /// What this relay says of itself.
    Describe(Box<Description>),
    /// A request of this machine.
    Ask(Ask, oneshot::Sender<Answer>),
    /// From a backup.
    Entries(Vec<protocol::Entry>),
    /// This relay is to end; for good?
    HandOver(bool),
    /// This relay keeps a registry.
    Registry(RegistryId),
    /// It answers.
    Named(NameTicket, NameAnswer),
    Frames {
        link: LinkId,
        frames: Vec<Vec<u8>>,
    },
    Down {
        link: LinkId,
    },
}

/// Why a channel did not become a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// As many links as configured.
    #[error("the relay has as many links as it takes; try later")]
    Full,
    /// The relay is ending.
    #[error("the relay is stopping")]
    Stopping,
}

/// The way to a running driver, for transports.
#[derive(Clone, Debug)]
pub struct DriverHandle {
    inputs: mpsc::Sender<FromLink>,
    link_next: Arc<AtomicU64>,
    places: Arc<Semaphore>,
    places_max: usize,
    refused: Arc<AtomicU64>,
    ready: watch::Receiver<bool>,
    relays: watch::Receiver<Vec<RelayView>>,
    repair: watch::Receiver<RepairView>,
    store: watch::Receiver<StoreState>,
    registry: Option<Availability>,
}

impl DriverHandle {
    /// Makes an open channel a link.
    ///
    /// # Errors
    /// [`AttachError`]: close the channel, saying so.
    pub async fn attach(
        &self,
        role: Role,
        binding: Binding,
        transport: Transport,
        dialled: Option<RelayUrl>,
    ) -> Result<LinkEnd, AttachError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            AttachError::Full
        })?;
        let link = LinkId(self.link_next.fetch_add(1, Ordering::Relaxed));
        let (handle, outgoing) = link_queue();
        let up = FromLink::Up {
            link,
            role,
            binding,
            transport,
            dialled,
            handle,
        };
        self.inputs.send(up).await.map_err(|_| AttachError::Stopping)?;
        Ok(LinkEnd {
            sink: FrameSink::new(link, self.inputs.clone(), place),
            outgoing,
        })
    }

    /// A dial the engine asked for came to nothing.
    pub(crate) async fn dial_failed(&self, peer: PeerId) {
        // A relay that is ending dials nobody again.
        let _ = self.inputs.send(FromLink::DialFailed(peer)).await;
    }

    /// Whether the engine has read its store.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// How the store was when it was last written.
    #[must_use]
    pub fn store(&self) -> StoreState {
        *self.store.borrow()
    }

    /// Whether the registry can be reached; `None`: this relay keeps none.
    #[must_use]
    pub fn registry(&self) -> Option<&Availability> {
        self.registry.as_ref()
    }

    /// Has others take what this relay has, and waits until they have it, at most for this long. Whether they do.
    pub async fn hand_over(&self, for_good: bool, within: Duration) -> bool {
        if self.inputs.send(FromLink::HandOver(for_good)).await.is_err() {
            return false;
        }
        let mut repair = self.repair.clone();
        let handed = repair.wait_for(|repair| repair.to_hand_over == Some(0));
        matches!(tokio::time::timeout(within, handed).await, Ok(Ok(_)))
    }

    /// How far this relay is with what it should hold.
    #[must_use]
    pub fn repair(&self) -> RepairView {
        self.repair.borrow().clone()
    }

    /// The directory of relays as it stands.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayView> {
        self.relays.borrow().clone()
    }

    /// The directory of relays, whenever it changes.
    #[must_use]
    pub fn watch_relays(&self) -> watch::Receiver<Vec<RelayView>> {
        self.relays.clone()
    }

    /// What this relay says of itself from now on.
    pub(crate) async fn describe(&self, description: Description) {
        // A relay that is ending describes itself no more.
        let _ = self.inputs.send(FromLink::Describe(Box::new(description))).await;
    }

    /// Reads something of the engine. `None`: it cannot be read now, or the relay is ending.
    pub async fn ask(&self, query: Query) -> Option<Reply> {
        match self.request(Ask::Query(query)).await? {
            Answer::Reply(reply) => Some(*reply),
            Answer::Done(_) | Answer::Refused(_) => None,
        }
    }

    /// The engine's answer to a request; `None`: the relay is ending.
    pub async fn request(&self, ask: Ask) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.inputs.send(FromLink::Ask(ask, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Takes in entries from a backup; waits while the store has enough to do.
    pub(crate) async fn restore(&self, entries: Vec<protocol::Entry>) {
        // A relay that is ending is asked afterwards what it has.
        let _ = self.inputs.send(FromLink::Entries(entries)).await;
    }

    /// This relay keeps a registry of names.
    pub(crate) async fn keeps_registry(&self, registry: RegistryId) {
        // A relay that is ending keeps nothing any more.
        let _ = self.inputs.send(FromLink::Registry(registry)).await;
    }

    /// The registry's answer.
    pub(crate) async fn named(&self, ticket: NameTicket, answer: NameAnswer) {
        // Whoever asked has no link any more.
        let _ = self.inputs.send(FromLink::Named(ticket, answer)).await;
    }

    /// Links now, those in their handshake included.
    #[must_use]
    pub fn links(&self) -> usize {
        self.places_max - self.places.available_permits()
    }
}

/// A driver's thread.
#[derive(Debug)]
pub struct DriverThread {
    stop: oneshot::Sender<String>,
    done: oneshot::Receiver<bool>,
}

impl DriverThread {
    /// Closes all links with this reason, writes everything to the disk and ends. Returns whether everything is there.
    pub async fn stop(self, reason: &str) -> bool {
        let _ = self.stop.send(reason.to_owned());
        self.done.await.unwrap_or(false)
    }

    /// Resolves if the thread ends by itself, which only happens when the store's thread did.
    pub async fn ended(&mut self) {
        let _ = (&mut self.done).await;
    }
}

/// Starts a thread that runs an engine on this store.
///
/// # Errors
/// When the system gives no thread or no runtime for it.
pub fn start(
    config: Config,
    seed: [u8; 32],
    store: Store,
    answers: mpsc::Receiver<Input>,
    book: Arc<AddressBook>,
    desk: Option<RegistryQueue>,
) -> std::io::Result<(DriverHandle, DriverThread)> {
    // The engine has its own bound and a reason to tell; this one is for channels it has not judged yet.
    let places_max = config.links_max + config.links_max / 4 + 16;
    let places = Arc::new(Semaphore::new(places_max));
    let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
    let (ready, is_ready) = watch::channel(false);
    let (tell_relays, relays) = watch::channel(Vec::new());
    let (tell_repair, repair) = watch::channel(RepairView::default());
    let (tell_store, store_state) = watch::channel(StoreState::Ok);
    let registry = desk.as_ref().map(RegistryQueue::reach);
    let (stop, stopped) = oneshot::channel();
    let (finish, done) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let refused = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let driver = Driver {
        engine: Engine::new(config, seed, now(start)),
        start,
        links: HashMap::new(),
        store,
        waiting: VecDeque::new(),
        own: VecDeque::new(),
        frames: (LinkId(0), Vec::new().into_iter()),
        persisted: None,
        ready,
        relays: tell_relays,
        repair: tell_repair,
        store_state: tell_store,
        book,
        desk,
        asks: HashMap::new(),
        lookups: HashMap::new(),
        last_ask: 0,
        gauge: Gauge::new(refused.clone()),
        dialled: HashMap::new(),
    };
    let all_places = (Arc::clone(&places), places_max);
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let _ = finish.send(runtime.block_on(driver.run(inbox, answers, stopped, all_places)));
        })?;
    let handle = DriverHandle {
        inputs,
        link_next: Arc::new(AtomicU64::new(1)),
        places,
        places_max,
        refused,
        ready: is_ready,
        relays,
        repair,
        store: store_state,
        registry,
    };
    Ok((handle, DriverThread { stop, done }))
}

fn now(start: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        instant: protocol::Instant::default() + start.elapsed(),
        wall: Timestamp::default().plus(wall),
    }
}

struct Driver {
    engine: Engine,
    start: Instant,
    links: HashMap<LinkId, LinkHandle>,
    store: Store,
    /// Commands the store's queue had no place for.
    waiting: VecDeque<Command>,
    /// What executing outputs brought about, to be told to the engine next.
    own: VecDeque<Input>,
    /// Frames of a link that were handed over together, and are not taken in yet.
    frames: (LinkId, std::vec::IntoIter<Vec<u8>>),
    /// On the disk up to here since then, which the engine was not told.
    persisted: Option<(BatchId, Instant)>,
    ready: watch::Sender<bool>,
    relays: watch::Sender<Vec<RelayView>>,
    repair: watch::Sender<RepairView>,
    store_state: watch::Sender<StoreState>,
    book: Arc<AddressBook>,
    /// Where questions to this relay's registry go, if it keeps one.
    desk: Option<RegistryQueue>,
    asks: HashMap<u64, oneshot::Sender<Answer>>,
    /// Questions of this machine to this relay's own registry.
    lookups: HashMap<u64, oneshot::Sender<Answer>>,
    last_ask: u64,
    gauge: Gauge,
    /// Links that were dialled and have not proven yet who is there.
    dialled: HashMap<LinkId, RelayUrl>,
}

impl Driver {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<FromLink>,
        mut answers: mpsc::Receiver<Input>,
        mut stopped: oneshot::Receiver<String>,
        (places, places_max): (Arc<Semaphore>, usize),
    ) -> bool {
        self.execute_outputs();
        let reason = loop {
            while let Some(input) = self.own.pop_front() {
                self.handle(input);
            }
            if !self.links.contains_key(&self.frames.0) {
                // Whoever sent the rest of them is gone; others must not wait for it.
                self.frames.1 = Vec::new().into_iter();
            }
            if let Some(id) = self.due_persisted(inbox.is_empty()) {
                self.handle(Input::Persisted { id });
                continue;
            }
            if let Some(frame) = self.next_frame() {
                self.handle(frame);
                continue;
            }
            let deadline = self.engine.next_deadline();
            let commands = self.store.commands().clone();
            tokio::select! {
                biased;
                reason = &mut stopped => break reason.unwrap_or_default(),
                answer = answers.recv() => match answer {
                    Some(Input::Persisted { id }) => {
                        let since = self.persisted.map_or_else(Instant::now, |(_, since)| since);
                        self.persisted = Some((id, since));
                    }
                    Some(answer) => self.handle(answer),
                    None => return false,
                },
                permit = commands.reserve(), if !self.waiting.is_empty() => {
                    if let (Ok(permit), Some(command)) = (permit, self.waiting.pop_front()) {
                        permit.send(command);
                    }
                }
                () = sleep_until(self.start, deadline) => self.handle(Input::Tick),
                Some(from) = inbox.recv(), if self.waiting.is_empty() => self.on_link(from),
            }
        };
        drop(inbox);
        self.stop(&reason, answers, &places, places_max).await
    }

    /// The next of the frames that were handed over together.
    fn next_frame(&mut self) -> Option<Input> {
        if !self.waiting.is_empty() {
            return None;
        }
        let (link, frames) = &mut self.frames;
        let (link, bytes) = (*link, frames.next()?);
        Some(Input::Frame { link, bytes })
    }

    /// What the engine is to hear now is on the disk: at once if there is nothing else to do.
    fn due_persisted(&mut self, idle: bool) -> Option<BatchId> {
        let idle = idle && self.frames.1.len() == 0;
        let due = |(_, since): &mut (BatchId, Instant)| {
            idle || !self.waiting.is_empty() || since.elapsed() >= PERSISTED_WITHIN
        };
        self.persisted.take_if(due).map(|(id, _)| id)
    }

    fn on_link(&mut self, from: FromLink) {
        match from {
            FromLink::Up {
                link,
                role,
                binding,
                transport,
                dialled,
                handle,
            } => {
                self.gauge.linked();
                self.links.insert(link, handle);
                if let Some(url) = dialled {
                    self.dialled.insert(link, url);
                }
                self.handle(Input::LinkUp {
                    link,
                    role,
                    binding,
                    transport,
                });
            }
            // Frames and ends of links the engine has closed are still under way for a while.
            FromLink::Frames { link, frames } if self.links.contains_key(&link) => {
                self.frames = (link, frames.into_iter());
            }
            FromLink::DialFailed(peer) => self.handle(Input::DialFailed { peer }),
            FromLink::Describe(description) => self.handle(Input::Describe(description)),
            FromLink::Ask(Ask::Query(Query::Name { name }), reply) if self.desk.is_some() => {
                self.look_up(name, reply);
            }
            FromLink::Ask(ask, reply) => {
                self.last_ask += 1;
                self.asks.insert(self.last_ask, reply);
                self.handle(Input::Ask {
                    id: AskId(self.last_ask),
                    ask,
                });
            }
            FromLink::Entries(entries) => self.handle(Input::Entries(entries)),
            FromLink::HandOver(for_good) => self.handle(Input::HandOver { for_good }),
            FromLink::Registry(registry) => self.handle(Input::Registry(registry)),
            FromLink::Named(ticket, answer) if ticket.0 & OWN_TICKET != 0 => {
                if let Some(reply) = self.lookups.remove(&ticket.0) {
                    // Whoever asked may have gone.
                    let _ = reply.send(Answer::Reply(Box::new(Reply::Name(answer))));
                }
            }
            FromLink::Named(ticket, answer) => self.handle(Input::Named { ticket, answer }),
            FromLink::Down { link } if self.links.remove(&link).is_some() => {
                self.dialled.remove(&link);
                self.handle(Input::LinkDown { link });
            }
            FromLink::Frames { .. } | FromLink::Down { .. } => {}
        }
    }

    /// Asks this relay's own registry whose a name is. What the desk has no room for is refused, so there are never more of
    /// these than it holds.
    fn look_up(&mut self, name: String, reply: oneshot::Sender<Answer>) {
        let Some(desk) = &self.desk else {
            return;
        };
        self.last_ask += 1;
        let ticket = NameTicket(OWN_TICKET | self.last_ask);
        let slug = false;
        match desk.put(ticket, NameQuestion::Lookup { slug, name }) {
            None => drop(self.lookups.insert(ticket.0, reply)),
            Some(refused) => drop(reply.send(Answer::Reply(Box::new(Reply::Name(refused))))),
        }
    }

    fn handle(&mut self, input: Input) {
        let began = Instant::now();
        if let Input::Persisted { id } = &input {
            self.gauge.persisted(*id, began);
        }
        if let Input::Store(state) = &input {
            self.store_state.send_replace(*state);
        }
        self.engine.handle(now(self.start), input);
        self.execute_outputs();
        if let Some(figures) = self.gauge.worked(began) {
            self.own.push_back(Input::Figures(figures));
        }
    }

    fn execute_outputs(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                // A relay is reached at its address; whoever has a link to it needs no introduction.
                Output::Introduced { .. } => {}
                Output::Send { link, bytes } => self.send(link, bytes),
                Output::Close { link, reason } => {
                    self.dialled.remove(&link);
                    if let Some(handle) = self.links.remove(&link) {
                        handle.close(reason);
                    }
                }
                Output::Name { ticket, question } => {
                    let refused = match &self.desk {
                        Some(desk) => desk.put(ticket, question),
                        None => Some(NameAnswer::Unavailable),
                    };
                    if let Some(answer) = refused {
                        self.own.push_back(Input::Named { ticket, answer });
                    }
                }
                Output::Persist(batch) => {
                    self.gauge.persist(batch.id);
                    self.give(Command::Persist(batch));
                }
                Output::Load(load) => self.give(Command::Load(load)),
                // Browsers have no address: they dial.
                Output::Dial { peer, .. } => {
                    if !self.book.dial(peer) {
                        self.own.push_back(Input::DialFailed { peer });
                    }
                }
                Output::Event(Event::Ready { .. }) => {
                    self.ready.send_replace(true);
                }
                Output::Event(Event::Relays(relays)) => self.on_relays(relays),
                Output::Event(Event::Repair(repair)) => self.on_repair(repair),
                // No interface listens here.
                Output::Event(_) => {}
                Output::Answer { id, answer } => {
                    if let Some(reply) = self.asks.remove(&id.0) {
                        // The requester may have gone.
                        let _ = reply.send(answer);
                    }
                }
                Output::Log(log) => {
                    if let Log::Linked { link, peer, .. } = &log
                        && let Some(url) = self.dialled.remove(link)
                    {
                        self.meet(*peer, url);
                    }
                    write_log(&log);
                }
            }
        }
    }

    fn on_relays(&mut self, relays: Vec<RelayView>) {
        let others = relays
            .iter()
            .filter(|relay| !relay.this)
            .map(|relay| &relay.description);
        let others = others.filter_map(|other| Some((other.relay, other.url.parse().ok()?)));
        self.book.hear(&others.collect());
        self.relays.send_replace(relays);
    }

    fn on_repair(&mut self, repair: RepairView) {
        let before = self.repair.send_replace(repair.clone());
        let from: Vec<String> = repair.from.iter().map(ToString::to_string).collect();
        let (feeds, entries) = (repair.feeds, repair.entries);
        if repair.caught_up && !before.caught_up {
            tracing::info!("this relay has caught up with the others");
        } else if entries > 0 && before.entries == 0 {
            tracing::info!(feeds, entries, ?from, "fetching what this relay should hold");
        } else if entries == 0 && before.entries > 0 {
            tracing::info!("this relay holds what it should");
        }
    }

    /// Whoever is at an address the operator named is a relay this one knows.
    fn meet(&mut self, peer: PeerId, url: RelayUrl) {
        if self.book.learn(peer, url) {
            let relay = Candidate { peer, relay: true };
            self.own.push_back(Input::Candidates(vec![relay]));
        }
    }

    fn send(&mut self, link: LinkId, bytes: Vec<u8>) {
        let Some(handle) = self.links.get(&link) else {
            return;
        };
        if !handle.send(bytes)
            && let Some(handle) = self.links.remove(&link)
        {
            tracing::info!(
                link = link.0,
                "a link was closed: its peer takes too little of what is sent to it"
            );
            handle.abandon();
            self.own.push_back(Input::LinkDown { link });
        }
    }

    fn give(&mut self, command: Command) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(command);
            return;
        }
        match self.store.commands().try_send(command) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(command)) => self.waiting.push_back(command),
            // Its thread is gone; the closed answers end the driver.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    async fn stop(
        mut self,
        reason: &str,
        mut answers: mpsc::Receiver<Input>,
        places: &Semaphore,
        places_max: usize,
    ) -> bool {
        let links = self.links.len();
        for (_, handle) in self.links.drain() {
            handle.send(frame::close(reason));
            handle.close(reason.to_owned());
        }
        tracing::info!(links, unwritten = self.waiting.len(), "stopping");
        let commands = self.store.commands().clone();
        let written = async {
            for command in self.waiting {
                if commands.send(command).await.is_err() {
                    return false;
                }
            }
            drop(commands);
            self.store.close().await
        };
        // The store waits for its answers to be taken.
        let taken = async { while answers.recv().await.is_some() {} };
        let gone = async {
            let all = u32::try_from(places_max).unwrap_or(u32::MAX);
            let _ = tokio::time::timeout(GOODBYE_WITHIN, places.acquire_many(all)).await;
        };
        let (written, (), ()) = tokio::join!(written, taken, gone);
        written
    }
}

async fn sleep_until(start: Instant, deadline: Option<protocol::Instant>) {
    match deadline {
        Some(deadline) => {
            let at = start + deadline.since(protocol::Instant::default());
            tokio::time::sleep_until(at.into()).await;
        }
        None => std::future::pending().await,
    }
}

fn write_log(log: &Log) {
    let name =
        |peer: &Option<protocol::PeerId>| peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    match log {
        Log::Linked { link, peer, relay } => tracing::info!(link = link.0, %peer, relay, "linked"),
        Log::Unlinked { link, peer, reason } => {
            tracing::info!(link = link.0, peer = name(peer), reason, "unlinked");
        }
        Log::Refused { link, peer, reason } => {
            tracing::warn!(link = link.0, peer = name(peer), reason, "refused");
        }
        Log::Corrupt { table } => {
            tracing::error!(
                table = table.name(),
                "a stored row is damaged; peers will be asked for what it held"
            );
        }
        Log::Relay {
            peer,
            url,
            from,
            to,
            silent,
        } => {
            let silent_s = silent.as_secs_f32();
            tracing::info!(%peer, url, from, to, silent_s, "a relay is judged anew");
        }
        Log::Placement { relays, replicas } => tracing::info!(relays, replicas, "feeds are divided anew"),
        Log::Copies { wanted, living } if living < wanted => tracing::warn!(
            wanted,
            living,
            "there are fewer copies of each feed than wanted: too few relays live"
        ),
        Log::Copies { wanted, living } => tracing::warn!(
            wanted,
            living,
            "relays enough live for as many copies of each feed as wanted"
        ),
        Log::NotHeld { peer, device, seq } => tracing::warn!(
            %peer,
            %device,
            seq,
            "a relay did not show an entry it said it had; it is offered the feed anew"
        ),
        Log::Doubt { on: true } => tracing::warn!(
            "so many relays fell silent at once that this one is probably cut off: nothing is done about them"
        ),
        Log::Doubt { on: false } => {
            tracing::info!("relays that fell silent at once are heard of again, or are gone for good");
        }
        Log::OtherRegistry { known, other } => tracing::warn!(
            known = data_encoding::HEXLOWER.encode(&known.0),
            other = data_encoding::HEXLOWER.encode(&other.0),
            "a relay of this network takes names from another registry: names of that one are not shown here"
        ),
        Log::Forked { device, seq } => tracing::warn!(%device, seq, "a feed is forked"),
    }
}
