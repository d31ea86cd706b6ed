//! Whose devices are linked with which relay: a relay that serves the app tells the relays that keep names, so that a
//! handle can lead to where its account is linked.
//!
//! Accounts are named as between two peers ([`SaltedAccount`]): the other relay recognises an account it is asked
//! about, and learns no other one.
//!
//! Invariant: what a neighbour says replaces what it said before, and is forgotten with its link. It counts while the
//! neighbour is alive and describes itself as serving the app. It cannot be checked: in an open network
//! ([`crate::io::Admission`]) it is that relay's own claim.

use core::time::Duration;

use ordered::{Map, Set};
use protocol::messages::directory::role;
use protocol::messages::{Interests, Message, Presence as Clients, SaltedAccount};
use protocol::{AccountId, Instant, PeerId, limits};

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::net::Net;
use crate::relays::directory::Directory;

/// Interval at which changes are sent, many in one message.
const SEND_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The clients each neighbouring relay named.
    peer_clients: Map<LinkId, Set<SaltedAccount>>,
    /// The fingerprint of the clients that each neighbouring relay was last told.
    advertised: Map<LinkId, [u8; 16]>,
    next_send: Instant,
}

impl Presence {
    /// Tells relays that keep names who is linked here, where that changed.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, net: &Net, directory: &Directory) {
        if ctx.now.instant < self.next_send || !has_role(directory, role::WEB) {
            return;
        }
        self.next_send = ctx.now.instant + SEND_INTERVAL;
        let clients = clients(net);
        let keeps_names = |peer: &PeerId| is_alive_as(directory, peer, role::INDEX);
        let relays = net.neighbours().filter(|session| session.relay);
        for session in relays.filter(|session| keeps_names(&session.peer)) {
            let salted = clients.iter();
            let salted = salted.map(|account| SaltedAccount::new(&session.salt_sent, account));
            let salted: Set<SaltedAccount> = salted.collect();
            let fingerprint = Interests::fingerprint(salted.iter());
            let before = self.advertised.get(&session.link);
            if before == Some(&fingerprint) || (before.is_none() && salted.is_empty()) {
                continue;
            }
            self.advertised.insert(session.link, fingerprint);
            // Policy when full: further accounts are not sent.
            let accounts = salted.iter().copied().take(limits::INTERESTS_PER_MESSAGE_MAX);
            let accounts = accounts.collect();
            ctx.send(session.link, &Message::Presence(Clients { accounts }));
        }
    }

    /// A relay says whose devices are linked with it.
    pub(crate) fn on_presence(&mut self, net: &Net, directory: &Directory, link: LinkId, clients: Clients) {
        let peer = net.session(link).map(|session| session.peer);
        let listens = has_role(directory, role::INDEX);
        if peer.is_some_and(|peer| listens && net.is_anchor(directory, &peer)) {
            let clients = clients.accounts.into_iter().collect();
            self.peer_clients.insert(link, clients);
        }
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.peer_clients.remove(&link);
        self.advertised.remove(&link);
    }

    /// The relays that a device of an account is linked with, as far as this one knows.
    pub(crate) fn served_by(
        &self,
        own: PeerId,
        net: &Net,
        directory: &Directory,
        account: &AccountId,
    ) -> Vec<PeerId> {
        let here = has_role(directory, role::WEB) && clients(net).contains(account);
        let others = net.neighbours().filter(|session| {
            let clients = self.peer_clients.get(&session.link);
            let salted = || SaltedAccount::new(&session.salt_received, account);
            is_alive_as(directory, &session.peer, role::WEB)
                && clients.is_some_and(|clients| clients.contains(&salted()))
        });
        let own = here.then_some(own);
        own.into_iter()
            .chain(others.map(|session| session.peer))
            .collect()
    }
}

/// The accounts whose devices are linked with this relay.
fn clients(net: &Net) -> Set<AccountId> {
    let people = net.neighbours().filter(|session| !session.relay);
    people.filter_map(|session| session.account).collect()
}

/// Whether this relay describes itself with a role.
fn has_role(directory: &Directory, role: u8) -> bool {
    let own = directory.own_description();
    own.is_some_and(|own| own.roles & role != 0)
}

/// Whether another relay is alive and describes itself with a role.
fn is_alive_as(directory: &Directory, peer: &PeerId, role: u8) -> bool {
    let described = directory.alive(peer);
    described.is_some_and(|description| description.roles & role != 0)
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
