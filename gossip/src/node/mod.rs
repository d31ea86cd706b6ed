//! One member of a swarm as a handle: bind, join through any one member, say typed things to all or to one, hear.
//!
//! ```
//! # use gossip::node::{Config, tcp};
//! gossip::messages! {
//!     #[derive(Debug)]
//!     pub enum Chat {
//!         1 => Said(String),
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ada = tcp::bind::<Chat>("127.0.0.1:0".parse()?, Config::default()).await?;
//! let bob = tcp::bind::<Chat>("127.0.0.1:0".parse()?, Config::default()).await?;
//! bob.join(ada.address()).await?;
//! bob.broadcast(&Chat::Said("hello, everybody".to_owned())).await?;
//! match ada.recv().await.ok_or("the node ended")?.message {
//!     Chat::Said(text) => assert_eq!(text, "hello, everybody"),
//!     Chat::Unknown { tag, .. } => println!("a later version says something under tag {tag}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A node is a handle and a driver. The driver runs the sans-I/O [`Swarm`](crate::swarm::Swarm) over a [`Transport`]:
//! [`tcp`] on a network, [`memory`] in tests, anything else that carries frames, such as channels between tabs (see the
//! example `browser`). Nothing here proves who a peer is: over TCP, members believe each other's addresses, so a swarm
//! belongs on a network whose machines are trusted, or over a transport that authenticates.
//!
//! Everything is bounded. Calls wait while [`COMMANDS_MAX`] wait before them. What arrives faster than [`Node::recv`]
//! takes it is dropped beyond [`Config::inbox`] and counted in [`Received::missed`]; the swarm is not held up. A
//! neighbour that does not take what it is sent hears announcements instead of news after
//! [`CREDIT_WINDOW`](crate::swarm::CREDIT_WINDOW) bytes and loses its connection after [`QUEUE_MAX`].

mod driver;
#[cfg(feature = "native")]
pub mod memory;
#[cfg(feature = "native")]
pub mod tcp;
mod transport;

use core::fmt::Debug;
use core::future::Future;
use core::marker::PhantomData;
use core::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::membership;
use crate::swarm::MessageId;
use crate::typed::{self, Messages};
use driver::{Command, Delivery, Driver};
pub use transport::{ConnectionId, Event, Peer, Transport};

/// Calls that wait for the driver at once; further ones wait for their turn.
pub const COMMANDS_MAX: usize = 64;
/// Bytes on their way to one connection. Beyond it the connection is given up: it does not take what it is sent.
pub const QUEUE_MAX: usize = 4 << 20;

/// How a node behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its part in the overlay.
    pub membership: membership::Config,
    /// How long [`Node::join`] waits for a member to accept the node.
    pub join_timeout: Duration,
    /// Messages that may wait for [`Node::recv`].
    pub inbox: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            membership: membership::Config::visitor(),
            join_timeout: Duration::from_secs(15),
            inbox: 1_024,
        }
    }
}

/// Why a node could not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No peer answers at that address. The node tries again by itself from time to time.
    #[error("{peer} cannot be reached: {reason}")]
    Unreachable {
        /// The address.
        peer: String,
        /// The reason.
        reason: String,
    },
    /// No member accepted the node within [`Config::join_timeout`]. The node goes on trying.
    #[error("no member accepted this node; is a member of the same version at that address?")]
    NoAnswer,
    /// The node has ended.
    #[error("the node has ended")]
    Ended,
}

/// Why a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The message cannot be encoded.
    #[error("the message cannot be sent: {0}")]
    Message(#[from] typed::Error),
    /// The peer is not a neighbour: broadcast the message, or send it to one of [`Node::neighbours`].
    #[error("not a neighbour")]
    NoNeighbour,
    /// The node has ended.
    #[error("the node has ended")]
    Ended,
}

/// How a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By broadcast.
    Broadcast {
        /// Links it travelled.
        hops: u8,
    },
    /// It was sent to this node alone.
    Direct,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<M, P> {
    /// Who said it, by the word of those it came through.
    pub from: P,
    /// How it came.
    pub way: Way,
    /// The message.
    pub message: M,
    /// Messages dropped since the last one, because nobody took them in time.
    pub missed: u64,
}

