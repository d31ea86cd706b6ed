//! Channels to other peers: handshake, frames, liveness.
//!
//! Invariant: until a channel's handshake is done nothing but handshake frames is accepted on it. A peer that breaks
//! the protocol gets the reason and loses its link; other links are not affected.

use std::time::Duration;

use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{
    Binding, Established, Handshake, HandshakeError, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN,
    feature, pair_salt, relay_salt,
};
use protocol::messages::{Decoded, Message, Ping};
use protocol::{AccountId, Instant, PeerId, Timestamp};

use crate::api::{LinkView, Transport};
use crate::ctx::Ctx;
use crate::io::{AddressId, LinkId, Log, Output};

/// A link whose handshake is not done within this time is closed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval at which hello and proof are repeated until the handshake is done, since the first may be lost.
const HANDSHAKE_REPEAT: Duration = Duration::from_secs(1);
/// Interval between two pings to a peer.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A link is closed when nothing was received on it for this time: two pings went unanswered.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// Characters of a peer's reason for closing that reach the log.
const REASON_CHARS_MAX: usize = 200;

/// A channel to another peer, proven or not.
#[derive(Debug)]
pub(super) struct Channel {
    transport: Transport,
    address: Option<AddressId>,
    side: Side,
    opened: Instant,
    since: Timestamp,
    reassembly: Reassembly,
    last_heard: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Handshaking {
        handshake: Box<Handshake>,
        began: Instant,
        repeated: Instant,
    },
    Proven(Box<Session>),
}

/// A channel whose peer has proven its key.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: LinkId,
    pub(crate) peer: PeerId,
    /// Both sides take each other for neighbours. Before and after that, only messages of the overlay count.
    pub(crate) neighbour: bool,
    /// The account whose device it proved to be.
    pub(crate) account: Option<AccountId>,
    /// It calls itself a relay.
    pub(crate) relay: bool,
    /// It is a relay of this network, as of the last second. The adapter has the same from this.
    pub(super) member: bool,
    /// Where it comes from.
    pub(super) address: Option<AddressId>,
    /// By how much this peer's clock was ahead of the other one's when they linked, in milliseconds.
    pub(super) clock_ahead_ms: i64,
    /// It grants credit for the heads of digests.
    pub(crate) paces_digests: bool,
    /// It does the work that a relay asks for.
    pub(crate) works: bool,
    /// It knows the answer that names a look-alike.
    pub(crate) knows_look_alikes: bool,
    /// Salts the accounts that are named to it.
    pub(crate) salt_sent: [u8; 32],
    /// Salts the accounts that it names.
    pub(crate) salt_received: [u8; 32],
    /// That is the salt of this relay, the same on all its links.
    pub(crate) names_by_index: bool,
    /// Salts sketches: of this link alone.
    pub(crate) link_salt: [u8; 32],
    /// This peer dialled.
    pub(crate) dialled: bool,
    pub(crate) opened: Instant,
    ping: Option<(u64, Instant)>,
    next_ping: Instant,
    rtt: Option<Duration>,
}

impl Session {
    /// The address whose quota counts what it adds; `None`: it is not limited.
    pub(crate) fn limited(&self) -> Option<AddressId> {
        self.address.filter(|_| !self.member)
    }

    /// The smoothed round trip, if it was measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Sends a ping whose answer measures the round trip.
    pub(crate) fn ping(&mut self, ctx: &mut Ctx) {
        let token = u64::from_le_bytes(ctx.random());
        self.ping = Some((token, ctx.now.instant));
        self.next_ping = ctx.now.instant + PING_INTERVAL;
        ctx.send(self.link, &Message::Ping(Ping { token }));
    }

    /// The peer answered a ping.
    pub(crate) fn on_pong(&mut self, now: Instant, pong: Ping) {
        if let Some((token, sent)) = self.ping
            && token == pong.token
        {
            self.ping = None;
            let sample = now.since(sent);
            // Smoothed as TCP does (RFC 6298 section 2).
            self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
        }
    }
}

