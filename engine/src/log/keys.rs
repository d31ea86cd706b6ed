//! Layout of the keys of the log's tables. Big-endian, so that byte order is number order.
//!
//! Feeds are numbered locally: four bytes in place of a 32-byte key.

use protocol::{DeviceId, PeerId};
use serde::{Deserialize, Serialize};

/// A feed's number in this store.
pub(crate) type FeedNumber = u32;

/// The key of the row that stores an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct EntryPlace {
    pub(crate) feed: FeedNumber,
    pub(crate) seq: u64,
}

impl EntryPlace {
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
