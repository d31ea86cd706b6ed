//! Entries: the links of a device's append-only signed log (its feed).
//!
//! A feed is the sequence of entries of one device, numbered from 0 without gaps, each naming its predecessor's id. Header
//! and body are apart: a body can be dropped, the header stays verifiable. Invariant: a [`VerifiedEntry`] exists only for
//! an entry whose signature, hashes, lengths and, for the first entry, certificate were checked.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{AccountId, DeviceId, EntryId, EntryRef};
use crate::identity::{Certificate, Revocation};
use crate::key::{Domain, KeyPair, PublicKey, Signature};
use crate::limits;
use crate::name::NameReceipt;
use crate::time::Timestamp;

/// The version of the entry format written here. Others are refused.
pub const ENTRY_VERSION: u8 = 1;

/// What an entry says. Append-only: unknown kinds are stored, forwarded, and skipped by views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kind(pub u16);

impl Kind {
    /// [`Certificate`]: always and only the first entry.
    pub const CERTIFICATE: Self = Self(0);
    /// [`Profile`].
    pub const PROFILE: Self = Self(1);
    /// [`Post`].
    pub const POST: Self = Self(2);
    /// [`Follow`].
    pub const FOLLOW: Self = Self(3);
    /// [`Revocation`].
    pub const REVOCATION: Self = Self(4);
    /// [`Name`].
    pub const NAME: Self = Self(5);
    /// [`Slug`].
    pub const SLUG: Self = Self(6);
}

/// The signed part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`ENTRY_VERSION`].
    pub version: u8,
    /// Whose feed: the key that signs.
    pub device: DeviceId,
    /// The account the device speaks for.
    pub account: AccountId,
    /// Number in the feed, from 0.
    pub seq: u64,
    /// The previous entry's id; all zero for the first.
    pub prev: EntryId,
    /// Lamport clock: greater than that of everything of this account its author had seen.
    pub lamport: u64,
    /// The author's claim of when.
    pub timestamp: Timestamp,
    /// What the body is.
    pub kind: Kind,
    /// BLAKE3 of the body.
    pub body_hash: [u8; 32],
    /// Length of the body in bytes.
    pub body_len: u32,
}

impl Header {
    /// The id: BLAKE3 of the canonical bytes of the header.
    #[must_use]
    pub fn id(&self) -> EntryId {
        EntryId(*blake3::hash(&codec::encode(self)).as_bytes())
    }
}

/// A header with its device's signature over the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHeader {
    /// What is signed.
    pub header: Header,
    /// By the device key.
    pub signature: Signature,
}

impl SignedHeader {
    /// Checks shape and signature; the id is a by-product.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn verify(&self) -> Result<EntryId, EntryError> {
        self.check_shape()?;
        let key = PublicKey::new(&self.header.device.0).map_err(|_| EntryError::Signature)?;
        self.verify_by(&key)
    }

    /// As [`Self::verify`], with the device's key made ready.
    fn verify_by(&self, key: &PublicKey) -> Result<EntryId, EntryError> {
        self.check_shape()?;
        let id = self.header.id();
        let own = *key.bytes() == self.header.device.0;
        own.then(|| key.verify(Domain::Entry, &[&id.0], &self.signature).ok())
            .flatten()
            .ok_or(EntryError::Signature)?;
        Ok(id)
    }

    /// Everything about a header that costs next to nothing to check.
    fn check_shape(&self) -> Result<(), EntryError> {
        let header = &self.header;
        if header.version != ENTRY_VERSION {
            return Err(EntryError::Version);
        }
        if header.body_len as usize > limits::BODY_LEN_MAX {
            return Err(EntryError::TooLong);
        }
        if header.seq > limits::SEQ_MAX
            || (header.seq == 0) != (header.kind == Kind::CERTIFICATE)
            || (header.seq == 0) != (header.prev == EntryId([0; 32]))
        {
            return Err(EntryError::Order);
        }
        Ok(())
    }
}

/// An entry as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The signed header.
    pub signed: SignedHeader,
    /// The body's bytes.
    pub body: Vec<u8>,
}

