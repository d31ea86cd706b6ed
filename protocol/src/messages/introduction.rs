//! Introductions: signed messages between two peers without a link, forwarded by neighbours. Two browsers open a WebRTC
//! channel with them when no signaling server is reachable.
//!
//! The sender signs, so that nobody can speak for another peer. Modifying the payload on the way gains nothing: the
//! link handshake binds both keys to both DTLS fingerprints.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fields;
use crate::codec;
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
use crate::time::Timestamp;

/// Greatest difference between an introduction's time and the receiver's clock. Clocks of devices differ by minutes; an
/// introduction outside is dropped, so that the memory of those already forwarded can be short.
pub const FRESH_WITHIN: Duration = Duration::from_mins(10);

/// See [`Message::Introduction`](super::Message::Introduction).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The sender.
    pub from: PeerId,
    /// The receiver.
    pub to: PeerId,
    /// Time of sending, by the sender's clock. Sender and time identify an introduction: none is forwarded twice.
    pub at: Timestamp,
    /// A [`crate::signal::Payload`]. Peers on the way do not read it.
    pub payload: Vec<u8>,
    /// The sender's signature over the fields above.
    pub signature: Signature,
    /// Links still to travel. Not signed: each peer on the way decrements it.
    pub hops: u8,
}

impl Introduction {
    /// An introduction by the peer with `key`, for `to`.
    #[must_use]
    pub fn issue(key: &KeyPair, to: PeerId, at: Timestamp, payload: Vec<u8>, hops: u8) -> Self {
        let from = PeerId(key.public());
        let signature = key.sign(Domain::Introduction, &[&codec::encode(&(from, to, at, &payload))]);
        Self {
            from,
            to,
            at,
            payload,
            signature,
            hops,
        }
    }

    /// Checks the sender's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.from, self.to, self.at, &self.payload));
        key::verify(&self.from.0, Domain::Introduction, &[&signed], &self.signature)
    }

    /// Whether its time is within [`FRESH_WITHIN`] of `now`.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now.plus(FRESH_WITHIN) && now <= self.at.plus(FRESH_WITHIN)
    }
}

impl Fields for Introduction {
    fn within_limits(&self) -> bool {
        self.hops <= limits::INTRODUCTION_HOPS_MAX && self.payload.len() <= limits::SIGNAL_PAYLOAD_LEN_MAX
    }
}
