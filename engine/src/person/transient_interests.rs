//! People looked at without being followed: their feeds are wanted for the time being.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::{AccountId, Instant};

/// People whose feeds are wanted because an interface looks at them. Policy when full: the one not looked at for the
/// longest goes.
pub(super) const TRANSIENT_INTERESTS_MAX: usize = 64;
/// Time that neighbours have to send a person's feed before the interface reports that nothing was found.
const SEARCH: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug)]
struct TransientInterest {
    account: AccountId,
    since: Instant,
    searching: bool,
}

#[derive(Debug, Default)]
pub(super) struct TransientInterests {
    interests: VecDeque<TransientInterest>,
}

impl TransientInterests {
    pub(super) fn contains(&self, account: &AccountId) -> bool {
        self.interests.iter().any(|interest| interest.account == *account)
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.interests.iter().map(|interest| interest.account)
    }

    /// Whether neighbours may still come up with the person.
    pub(super) fn is_searching(&self, account: &AccountId) -> bool {
        let mut interests = self.interests.iter();
        interests.any(|interest| interest.account == *account && interest.searching)
    }

    /// An interface looks at a person. `true`: it did not do so before.
    pub(super) fn add(&mut self, account: AccountId, now: Instant) -> bool {
        let known = self
            .interests
            .iter()
            .position(|interest| interest.account == account);
        if let Some(interest) = known.and_then(|at| self.interests.remove(at)) {
            self.interests.push_back(interest);
            return false;
        }
        self.interests.push_back(TransientInterest {
            account,
            since: now,
            searching: true,
        });
        true
    }

    /// The interest that has to end, since there are too many.
    pub(super) fn pop_excess(&mut self) -> Option<AccountId> {
        if self.interests.len() <= TRANSIENT_INTERESTS_MAX {
            return None;
        }
        self.interests.pop_front().map(|interest| interest.account)
    }

    /// The people that were searched for long enough.
    pub(super) fn on_timer(&mut self, now: Instant) -> Vec<AccountId> {
        let mut given_up = Vec::new();
        for interest in &mut self.interests {
            if interest.searching && now.since(interest.since) >= SEARCH {
                interest.searching = false;
                given_up.push(interest.account);
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
        let mut interests = TransientInterests::default();
        for n in 0..=TRANSIENT_INTERESTS_MAX as u8 {
            assert!(interests.add(account(n), Instant(0)));
        }
        assert!(
            !interests.add(account(0), Instant(1)),
            "looked at again, not for the first time"
        );
        assert_eq!(interests.pop_excess(), Some(account(1)));
        assert_eq!(interests.pop_excess(), None);
        assert!(interests.contains(&account(0)) && !interests.contains(&account(1)));
    }

    #[test]
    fn a_search_ends_once_and_the_visit_goes_on() {
        let mut interests = TransientInterests::default();
        interests.add(account(1), Instant(0));
        let late = Instant(0) + SEARCH;
        assert!(interests.on_timer(Instant(1)).is_empty());
        assert!(interests.is_searching(&account(1)));
        assert_eq!(interests.on_timer(late), [account(1)]);
        assert!(interests.on_timer(late).is_empty());
        assert!(!interests.is_searching(&account(1)) && interests.contains(&account(1)));
    }
}
