//! Layout of the store's keys. Big-endian, so that byte order is number order.
//!
//! Feeds are numbered locally (four bytes in place of a 32-byte key); anything that orders posts uses the time and the
//! first eight bytes of the id, so that the order is the same on every peer.

use protocol::name::{NameReceipt, RegistryId};
use protocol::{AccountId, DeviceId, EntryId, EntryRef, PeerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::log::records::Precedence;

/// A feed's number in this store.
pub(crate) type FeedNumber = u32;

/// Where an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) feed: FeedNumber,
    pub(crate) seq: u64,
}

impl Place {
    /// Key in `Entries`.
    pub(crate) fn key(self) -> Vec<u8> {
        entry(self.feed, self.seq)
    }
}

/// Key in `Entries`.
pub(crate) fn entry(feed: FeedNumber, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    key.extend_from_slice(&feed.to_be_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// The number in a key of `Entries`.
pub(crate) fn seq_of(key: &[u8]) -> Option<u64> {
    key.get(4..12)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_be_bytes)
}

fn newest_first(time: Timestamp) -> [u8; 8] {
    (u64::MAX - time.0).to_be_bytes()
}

/// Key in `ByTime` and `Activity`.
pub(crate) fn by_time(time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = newest_first(time).to_vec();
    key.extend_from_slice(&id.0[..8]);
    key
}

/// Key in `ByAccount`.
pub(crate) fn by_account(account: &AccountId, time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = account.0.to_vec();
    key.extend(by_time(time, id));
    key
}

/// Key in `ByParent`.
pub(crate) fn by_parent(parent: &EntryId, time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = parent.0.to_vec();
    key.extend_from_slice(&time.0.to_be_bytes());
    key.extend_from_slice(&id.0[..8]);
    key
}

/// The first key of a timeline table (after `prefix`) that is not newer than `time`.
pub(crate) fn not_newer(prefix: &[u8], time: Timestamp) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend_from_slice(&newest_first(time));
    key
}

/// Prefix in `Slugs`: the words on a post's slug, the newest first.
pub(crate) fn slugs_of(post: &EntryRef) -> Vec<u8> {
    let mut key = post.account.0.to_vec();
    key.extend_from_slice(&post.id.0);
    key
}

/// Key in `Slugs`.
pub(crate) fn slug_of(post: &EntryRef, precedence: &Precedence) -> Vec<u8> {
    let mut key = slugs_of(post);
    key.extend_from_slice(&(!precedence.lamport).to_be_bytes());
    key.extend(precedence.device.0.iter().map(|byte| !byte));
    key.extend_from_slice(&(!precedence.seq).to_be_bytes());
    key
}

/// Prefix in `BySlug`: whose a slug is, the latest first. No slug has a zero in it.
pub(crate) fn slug_rows(registry: &RegistryId, slug: &str) -> Vec<u8> {
    let mut key = registry.0.to_vec();
    key.extend_from_slice(slug.as_bytes());
    key.push(0);
    key
}

/// Key in `BySlug`.
pub(crate) fn by_slug(receipt: &NameReceipt, post: &EntryRef) -> Vec<u8> {
    let mut key = slug_rows(&receipt.registry, &receipt.name);
    key.extend_from_slice(&(!receipt.revision).to_be_bytes());
    key.extend(slugs_of(post));
    key
}

/// The post at the end of a key of `BySlug`.
pub(crate) fn post_of(key: &[u8]) -> Option<EntryRef> {
    let at = key.len().checked_sub(64)?;
    Some(EntryRef {
        account: AccountId(id_at(key, at)?),
        id: EntryId(id_at(key, at + 32)?),
    })
}

/// Key in `Holders`.
pub(crate) fn holder(device: &DeviceId, peer: &PeerId) -> Vec<u8> {
    let mut key = device.0.to_vec();
    key.extend_from_slice(&peer.0);
    key
}

/// Thirty-two bytes of a key from `at`.
pub(crate) fn id_at(key: &[u8], at: usize) -> Option<[u8; 32]> {
    key.get(at..at + 32).and_then(|bytes| bytes.try_into().ok())
}
