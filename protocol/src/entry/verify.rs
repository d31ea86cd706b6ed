//! Verification of entries, and creation of signed ones.

use crate::codec;
use crate::entry::{ENTRY_VERSION, Entry, Header, Position, SignedHeader};
use crate::id::{AccountId, DeviceId, EntryId, EntryRef};
use crate::key::{Domain, KeyPair, PublicKey};
use crate::kinds::{Body, Certificate, Kind};
use crate::limits;
use crate::time::Timestamp;

/// A verified entry with its id: the only form in which entries are stored, shown or forwarded.
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
    /// The body's length or hash is not the header's.
    #[error("an entry's body does not match its header")]
    Body,
    /// The first entry must be a certificate without predecessor, all others must not be; numbers end at
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

impl SignedHeader {
    /// Checks shape and signature, and returns the id.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn verify(&self) -> Result<EntryId, EntryError> {
        self.check_shape()?;
        let key = PublicKey::new(&self.header.device.0).map_err(|_| EntryError::Signature)?;
        self.verify_by(&key)
    }

    /// As [`Self::verify`], with the device's key already decoded.
    fn verify_by(&self, key: &PublicKey) -> Result<EntryId, EntryError> {
        self.check_shape()?;
        let id = self.header.id();
        let own = *key.bytes() == self.header.device.0;
        own.then(|| key.verify(Domain::Entry, &[&id.0], &self.signature).ok())
            .flatten()
            .ok_or(EntryError::Signature)?;
        Ok(id)
    }

    /// The checks of a header that need no hashing and no signature.
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

    /// As [`Self::verify`], with the device's key already decoded: for checking many entries of one feed.
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
    /// Creates and signs an entry.
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

    #[must_use]
    pub fn header(&self) -> &Header {
        &self.entry.signed.header
    }

    #[must_use]
    pub fn signed(&self) -> &SignedHeader {
        &self.entry.signed
    }

    /// The body's bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.entry.body
    }

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

    /// The entry as it is sent.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}
