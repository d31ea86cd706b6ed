//! People looked at without being followed: their feeds are wanted for the time being.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::{AccountId, Instant};

/// People whose feeds are wanted because an interface looks at them. Policy when full: the one not looked at for the longest goes.
pub(super) const VISITS_MAX: usize = 64;
/// Neighbours are given this long to come up with a person before the interface learns that nothing was found.
const SEARCH: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug)]
struct Visit {
    account: AccountId,
    since: Instant,
    searching: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Visits {
    visits: VecDeque<Visit>,
}

impl Visits {
    pub(super) fn contains(&self, account: &AccountId) -> bool {
        self.visits.iter().any(|visit| visit.account == *account)
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.visits.iter().map(|visit| visit.account)
    }

    /// Whether neighbours may still come up with the person.
    pub(super) fn is_searching(&self, account: &AccountId) -> bool {
        let mut visits = self.visits.iter();
        visits.any(|visit| visit.account == *account && visit.searching)
    }

    /// An interface looks at a person. `true`: it did not do so before.
    pub(super) fn visit(&mut self, account: AccountId, now: Instant) -> bool {
        let known = self.visits.iter().position(|visit| visit.account == account);
        if let Some(visit) = known.and_then(|at| self.visits.remove(at)) {
            self.visits.push_back(visit);
            return false;
        }
        self.visits.push_back(Visit {
            account,
            since: now,
            searching: true,
        });
        true
    }

    /// The visit that has to end, since there are too many.
    pub(super) fn pop_excess(&mut self) -> Option<AccountId> {
        if self.visits.len() <= VISITS_MAX {
            return None;
        }
        self.visits.pop_front().map(|visit| visit.account)
    }

    /// The people that were searched for long enough.
    pub(super) fn on_timer(&mut self, now: Instant) -> Vec<AccountId> {
        let mut given_up = Vec::new();
        for visit in &mut self.visits {
            if visit.searching && now.since(visit.since) >= SEARCH {
                visit.searching = false;
                given_up.push(visit.account);
            }
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        AccountId([n; 32])
    }

    #[test]
    fn the_person_not_looked_at_for_the_longest_goes_first() {
        let mut visits = Visits::default();
        for n in 0..=VISITS_MAX as u8 {
            assert!(visits.visit(account(n), Instant(0)));
        }
        assert!(
            !visits.visit(account(0), Instant(1)),
            "looked at again, not for the first time"
        );
        assert_eq!(visits.pop_excess(), Some(account(1)));
        assert_eq!(visits.pop_excess(), None);
        assert!(visits.contains(&account(0)) && !visits.contains(&account(1)));
    }

    #[test]
    fn a_search_ends_once_and_the_visit_goes_on() {
        let mut visits = Visits::default();
        visits.visit(account(1), Instant(0));
        let late = Instant(0) + SEARCH;
        assert!(visits.on_timer(Instant(1)).is_empty());
        assert!(visits.is_searching(&account(1)));
        assert_eq!(visits.on_timer(late), [account(1)]);
        assert!(visits.on_timer(late).is_empty());
        assert!(!visits.is_searching(&account(1)) && visits.contains(&account(1)));
    }
}
