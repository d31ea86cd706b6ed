//! The client of the signaling server: proves this device's key, learns of other peers, passes their messages.
//!
//! Invariants: links do not depend on it; it reconnects by itself, after pauses with full jitter, or at once after a
//! sign that the network is back (network, visibility, waking up); a socket that silently died is noticed, since every
//! listing of members must be answered.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use protocol::signal::{self, CloseReason, Payload, RoomId, RoomMember, SIGNAL_VERSION, ToPeer, ToServer};
use protocol::{KeyPair, PeerId, codec};

use super::backoff::Backoff;
use super::links::{Pipe, PipeEvent};
use super::websocket::Socket;
use crate::platform::{self, Alarm};

/// Timeout for joining the room.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval at which the members of the room are listed again.
const LIST_EVERY: Duration = Duration::from_secs(45);
/// Timeout of the list of members.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the list of members when the socket may be broken.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What signaling brings.
#[derive(Debug)]
pub enum SignalingEvent {
    /// This peer is in the room, with these.
    Joined(Vec<RoomMember>),
    /// Some members, asked for again.
    Members(Vec<RoomMember>),
    /// A peer said something.
    Signal { from: PeerId, payload: Payload },
    /// A peer that was signalled to is not there.
    Absent(PeerId),
    /// The socket is gone; it will come back.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No key yet, or stopped.
    Idle,
    /// Until the alarm.
    Pausing,
    /// Waiting for the server's welcome.
    Joining,
    /// Welcome; the alarm lists the members.
    Joined,
    /// Welcome; the list was asked for, and the alarm means that no answer came.
    Listing,
}

/// The connection to the signaling server.
pub struct Signaling {
    me: Weak<Self>,
    url: String,
    host: String,
    key: RefCell<Option<KeyPair>>,
    state: Cell<State>,
    socket: RefCell<Option<Rc<Socket>>>,
    /// Tells the events of the present socket from those of earlier ones.
    generation: Cell<u64>,
    backoff: RefCell<Backoff>,
    alarm: Rc<Alarm>,
    tell: Box<dyn Fn(SignalingEvent)>,
}

impl Signaling {
    /// Does nothing before it has a key. `host` is what the browser puts into the `Host` header of `url`.
    pub fn new(url: String, host: String, tell: impl Fn(SignalingEvent) + 'static) -> Rc<Self> {
        Rc::new_cyclic(|me: &Weak<Self>| {
            let ringing = me.clone();
            Self {
                me: me.clone(),
                url,
                host,
                key: RefCell::new(None),
                state: Cell::new(State::Idle),
                socket: RefCell::new(None),
                generation: Cell::new(0),
                backoff: RefCell::new(Backoff::new(Duration::from_millis(300), Duration::from_secs(10))),
                alarm: Alarm::new(move || {
                    if let Some(signaling) = ringing.upgrade() {
                        signaling.ring();
                    }
                }),
                tell: Box::new(tell),
            }
        })
    }

    /// This device's key is known: join.
    pub fn start(&self, key: KeyPair) {
        *self.key.borrow_mut() = Some(key);
        if self.state.get() == State::Idle {
            self.connect();
        }
    }

    /// Reconnects now, or probes the open socket, after a sign that the network is back.
    pub fn hurry(&self) {
        self.backoff.borrow_mut().reset();
        match self.state.get() {
            State::Idle | State::Joining => {}
            State::Pausing => self.connect(),
            State::Joined | State::Listing => self.list(PROBE_TIMEOUT),
        }
    }

    /// A connection is about to need it: do not wait for the end of a pause.
    pub fn try_now(&self) {
        if self.state.get() == State::Pausing {
            self.connect();
        }
    }

    /// Says something to a peer; lost if the socket is gone, as everything on it.
    pub fn signal(&self, to: PeerId, payload: &Payload) {
        self.send(&ToServer::Signal {
            to,
            payload: codec::encode(payload),
        });
    }

    /// Leaves for good.
    pub fn stop(&self) {
        *self.key.borrow_mut() = None;
        self.state.set(State::Idle);
        self.drop_socket();
        self.alarm.set(None);
    }

