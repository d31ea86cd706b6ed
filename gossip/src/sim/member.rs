//! What the simulator runs: any protocol that fits [`Member`], and this crate's own [`Swarm`] as one.

use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::network::Hostility;
use crate::broadcast::{Announcement, Item, Tree};
use crate::membership::{self, Config};
use crate::swarm::{Message, MessageId, Output as SwarmOutput, Swarm};

/// Bytes of a broadcast's body: a short post, signed.
pub const BODY_LEN: usize = 400;

/// One thing that happens to a member.
#[derive(Debug)]
pub enum Input<M> {
    /// It hears of a member to join through.
    Learn {
        /// The number of the peer.
        peer: u32,
        /// It never sleeps.
        anchor: bool,
    },
    /// A connection opened.
    Connected {
        /// The peer.
        peer: u32,
        /// From this side.
        dialled: bool,
    },
    /// A connection broke.
    Disconnected(u32),
    /// A dial failed.
    DialFailed(u32),
    /// A message came.
    Message(u32, M),
    /// Its deadline passed.
    Tick,
    /// It is to broadcast this message.
    Publish(u32),
}

/// One thing a member does.
#[derive(Debug)]
pub enum Output<M> {
    /// Opens a connection.
    Dial(u32),
    /// Sends a message.
    Send(u32, M),
    /// Closes a connection.
    Close(u32),
    /// A broadcast message is news to it.
    Delivered {
        /// The number of the message.
        message: u32,
        /// Links it travelled.
        hops: u16,
    },
}

/// What is counted of a message on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The kind.
    pub kind: &'static str,
    /// Its length.
    pub bytes: usize,
    /// It carries a body.
    pub payload: bool,
}

/// A protocol under simulation.
pub trait Member: Sized {
    /// A message between members.
    type Message;
    /// Given to each at the start.
    type Setup;

    /// A member that knows no other.
    fn new(me: u32, setup: &Self::Setup, now: Duration, rng: &mut ChaCha8Rng) -> Self;
    /// Handles an input.
    fn handle(
        &mut self,
        input: Input<Self::Message>,
        now: Duration,
        rng: &mut ChaCha8Rng,
        outputs: &mut Vec<Output<Self::Message>>,
    );
    /// When it wants [`Input::Tick`].
    fn next_deadline(&self) -> Duration;
    /// Number of its neighbours, by its own account.
    fn degree(&self) -> usize;
    /// Its neighbours, by its own account.
    fn neighbours(&self, found: &mut Vec<u32>);
    /// What is counted of a message.
    fn label(message: &Self::Message) -> Label;
    /// Makes what a member does hostile.
    fn corrupt(how: Hostility, outputs: &mut Vec<Output<Self::Message>>, rng: &mut ChaCha8Rng);
}

/// This crate's own protocol under simulation.
#[derive(Debug)]
pub struct SwarmMember {
    swarm: Swarm<u32, u32>,
}

impl SwarmMember {
    /// The member itself.
    #[must_use]
    pub const fn swarm(&self) -> &Swarm<u32, u32> {
        &self.swarm
    }
}

const fn body_len(_: &u32) -> usize {
    BODY_LEN
}

impl Member for SwarmMember {
    type Message = Message<u32, u32>;
    type Setup = Config;

    fn new(me: u32, setup: &Config, now: Duration, rng: &mut ChaCha8Rng) -> Self {
        Self {
            // Counted from the time of birth, so that a life after death repeats nothing.
            swarm: Swarm::new(me, setup.clone(), now.as_millis() as u64, now, rng),
        }
    }

    fn handle(
        &mut self,
        input: Input<Self::Message>,
        now: Duration,
        rng: &mut ChaCha8Rng,
        outputs: &mut Vec<Output<Self::Message>>,
    ) {
        let swarm = &mut self.swarm;
        match input {
            Input::Learn { peer, anchor } => swarm.learn(peer, anchor, now, rng),
            Input::Connected { peer, dialled } => swarm.on_connected(peer, dialled, now, rng),
            Input::Disconnected(peer) => swarm.on_disconnected(&peer, now, rng),
            Input::DialFailed(peer) => swarm.on_dial_failed(&peer, now, rng),
            Input::Message(peer, message) => {
                if swarm.on_message(peer, message, body_len, now, rng).is_err() {
                    outputs.push(Output::Close(peer));
                }
            }
            Input::Tick => swarm.tick(now, rng),
            Input::Publish(message) => {
                swarm.broadcast(message, BODY_LEN, now);
            }
        }
        while let Some(output) = swarm.poll() {
            match output {
                SwarmOutput::Dial(peer) => outputs.push(Output::Dial(peer)),
                SwarmOutput::Send(peer, message) => {
                    if let Message::News { .. } = message {
                        // Links here take what they are given.
                        swarm.on_written(&peer, BODY_LEN);
                    }
                    outputs.push(Output::Send(peer, message));
                }
                SwarmOutput::Close(peer, _) => outputs.push(Output::Close(peer)),
                SwarmOutput::Delivered { body, hops, .. } => outputs.push(Output::Delivered {
                    message: body,
                    hops: u16::from(hops),
                }),
                SwarmOutput::Received(..) | SwarmOutput::Up(_) | SwarmOutput::Down(..) => {}
            }
        }
    }

    fn next_deadline(&self) -> Duration {
        self.swarm.next_deadline()
    }

    fn degree(&self) -> usize {
        self.swarm.membership().neighbours_len()
    }

    fn neighbours(&self, found: &mut Vec<u32>) {
        found.extend(self.swarm.membership().neighbours().copied());
    }

    fn label(message: &Self::Message) -> Label {
        Label {
            kind: message.kind(),
            bytes: message.wire_len(body_len),
            payload: matches!(message, Message::News { .. }),
        }
    }

    fn corrupt(how: Hostility, outputs: &mut Vec<Output<Self::Message>>, rng: &mut ChaCha8Rng) {
        let neighbours: Vec<u32> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Send(peer, Message::Overlay(membership::Message::Heartbeat { .. })) => Some(*peer),
                _ => None,
            })
            .collect();
        outputs.retain(|output| match output {
            Output::Send(_, Message::News { .. }) => how == Hostility::Flooding,
            Output::Send(_, Message::Announce(_)) => how == Hostility::Lying,
            Output::Send(_, message) => matches!(message, Message::Overlay(_)),
            _ => true,
        });
        // With every heartbeat, something more.
        for peer in neighbours {
            match how {
                Hostility::Silent => {}
                Hostility::Lying => {
                    let invented = (0..64).map(|_| Announcement {
                        item: Item {
                            key: MessageId {
                                origin: rng.next_u32(),
                                seq: rng.next_u64() >> 32,
                            },
                            upto: 1,
                        },
                        tree: Tree::TRUNK,
                        hops: 1,
                        waited_ms: 0,
                    });
                    outputs.push(Output::Send(peer, Message::Announce(invented.collect())));
                }
                Hostility::Flooding => {
                    let invented = (0..membership::SAMPLE_MAX).map(|_| membership::Descriptor {
                        peer: 1 << 31 | rng.next_u32(),
                        anchor: true,
                        heartbeat: u64::MAX,
                        age_s: 0,
                    });
                    let message = membership::Message::Shuffle {
                        ttl: u8::MAX,
                        peers: invented.collect(),
                    };
                    for _ in 0..16 {
                        outputs.push(Output::Send(peer, Message::Overlay(message.clone())));
                    }
                }
            }
        }
    }
}
