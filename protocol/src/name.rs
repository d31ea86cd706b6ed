//! Names that belong to one account, and slugs that belong to one post, in the whole network: asking the registry for one,
//! and its signed word.
//!
//! Feeds need no names and no permission. A name is what people say to each other instead of a key, and a slug instead of
//! a post's id, so two must never have the same one: that is decided in one place, the registry, and what it decides is
//! signed, so that everybody who knows the registry's key can check it without asking.
//!
//! Names and slugs are two spaces under one set of rules: `ada` can be a person and something else a post.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::entry::{Header, Kind};
use crate::id::{AccountId, EntryId};
use crate::identity::Certificate;
use crate::key::{self, BadSignature, Domain, KeyPair, Signature};
use crate::limits;
use crate::time::Timestamp;

/// A registry, by the public key it signs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistryId(pub [u8; 32]);

/// What an account wants done with a name or slug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameAction {
    /// Have it.
    Claim,
    /// Have it no more.
    Release,
    /// Let another account claim it, a slug for a post of its own; `None`: nobody any more. Until that happens it stays
    /// where it is.
    Offer {
        /// Whom.
        to: Option<AccountId>,
    },
}

/// A request to the registry, signed by a device of the account. Whoever passes one on can keep it and repeat it later; it
/// does nothing a second time, since what it did is later than what it [knew](Self::known) of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRequest {
    /// Which account asks, and that this device speaks for it.
    pub certificate: Certificate,
    /// The name or slug, in its canonical form.
    pub name: String,
    /// The header of the post it is, or shall be, the slug of; `None`: it is the name of the account. An entry's id is the hash of its
    /// header, so this proves whose post it is to a registry that keeps no posts.
    pub post: Option<Header>,
    /// What to do with it.
    pub action: NameAction,
    /// Chosen at random: settles whether a request whose answer was lost took effect.
    pub nonce: [u8; 16],
    /// How far the registry was when the account wished for this, as far as the device knows: nothing is done if the name or
    /// slug changed later.
    pub known: u64,
    /// By the device over account, device, name, the post's id, action, nonce and what it knew.
    pub signature: Signature,
    /// See [`NameRequest::work_bits`]; not signed.
    pub work: u64,
}

impl NameRequest {
    /// A request by the device with `key`, whose certificate this is; without work.
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

    /// Checks both signatures, the device's and the account's in the certificate, and that the post is the account's own.
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

    /// The post it is about; `None`: the account's name.
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

    /// How much work `work` proves: the leading zero bits of BLAKE3 of the signature and it (Back, "Hashcash", 2002).
    /// Each bit doubles what a flood of names costs, and hardly anybody else notices.
    #[must_use]
    pub fn work_bits(&self) -> u32 {
        self.bits_of(self.work)
    }

    /// Tries `tries` values from `work` on for one that proves `bits` of work; whether one was found. `work` is where to go
    /// on otherwise.
    pub fn seek_work(&mut self, bits: u32, tries: u32) -> bool {
        for _ in 0..tries {
            if self.bits_of(self.work) >= bits {
                return true;
            }
            self.work = self.work.wrapping_add(1);
        }
        false
    }

    fn bits_of(&self, work: u64) -> u32 {
        let mut bytes = [0; 72];
        bytes[..64].copy_from_slice(&self.signature.to_bytes());
        bytes[64..].copy_from_slice(&work.to_le_bytes());
        let hash = blake3::hash(&bytes);
        hash.as_bytes()
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first).leading_zeros())
    }

    pub(crate) fn within_limits(&self) -> bool {
        name_fits(&self.name) && self.certificate.name.chars().count() <= limits::DEVICE_NAME_CHARS_MAX
    }
}

fn name_fits(name: &str) -> bool {
    name.len() <= limits::UNIQUE_NAME_LEN_MAX
}

