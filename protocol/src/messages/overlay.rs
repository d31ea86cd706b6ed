//! Membership messages of the overlay (HyParView). The `gossip` library defines their meaning; this module their bytes.

use serde::{Deserialize, Serialize};

use super::Fields;
use crate::id::PeerId;
use crate::limits;

/// What one peer knows about another and passes on. Unsigned: it only suggests a peer to dial, which then proves its
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    pub peer: PeerId,
    /// It is said to be a relay.
    pub relay: bool,
    /// The highest heartbeat counter known.
    pub heartbeat: u64,
    /// Seconds since the peer was last heard from.
    pub age_s: u16,
}

/// Why a peer asks to become a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// It joins the overlay.
    Join,
    /// It has no neighbour left.
    Urgent,
    /// It needs one more neighbour.
    Fill,
    /// It has enough neighbours and mixes the overlay.
    Mix,
}

/// See [`Message::Request`](super::Message::Request).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The reason.
    pub wish: Wish,
    /// The sender's heartbeat counter.
    pub heartbeat: u64,
    /// Peers the sender knows.
    pub peers: Vec<Descriptor>,
}

impl Request {
    /// A request by a peer that knows no other peer.
    #[must_use]
    pub const fn alone(wish: Wish) -> Self {
        Self {
            wish,
            heartbeat: 1,
            peers: Vec::new(),
        }
    }
}

/// See [`Message::Accept`](super::Message::Accept).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The sender's heartbeat counter.
    pub heartbeat: u64,
    /// Number of the sender's neighbours.
    pub degree: u16,
    /// Peers the sender knows: a new peer knows no others.
    pub peers: Vec<Descriptor>,
}

/// Other peers to ask, in a `Refuse` or a `Leave`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    pub peers: Vec<Descriptor>,
}

/// See [`Message::ForwardJoin`](super::Message::ForwardJoin).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardJoin {
    /// The new peer.
    pub newcomer: Descriptor,
    /// Links still to travel.
    pub ttl: u8,
}

/// See [`Message::Shuffle`](super::Message::Shuffle).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Links still to travel.
    pub ttl: u8,
    /// A sample of known peers.
    pub peers: Vec<Descriptor>,
}

/// See [`Message::Heartbeat`](super::Message::Heartbeat).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Rises by one each time.
    pub counter: u64,
    /// Number of the sender's neighbours.
    pub degree: u16,
    /// The last counter received from the receiver, or 0.
    pub echo: u64,
    /// Milliseconds since it was received.
    pub held_ms: u16,
}

impl Fields for Request {
    fn within_limits(&self) -> bool {
        are_few(&self.peers)
    }
}

impl Fields for Accept {
    fn within_limits(&self) -> bool {
        are_few(&self.peers)
    }
}

impl Fields for Others {
    fn within_limits(&self) -> bool {
        are_few(&self.peers)
    }
}

impl Fields for Shuffle {
    fn within_limits(&self) -> bool {
        are_few(&self.peers)
    }
}

impl Fields for ForwardJoin {}
impl Fields for Heartbeat {}

fn are_few(peers: &[Descriptor]) -> bool {
    peers.len() <= limits::PEERS_PER_MESSAGE_MAX
}
