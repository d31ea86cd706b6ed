//! Drives the engine by its contract: one input, drain all outputs, then wait for the next deadline.
//!
//! Adapters report events to the driver and execute its outputs; none of them decides anything. An input that arises
//! while outputs are being executed is queued in the inbox, which is empty again before control goes back to the
//! browser.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use engine::api::{Event, Response};
use engine::{Candidate, Config, Engine, Input, LinkId, Log, Output, RequestId};
use protocol::link::handshake::Binding;
use protocol::signal::{self, Payload, RoomMember};
use protocol::{PeerId, Timestamp, codec};
use wasm_bindgen_futures::spawn_local;

use super::backoff::Backoff;
use super::channels::{Channel, PageChannel};
use super::dialer::{Action, Dialer, TransportCapabilities, Via};
use super::leader::TabId;
use super::links::{LinkEvent, Links, PipeEvent};
use super::port::{ConnectionId, Surroundings, ToPage};
use super::relay;
use super::signaling::{Signaling, SignalingEvent};
use super::store::Store;
use super::websocket::Socket;
use crate::platform::{self, Alarm};
use crate::vec_map::VecMap;

/// Interval of the check whether the machine slept.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Delay of a check from which we conclude that the machine slept.
const SLEPT: Duration = Duration::from_secs(20);

/// The driver's interface to its surroundings.
pub struct Around {
    /// Posts to the page.
    pub page: Box<dyn Fn(&ToPage)>,
    /// Brings an answer to the tab that asked.
    pub answer: Box<dyn Fn(TabId, u64, Response)>,
    /// Sends an event to every tab.
    pub event: Box<dyn Fn(Event)>,
    /// `https://relay.example`, from which everything else follows.
    pub origin: String,
}

/// The engine and everything that executes its outputs.
pub struct Driver {
    me: Weak<Self>,
    around: Around,
    engine: RefCell<Engine>,
    store: Store,
    links: Rc<Links>,
    dialer: RefCell<Dialer>,
    signaling: Rc<Signaling>,
    page_channels: RefCell<VecMap<ConnectionId, Rc<PageChannel>>>,
    asks: RefCell<VecMap<RequestId, (TabId, u64)>>,
    last_ask: Cell<u64>,
    inbox: RefCell<VecDeque<Input>>,
    running: Cell<bool>,
    stopped: Cell<bool>,
    key_known: Cell<bool>,
    deadline: Rc<Alarm>,
    dial_deadline: Rc<Alarm>,
    heartbeat: Rc<Alarm>,
    last_beat: Cell<Timestamp>,
    finding_relay: Cell<bool>,
}

/// The usual settings, or those for fewer links, one of them the relay's.
fn config(surroundings: &Surroundings) -> Config {
    let usual = Config::browser();
    match surroundings.links_max {
        Some(max) if max > 1 => Config {
            links_target: usize::from(max),
            links_max: usize::from(max),
            relays_target: 1,
            ..usual
        },
        _ => usual,
    }
}

impl Driver {
    /// An engine on a store. It does nothing before [`Self::begin`].
    pub fn new(store: Store, surroundings: &Surroundings, around: Around) -> Rc<Self> {
        Rc::new_cyclic(|me: &Weak<Self>| {
            let with = |action: fn(&Self)| {
                let me = me.clone();
                move || {
                    if let Some(driver) = me.upgrade() {
                        action(&driver);
                    }
                }
            };
            let (on_link, on_signaling) = (me.clone(), me.clone());
            let capabilities = TransportCapabilities {
                webrtc: surroundings.webrtc,
                direct: surroundings.direct,
            };
            // The origin begins with `http`, so what follows is right for `ws` and `wss` both.
            let websockets = around.origin.replacen("http", "ws", 1);
            Self {
                me: me.clone(),
                engine: RefCell::new(Engine::new(
                    config(surroundings),
                    platform::random(),
                    platform::now(),
                )),
                store,
                links: Links::new(move |event| {
                    if let Some(driver) = on_link.upgrade() {
                        driver.on_link(event);
                    }
                }),
                dialer: RefCell::new(Dialer::new(capabilities)),
                signaling: Signaling::new(
                    format!("{websockets}/signal"),
                    host_of(&around.origin),
                    move |event| {
                        if let Some(driver) = on_signaling.upgrade() {
                            driver.on_signaling(event);
                        }
                    },
                ),
                page_channels: RefCell::default(),
                asks: RefCell::default(),
                last_ask: Cell::new(0),
                inbox: RefCell::default(),
                running: Cell::new(false),
                stopped: Cell::new(false),
                key_known: Cell::new(false),
                deadline: Alarm::new(with(|driver| driver.feed(Input::Tick))),
                dial_deadline: Alarm::new(with(|driver| {
                    driver.with_dialer(|dialer| dialer.tick(platform::instant()));
                })),
                heartbeat: Alarm::new(with(Self::beat)),
                last_beat: Cell::new(platform::wall()),
                finding_relay: Cell::new(false),
                around,
            }
        })
    }

