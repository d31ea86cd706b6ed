//! How many feeds a relay that ends still has to hand over to others, counted in pieces.
//!
//! Invariant: "none" is said only if it is true of all feeds at the end of the count: accounts that got entries after
//! they were looked at are looked at again, and when another relay's link ends or it takes something back, the count
//! begins again.

use ordered::Set;
use protocol::{AccountId, PeerId};

use crate::io::LinkId;
use crate::log::feeds::Feeds;

use super::peer_has::PeerHas;
use super::placement::Placement;

/// Accounts that got entries after they were looked at. Policy when full: at least one feed is taken to be left, so
/// that they are counted again.
const AGAIN_MAX: usize = 4_096;

/// One count of all accounts.
#[derive(Debug, Default)]
struct Count {
    /// The account that was looked at last.
    after: Option<AccountId>,
    left: u64,
    again: Set<AccountId>,
}

#[derive(Debug, Default)]
pub(super) struct HandOver {
    /// Under way.
    count: Option<Count>,
    /// What the last one came to.
    left: Option<u64>,
}

impl HandOver {
    /// Feeds that relays which should have them lack a part of; until they are counted, all.
    pub(super) fn left(&self, feeds: &Feeds) -> u64 {
        self.left.unwrap_or(feeds.len() as u64)
    }

    pub(super) fn is_counting(&self) -> bool {
        self.count.is_some()
    }

    /// Counts again, unless a count is under way.
    pub(super) fn begin(&mut self) {
        self.count.get_or_insert_default();
    }

    /// An entry of the account was appended.
    pub(super) fn on_appended(&mut self, account: AccountId) {
        if let Some(count) = &mut self.count
            && Some(account) <= count.after
            && count.again.len() <= AGAIN_MAX
        {
            count.again.insert(account);
        }
    }

    /// What another relay has is not what it was: what was counted so far may be wrong.
    pub(super) fn restart(&mut self) {
        self.left = None;
        if self.count.is_some() {
            self.count = Some(Count::default());
        }
    }

    /// Looks at the next accounts. `relays`: those linked with this one. For good, a feed of which no replica is linked is
    /// left: nobody else is known to have it.
    pub(super) fn go_on(
        &mut self,
        for_good: bool,
        feeds: &Feeds,
        placement: &Placement,
        peer_has: &PeerHas,
        relays: &[(LinkId, PeerId)],
    ) {
        let Some(count) = &mut self.count else { return };
        let left_of = |account: &AccountId| left_of(account, for_good, feeds, placement, peer_has, relays);
        let mut looked_at = 0;
        for account in feeds.accounts_after(count.after).take(placement.piece()) {
            count.left += left_of(account);
            count.after = Some(*account);
            looked_at += 1;
        }
        if looked_at == placement.piece() {
            return;
        }
        let mut left = count.left;
        if left == 0 {
            left += count.again.iter().map(left_of).sum::<u64>();
            left += u64::from(count.again.len() > AGAIN_MAX);
        }
        self.left = Some(left);
        self.count = None;
    }
}

fn left_of(
    account: &AccountId,
    for_good: bool,
    feeds: &Feeds,
    placement: &Placement,
    peer_has: &PeerHas,
    relays: &[(LinkId, PeerId)],
) -> u64 {
    let replicas = placement.replicas_of(feeds, account);
    let mut left = 0;
    for (_, feed) in feeds.feeds_of(account) {
        let has = |(link, _): &(LinkId, PeerId)| peer_has.has(*link, feed.number, feed.valid_len());
        // For a restart, one relay that has all of the feed is enough.
        let safe = match for_good {
            true => {
                let mut replicas = relays
                    .iter()
                    .filter(|(_, peer)| replicas.contains(peer))
                    .peekable();
                replicas.peek().is_some() && replicas.all(has)
            }
            false => relays.is_empty() || relays.iter().any(has),
        };
        left += u64::from(!safe);
    }
    left
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
