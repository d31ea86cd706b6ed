//! Whose feeds this peer wants: a browser those of its account, of whom it follows and of whom it looks at; a relay all.

use std::time::Duration;

use ordered::Set;
use protocol::message::{Interests, Message, SaltedAccount};
use protocol::{AccountId, Instant, limits};

use crate::Engine;
use crate::io::LinkId;

/// People looked at without being followed whose feeds are wanted for the time being; the longest not looked at goes.
const VISITS_MAX: usize = 64;
/// Peers are given this long to come up with a person before the interface is told that nothing was found.
const SEARCH: Duration = Duration::from_secs(8);

/// Somebody is being looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    account: AccountId,
    since: Instant,
    searching: bool,
}

impl Engine {
    pub(crate) fn wants(&self, account: &AccountId) -> bool {
        self.is_relay()
            || self.me() == Some(*account)
            || self.follows(account)
            || self.visits.iter().any(|visit| visit.account == *account)
    }

    pub(crate) fn follows(&self, account: &AccountId) -> bool {
        self.follows.get(account).is_some_and(|follow| follow.on)
    }

    /// All accounts wanted; not meaningful for a relay.
    pub(crate) fn wanted(&self) -> Set<AccountId> {
        let followed = self
            .follows
            .iter()
            .filter(|(_, follow)| follow.on)
            .map(|(account, _)| *account);
        self.me()
            .into_iter()
            .chain(followed)
            .chain(self.visits.iter().map(|visit| visit.account))
            .collect()
    }

    /// An interface looks at somebody: from now on they are wanted.
    pub(crate) fn visit(&mut self, account: AccountId) {
        if let Some(at) = self.visits.iter().position(|visit| visit.account == account) {
            if let Some(visit) = self.visits.remove(at) {
                self.visits.push_back(visit);
            }
            return;
        }
        if self.is_relay() {
            return;
        }
        let wanted_before = self.wants(&account);
        self.visits.push_back(Visit {
            account,
            since: self.now.instant,
            searching: true,
        });
        if !wanted_before {
            self.tell_interest(account, true);
        }
        if self.visits.len() > VISITS_MAX
            && let Some(left) = self.visits.pop_front()
            && !self.wants(&left.account)
        {
            self.tell_interest(left.account, false);
        }
    }

    /// Peers may still come up with this person.
    pub(crate) fn searching(&self, account: &AccountId) -> bool {
        self.visits
            .iter()
            .any(|visit| visit.account == *account && visit.searching)
    }

    pub(crate) fn keep_visits(&mut self) {
        let now = self.now.instant;
        let mut given_up = Vec::new();
        for visit in &mut self.visits {
            if visit.searching && now.since(visit.since) >= SEARCH {
                visit.searching = false;
                given_up.push(visit.account);
            }
        }
        self.changed_profiles.extend(given_up);
    }

    /// Tells every neighbour that an account is wanted from now on, or no longer.
    pub(crate) fn tell_interest(&mut self, account: AccountId, on: bool) {
        for link in self.up_links() {
            let Some(up) = self.up(link) else { continue };
            let salted = SaltedAccount::new(&up.salt, &account);
            let mut interests = Interests::default();
            if on {
                interests.add.push(salted);
            } else {
                interests.remove.push(salted);
            }
            self.send(link, &Message::Interests(interests));
        }
    }

    /// Tells a fresh neighbour all that is wanted.
    pub(crate) fn tell_interests(&mut self, link: LinkId) {
        if self.is_relay() {
            self.send(
                link,
                &Message::Interests(Interests {
                    reset: true,
                    everything: true,
                    ..Interests::default()
                }),
            );
            return;
        }
        let Some(up) = self.up(link) else { return };
        let salt = up.salt;
        let salted: Vec<_> = self
            .wanted()
            .iter()
            .map(|account| SaltedAccount::new(&salt, account))
            .collect();
        let mut reset = true;
        for part in salted.chunks(limits::INTERESTS_PER_MESSAGE_MAX) {
            let interests = Interests {
                reset,
                add: part.to_vec(),
                ..Interests::default()
            };
            self.send(link, &Message::Interests(interests));
            reset = false;
        }
    }

    /// A neighbour said what it wants.
    pub(crate) fn on_interests(&mut self, link: LinkId, interests: Interests) {
        let accounts: Vec<AccountId> = self.feeds.accounts().collect();
        let Some(up) = self.up_mut(link) else { return };
        if interests.reset {
            up.everything = false;
            up.theirs.clear();
            up.matched.clear();
        }
        up.everything |= interests.everything;
        let fresh: Vec<AccountId> = if interests.everything {
            accounts
        } else {
            let added: Set<_> = interests.add.iter().copied().collect();
            let removed: Set<_> = interests.remove.iter().copied().collect();
            if up.theirs.len() + added.len() > crate::links::THEIR_INTERESTS_MAX {
                self.misbehaved(link, "too many interests");
                return;
            }
            up.theirs.extend(added.iter().copied());
            up.theirs.retain(|salted| !removed.contains(salted));
            let salt = up.salt;
            if !removed.is_empty() {
                up.matched
                    .retain(|account| !removed.contains(&SaltedAccount::new(&salt, account)));
            }
            accounts
                .into_iter()
                .filter(|account| added.contains(&SaltedAccount::new(&salt, account)))
                .collect()
        };
        if !up.everything {
            up.matched.extend(fresh.iter().copied());
        }
        // What was said before about these accounts on this link may be forgotten over there: say it again.
        let theirs = up.account;
        self.send_digest(link, &fresh, true);
        for account in fresh {
            self.send_forks(link, &account);
            if theirs == Some(account) {
                self.confirm_held(link, &account);
            }
        }
    }

    /// A new account is held here: neighbours that asked for it before are interested from now on.
    pub(crate) fn match_new_account(&mut self, account: AccountId) {
        for link in self.links.values_mut() {
            if let Some(up) = link.up_mut()
                && up.theirs.contains(&SaltedAccount::new(&up.salt, &account))
            {
                up.matched.insert(account);
            }
        }
    }
}