    /// Boots the engine. What its store says must reach [`Self::feed`] from now on.
    pub fn begin(&self, online: bool) {
        self.run();
        if !online {
            self.feed(Input::Network { online: false });
        }
        self.beat();
        self.find_relay();
    }

    /// Takes an input: now, or right after the one being handled.
    pub fn feed(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
        self.run();
    }

    /// An interface asks.
    pub fn ask(&self, tab: TabId, number: u64, request: engine::api::Request) {
        let id = RequestId(self.last_ask.get() + 1);
        self.last_ask.set(id.0);
        self.asks.borrow_mut().insert(id, (tab, number));
        self.feed(Input::Request { id, request });
    }

    /// Whether the store is read, and then whether there is an account.
    pub fn ready(&self) -> Option<bool> {
        let engine = self.engine.borrow();
        engine.next_deadline().map(|_| engine.key().is_some())
    }

    /// The browser gained or lost its network.
    pub fn on_online(&self, online: bool) {
        self.feed(Input::Network { online });
        if online {
            self.signaling.hurry();
            self.find_relay();
        }
    }

    /// The page became visible, the machine woke up, or the person wants it: try everything at once.
    pub fn wake(&self) {
        self.signaling.hurry();
        self.feed(Input::Network { online: true });
    }

    /// Ends links and signaling and writes nothing any more. The store stays open, so that it can be deleted.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.deadline.set(None);
        self.dial_deadline.set(None);
        self.heartbeat.set(None);
        self.signaling.stop();
        self.links.remove_all();
        *self.page_channels.borrow_mut() = VecMap::default();
        self.store.stop();
    }

    // From the page.

    /// The page described this side of a connection.
    pub fn on_described(&self, connection: ConnectionId, sdp: String) {
        self.with_dialer(|dialer| dialer.on_described(connection, sdp, platform::instant()));
    }

    /// The page found a way to reach this side.
    pub fn on_candidate(&self, connection: ConnectionId, candidate: String, mid: String) {
        self.with_dialer(|dialer| dialer.on_local_candidate(connection, candidate, mid));
    }

    /// A data channel arrived with a message.
    pub fn on_channel(&self, connection: ConnectionId, channel: web_sys::RtcDataChannel) {
        if !self.dialer.borrow().knows(connection) {
            channel.close();
            return;
        }
        let links = Rc::downgrade(&self.links);
        let low = move || {
            if let Some(links) = links.upgrade() {
                links.pump();
            }
        };
        let channel = Channel::new(channel, self.hear(connection), low);
        self.links.add(connection, channel.clone());
        if channel.is_open() {
            self.on_pipe(connection, PipeEvent::Open);
        }
    }

    /// A data channel stays in the page.
    pub fn on_channel_stays(&self, connection: ConnectionId) {
        if !self.dialer.borrow().knows(connection) {
            return;
        }
        let me = self.me.clone();
        let channel = PageChannel::new(connection, move |message| {
            if let Some(driver) = me.upgrade() {
                (driver.around.page)(message);
            }
        });
        self.page_channels
            .borrow_mut()
            .insert(connection, Rc::clone(&channel));
        self.links.add(connection, channel);
    }

    /// The page says that a connection is through: for a channel that stays, that it is open.
    pub fn on_connected(&self, connection: ConnectionId) {
        if self.page_channels.borrow().contains(connection) {
            self.on_pipe(connection, PipeEvent::Open);
        }
    }

    /// The page says that a connection ended.
    pub fn on_ended(&self, connection: ConnectionId) {
        self.on_pipe(connection, PipeEvent::Closed);
    }

    /// A frame of a channel that stays in the page.
    pub fn on_bytes(&self, connection: ConnectionId, bytes: Vec<u8>) {
        self.on_pipe(connection, PipeEvent::Frame(bytes));
    }

    /// A channel that stays in the page passed bytes on.
    pub fn on_sent(&self, connection: ConnectionId, bytes: u32) {
        if let Some(channel) = self.page_channels.borrow().get(connection) {
            channel.sent(bytes);
        }
        self.links.pump();
    }

    // Around the engine.

    fn run(&self) {
        if self.running.replace(true) {
            return;
        }
        self.drain();
        loop {
            let input = self.inbox.borrow_mut().pop_front();
            let Some(input) = input else { break };
            if self.stopped.get() {
                continue;
            }
            self.engine.borrow_mut().handle(platform::now(), input);
            self.drain();
            let any = self.engine.borrow().has_neighbours();
            self.with_dialer(|dialer| dialer.set_neighbours(any, platform::instant()));
        }
        let engine = self.engine.borrow();
        if !self.stopped.get() {
            self.deadline.set(engine.next_deadline());
        }
        drop(engine);
        self.running.set(false);
        self.set_dial_deadline();
    }

    fn drain(&self) {
        self.learn_key();
        loop {
            let output = self.engine.borrow_mut().poll_output();
            let Some(output) = output else { break };
            self.execute(output);
        }
    }

    /// With an account comes the key that links prove, and signaling.
    fn learn_key(&self) {
        if self.key_known.get() {
            return;
        }
        let key = self.engine.borrow().key().cloned();
        if let Some(key) = key {
            self.key_known.set(true);
            self.dialer.borrow_mut().set_me(PeerId(key.public()));
            self.signaling.start(key);
        }
    }

    fn execute(&self, output: Output) {
        match output {
            Output::Send { link, bytes } => self.links.send(link.0, bytes),
            Output::Close { link, reason } => {
                platform::debug(&format!("link {} closed: {reason}", link.0));
                self.links.close(link.0);
            }
            Output::Persist(batch) => self.store.persist(&batch),
            Output::Load(load) => self.store.load(load),
            Output::Dial { peer, relay, url } => {
                if relay && url.is_empty() {
                    // If the relay is there again, so is its signaling, and WebRTC is the better way.
                    self.signaling.try_now();
                }
                let now = platform::instant();
                self.with_dialer(|dialer| match relay {
                    true => dialer.dial_at(peer, url, now),
                    false => dialer.dial(peer, relay, now),
                });
            }
            Output::Introduced { from, payload } => {
                if let Ok(payload) = signal::decode::<Payload>(&payload) {
                    self.with_dialer(|dialer| {
                        dialer.on_signal(from, payload, Via::Neighbours, platform::instant());
                    });
                }
            }
            Output::Response { id, response } => {
                let asked = self.asks.borrow_mut().remove(id);
                if let Some((tab, number)) = asked {
                    (self.around.answer)(tab, number, response);
                }
            }
            // Only relays keep a registry and invite others, and only peers with an address book learn addresses from
            // sessions.
            Output::Name { .. }
            | Output::Invitation { .. }
            | Output::SessionUp { .. }
            | Output::Member { .. } => {}
            Output::Event(event) => (self.around.event)(event),
            Output::Log(line) => log(&line),
        }
    }

    // Around the dialer.

    fn with_dialer(&self, act: impl FnOnce(&mut Dialer)) {
        act(&mut self.dialer.borrow_mut());
        loop {
            let actions = self.dialer.borrow_mut().take_actions();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.perform(action);
            }
        }
        self.set_dial_deadline();
    }

    fn set_dial_deadline(&self) {
        if !self.stopped.get() {
            self.dial_deadline.set(self.dialer.borrow().next_deadline());
        }
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Signal {
                to,
                via: Via::Server,
                payload,
            } => self.signaling.signal(to, &payload),
            Action::Signal {
                to,
                via: Via::Neighbours,
                payload,
            } => self.feed(Input::Introduce {
                to,
                payload: codec::encode(&payload),
            }),
            Action::Page(message) => {
                if let ToPage::Close { connection } = &message {
                    self.page_channels.borrow_mut().remove(*connection);
                    self.links.remove(*connection);
                }
                (self.around.page)(&message);
            }
            Action::OpenSocket { connection, url } => {
                let url = format!("{}/link", self.base(&url).replacen("http", "ws", 1));
                match Socket::open(&url, self.hear(connection)) {
                    Ok(socket) => self.links.add(connection, socket),
                    Err(_) => self.dialer.borrow_mut().on_ended(connection, platform::instant()),
                }
            }
            Action::DropSocket { connection } => {
                self.links.remove(connection);
            }
            Action::Up {
                connection,
                side,
                binding,
                url,
            } => {
                let Some(transport) = self.links.set_up(connection) else {
                    return;
                };
                let host = host_of(self.base(&url));
                let binding = binding.unwrap_or(Binding::WebSocket { host });
                self.feed(Input::LinkUp {
                    link: LinkId(connection),
                    side,
                    binding,
                    transport,
                    address: None,
                });
            }
            Action::Failed { peer } => self.feed(Input::DialFailed { peer }),
        }
    }

    /// Where a relay is reached that says it is at `url`; empty: where the app is from.
    fn base<'a>(&'a self, url: &'a str) -> &'a str {
        if url.is_empty() { &self.around.origin } else { url }
    }

    // From the links.

    fn hear(&self, connection: ConnectionId) -> impl Fn(PipeEvent) + 'static {
        let me = self.me.clone();
        move |event| {
            if let Some(driver) = me.upgrade() {
                driver.on_pipe(connection, event);
            }
        }
    }

    fn on_pipe(&self, connection: ConnectionId, event: PipeEvent) {
        match event {
            PipeEvent::Open => self.with_dialer(|dialer| dialer.on_open(connection, platform::instant())),
            PipeEvent::Frame(bytes) => {
                if !self.links.is_up(connection) {
                    // The event that it opened may get lost with a transferred channel.
                    self.with_dialer(|dialer| dialer.on_open(connection, platform::instant()));
                }
                if self.links.is_up(connection) {
                    self.feed(Input::Frame {
                        link: LinkId(connection),
                        bytes,
                    });
                }
            }
            PipeEvent::Closed => {
                if self.links.remove(connection) {
                    self.feed(Input::LinkDown {
                        link: LinkId(connection),
                    });
                }
                self.page_channels.borrow_mut().remove(connection);
                self.with_dialer(|dialer| dialer.on_ended(connection, platform::instant()));
            }
        }
    }

    fn on_link(&self, event: LinkEvent) {
        match event {
            LinkEvent::Down(connection) => {
                platform::debug(&format!("link {connection} is too slow or broke"));
                self.feed(Input::LinkDown {
                    link: LinkId(connection),
                });
                self.with_dialer(|dialer| dialer.close(connection));
            }
            LinkEvent::Over(connection) => self.with_dialer(|dialer| dialer.close(connection)),
        }
    }

    // From signaling.

    fn on_signaling(&self, event: SignalingEvent) {
        let now = platform::instant();
        match event {
            SignalingEvent::Joined(members) => {
                self.on_members(&members);
                self.with_dialer(|dialer| dialer.set_joined(true, now));
                // The server answers, so the network is there: what pauses between tries need not.
                self.feed(Input::Network { online: true });
            }
            SignalingEvent::Members(members) => self.on_members(&members),
            SignalingEvent::Signal { from, payload } => {
                self.with_dialer(|dialer| dialer.on_signal(from, payload, Via::Server, now));
            }
            SignalingEvent::Absent(peer) => self.with_dialer(|dialer| dialer.on_absent(peer, now)),
            SignalingEvent::Left => self.with_dialer(|dialer| dialer.set_joined(false, now)),
        }
    }

    fn on_members(&self, members: &[RoomMember]) {
        let relays: Vec<PeerId> = members
            .iter()
            .filter(|member| member.relay)
            .map(|member| member.peer)
            .collect();
        if let [relay] = relays[..] {
            self.learn_relay(relay);
        }
        let candidates = members.iter().map(|member| Candidate {
            peer: member.peer,
            relay: member.relay,
        });
        self.feed(Input::Candidates(candidates.collect()));
    }

    // The relay that serves the app.

    fn find_relay(&self) {
        if self.finding_relay.replace(true) {
            return;
        }
        let me = self.me.clone();
        let store = self.store.clone();
        let origin = self.around.origin.clone();
        spawn_local(async move {
            let remembered = store
                .note(relay::NOTE)
                .await
                .and_then(|bytes| bytes.try_into().ok())
                .map(PeerId);
            if let (Some(remembered), Some(driver)) = (remembered, me.upgrade())
                && driver.dialer.borrow().home_relay().is_none()
            {
                driver.learn_relay(remembered);
            }
            let weights = store.note(relay::WEIGHTS_NOTE).await;
            if let (Some(routing), Some(driver)) =
                (weights.and_then(|note| relay::from_note(&note)), me.upgrade())
            {
                driver.feed(Input::Routing(routing));
            }
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            loop {
                if let Some((found, routing)) = relay::fetch_identity(&origin).await {
                    if let Some(driver) = me.upgrade() {
                        driver.finding_relay.set(false);
                        driver.learn_relay(found);
                        if let Some(routing) = routing {
                            driver.feed(Input::Routing(routing));
                            store
                                .put_note(relay::WEIGHTS_NOTE, &relay::to_note(&routing))
                                .await;
                        }
                    }
                    return;
                }
                let pause = backoff.pause(platform::random_u64());
                platform::sleep(pause.as_millis() as f64).await;
                if me.upgrade().is_none_or(|driver| driver.stopped.get()) {
                    return;
                }
            }
        });
    }

    fn learn_relay(&self, relay: PeerId) {
        if self.stopped.get() || self.dialer.borrow().home_relay() == Some(relay) {
            return;
        }
        self.dialer.borrow_mut().set_home_relay(relay);
        let store = self.store.clone();
        spawn_local(async move { store.put_note(relay::NOTE, relay.as_bytes()).await });
        self.feed(Input::Candidates(vec![Candidate {
            peer: relay,
            relay: true,
        }]));
    }

    fn beat(&self) {
        if self.stopped.get() {
            return;
        }
        let wall = platform::wall();
        let since_ms = wall.0.saturating_sub(self.last_beat.replace(wall).0);
        if since_ms > SLEPT.as_millis() as u64 {
            self.wake();
        }
        self.heartbeat.set(Some(platform::instant() + HEARTBEAT));
    }
}

