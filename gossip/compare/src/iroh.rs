//! The protocol of `iroh-gossip`, its published state machine, as a [`Member`].
//!
//! That crate leaves connections to its QUIC layer. What that layer does is done here: a message to a peer without a
//! connection dials it first, and a connection on which nothing comes for a while is given up, which takes keep-alives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use gossip::sim::{BODY_LEN, Hostility, Input, Label, Member, Output};
use iroh_gossip::proto::topic::{self, InEvent, OutEvent, State};
use iroh_gossip::proto::{Command, Config, DeliveryScope, Event, HyparviewConfig, PlumtreeConfig, Scope};
use n0_future::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// The configuration of every member.
#[derive(Debug)]
pub(crate) struct Setup {
    config: Config,
    keep_alive: Duration,
    idle: Duration,
    /// Second 0, for a library that takes the clock's own type.
    began: Instant,
}

impl Setup {
    /// The library's defaults with `active` neighbours and a graft timeout; connections say something every
    /// `keep_alive` and are given up after `idle` without a message.
    pub(crate) fn new(active: usize, graft: Duration, keep_alive: Duration, idle: Duration) -> Self {
        let membership = HyparviewConfig {
            active_view_capacity: active,
            ..HyparviewConfig::default()
        };
        let broadcast = PlumtreeConfig {
            graft_timeout_1: graft,
            graft_timeout_2: graft / 2,
            ..PlumtreeConfig::default()
        };
        Self {
            config: Config {
                membership,
                broadcast,
                ..Config::default()
            },
            keep_alive,
            idle,
            began: Instant::now(),
        }
    }
}

/// What members say.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Protocol(topic::Message<u32>),
    KeepAlive,
}

pub(crate) struct IrohMember {
    state: State<u32, ChaCha8Rng>,
    began: Instant,
    keep_alive: Duration,
    idle: Duration,
    next_keep_alive: Duration,
    timers: BTreeMap<(Duration, u64), topic::Timer<u32>>,
    timers_set: u64,
    neighbours: BTreeSet<u32>,
    /// Connections, and when something last came on each.
    connections: BTreeMap<u32, Duration>,
    /// What waits for a connection.
    dialling: BTreeMap<u32, Vec<topic::Message<u32>>>,
}

fn body(number: u32) -> Bytes {
    let mut body = vec![0; BODY_LEN];
    body[..4].copy_from_slice(&number.to_be_bytes());
    body.into()
}

fn number(body: &[u8]) -> Option<u32> {
    body.first_chunk().copied().map(u32::from_be_bytes)
}

impl IrohMember {
    fn tell(&mut self, event: InEvent<u32>, now: Duration, outputs: &mut Vec<Output<Message>>) {
        // Its action may lose a peer, of which it must be notified.
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let done: Vec<_> = self.state.handle(event, self.began + now).collect();
            for out in done {
                match out {
                    OutEvent::SendMessage(peer, message) => self.send(peer, message, outputs),
                    OutEvent::ScheduleTimer(after, timer) => {
                        self.timers_set += 1;
                        self.timers.insert((now + after, self.timers_set), timer);
                    }
                    OutEvent::DisconnectPeer(peer) => {
                        self.dialling.remove(&peer);
                        if self.connections.remove(&peer).is_some() {
                            outputs.push(Output::Close(peer));
                        }
                    }
                    OutEvent::EmitEvent(Event::NeighborUp(peer)) => {
                        self.neighbours.insert(peer);
                    }
                    OutEvent::EmitEvent(Event::NeighborDown(peer)) => {
                        self.neighbours.remove(&peer);
                    }
                    OutEvent::EmitEvent(Event::Received(received)) => {
                        let hops = match received.scope {
                            DeliveryScope::Swarm(round) => u16::try_from(round_of(round)).unwrap_or(u16::MAX),
                            DeliveryScope::Neighbors => 1,
                        };
                        if let Some(message) = number(&received.content) {
                            outputs.push(Output::Delivered { message, hops });
                        }
                    }
                    OutEvent::PeerData(..) => {}
                }
            }
        }
    }

    fn send(&mut self, peer: u32, message: topic::Message<u32>, outputs: &mut Vec<Output<Message>>) {
        if self.connections.contains_key(&peer) {
            outputs.push(Output::Send(peer, Message::Protocol(message)));
            return;
        }
        let waiting = self.dialling.entry(peer).or_insert_with(|| {
            outputs.push(Output::Dial(peer));
            Vec::new()
        });
        waiting.push(message);
    }

    fn tick(&mut self, now: Duration, outputs: &mut Vec<Output<Message>>) {
        while let Some(due) = self.timers.first_entry().filter(|due| due.key().0 <= now) {
            let timer = due.remove();
            self.tell(InEvent::TimerExpired(timer), now, outputs);
        }
        if self.next_keep_alive <= now {
            self.next_keep_alive = now + self.keep_alive;
            let silent: Vec<u32> = self
                .connections
                .extract_if(.., |_, heard| *heard + self.idle <= now)
                .map(|(peer, _)| peer)
                .collect();
            for peer in silent {
                outputs.push(Output::Close(peer));
                self.tell(InEvent::PeerDisconnected(peer), now, outputs);
            }
            for peer in self.connections.keys() {
                outputs.push(Output::Send(*peer, Message::KeepAlive));
            }
        }
    }
}

