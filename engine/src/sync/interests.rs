//! Whose feeds this peer wants: a browser those of its account, of whom it follows or offered its name and of whom it looks at;
//! a relay those that [`crate::relay::placement`] says it keeps.

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

/// Accounts a browser may name to a relay.
const NAMED_MAX: usize = 8_192;

/// Somebody is being looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    account: AccountId,
    since: Instant,
    searching: bool,
}

impl Engine {
    pub(crate) fn wants(&self, account: &AccountId) -> bool {
        if self.is_relay() {
            return self.keeps_feeds_of(account);
        }
        self.me() == Some(*account)
            || self.offered == Some(*account)
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
            .chain(self.offered)
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
            self.forget_compared(&left.account);
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

    /// Tells a neighbour all that is wanted, in place of what was said before. A relay may remember it.
    pub(crate) fn tell_interests(&mut self, link: LinkId) {
        self.tell_all_interests(link, true);
    }

    /// The same to a relay that does not remember.
    pub(crate) fn tell_interests_in_full(&mut self, link: LinkId) {
        self.tell_all_interests(link, false);
    }

    fn tell_all_interests(&mut self, link: LinkId, recall: bool) {
        let sketch = self.may_sketch(link);
        let divided = self.placement.is_divided();
        let Some(up) = self.up(link) else { return };
        let (salt, to_relay) = (up.salt, up.relay);
        let first = Interests {
            reset: true,
            // Browsers hold little, and what of it is wanted is for this relay to know.
            everything: self.is_relay() && !(divided && to_relay),
            assigned: self.is_relay() && divided && to_relay,
            sketch,
            ..Interests::default()
        };
        let wanted = match (self.is_relay(), first.assigned) {
            (false, _) => self.wanted(),
            (true, true) => self.wanted_beside(),
            (true, false) => Set::new(),
        };
        let salted: Set<_> = wanted
            .iter()
            .take(crate::net::sessions::THEIR_INTERESTS_MAX)
            .map(|account| SaltedAccount::new(&salt, account))
            .collect();
        let same = self.recallable(&salted).filter(|_| to_relay && recall);
        let mut rest: Vec<_> = match same {
            Some(_) => Vec::new(),
            None => salted.iter().copied().collect(),
        };
        let mut part = Interests { same, ..first };
        loop {
            let add = rest;
            part.add = add;
            rest = part
                .add
                .split_off(part.add.len().min(limits::INTERESTS_PER_MESSAGE_MAX));
            part.more = !rest.is_empty();
            self.send(link, &Message::Interests(part));
            if rest.is_empty() {
                break;
            }
            part = Interests::default();
        }
        let Some(up) = self.up_mut(link) else { return };
        up.compared = false;
        up.sketches = sketch;
        // A browser has told what it compares; a relay compares what the other wants.
        if sketch && (up.heard || !self.is_relay()) {
            self.send_sketch(link);
        }
    }

    /// Names to a relay this browser knows whom it did not speak of: a relay that keeps a part of all feeds gets the others'
    /// from the relays that do, if it knows whose.
    pub(crate) fn name_unknown(&mut self, link: LinkId) {
        let Some(up) = self.up(link).filter(|up| self.peers.is_relay(&up.peer)) else {
            return;
        };
        let wanted = self.wanted();
        let unknown = wanted
            .iter()
            .filter(|account| !up.spoke_of.contains(account) && !up.named.contains(account));
        let named: Vec<AccountId> = unknown.copied().take(limits::NAMED_PER_MESSAGE_MAX).collect();
        if named.is_empty() {
            return;
        }
        if let Some(up) = self.up_mut(link) {
            up.named.extend(named.iter().copied());
        }
        let interests = Interests {
            named,
            ..Interests::default()
        };
        self.send(link, &Message::Interests(interests));
    }

    /// A neighbour said what it wants.
    pub(crate) fn on_interests(&mut self, link: LinkId, interests: Interests) {
        let Some(mut interests) = self.recall(link, interests) else {
            return;
        };
        let Some(up) = self.up_mut(link) else { return };
        if interests.reset {
            up.everything = false;
            up.assigned = false;
            up.theirs.clear();
            up.matched.clear();
            up.hearing = true;
            up.awaits_sketch = interests.sketch;
        }
        // What both compare by sketch needs no digest.
        let (by_my_sketch, by_theirs) = (up.hearing && up.sketches, up.awaits_sketch);
        let told_all = up.hearing && !interests.more;
        if told_all {
            (up.hearing, up.heard) = (false, true);
        }
        up.everything |= interests.everything;
        up.assigned |= interests.assigned && up.relay;
        let (peer, theirs, salt) = (up.peer, up.account, up.salt);
        let assigned = interests.assigned && up.relay;
        let added: Set<_> = interests.add.iter().copied().collect();
        let removed: Set<_> = interests.remove.iter().copied().collect();
        if up.theirs.len() + added.len() > crate::net::sessions::THEIR_INTERESTS_MAX {
            return self.misbehaved(link, "too many interests");
        }
        up.theirs.extend(added.iter().copied());
        up.theirs.retain(|salted| !removed.contains(salted));
        if !removed.is_empty() {
            let gone = |account: &AccountId| removed.contains(&SaltedAccount::new(&salt, account));
            up.matched.retain(|account| !gone(account));
            up.named.retain(|account| !gone(account));
        }
        let mut fresh: Vec<AccountId> = if interests.everything {
            self.feeds.accounts().collect()
        } else {
            let wanted = |account: &AccountId| {
                !added.is_empty() && added.contains(&SaltedAccount::new(&salt, account))
            };
            self.feeds.accounts().filter(wanted).collect()
        };
        if assigned && self.is_relay() {
            fresh.extend(self.assigned_to(&peer));
        }
        let named = core::mem::take(&mut interests.named);
        fresh.extend(self.subscribe(link, named));
        if let Some(up) = self.up_mut(link).filter(|up| !up.everything) {
            up.matched.extend(fresh.iter().copied());
        }
        if by_my_sketch {
            let unwanted = |account: &&AccountId| !self.is_relay() && !self.wants(account);
            let beside: Vec<_> = fresh.iter().filter(unwanted).copied().collect();
            if !beside.is_empty() {
                self.send_digest(link, &beside, true);
            }
            if told_all && self.is_relay() {
                self.send_sketch(link);
            }
        } else if !by_theirs {
            // What was said before about these accounts on this link may be forgotten over there: say it again.
            self.send_digest(link, &fresh, true);
        }
        for account in fresh {
            self.send_forks(link, &account);
            if theirs == Some(account) {
                self.confirm_held(link, &account);
            }
        }
    }

    /// Puts in what a browser wanted when it was linked last, if that is what it says. `None`: it must tell all.
    fn recall(&mut self, link: LinkId, interests: Interests) -> Option<Interests> {
        if !self.is_relay() {
            return Some(interests);
        }
        let mut interests = interests;
        let up = self.up_mut(link)?;
        if interests.reset {
            up.forgot = false;
        }
        let Some(same) = interests.same else {
            return Some(interests);
        };
        let peer = up.peer;
        let (wanted, named) = if Interests::fingerprint(up.theirs.iter()) == same {
            (up.theirs.clone(), up.named.clone())
        } else {
            self.recalled.take(&peer).unwrap_or_default()
        };
        if Interests::fingerprint(wanted.iter()) == same {
            interests.add.extend(wanted);
            interests.named.extend(named);
            return Some(interests);
        }
        if let Some(up) = self.up_mut(link) {
            up.forgot = true;
        }
        self.send(link, &Message::ResumeFailed(protocol::messages::ResumeFailed));
        None
    }

    /// A browser names accounts to this relay. Those it holds are matched; the others it gets from relays that do.
    fn subscribe(&mut self, link: LinkId, named: Vec<AccountId>) -> Vec<AccountId> {
        if !self.is_relay() || named.is_empty() {
            return Vec::new();
        }
        let held = |account: &AccountId| !self.feeds.devices(account).is_empty();
        let (held, unknown): (Vec<_>, Vec<_>) = named.into_iter().partition(held);
        let news: Vec<AccountId> = unknown
            .iter()
            .copied()
            .filter(|account| !self.keeps_feeds_of(account))
            .collect();
        if let Some(up) = self.up_mut(link) {
            // Policy when full: what is beyond is not looked for.
            let room = NAMED_MAX.saturating_sub(up.named.len());
            up.named.extend(held.iter().chain(&unknown).copied().take(room));
        }
        let relays = self.up_links();
        for relay in relays {
            let Some(up) = self.up(relay).filter(|up| up.relay && !news.is_empty()) else {
                continue;
            };
            let salt = up.salt;
            let add = news.iter().map(|account| SaltedAccount::new(&salt, account));
            let interests = Interests {
                add: add.collect(),
                ..Interests::default()
            };
            self.send(relay, &Message::Interests(interests));
        }
        held
    }

    /// A new account is held here: neighbours that asked for it before are interested from now on.
    pub(crate) fn match_new_account(&mut self, account: AccountId) {
        let replicas = if self.is_relay() {
            self.replicas_of(&account)
        } else {
            Vec::new()
        };
        for link in self.links.values_mut() {
            if let Some(up) = link.up_mut()
                && (up.theirs.contains(&SaltedAccount::new(&up.salt, &account))
                    || up.named.contains(&account)
                    || (up.assigned && replicas.contains(&up.peer)))
            {
                up.matched.insert(account);
            }
        }
    }
}
