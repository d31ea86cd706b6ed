//! Opens channels to other peers: by WebRTC, with signaling through a signaling server or neighbours; to a relay that
//! cannot be reached by WebRTC over a WebSocket.
//!
//! Pure: events go in, [`Action`]s come out.
//!
//! ```text
//! lower key                    signaling                    higher key
//!   Offer(session) ────────────────────────────────────────▶ answers
//!   offers        ◀──────────────────────────── Call(session)             when the higher key dials
//! ```
//!
//! Invariants:
//! - of two browsers the one with the lower key always offers, so two that dial each other at once still make one
//!   connection; a relay is always offered to;
//! - every dial of the engine ends in exactly one [`Action::Up`] or [`Action::Failed`], after [`PEER_TIMEOUT`] at the
//!   latest (for a relay after [`RELAY_TIMEOUT`] more);
//! - an attempt lives on when signaling goes away, and so does every channel.

use core::time::Duration;
use protocol::link::handshake::{Binding, Side};
use protocol::signal::Payload;
use protocol::{Instant, PeerId};

use super::port::{ConnectionId, ToPage};
use super::sdp;
use crate::vec_map::VecMap;

/// Timeout of a connection to another browser.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of WebRTC to a relay, which takes well under a second where UDP is not blocked; then a WebSocket is tried,
/// with the same timeout.
pub const RELAY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a relay is dialled over a WebSocket if signaling is unavailable. Both are the same server, so this
/// is rare.
const SIGNALING_PATIENCE: Duration = Duration::from_secs(2);
/// After WebRTC to a relay failed, its next dials begin with the WebSocket for this time.
const WEBRTC_PAUSE: Duration = Duration::from_secs(300);
/// A channel this young is still proving who is at its other end: another to the same peer would only replace it.
const FRESH: Duration = Duration::from_secs(4);
/// Connections strangers may have under way here. Policy when full: the oldest that is older than [`STRANGER_YOUNG`] is
/// closed for the newcomer; if there is none, the newcomer's offer or call is declined.
const STRANGERS_MAX: usize = 8;
/// An honest connection is open at this age, except through slow networks; one that is not may be held open on purpose.
const STRANGER_YOUNG: Duration = Duration::from_secs(3);
/// Connections in all, open ones included; Chromium allows 500 to a page. Policy when full: declined, or the dial
/// fails.
const CONNECTIONS_MAX: usize = 48;

/// An action for the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a signaling message to a peer without a channel.
    Signal {
        /// The receiver.
        to: PeerId,
        /// How it is carried.
        via: Via,
        payload: Payload,
    },
    /// Something for the page's broker.
    Page(ToPage),
    /// Open a WebSocket to a relay under this name.
    OpenSocket {
        /// The link's name.
        connection: ConnectionId,
        /// Where the relay is; empty: where the app is from.
        url: String,
    },
    /// Give up on a WebSocket that is not open.
    DropSocket { connection: ConnectionId },
    /// The channel is open.
    Up {
        connection: ConnectionId,
        /// The side of this device in the handshake.
        side: Side,
        /// Both certificates; `None` over a WebSocket.
        binding: Option<Binding>,
        /// Where the WebSocket leads; empty: where the app is from.
        url: String,
    },
    /// A dial of the engine failed.
    Failed { peer: PeerId },
}

/// How signaling messages between two peers without a channel are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The signaling server.
    Server,
    /// The neighbours between them.
    Neighbours,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// For signaling to be there.
    AwaitsSignaling,
    /// The peer was asked for an offer.
    Called,
    /// The page makes an offer.
    Offering,
    /// The offer is out.
    Offered,
    /// The page makes an answer, or it is out.
    Answering,
    /// A WebSocket is being opened.
    Socket,
    Open,
}

#[derive(Debug)]
struct Attempt {
    peer: PeerId,
    relay: bool,
    /// The engine waits for the outcome.
    dialled: bool,
    session: u64,
    via: Via,
    stage: Stage,
    /// When it fails; once it is open, until when it is fresh.
    deadline: Instant,
    local: Option<[u8; 32]>,
    remote: Option<[u8; 32]>,
    /// Of a WebSocket to another relay than the one the app is from.
    url: String,
}

impl Attempt {
    fn offers(&self) -> bool {
        matches!(
            self.stage,
            Stage::AwaitsSignaling | Stage::Offering | Stage::Offered
        )
    }

