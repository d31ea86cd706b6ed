//! What the log stores beside entries: postcard values of its tables, and the keys of the `Meta` table.

use protocol::messages::receipt::Reason;
use protocol::{AccountId, EntryId, Timestamp, codec};
use serde::{Deserialize, Serialize};

use crate::log::keys::FeedNumber;

/// Keys of the `Meta` table.
pub(crate) mod meta {
    pub(crate) const IDENTITY: &[u8] = b"identity";
    pub(crate) const PREFERENCES: &[u8] = b"preferences";
    /// Prefix: an account whose views are being folded again; present until that is done.
    pub(crate) const REINDEX: &[u8] = b"refold:";
    /// The registry names are taken from.
    pub(crate) const REGISTRY: &[u8] = b"registry";
    /// A relay that has been one of several; present from then on.
    pub(crate) const NETWORKED: &[u8] = b"networked";
    /// Prefix: signer and subject of a statement about a member.
    pub(crate) const VOUCH: &[u8] = b"vouch:";
    /// Prefix: what is asked of the registry; a post's id if it is the post's slug, nothing if it is the account's
    /// name.
    pub(crate) const CLAIM: &[u8] = b"claim";
    /// To whom the account's name is offered.
    pub(crate) const OFFERED: &[u8] = b"offered";
    /// Prefix: a feed (its number) whose entries are being deleted; present until that is done.
    pub(crate) const DROP: &[u8] = b"drop:";
    /// A relay that has signed receipts; present from then on.
    pub(crate) const SIGNED: &[u8] = b"signed";
    /// Prefix: account, device and relay of a withdrawal that devices of the account may not know yet.
    pub(crate) const WITHDRAWN: &[u8] = b"withdrawn:";
    /// Prefix: a relay that is no member of the network, so that its receipts do not count.
    pub(crate) const NO_MEMBER: &[u8] = b"no_member:";
    /// This device's store is an old copy: present until it became a device of its own.
    pub(crate) const OLD_COPY: &[u8] = b"old_copy";
    /// Prefix: the id of a post that was taken back, and will be issued again.
    pub(crate) const SET_ASIDE: &[u8] = b"aside:";
    /// All views are being rebuilt; present until that is done.
    pub(crate) const REBUILD: &[u8] = b"rebuild";
    /// The kinds of which every stored entry is indexed.
    pub(crate) const KINDS: &[u8] = b"kinds";
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
    /// Reads a row, and whether its posts were counted. A feed that could not be read would be lost, and what this
    /// device wrote last with it.
    pub(crate) fn parse(row: &[u8]) -> Option<(Self, bool)> {
        if let Ok(record) = codec::decode_extensible(row) {
            return Some((record, true));
        }
        let mut record: Self = codec::decode_extensible(&[row, &UNCOUNTED].concat()).ok()?;
        record.signed_at = record.since;
        Some((record, false))
    }
}

/// What a peer confirmed to hold of an own feed. Rows of before withdrawals end with `at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HolderRecord {
    pub(crate) next_seq: u64,
    /// By a signed receipt of a known relay.
    pub(crate) relay: bool,
    pub(crate) at: Timestamp,
    /// When the relay signed the last receipt or withdrawal that counted, by its clock.
    pub(crate) signed_at: Timestamp,
    /// The entries below this number it held at some time.
    pub(crate) held: u64,
    /// Why the relay keeps less than it held.
    pub(crate) withdrawn: Option<Reason>,
}

/// What follows such a row: signed at no known time, no more was held, nothing withdrawn, each a zero of one byte.
const UNSIGNED: [u8; 3] = [0; 3];

impl HolderRecord {
    pub(crate) fn parse(row: &[u8]) -> Option<Self> {
        let record = codec::decode_extensible(row);
        record
            .or_else(|_| codec::decode_extensible(&[row, &UNSIGNED].concat()))
            .ok()
    }
}
