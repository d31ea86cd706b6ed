//! Feeds that a relay holds beside its share: of people linked with it, of whom those follow, and what was its share once. They
//! make their pages quick, up to a bound; beyond it those go that nobody here has wanted for the longest.
//!
//! Invariants: no feed is dropped that is this relay's to keep, that somebody linked here wants, or that not every one of its
//! replicas is linked with this relay and has said that it has all of it; nothing at all while this relay doubts itself. A
//! feed is forgotten before its rows are deleted, and what is left to delete is noted in the store, so a crash in the middle
//! is made good at the next start.

use std::collections::VecDeque;

use ordered::{Map, Set};
use protocol::message::{Interests, Message, SaltedAccount};
use protocol::{AccountId, Entry, Instant, codec};

use crate::log::keys::{self, FeedNumber};
use crate::log::records::meta;
use crate::net::sessions::{Link, Up};
use crate::store::{Op, Read, Rows, Table};
use crate::{Engine, Waiting};

/// Entries deleted per step.
const STEP_ROWS: usize = 512;
/// Accounts looked at for one that can go, per second.
const LOOKED_AT_MAX: usize = 64;

/// What is held beside the share.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// When somebody here wanted it last.
    wanted: Map<AccountId, Instant>,
    /// The same, in the order in which they go.
    order: Set<(Instant, AccountId)>,
    /// Being deleted: feeds, of which account if that is still known.
    dropping: VecDeque<(FeedNumber, Option<AccountId>)>,
    /// Rows to delete are being read.
    loading: bool,
}

impl Cache {
    /// Accounts held beside the share.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// They.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.wanted.keys().copied()
    }

    /// Somebody wanted it now, or it has just come.
    fn touch(&mut self, account: AccountId, now: Instant) {
        self.forget(&account);
        self.wanted.insert(account, now);
        self.order.insert((now, account));
    }

    fn forget(&mut self, account: &AccountId) {
        if let Some(before) = self.wanted.remove(account) {
            self.order.remove(&(before, *account));
        }
    }

    /// Whether an account's feeds are being deleted: until that is done, none are taken in.
    pub(crate) fn is_dropping(&self, account: &AccountId) -> bool {
        self.dropping.iter().any(|(_, of)| of.as_ref() == Some(account))
    }

    /// What a crash left to delete.
    pub(crate) fn resume(&mut self, number: FeedNumber) {
        self.dropping.push_back((number, None));
    }
}

fn drop_key(number: FeedNumber) -> Vec<u8> {
    [meta::DROP, &number.to_be_bytes()].concat()
}

impl Engine {
    /// The shares changed: what is beside this one is counted anew.
    pub(crate) fn sort_cache(&mut self) {
        let mut cache = core::mem::take(&mut self.cache);
        cache.order.clear();
        let before = core::mem::take(&mut cache.wanted);
        if self.placement.is_divided() {
            for account in self
                .feeds
                .accounts()
                .filter(|account| !self.is_assigned_here(account))
            {
                // What was of the share until now was wanted until now.
                let at = before.get(&account).copied().unwrap_or(self.now.instant);
                cache.wanted.insert(account, at);
                cache.order.insert((at, account));
            }
        }
        self.cache = cache;
    }

    /// A new account is held.
    pub(crate) fn cache_new_account(&mut self, account: AccountId) {
        if self.placement.is_divided() && !self.is_assigned_here(&account) {
            self.cache.touch(account, self.now.instant);
        }
    }

    /// Somebody who wanted these is here no longer.
    pub(crate) fn cache_wanted_until_now(&mut self, up: &Up) {
        for account in up.matched.iter().chain(up.named.iter()).chain(&up.account) {
            if self.cache.wanted.contains_key(account) {
                self.cache.touch(*account, self.now.instant);
            }
        }
    }

    /// Once a second: goes on deleting, or sees whether there is too much.
    pub(crate) fn keep_cache(&mut self) {
        if !self.cache.dropping.is_empty() {
            // Unless a read failed, it is under way.
            return self.continue_dropping();
        }
        let mut looked_at = 0;
        while self.cache.len() > self.config.cached_accounts_max && !self.directory.doubts() {
            let Some((_, account)) = self.cache.order.first().copied() else {
                return;
            };
            if self.may_drop(&account) {
                return self.drop_account(account);
            }
            // Its turn comes again when that of all others has.
            self.cache.touch(account, self.now.instant);
            looked_at += 1;
            if looked_at >= LOOKED_AT_MAX {
                return;
            }
        }
    }

