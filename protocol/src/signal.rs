//! Messages between peers and the signaling server, with which two peers open a WebRTC channel.
//!
//! ```text
//! server → Challenge { nonce }
//! client → Join { peer, room, signature over (nonce, room, host) }
//! server → Joined { members }            then, for as long as the socket lives:
//! client → Signal { to, payload }        server → Signal { from, payload }
//! ```
//!
//! A payload is a [`Payload`] in postcard bytes; the server forwards it without reading it. Modifying it gains
//! nothing: the link handshake binds both peers' keys to both DTLS fingerprints.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;

/// The version of the signaling protocol spoken here.
pub const SIGNAL_VERSION: u16 = 1;

/// A room, whose members can find each other. 32 bytes, usually a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub [u8; 32]);

impl RoomId {
    /// The room with this name: the BLAKE3 hash of it.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(*blake3::hash(name.as_bytes()).as_bytes())
    }

    /// The room that all peers of a network join.
    #[must_use]
    pub fn lobby() -> Self {
        Self::named("starling lobby v1")
    }
}

/// A member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomMember {
    pub peer: PeerId,
    /// It is the server's own relay, which speaks WebRTC with ICE-lite and answers every offer.
    pub relay: bool,
}

/// From a peer to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The first message: proves a key and joins a room.
    Join {
        /// [`SIGNAL_VERSION`].
        version: u16,
        /// The key.
        peer: PeerId,
        room: RoomId,
        /// By [`sign_join`].
        signature: Signature,
    },
    /// Forwards a payload.
    Signal {
        /// A member of the same room.
        to: PeerId,
        /// At most [`limits::SIGNAL_PAYLOAD_LEN_MAX`] bytes.
        payload: Vec<u8>,
    },
    /// Asks for other members again; the answer is [`ToPeer::Members`].
    List,
}

/// From the server to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPeer {
    /// The first message.
    Challenge {
        /// [`SIGNAL_VERSION`].
        version: u16,
        /// Random, new for every socket.
        nonce: [u8; 32],
    },
    /// The peer joined its room.
    Joined {
        /// A random sample of other members, relays first; at most [`limits::SIGNAL_MEMBERS_MAX`].
        members: Vec<RoomMember>,
    },
    /// The answer to [`ToServer::List`].
    Members {
        /// As in `Joined`.
        members: Vec<RoomMember>,
    },
    /// A payload from another member.
    Signal {
        /// The sender's proven key.
        from: PeerId,
        /// Not read by the server.
        payload: Vec<u8>,
    },
    /// The receiver of a signal is not in the room.
    Absent {
        /// The receiver.
        peer: PeerId,
    },
    /// The server closes the socket.
    Refused { reason: CloseReason },
}

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub enum CloseReason {
    /// Not decodable, or not allowed now.
    #[error("a message was malformed or came at the wrong time")]
    Malformed,
    /// Another version of the signaling protocol.
    #[error("the server speaks another version of the signaling protocol")]
    Version,
    /// The key was not proven.
    #[error("the key was not proven")]
    BadSignature,
    /// The room is full; try later.
    #[error("the room is full")]
    RoomFull,
    /// The server has the most rooms or sockets allowed; try later.
    #[error("the server is full")]
    ServerFull,
    /// Too many messages.
    #[error("too many messages in too short a time")]
    TooFast,
    /// The same key joined again, over a newer socket.
    #[error("the same key joined over a newer socket")]
    Replaced,
    /// The peer did not join in time.
    #[error("the peer did not join in time")]
    TooSlow,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// Payloads that peers exchange through the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Asks for an offer: sent by the peer with the higher key, because the one with the lower key always offers.
    Call {
        /// Chosen by the caller; all payloads about this connection carry it.
        session: u64,
    },
    /// An SDP offer.
    Offer {
        /// Chosen by the offerer, or by the caller it answers.
        session: u64,
        sdp: String,
    },
    /// An SDP answer.
    Answer { session: u64, sdp: String },
    /// A trickled ICE candidate; an empty one ends them.
    Candidate {
        session: u64,
        candidate: String,
        /// Its media section.
        mid: String,
    },
    /// Declines the connection.
    Decline {
        /// The offer's or call's.
        session: u64,
    },
}

/// A proof of a key for the server at `host` that chose `nonce`, and for one room.
#[must_use]
pub fn sign_join(key: &KeyPair, nonce: &[u8; 32], room: &RoomId, host: &str) -> Signature {
    key.sign(Domain::Signal, &[nonce, &room.0, host.as_bytes()])
}

/// Checks [`sign_join`].
///
/// # Errors
/// [`BadSignature`] if the signature is not by `peer` over these values.
pub fn verify_join(
    peer: &PeerId,
    nonce: &[u8; 32],
    room: &RoomId,
    host: &str,
    signature: &Signature,
) -> Result<(), BadSignature> {
    key::verify(
        &peer.0,
        Domain::Signal,
        &[nonce, &room.0, host.as_bytes()],
        signature,
    )
}

/// The messages that [`decode`] reads.
pub trait SignalMessage: Serialize + serde::de::DeserializeOwned {
    /// Longest encoding, in bytes.
    const LEN_MAX: usize;

    /// Whether the values inside keep their limits.
    fn within_limits(&self) -> bool {
        true
    }
}

impl SignalMessage for ToServer {
    const LEN_MAX: usize = limits::SIGNAL_LEN_MAX;

    fn within_limits(&self) -> bool {
        match self {
            Self::Signal { payload, .. } => payload.len() <= limits::SIGNAL_PAYLOAD_LEN_MAX,
            Self::Join { .. } | Self::List => true,
        }
    }
}

impl SignalMessage for ToPeer {
    const LEN_MAX: usize = limits::SIGNAL_LEN_MAX;

    fn within_limits(&self) -> bool {
        match self {
            Self::Signal { payload, .. } => payload.len() <= limits::SIGNAL_PAYLOAD_LEN_MAX,
            Self::Joined { members } | Self::Members { members } => {
                members.len() <= limits::SIGNAL_MEMBERS_MAX
            }
            Self::Challenge { .. } | Self::Absent { .. } | Self::Refused { .. } => true,
        }
    }
}

impl SignalMessage for Payload {
    const LEN_MAX: usize = limits::SIGNAL_PAYLOAD_LEN_MAX;
}

/// Decodes a message of the signaling protocol.
///
/// # Errors
/// [`Malformed`] if it is longer than its kind may be, does not decode, or holds something over its limit.
pub fn decode<T: SignalMessage>(bytes: &[u8]) -> Result<T, Malformed> {
    if bytes.len() > T::LEN_MAX {
        return Err(Malformed);
    }
    codec::decode(bytes)
        .ok()
        .filter(T::within_limits)
        .ok_or(Malformed)
}
