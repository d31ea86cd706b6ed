//! Which feeds neighbours hold further than this peer, as far as that is remembered until they are requested: a budget
//! for each neighbour, and at a relay one for all of them. What there is no room for is not lost: the neighbour is asked
//! again later what it holds.

use core::time::Duration;

use protocol::limits;
use protocol::messages::FeedHead;

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::net::Session;

use super::fetch::{Fetches, PeerHolds};

/// Feeds that are remembered of a neighbour, 88 bytes each, and with the gaps of the map 130. A neighbour that paces its
/// digests has [`limits::HEADS_WINDOW`] under way, and a comparison finds up to 23,000 more. Policy when full: the
/// neighbour is asked again later what it holds.
pub(super) const MISSING_MAX: usize = 3 * limits::HEADS_WINDOW as usize;
/// The same of a neighbour whose quotas are limited, about a megabyte: what it may have under way.
pub(super) const MISSING_OF_LIMITED_MAX: usize = limits::HEADS_WINDOW as usize;
/// Feeds that a relay remembers of all neighbours together: 34 MB. Policy when full: of the neighbour with most of them,
/// the one that would be requested last is forgotten, and the neighbour is asked again later.
#[cfg(feature = "relay")]
pub(super) const MISSING_OF_ALL_MAX: usize = 262_144;

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
            self.forget_furthest(ctx);
        }
    }

    /// Keeps what is remembered of all neighbours within its budget.
    #[cfg(feature = "relay")]
    fn forget_furthest(&mut self, ctx: &Ctx) {
        let all: usize = self.links.values().map(|of_link| of_link.missing.len()).sum();
        if all <= MISSING_OF_ALL_MAX {
            return;
        }
        let fullest = self
            .links
            .values_mut()
            .max_by_key(|of_link| of_link.missing.len());
        let Some(of_link) = fullest else { return };
        let last = of_link.missing.keys().next_back().copied();
        if let Some(last) = last {
            of_link.missing.remove(&last);
            of_link
                .overflowed
                .get_or_insert(ctx.now.instant + ASK_AGAIN_INTERVAL);
        }
    }
}

#[cfg(all(test, feature = "relay"))]
#[path = "missing_tests.rs"]
mod tests;
