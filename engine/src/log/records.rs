//! What is stored, apart from entries: postcard values of the store's tables.

use protocol::identity::Certificate;
use protocol::name::NameReceipt;
use protocol::{AccountId, DeviceId, EntryId, KeyPair, Timestamp, codec};
use serde::{Deserialize, Serialize};

use crate::log::keys::FeedNumber;

/// Keys of the `Meta` table.
pub(crate) mod meta {
    pub(crate) const IDENTITY: &[u8] = b"identity";
    pub(crate) const PREFERENCES: &[u8] = b"preferences";
    /// Prefix: an account whose views are being folded again; present until that is done.
    pub(crate) const REFOLD: &[u8] = b"refold:";
    /// The registry names are taken from.
    pub(crate) const REGISTRY: &[u8] = b"registry";
    /// A relay that has been one of several; present from then on.
    pub(crate) const NETWORKED: &[u8] = b"networked";
    /// Prefix: what is asked of the registry; a post's id if it is the post's slug, nothing if it is the account's name.
    pub(crate) const CLAIM: &[u8] = b"claim";
    /// To whom the account's name is offered.
    pub(crate) const OFFERED: &[u8] = b"offered";
    /// Prefix: a feed (its number) whose entries are being deleted; present until that is done.
    pub(crate) const DROP: &[u8] = b"drop:";
    /// All views are being rebuilt; present until that is done.
    pub(crate) const REBUILD: &[u8] = b"rebuild";
}

/// Who this device is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    pub(crate) device_seed: [u8; 32],
    /// Until the recovery phrase was confirmed.
    pub(crate) account_seed: Option<[u8; 32]>,
    pub(crate) certificate: Certificate,
}

/// Who this device is, with its keys at hand.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) key: KeyPair,
    pub(crate) account_key: Option<KeyPair>,
    pub(crate) certificate: Certificate,
}

impl Identity {
    pub(crate) fn record(&self) -> IdentityRecord {
        IdentityRecord {
            device_seed: self.key.seed(),
            account_seed: self.account_key.as_ref().map(KeyPair::seed),
            certificate: self.certificate.clone(),
        }
    }
}

impl From<IdentityRecord> for Identity {
    fn from(record: IdentityRecord) -> Self {
        Self {
            account: record.certificate.account,
            device: record.certificate.device,
            key: KeyPair::from_seed(&record.device_seed),
            account_key: record.account_seed.map(|seed| KeyPair::from_seed(&seed)),
            certificate: record.certificate,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Preferences {
    pub(crate) relays_only: bool,
}

/// A feed, as stored. Rows of before posts were counted end with `since`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FeedRecord {
    pub(crate) number: FeedNumber,
    pub(crate) account: AccountId,
    pub(crate) next_seq: u64,
    pub(crate) head: EntryId,
    pub(crate) lamport: u64,
    pub(crate) name: String,
    pub(crate) since: Timestamp,
    pub(crate) posts: u64,
    pub(crate) signed_at: Timestamp,
}

/// What follows such a row: no posts, signed at no known time, each a zero of one byte.
const UNCOUNTED: [u8; 2] = [0; 2];

impl FeedRecord {
    /// Reads a row, and whether its posts were counted. A feed that could not be read would be lost, and what this device
    /// wrote last with it.
    pub(crate) fn parse(row: &[u8]) -> Option<(Self, bool)> {
        if let Ok(record) = codec::decode_extensible(row) {
            return Some((record, true));
        }
        let mut record: Self = codec::decode_extensible(&[row, &UNCOUNTED].concat()).ok()?;
        record.signed_at = record.since;
        Some((record, false))
    }
}

/// The greatest (lamport, device) wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Precedence {
    pub(crate) lamport: u64,
    pub(crate) device: DeviceId,
    /// Within one feed and lamport the later entry.
    pub(crate) seq: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    pub(crate) name: String,
    pub(crate) bio: String,
    pub(crate) precedence: Precedence,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRecord {
    pub(crate) receipt: Option<NameReceipt>,
    pub(crate) precedence: Precedence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FollowRecord {
    pub(crate) on: bool,
    pub(crate) precedence: Precedence,
}

/// What a peer confirmed to hold of an own feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HolderRecord {
    pub(crate) next_seq: u64,
    /// By a signed receipt of a known relay.
    pub(crate) relay: bool,
    pub(crate) at: Timestamp,
}

/// A relay of the address book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RelayRecord {
    pub(crate) at: Timestamp,
    /// Where it is; empty if the adapter knows.
    pub(crate) url: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) seq: u64,
    pub(crate) id: EntryId,
}