/// An entry that was checked, with its id. The only form in which entries are stored, shown or forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry {
    entry: Entry,
    id: EntryId,
}

/// Why an entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Another version of the format.
    #[error("an entry of an unknown version")]
    Version,
    /// The body is longer than allowed.
    #[error("an entry's body is too long")]
    TooLong,
    /// The body is not the one the header names.
    #[error("an entry's body does not match its header")]
    Body,
    /// First entries are certificates, others are not, only first ones have no predecessor, and numbers end at
    /// [`limits::SEQ_MAX`].
    #[error("an entry's number, predecessor and kind do not fit together")]
    Order,
    /// The device's signature is wrong.
    #[error("an entry's signature is not valid")]
    Signature,
    /// The certificate is for another device or account, or not signed by the account.
    #[error("an entry's certificate is not valid")]
    Certificate,
}

impl Entry {
    /// Checks everything that can be checked without knowing the rest of the feed.
    ///
    /// # Errors
    /// [`EntryError`]; cheap checks come first, the signature last.
    pub fn verify(self) -> Result<VerifiedEntry, EntryError> {
        self.signed.check_shape()?;
        let key = PublicKey::new(&self.signed.header.device.0).map_err(|_| EntryError::Signature)?;
        self.verify_by(&key)
    }

    /// As [`Self::verify`], with the device's key made ready: for whoever checks many entries of one feed.
    ///
    /// # Errors
    /// [`EntryError`], also if the key is another device's.
    pub fn verify_by(self, key: &PublicKey) -> Result<VerifiedEntry, EntryError> {
        self.signed.check_shape()?;
        let header = &self.signed.header;
        if header.body_len as usize != self.body.len()
            || *blake3::hash(&self.body).as_bytes() != header.body_hash
        {
            return Err(EntryError::Body);
        }
        let id = self.signed.verify_by(key)?;
        if header.kind == Kind::CERTIFICATE {
            let certificate: Certificate =
                codec::decode_open(&self.body).map_err(|_| EntryError::Certificate)?;
            let fits = certificate.device == header.device
                && certificate.account == header.account
                && certificate.name.chars().count() <= limits::DEVICE_NAME_CHARS_MAX;
            if !fits || certificate.verify().is_err() {
                return Err(EntryError::Certificate);
            }
        }
        Ok(VerifiedEntry { entry: self, id })
    }
}

impl VerifiedEntry {
    /// Writes and signs an entry.
    ///
    /// # Panics
    /// If `key` is not the device's or the body is over its limit: a bug of the caller.
    #[must_use]
    pub fn create(
        key: &KeyPair,
        at: Position,
        account: AccountId,
        timestamp: Timestamp,
        body: &Body,
    ) -> Self {
        let kind = body.kind();
        let body = body.encode();
        assert!(
            body.len() <= limits::BODY_LEN_MAX,
            "the caller limits what people write"
        );
        assert!(
            (at.seq == 0) == (kind == Kind::CERTIFICATE),
            "a feed begins with its certificate"
        );
        let header = Header {
            version: ENTRY_VERSION,
            device: DeviceId(key.public()),
            account,
            seq: at.seq,
            prev: at.prev,
            lamport: at.lamport,
            timestamp,
            kind,
            body_hash: *blake3::hash(&body).as_bytes(),
            body_len: body.len() as u32,
        };
        let id = header.id();
        let signature = key.sign(Domain::Entry, &[&id.0]);
        Self {
            entry: Entry {
                signed: SignedHeader { header, signature },
                body,
            },
            id,
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.entry.signed.header
    }

    /// Header and signature.
    #[must_use]
    pub fn signed(&self) -> &SignedHeader {
        &self.entry.signed
    }

    /// The body's bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.entry.body
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Account and id.
    #[must_use]
    pub fn entry_ref(&self) -> EntryRef {
        EntryRef {
            account: self.header().account,
            id: self.id,
        }
    }

    /// The entry as it travels.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// Where in a feed a new entry goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub seq: u64,
    /// Its predecessor.
    pub prev: EntryId,
    /// Its Lamport time.
    pub lamport: u64,
}

/// What a person calls themselves. The one with the greatest (lamport, device) counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Display name.
    pub name: String,
    /// Self-description.
    pub bio: String,
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Plain text.
    pub text: String,
    /// What it answers.
    pub reply: Option<ReplyTo>,
}

