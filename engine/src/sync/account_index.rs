//! The accounts held, by how neighbours name them to this relay. All of them use the salt of this relay, so one index
//! serves all links, and a message of a neighbour costs its own length.
//!
//! Invariant: from the time it is begun it holds no account that is not held; it holds those up to the one that was
//! indexed last, and those seen since. It is built when a neighbour names accounts first, in pieces ([`super::work`]).

use ordered::Map;
use protocol::AccountId;
use protocol::messages::SaltedAccount;

use crate::log::Log;
use crate::log::feeds::Feeds;
use crate::log::keys::FeedNumber;

use super::work::{RECORD, Turn};

/// How much of the accounts is indexed.
#[derive(Debug, Default, PartialEq, Eq)]
enum Indexed {
    #[default]
    Nothing,
    UpTo(AccountId),
    All,
}

/// Bounded by the accounts held: 12 bytes for each.
#[derive(Debug, Default)]
pub(super) struct AccountIndex {
    salt: [u8; 32],
    /// Each account by the number of its first feed. Two accounts can have the same salted form.
    numbers: Map<(SaltedAccount, FeedNumber), ()>,
    indexed: Indexed,
}

impl AccountIndex {
    /// Goes on with building it. Whether it is complete.
    pub(super) fn build(&mut self, log: &Log, salt: &[u8; 32], turn: &mut Turn) -> bool {
        let after = match self.indexed {
            Indexed::All => return true,
            Indexed::UpTo(account) => Some(account),
            Indexed::Nothing => {
                self.salt = *salt;
                None
            }
        };
        for account in log.feeds.accounts_after(after) {
            if turn.is_over() {
                return false;
            }
            turn.spend_for_all(RECORD);
            self.insert(&log.feeds, account);
            self.indexed = Indexed::UpTo(*account);
        }
        self.indexed = Indexed::All;
        true
    }

    fn insert(&mut self, feeds: &Feeds, account: &AccountId) {
        let first = feeds.feeds_of(account).next();
        if let Some((_, feed)) = first {
            let salted = SaltedAccount::new(&self.salt, account);
            self.numbers.insert((salted, feed.number), ());
        }
    }

    /// An account is held.
    pub(super) fn on_account_seen(&mut self, feeds: &Feeds, account: &AccountId) {
        if self.indexed != Indexed::Nothing {
            self.insert(feeds, account);
        }
    }

    /// An account is not held any more, whose feeds had these numbers.
    pub(super) fn forget(&mut self, account: &AccountId, numbers: &[FeedNumber]) {
        if self.indexed != Indexed::Nothing {
            let salted = SaltedAccount::new(&self.salt, account);
            for number in numbers {
                self.numbers.remove(&(salted, *number));
            }
        }
    }

    /// The accounts held that a neighbour may mean; more than one only by chance.
    pub(super) fn find(&self, feeds: &Feeds, salted: SaltedAccount) -> impl Iterator<Item = AccountId> {
        debug_assert_eq!(
            self.numbers.len(),
            feeds.accounts_len(),
            "each account is in the index"
        );
        let found = self.numbers.range((salted, 0)..=(salted, FeedNumber::MAX));
        found.filter_map(|((_, number), ())| Some(feeds.by_number(*number)?.1.account))
    }
}

#[cfg(test)]
#[path = "account_index_tests.rs"]
mod tests;
