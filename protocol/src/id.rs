//! Identifiers: 32 bytes each, told apart by type.
//!
//! The text form of an id is lower-case base32 (RFC 4648 section 6, no padding) of the 32 bytes and two checksum bytes
//! (the start of their BLAKE3 hash), 55 characters. It can be put into a link or a QR code and selected by a double
//! click, and the checksum detects typing errors.

use core::fmt;
use core::str::FromStr;

use data_encoding::{BASE32_NOPAD, DecodeKind};
use serde::{Deserialize, Serialize};

/// Length in characters of every id in text form.
pub const ID_TEXT_LEN: usize = 55;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 55 characters long.
    #[error("an id has {ID_TEXT_LEN} characters")]
    Length,
    /// A character that is not a letter a–z or a digit 2–7.
    #[error("an id is written with the letters a–z and the digits 2–7")]
    Alphabet,
    /// The checksum differs: most likely a typing error.
    #[error("the id has a typing error in it")]
    Checksum,
}

fn checksum(bytes: &[u8; 32]) -> [u8; 2] {
    let hash = blake3::hash(bytes);
    [hash.as_bytes()[0], hash.as_bytes()[1]]
}

fn to_text(bytes: &[u8; 32]) -> String {
    let mut raw = [0u8; 34];
    raw[..32].copy_from_slice(bytes);
    raw[32..].copy_from_slice(&checksum(bytes));
    BASE32_NOPAD.encode(&raw).to_ascii_lowercase()
}

fn from_text(text: &str) -> Result<[u8; 32], IdError> {
    if text.len() != ID_TEXT_LEN {
        return Err(IdError::Length);
    }
    let raw = BASE32_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .map_err(|error| match error.kind {
            // The last character holds spare bits, which must be zero: a known character, but not the right one.
            DecodeKind::Trailing => IdError::Checksum,
            _ => IdError::Alphabet,
        })?;
    let bytes: [u8; 32] = raw
        .get(..32)
        .and_then(|b| b.try_into().ok())
        .ok_or(IdError::Length)?;
    if raw[32..] != checksum(&bytes) {
        return Err(IdError::Checksum);
    }
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight characters of the text form, for display only; never compare them.
            #[must_use]
            pub fn short(&self) -> String {
                let mut text = to_text(&self.0);
                text.truncate(8);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_text(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_text(text).map(Self)
            }
        }
    };
}

id! {
    /// An account: the public key of the Ed25519 key that a recovery phrase encodes.
    AccountId
}
id! {
    /// A device: the Ed25519 public key that signs one feed.
    DeviceId
}
id! {
    /// An entry: the BLAKE3 hash of its header's canonical bytes (the signature is no part of it).
    EntryId
}
id! {
    /// A peer on a link: the Ed25519 public key that its handshake proves. A device's peer id is its device key.
    PeerId
}

impl From<DeviceId> for PeerId {
    fn from(device: DeviceId) -> Self {
        Self(device.0)
    }
}

impl PeerId {
    /// The device with this key.
    #[must_use]
    pub fn as_device(self) -> DeviceId {
        DeviceId(self.0)
    }
}

/// Identifies an entry together with its account, which is enough to request it from the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryRef {
    pub account: AccountId,
    pub id: EntryId,
}
