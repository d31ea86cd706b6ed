//! Rooms, their members, and the messages between them. Pure state: time and randomness are inputs, messages are
//! outputs.
//!
//! ```text
//! open ─► Joining(nonce) ──join, key proven──► Joined(peer, room) ──► gone
//!            └──── wrong proof, wrong message, too slow ────────────► gone (after `Refused`)
//! ```
//!
//! Invariants:
//! - a socket in a room has proven the key it is listed under, over a nonce nobody else was given;
//! - a key is at most once in a room: the newest socket wins, a local member always wins;
//! - a room without members does not exist;
//! - sockets, rooms, members, message sizes and rates have limits; a socket that exceeds one is closed with the
//!   reason; few members of one address may begin to signal to one member at a time; and a full room or server refuses new members rather than evicting old ones. A socket that has not joined
//!   yet gives way to a newer one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use protocol::signal::{self, CloseReason, RoomId, RoomMember, SIGNAL_VERSION, ToPeer, ToServer};
use protocol::{Instant, PeerId, limits};
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

use crate::places::network;
use crate::rate::{Rate, TokenBucket};

/// Limits of one server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets, joined or not. A joined one costs about 1 kB here, and a few times that in its connection.
    pub sockets_max: usize,
    /// Rooms. One network needs one.
    pub rooms_max: usize,
    /// Members of one room.
    pub members_max: usize,
    /// How long a socket may take to prove its key.
    pub join_within: Duration,
    /// Messages of one socket. A peer that opens 16 links at once sends each an offer and some ten candidates.
    pub messages: Rate,
    /// Payload bytes of one socket. An offer has about 1 kB, a candidate 200 bytes.
    pub bytes: Rate,
    /// Messages to one member, from all others together. Those beyond it are dropped, so that many peers cannot use the
    /// server to flood one.
    pub inbound: Rate,
    /// Messages to the server's own members from one address (IPv6: one /64); programs on this machine have
    /// [`Self::inbound`] together. Those beyond it are dropped. 64 peers behind one address each send an offer and some ten
    /// candidates.
    pub to_local: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets_max: 4_096,
            rooms_max: 1_024,
            members_max: 4_096,
            join_within: Duration::from_secs(10),
            messages: Rate {
                burst: 256,
                per_s: 32,
            },
            bytes: Rate {
                burst: 512 * 1024,
                per_s: 64 * 1024,
            },
            inbound: Rate {
                burst: 1_024,
                per_s: 256,
            },
            to_local: Rate {
                burst: 1_024,
                per_s: 64,
            },
        }
    }
}

/// Tokens a [`ToServer::List`] costs: its answer is forty times its size.
const LIST_COST: u32 = 8;

/// Identifies a socket or a local member. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(u64);

/// One thing for the caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a socket.
    Send { socket: SocketId, message: ToPeer },
    /// Give a local member a payload. `address`: the sender's, if it is not of this machine.
    Local {
        socket: SocketId,
        from: PeerId,
        address: Option<IpAddr>,
        payload: Vec<u8>,
    },
    /// Send [`ToPeer::Refused`] with this reason and close. The socket is already removed here.
    Close { socket: SocketId, reason: CloseReason },
}

/// Within this time a member answers a call, or the call has failed.
const CALL_TIME: Duration = Duration::from_secs(10);
/// Members of one address (IPv6: one /64) that may call one member within [`CALL_TIME`]. A tab has eight places for
/// connections that others begin, so one address leaves half of them to the others.
const CALLERS_PER_ADDRESS_MAX: usize = 4;
/// Calls remembered of one member, in each direction. Policy when full: the oldest is forgotten.
const CALLS_MAX: usize = 64;

/// Addresses of which it is remembered how much they sent to local members. Policy when full: those that may send all
/// again are forgotten; if there is none, further addresses share what one may send.
const LOCAL_SENDERS_MAX: usize = 4_096;

/// One member began to signal to another.
#[derive(Clone, Copy, Debug)]
struct Call {
    with: SocketId,
    /// The address of the caller, if it is not of this machine.
    address: Option<IpAddr>,
    at: Instant,
}

/// The latest calls of one direction.
#[derive(Debug, Default)]
struct Calls(VecDeque<Call>);

impl Calls {
    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|call| now.since(call.at) < CALL_TIME);
    }

    fn has(&self, with: SocketId) -> bool {
        self.0.iter().any(|call| call.with == with)
    }

    fn of(&self, address: IpAddr) -> usize {
        self.0.iter().filter(|call| call.address == Some(address)).count()
    }

    fn record(&mut self, call: Call) {
        self.0.push_back(call);
        if self.0.len() > CALLS_MAX {
            self.0.pop_front();
        }
    }
}