    fn may_drop(&self, account: &AccountId) -> bool {
        let people = self.links.values().filter_map(Link::up).filter(|up| !up.relay);
        let mut people = people.filter(|up| up.wants(account) || up.account == Some(*account));
        if people.next().is_some() || self.is_subscribed(account) || self.is_assigned_here(account) {
            return false;
        }
        let relays = || {
            self.links
                .values()
                .filter_map(Link::neighbour)
                .filter(|up| up.relay)
        };
        let replicas = self.replicas_of(account);
        let held_by = |replica| {
            let up = relays().find(|up| up.peer == replica);
            let mut feeds = self.feeds.feeds_of(account);
            up.is_some_and(|up| {
                feeds.all(|(_, feed)| up.has.get(&feed.number).is_some_and(|has| *has >= feed.next_seq))
            })
        };
        // A copy of a relay that is no worker counts for nothing: nobody is worse off without it.
        let wanted = match self.config.worker {
            true => self.config.replicas,
            false => 1,
        };
        let enough = replicas.len() >= wanted;
        enough && replicas.into_iter().all(held_by)
    }

    /// Forgets an account's feeds, and begins to delete them.
    fn drop_account(&mut self, account: AccountId) {
        self.cache.forget(&account);
        let forgotten = self.feeds.forget(&account);
        for (device, feed) in &forgotten {
            self.cache.dropping.push_back((feed.number, Some(account)));
            self.write(Op::Put {
                table: Table::Meta,
                key: drop_key(feed.number),
                value: Vec::new(),
            });
            self.write(Op::Delete {
                table: Table::Feeds,
                key: device.0.to_vec(),
            });
        }
        for table in [Table::Profiles, Table::Names] {
            self.write(Op::Delete {
                table,
                key: account.0.to_vec(),
            });
        }
        for link in self.links_whose(|up| up.neighbour) {
            let Some(up) = self.up_mut(link) else { continue };
            up.matched.remove(&account);
            for (_, feed) in &forgotten {
                up.has.remove(&feed.number);
                up.told.remove(&feed.number);
            }
            if !up.relay {
                continue;
            }
            let remove = vec![SaltedAccount::new(&up.salt, &account)];
            let interests = Interests {
                remove,
                ..Interests::default()
            };
            self.send(link, &Message::Interests(interests));
        }
        self.continue_dropping();
    }

    /// The next entries to delete, if any are.
    pub(crate) fn continue_dropping(&mut self) {
        let next = self.cache.dropping.front().filter(|_| !self.cache.loading);
        let Some((number, _)) = next.copied() else {
            return;
        };
        self.cache.loading = true;
        let read = Read::Range {
            table: Table::Entries,
            start: keys::entry(number, 0),
            end: keys::entry(number, u64::MAX),
            limit: STEP_ROWS,
            bytes_max: usize::MAX,
            reverse: false,
        };
        self.load(vec![read], Waiting::Drop);
    }

    /// They could not be read: tried again in a second.
    pub(crate) fn on_drop_failed(&mut self) {
        self.cache.loading = false;
    }

    pub(crate) fn on_drop_rows(&mut self, rows: Rows) {
        self.cache.loading = false;
        let rows = rows.into_iter().next().unwrap_or_default();
        let more = rows.len() == STEP_ROWS;
        for (key, value) in rows {
            if let Ok(entry) = codec::decode::<Entry>(&value) {
                let header = &entry.signed.header;
                self.unfold_entry(header, header.id(), &entry.body);
            }
            let table = Table::Entries;
            self.write(Op::Delete { table, key });
        }
        if more {
            return self.continue_dropping();
        }
        let Some((number, account)) = self.cache.dropping.pop_front() else {
            return;
        };
        self.write(Op::Delete {
            table: Table::Meta,
            key: drop_key(number),
        });
        if let Some(account) = account.filter(|account| !self.cache.is_dropping(account)) {
            self.want_again(account);
        }
        match self.cache.dropping.is_empty() {
            true => self.keep_cache(),
            false => self.continue_dropping(),
        }
    }

    /// Somebody may have come to want what was being deleted: relays are asked for it.
    fn want_again(&mut self, account: AccountId) {
        if !self.keeps_feeds_of(&account) {
            return;
        }
        for link in self.links_whose(|up| up.neighbour && up.relay) {
            let Some(up) = self.up(link) else { continue };
            let add = vec![SaltedAccount::new(&up.salt, &account)];
            let interests = Interests {
                add,
                ..Interests::default()
            };
            self.send(link, &Message::Interests(interests));
        }
    }
}
