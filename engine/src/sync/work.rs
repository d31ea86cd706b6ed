//! Work whose length grows with the feeds held, done in pieces: finding the accounts a neighbour wants, digests, and
//! comparisons. Links take turns, so a neighbour that causes much work delays its own answers.
//!
//! Invariants: one input does no more than [`STEP_UNITS`] of such work, and over time no more than [`UNITS_PER_MS`] are
//! done, so that the engine also takes other inputs; an input that an address pays for does no work of links of others
//! ([`WorkOf`]); the links of an address whose work is limited get no turn while it owes
//! ([`super::debts`]).

use core::time::Duration;

use ordered::Set;
use protocol::Instant;

#[cfg(feature = "relay")]
use super::debts::Debts;
use crate::ctx::WorkOf;
use crate::io::{AddressId, LinkId};

/// Work that one input may do, in units of about a tenth of a microsecond: some 2 ms.
const STEP_UNITS: u32 = 16_384;
/// Units that become available per millisecond: some 40 % of a core.
const UNITS_PER_MS: u32 = 4_000;
/// Units that a link may use in its turn: 0.2 ms.
pub(super) const TURN_UNITS: u32 = 2_048;
/// Interval at which the engine goes on while there is work.
const INTERVAL: Duration = Duration::from_millis(5);

/// Units of looking at one account, one feed or one cell.
pub(super) const LOOK: u32 = 1;
/// Units of hashing a feed for a sketch or adding it to cells.
pub(super) const HASH: u32 = 2;
/// Units of telling how far a feed is held.
pub(super) const TELL: u32 = 4;
/// Units of recording something about a feed of a neighbour.
pub(super) const RECORD: u32 = 8;

/// Which links have work to do, and how much may be done now.
#[derive(Debug)]
pub(super) struct Work {
    units: u32,
    refilled: Instant,
    /// When work of all links was gone on with.
    went_on: Instant,
    busy: Set<LinkId>,
    last: Option<LinkId>,
    /// All links with work to do have addresses that owe until then.
    all_owe_until: Option<Instant>,
    #[cfg(feature = "relay")]
    pub(super) debts: Debts,
    /// Units of all work so far.
    #[cfg(test)]
    pub(super) spent: u64,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            units: STEP_UNITS,
            refilled: Instant(0),
            went_on: Instant(0),
            busy: Set::new(),
            last: None,
            all_owe_until: None,
            #[cfg(feature = "relay")]
            debts: Debts::default(),
            #[cfg(test)]
            spent: 0,
        }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let passed = now.since(self.refilled);
        let units = passed.as_micros() * u128::from(UNITS_PER_MS) / 1_000;
        self.units = self
            .units
            .saturating_add(u32::try_from(units).unwrap_or(u32::MAX))
            .min(STEP_UNITS);
        self.refilled = now;
    }

    /// A link has work to do.
    pub(super) fn begin(&mut self, link: LinkId) {
        self.busy.insert(link);
        self.all_owe_until = None;
    }

    /// A link has nothing to do now.
    pub(super) fn end(&mut self, link: LinkId) {
        self.busy.remove(&link);
    }

    /// The link whose turn it is, and the units it may use. `None`: there is nothing to do, or no more may be done now.
    /// `of`: whose work may be done. `address`: where a link's work is debited to, if it is limited.
    pub(super) fn next_turn(
        &mut self,
        of: WorkOf,
        address: impl Fn(LinkId) -> Option<AddressId>,
    ) -> Option<(LinkId, u32)> {
        if of == WorkOf::All {
            self.went_on = self.refilled;
        }
        if self.units == 0 {
            return None;
        }
        let after = self.busy.iter().filter(|link| Some(**link) > self.last);
        let before = self.busy.iter().filter(|link| Some(**link) <= self.last);
        // A link that sends without end has no turn twice while others wait.
        let waits = |link: &LinkId| self.busy.len() > 1 && self.last == Some(*link);
        let mut due: Option<Instant> = None;
        let mut may = |link: &LinkId| {
            let owes_until = self.owes_until(address(*link));
            due = [due, owes_until].into_iter().flatten().min();
            owes_until.is_none()
        };
        let link = match of {
            WorkOf::Nobody => return None,
            WorkOf::Link(link) => {
                Some(link).filter(|link| self.busy.contains(link) && !waits(link) && may(link))?
            }
            WorkOf::All => match after.chain(before).find(|link| may(link)) {
                Some(link) => *link,
                None => {
                    self.all_owe_until = due;
                    return None;
                }
            },
        };
        self.last = Some(link);
        Some((link, self.units.min(TURN_UNITS)))
    }

    /// Until when an address owes.
    #[cfg_attr(
        not(feature = "relay"),
        expect(clippy::unused_self, reason = "a device limits nobody")
    )]
    pub(super) fn owes_until(&self, address: Option<AddressId>) -> Option<Instant> {
        #[cfg(feature = "relay")]
        return self.debts.until(address?, self.refilled);
        #[cfg(not(feature = "relay"))]
        address.and(None)
    }

    /// Units for something short that is done out of turn.
    pub(super) fn units_of_turn(&self) -> u32 {
        self.units.min(TURN_UNITS)
    }

    /// A turn is over. What was used is debited to `address`, but for what all links have of it.
    pub(super) fn spend(&mut self, turn: &Turn, address: Option<AddressId>) {
        #[cfg(test)]
        {
            self.spent += u64::from(turn.used);
        }
        self.units = self.units.saturating_sub(turn.used.max(1));
        self.debit(turn.used - turn.shared, address);
    }

    /// Debits something that is done at once.
    #[cfg_attr(
        not(feature = "relay"),
        expect(clippy::unused_self, reason = "a device limits nobody")
    )]
    pub(super) fn debit(&mut self, units: u32, address: Option<AddressId>) {
        #[cfg(feature = "relay")]
        if let Some(address) = address {
            self.debts.spend(address, self.refilled, units);
        }
        #[cfg(not(feature = "relay"))]
        let _ = (units, address);
    }

    /// When to go on. Inputs that do not go on with the work of all do not put it off.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = self.went_on + INTERVAL;
        (!self.busy.is_empty()).then(|| self.all_owe_until.map_or(next, |at| at.max(next)))
    }
}

