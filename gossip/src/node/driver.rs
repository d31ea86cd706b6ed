//! Runs a [`Swarm`] over a [`Transport`]: one loop, no lock, nothing awaited but the next thing that happens.
//!
//! Invariants: one connection per peer; where both sides dialled at once, the one the lower name dialled stays, on both
//! sides; no queue grows without bound.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use ordered::Map;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use tokio::sync::{mpsc, oneshot};

use super::{Config, ConnectionId, Event, JoinError, QUEUE_MAX, Transport, Way};
use crate::swarm::{Message, MessageId, Output, Swarm};
use crate::wire;

/// Frames on their way to one connection; with [`QUEUE_MAX`], whichever is reached first.
const FRAMES_MAX: usize = 16_384;
/// Connections to one peer from both sides that opened within this time were dialled at once.
const AT_ONCE: Duration = Duration::from_secs(10);

pub(super) enum Command<P> {
    Join {
        through: P,
        answer: oneshot::Sender<Result<(), JoinError>>,
    },
    Broadcast {
        body: Bytes,
        answer: oneshot::Sender<MessageId<P>>,
    },
    Send {
        to: P,
        body: Bytes,
        answer: oneshot::Sender<bool>,
    },
    Neighbours(oneshot::Sender<Vec<P>>),
    Acquaintances(oneshot::Sender<Vec<P>>),
    Leave(oneshot::Sender<()>),
}

/// Something for the program.
#[derive(Debug)]
pub(super) struct Delivery<P> {
    pub(super) from: P,
    pub(super) way: Way,
    pub(super) body: Bytes,
    pub(super) missed: u64,
}

struct Connection<P> {
    peer: P,
    dialled: bool,
    since: Duration,
    /// Of each frame on its way: its length, and how much of it is payload that was sent against credit.
    under_way: VecDeque<(usize, usize)>,
    bytes: usize,
}

struct Join<P> {
    through: P,
    until: Duration,
    answer: oneshot::Sender<Result<(), JoinError>>,
}

pub(super) struct Driver<T: Transport> {
    transport: T,
    swarm: Swarm<T::Peer, Bytes>,
    rng: ChaCha8Rng,
    links: Map<T::Peer, ConnectionId>,
    connections: Map<ConnectionId, Connection<T::Peer>>,
    joins: Vec<Join<T::Peer>>,
    join_timeout: Duration,
    inbox: mpsc::Sender<Delivery<T::Peer>>,
    missed: u64,
}

