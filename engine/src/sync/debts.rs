//! How much long work the links of an address may cause together, if they are limited: some of it at once, and after that
//! as much as comes back with time (the generic cell rate algorithm: one time for each address). Keys are free and links
//! are soon made, so a limit for each link limits nobody.

use core::time::Duration;

use ordered::Map;
use protocol::Instant;

use crate::io::AddressId;

/// Units that an address which used none may use at once: 0.1 s, enough to compare 100,000 feeds.
const UNITS_AT_ONCE: u32 = 1 << 20;
/// Units that come back per millisecond: some 4 % of a core. A device that follows 200 accounts and comes back needs 0.5 %
/// of what comes back in a second.
const UNITS_PER_MS: u32 = 400;
/// Addresses that have not paid yet. Policy when full: further ones owe together.
const ADDRESSES_MAX: usize = 65_536;

/// When each address will have paid for what it used.
#[derive(Debug, Default)]
pub(super) struct Debts(Map<Option<AddressId>, Instant>);

fn time_of(units: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000 / u64::from(UNITS_PER_MS))
}

impl Debts {
    /// The address used some units.
    pub(super) fn spend(&mut self, address: AddressId, now: Instant, units: u32) {
        let has_room = self.0.len() < ADDRESSES_MAX || self.0.contains_key(&Some(address));
        let paid = self.0.or_default(has_room.then_some(address));
        *paid = (*paid).max(now) + time_of(units);
    }

    /// When the address may go on. `None`: it may now.
    pub(super) fn until(&self, address: AddressId, now: Instant) -> Option<Instant> {
        let shared = || self.0.get(&None).filter(|_| self.0.len() > ADDRESSES_MAX);
        let paid = self.0.get(&Some(address)).or_else(shared)?;
        let owed = paid.since(now).saturating_sub(time_of(UNITS_AT_ONCE));
        (!owed.is_zero()).then(|| now + owed)
    }

    /// Once a second: forgets addresses that have paid.
    pub(super) fn on_timer(&mut self, now: Instant) {
        self.0.retain(|_, paid| *paid > now);
    }
}

#[cfg(test)]
#[path = "debts_tests.rs"]
mod tests;
