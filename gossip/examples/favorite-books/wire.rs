//! What goes over the wire: ids, messages, answers, and how much of each is taken.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of one request to a node. Some implementations send every message they ever saw, each round; this is more than
/// a day of that among five nodes.
pub(crate) const REQUEST_LEN_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one answer: every port there is would fit.
pub(crate) const ANSWER_LEN_MAX: usize = 1024 * 1024;
/// Messages of one request; a longer one is refused as a whole.
pub(crate) const MESSAGES_MAX: usize = 65_536;
/// Messages in a batch this node sends. The rest goes with later rounds.
pub(crate) const BATCH_MAX: usize = 128;
/// Bytes of a book's title.
pub(crate) const BOOK_LEN_MAX: usize = 512;
/// Bytes of a message's id.
pub(crate) const UUID_LEN_MAX: usize = 64;
/// Above this, implementations that count in floating point lose track.
pub(crate) const VERSION_MAX: u64 = (1 << 53) - 1;
/// No message travels farther, whatever it claims.
pub(crate) const TTL_MAX: i64 = 64;

/// Names a node: the port it listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId(pub u16);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not the decimal number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAPort;

impl FromStr for PeerId {
    type Err = NotAPort;

    /// Exactly one text stands for a port: no sign, no leading zeros, no spaces.
    fn from_str(text: &str) -> Result<Self, NotAPort> {
        match text.parse() {
            Ok(port) if port != 0 && text.starts_with(|c: char| c.is_ascii_digit() && c != '0') => {
                Ok(Self(port))
            }
            _ => Err(NotAPort),
        }
    }
}

/// The body of `POST /gossip`. Fields that are not known here are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gossip {
    /// The id of the sender.
    pub(crate) client_id: String,
    /// What it has to say.
    pub(crate) messages: Vec<Message>,
}

/// One node's news, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Names the news, however often it is passed on.
    pub(crate) uuid: String,
    /// The node that the news is about.
    pub(crate) client_id: String,
    pub(crate) payload: Payload,
    /// How many nodes may still absorb it, one after the other.
    pub(crate) ttl: i64,
}

/// A favourite book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// The higher, the newer, among those of one node.
    pub(crate) version: i64,
    pub(crate) book: String,
}

/// The answer to `POST /gossip`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// [`OK`] or anything else.
    pub(crate) status: String,
}

/// The one status that is not a refusal.
pub(crate) const OK: &str = "OK";
/// The status of a refusal.
pub(crate) const ERROR: &str = "ERROR";

/// A title every node can store, show and send: not too long, nothing invisible that moves a cursor.
pub(crate) fn is_title(book: &str) -> bool {
    !book.is_empty() && book.len() <= BOOK_LEN_MAX && !book.contains(char::is_control)
}
