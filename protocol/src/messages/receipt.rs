//! Receipts: signed statements of a relay that a feed is on its disk.

use serde::{Deserialize, Serialize};

use super::Fields;
use super::sync::is_length;
use crate::codec;
use crate::id::{DeviceId, EntryId, PeerId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// All entries of a feed below `next_seq` are on the relay's disk. Cumulative: the receipt with the highest `next_seq`
/// replaces the earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The relay that signs.
    pub relay: PeerId,
    pub device: DeviceId,
    /// All entries with lower numbers are durable; there is at least one.
    pub next_seq: u64,
    /// The entry numbered `next_seq - 1`.
    pub head: EntryId,
    /// Time of signing, by the relay's clock.
    pub at: Timestamp,
    /// The relay's signature over the fields above.
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

impl Fields for Receipt {
    fn within_limits(&self) -> bool {
        is_length(self.next_seq)
    }
}