/// The library does not give the number itself away, but writes it.
fn round_of(round: impl std::fmt::Debug) -> u32 {
    let text = format!("{round:?}");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(u32::MAX)
}

impl Member for IrohMember {
    type Message = Message;
    type Setup = Setup;

    fn new(me: u32, setup: &Setup, now: Duration, rng: &mut ChaCha8Rng) -> Self {
        let spread = setup.keep_alive.as_millis().max(1) as u64;
        let first = Duration::from_millis(rng.next_u64() % spread);
        Self {
            state: State::with_rng(
                me,
                None,
                setup.config.clone(),
                ChaCha8Rng::seed_from_u64(rng.next_u64()),
            ),
            began: setup.began,
            keep_alive: setup.keep_alive,
            idle: setup.idle,
            next_keep_alive: now + first,
            timers: BTreeMap::new(),
            timers_set: 0,
            neighbours: BTreeSet::new(),
            connections: BTreeMap::new(),
            dialling: BTreeMap::new(),
        }
    }

    fn handle(
        &mut self,
        input: Input<Message>,
        now: Duration,
        _rng: &mut ChaCha8Rng,
        outputs: &mut Vec<Output<Message>>,
    ) {
        match input {
            Input::Learn { peer, .. } => self.tell(InEvent::Command(Command::Join(vec![peer])), now, outputs),
            Input::Connected { peer, .. } => {
                self.connections.insert(peer, now);
                for message in self.dialling.remove(&peer).unwrap_or_default() {
                    outputs.push(Output::Send(peer, Message::Protocol(message)));
                }
            }
            Input::Disconnected(peer) => {
                self.connections.remove(&peer);
                self.tell(InEvent::PeerDisconnected(peer), now, outputs);
            }
            Input::DialFailed(peer) => {
                if self.dialling.remove(&peer).is_some() {
                    self.tell(InEvent::PeerDisconnected(peer), now, outputs);
                }
            }
            Input::Message(peer, message) => {
                self.connections.insert(peer, now);
                if let Message::Protocol(message) = message {
                    self.tell(InEvent::RecvMessage(peer, message), now, outputs);
                }
            }
            Input::Tick => self.tick(now, outputs),
            Input::Publish(number) => {
                let command = Command::Broadcast(body(number), Scope::Swarm);
                self.tell(InEvent::Command(command), now, outputs);
            }
        }
    }

    fn next_deadline(&self) -> Duration {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        timer.map_or(self.next_keep_alive, |at| at.min(self.next_keep_alive))
    }

    fn degree(&self) -> usize {
        self.neighbours.len()
    }

    fn neighbours(&self, found: &mut Vec<u32>) {
        found.extend(&self.neighbours);
    }

    fn label(message: &Message) -> Label {
        let (kind, bytes, payload) = match message {
            Message::KeepAlive => ("keep_alive", 1, false),
            Message::Protocol(message) => {
                let payload = matches!(message.kind(), iroh_gossip::proto::state::MessageKind::Data);
                let kind = if payload { "news" } else { "control" };
                // The topic's name goes with every message of that library.
                let bytes = 32 + postcard::experimental::serialized_size(message).unwrap_or_default();
                (kind, bytes, payload)
            }
        };
        Label { kind, bytes, payload }
    }

    /// Whatever the hostility: it keeps the overlay up and passes nothing on. The kinds of messages are private there,
    /// so that nothing can be forged.
    fn corrupt(_how: Hostility, outputs: &mut Vec<Output<Message>>, _rng: &mut ChaCha8Rng) {
        outputs.retain(|output| {
            !matches!(
                output,
                Output::Send(_, Message::Protocol(topic::Message::Gossip(_)))
            )
        });
    }
}
