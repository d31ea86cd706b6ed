//! Whose feeds this relay wants, and what its neighbours say they want of it.

use ordered::Set;
use protocol::messages::{Interests, Message, SaltedAccount};
use protocol::{AccountId, PeerId};

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::net::{Net, Session};
use crate::sync::{Interest, Remembered, Scope, Summary};

use super::Relay;

impl Relay {
    /// Whether this relay keeps an account's feeds.
    pub(super) fn keeps(&self, log: &Log, account: &AccountId) -> bool {
        if self.cache.is_dropping(account) {
            return false;
        }
        !self.placement.is_divided()
            || !log.feeds.devices(account).is_empty()
            || self.subscriptions.contains(account)
            || self.placement.is_assigned_here(&log.feeds, account)
    }

    /// A neighbour says what it wants, before that is applied. If it says that it is the same as on its last link:
    /// what that was, as far as it is remembered.
    pub(crate) fn on_interests(
        &mut self,
        net: &Net,
        link: LinkId,
        interests: &Interests,
    ) -> Option<Remembered> {
        let session = net.session(link)?;
        if !interests.remove.is_empty() {
            self.subscriptions.remove(link, &interests.remove);
        }
        interests.same?;
        self.interests.take(&session.peer)
    }

    /// A person's device names accounts. Those that are not kept here are fetched from the relays that have them.
    pub(crate) fn on_accounts_wanted(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        link: LinkId,
        named: &[AccountId],
    ) {
        let Some(session) = net.session(link) else {
            // Nothing would end the subscription.
            return;
        };
        let news = named.iter().filter(|account| !self.keeps(log, account));
        let news: Vec<AccountId> = news.copied().collect();
        self.subscriptions
            .name(link, &session.salt_received, named.iter().copied());
        want_from_relays(ctx, net, &news);
    }
}

/// Asks neighbouring relays for these accounts.
pub(super) fn want_from_relays(ctx: &mut Ctx, net: &Net, accounts: &[AccountId]) {
    if accounts.is_empty() {
        return;
    }
    for session in net.neighbours().filter(|session| session.relay) {
        let add = accounts.iter();
        let add = add.map(|account| SaltedAccount::new(&session.salt_sent, account));
        let interests = Interests {
            add: add.collect(),
            ..Interests::default()
        };
        ctx.send(session.link, &Message::Interests(interests));
    }
}

impl Interest for Relay {
    fn wants(&self, scope: &Scope<'_>, account: &AccountId) -> bool {
        self.keeps(scope.log, account)
    }

    fn summary(&self, scope: &Scope<'_>, session: &Session) -> Summary {
        // People are asked for everything: they hold little, and what of it this relay wants, it need not say.
        let assigned = self.placement.is_divided() && session.relay;
        let mut accounts = Set::new();
        if assigned {
            let subscribed = self.subscriptions.accounts();
            let is_assigned =
                |account: &AccountId| self.placement.is_assigned_here(&scope.log.feeds, account);
            let beside = subscribed.filter(|account| !is_assigned(account));
            accounts = self.cache.accounts().chain(beside).collect();
        }
        Summary {
            everything: !assigned,
            assigned,
            accounts,
        }
    }

    fn wanted(&self, _: &Scope<'_>) -> Set<AccountId> {
        Set::new()
    }

    fn is_replica(&self, scope: &Scope<'_>, account: &AccountId, peer: &PeerId) -> bool {
        self.placement.is_replica(&scope.log.feeds, account, peer)
    }

    fn serves_others(&self) -> bool {
        true
    }
}
