//! Certificates: an account vouches for a device.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind};
use crate::codec;
use crate::id::{AccountId, DeviceId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// An account's statement that a device speaks for it. The body of every feed's first entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The account that signs.
    pub account: AccountId,
    pub device: DeviceId,
    /// The device's name, chosen by the person.
    pub name: String,
    /// Time of issue, by the device's clock.
    pub since: Timestamp,
    /// The account's signature over the fields above.
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

impl EntryBody for Certificate {
    const KIND: Kind = Kind::CERTIFICATE;
}
