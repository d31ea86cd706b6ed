//! The messages between page and worker: postcard bytes, one message each, in order both ways.
//!
//! The page is the only place where peer connections live, so part of it is the worker ordering and the page reporting.
//! A data channel itself travels beside a [`ToWorker::Channel`] message, as a transferred object.

use engine::api::{Event, Request, Response};
use protocol::codec;
use serde::{Deserialize, Serialize};

/// Names a connection, and later its link. Chosen by the worker, never used twice in its life.
pub type ConnectionId = u64;

/// The worker's environment, given once at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The page can make peer connections.
    pub webrtc: bool,
    /// Links from browser to browser are wanted.
    pub direct: bool,
    /// The browser says there is a network.
    pub online: bool,
    /// Links at most, if not the usual number.
    pub links_max: Option<u8>,
}

/// From the page to its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first message.
    Start(Surroundings),
    /// An interface's ask, under its number.
    Request {
        /// Comes back with the answer.
        number: u64,
        request: Request,
    },
    /// The browser gained or lost its network.
    Online(bool),
    /// The page became visible, or the person pressed "try now".
    Wake,
    /// Delete everything stored.
    Erase,
    /// The description this side made for a connection: an offer or an answer.
    Described { connection: ConnectionId, sdp: String },
    /// A way to reach this side; an empty one ends them.
    Candidate {
        connection: ConnectionId,
        candidate: String,
        /// Its media section.
        mid: String,
    },
    /// The connection's data channel comes with this message.
    Channel { connection: ConnectionId },
    /// The browser does not transfer channels: this one stays in the page, and its bytes pass through it.
    ChannelStays { connection: ConnectionId },
    /// The connection is through (for a channel that stays: it is open).
    Connected { connection: ConnectionId },
    /// The connection failed or was closed by the other side.
    Ended { connection: ConnectionId },
    /// A message of a channel that stays.
    Bytes {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    /// Bytes of a channel that stays are on their way.
    Sent {
        connection: ConnectionId,
        /// The number of bytes.
        bytes: u32,
    },
}

/// From the worker to its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPage {
    /// The worker runs and listens.
    Hello,
    /// The role of this tab among the tabs of the browser. Ask what is unanswered again: the leader may be another
    /// than before.
    Role {
        /// Whether this tab runs the engine.
        leading: bool,
    },
    /// To the request with this number.
    Response {
        /// As asked.
        number: u64,
        answer: Response,
    },
    /// From the engine.
    Event(Event),
    /// Something keeps the engine from running.
    Trouble(Trouble),
    /// Everything stored is deleted: start again.
    Erased,
    /// Make a connection and describe it: an offer.
    Offer {
        /// Its name from now on.
        connection: ConnectionId,
    },
    /// Make a connection for another peer's offer and describe it: an answer.
    Accept {
        /// Its name from now on.
        connection: ConnectionId,
        /// The offer.
        sdp: String,
    },
    /// The other peer's answer to an offer.
    Answered {
        connection: ConnectionId,
        /// The answer.
        sdp: String,
    },
    /// A way to reach the other peer.
    Candidate {
        connection: ConnectionId,
        /// The candidate line; empty: that was all.
        candidate: String,
        /// Its media section.
        mid: String,
    },
    /// Close a connection and let go of everything it holds. Nothing more is reported of it.
    Close { connection: ConnectionId },
    /// A message for a channel that stays.
    Bytes {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
}

/// What keeps the engine from running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// A tab with an older version of the app holds the store.
    StoreBlocked,
    /// The store does not open; the browser's own words.
    StoreUnavailable(String),
    /// A newer version of the app took the store over or wrote it: this tab has to be loaded again.
    Outdated,
}

/// The bytes of a message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    codec::encode(message)
}

/// A message, unless the bytes are from another version of the app.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    codec::decode_extensible(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::api::{Command, Query};

    #[test]
    fn messages_survive_the_port() {
        let request = Request::Command(Command::Publish {
            token: [3; 16],
            text: "hé".into(),
            reply_to: None,
            slug: None,
        });
        for message in [
            ToWorker::Request { number: 7, request },
            ToWorker::Request {
                number: u64::MAX,
                request: Request::Query(Query::Network),
            },
            ToWorker::Bytes {
                connection: 1,
                bytes: vec![0; 20_000],
            },
        ] {
            assert_eq!(decode(&encode(&message)), Some(message));
        }
        assert_eq!(decode::<ToPage>(&[200, 1]), None);
    }
}