/// What is left of a turn. A piece of work may exceed it by what its last item costs.
#[derive(Debug)]
pub(super) struct Turn {
    left: u32,
    used: u32,
    /// Of what was used, what all links have of it.
    shared: u32,
}

impl Turn {
    pub(super) fn new(units: u32) -> Self {
        Self {
            left: units,
            used: 0,
            shared: 0,
        }
    }

    pub(super) fn spend(&mut self, units: u32) {
        self.left = self.left.saturating_sub(units);
        self.used = self.used.saturating_add(units);
    }

    /// For something that all links have.
    #[cfg(feature = "relay")]
    pub(super) fn spend_for_all(&mut self, units: u32) {
        self.spend(units);
        self.shared = self.shared.saturating_add(units);
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// With no more feeds than this, going over all takes less than a millisecond, and is not paced.
pub(super) const FEW_FEEDS: usize = 2_048;

/// How often a neighbour may cause work of one kind that goes over all feeds: some times at once, then once per
/// interval.
#[derive(Debug)]
pub(super) struct WorkLimit {
    /// Times at once.
    pub(super) burst: u32,
    /// Minimum interval after that.
    pub(super) interval: Duration,
    /// This is added to the interval for each feed.
    pub(super) per_feed: Duration,
}

/// How much of a [`WorkLimit`] a neighbour has used.
#[derive(Debug, Default)]
pub(super) struct WorkCount {
    used: u32,
    next: Instant,
}

impl WorkCount {
    /// Whether such work, going over this number of feeds, may begin; then it counts.
    pub(super) fn may_begin(&mut self, now: Instant, feeds: usize, rate: &WorkLimit) -> bool {
        if feeds <= FEW_FEEDS {
            return true;
        }
        let interval = rate.interval + rate.per_feed * u32::try_from(feeds).unwrap_or(u32::MAX);
        if self.used > 0 && now >= self.next {
            let intervals = 1 + now.since(self.next).as_micros() / interval.as_micros().max(1);
            self.used = self
                .used
                .saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX));
            self.next = now + interval;
        }
        if self.used == 0 {
            self.next = now + interval;
        }
        let may = self.used < rate.burst;
        self.used += u32::from(may);
        may
    }
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