fn signed_ms(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// What a frame brought.
#[derive(Debug)]
pub(super) enum FrameContent {
    Nothing,
    /// The handshake is done.
    Established(Established),
    /// A message and its encoded length.
    Message(Message, usize),
    /// The peer closes the link for this reason.
    Closed(String),
    /// The peer broke the protocol.
    Misbehaved(String),
}

impl Channel {
    /// A channel that has just opened: sends the first frames of the handshake. `None`: this peer has no key to prove
    /// yet.
    pub(super) fn open(
        ctx: &mut Ctx,
        link: LinkId,
        side: Side,
        binding: Binding,
        transport: Transport,
        address: Option<AddressId>,
        relays_only: bool,
    ) -> Option<Self> {
        let nonce = ctx.random();
        let local = ctx.local.as_ref()?;
        let mut features = local.features
            | feature::PACED_DIGESTS
            | feature::RELAY_SALT
            | feature::WORK
            | feature::LOOK_ALIKES;
        if relays_only {
            features |= feature::RELAYS_ONLY;
        }
        let key = local.key.clone();
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features,
            peer: PeerId(key.public()),
            nonce,
            certificate: local.certificate.clone(),
            wall: ctx.now.wall,
        };
        let handshake = Handshake::new(side, binding, key, &hello);
        ctx.open_link(link);
        for frame in handshake.frames() {
            ctx.send_frame(link, frame);
        }
        let now = ctx.now.instant;
        Some(Self {
            transport,
            address,
            side,
            opened: now,
            since: ctx.now.wall,
            reassembly: Reassembly::default(),
            last_heard: now,
            state: State::Handshaking {
                handshake: Box::new(handshake),
                began: now,
                repeated: now,
            },
        })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self.state, State::Handshaking { .. })
    }

    /// The side of this peer in the handshake, and the time at which the link opened.
    pub(super) const fn origin(&self) -> (Side, Instant) {
        (self.side, self.opened)
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Proven(session) => Some(session),
            State::Handshaking { .. } => None,
        }
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Proven(session) => Some(session),
            State::Handshaking { .. } => None,
        }
    }

    pub(super) fn on_frame(&mut self, ctx: &mut Ctx, link: LinkId, bytes: &[u8]) -> FrameContent {
        self.last_heard = ctx.now.instant;
        ctx.count_received(link, bytes.len());
        let (kind, payload) = match frame::split(bytes) {
            Ok(split) => split,
            Err(error) => return FrameContent::Misbehaved(error.to_string()),
        };
        if kind == frame::CLOSE {
            let reason = String::from_utf8_lossy(payload);
            return FrameContent::Closed(reason.chars().take(REASON_CHARS_MAX).collect());
        }
        match &mut self.state {
            State::Handshaking { handshake, .. } => match handshake.on_frame(kind, payload) {
                Ok(Step::Wait) => FrameContent::Nothing,
                Ok(Step::Send(frame)) => {
                    ctx.send_frame(link, frame);
                    FrameContent::Nothing
                }
                Ok(Step::Done(established)) => FrameContent::Established(*established),
                Err(error) => {
                    if let HandshakeError::Version(versions) = error {
                        ctx.incompatible = Some(versions);
                    }
                    FrameContent::Misbehaved(error.to_string())
                }
            },
            // The handshake is repeated until both sides know that it is done.
            State::Proven(_) if kind == frame::HELLO || kind == frame::PROOF => FrameContent::Nothing,
            State::Proven(_) => match self.reassembly.push(kind, payload) {
                Ok(None) => FrameContent::Nothing,
                Ok(Some(message)) => match Message::decode(&message) {
                    Ok(Decoded::Known(known)) => FrameContent::Message(known, message.len()),
                    Ok(Decoded::Unknown(_)) => FrameContent::Nothing,
                    Err(error) => FrameContent::Misbehaved(error.to_string()),
                },
                Err(error) => FrameContent::Misbehaved(error.to_string()),
            },
        }
    }

    /// The peer has proven its key: the session begins.
    pub(super) fn establish(&mut self, ctx: &mut Ctx, link: LinkId, established: Established) {
        let Some(own) = ctx.peer() else { return };
        let is_set = |bit| established.features & bit != 0;
        let is_relay = ctx
            .local
            .as_ref()
            .is_some_and(|local| local.features & feature::RELAY != 0);
        let names_by_index = is_relay && is_set(feature::RELAY_SALT);
        let pair = pair_salt(&own, &established.peer);
        let State::Handshaking { handshake, .. } = &self.state else {
            return;
        };
        // The first messages of a fresh channel can be lost: the peer may have missed our last frames.
        let repeated = handshake.frames();
        self.state = State::Proven(Box::new(Session {
            link,
            peer: established.peer,
            neighbour: false,
            account: established.account,
            relay: is_set(feature::RELAY),
            member: false,
            address: self.address,
            clock_ahead_ms: signed_ms(self.since).saturating_sub(signed_ms(established.wall)),
            paces_digests: is_set(feature::PACED_DIGESTS),
            works: is_set(feature::WORK),
            knows_look_alikes: is_set(feature::LOOK_ALIKES),
            salt_sent: match is_set(feature::RELAY) && is_set(feature::RELAY_SALT) {
                true => relay_salt(&established.peer),
                false => pair,
            },
            salt_received: if names_by_index { relay_salt(&own) } else { pair },
            names_by_index,
            link_salt: established.salt,
            dialled: self.side == Side::Initiator,
            opened: self.opened,
            ping: None,
            next_ping: ctx.now.instant,
            rtt: None,
        }));
        for frame in repeated {
            ctx.send_frame(link, frame);
        }
    }

    /// Repeats and pings what is due. An error: the channel is to be closed, and why.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx, link: LinkId) -> Result<(), &'static str> {
        let now = ctx.now.instant;
        match &mut self.state {
            State::Handshaking { began, .. } if now.since(*began) >= HANDSHAKE_TIMEOUT => {
                Err("the handshake took too long")
            }
            State::Handshaking {
                handshake, repeated, ..
            } => {
                if now.since(*repeated) >= HANDSHAKE_REPEAT {
                    *repeated = now;
                    for frame in handshake.frames() {
                        ctx.send_frame(link, frame);
                    }
                }
                Ok(())
            }
            State::Proven(_) if now.since(self.last_heard) >= SILENCE_MAX => {
                Err("the neighbour was silent for too long")
            }
            State::Proven(session) => {
                if now >= session.next_ping {
                    session.ping(ctx);
                }
                Ok(())
            }
        }
    }

    /// How a neighbour is shown. `name`: that of its account.
    pub(super) fn view(&self, ctx: &Ctx, name: &str) -> Option<LinkView> {
        let session = self.session().filter(|session| session.neighbour)?;
        let traffic = ctx.traffic(session.link);
        Some(LinkView {
            peer: session.peer,
            account: session.account,
            name: name.to_owned(),
            relay: session.relay,
            transport: self.transport,
            rtt_ms: session
                .rtt
                .map(|rtt| u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX)),
            bytes_in: traffic.bytes_in,
            bytes_out: traffic.bytes_out,
            since: self.since,
        })
    }
}

/// Tells the peer why, and closes the channel.
pub(super) fn close(ctx: &mut Ctx, link: LinkId, reason: &str) {
    ctx.send_frame(link, frame::close(reason));
    ctx.emit(Output::Close {
        link,
        reason: reason.to_owned(),
    });
}

pub(super) fn log_end(ctx: &mut Ctx, link: LinkId, peer: Option<PeerId>, reason: &str) {
    ctx.log(Log::Unlinked {
        link,
        peer,
        reason: reason.to_owned(),
    });
}