/// What a post answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The post that began the thread.
    pub root: EntryRef,
    /// The post answered.
    pub parent: EntryRef,
}

/// Whom a person follows, or no longer. Per target the one with the greatest (lamport, device) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Whom.
    pub account: AccountId,
    /// Follow, or stop following.
    pub on: bool,
}

/// The name the account has in the registry, or that it has none any more. The one with the greatest (lamport, device)
/// counts; of several accounts with a receipt for one name, the receipt with the highest revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The registry's word.
    pub receipt: Option<NameReceipt>,
}

/// The slug a post of the account has in the registry, or that it has none any more. Per post the one with the greatest
/// (lamport, device) counts; of several posts with a receipt for one slug, the receipt with the highest revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slug {
    /// Which post.
    pub post: EntryId,
    /// The registry's word.
    pub receipt: Option<NameReceipt>,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// See [`Certificate`].
    Certificate(Certificate),
    /// See [`Profile`].
    Profile(Profile),
    /// See [`Post`].
    Post(Post),
    /// See [`Follow`].
    Follow(Follow),
    /// See [`Revocation`].
    Revocation(Revocation),
    /// See [`Name`].
    Name(Name),
    /// See [`Slug`].
    Slug(Slug),
}

impl Body {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Certificate(_) => Kind::CERTIFICATE,
            Self::Profile(_) => Kind::PROFILE,
            Self::Post(_) => Kind::POST,
            Self::Follow(_) => Kind::FOLLOW,
            Self::Revocation(_) => Kind::REVOCATION,
            Self::Name(_) => Kind::NAME,
            Self::Slug(_) => Kind::SLUG,
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Certificate(body) => codec::encode(body),
            Self::Profile(body) => codec::encode(body),
            Self::Post(body) => codec::encode(body),
            Self::Follow(body) => codec::encode(body),
            Self::Revocation(body) => codec::encode(body),
            Self::Name(body) => codec::encode(body),
            Self::Slug(body) => codec::encode(body),
        }
    }

    /// What `bytes` of `kind` say: `None` for an unknown kind, malformed bytes, or a value over its limits. Such an entry
    /// is kept and forwarded all the same, since its signature holds; views skip it, on every peer alike.
    #[must_use]
    pub fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let chars = |text: &str, max: usize| text.chars().count() <= max;
        let holds = |receipt: &Option<NameReceipt>, post: Option<EntryId>| {
            receipt
                .as_ref()
                .is_none_or(|r| r.post == post && r.within_limits() && r.verify().is_ok())
        };
        match kind {
            Kind::CERTIFICATE => codec::decode_open(bytes).ok().map(Self::Certificate),
            Kind::PROFILE => codec::decode_open::<Profile>(bytes)
                .ok()
                .filter(|p| chars(&p.name, limits::NAME_CHARS_MAX) && chars(&p.bio, limits::BIO_CHARS_MAX))
                .map(Self::Profile),
            Kind::POST => codec::decode_open::<Post>(bytes)
                .ok()
                .filter(|p| !p.text.is_empty() && chars(&p.text, limits::POST_CHARS_MAX))
                .map(Self::Post),
            Kind::FOLLOW => codec::decode_open(bytes).ok().map(Self::Follow),
            Kind::REVOCATION => codec::decode_open::<Revocation>(bytes)
                .ok()
                .filter(|r| r.verify().is_ok())
                .map(Self::Revocation),
            Kind::NAME => codec::decode_open::<Name>(bytes)
                .ok()
                .filter(|n| holds(&n.receipt, None))
                .map(Self::Name),
            Kind::SLUG => codec::decode_open::<Slug>(bytes)
                .ok()
                .filter(|s| holds(&s.receipt, Some(s.post)))
                .map(Self::Slug),
            _ => None,
        }
    }
}
