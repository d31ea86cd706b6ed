//! Revocations: an account withdraws a device.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind};
use crate::codec;
use crate::id::{AccountId, DeviceId, EntryId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// Withdrawal of a device by its account: the device's feed ends at `next_seq`, whatever its key signs afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The account that signs.
    pub account: AccountId,
    /// The device withdrawn.
    pub device: DeviceId,
    /// Entries with this number and later ones are void.
    pub next_seq: u64,
    /// The last valid entry; all zero if there is none.
    pub head: EntryId,
    /// Time of issue, by the clock of the device that issued it.
    pub at: Timestamp,
    /// The account's signature over the fields above.
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

impl EntryBody for Revocation {
    const KIND: Kind = Kind::REVOCATION;

    fn is_valid(&self) -> bool {
        self.verify().is_ok()
    }
}
