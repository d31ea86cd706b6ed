//! What peers say to each other about who is there. What it means is the overlay's business; these are its bytes.

use serde::{Deserialize, Serialize};

use crate::id::PeerId;

/// What one peer knows of another and passes on. Unsigned: good for finding somebody to dial, who then proves its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Who.
    pub peer: PeerId,
    /// It is a relay, they say.
    pub relay: bool,
    /// The highest heartbeat counter heard of.
    pub heartbeat: u64,
    /// Seconds since somebody heard from it.
    pub age_s: u16,
}

/// Why a peer wants to be a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// It is new here.
    Join,
    /// It has no neighbour left.
    Urgent,
    /// It wants one more.
    Fill,
    /// It has enough, and mixes the overlay.
    Mix,
}

/// "Be my neighbour." Said first, by whoever dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Why.
    pub wish: Wish,
    /// The asker's heartbeat counter.
    pub heartbeat: u64,
    /// Whom the asker knows.
    pub peers: Vec<Descriptor>,
}

impl Request {
    /// By a peer that knows nobody else.
    #[must_use]
    pub const fn alone(wish: Wish) -> Self {
        Self {
            wish,
            heartbeat: 1,
            peers: Vec::new(),
        }
    }
}

/// "We are neighbours."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The answerer's heartbeat counter.
    pub heartbeat: u64,
    /// How many neighbours it has.
    pub degree: u16,
    /// Whom it knows: a newcomer knows nobody else.
    pub peers: Vec<Descriptor>,
}

/// Peers to ask instead, in a `Refuse` or a `Leave`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// Whom to ask.
    pub peers: Vec<Descriptor>,
}

/// A walk that carries news of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardJoin {
    /// Who is new.
    pub newcomer: Descriptor,
    /// Links still to travel.
    pub ttl: u8,
}

/// A walk that swaps acquaintances wherever it comes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Links still to travel.
    pub ttl: u8,
    /// Acquaintances.
    pub peers: Vec<Descriptor>,
}

/// "I am here."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Rises by one each time.
    pub counter: u64,
    /// How many neighbours the sender has.
    pub degree: u16,
    /// The last counter heard from the receiver, or 0.
    pub echo: u64,
    /// Milliseconds since then.
    pub held_ms: u16,
}