/// Host and port of an origin, as a browser writes them into the `Host` header.
fn host_of(origin: &str) -> String {
    origin
        .split_once("://")
        .map_or(origin, |(_, host)| host)
        .to_ascii_lowercase()
}

fn log(line: &Log) {
    match line {
        Log::Clock { ahead_min } => platform::warn(&format!(
            "this clock is ahead of the relays' by {ahead_min} minutes"
        )),
        Log::Linked { link, peer, relay } => {
            let kind = if *relay { "relay" } else { "peer" };
            platform::debug(&format!("link {} up: {kind} {}", link.0, peer.short()));
        }
        Log::Unlinked { link, peer, reason } => {
            platform::debug(&format!("link {} down: {} {reason}", link.0, short(*peer)));
        }
        Log::Refused { link, peer, reason } => {
            platform::debug(&format!("link {} refused: {} {reason}", link.0, short(*peer)));
        }
        // Written out: what derives `Debug` for all of a line, down to its durations, weighs two kilobytes.
        Log::Corrupt { table } => {
            platform::warn(&format!(
                "store: a row of {table:?} is not what was written there"
            ));
        }
        Log::Relay { url, from, to, .. } => platform::warn(&format!("relay {url}: {to}, was {from}")),
        Log::PartitionSuspected { on: true } => {
            platform::warn("partition suspected: many relays fell silent at once");
        }
        Log::PartitionSuspected { on: false } => platform::warn("partition no longer suspected"),
        Log::OtherRegistry { .. } => platform::warn("a relay takes names from another registry"),
        Log::Forked { device, seq } => platform::warn(&format!("feed {device} is forked at {seq}")),
        // Of relays alone.
        Log::Placement { .. }
        | Log::Copies { .. }
        | Log::NotHeld { .. }
        | Log::Member { .. }
        | Log::NamedStranger { .. }
        | Log::Joined { .. } => {}
    }
}

fn short(peer: Option<PeerId>) -> String {
    peer.map_or_else(|| "unproven".to_owned(), |peer| peer.short())
}
