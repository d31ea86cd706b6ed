//! Reactions to posts.

use protocol::AccountId;
use serde::{Deserialize, Serialize};

/// How many people reacted to a post with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionCount {
    pub emoji: String,
    /// How many, of those that were counted.
    pub count: u32,
    /// More people reacted than are counted: there may be more with this emoji.
    pub more: bool,
    /// This account is one of them.
    pub mine: bool,
}

/// Somebody's reaction to a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionView {
    pub account: AccountId,
    /// Display name; empty if unknown.
    pub name: String,
    pub emoji: String,
}
