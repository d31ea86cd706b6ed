//! Work whose length grows with the feeds held, done in pieces: finding the accounts a neighbour wants, digests, and
//! comparisons. Links take turns, so a neighbour that causes much work delays its own answers.
//!
//! Invariant: one input does no more than [`STEP_UNITS`] of such work, and over time no more than [`UNITS_PER_MS`] are
//! done, so that the engine also takes other inputs.

use core::time::Duration;

use ordered::Set;
use protocol::Instant;

use crate::io::LinkId;

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
    busy: Set<LinkId>,
    last: Option<LinkId>,
    /// Units of all work so far.
    #[cfg(test)]
    pub(super) spent: u64,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            units: STEP_UNITS,
            refilled: Instant(0),
            busy: Set::new(),
            last: None,
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
    }

    /// A link has nothing to do now.
    pub(super) fn end(&mut self, link: LinkId) {
        self.busy.remove(&link);
    }

    /// The link whose turn it is, and the units it may use. `None`: there is nothing to do, or no more may be done now.
    pub(super) fn next_turn(&mut self) -> Option<(LinkId, u32)> {
        if self.units == 0 {
            return None;
        }
        let after = self.busy.iter().find(|link| Some(**link) > self.last);
        let link = *after.or_else(|| self.busy.first())?;
        self.last = Some(link);
        Some((link, self.units.min(TURN_UNITS)))
    }

    /// Units for something short that is done out of turn.
    pub(super) fn units_of_turn(&self) -> u32 {
        self.units.min(TURN_UNITS)
    }

    pub(super) fn spend(&mut self, units: u32) {
        #[cfg(test)]
        {
            self.spent += u64::from(units);
        }
        self.units = self.units.saturating_sub(units);
    }

    /// When to go on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.busy.is_empty()).then(|| self.refilled + INTERVAL)
    }
}

/// What is left of a turn. A piece of work may exceed it by what its last item costs.
#[derive(Debug)]
pub(super) struct Turn {
    left: u32,
    used: u32,
}

impl Turn {
    pub(super) fn new(units: u32) -> Self {
        Self { left: units, used: 0 }
    }

    pub(super) fn spend(&mut self, units: u32) {
        self.left = self.left.saturating_sub(units);
        self.used = self.used.saturating_add(units);
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }
}

/// With no more feeds than this, going over all takes less than a millisecond, and is not paced.
const FEW_FEEDS: usize = 2_048;

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
