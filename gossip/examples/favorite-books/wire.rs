//! What goes over the wire: ids, messages, answers, and how much of each is taken.
//!
//! A message that is not as it should be, whatever JSON it is, is left out alone: some implementations repeat every
//! message they ever saw, so to refuse the batch for it would be to refuse that peer for ever.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Bytes of one request to a node. Some implementations send every message they ever saw, each round; this is more than
/// a week of that among five nodes.
pub(crate) const REQUEST_LEN_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one answer: every port there is would fit.
pub(crate) const ANSWER_LEN_MAX: usize = 1024 * 1024;
/// Messages of one request that are kept until it is read. When there are more, only the newest one of each node stays,
/// which is all that matters.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Gossip {
    /// The id of the sender.
    pub(crate) client_id: String,
    /// What it has to say.
    pub(crate) messages: Vec<Message>,
    /// Messages that were left out, because they are not as they should be.
    #[serde(skip)]
    pub(crate) odd: u64,
}

impl Gossip {
    /// Reads a request.
    ///
    /// # Errors
    /// If it is not JSON, has no sender or no list of messages.
    pub(crate) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        /// The request before its messages are looked at.
        #[derive(Deserialize)]
        struct Envelope {
            client_id: String,
            messages: Messages,
        }
        // One text that is not Unicode spoils nothing else.
        let text = String::from_utf8_lossy(body);
        let Envelope { client_id, messages } = serde_json::from_str(&text)?;
        Ok(Self {
            client_id,
            messages: messages.good,
            odd: messages.odd,
        })
    }
}

/// The messages of a request, each read by itself.
#[derive(Default)]
struct Messages {
    good: Vec<Message>,
    odd: u64,
}

impl Messages {
    fn add(&mut self, raw: &RawValue) {
        match serde_json::from_str(raw.get()) {
            Ok(message) => self.good.push(message),
            Err(_) => self.odd += 1,
        }
        if self.good.len() > MESSAGES_MAX {
            self.keep_newest();
        }
    }

    /// Leaves the newest message of each node, and of too many nodes those that came first.
    fn keep_newest(&mut self) {
        let mut newest: BTreeMap<String, Message> = BTreeMap::new();
        for message in self.good.drain(..).filter(|message| message.ttl > 0) {
            let known = newest.get(&message.client_id);
            if known.is_none_or(|known| known.payload.version < message.payload.version) {
                newest.insert(message.client_id.clone(), message);
            }
        }
        self.good.extend(newest.into_values().take(MESSAGES_MAX / 2));
    }
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneByOne;

        impl<'de> Visitor<'de> for OneByOne {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Messages, A::Error> {
                let mut messages = Messages::default();
                while let Some(raw) = list.next_element::<&RawValue>()? {
                    messages.add(raw);
                }
                Ok(messages)
            }
        }

        deserializer.deserialize_seq(OneByOne)
    }
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

#[cfg(test)]
mod tests {
    use super::{Gossip, MESSAGES_MAX};

    fn message(uuid: &str, node: u16, version: &str, ttl: &str) -> String {
        format!(
            r#"{{"uuid":"{uuid}","client_id":"{node}","payload":{{"version":{version},"book":"Emma"}},"ttl":{ttl}}}"#
        )
    }

    fn read(messages: &[String]) -> Gossip {
        let list = messages.join(",");
        let body = format!(r#"{{"client_id":"8001","messages":[{list}]}}"#);
        Gossip::read(body.as_bytes()).expect("a request")
    }

    #[test]
    fn an_odd_message_is_left_out_alone_whatever_json_it_is() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let odd = [
            message("a", 8002, "9223372036854775808", "3"),
            message("a", 8002, "1e400", "3"),
            message("a", 8002, "-1e30", "3"),
            message("a", 8002, "3", "3.5"),
            message("a", 8002, "3", "1e30"),
            message("a", 8002, "\"three\"", "3"),
            message("\\ud800", 8002, "3", "3"),
            message("a", 8002, &deep, "3"),
            r#"{"uuid":"a","uuid":"b"}"#.to_owned(),
            deep,
            "null".to_owned(),
            "[]".to_owned(),
            "1e400".to_owned(),
            r#""\ud800""#.to_owned(),
        ];
        for odd in odd {
            let read = read(&[
                message("x", 8003, "1", "1"),
                odd.clone(),
                message("y", 8004, "2", "1"),
            ]);
            let uuids: Vec<_> = read
                .messages
                .iter()
                .map(|message| message.uuid.as_str())
                .collect();
            assert_eq!((uuids, read.odd), (vec!["x", "y"], 1), "{odd}");
        }
        let mut broken = br#"{"client_id":"8001","messages":[{"uuid":""#.to_vec();
        broken.extend([0xff, 0xfe]);
        broken.extend(br#""},"#);
        broken.extend(message("x", 8003, "1", "1").as_bytes());
        broken.extend(b"]}");
        assert_eq!(Gossip::read(&broken).expect("a request").messages.len(), 1);
    }

    #[test]
    fn of_a_long_history_the_newest_message_of_each_node_is_kept() {
        let history: Vec<_> = (0..3 * MESSAGES_MAX)
            .map(|n| message(&n.to_string(), 8002 + (n % 3) as u16, &n.to_string(), "2"))
            .collect();
        let read = read(&history);
        assert!(read.messages.len() <= MESSAGES_MAX);
        for node in ["8002", "8003", "8004"] {
            let of_node = read.messages.iter().filter(|message| message.client_id == node);
            let newest = of_node.map(|message| message.payload.version).max();
            assert!(newest >= Some(3 * MESSAGES_MAX as i64 - 3), "{node}: {newest:?}");
        }
    }
}
