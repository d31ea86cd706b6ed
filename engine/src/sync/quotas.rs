//! How much neighbours may add to this peer in an hour: entries and bytes of each account, bytes and new accounts of each
//! address. A quota that was not used for an hour may be used up at once; after that it comes back evenly (the generic
//! cell rate algorithm, ITU-T I.371 appendix I: one time each).
//!
//! What is refused stays with its author, and is fetched once the quota allows it. Links from this machine, links that
//! this peer dialled, and members of the network are not limited.

use core::time::Duration;

use ordered::Map;
use protocol::messages::Quota;
use protocol::{AccountId, Instant};

use crate::io::{AddressId, Quotas};

/// Accounts and addresses whose use is remembered; only of those that used something within the hour. Policy when full:
/// what further ones add is not counted, but for the bytes and accounts of their addresses.
const ACCOUNTS_MAX: usize = 262_144;
const ADDRESSES_MAX: usize = 65_536;

/// Interval at which those are forgotten that used nothing within the hour.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// When what was used of a quota so far will have come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used(Instant);

impl Used {
    /// How much of the quota is used, as the time in which it comes back.
    #[cfg(feature = "relay")]
    pub(super) fn in_use(self, now: Instant) -> Duration {
        self.0.since(now)
    }

    /// Uses some, at most up to what comes back in `most`.
    #[cfg(feature = "relay")]
    pub(super) fn spend_within(&mut self, now: Instant, cost: u64, per_hour: u64, most: Duration) {
        self.spend(now, cost, per_hour);
        self.0 = self.0.min(now + most);
    }

    /// How long until `cost` more is allowed; `None`: it is now, or there is no limit.
    fn wait(self, now: Instant, cost: u64, per_hour: u64) -> Option<Duration> {
        if per_hour == 0 {
            return None;
        }
        let wait = self.after(now, cost, per_hour).since(now + HOUR);
        (!wait.is_zero()).then_some(wait)
    }

    fn after(self, now: Instant, cost: u64, per_hour: u64) -> Instant {
        self.0.max(now) + share(cost, per_hour)
    }

    fn spend(&mut self, now: Instant, cost: u64, per_hour: u64) {
        if per_hour > 0 {
            self.0 = self.after(now, cost, per_hour);
        }
    }
}

/// How much of an hour's quota this is, as time.
fn share(cost: u64, per_hour: u64) -> Duration {
    let micros = u128::from(cost) * HOUR.as_micros() / u128::from(per_hour.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[derive(Clone, Copy, Debug, Default)]
struct OfAccount {
    entries: Used,
    bytes: Used,
}

#[derive(Clone, Copy, Debug, Default)]
struct OfAddress {
    accounts: Used,
    bytes: Used,
}

/// What a neighbour would add.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addition {
    pub(super) address: AddressId,
    pub(super) account: AccountId,
    /// Nothing of the account is held yet.
    pub(super) is_new: bool,
    pub(super) bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct QuotaUse {
    accounts: Map<AccountId, OfAccount>,
    addresses: Map<AddressId, OfAddress>,
    /// Entries refused, by quota, in the order of [`Quota`].
    refused: [u64; 4],
    next_sweep: Instant,
}

impl QuotaUse {
    /// The quota that is used up, and how long until it allows this.
    pub(super) fn check(
        &self,
        quotas: &Quotas,
        now: Instant,
        it: &Addition,
    ) -> Result<(), (Quota, Duration)> {
        let account = self.accounts.get(&it.account).copied().unwrap_or_default();
        let address = self.addresses.get(&it.address).copied().unwrap_or_default();
        let fresh = u64::from(it.is_new);
        let waits = [
            (
                Quota::AddressBytes,
                address.bytes.wait(now, it.bytes, quotas.bytes_per_address),
            ),
            (
                Quota::AddressAccounts,
                address
                    .accounts
                    .wait(now, fresh, quotas.accounts_per_address)
                    .filter(|_| it.is_new),
            ),
            (
                Quota::AccountBytes,
                account.bytes.wait(now, it.bytes, quotas.bytes_per_account),
            ),
            (
                Quota::AccountEntries,
                account.entries.wait(now, 1, quotas.entries_per_account),
            ),
        ];
        match waits.into_iter().find_map(|(which, wait)| Some((which, wait?))) {
            Some(exceeded) => Err(exceeded),
            None => Ok(()),
        }
    }

    /// It was added.
    pub(super) fn spend(&mut self, quotas: &Quotas, now: Instant, it: &Addition) {
        if self.has_room(now, it) {
            let account = self.accounts.or_default(it.account);
            account.entries.spend(now, 1, quotas.entries_per_account);
            account.bytes.spend(now, it.bytes, quotas.bytes_per_account);
        }
        if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(&it.address) {
            let address = self.addresses.or_default(it.address);
            address.bytes.spend(now, it.bytes, quotas.bytes_per_address);
            if it.is_new {
                address.accounts.spend(now, 1, quotas.accounts_per_address);
            }
        }
    }

    /// How much of an address's quota of new accounts is used, as the time in which it comes back.
    #[cfg(feature = "relay")]
    pub(super) fn accounts_in_use(&self, now: Instant, address: AddressId) -> Duration {
        let address = self.addresses.get(&address);
        address.map_or(Duration::ZERO, |of| of.accounts.in_use(now))
    }

    fn has_room(&mut self, now: Instant, it: &Addition) -> bool {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&it.account) {
            self.forget_unused(now);
        }
        self.accounts.len() < ACCOUNTS_MAX || self.accounts.contains_key(&it.account)
    }

    pub(super) fn record_refused(&mut self, quota: Quota) {
        self.refused[quota as usize] += 1;
    }

    /// Entries refused so far, in the order of [`Quota`].
    pub(crate) fn refused(&self) -> [u64; 4] {
        self.refused
    }

    /// Once a second.
    pub(super) fn on_timer(&mut self, now: Instant) {
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            self.forget_unused(now);
        }
    }

    /// Forgets accounts and addresses whose quotas have come back.
    fn forget_unused(&mut self, now: Instant) {
        self.accounts
            .retain(|_, of| of.entries.0 > now || of.bytes.0 > now);
        self.addresses
            .retain(|_, of| of.accounts.0 > now || of.bytes.0 > now);
    }
}

#[cfg(test)]
#[path = "quotas_tests.rs"]
mod tests;