    fn in_page(&self) -> bool {
        matches!(
            self.stage,
            Stage::Offering | Stage::Offered | Stage::Answering | Stage::Open
        )
    }
}

/// What the dialer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportCapabilities {
    /// The page can make peer connections.
    pub webrtc: bool,
    /// Links from browser to browser are wanted.
    pub direct: bool,
}

/// All attempts, and the open connections of the page.
#[derive(Debug)]
pub struct Dialer {
    capabilities: TransportCapabilities,
    me: Option<PeerId>,
    /// The relay that serves this app: the one a WebSocket leads to.
    home_relay: Option<PeerId>,
    joined: bool,
    /// There are neighbours that can pass a message on.
    neighbours: bool,
    webrtc_after: Instant,
    next: ConnectionId,
    attempts: VecMap<ConnectionId, Attempt>,
    actions: Vec<Action>,
}

impl Dialer {
    /// No attempts.
    pub fn new(capabilities: TransportCapabilities) -> Self {
        Self {
            capabilities,
            me: None,
            home_relay: None,
            joined: false,
            neighbours: false,
            webrtc_after: Instant::default(),
            next: 1,
            attempts: VecMap::default(),
            actions: Vec::new(),
        }
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Sets the key that this device proves.
    pub fn set_me(&mut self, me: PeerId) {
        self.me = Some(me);
    }

    /// Sets the relay that serves the app.
    pub fn set_home_relay(&mut self, relay: PeerId) {
        self.home_relay = Some(relay);
    }

    /// The relay that serves the app, if it is known.
    pub fn home_relay(&self) -> Option<PeerId> {
        self.home_relay
    }

    /// The time at which [`Self::tick`] is to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.attempts
            .values()
            .filter(|a| a.stage != Stage::Open)
            .map(|a| a.deadline)
            .min()
    }

    /// The engine wants a link.
    pub fn dial(&mut self, peer: PeerId, relay: bool, now: Instant) {
        if let Some(attempt) = self
            .attempts
            .values_mut()
            .find(|a| a.peer == peer && a.stage != Stage::Open)
        {
            if attempt.dialled {
                return;
            }
            // The peer's offer came first: its outcome is the outcome of this dial.
            attempt.dialled = true;
            return;
        }
        let reachable = self.capabilities.webrtc && (relay || self.capabilities.direct) && self.me.is_some();
        let pausing = relay && now < self.webrtc_after;
        if self.attempts.len() >= CONNECTIONS_MAX || self.is_fresh(peer, now) {
            self.actions.push(Action::Failed { peer });
        } else if reachable && !pausing {
            let deadline = if relay && !self.joined {
                now + SIGNALING_PATIENCE
            } else if relay {
                now + RELAY_TIMEOUT
            } else {
                now + PEER_TIMEOUT
            };
            let connection = self.add(peer, relay, true, Stage::AwaitsSignaling, deadline);
            if self.joined || (self.neighbours && !relay) {
                self.begin(connection, now);
            }
        } else if relay && self.home_relay == Some(peer) {
            let connection = self.add(peer, relay, true, Stage::Socket, now + RELAY_TIMEOUT);
            let url = String::new();
            self.actions.push(Action::OpenSocket { connection, url });
        } else {
            self.actions.push(Action::Failed { peer });
        }
    }

    /// The engine wants a link with a relay that says where it is. The one the app is from is reached better ways.
    pub fn dial_at(&mut self, peer: PeerId, url: String, now: Instant) {
        let under_way = self
            .attempts
            .values()
            .any(|a| a.peer == peer && a.stage != Stage::Open);
        if url.is_empty() || self.home_relay == Some(peer) || under_way {
            self.dial(peer, true, now);
        } else if self.attempts.len() >= CONNECTIONS_MAX || self.is_fresh(peer, now) {
            self.actions.push(Action::Failed { peer });
        } else {
            let connection = self.add(peer, true, true, Stage::Socket, now + RELAY_TIMEOUT);
            if let Some(attempt) = self.attempts.get_mut(connection) {
                attempt.url.clone_from(&url);
            }
            self.actions.push(Action::OpenSocket { connection, url });
        }
    }

    /// Signaling is there, or gone.
    pub fn set_joined(&mut self, joined: bool, now: Instant) {
        self.joined = joined;
        if joined {
            let waiting: Vec<ConnectionId> = self
                .attempts
                .iter()
                .filter(|(_, a)| a.stage == Stage::AwaitsSignaling)
                .map(|(c, _)| c)
                .collect();
            for connection in waiting {
                self.begin(connection, now);
            }
        }
    }

