//! What the members of a swarm say to each other.

use crate::broadcast::{Announcement, Route, Tree};
use crate::membership;

/// The id of a message: its origin and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId<P> {
    /// The member that published it.
    pub origin: P,
    /// Counted from 1 by its origin, never used twice.
    pub seq: u64,
}

/// What a member holds of one origin's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<P> {
    /// The member that published them.
    pub origin: P,
    /// All of them below this, or had once.
    pub below: u64,
    /// And these.
    pub also: Vec<u64>,
}

/// One message between neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<P, B> {
    /// Of the overlay.
    Overlay(membership::Message<P>),
    /// News, whole.
    News {
        /// Its name.
        id: MessageId<P>,
        /// How it came.
        route: Route,
        /// What it says.
        body: B,
    },
    /// What the sender holds.
    Announce(Vec<Announcement<MessageId<P>>>),
    /// Send me this, and more on this tree.
    Graft {
        /// What is asked for, if anything.
        id: Option<MessageId<P>>,
        /// The tree to join.
        tree: Tree,
    },
    /// Send me no more on this tree.
    Prune {
        /// The tree to leave.
        tree: Tree,
    },
    /// Everything the sender holds: announce what it lacks.
    Digest(Vec<Held<P>>),
    /// For the neighbour alone.
    Direct(B),
}

/// Bytes of a message's frame: length and kind.
const FRAME_LEN: usize = 3;
/// Bytes of a public key.
const PEER_LEN: usize = 32;
/// Bytes of one descriptor: peer, anchor, heartbeat, age.
const DESCRIPTOR_LEN: usize = PEER_LEN + 1 + 5 + 2;
/// Bytes of a message's name.
const ID_LEN: usize = PEER_LEN + 2;

impl<P, B> Message<P, B> {
    /// The name of the kind, for counters.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Overlay(message) => message.kind(),
            Self::News { .. } => "news",
            Self::Announce(_) => "announce",
            Self::Graft { .. } => "graft",
            Self::Prune { .. } => "prune",
            Self::Digest(_) => "digest",
            Self::Direct(_) => "direct",
        }
    }

    /// Bytes it takes on a wire where peers are named by 32-byte keys. `body_len` measures a body.
    pub fn wire_len(&self, body_len: impl Fn(&B) -> usize) -> usize {
        FRAME_LEN
            + match self {
                Self::Overlay(message) => {
                    message.peers().len() * DESCRIPTOR_LEN
                        + match message {
                            membership::Message::Request { .. } | membership::Message::Accept { .. } => 8,
                            membership::Message::Heartbeat { .. } => 14,
                            _ => 2,
                        }
                }
                Self::News { body, .. } => ID_LEN + 2 + body_len(body),
                Self::Announce(items) => 1 + items.len() * (ID_LEN + 5),
                Self::Graft { id, .. } => 2 + if id.is_some() { ID_LEN } else { 0 },
                Self::Prune { .. } => 1,
                Self::Digest(held) => {
                    1 + held
                        .iter()
                        .map(|held| ID_LEN + 1 + held.also.len() * 2)
                        .sum::<usize>()
                }
                Self::Direct(body) => body_len(body),
            }
    }
}
