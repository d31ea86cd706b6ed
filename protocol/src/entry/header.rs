//! Headers, and entries as they are sent: not verified yet.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{AccountId, DeviceId, EntryId};
use crate::key::Signature;
use crate::kinds::Kind;
use crate::time::Timestamp;

/// The version of the entry format written here. Entries of another version are refused.
pub const ENTRY_VERSION: u8 = 1;

/// The signed part of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`ENTRY_VERSION`].
    pub version: u8,
    /// The device that signs.
    pub device: DeviceId,
    /// The account the device speaks for.
    pub account: AccountId,
    /// Number in the feed, counted from 0.
    pub seq: u64,
    /// The previous entry's id; all zero for the first entry.
    pub prev: EntryId,
    /// Lamport clock: greater than that of every entry of this account that the device knew.
    pub lamport: u64,
    /// Time of writing, as claimed by the author.
    pub timestamp: Timestamp,
    /// The kind of the body.
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
    pub header: Header,
    /// The device's signature over the header's id.
    pub signature: Signature,
}

/// An entry as it is sent. Nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub signed: SignedHeader,
    /// The body's bytes.
    pub body: Vec<u8>,
}

/// The place of a new entry in its feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub seq: u64,
    /// Its predecessor.
    pub prev: EntryId,
    /// Its Lamport clock.
    pub lamport: u64,
}
