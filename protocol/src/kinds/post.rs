//! Posts.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind, fits};
use crate::id::EntryRef;
use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Plain text.
    pub text: String,
    /// The post it replies to.
    pub reply: Option<ReplyTo>,
}

/// The post that a reply refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The first post of the thread.
    pub root: EntryRef,
    /// The post replied to.
    pub parent: EntryRef,
}

impl EntryBody for Post {
    const KIND: Kind = Kind::POST;

    fn is_valid(&self) -> bool {
        !self.text.is_empty() && fits(&self.text, limits::POST_CHARS_MAX)
    }
}
