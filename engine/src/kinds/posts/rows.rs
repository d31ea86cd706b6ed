//! Keys of the tables of posts. Big-endian, so that the order of bytes is the order of numbers; what orders posts uses
//! the time and the first eight bytes of the id, so that the order is the same on every peer.

use protocol::{AccountId, EntryId, Timestamp};

use crate::api::Timeline;
use crate::store::{Read, Table};

fn newest_first(time: Timestamp) -> [u8; 8] {
    (u64::MAX - time.0).to_be_bytes()
}

/// Key in `ByTime` and `Activity`.
pub(super) fn by_time(time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = newest_first(time).to_vec();
    key.extend_from_slice(&id.0[..8]);
    key
}

/// Key in `ByAccount`.
pub(super) fn by_account(account: &AccountId, time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = account.0.to_vec();
    key.extend(by_time(time, id));
    key
}

/// Key in `ByParent`.
pub(super) fn by_parent(parent: &EntryId, time: Timestamp, id: &EntryId) -> Vec<u8> {
    let mut key = parent.0.to_vec();
    key.extend_from_slice(&time.0.to_be_bytes());
    key.extend_from_slice(&id.0[..8]);
    key
}

/// Where the places of a timeline's posts stand, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimelineRows {
    pub(crate) table: Table,
    pub(crate) prefix: Vec<u8>,
}

impl TimelineRows {
    /// The first key whose post is not newer than `time`.
    pub(crate) fn not_newer(&self, time: Timestamp) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(&newest_first(time));
        key
    }
}

/// Where a timeline's posts stand. Of the home timeline these are all posts: which of them belong is for the reader to
/// say.
pub(crate) fn timeline(timeline: &Timeline) -> TimelineRows {
    let (table, prefix) = match timeline {
        Timeline::Home | Timeline::Public => (Table::ByTime, Vec::new()),
        Timeline::User(account) => (Table::ByAccount, account.0.to_vec()),
        Timeline::Activity => (Table::Activity, Vec::new()),
    };
    TimelineRows { table, prefix }
}

pub(crate) fn place_of(post: &EntryId) -> Read {
    Read::Get {
        table: Table::Ids,
        key: post.0.to_vec(),
    }
}

/// Reads the places of the answers to a post, the oldest first.
pub(crate) fn answers(post: &EntryId, limit: usize) -> Read {
    Read::prefix(Table::ByParent, &post.0, limit)
}