/// The registry's word that a name belongs to an account, or a slug to a post of it. Of two for one name, and of two for one
/// slug, the higher revision counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameReceipt {
    /// Which registry.
    pub registry: RegistryId,
    /// The name or slug.
    pub name: String,
    /// The post it is the slug of; `None`: it is the account's name.
    pub post: Option<EntryId>,
    /// Whose it is.
    pub account: AccountId,
    /// Grows with the changes the registry makes, to whatever name or slug: of two changes to one, the later has the higher.
    pub revision: u64,
    /// When it became theirs, by the registry's clock.
    pub at: Timestamp,
    /// By the registry over all of the above.
    pub signature: Signature,
}

impl NameReceipt {
    /// The word of the registry with `key`.
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

    /// Checks the registry's signature. Whether it is the right registry is for the caller to know.
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

/// The registry's word that it was so far: what a device needs to know for a request of today. It is signed, so that nobody can
/// make a device sign a request that stays good for later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameMark {
    /// Which registry.
    pub registry: RegistryId,
    /// It made a change with this revision.
    pub revision: u64,
    /// By the registry over all of the above.
    pub signature: Signature,
}

impl NameMark {
    /// The word of the registry with `key`.
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

    /// Checks the registry's signature. Whether it is the right registry is for the caller to know.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let signed = codec::encode(&(self.registry, self.revision));
        key::verify(&self.registry.0, Domain::NameMark, &[&signed], &self.signature)
    }
}

/// What is wrong with a name or slug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameFault {
    /// Shorter than the registry allows.
    TooShort {
        /// Characters there must be.
        min: u8,
    },
    /// Longer than the registry allows.
    TooLong {
        /// Characters there may be.
        max: u8,
    },
    /// A character that no name has, or not at its place.
    Character {
        /// Which.
        character: char,
    },
    /// Not in canonical form; this is.
    NotCanonical {
        /// What to ask for instead.
        canonical: String,
    },
    /// Letters of several scripts, which can look like other names.
    MixedScripts,
    /// It reads like a name in Latin letters and is none.
    Confusable,
    /// Kept for the network itself, or the address of one of the app's pages.
    Reserved,
}

/// What the registry says to a [`NameRequest`] or a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameAnswer {
    /// It belongs to the account or post named here: claimed, or looked up.
    Held(NameReceipt),
    /// It belongs to nobody: looked up, or released.
    Free,
    /// It, or one that looks like it, belongs to somebody else, or to another post.
    Taken,
    /// It was released a short while ago and rests, so that nobody is taken for its last owner.
    Resting {
        /// From then on it can be claimed.
        until: Timestamp,
    },
    /// The account has a name already, or the post a slug: this one.
    HasOther {
        /// Which.
        name: String,
    },
    /// It cannot be a name.
    Fault(NameFault),
    /// It does not belong to the account that asks, or not to this post.
    NotYours,
    /// Too many requests; the same one may be repeated later.
    TooFast,
    /// The same request again with this much [work](NameRequest::work_bits), please.
    Work {
        /// Bits.
        bits: u8,
    },
    /// The registry cannot be reached, or does not know whether it was done: ask again, it does no harm.
    Unavailable,
    /// The account has as many slugs as one may have; those that rest count.
    TooMany {
        /// How many.
        max: u32,
    },
    /// It changed after what the request [knew](NameRequest::known) of, and nothing was done: if it is still wished for, the
    /// same again with this revision.
    Outdated(NameMark),
}

/// What is asked of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameQuestion {
    /// Whose is it?
    Lookup {
        /// It is the slug of a post, not the name of an account.
        slug: bool,
        /// The name or slug.
        name: String,
    },
    /// Do something with it.
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

impl NameAnswer {
    pub(crate) fn within_limits(&self) -> bool {
        match self {
            Self::Held(receipt) => receipt.within_limits(),
            Self::HasOther { name } | Self::Fault(NameFault::NotCanonical { canonical: name }) => {
                name_fits(name)
            }
            _ => true,
        }
    }
}
