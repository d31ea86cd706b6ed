//! The signaling server: rooms, and a bounded queue for each socket. Shared by all connections.
//!
//! Invariants: the lock is never held across an await; a full queue drops the newest message and never blocks another
//! socket (peers repeat what matters); when the rooms remove a socket, the reason is queued and then the queue is
//! closed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::signal::{CloseReason, RoomId, ToPeer};
use protocol::{Instant, PeerId, limits};
use tokio::sync::mpsc;

use crate::rooms::{Limits, Output, Rooms, SocketId};

/// Messages queued for one socket: at most about 1 MiB, usually a tenth of that.
const QUEUE_LEN: usize = 64;
/// Messages queued for a local member, which answers all peers.
const LOCAL_QUEUE_LEN: usize = 1_024;

/// Work for the connection of a socket.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message(ToPeer),
    Close(CloseReason),
}

#[derive(Debug)]
enum Queue {
    Socket(mpsc::Sender<Outgoing>),
    Local(mpsc::Sender<LocalCall>),
}

#[derive(Debug)]
struct State {
    rooms: Rooms,
    queues: HashMap<SocketId, Queue>,
}

#[derive(Debug)]
struct Shared {
    start: std::time::Instant,
    join_within: Duration,
    state: Mutex<State>,
}

/// A signaling server. Clones are handles to the same server.
#[derive(Clone, Debug)]
pub struct SignalingServer(Arc<Shared>);

impl SignalingServer {
    /// A server without rooms. `seed` must come from the operating system's random source.
    #[must_use]
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self(Arc::new(Shared {
            start: std::time::Instant::now(),
            join_within: limits.join_within,
            state: Mutex::new(State {
                rooms: Rooms::new(limits, seed),
                queues: HashMap::new(),
            }),
        }))
    }

    /// Joins a room without a socket, as the server's own relay. Signals to it arrive at the receiver with the proven
    /// key of their sender. Dropping the [`LocalSender`] leaves the room.
    ///
    /// # Errors
    /// [`CloseReason`] if the server or the room is full, or the key is in the room already.
    pub fn local(&self, peer: PeerId, room: RoomId) -> Result<(LocalSender, LocalReceiver), CloseReason> {
        let now = self.now();
        let mut state = self.lock();
        let socket = state.rooms.open_local(now, peer, room)?;
        let (sender, receiver) = mpsc::channel(LOCAL_QUEUE_LEN);
        state.queues.insert(socket, Queue::Local(sender));
        drop(state);
        let server = self.clone();
        Ok((LocalSender { server, socket }, receiver))
    }

    /// Closes every socket with [`CloseReason::Stopping`] and accepts no more.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.rooms.stop();
        state.deliver();
    }

    /// Number of open sockets, local members included.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.lock().rooms.sockets()
    }

    pub(crate) fn join_within(&self) -> Duration {
        self.0.join_within
    }

    pub(crate) fn open(
        &self,
        host: &str,
        address: Option<IpAddr>,
    ) -> Result<(SocketId, mpsc::Receiver<Outgoing>), CloseReason> {
        let now = self.now();
        let mut state = self.lock();
        let socket = state.rooms.open(now, host, address)?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        state.queues.insert(socket, Queue::Socket(sender));
        state.deliver();
        Ok((socket, receiver))
    }

    pub(crate) fn receive(&self, socket: SocketId, bytes: &[u8]) {
        let now = self.now();
        let mut state = self.lock();
        state.rooms.receive(now, socket, bytes);
        state.deliver();
    }

    /// Whether the socket's peer has proven its key and is in a room.
    pub(crate) fn is_joined(&self, socket: SocketId) -> bool {
        self.lock().rooms.is_joined(socket)
    }

    pub(crate) fn tick(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.rooms.tick(now);
        state.deliver();
    }

    pub(crate) fn close(&self, socket: SocketId) {
        let mut state = self.lock();
        state.rooms.close(socket);
        state.queues.remove(&socket);
        state.deliver();
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::default() + self.0.start.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { socket, message } => match (self.queues.get(&socket), message) {
                    (Some(Queue::Socket(queue)), message) => {
                        if queue.try_send(Outgoing::Message(message)).is_err() {
                            tracing::debug!(?socket, "signal dropped: queue full");
                        }
                    }
                    // The relay only answers offers, so it needs no other message.
                    (Some(Queue::Local(_)) | None, _) => {}
                },
                Output::Local {
                    socket,
                    from,
                    address,
                    payload,
                } => {
                    let call = LocalCall {
                        from,
                        address,
                        payload,
                    };
                    if let Some(Queue::Local(queue)) = self.queues.get(&socket)
                        && queue.try_send(call).is_err()
                    {
                        tracing::debug!(peer = %from, "signal to the relay dropped: queue full");
                    }
                }
                Output::Close { socket, reason } => {
                    if let Some(Queue::Socket(queue)) = self.queues.remove(&socket) {
                        // A full queue belongs to a peer that does not read; closing the queue alone ends its
                        // connection.
                        let _ = queue.try_send(Outgoing::Close(reason));
                    }
                }
            }
        }
    }
}

/// A signal to a local member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCall {
    /// The sender's proven key.
    pub from: PeerId,
    /// The sender's address (IPv6: any of its /64), if it is not of this machine.
    pub address: Option<IpAddr>,
    /// What it sent.
    pub payload: Vec<u8>,
}

/// Signals to a local member.
pub type LocalReceiver = mpsc::Receiver<LocalCall>;

/// Sends signals as a local member. Dropping it leaves the room.
#[derive(Debug)]
pub struct LocalSender {
    server: SignalingServer,
    socket: SocketId,
}

impl LocalSender {
    /// Signals to a member of the room. Nothing happens if it is absent or the payload is over the limit.
    pub fn signal(&self, to: PeerId, payload: Vec<u8>) {
        if payload.len() > limits::SIGNAL_PAYLOAD_LEN_MAX {
            return;
        }
        let now = self.server.now();
        let mut state = self.server.lock();
        state.rooms.signal_local(now, self.socket, to, payload);
        state.deliver();
    }
}

impl Drop for LocalSender {
    fn drop(&mut self) {
        self.server.close(self.socket);
    }
}
