//! The accounts that people linked with this relay are, and those they named to it.
//!
//! Invariant: an account is subscribed exactly while at least one link has it.

use ordered::Map;
use protocol::AccountId;
use protocol::messages::SaltedAccount;

use crate::io::LinkId;

/// Accounts one peer may name. Policy when full: further ones are not looked for.
const NAMED_MAX: usize = 8_192;

/// What one linked peer subscribes to.
#[derive(Debug, Default)]
struct Subscription {
    account: Option<AccountId>,
    /// By how the peer says that it wants them no longer.
    named: Map<SaltedAccount, AccountId>,
}

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    links: Map<LinkId, Subscription>,
    /// Links by account; a peer that names its own account counts twice.
    counts: Map<AccountId, u32>,
}

impl Subscriptions {
    pub(crate) fn contains(&self, account: &AccountId) -> bool {
        self.counts.contains_key(account)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.counts.keys().copied()
    }

    /// A peer is linked; `account`: who it is, if it is a person's device.
    pub(crate) fn add_link(&mut self, link: LinkId, account: Option<AccountId>) {
        let subscription = self.links.or_default(link);
        if subscription.account == account {
            return;
        }
        let before = core::mem::replace(&mut subscription.account, account);
        self.release(before);
        self.count(account);
    }

    /// A peer names accounts.
    pub(crate) fn name(&mut self, link: LinkId, salt: &[u8; 32], named: impl IntoIterator<Item = AccountId>) {
        for account in named {
            let subscription = self.links.or_default(link);
            if subscription.named.len() >= NAMED_MAX {
                return;
            }
            let salted = SaltedAccount::new(salt, &account);
            if subscription.named.insert(salted, account).is_none() {
                self.count([account]);
            }
        }
    }

    /// A peer no longer wants these accounts.
    pub(crate) fn remove(&mut self, link: LinkId, removed: &[SaltedAccount]) {
        let Some(subscription) = self.links.get_mut(&link) else {
            return;
        };
        let gone = removed
            .iter()
            .filter_map(|salted| subscription.named.remove(salted));
        let gone: Vec<_> = gone.collect();
        self.release(gone);
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        if let Some(subscription) = self.links.remove(&link) {
            self.release(subscription.account);
            self.release(subscription.named.into_iter().map(|(_, account)| account));
        }
    }

    fn count(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        for account in accounts {
            *self.counts.or_default(account) += 1;
        }
    }

    fn release(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        for account in accounts {
            let Some(count) = self.counts.get_mut(&account) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&account);
            }
        }
    }
}

#[cfg(test)]
#[path = "subscriptions_tests.rs"]
mod tests;