    /// Whether there are neighbours that can pass a message on.
    pub fn set_neighbours(&mut self, any: bool, now: Instant) {
        if self.neighbours == any {
            return;
        }
        self.neighbours = any;
        if any && !self.joined {
            let waiting: Vec<ConnectionId> = self
                .attempts
                .iter()
                .filter(|(_, a)| a.stage == Stage::AwaitsSignaling && !a.relay)
                .map(|(c, _)| c)
                .collect();
            for connection in waiting {
                self.begin(connection, now);
            }
        }
    }

    /// A peer sent a signaling message by `via`; it is answered the same way.
    pub fn on_signal(&mut self, from: PeerId, payload: Payload, via: Via, now: Instant) {
        match payload {
            Payload::Call { session } => self.on_call(from, session, via, now),
            Payload::Offer { session, sdp } => self.on_offer(from, session, &sdp, via, now),
            Payload::Answer { session, sdp } => {
                let Some(connection) = self.find(from, session, Stage::Offered) else {
                    return;
                };
                let fingerprint = sdp::fingerprint(&sdp);
                let Some(attempt) = self.attempts.get_mut(connection) else {
                    return;
                };
                let sdp = if attempt.relay {
                    sdp
                } else {
                    sdp::without_forbidden_candidates(&sdp)
                };
                if fingerprint.is_none() || attempt.remote.is_some() {
                    self.fail(connection, now);
                    return;
                }
                attempt.remote = fingerprint;
                self.actions
                    .push(Action::Page(ToPage::Answered { connection, sdp }));
            }
            Payload::Candidate {
                session,
                candidate,
                mid,
            } => {
                let found = self
                    .attempts
                    .iter()
                    .find(|(_, a)| a.peer == from && a.session == session && a.in_page());
                if let Some((connection, attempt)) = found
                    && (attempt.relay || sdp::strangers_candidate_allowed(&candidate))
                {
                    self.actions.push(Action::Page(ToPage::Candidate {
                        connection,
                        candidate,
                        mid,
                    }));
                }
            }
            Payload::Decline { session } => {
                let found = self.attempts.iter().find(|(_, a)| {
                    a.peer == from && a.session == session && !matches!(a.stage, Stage::Open | Stage::Socket)
                });
                if let Some((connection, _)) = found {
                    self.fail(connection, now);
                }
            }
        }
    }

    /// A peer that was signalled to is not there.
    pub fn on_absent(&mut self, peer: PeerId, now: Instant) {
        let found = self.attempts.iter().find(|(_, a)| {
            a.peer == peer && matches!(a.stage, Stage::Called | Stage::Offered | Stage::Answering)
        });
        let Some((connection, attempt)) = found else {
            return;
        };
        let (relay, dialled, via, deadline) = (attempt.relay, attempt.dialled, attempt.via, attempt.deadline);
        if relay || !dialled || via == Via::Neighbours || !self.neighbours {
            self.fail(connection, now);
            return;
        }
        // The server does not know it; perhaps the neighbours do.
        self.close(connection);
        let connection = self.add(peer, relay, dialled, Stage::AwaitsSignaling, deadline);
        let joined = core::mem::take(&mut self.joined);
        self.begin(connection, now);
        self.joined = joined;
    }

    /// The page described this side of a connection.
    pub fn on_described(&mut self, connection: ConnectionId, sdp: String, now: Instant) {
        let Some(attempt) = self.attempts.get_mut(connection) else {
            return;
        };
        attempt.local = sdp::fingerprint(&sdp);
        if attempt.local.is_none() {
            self.fail(connection, now);
            return;
        }
        let (to, session, via) = (attempt.peer, attempt.session, attempt.via);
        let payload = if attempt.stage == Stage::Offering {
            attempt.stage = Stage::Offered;
            Payload::Offer { session, sdp }
        } else {
            Payload::Answer { session, sdp }
        };
        self.actions.push(Action::Signal { to, via, payload });
    }

    /// The page found a way to reach this side.
    pub fn on_local_candidate(&mut self, connection: ConnectionId, candidate: String, mid: String) {
        if let Some(attempt) = self.attempts.get(connection).filter(|a| a.in_page()) {
            let payload = Payload::Candidate {
                session: attempt.session,
                candidate,
                mid,
            };
            self.actions.push(Action::Signal {
                to: attempt.peer,
                via: attempt.via,
                payload,
            });
        }
    }

