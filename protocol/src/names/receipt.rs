//! What the registry signs.

use serde::{Deserialize, Serialize};

use super::{RegistryId, name_fits};
use crate::codec;
use crate::id::{AccountId, EntryId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::time::Timestamp;

/// The registry's signed statement that a name belongs to an account, or a slug to a post of the account. Of two
/// receipts for one name or one slug, the one with the higher revision counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameReceipt {
    pub registry: RegistryId,
    /// The name or slug.
    pub name: String,
    /// The slug's post; `None`: it is the account's name.
    pub post: Option<EntryId>,
    /// Its owner.
    pub account: AccountId,
    /// Number of the registry's change. One counter for all names and slugs: a later change has a higher number.
    pub revision: u64,
    /// Time of the change, by the registry's clock.
    pub at: Timestamp,
    /// The registry's signature over the fields above.
    pub signature: Signature,
}

impl NameReceipt {
    /// A receipt by the registry with `key`.
    #[must_use]
    pub fn issue(
        key: &KeyPair,
        name: String,
        post: Option<EntryId>,
        account: AccountId,
        revision: u64,
        at: Timestamp,
    ) -> Self {
        let mut receipt = Self {
            registry: RegistryId(key.public()),
            name,
            post,
            account,
            revision,
            at,
            signature: Signature::from_bytes(&[0; 64]),
        };
        receipt.signature = key.sign(Domain::NameReceipt, &[&receipt.signed_bytes()]);
        receipt
    }

    fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(
            self.registry,
            &self.name,
            self.post,
            self.account,
            self.revision,
            self.at,
        ))
    }

    /// Checks the registry's signature. The caller decides whether it trusts this registry.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = self.signed_bytes();
        key::verify(&self.registry.0, Domain::NameReceipt, &[&signed], &self.signature)
    }

    pub(crate) fn within_limits(&self) -> bool {
        name_fits(&self.name)
    }
}

/// The registry's signed statement that it reached a revision: a device puts it into [`NameRequest::known`]. Signed,
/// so that a relay cannot make a device sign a request that would remain valid for long.
///
/// [`NameRequest::known`]: super::NameRequest::known
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameMark {
    pub registry: RegistryId,
    /// The number of a change it made.
    pub revision: u64,
    /// The registry's signature over the fields above.
    pub signature: Signature,
}

impl NameMark {
    /// A mark by the registry with `key`.
    #[must_use]
    pub fn issue(key: &KeyPair, revision: u64) -> Self {
        let registry = RegistryId(key.public());
        let signed = codec::encode(&(registry, revision));
        Self {
            registry,
            revision,
            signature: key.sign(Domain::NameMark, &[&signed]),
        }
    }

    /// Checks the registry's signature. The caller decides whether it trusts this registry.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.registry, self.revision));
        key::verify(&self.registry.0, Domain::NameMark, &[&signed], &self.signature)
    }
}