#[derive(Debug)]
struct Socket {
    state: State,
    /// The address of its client, if it is not of this machine.
    address: Option<IpAddr>,
    /// Whom it called, and who called it.
    called: Calls,
    callers: Calls,
    messages: TokenBucket,
    bytes: TokenBucket,
    inbound: TokenBucket,
}

#[derive(Debug)]
enum State {
    Joining {
        nonce: [u8; 32],
        host: String,
        until: Instant,
    },
    Joined {
        peer: PeerId,
        room: RoomId,
        local: bool,
    },
}

/// All rooms of one server.
#[derive(Debug)]
pub struct Rooms {
    limits: Limits,
    random: ChaCha12Rng,
    socket_next: u64,
    sockets: BTreeMap<SocketId, Socket>,
    /// Sockets that have not joined yet. All have the same time to join, so the oldest expires first.
    waiting: BTreeSet<SocketId>,
    rooms: BTreeMap<RoomId, BTreeMap<PeerId, SocketId>>,
    /// What addresses may send to local members.
    local_senders: HashMap<Option<IpAddr>, TokenBucket>,
    stopping: bool,
    outputs: VecDeque<Output>,
}

impl Rooms {
    /// A server without rooms. Nonces and samples are derived from `seed`, which a server takes from the operating
    /// system.
    #[must_use]
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            random: ChaCha12Rng::from_seed(seed),
            socket_next: 0,
            sockets: BTreeMap::new(),
            waiting: BTreeSet::new(),
            rooms: BTreeMap::new(),
            local_senders: HashMap::new(),
            stopping: false,
            outputs: VecDeque::new(),
        }
    }

    /// Handles a new socket of a client that dialled `host` (lower-case) from `address` (`None`: this machine): sends the
    /// challenge.
    ///
    /// # Errors
    /// [`CloseReason::ServerFull`] or [`CloseReason::Stopping`]; nothing changed.
    pub fn open(
        &mut self,
        now: Instant,
        host: &str,
        address: Option<IpAddr>,
    ) -> Result<SocketId, CloseReason> {
        if self.stopping {
            return Err(CloseReason::Stopping);
        }
        if self.sockets.len() >= self.limits.sockets_max {
            let oldest = self.waiting.first().copied().ok_or(CloseReason::ServerFull)?;
            self.refuse(oldest, CloseReason::TooSlow);
        }
        let mut nonce = [0u8; 32];
        self.random.fill_bytes(&mut nonce);
        let state = State::Joining {
            nonce,
            host: host.to_owned(),
            until: now + self.limits.join_within,
        };
        let socket = self.insert(now, state, address.map(network));
        self.waiting.insert(socket);
        self.send(
            socket,
            ToPeer::Challenge {
                version: SIGNAL_VERSION,
                nonce,
            },
        );
        Ok(socket)
    }

    /// Lets the server's own relay join a room without a proof. It is listed first and never replaced.
    ///
    /// # Errors
    /// [`CloseReason::ServerFull`], [`CloseReason::RoomFull`], or [`CloseReason::Replaced`] if it is there already;
    /// nothing changed.
    pub fn open_local(&mut self, now: Instant, peer: PeerId, room: RoomId) -> Result<SocketId, CloseReason> {
        if self.sockets.len() >= self.limits.sockets_max {
            return Err(CloseReason::ServerFull);
        }
        self.reserve_membership(peer, room)?;
        let local = true;
        let socket = self.insert(now, State::Joined { peer, room, local }, None);
        self.rooms.entry(room).or_default().insert(peer, socket);
        Ok(socket)
    }

    /// Handles a message from a socket. One from a removed socket is ignored.
    pub fn receive(&mut self, now: Instant, socket: SocketId, bytes: &[u8]) {
        if let Err(reason) = self.try_receive(now, socket, bytes) {
            self.refuse(socket, reason);
        }
    }

    /// Forwards a payload from a local member.
    pub fn signal_local(&mut self, now: Instant, socket: SocketId, to: PeerId, payload: Vec<u8>) {
        if let Some(State::Joined { peer, room, .. }) = self.sockets.get(&socket).map(|socket| &socket.state)
        {
            let (peer, room) = (*peer, *room);
            self.forward(now, socket, peer, room, to, payload);
        }
    }

    /// Handles the end of a socket.
    pub fn close(&mut self, socket: SocketId) {
        self.forget(socket);
    }

    /// Closes the sockets that have not joined in time.
    pub fn tick(&mut self, now: Instant) {
        while let Some(&socket) = self.waiting.first() {
            match self.sockets.get(&socket).map(|socket| &socket.state) {
                Some(State::Joining { until, .. }) if *until > now => break,
                _ => self.refuse(socket, CloseReason::TooSlow),
            }
        }
    }

    /// Closes all sockets with [`CloseReason::Stopping`] and accepts no more.
    pub fn stop(&mut self) {
        self.stopping = true;
        for socket in self.sockets.keys().copied().collect::<Vec<_>>() {
            self.refuse(socket, CloseReason::Stopping);
        }
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the socket's peer has proven its key and is in a room.
    #[must_use]
    pub fn is_joined(&self, socket: SocketId) -> bool {
        let socket = self.sockets.get(&socket);
        socket.is_some_and(|socket| matches!(socket.state, State::Joined { .. }))
    }

    /// Number of open sockets, local members included.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Number of rooms.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn try_receive(&mut self, now: Instant, id: SocketId, bytes: &[u8]) -> Result<(), CloseReason> {
        let (message_rate, byte_rate) = (self.limits.messages, self.limits.bytes);
        let Some(socket) = self.sockets.get_mut(&id) else {
            return Ok(());
        };
        // Size and rate are checked before anything is decoded.
        if bytes.len() > limits::SIGNAL_LEN_MAX {
            return Err(CloseReason::Malformed);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if !socket.messages.take(message_rate, now, 1) || !socket.bytes.take(byte_rate, now, length) {
            return Err(CloseReason::TooFast);
        }
        let message: ToServer = signal::decode(bytes).map_err(|_| CloseReason::Malformed)?;
        match (&socket.state, message) {
            (
                State::Joining { nonce, host, .. },
                ToServer::Join {
                    version,
                    peer,
                    room,
                    signature,
                },
            ) => {
                if version != SIGNAL_VERSION {
                    return Err(CloseReason::Version);
                }
                signal::verify_join(&peer, nonce, &room, host, &signature)
                    .map_err(|_| CloseReason::BadSignature)?;
                self.join(id, peer, room)
            }
            (State::Joined { peer, room, .. }, ToServer::Signal { to, payload }) => {
                let (peer, room) = (*peer, *room);
                if to == peer || payload.len() > limits::SIGNAL_PAYLOAD_LEN_MAX {
                    return Err(CloseReason::Malformed);
                }
                self.forward(now, id, peer, room, to, payload);
                Ok(())
            }
            (State::Joined { peer, room, .. }, ToServer::List) => {
                let (peer, room) = (*peer, *room);
                if !socket.messages.take(message_rate, now, LIST_COST - 1) {
                    return Err(CloseReason::TooFast);
                }
                let members = self.sample(peer, room);
                self.send(id, ToPeer::Members { members });
                Ok(())
            }
            (State::Joined { .. }, ToServer::Join { .. }) | (State::Joining { .. }, _) => {
                Err(CloseReason::Malformed)
            }
        }
    }

    fn join(&mut self, socket: SocketId, peer: PeerId, room: RoomId) -> Result<(), CloseReason> {
        self.reserve_membership(peer, room)?;
        self.waiting.remove(&socket);
        if let Some(joining) = self.sockets.get_mut(&socket) {
            let local = false;
            joining.state = State::Joined { peer, room, local };
        }
        self.rooms.entry(room).or_default().insert(peer, socket);
        let members = self.sample(peer, room);
        self.send(socket, ToPeer::Joined { members });
        Ok(())
    }

    /// Checks that `peer` can join `room`, and closes its older socket there, if any.
    fn reserve_membership(&mut self, peer: PeerId, room: RoomId) -> Result<(), CloseReason> {
        let Some(members) = self.rooms.get(&room) else {
            return if self.rooms.len() < self.limits.rooms_max {
                Ok(())
            } else {
                Err(CloseReason::ServerFull)
            };
        };
        match members.get(&peer) {
            Some(&older) if self.is_local(older) => Err(CloseReason::Replaced),
            Some(&older) => {
                self.refuse(older, CloseReason::Replaced);
                Ok(())
            }
            None if members.len() >= self.limits.members_max => Err(CloseReason::RoomFull),
            None => Ok(()),
        }
    }

    fn forward(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: PeerId,
        room: RoomId,
        to: PeerId,
        payload: Vec<u8>,
    ) {
        let Some(&target) = self.rooms.get(&room).and_then(|members| members.get(&to)) else {
            self.send(socket, ToPeer::Absent { peer: to });
            return;
        };
        if !self.may_call(now, socket, target) {
            self.send(socket, ToPeer::Absent { peer: to });
            return;
        }
        if self.is_local(target) {
            let address = self.sockets.get(&socket).and_then(|sender| sender.address);
            if self.may_send_to_local(now, address) {
                self.outputs.push_back(Output::Local {
                    socket: target,
                    from,
                    address,
                    payload,
                });
            }
            return;
        }
        let rate = self.limits.inbound;
        let has_room = self
            .sockets
            .get_mut(&target)
            .is_some_and(|target| target.inbound.take(rate, now, 1));
        if has_room {
            self.send(target, ToPeer::Signal { from, payload });
        }
    }

    /// Whether an address may send one more message to a local member. What others send does not matter, so nobody's
    /// offers to a relay are lost because another address sends many.
    fn may_send_to_local(&mut self, now: Instant, mut address: Option<IpAddr>) -> bool {
        let rate = match address {
            Some(_) => self.limits.to_local,
            None => self.limits.inbound,
        };
        if self.local_senders.len() >= LOCAL_SENDERS_MAX && !self.local_senders.contains_key(&address) {
            self.local_senders.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.local_senders.len() >= LOCAL_SENDERS_MAX {
                address = Some(Ipv6Addr::UNSPECIFIED.into());
            }
        }
        let bucket = self.local_senders.entry(address);
        bucket
            .or_insert_with(|| TokenBucket::new(rate, now))
            .take(rate, now, 1)
    }

    /// Whether a member may signal to another: if the other called it, or not too many of its address call the other.
    fn may_call(&mut self, now: Instant, from: SocketId, to: SocketId) -> bool {
        if self.is_local(to) {
            return true;
        }
        let Some(address) = self.sockets.get(&from).map(|caller| caller.address) else {
            return false;
        };
        let Some(target) = self.sockets.get_mut(&to) else {
            return false;
        };
        target.called.forget_old(now);
        target.callers.forget_old(now);
        if target.called.has(from) || target.callers.has(from) {
            return true;
        }
        if address.is_some_and(|address| target.callers.of(address) >= CALLERS_PER_ADDRESS_MAX) {
            return false;
        }
        let at = now;
        target.callers.record(Call {
            with: from,
            address,
            at,
        });
        if let Some(caller) = self.sockets.get_mut(&from) {
            caller.called.forget_old(now);
            caller.called.record(Call {
                with: to,
                address: None,
                at,
            });
        }
        true
    }

    /// Other members of the room: local ones first, then a random sample.
    fn sample(&mut self, peer: PeerId, room: RoomId) -> Vec<RoomMember> {
        let Some(members) = self.rooms.get(&room) else {
            return Vec::new();
        };
        let (mut chosen, mut others) = (Vec::new(), Vec::new());
        for (&other, &socket) in members {
            if other != peer {
                let relay = self.is_local(socket);
                let list = if relay { &mut chosen } else { &mut others };
                list.push(RoomMember { peer: other, relay });
            }
        }
        chosen.truncate(limits::SIGNAL_MEMBERS_MAX);
        while chosen.len() < limits::SIGNAL_MEMBERS_MAX && !others.is_empty() {
            // The bias of a remainder over 64 bits is far below anything a peer could notice.
            let at = usize::try_from(self.random.next_u64() % others.len() as u64).unwrap_or(0);
            chosen.push(others.swap_remove(at));
        }
        chosen
    }

    fn insert(&mut self, now: Instant, state: State, address: Option<IpAddr>) -> SocketId {
        let socket = SocketId(self.socket_next);
        self.socket_next += 1;
        self.sockets.insert(
            socket,
            Socket {
                state,
                address,
                called: Calls::default(),
                callers: Calls::default(),
                messages: TokenBucket::new(self.limits.messages, now),
                bytes: TokenBucket::new(self.limits.bytes, now),
                inbound: TokenBucket::new(self.limits.inbound, now),
            },
        );
        socket
    }

    fn is_local(&self, socket: SocketId) -> bool {
        self.sockets
            .get(&socket)
            .is_some_and(|socket| matches!(socket.state, State::Joined { local: true, .. }))
    }

    fn send(&mut self, socket: SocketId, message: ToPeer) {
        self.outputs.push_back(Output::Send { socket, message });
    }

    fn refuse(&mut self, socket: SocketId, reason: CloseReason) {
        if self.forget(socket) {
            self.outputs.push_back(Output::Close { socket, reason });
        }
    }

    fn forget(&mut self, socket: SocketId) -> bool {
        self.waiting.remove(&socket);
        let Some(gone) = self.sockets.remove(&socket) else {
            return false;
        };
        if let State::Joined { peer, room, .. } = gone.state
            && let Some(members) = self.rooms.get_mut(&room)
        {
            debug_assert_eq!(
                members.get(&peer),
                Some(&socket),
                "a member is listed under its socket"
            );
            members.remove(&peer);
            if members.is_empty() {
                self.rooms.remove(&room);
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "rooms_tests.rs"]
mod tests;
