//! Reactions to posts.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind, is_emoji};
use crate::id::EntryRef;

/// What an account thinks of a post: one emoji, or none any more. Per account and post the one with the greatest (lamport, device)
/// wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    pub post: EntryRef,
    /// The emoji; empty if the reaction is withdrawn.
    pub emoji: String,
}

impl EntryBody for Reaction {
    const KIND: Kind = Kind::REACTION;

    fn is_valid(&self) -> bool {
        self.emoji.is_empty() || is_emoji(&self.emoji)
    }
}
