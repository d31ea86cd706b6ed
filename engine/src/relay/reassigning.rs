//! A new assignment is applied to all accounts held, in pieces: the replicas of each are computed, what is held beside
//! this relay's share is recorded, and relays are offered what is theirs.
//!
//! Until that is done, accounts that were not looked at yet have their old time in the cache, and are offered later;
//! who their replicas are is computed whenever it is asked.

use core::time::Duration;

use ordered::Map;
use protocol::{AccountId, Instant};

use crate::io::LinkId;

/// Interval between two pieces.
const INTERVAL: Duration = Duration::from_millis(5);

/// The accounts that were looked at.
#[derive(Debug, Default)]
pub(super) struct Reassigning {
    /// The last one.
    pub(super) after: Option<AccountId>,
    /// Of those that a neighbouring relay is to have, the ones that it was not offered before.
    pub(super) fresh: Map<LinkId, Vec<AccountId>>,
}

/// When the next piece is due.
pub(super) fn next_piece(now: Instant) -> Instant {
    now + INTERVAL
}

#[cfg(test)]
#[path = "reassigning_tests.rs"]
mod tests;
