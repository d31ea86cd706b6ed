//! Receipts: signed statements of a relay that a feed is on its disk. Withdrawals: that it keeps a feed no longer.

use serde::{Deserialize, Serialize};

use super::Fields;
use super::sync::is_length;
use crate::codec;
use crate::id::{DeviceId, EntryId, PeerId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
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

/// Why a relay keeps a feed no longer. Later versions may know more reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason(pub u8);

impl Reason {
    /// The members that the feed is assigned to keep it.
    pub const MOVED: Self = Self(0);
    /// The relay's operator removed it.
    pub const REMOVED: Self = Self(1);
    /// It exceeds what the relay keeps of one account or address.
    pub const QUOTA: Self = Self(2);
    /// The relay left its network for good.
    pub const LEFT: Self = Self(3);
    /// Never signed by a relay: a device's own note that the relay is no member of its network.
    pub const NO_MEMBER: Self = Self(255);
}

/// A relay takes its receipts for a feed back. It counts against the receipts that the relay signed up to this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The relay that signs.
    pub relay: PeerId,
    pub device: DeviceId,
    /// Entries with this number and higher ones are kept no longer; 0: the whole feed.
    pub from: u64,
    /// Time of signing, by the relay's clock, and later than that of every receipt that is taken back.
    pub at: Timestamp,
    pub reason: Reason,
    /// The relay's signature over the fields above.
    pub signature: Signature,
}

impl Withdrawal {
    /// A withdrawal by the relay with `key`.
    #[must_use]
    pub fn issue(key: &KeyPair, device: DeviceId, from: u64, at: Timestamp, reason: Reason) -> Self {
        let relay = PeerId(key.public());
        let signed = codec::encode(&(relay, device, from, at, reason));
        Self {
            relay,
            device,
            from,
            at,
            reason,
            signature: key.sign(Domain::Withdrawal, &[&signed]),
        }
    }

    /// Checks the relay's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.relay, self.device, self.from, self.at, self.reason));
        key::verify(&self.relay.0, Domain::Withdrawal, &[&signed], &self.signature)
    }
}

impl Fields for Withdrawal {
    fn within_limits(&self) -> bool {
        self.from <= limits::SEQ_MAX
    }
}
