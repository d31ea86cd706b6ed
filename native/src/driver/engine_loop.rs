//! The loop of the driver's thread.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use engine::Engine;
use engine::api::{Event, Query, QueryResult, RelayView, RepairView, Request, Response, StoreState};
use engine::io::{AddressId, Candidate, Input, LinkId, MembershipInput, NameTicket, Output, RequestId};
use engine::store::{BatchId, LoadId};
use protocol::link::frame;
use protocol::messages::membership::InvitationSecret;
use protocol::names::{NameAnswer, NameQuestion};
use protocol::{PeerId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::budgets::Payer;
use super::half_open::HalfOpen;
use super::load_meter::LoadMeter;
use super::{DriverInput, EventListener, Options, Progress, RegistryQueue, log};
use crate::clock::Clock;
use crate::link::LinkHandle;
use crate::network::{AddressBook, Proven, RelayUrl};
use crate::store::{Command, Store};

/// While there is more to do, the engine learns this much later what is on the disk: a relay signs one receipt for
/// each feed and report, and a receipt for ten posts costs as much as one for a single post. With 20 ms it takes in no
/// more per second.
const PERSISTED_WITHIN: Duration = Duration::from_millis(8);
/// At a stop, how long links may take to send their last frames.
const GOODBYE_WITHIN: Duration = Duration::from_secs(3);

/// Interval at which a thread without inputs reports that it is well.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// At a stop, how long the store may take to accept the commands that wait for it. One whose disk is full may accept
/// none.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(5);

/// Commands that may wait for a place in the store's queue. Policy when full: no frames and requests are taken, which wait
/// where they are. Their bytes are bounded by the engine, which takes no entries while too many wait for the disk.
const UNSENT_MAX: usize = 16_384;

/// Set in the tickets of this machine's own questions to the registry; the engine counts its own from 1.
const OWN_TICKET: u64 = 1 << 63;

/// The reason that a half-open link is closed for when others need its place.
const GAVE_WAY: &str = "it gave way to a newcomer";

/// What the handle sees of the engine.
pub(super) struct Watches {
    pub(super) ready: watch::Sender<bool>,
    pub(super) relays: watch::Sender<Vec<RelayView>>,
    pub(super) repair: watch::Sender<RepairView>,
    pub(super) store: watch::Sender<StoreState>,
}

/// A batch of frames that is being handled.
struct InHand {
    link: LinkId,
    frames: std::vec::IntoIter<Vec<u8>>,
    /// The link may send the next one when this is dropped.
    _turn: OwnedSemaphorePermit,
}

pub(super) struct EngineLoop {
    engine: Engine,
    clock: Clock,
    links: HashMap<LinkId, LinkHandle>,
    half_open: HalfOpen,
    store: Store,
    /// Commands the store's queue had no place for.
    unsent_commands: VecDeque<Command>,
    /// Inputs that follow from executed outputs; the engine gets them next.
    next_inputs: VecDeque<Input>,
    /// The batch of frames in hand.
    frames: Option<InHand>,
    /// The last batch on the disk the engine does not know of yet, and since when.
    persisted: Option<(BatchId, Instant)>,
    watches: Watches,
    address_book: Arc<AddressBook>,
    registry_queue: Option<RegistryQueue>,
    invitations: Option<mpsc::Sender<(LinkId, InvitationSecret, Timestamp)>>,
    on_event: EventListener,
    asks: HashMap<u64, oneshot::Sender<Response>>,
    /// Who pays for the input in hand, and for what follows from it.
    payer: Option<Payer>,
    /// The payers of loads that were not answered yet.
    loads: BTreeMap<LoadId, Payer>,
    /// This machine's own questions to the registry, as many as its queue takes.
    lookups: HashMap<u64, oneshot::Sender<Response>>,
    last_ask: u64,
    load_meter: LoadMeter,
    progress: Progress,
    /// Links this side dialled whose peer has not proved its key yet.
    dialled: HashMap<LinkId, RelayUrl>,
}

impl EngineLoop {
    pub(super) fn new(
        options: Options,
        watches: Watches,
        refused: Arc<AtomicU64>,
        progress: Progress,
    ) -> (Self, mpsc::Receiver<Input>) {
        let clock = Clock::start();
        let (store, answers) = options.store;
        let half_open = HalfOpen::new(options.config.links_max);
        let engine_loop = Self {
            engine: Engine::new(options.config, options.seed, clock.now()),
            clock,
            links: HashMap::new(),
            half_open,
            store,
            unsent_commands: VecDeque::new(),
            next_inputs: VecDeque::new(),
            frames: None,
            persisted: None,
            watches,
            address_book: options.address_book,
            registry_queue: options.registry_queue,
            invitations: options.invitations,
            on_event: options.on_event,
            asks: HashMap::new(),
            payer: None,
            loads: BTreeMap::new(),
            lookups: HashMap::new(),
            last_ask: 0,
            load_meter: LoadMeter::new(refused),
            progress,
            dialled: HashMap::new(),
        };
        (engine_loop, answers)
    }

    /// Runs until it is stopped or the store's thread ends. Returns whether everything is on the disk.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<DriverInput>,
        mut answers: mpsc::Receiver<Input>,
        mut stopped: oneshot::Receiver<String>,
        (places, places_max): (Arc<Semaphore>, usize),
    ) -> bool {
        self.execute_outputs();
        let reason = loop {
            self.progress.record(self.unsent_commands.is_empty());
            while let Some(input) = self.next_inputs.pop_front() {
                self.handle(input);
            }
            // Of a link that is gone the rest of the batch is dropped.
            self.frames = self
                .frames
                .take()
                .filter(|batch| self.links.contains_key(&batch.link));
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
                permit = commands.reserve(), if !self.unsent_commands.is_empty() => {
                    if let (Ok(permit), Some(command)) = (permit, self.unsent_commands.pop_front()) {
                        permit.send(command);
                    }
                }
                () = sleep_until(self.clock, deadline) => self.handle(Input::Tick),
                () = tokio::time::sleep(PROGRESS_EVERY) => {}
                Some(input) = inbox.recv(), if self.takes_inputs() => self.on_input(input),
            }
        };
        drop(inbox);
        self.stop(&reason, answers, &places, places_max).await
    }

    /// Whether what follows from an input has a place: a slow disk keeps nobody from what needs no disk.
    fn takes_inputs(&self) -> bool {
        self.unsent_commands.len() < UNSENT_MAX
    }

    /// The next frame of the batch in hand.
    fn next_frame(&mut self) -> Option<Input> {
        if !self.takes_inputs() {
            return None;
        }
        let batch = self.frames.as_mut()?;
        let (link, next) = (batch.link, batch.frames.next());
        if next.is_none() {
            self.frames = None;
        }
        next.map(|bytes| Input::Frame { link, bytes })
    }

    /// The batch to report as persisted now: at once if there is nothing else to do.
    fn due_persisted(&mut self, idle: bool) -> Option<BatchId> {
        let idle = idle && self.frames.is_none();
        let due = |(_, since): &mut (BatchId, Instant)| {
            idle || !self.unsent_commands.is_empty() || since.elapsed() >= PERSISTED_WITHIN
        };
        self.persisted.take_if(due).map(|(id, _)| id)
    }

    fn on_input(&mut self, input: DriverInput) {
        match input {
            DriverInput::LinkUp {
                link,
                side,
                binding,
                transport,
                dialled,
                address,
                handle,
            } => {
                self.load_meter.record_link();
                self.links.insert(link, handle);
                if let Some(url) = dialled {
                    self.dialled.insert(link, url);
                }
                self.handle(Input::LinkUp {
                    link,
                    side,
                    binding,
                    transport,
                    address: address.map(AddressId::from),
                });
                // The engine may have refused it.
                let is_open = self.links.contains_key(&link);
                if let Some(gives_way) = is_open.then(|| self.half_open.begin(link, address)).flatten() {
                    self.give_way(gives_way);
                }
            }
            DriverInput::Frames { link, frames, turn } if self.links.contains_key(&link) => {
                self.frames = Some(InHand {
                    link,
                    frames: frames.into_iter(),
                    _turn: turn,
                });
            }
            DriverInput::LinkDown { link } if self.links.contains_key(&link) => self.end_link(link),
            // Frames and ends of links the engine has closed arrive for a while.
            DriverInput::Frames { .. } | DriverInput::LinkDown { .. } => {}
            DriverInput::Disconnect => {
                let links: Vec<LinkId> = self.links.keys().copied().collect();
                links.into_iter().for_each(|link| self.end_link(link));
            }
            DriverInput::DialFailed(peer) => self.handle(Input::DialFailed { peer }),
            DriverInput::Candidates(candidates) => self.handle(Input::Candidates(candidates)),
            DriverInput::Describe(description) => self.handle(Input::Describe(description)),
            DriverInput::Request(Request::Query(Query::Name { name }), _, reply)
                if self.registry_queue.is_some() =>
            {
                self.look_up(name, reply);
            }
            DriverInput::Request(request, payer, reply) => {
                self.last_ask += 1;
                self.asks.insert(self.last_ask, reply);
                let id = RequestId(self.last_ask);
                self.payer = payer;
                self.handle(Input::Request { id, request });
            }
            DriverInput::Entries(entries) => self.handle(Input::Entries(entries)),
            DriverInput::HandOver { for_good } => self.handle(Input::HandOver { for_good }),
            DriverInput::Registry(registry) => self.handle(Input::Registry(registry)),
            DriverInput::NameAnswer(ticket, answer) if ticket.0 & OWN_TICKET != 0 => {
                if let Some(reply) = self.lookups.remove(&ticket.0) {
                    // The receiver may be gone.
                    let _ = reply.send(name_reply(answer));
                }
            }
            DriverInput::NameAnswer(ticket, answer) => self.handle(Input::RegistryAnswer { ticket, answer }),
            DriverInput::Invitation { link, valid } => {
                self.handle(Input::Membership(MembershipInput::Invitation { link, valid }));
            }
        }
    }

    fn end_link(&mut self, link: LinkId) {
        // A transport whose link still lives sees its queue end, and closes its channel.
        if let Some(handle) = self.remove(link) {
            handle.abandon();
        }
        self.handle(Input::LinkDown { link });
    }

    /// Closes a half-open link, so that another one has its place.
    fn give_way(&mut self, link: LinkId) {
        if let Some(handle) = self.remove(link) {
            handle.send(frame::close(GAVE_WAY));
            handle.close(GAVE_WAY.to_owned());
            self.handle(Input::LinkDown { link });
        }
    }

    /// Forgets a link. Its handle, if it was not closed yet.
    fn remove(&mut self, link: LinkId) -> Option<LinkHandle> {
        self.dialled.remove(&link);
        self.half_open.end(link);
        self.links.remove(&link)
    }

    /// Asks this relay's own registry for the owner of a name. When the registry's queue is full, the question is
    /// refused, so there are never more of these than the queue holds.
    fn look_up(&mut self, name: String, reply: oneshot::Sender<Response>) {
        let Some(queue) = &self.registry_queue else {
            return;
        };
        self.last_ask += 1;
        let ticket = NameTicket(OWN_TICKET | self.last_ask);
        let slug = false;
        match queue.push(ticket, NameQuestion::Lookup { slug, name }) {
            None => drop(self.lookups.insert(ticket.0, reply)),
            Some(refused) => drop(reply.send(name_reply(refused))),
        }
    }

    fn handle(&mut self, input: Input) {
        let began = Instant::now();
        if let Input::Persisted { id } = &input {
            self.load_meter.record_persisted(*id, began);
        }
        if let Input::Store(state) = &input {
            self.watches.store.send_replace(*state);
        }
        self.payer = self.payer_of(&input);
        self.engine.handle(self.clock.now(), input);
        self.execute_outputs();
        if let Some(payer) = self.payer.take() {
            payer.spend(began.elapsed());
        }
        if let Some(metrics) = self.load_meter.record_work(began) {
            self.next_inputs.push_back(Input::RelayMetrics(metrics));
        }
    }

    /// Who pays for what an input costs: the address that it comes from, or that what was loaded is for.
    fn payer_of(&mut self, input: &Input) -> Option<Payer> {
        match input {
            Input::Frame { link, .. } | Input::LinkUp { link, .. } => {
                Some(self.links.get(link)?.payer.clone())
            }
            Input::Loaded { id, .. } | Input::LoadFailed { id } => self.loads.remove(id),
            // Set before.
            Input::Request { .. } => self.payer.take(),
            _ => None,
        }
    }

    /// Executes all outputs, and answers requests last: a requester that has its answer sees everything else that
    /// followed from its request in the handle's watches and the listener's events.
    fn execute_outputs(&mut self) {
        let mut answers = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                // Introductions lead to WebRTC offers between peers without an address; native peers dial addresses.
                Output::Introduced { .. } => {}
                Output::Send { link, bytes } => self.send(link, bytes),
                Output::Close { link, reason } => {
                    if let Some(handle) = self.remove(link) {
                        handle.close(reason);
                    }
                }
                Output::SessionUp { link, peer } => {
                    self.half_open.end(link);
                    if let Some(handle) = self.links.get_mut(&link) {
                        handle.settle();
                    }
                    if let Some(url) = self.dialled.remove(&link) {
                        self.on_proven_address(peer, url);
                    }
                }
                Output::Member { link, on } => {
                    if let Some(handle) = self.links.get(&link) {
                        handle.payer.set_member(on);
                    }
                }
                Output::Name { ticket, question } => {
                    let refused = match &self.registry_queue {
                        Some(queue) => queue.push(ticket, question),
                        None => Some(NameAnswer::Unavailable),
                    };
                    if let Some(answer) = refused {
                        self.next_inputs
                            .push_back(Input::RegistryAnswer { ticket, answer });
                    }
                }
                Output::Invitation {
                    link,
                    secret,
                    not_before,
                } => {
                    let asked = self
                        .invitations
                        .as_ref()
                        .map(|queue| queue.try_send((link, secret, not_before)));
                    if !matches!(asked, Some(Ok(()))) {
                        let valid = self.invitations.is_none().then_some(false);
                        let answer = MembershipInput::Invitation { link, valid };
                        self.next_inputs.push_back(Input::Membership(answer));
                    }
                }
                Output::Persist(batch) => {
                    self.load_meter.record_persist(batch.id);
                    self.send_command(Command::Persist(batch));
                }
                Output::Load(load) => {
                    if let Some(payer) = &self.payer {
                        self.loads.insert(load.id, payer.clone());
                    }
                    self.send_command(Command::Load(load, self.payer.clone()));
                }
                Output::Dial { peer, url, .. } => {
                    if !self.address_book.dial(peer, &url) {
                        self.next_inputs.push_back(Input::DialFailed { peer });
                    }
                }
                Output::Event(event) => self.on_event(event),
                Output::Response { id, response } => {
                    if let Some(reply) = self.asks.remove(&id.0) {
                        answers.push((reply, response));
                    }
                }
                Output::Log(line) => log::write(&line),
            }
        }
        for (reply, response) in answers {
            // The receiver may be gone.
            let _ = reply.send(response);
        }
    }

    fn on_event(&mut self, event: Event) {
        (self.on_event)(&event);
        match event {
            Event::Ready { .. } => {
                self.watches.ready.send_replace(true);
            }
            Event::Relays(relays) => self.on_relays(relays),
            Event::Repair(repair) => self.on_repair(repair),
            _ => {}
        }
    }

    fn on_relays(&mut self, relays: Vec<RelayView>) {
        let others = relays
            .iter()
            .filter(|relay| !relay.this)
            .map(|relay| &relay.description);
        let others = others.filter_map(|other| Some((other.relay, other.url.parse().ok()?)));
        self.address_book.set_directory(&others.collect());
        self.watches.relays.send_replace(relays);
    }

    fn on_repair(&mut self, repair: RepairView) {
        let before = self.watches.repair.send_replace(repair.clone());
        let from: Vec<String> = repair.from.iter().map(ToString::to_string).collect();
        let (feeds, entries) = (repair.feeds, repair.entries);
        if repair.caught_up && !before.caught_up {
            tracing::info!("caught up with the other relays");
        } else if entries > 0 && before.entries == 0 {
            tracing::info!(
                feeds,
                entries,
                ?from,
                "repair started: assigned entries are missing here"
            );
        } else if entries == 0 && before.entries > 0 {
            tracing::info!("repair complete: everything assigned is here");
        }
    }

    /// `peer` has proved its key on a link to `url`. At an address the operator named, that makes it a known relay.
    fn on_proven_address(&mut self, peer: PeerId, url: RelayUrl) {
        let proven = self.address_book.record_proven(peer, url.clone());
        match proven {
            Proven::NotConfigured => return,
            Proven::Another => {
                return tracing::error!(
                    %url, %peer,
                    "the relay at this address is not the one that issued the invitation; ask its operator for another"
                );
            }
            Proven::Configured | Proven::Invited(_) => {}
        }
        let relay = Candidate { peer, relay: true };
        self.next_inputs.push_back(Input::Candidates(vec![relay]));
        let join = match proven {
            Proven::Invited(secret) => MembershipInput::Join { peer, secret },
            _ => MembershipInput::Configured { peer },
        };
        self.next_inputs.push_back(Input::Membership(join));
    }

    fn send(&mut self, link: LinkId, bytes: Vec<u8>) {
        let Some(handle) = self.links.get(&link) else {
            return;
        };
        if !handle.send(bytes)
            && let Some(handle) = self.remove(link)
        {
            tracing::info!(
                link = link.0,
                "link closed: its queue is full because the peer reads too slowly"
            );
            handle.abandon();
            self.next_inputs.push_back(Input::LinkDown { link });
        }
    }

    fn send_command(&mut self, command: Command) {
        if !self.unsent_commands.is_empty() {
            self.unsent_commands.push_back(command);
            return;
        }
        match self.store.commands().try_send(command) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(command)) => self.unsent_commands.push_back(command),
            // The store's thread ended; its answers end too, and with them the driver.
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
        tracing::info!(links, unwritten = self.unsent_commands.len(), "stopping");
        let commands = self.store.commands().clone();
        let written = async {
            let unsent = self.unsent_commands;
            let accepting = async {
                for command in unsent {
                    if commands.send(command).await.is_err() {
                        return false;
                    }
                }
                true
            };
            let accepted = tokio::time::timeout(ACCEPTED_WITHIN, accepting).await;
            drop(commands);
            self.store.close().await && accepted.unwrap_or(false)
        };
        // The store waits for its answers to be taken.
        let drained = async { while answers.recv().await.is_some() {} };
        let links_gone = async {
            let all = u32::try_from(places_max).unwrap_or(u32::MAX);
            let _ = tokio::time::timeout(GOODBYE_WITHIN, places.acquire_many(all)).await;
        };
        let (written, (), ()) = tokio::join!(written, drained, links_gone);
        written
    }
}

fn name_reply(answer: NameAnswer) -> Response {
    Response::Result(Box::new(QueryResult::Name(answer)))
}

async fn sleep_until(clock: Clock, deadline: Option<protocol::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(clock.moment(deadline).into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "slow_store_tests.rs"]
mod tests;