    /// A channel (or a WebSocket) is open. Said again, it does nothing.
    pub fn on_open(&mut self, connection: ConnectionId, now: Instant) {
        let Some(attempt) = self.attempts.get_mut(connection) else {
            return;
        };
        let (side, binding) = match (attempt.stage, attempt.local, attempt.remote) {
            (Stage::Socket, ..) => (Side::Initiator, None),
            (Stage::Offered, Some(offerer), Some(answerer)) => {
                (Side::Initiator, Some(Binding::Dtls { offerer, answerer }))
            }
            (Stage::Answering, Some(answerer), Some(offerer)) => {
                (Side::Responder, Some(Binding::Dtls { offerer, answerer }))
            }
            _ => return,
        };
        let socket = attempt.stage == Stage::Socket;
        let url = attempt.url.clone();
        attempt.stage = Stage::Open;
        attempt.deadline = now + FRESH;
        if socket {
            // From here on it is a link like any other and holds nothing in the page.
            self.attempts.remove(connection);
        }
        self.actions.push(Action::Up {
            connection,
            side,
            binding,
            url,
        });
    }

    /// A connection or WebSocket ended from outside. If it was an open channel, its link tells the engine.
    pub fn on_ended(&mut self, connection: ConnectionId, now: Instant) {
        if self
            .attempts
            .get(connection)
            .is_some_and(|attempt| attempt.stage == Stage::Open)
        {
            self.close(connection);
        } else {
            self.fail(connection, now);
        }
    }

    /// Lets go of a connection whose link is over.
    pub fn close(&mut self, connection: ConnectionId) {
        if let Some(attempt) = self.attempts.remove(connection)
            && attempt.in_page()
        {
            self.actions.push(Action::Page(ToPage::Close { connection }));
        }
    }

    /// Whether a name belongs to a connection of the page, open or under way.
    pub fn knows(&self, connection: ConnectionId) -> bool {
        self.attempts.contains(connection)
    }

    /// Ends what took too long.
    pub fn tick(&mut self, now: Instant) {
        let late: Vec<ConnectionId> = self
            .attempts
            .iter()
            .filter(|(_, a)| a.stage != Stage::Open && a.deadline <= now)
            .map(|(connection, _)| connection)
            .collect();
        for connection in late {
            self.fail(connection, now);
        }
    }

    fn add(
        &mut self,
        peer: PeerId,
        relay: bool,
        dialled: bool,
        stage: Stage,
        deadline: Instant,
    ) -> ConnectionId {
        let connection = self.next;
        self.next += 1;
        // Unique among the connections of these two peers; everything else about a session is checked by who says it.
        let session = connection ^ u64::from_le_bytes(first_eight(self.me)) ^ deadline.0;
        let attempt = Attempt {
            peer,
            relay,
            dialled,
            session,
            via: Via::Server,
            stage,
            deadline,
            local: None,
            url: String::new(),
            remote: None,
        };
        self.attempts.insert(connection, attempt);
        connection
    }

    /// A neighbour passes the message on: offer, or ask for an offer.
    fn begin(&mut self, connection: ConnectionId, now: Instant) {
        let joined = self.joined;
        let (Some(attempt), Some(me)) = (self.attempts.get_mut(connection), self.me) else {
            return;
        };
        if !joined && !attempt.relay {
            attempt.via = Via::Neighbours;
        }
        if attempt.relay {
            attempt.deadline = now + RELAY_TIMEOUT;
        }
        if attempt.relay || me < attempt.peer {
            attempt.stage = Stage::Offering;
            self.actions.push(Action::Page(ToPage::Offer { connection }));
        } else {
            attempt.stage = Stage::Called;
            let (to, session, via) = (attempt.peer, attempt.session, attempt.via);
            self.actions.push(Action::Signal {
                to,
                via,
                payload: Payload::Call { session },
            });
        }
    }

    fn on_call(&mut self, from: PeerId, session: u64, via: Via, now: Instant) {
        let under_way = self
            .attempts
            .values()
            .any(|a| a.peer == from && a.stage != Stage::Open && a.offers());
        if under_way {
            // The offer it asks for is on its way.
            return;
        }
        if self.is_fresh(from, now) || self.me.is_none_or(|me| me > from) || !self.accepts(from, now) {
            self.decline(from, session, via);
            return;
        }
        let connection = self.add(from, false, false, Stage::Offering, now + PEER_TIMEOUT);
        if let Some(attempt) = self.attempts.get_mut(connection) {
            attempt.session = session;
            attempt.via = via;
        }
        self.actions.push(Action::Page(ToPage::Offer { connection }));
    }

