//! Which feeds neighbours hold further than this peer, as far as that is remembered until they are requested: a budget
//! for each neighbour, and at a relay one for all of them. What there is no room for is not lost: the neighbour is asked
//! again later what it holds.

use core::time::Duration;

#[cfg(feature = "relay")]
use ordered::Map;
use protocol::limits;
use protocol::messages::FeedHead;

use crate::ctx::Ctx;
#[cfg(feature = "relay")]
use crate::io::AddressId;
use crate::io::LinkId;
use crate::net::Session;

use super::fetch::{Fetches, PeerHolds};

/// Feeds that are remembered of a neighbour, 88 bytes each, and with the gaps of the map 130. A neighbour that paces its
/// digests has [`limits::HEADS_WINDOW`] under way, and a comparison finds up to 23,000 more. Policy when full: the
/// neighbour is asked again later what it holds.
pub(super) const MISSING_MAX: usize = 3 * limits::HEADS_WINDOW as usize;
/// The same of a neighbour whose quotas are limited, about a megabyte: what it may have under way.
pub(super) const MISSING_OF_LIMITED_MAX: usize = limits::HEADS_WINDOW as usize;
/// Feeds that a relay remembers of all neighbours together, and up to [`CHECK_EVERY`] more: 34 MB. Policy when full: of the
/// address with most of them, the neighbour with most forgets those that would be requested last, and is asked again
/// later. One that is not limited forgets only when no limited one has any.
#[cfg(feature = "relay")]
pub(super) const MISSING_OF_ALL_MAX: usize = 262_144;
/// Recorded feeds after which they are counted again.
#[cfg(feature = "relay")]
pub(super) const CHECK_EVERY: usize = 256;
/// Feeds that a neighbour forgets at once; no more than half of its own.
#[cfg(feature = "relay")]
const FORGOTTEN_AT_ONCE: usize = 1_024;

/// Minimum interval between two times that a neighbour is asked again.
const ASK_AGAIN_INTERVAL: Duration = Duration::from_secs(30);

/// The feeds that are remembered of a neighbour.
#[cfg(feature = "relay")]
fn most_of(session: Option<&Session>) -> usize {
    match session.and_then(Session::limited) {
        Some(_) => MISSING_OF_LIMITED_MAX,
        None => MISSING_MAX,
    }
}

#[cfg(not(feature = "relay"))]
fn most_of(_: Option<&Session>) -> usize {
    MISSING_MAX
}

impl Fetches {
    /// A neighbour holds more of a wanted feed than is held here.
    pub(super) fn record_missing(
        &mut self,
        ctx: &Ctx,
        session: Option<&Session>,
        link: LinkId,
        head: FeedHead,
    ) {
        let of_link = self.links.or_default(link);
        #[cfg(feature = "relay")]
        {
            of_link.address = session.and_then(Session::limited);
        }
        let FeedHead {
            account,
            device,
            next_seq,
            ..
        } = head;
        let before = of_link.missing.get(&device);
        let is_known = before.is_some();
        if is_known || of_link.missing.len() < most_of(session) {
            let claim = PeerHolds {
                account,
                next_seq,
                is_second: false,
                not_before: before.map_or_else(Default::default, |before| before.not_before),
            };
            of_link.missing.insert(device, claim);
        } else {
            of_link
                .overflowed
                .get_or_insert(ctx.now.instant + ASK_AGAIN_INTERVAL);
        }
        #[cfg(feature = "relay")]
        if !is_known {
            self.recorded = self.recorded.wrapping_add(1);
            if self.recorded.is_multiple_of(CHECK_EVERY) {
                self.forget_furthest(ctx);
            }
        }
    }

    /// Keeps what is remembered of all neighbours within its budget.
    #[cfg(feature = "relay")]
    fn forget_furthest(&mut self, ctx: &Ctx) {
        let all: usize = self.links.values().map(|of_link| of_link.missing.len()).sum();
        if all <= MISSING_OF_ALL_MAX {
            return;
        }
        let fullest = self.fullest();
        let Some(of_link) = fullest.and_then(|link| self.links.get_mut(&link)) else {
            return;
        };
        let count = of_link.missing.len().div_ceil(2).min(FORGOTTEN_AT_ONCE);
        for _ in 0..count {
            let last = of_link.missing.keys().next_back().copied();
            last.and_then(|last| of_link.missing.remove(&last));
        }
        of_link
            .overflowed
            .get_or_insert(ctx.now.instant + ASK_AGAIN_INTERVAL);
    }

    /// Of the limited neighbours from the address with most remembered feeds, the one with most; if none has any, of all.
    #[cfg(feature = "relay")]
    fn fullest(&self) -> Option<LinkId> {
        let mut addresses: Map<AddressId, usize> = Map::new();
        for of_link in self.links.values() {
            if let Some(address) = of_link.address {
                *addresses.or_default(address) += of_link.missing.len();
            }
        }
        let most = addresses.iter().max_by_key(|(_, feeds)| **feeds);
        let address = most.filter(|(_, feeds)| **feeds > 0).map(|(address, _)| *address);
        let links = self
            .links
            .iter()
            .filter(|(_, of_link)| of_link.address == address);
        let fullest = links.max_by_key(|(_, of_link)| of_link.missing.len());
        fullest.map(|(link, _)| *link)
    }
}

#[cfg(all(test, feature = "relay"))]
#[path = "missing_tests.rs"]
mod tests;
