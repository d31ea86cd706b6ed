//! One peer's word to another, carried by the neighbours between them: how two peers open a channel when no signaling
//! server is there.
//!
//! Signed by its sender, so that nobody can speak for another; whoever meddles with what it carries gains nothing all
//! the same, since the link handshake binds both keys to both DTLS fingerprints.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::PeerId;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// An introduction older than this, or from further in the future, is dropped: clocks of devices differ by minutes.
pub const FRESH_WITHIN: Duration = Duration::from_mins(10);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Who speaks.
    pub from: PeerId,
    /// To whom.
    pub to: PeerId,
    /// When, by the sender's clock; with the sender it names the introduction, so that none is passed on twice.
    pub at: Timestamp,
    /// A [`crate::signal::Payload`]; unread by those who pass it on.
    pub payload: Vec<u8>,
    /// By the sender over all of the above.
    pub signature: Signature,
    /// Links still to travel; not signed, each peer on the way takes one off.
    pub hops: u8,
}

impl Introduction {
    /// What the peer with `key` says to `to`.
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

    /// Whether it is of this moment, by the clock of whoever asks.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now.plus(FRESH_WITHIN) && now <= self.at.plus(FRESH_WITHIN)
    }
}