impl<T: Transport> Driver<T> {
    pub(super) fn new(
        transport: T,
        config: Config,
        seed: [u8; 32],
        inbox: mpsc::Sender<Delivery<T::Peer>>,
    ) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let (me, epoch, now) = (transport.address(), transport.epoch(), transport.now());
        Self {
            swarm: Swarm::new(me, config.membership, epoch, now, &mut rng),
            transport,
            rng,
            links: Map::new(),
            connections: Map::new(),
            joins: Vec::new(),
            join_timeout: config.join_timeout,
            inbox,
            missed: 0,
        }
    }

    /// Until the node leaves or its handle is dropped.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command<T::Peer>>) {
        let told = loop {
            self.perform();
            let deadline = self.deadline();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Leave(answer)) => break Some(answer),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                event = self.transport.event(deadline) => {
                    if let Some(event) = event {
                        self.on_event(event);
                    }
                }
            }
            let now = self.transport.now();
            if self.swarm.next_deadline() <= now {
                self.swarm.tick(now, &mut self.rng);
            }
            self.give_up_joins(now);
        };
        self.swarm.leave();
        self.perform();
        self.transport.finish().await;
        if let Some(told) = told {
            // The caller may have stopped waiting.
            let _ = told.send(());
        }
    }

    fn deadline(&self) -> Duration {
        let joins = self.joins.iter().map(|join| join.until).min();
        let swarm = self.swarm.next_deadline();
        joins.map_or(swarm, |join| join.min(swarm))
    }

    fn on_command(&mut self, command: Command<T::Peer>) {
        let now = self.transport.now();
        // A caller that stopped waiting needs no answer: errors of the answer channel are ignored.
        match command {
            Command::Join { through, answer } => {
                self.swarm.learn(through, false, now, &mut self.rng);
                if self.swarm.membership().neighbours_len() > 0 {
                    let _ = answer.send(Ok(()));
                } else {
                    let until = now + self.join_timeout;
                    self.joins.push(Join {
                        through,
                        until,
                        answer,
                    });
                }
            }
            Command::Broadcast { body, answer } => {
                let len = body.len();
                let _ = answer.send(self.swarm.broadcast(body, len, now));
            }
            Command::Send { to, body, answer } => {
                let _ = answer.send(self.swarm.send(to, body));
            }
            Command::Neighbours(answer) => {
                let _ = answer.send(self.swarm.membership().neighbours().copied().collect());
            }
            Command::Acquaintances(answer) => {
                let known = self.swarm.membership().acquaintances();
                let _ = answer.send(known.map(|(peer, _)| peer).collect());
            }
            Command::Leave(_) => {}
        }
    }

    fn on_event(&mut self, event: Event<T::Peer>) {
        let now = self.transport.now();
        match event {
            Event::Connected {
                connection,
                peer,
                dialled,
            } => self.on_connected(connection, peer, dialled, now),
            Event::DialFailed { peer, reason } => {
                self.swarm.on_dial_failed(&peer, now, &mut self.rng);
                if self.swarm.membership().neighbours_len() == 0 {
                    self.fail_joins(peer, &reason);
                }
            }
            Event::Frame(connection, frame) => self.on_frame(connection, &frame, now),
            Event::Written(id) => {
                let Some(connection) = self.connections.get_mut(&id) else {
                    return;
                };
                if let Some((bytes, payload)) = connection.under_way.pop_front() {
                    connection.bytes -= bytes;
                    self.swarm.on_written(&connection.peer, payload);
                }
            }
            Event::Closed(id) => {
                if let Some(connection) = self.connections.remove(&id) {
                    self.forget(connection.peer, id, now);
                }
            }
        }
    }

    fn on_connected(&mut self, id: ConnectionId, peer: T::Peer, dialled: Option<T::Peer>, now: Duration) {
        let me = self.transport.address();
        if let Some(older) = self.links.get(&peer).copied() {
            let keeps_older = self.connections.get(&older).is_some_and(|older| {
                let at_once = older.dialled != dialled.is_some() && now.saturating_sub(older.since) < AT_ONCE;
                at_once && older.dialled == (me < peer)
            });
            if keeps_older {
                return self.transport.close(id);
            }
            // The older one is most likely dead without knowing.
            self.transport.close(older);
            self.connections.remove(&older);
            self.forget(peer, older, now);
        }
        self.links.insert(peer, id);
        self.connections.insert(
            id,
            Connection {
                peer,
                dialled: dialled.is_some(),
                since: now,
                under_way: VecDeque::new(),
                bytes: 0,
            },
        );
        let crossed = self.swarm.membership().is_dialing(&peer);
        self.swarm
            .on_connected(peer, dialled.is_some() || crossed, now, &mut self.rng);
        if let Some(alias) = dialled.filter(|dialled| *dialled != peer) {
            self.swarm.on_dial_failed(&alias, now, &mut self.rng);
        }
    }

    fn on_frame(&mut self, id: ConnectionId, frame: &Bytes, now: Duration) {
        let Some(peer) = self.connections.get(&id).map(|connection| connection.peer) else {
            return;
        };
        let result = match wire::decode(frame) {
            Ok(message) => self
                .swarm
                .on_message(peer, message, Bytes::len, now, &mut self.rng),
            Err(_) => {
                self.swarm.ban(peer, now, &mut self.rng);
                Err("malformed")
            }
        };
        if result.is_err() {
            self.close(peer);
        }
    }

    /// A peer has no connection any more.
    fn forget(&mut self, peer: T::Peer, id: ConnectionId, now: Duration) {
        if self.links.get(&peer) == Some(&id) {
            self.links.remove(&peer);
            self.swarm.on_disconnected(&peer, now, &mut self.rng);
        }
    }

    fn close(&mut self, peer: T::Peer) {
        if let Some(id) = self.links.remove(&peer) {
            self.connections.remove(&id);
            self.transport.close(id);
        }
    }

    /// Does what the swarm wants done.
    fn perform(&mut self) {
        while let Some(output) = self.swarm.poll() {
            match output {
                Output::Dial(peer) => self.transport.dial(peer),
                Output::Send(peer, message) => self.send(peer, &message),
                Output::Close(peer, _) => self.close(peer),
                Output::Delivered { id, body, hops } => {
                    self.deliver(id.origin, Way::Broadcast { hops }, body);
                }
                Output::Received(from, body) => self.deliver(from, Way::Direct, body),
                Output::Up(_) => {
                    for join in self.joins.drain(..) {
                        let _ = join.answer.send(Ok(()));
                    }
                }
                Output::Down(..) => {}
            }
        }
    }

    fn send(&mut self, peer: T::Peer, message: &Message<T::Peer, Bytes>) {
        let Some(id) = self.links.get(&peer).copied() else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // What this node makes is within every limit, as is what it passes on.
        let Ok(frame) = wire::encode(Vec::new(), message) else {
            return;
        };
        let payload = match message {
            Message::News { body, .. } => body.len(),
            _ => 0,
        };
        connection.bytes += frame.len();
        connection.under_way.push_back((frame.len(), payload));
        if connection.bytes > QUEUE_MAX || connection.under_way.len() > FRAMES_MAX {
            self.transport.close(id);
            self.connections.remove(&id);
            return self.forget(peer, id, self.transport.now());
        }
        self.transport.send(id, frame.into());
    }

    fn deliver(&mut self, from: T::Peer, way: Way, body: Bytes) {
        let missed = core::mem::take(&mut self.missed);
        let delivery = Delivery {
            from,
            way,
            body,
            missed,
        };
        if self.inbox.try_send(delivery).is_err() {
            self.missed = missed + 1;
        }
    }

    fn fail_joins(&mut self, peer: T::Peer, reason: &str) {
        for join in self.joins.extract_if(.., |join| join.through == peer) {
            let _ = join.answer.send(Err(JoinError::Unreachable {
                peer: peer.to_string(),
                reason: reason.to_owned(),
            }));
        }
    }

    fn give_up_joins(&mut self, now: Duration) {
        for join in self.joins.extract_if(.., |join| join.until <= now) {
            let _ = join.answer.send(Err(JoinError::NoAnswer));
        }
    }
}
