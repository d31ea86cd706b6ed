//! Which devices speak for an account: certificates and revocations, both signed by the account key.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{AccountId, DeviceId, EntryId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// An account vouches for a device. The body of every feed's first entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Who vouches.
    pub account: AccountId,
    /// For whom.
    pub device: DeviceId,
    /// What the person calls the device.
    pub name: String,
    /// When, by the device's clock.
    pub since: Timestamp,
    /// By the account key over all of the above.
    pub signature: Signature,
}

impl Certificate {
    /// A certificate by `account` for `device`.
    #[must_use]
    pub fn issue(account: &KeyPair, device: DeviceId, name: String, since: Timestamp) -> Self {
        let id = AccountId(account.public());
        let signed = codec::encode(&(id, device, &name, since));
        Self {
            account: id,
            device,
            name,
            since,
            signature: account.sign(Domain::Certificate, &[&signed]),
        }
    }

    /// Checks the account's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.account, self.device, &self.name, self.since));
        key::verify(&self.account.0, Domain::Certificate, &[&signed], &self.signature)
    }
}

/// An account withdraws a device: its feed ends at `next_seq`, whatever the stolen key signs afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Who withdraws.
    pub account: AccountId,
    /// Which device.
    pub device: DeviceId,
    /// Entries with this number and later ones are void.
    pub next_seq: u64,
    /// The last valid entry (all zero if there is none).
    pub head: EntryId,
    /// When, by the revoking device's clock.
    pub at: Timestamp,
    /// By the account key over all of the above.
    pub signature: Signature,
}

impl Revocation {
    /// A revocation by `account`.
    #[must_use]
    pub fn issue(account: &KeyPair, device: DeviceId, next_seq: u64, head: EntryId, at: Timestamp) -> Self {
        let id = AccountId(account.public());
        let signed = codec::encode(&(id, device, next_seq, head, at));
        let signature = account.sign(Domain::Revocation, &[&signed]);
        Self {
            account: id,
            device,
            next_seq,
            head,
            at,
            signature,
        }
    }

    /// Checks the account's signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.account, self.device, self.next_seq, self.head, self.at));
        key::verify(&self.account.0, Domain::Revocation, &[&signed], &self.signature)
    }
}
