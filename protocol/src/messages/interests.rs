//! Interests: whose entries a peer wants.

use serde::{Deserialize, Serialize};

use super::Fields;
use crate::id::AccountId;
use crate::limits;

/// An account as it is named to a neighbour: the first eight bytes of BLAKE3 keyed with a salt, that of the relay it is
/// named to ([`relay_salt`](crate::link::handshake::relay_salt)) or that of the two peers
/// ([`pair_salt`](crate::link::handshake::pair_salt)). A neighbour recognises the accounts it knows and learns nothing
/// about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SaltedAccount(pub [u8; 8]);

impl SaltedAccount {
    /// The name of `account` under a salt.
    #[must_use]
    pub fn new(salt: &[u8; 32], account: &AccountId) -> Self {
        let hash = blake3::keyed_hash(salt, &account.0);
        let mut short = [0u8; 8];
        short.copy_from_slice(&hash.as_bytes()[..8]);
        Self(short)
    }
}

/// See [`Message::Interests`](super::Message::Interests).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interests {
    /// Replaces all interests sent before.
    pub reset: bool,
    /// All feeds are wanted (relays).
    pub everything: bool,
    /// The feeds assigned to the sender, according to the receiver's own directory, are wanted (relays).
    pub assigned: bool,
    /// Wanted from now on.
    pub add: Vec<SaltedAccount>,
    /// No longer wanted.
    pub remove: Vec<SaltedAccount>,
    /// Wanted, and named in the clear: accounts that the receiving relay did not mention so far.
    pub named: Vec<AccountId>,
    /// More parts follow.
    pub more: bool,
    /// A sketch of what the sender holds follows; no digest is needed.
    pub sketch: bool,
    /// Sent instead of the list: the [fingerprint](Self::fingerprint) of all interests, which are the same as on the
    /// last link between the two peers.
    pub same: Option<[u8; 16]>,
}

impl Interests {
    /// The fingerprint of all interests, in ascending order: the first 16 bytes of their BLAKE3 hash.
    #[must_use]
    pub fn fingerprint<'a>(wanted: impl IntoIterator<Item = &'a SaltedAccount>) -> [u8; 16] {
        let mut hash = blake3::Hasher::new();
        for account in wanted {
            hash.update(&account.0);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        short
    }
}

impl Fields for Interests {
    fn within_limits(&self) -> bool {
        self.add.len() + self.remove.len() <= limits::INTERESTS_PER_MESSAGE_MAX
            && self.named.len() <= limits::NAMED_PER_MESSAGE_MAX
    }
}

/// See [`Message::ResumeFailed`](super::Message::ResumeFailed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeFailed;

impl Fields for ResumeFailed {}
