//! Synchronisation of feeds between two peers: digests, requested ranges, flow control, proofs of forks.

use serde::{Deserialize, Serialize};

use super::{Fields, Message};
use crate::codec;
use crate::entry::{Entry, SignedHeader};
use crate::id::{AccountId, DeviceId, EntryId};
use crate::limits;

/// How far a peer holds a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FeedHead {
    /// The account of the feed's device.
    pub account: AccountId,
    /// The device that writes the feed.
    pub device: DeviceId,
    /// Entries below this number are held; there is at least one.
    pub next_seq: u64,
    /// The entry numbered `next_seq - 1`.
    pub head: EntryId,
}

/// See [`Message::Digest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The feeds held.
    pub heads: Vec<FeedHead>,
    /// The last part of this digest.
    pub end: bool,
}

/// See [`Message::Want`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Chosen by the requester, different for each of its requests under way on the link.
    pub request: u32,
    pub device: DeviceId,
    /// First entry wanted.
    pub from: u64,
    /// End of the range, exclusive.
    pub to: u64,
}

/// See [`Message::Entries`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The `Want` this answers.
    pub request: u32,
    /// Consecutive entries of one feed.
    pub entries: Vec<Entry>,
}

impl Entries {
    /// The bytes of the message with these entries, each given in encoded form: stored entries are sent without being
    /// decoded.
    #[must_use]
    pub fn encode_raw(request: u32, entries: &[&[u8]]) -> Vec<u8> {
        let empty = Message::Entries(Self {
            request,
            entries: Vec::new(),
        });
        // The count of entries, here 0, is the last byte of the empty message.
        let mut message = empty.encode();
        message.pop();
        message.extend(codec::encode(&(entries.len() as u64)));
        for entry in entries {
            message.extend_from_slice(entry);
        }
        message
    }
}

/// See [`Message::RangeEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeEnd {
    /// The `Want` this ends.
    pub request: u32,
}

/// See [`Message::Have`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// The feeds held.
    pub heads: Vec<FeedHead>,
}

/// See [`Message::Credit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Bytes of `Entries` and `Push` messages consumed since the last grant.
    pub bytes: u32,
}

/// See [`Message::HeadCredit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadCredit {
    /// Heads of `Digest` messages processed since the last grant.
    pub heads: u32,
}

/// See [`Message::Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Returned unchanged.
    pub token: u64,
}

/// See [`Message::ForkProof`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// One entry.
    pub one: SignedHeader,
    /// Another entry of the same device with the same number.
    pub other: SignedHeader,
}

impl Fields for Digest {
    fn within_limits(&self) -> bool {
        are_heads(&self.heads)
    }
}

impl Fields for Heads {
    fn within_limits(&self) -> bool {
        are_heads(&self.heads)
    }
}

impl Fields for Want {
    fn within_limits(&self) -> bool {
        self.from < self.to
    }
}

impl Fields for Entries {
    fn within_limits(&self) -> bool {
        !self.entries.is_empty()
            && self.entries.len() <= limits::ENTRIES_PER_MESSAGE_MAX
            && self.entries.iter().all(|entry| is_numbered(&entry.signed))
    }
}

impl Fields for ForkProof {
    fn within_limits(&self) -> bool {
        is_numbered(&self.one) && is_numbered(&self.other)
    }
}

impl Fields for RangeEnd {}
impl Fields for Credit {}
impl Fields for HeadCredit {}
impl Fields for Ping {}

fn are_heads(heads: &[FeedHead]) -> bool {
    heads.len() <= limits::HEADS_PER_MESSAGE_MAX && heads.iter().all(|head| is_length(head.next_seq))
}

/// Whether a feed of which something is held can have this many entries.
pub(super) fn is_length(next_seq: u64) -> bool {
    (1..=limits::SEQ_MAX + 1).contains(&next_seq)
}

/// Whether an entry can have the number this header claims.
pub(super) fn is_numbered(signed: &SignedHeader) -> bool {
    signed.header.seq <= limits::SEQ_MAX
}
