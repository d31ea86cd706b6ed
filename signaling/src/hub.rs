//! The rooms with a bounded queue for each socket around them, shared by all connections of a server.
//!
//! Invariants: the lock is never held across an await; a full queue loses the newest message and never blocks anybody
//! (peers repeat what matters); a socket the rooms forget has its queue closed after the reason was put into it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::signal::{Refusal, RoomId, ToPeer};
use protocol::{Instant, PeerId, limits};
use tokio::sync::mpsc;

use crate::rooms::{Limits, Output, Rooms, SocketId};

/// Messages waiting for one socket: a full queue is about 1 MiB at the very most, usually a tenth of that.
const QUEUE_LEN: usize = 64;
/// Messages waiting for a local member, which serves everybody.
const LOCAL_QUEUE_LEN: usize = 1_024;

/// What a socket's connection is told to do.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message(ToPeer),
    Close(Refusal),
}

#[derive(Debug)]
enum Queue {
    Socket(mpsc::Sender<Outgoing>),
    Local(mpsc::Sender<(PeerId, Vec<u8>)>),
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

/// A handle to the rooms of one server.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// No rooms yet. `seed` comes from the operating system.
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

    /// Enters a room without a socket, as the server's own relay. What others signal to it arrives at the receiver
    /// with the sender's proven key; it leaves when the sender is dropped.
    ///
    /// # Errors
    /// [`Refusal`] if there is no place for it.
    pub fn local(&self, peer: PeerId, room: RoomId) -> Result<(LocalSender, LocalReceiver), Refusal> {
        let now = self.now();
        let mut state = self.lock();
        let socket = state.rooms.open_local(now, peer, room)?;
        let (sender, receiver) = mpsc::channel(LOCAL_QUEUE_LEN);
        state.queues.insert(socket, Queue::Local(sender));
        drop(state);
        let hub = self.clone();
        Ok((LocalSender { hub, socket }, receiver))
    }

    /// Tells every socket that the server stops, and lets nobody in any more.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.rooms.stop();
        state.deliver();
    }

    /// Sockets open now, local members included.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.lock().rooms.sockets()
    }

    pub(crate) fn join_within(&self) -> Duration {
        self.0.join_within
    }

    pub(crate) fn open(&self, host: &str) -> Result<(SocketId, mpsc::Receiver<Outgoing>), Refusal> {
        let now = self.now();
        let mut state = self.lock();
        let socket = state.rooms.open(now, host)?;
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
                            tracing::debug!("a signal was dropped: its receiver's queue is full");
                        }
                    }
                    (Some(Queue::Local(queue)), ToPeer::Signal { from, payload }) => {
                        if queue.try_send((from, payload)).is_err() {
                            tracing::debug!("a signal to the relay was dropped: its queue is full");
                        }
                    }
                    // The relay learns nothing from other answers: it only ever answers.
                    (Some(Queue::Local(_)) | None, _) => {}
                },
                Output::Close { socket, reason } => {
                    if let Some(Queue::Socket(queue)) = self.queues.remove(&socket) {
                        // A full queue is of one who does not read; the closed queue alone ends its connection.
                        let _ = queue.try_send(Outgoing::Close(reason));
                    }
                }
            }
        }
    }
}

/// What others signal to a local member: their proven keys, and payloads.
pub type LocalReceiver = mpsc::Receiver<(PeerId, Vec<u8>)>;

/// A local member's voice. Dropping it leaves the room.
#[derive(Debug)]
pub struct LocalSender {
    hub: Hub,
    socket: SocketId,
}

impl LocalSender {
    /// Signals to a member of the room; to an absent one nothing happens. A payload over the limit is not sent.
    pub fn signal(&self, to: PeerId, payload: Vec<u8>) {
        if payload.len() > limits::SIGNAL_PAYLOAD_LEN_MAX {
            return;
        }
        let now = self.hub.now();
        let mut state = self.hub.lock();
        state.rooms.signal_local(now, self.socket, to, payload);
        state.deliver();
    }
}

impl Drop for LocalSender {
    fn drop(&mut self) {
        self.hub.close(self.socket);
    }
}
