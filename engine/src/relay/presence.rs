//! Which relays serve whom: a relay that serves the app tells those that keep names whose devices are linked with it, so that
//! somebody's name can lead to where they are served.
//!
//! Accounts are named as between two peers ([`SaltedAccount`]): the other relay recognises whom it is asked about, and learns
//! of nobody else.
//!
//! Invariant: it is true of the links there are: a neighbour's word replaces its last one, and goes with its link. It counts
//! as long as the neighbour lives and says that it serves the app. Nobody can check it: where any relay is let in
//! ([`crate::Config::relays_allowed`]) it is that relay's own word.

use std::time::Duration;

use ordered::Set;
use protocol::directory::role;
use protocol::message::{Interests, Message, Presence, SaltedAccount};
use protocol::{AccountId, Instant, PeerId, limits};

use crate::Engine;
use crate::io::LinkId;
use crate::net::sessions::Link;

/// How often it is told what changed.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// When it is told.
#[derive(Debug, Default)]
pub(crate) struct Served {
    next: Instant,
}

impl Engine {
    fn has_role(&self, role: u8) -> bool {
        let own = self.directory.own_description();
        own.is_some_and(|own| own.roles & role != 0)
    }

    /// Whose devices are linked with this relay.
    fn guests(&self) -> Set<AccountId> {
        let people = self.links.values().filter_map(Link::neighbour);
        people
            .filter(|up| !up.relay)
            .filter_map(|up| up.account)
            .collect()
    }

    /// Once a second: index relays hear who is served here, if that changed.
    pub(crate) fn keep_served(&mut self) {
        let now = self.now.instant;
        if !self.is_relay() || now < self.served.next || !self.has_role(role::WEB) {
            return;
        }
        self.served.next = now + TELL_EVERY;
        let guests = self.guests();
        let keeps_names = |peer: &PeerId| {
            let described = self.directory.alive(peer);
            described.is_some_and(|description| description.roles & role::INDEX != 0)
        };
        for link in self.links_whose(|up| up.neighbour && up.relay && keeps_names(&up.peer)) {
            let Some(up) = self.up_mut(link) else { continue };
            let salted = guests.iter().map(|account| SaltedAccount::new(&up.salt, account));
            let salted: Set<SaltedAccount> = salted.collect();
            let fingerprint = Interests::fingerprint(salted.iter());
            if up.told_served == Some(fingerprint) || (up.told_served.is_none() && salted.is_empty()) {
                continue;
            }
            up.told_served = Some(fingerprint);
            // Policy when full: those beyond are not told of.
            let accounts = salted.iter().copied().take(limits::INTERESTS_PER_MESSAGE_MAX);
            let accounts = accounts.collect();
            self.send(link, &Message::Presence(Presence { accounts }));
        }
    }

    /// A relay says whom it serves.
    pub(crate) fn on_serves(&mut self, link: LinkId, serves: Presence) {
        let Some(peer) = self.up(link).map(|up| up.peer) else {
            return;
        };
        if !self.is_relay() || !self.has_role(role::INDEX) || !self.is_anchor(&peer) {
            return;
        }
        if let Some(up) = self.up_mut(link) {
            up.serves = serves.accounts.into_iter().collect();
        }
    }

    fn serves_the_app(&self, peer: &PeerId) -> bool {
        let described = self.directory.alive(peer);
        described.is_some_and(|description| description.roles & role::WEB != 0)
    }

    /// The relays that serve an account, as far as this one was told.
    pub(crate) fn served_by(&self, account: &AccountId) -> Vec<PeerId> {
        let own = self.own_peer();
        let here = self.has_role(role::WEB) && self.guests().contains(account);
        let neighbours = self.links.values().filter_map(Link::neighbour);
        let others = neighbours.filter(|up| {
            let said = !up.serves.is_empty() && self.serves_the_app(&up.peer);
            said && up.serves.contains(&SaltedAccount::new(&up.salt, account))
        });
        own.filter(|_| here)
            .into_iter()
            .chain(others.map(|up| up.peer))
            .collect()
    }
}