/// One member. Dropping it leaves the swarm. See the module.
#[derive(Debug)]
pub struct Node<M, P> {
    address: P,
    commands: mpsc::Sender<Command<P>>,
    inbox: mpsc::Receiver<Delivery<P>>,
    malformed: u64,
    says: PhantomData<fn() -> M>,
}

impl<M: Messages, P: Peer> Node<M, P> {
    /// A member that knows nobody yet, and its driver, which the caller runs. `seed`: from a secure random source, or a
    /// fixed one in tests.
    pub fn start<T: Transport<Peer = P>>(
        transport: T,
        config: Config,
        seed: [u8; 32],
    ) -> (Self, impl Future<Output = ()> + use<M, P, T>) {
        let (commands, to_do) = mpsc::channel(COMMANDS_MAX);
        let (deliver, inbox) = mpsc::channel(config.inbox.max(1));
        let node = Self {
            address: transport.address(),
            commands,
            inbox,
            malformed: 0,
            says: PhantomData,
        };
        let driver = Driver::new(transport, config, seed, deliver);
        (node, driver.run(to_do))
    }

    /// How others reach this node.
    pub const fn address(&self) -> P {
        self.address
    }

    /// Joins a swarm through any of its members. Returns once a member accepted this node.
    ///
    /// # Errors
    /// No member did.
    pub async fn join(&self, through: P) -> Result<(), JoinError> {
        let ask = |answer| Command::Join { through, answer };
        self.ask(ask).await.unwrap_or(Err(JoinError::Ended))
    }

    /// Sends a message to all other members. A member that is away gets it when it is back, unless too much time has
    /// passed (see [`swarm`](crate::swarm)).
    ///
    /// # Errors
    /// It cannot be sent.
    pub async fn broadcast(&self, message: &M) -> Result<MessageId<P>, SendError> {
        let body = Bytes::from(message.encode()?);
        let ask = |answer| Command::Broadcast { body, answer };
        self.ask(ask).await.ok_or(SendError::Ended)
    }

    /// Sends a message to one neighbour. It is not repeated if the connection breaks.
    ///
    /// # Errors
    /// It cannot be sent.
    pub async fn send(&self, to: P, message: &M) -> Result<(), SendError> {
        let body = Bytes::from(message.encode()?);
        let ask = |answer| Command::Send { to, body, answer };
        match self.ask(ask).await {
            Some(true) => Ok(()),
            Some(false) => Err(SendError::NoNeighbour),
            None => Err(SendError::Ended),
        }
    }

    /// The next message; `None` once the node has ended. Malformed messages are dropped and counted.
    pub async fn recv(&mut self) -> Option<Received<M, P>> {
        loop {
            let Delivery {
                from,
                way,
                body,
                missed,
            } = self.inbox.recv().await?;
            if let Ok(message) = M::decode(&body) {
                return Some(Received {
                    from,
                    way,
                    message,
                    missed,
                });
            }
            self.malformed += 1;
        }
    }

    /// Number of malformed messages received.
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The node's neighbours; none once it has ended.
    pub async fn neighbours(&self) -> Vec<P> {
        self.ask(Command::Neighbours).await.unwrap_or_default()
    }

    /// Peers this node could link with if it lost its neighbours. Keep them across restarts: [`Node::join`] through
    /// any of them leads back into the swarm. Empty once the node has ended.
    pub async fn acquaintances(&self) -> Vec<P> {
        self.ask(Command::Acquaintances).await.unwrap_or_default()
    }

    /// Leaves the swarm in order: neighbours are notified, and get each other's addresses. Returns once that is sent.
    pub async fn leave(self) {
        // If it has ended already, no neighbour is left to notify.
        let _: Option<()> = self.ask(Command::Leave).await;
    }

    async fn ask<A>(&self, command: impl FnOnce(oneshot::Sender<A>) -> Command<P>) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.ok()?;
        answered.await.ok()
    }
}
