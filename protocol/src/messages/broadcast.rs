//! Dissemination of new entries along broadcast trees (Plumtree's gossip, IHAVE, GRAFT and PRUNE).

use serde::{Deserialize, Serialize};

use super::Fields;
use super::sync::{FeedHead, is_length, is_numbered};
use crate::entry::Entry;
use crate::limits;

/// See [`Message::Push`](super::Message::Push).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Links travelled so far: 1 when it comes from its author.
    pub hops: u8,
    /// The broadcast tree it travels along.
    pub tree: u8,
    pub entry: Entry,
}

impl Fields for Push {
    fn within_limits(&self) -> bool {
        (1..=limits::HOPS_MAX).contains(&self.hops) && is_numbered(&self.entry.signed)
    }
}

/// See [`Message::Announce`](super::Message::Announce).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcements {
    /// One item per feed.
    pub items: Vec<Announced>,
}

/// One feed of an [`Announcements`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// How far the feed is held.
    pub head: FeedHead,
    /// The broadcast tree its last entry travelled along.
    pub tree: u8,
    /// Links that entry travelled.
    pub hops: u8,
    /// Milliseconds the announcement was delayed: a push would have arrived earlier by this time.
    pub waited_ms: u16,
}

impl Fields for Announcements {
    fn within_limits(&self) -> bool {
        self.items.len() <= limits::HEADS_PER_MESSAGE_MAX
            && self.items.iter().all(|item| is_length(item.head.next_seq))
    }
}

/// See [`Message::Graft`](super::Message::Graft) and [`Message::Prune`](super::Message::Prune).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnTree {
    /// The broadcast tree.
    pub tree: u8,
}

impl Fields for OnTree {}
