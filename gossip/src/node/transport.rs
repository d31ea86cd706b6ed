//! What a node needs from where it runs: connections that carry frames, and a clock.

use core::fmt::{Debug, Display};
use core::future::Future;
use core::hash::Hash;
use core::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How members are named: by what others need to reach them, such as a socket address.
pub trait Peer:
    Copy + Ord + Hash + Debug + Display + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<P> Peer for P where
    P: Copy + Ord + Hash + Debug + Display + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// One connection of a transport. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What happened to a transport's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<P> {
    /// One opened, and both sides know who is at the other end.
    Connected {
        /// Its name from here on.
        connection: ConnectionId,
        /// The peer, as it named itself.
        peer: P,
        /// The peer this side dialled, if it did: the same peer, perhaps by another name.
        dialled: Option<P>,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Who was dialled.
        peer: P,
        /// What stood in the way.
        reason: String,
    },
    /// A frame arrived.
    Frame(ConnectionId, Bytes),
    /// The oldest frame that was on its way left: the connection takes more.
    Written(ConnectionId),
    /// The connection is gone.
    Closed(ConnectionId),
}

/// Connections that carry frames of up to [`wire::LEN_MAX`](crate::wire::LEN_MAX) bytes, whole and in order.
///
/// Invariants for implementors: [`Transport::event`] loses nothing when it is dropped before it is ready; every dial is
/// answered by one [`Event::Connected`] or [`Event::DialFailed`], in bounded time; a connection that was closed here is
/// spoken of no more; what is read ahead of [`Transport::event`] is bounded.
pub trait Transport: 'static {
    /// How members are named here.
    type Peer: Peer;

    /// This member's own name.
    fn address(&self) -> Self::Peer;
    /// The time since any fixed start.
    fn now(&self) -> Duration;
    /// A number that is higher at every start on this machine: the Unix time in milliseconds.
    fn epoch(&self) -> u64;
    /// Opens a connection.
    fn dial(&mut self, peer: Self::Peer);
    /// Takes a frame to be written. The caller bounds what is on its way by [`Event::Written`].
    fn send(&mut self, connection: ConnectionId, frame: Bytes);
    /// Ends a connection after what was sent.
    fn close(&mut self, connection: ConnectionId);
    /// The next thing that happens, or `None` when `deadline` comes first.
    fn event(&mut self, deadline: Duration) -> impl Future<Output = Option<Event<Self::Peer>>>;
    /// Ends all connections; comes back once what was sent has left, or cannot leave.
    fn finish(self) -> impl Future<Output = ()>;
}