    fn on_offer(&mut self, from: PeerId, session: u64, sdp: &str, via: Via, now: Instant) {
        let mut dialled = false;
        let earlier = self
            .attempts
            .iter()
            .find(|(_, a)| a.peer == from && a.stage != Stage::Open);
        if let Some((earlier, attempt)) = earlier {
            if attempt.offers() || attempt.relay {
                // By the rule of keys it must not offer.
                self.decline(from, session, via);
                return;
            }
            // Either the offer that was called for, or a newer try of the same peer.
            dialled = attempt.dialled;
            self.close(earlier);
        }
        let remote = sdp::fingerprint(sdp);
        let sound = self.me.is_some_and(|me| me > from) && remote.is_some();
        if !sound || !dialled && !self.accepts(from, now) {
            self.decline(from, session, via);
            if dialled {
                self.actions.push(Action::Failed { peer: from });
            }
            return;
        }
        let connection = self.add(from, false, dialled, Stage::Answering, now + PEER_TIMEOUT);
        if let Some(attempt) = self.attempts.get_mut(connection) {
            attempt.session = session;
            attempt.via = via;
            attempt.remote = remote;
        }
        let sdp = sdp::without_forbidden_candidates(sdp);
        self.actions
            .push(Action::Page(ToPage::Accept { connection, sdp }));
    }

    fn is_fresh(&self, peer: PeerId, now: Instant) -> bool {
        self.attempts
            .values()
            .any(|a| a.peer == peer && a.stage == Stage::Open && now < a.deadline)
    }

    /// Whether there is room for a connection that this stranger begins; an older one may have to go for it.
    fn accepts(&mut self, from: PeerId, now: Instant) -> bool {
        if !self.capabilities.webrtc || !self.capabilities.direct || self.me == Some(from) {
            return false;
        }
        let strangers = || {
            let attempts = self.attempts.iter();
            attempts.filter(|(_, a)| !a.dialled && a.stage != Stage::Open)
        };
        if strangers().count() < STRANGERS_MAX && self.attempts.len() < CONNECTIONS_MAX {
            return true;
        }
        let oldest = strangers().min_by_key(|(_, a)| a.deadline);
        let old = oldest.filter(|(_, a)| a.deadline <= now + (PEER_TIMEOUT - STRANGER_YOUNG));
        let old = old.map(|(connection, _)| connection);
        if let Some(connection) = old {
            self.close(connection);
        }
        old.is_some()
    }

    fn decline(&mut self, to: PeerId, session: u64, via: Via) {
        self.actions.push(Action::Signal {
            to,
            via,
            payload: Payload::Decline { session },
        });
    }

    fn find(&self, peer: PeerId, session: u64, stage: Stage) -> Option<ConnectionId> {
        let found = self
            .attempts
            .iter()
            .find(|(_, a)| a.peer == peer && a.session == session && a.stage == stage);
        found.map(|(connection, _)| connection)
    }

    /// This way to the peer failed. A relay has another one.
    fn fail(&mut self, connection: ConnectionId, now: Instant) {
        let Some(attempt) = self.attempts.remove(connection) else {
            return;
        };
        if attempt.in_page() {
            self.actions.push(Action::Page(ToPage::Close { connection }));
        }
        if attempt.stage == Stage::Socket {
            self.actions.push(Action::DropSocket { connection });
        } else if attempt.relay && self.home_relay == Some(attempt.peer) {
            if attempt.stage != Stage::AwaitsSignaling {
                self.webrtc_after = now + WEBRTC_PAUSE;
            }
            let connection = self.add(
                attempt.peer,
                true,
                attempt.dialled,
                Stage::Socket,
                now + RELAY_TIMEOUT,
            );
            let url = String::new();
            self.actions.push(Action::OpenSocket { connection, url });
            return;
        }
        if attempt.dialled {
            self.actions.push(Action::Failed { peer: attempt.peer });
        }
    }
}

fn first_eight(me: Option<PeerId>) -> [u8; 8] {
    let mut bytes = [0; 8];
    if let Some(me) = me {
        bytes.copy_from_slice(&me.as_bytes()[..8]);
    }
    bytes
}
