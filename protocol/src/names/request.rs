//! Questions to the registry: lookups, and signed requests to change something.

use serde::{Deserialize, Serialize};

use super::name_fits;
use crate::codec;
use crate::entry::Header;
use crate::id::{AccountId, EntryId};
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::kinds::{Certificate, Kind};
use crate::limits;
use crate::work;

/// A question to the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameQuestion {
    /// Asks who owns this name or slug.
    Lookup {
        /// It is a slug, not a name.
        slug: bool,
        /// The name or slug.
        name: String,
    },
    /// Change something.
    Request(NameRequest),
}

impl NameQuestion {
    pub(crate) fn within_limits(&self) -> bool {
        match self {
            Self::Lookup { name, .. } => name_fits(name),
            Self::Request(request) => request.within_limits(),
        }
    }
}

/// What an account wants to do with a name or slug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameAction {
    Claim,
    Release,
    /// Allow another account to claim it (a slug: for a post of its own). It keeps its owner until then. `None`
    /// withdraws the offer.
    Offer {
        /// The account that may claim it.
        to: Option<AccountId>,
    },
}

/// A request to the registry, signed by a device of the account. A relay that forwards one could repeat it later: the
/// second time it does nothing, because the change it made is later than [`known`](Self::known).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRequest {
    /// The account, and proof that this device speaks for it.
    pub certificate: Certificate,
    /// The name or slug, in its canonical form.
    pub name: String,
    /// The header of the slug's post; `None`: it is the name of the account. An entry's id is the hash of its header,
    /// so a registry that stores no posts can check whose post it is.
    pub post: Option<Header>,
    /// What to do with the name or slug.
    pub action: NameAction,
    /// Random: tells whether a request whose answer was lost took effect.
    pub nonce: [u8; 16],
    /// The registry's latest revision that the device knows. The request does nothing if the name or slug changed
    /// later.
    pub known: u64,
    /// The device's signature over account, device, name, the post's id, action, nonce and `known`.
    pub signature: Signature,
    /// Proof of work, see [`NameRequest::work_bits`]; not signed.
    pub work: u64,
}

impl NameRequest {
    /// A request by the device with `key`, to which `certificate` belongs; without proof of work.
    #[must_use]
    pub fn issue(
        key: &KeyPair,
        certificate: Certificate,
        name: String,
        post: Option<Header>,
        action: NameAction,
        nonce: [u8; 16],
        known: u64,
    ) -> Self {
        let mut request = Self {
            certificate,
            name,
            post,
            action,
            nonce,
            known,
            signature: Signature::from_bytes(&[0; 64]),
            work: 0,
        };
        request.signature = key.sign(Domain::NameRequest, &[&request.signed_bytes()]);
        request
    }

    /// Checks the device's signature, the account's in the certificate, and that the post belongs to the account.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let foreign = |post: &Header| post.account != self.certificate.account || post.kind != Kind::POST;
        if self.post.as_ref().is_some_and(foreign) {
            return Err(BadSignature);
        }
        let device = &self.certificate.device.0;
        key::verify(
            device,
            Domain::NameRequest,
            &[&self.signed_bytes()],
            &self.signature,
        )?;
        self.certificate.verify()
    }

    /// The post of the slug; `None`: it is about the account's name.
    #[must_use]
    pub fn post_id(&self) -> Option<EntryId> {
        self.post.as_ref().map(Header::id)
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let by = &self.certificate;
        let post = self.post_id();
        codec::encode(&(
            by.account,
            by.device,
            &self.name,
            post,
            &self.action,
            self.nonce,
            self.known,
        ))
    }

    /// The proven work: leading zero bits of BLAKE3 over the signature and `work` (Back, "Hashcash", 2002). Each bit
    /// doubles the cost of claiming names in bulk.
    #[must_use]
    pub fn work_bits(&self) -> u32 {
        self.bits_of(self.work)
    }

    /// Tries `tries` values from `work` on for one that proves `bits` of work, and returns whether one was found.
    /// Otherwise `work` is the next value to try.
    pub fn seek_work(&mut self, bits: u32, tries: u32) -> bool {
        let mut nonce = self.work;
        let found = work::seek(&mut nonce, bits, tries, |nonce| self.bits_of(nonce));
        self.work = nonce;
        found
    }

    fn bits_of(&self, work: u64) -> u32 {
        let mut bytes = [0; 72];
        bytes[..64].copy_from_slice(&self.signature.to_bytes());
        bytes[64..].copy_from_slice(&work.to_le_bytes());
        work::zero_bits(&blake3::hash(&bytes))
    }

    pub(crate) fn within_limits(&self) -> bool {
        name_fits(&self.name) && self.certificate.name.chars().count() <= limits::DEVICE_NAME_CHARS_MAX
    }
}