    fn send(&self, message: &ToServer) {
        let sent = self
            .socket
            .borrow()
            .as_ref()
            .is_some_and(|socket| socket.send(&codec::encode(message)));
        if !sent {
            platform::debug("signaling: a message was lost, the socket is gone");
        }
    }

    fn connect(&self) {
        self.drop_socket();
        let generation = self.generation.get();
        let me = self.me.clone();
        let opened = Socket::open(&self.url, move |event| {
            if let Some(signaling) = me.upgrade()
                && signaling.generation.get() == generation
            {
                signaling.on_socket(event);
            }
        });
        match opened {
            Ok(socket) => {
                *self.socket.borrow_mut() = Some(socket);
                self.state.set(State::Joining);
                self.alarm.set(Some(platform::instant() + JOIN_TIMEOUT));
            }
            Err(_) => self.lost(),
        }
    }

    fn drop_socket(&self) {
        self.generation.set(self.generation.get() + 1);
        // It closes when dropped. This may well be inside one of its callbacks, which live until they return.
        self.socket.take();
    }

    fn on_socket(&self, event: PipeEvent) {
        match event {
            PipeEvent::Open => {}
            PipeEvent::Closed => self.lost(),
            PipeEvent::Frame(bytes) => match signal::decode::<ToPeer>(&bytes) {
                Ok(message) => self.on_message(message),
                Err(_) => self.lost(),
            },
        }
    }

    fn on_message(&self, message: ToPeer) {
        match message {
            ToPeer::Challenge { version, nonce } => {
                let key = self.key.borrow();
                let Some(key) = key.as_ref().filter(|_| version == SIGNAL_VERSION) else {
                    drop(key);
                    self.lost();
                    return;
                };
                let room = RoomId::lobby();
                self.send(&ToServer::Join {
                    version: SIGNAL_VERSION,
                    peer: PeerId(key.public()),
                    room,
                    signature: signal::sign_join(key, &nonce, &room, &self.host),
                });
            }
            ToPeer::Joined { members } if self.state.get() == State::Joining => {
                self.backoff.borrow_mut().reset();
                self.rest();
                (self.tell)(SignalingEvent::Joined(members));
            }
            ToPeer::Members { members } => {
                self.rest();
                (self.tell)(SignalingEvent::Members(members));
            }
            ToPeer::Signal { from, payload } => {
                // What does not decode is another peer's mistake, and nothing waits for it.
                if let Ok(payload) = signal::decode::<Payload>(&payload) {
                    (self.tell)(SignalingEvent::Signal { from, payload });
                }
            }
            ToPeer::Absent { peer } => (self.tell)(SignalingEvent::Absent(peer)),
            ToPeer::Refused { reason } => {
                platform::debug(&format!("signaling: {reason}"));
                if reason != CloseReason::Stopping {
                    // Whatever it is, coming back quickly would not help.
                    for _ in 0..8 {
                        self.backoff.borrow_mut().pause(0);
                    }
                }
                self.lost();
            }
            ToPeer::Joined { .. } => {}
        }
    }

    fn rest(&self) {
        self.state.set(State::Joined);
        self.alarm.set(Some(platform::instant() + LIST_EVERY));
    }

    fn list(&self, timeout: Duration) {
        self.state.set(State::Listing);
        self.alarm.set(Some(platform::instant() + timeout));
        self.send(&ToServer::List);
    }

    fn ring(&self) {
        match self.state.get() {
            State::Idle => {}
            State::Pausing => self.connect(),
            State::Joining | State::Listing => self.lost(),
            State::Joined => self.list(LIST_TIMEOUT),
        }
    }

    fn lost(&self) {
        let was = self.state.replace(State::Pausing);
        self.drop_socket();
        let pause = self.backoff.borrow_mut().pause(platform::random_u64());
        self.alarm.set(Some(platform::instant() + pause));
        if matches!(was, State::Joined | State::Listing) {
            (self.tell)(SignalingEvent::Left);
        }
    }
}
