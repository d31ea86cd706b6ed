//! A relay's signed promise: everything of this feed below `next_seq` is on my disk.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{DeviceId, EntryId, PeerId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// Cumulative: the receipt with the highest `next_seq` says all that earlier ones said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who promises.
    pub relay: PeerId,
    /// Which feed.
    pub device: DeviceId,
    /// All entries with lower numbers are durable; there is at least one.
    pub next_seq: u64,
    /// The entry numbered `next_seq - 1`.
    pub head: EntryId,
    /// When, by the relay's clock.
    pub at: Timestamp,
    /// By the relay over all of the above.
    pub signature: Signature,
}

impl Receipt {
    /// A receipt by the relay with `key`.
    #[must_use]
    pub fn issue(key: &KeyPair, device: DeviceId, next_seq: u64, head: EntryId, at: Timestamp) -> Self {
        let relay = PeerId(key.public());
        let signed = codec::encode(&(relay, device, next_seq, head, at));
        Self {
            relay,
            device,
            next_seq,
            head,
            at,
            signature: key.sign(Domain::Receipt, &[&signed]),
        }
    }

    /// Checks the relay's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.relay, self.device, self.next_seq, self.head, self.at));
        key::verify(&self.relay.0, Domain::Receipt, &[&signed], &self.signature)
    }
}
