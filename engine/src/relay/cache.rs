//! Feeds that a relay holds beside those assigned to it: of people linked with it, of the accounts these follow, and
//! of accounts that were assigned to it before. They make pages quick, up to a bound; beyond it the account goes that
//! was not wanted here for the longest time.
//!
//! Invariants: to make room, no feed is dropped that is assigned to this relay, that a person linked here wants, or that
//! not every replica, linked with this relay, has said to hold completely; none at all while this relay suspects a
//! partition. What this relay signed receipts for it drops only if the replicas are members and have proven what they
//! said ([`super::replacements`]). A feed is forgotten before its rows are deleted, and what is left to delete is
//! recorded in the store, so a crash in between is made good at the next start.

use std::collections::VecDeque;

use ordered::{Map, Set};
use protocol::{AccountId, Entry, Instant, PeerId, codec};

use crate::ctx::{Ctx, LoadOwner};
use crate::io::LinkId;
use crate::log::feeds::Feeds;
use crate::log::keys::{self, FeedNumber};
use crate::log::records::meta;
use crate::net::Net;
use crate::relays::directory::Directory;
use crate::store::{Op, Read, Rows, Table};
use crate::sync::Sync;

use super::members::Members;
use super::peer_has::PeerHas;
use super::placement::Placement;
use super::replacements::Replacements;
use super::subscriptions::Subscriptions;

/// Entries deleted per step: one load and one batch.
const STEP_ROWS: usize = 512;
/// Accounts examined at once for one that may be dropped, which bounds the work of one input.
const EXAMINED_MAX: usize = 64;

/// A feed whose rows are being deleted.
#[derive(Clone, Copy, Debug)]
struct Dropping {
    number: FeedNumber,
    /// `None`: deleting it began before the last start.
    account: Option<AccountId>,
}

/// What a step of deleting led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The feed has more rows.
    Part,
    /// All rows of the feed are deleted.
    Feed,
    /// All rows of all feeds of the account are.
    Account(AccountId),
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The time at which an account was last wanted here.
    wanted: Map<AccountId, Instant>,
    /// The same, in the order in which accounts are dropped.
    order: Set<(Instant, AccountId)>,
    dropping: VecDeque<Dropping>,
    /// Rows to delete are being read.
    loading: bool,
}

impl Cache {
    /// Accounts held beside those assigned.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    pub(crate) fn contains(&self, account: &AccountId) -> bool {
        self.wanted.contains_key(account)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.wanted.keys().copied()
    }

    /// An account was wanted now, or its first entry arrived.
    pub(crate) fn touch(&mut self, account: AccountId, now: Instant) {
        self.forget(&account);
        self.wanted.insert(account, now);
        self.order.insert((now, account));
    }

    /// A person who wanted these accounts until now is not linked any more.
    pub(crate) fn touch_cached(&mut self, accounts: impl IntoIterator<Item = AccountId>, now: Instant) {
        for account in accounts {
            if self.wanted.contains_key(&account) {
                self.touch(account, now);
            }
        }
    }

    /// The assignment changed, and now the account is held beside it, or is not. What was assigned until now was wanted
    /// until now.
    pub(crate) fn assign(&mut self, account: AccountId, beside: bool, now: Instant) {
        if !beside {
            self.forget(&account);
        } else if !self.wanted.contains_key(&account) {
            self.touch(account, now);
        }
    }

    /// Nothing is held beside the assignment.
    pub(crate) fn clear(&mut self) {
        self.wanted.clear();
        self.order.clear();
    }

    fn forget(&mut self, account: &AccountId) {
        if let Some(before) = self.wanted.remove(account) {
            self.order.remove(&(before, *account));
        }
    }

    /// An account to drop, if more than `accounts_max` are held. Those that may not be dropped take their turn again
    /// after all others.
    pub(crate) fn excess(
        &mut self,
        accounts_max: usize,
        now: Instant,
        mut may_drop: impl FnMut(&AccountId) -> bool,
    ) -> Option<AccountId> {
        for _ in 0..EXAMINED_MAX {
            let (_, account) = *self.order.first().filter(|_| self.len() > accounts_max)?;
            if may_drop(&account) {
                return Some(account);
            }
            self.touch(account, now);
        }
        None
    }

    /// Whether rows are left to delete.
    pub(crate) fn is_deleting(&self) -> bool {
        !self.dropping.is_empty()
    }

    /// Whether an account's feeds are being deleted: until that is done, no entries of it are accepted.
    pub(crate) fn is_dropping(&self, account: &AccountId) -> bool {
        let mut dropping = self.dropping.iter();
        dropping.any(|dropping| dropping.account.as_ref() == Some(account))
    }

    /// A feed whose rows were being deleted when this relay ended.
    pub(crate) fn resume(&mut self, number: FeedNumber) {
        let account = None;
        self.dropping.push_back(Dropping { number, account });
    }

    /// Deletes the rows of an account's feeds, which is forgotten by now.
    pub(crate) fn delete(&mut self, ctx: &mut Ctx, account: AccountId, numbers: &[FeedNumber]) {
        self.forget(&account);
        for number in numbers {
            ctx.write(Op::Put {
                table: Table::Meta,
                key: drop_key(*number),
                value: Vec::new(),
            });
            self.dropping.push_back(Dropping {
                number: *number,
                account: Some(account),
            });
        }
        self.continue_deleting(ctx);
    }

    /// Reads the next rows to delete, unless some are being read.
    pub(crate) fn continue_deleting(&mut self, ctx: &mut Ctx) {
        let Some(dropping) = self.dropping.front().filter(|_| !self.loading) else {
            return;
        };
        let read = Read::Range {
            table: Table::Entries,
            start: keys::entry(dropping.number, 0),
            end: keys::entry(dropping.number, u64::MAX),
            limit: STEP_ROWS,
            bytes_max: usize::MAX,
            reverse: false,
        };
        self.loading = true;
        ctx.load(LoadOwner::Drop, vec![read]);
    }

    /// The rows could not be read: the next timer tries again.
    pub(crate) fn on_load_failed(&mut self) {
        self.loading = false;
    }

    /// Deletes these rows; `unindex` deletes what was derived from an entry.
    pub(crate) fn on_rows(
        &mut self,
        ctx: &mut Ctx,
        rows: Rows,
        mut unindex: impl FnMut(&mut Ctx, FeedNumber, &Entry),
    ) -> Dropped {
        self.loading = false;
        let Some(Dropping { number, account }) = self.dropping.front().copied() else {
            return Dropped::Part;
        };
        let rows = rows.into_iter().next().unwrap_or_default();
        let more = rows.len() == STEP_ROWS;
        for (key, value) in rows {
            if let Ok(entry) = codec::decode::<Entry>(&value) {
                unindex(ctx, number, &entry);
            }
            let table = Table::Entries;
            ctx.write(Op::Delete { table, key });
        }
        if more {
            return Dropped::Part;
        }
        self.dropping.pop_front();
        ctx.write(Op::Delete {
            table: Table::Meta,
            key: drop_key(number),
        });
        match account.filter(|account| !self.is_dropping(account)) {
            Some(account) => Dropped::Account(account),
            None => Dropped::Feed,
        }
    }
}

/// Present in the store while the rows of a feed are being deleted.
fn drop_key(number: FeedNumber) -> Vec<u8> {
    [meta::DROP, &number.to_be_bytes()].concat()
}

/// The feed whose rows are being deleted, by a key of the `Meta` table. The inner `None`: a damaged key.
pub(crate) fn dropped_feed(key: &[u8]) -> Option<Option<FeedNumber>> {
    let number = key.strip_prefix(meta::DROP)?;
    Some(number.try_into().ok().map(u32::from_be_bytes))
}

/// What decides whether an account may be dropped.
pub(crate) struct Demand<'a> {
    pub(crate) placement: &'a Placement,
    pub(crate) subscriptions: &'a Subscriptions,
    pub(crate) peer_has: &'a PeerHas,
    pub(crate) feeds: &'a Feeds,
    pub(crate) net: &'a Net,
    pub(crate) sync: &'a Sync,
    pub(crate) directory: &'a Directory,
    pub(crate) members: &'a Members,
    pub(crate) replacements: &'a Replacements,
    /// This relay signed receipts for what it holds.
    pub(crate) signed: bool,
    /// Copies that must exist elsewhere.
    pub(crate) copies: usize,
}

/// Whether an account may be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// All replicas are linked, and those at the end of these links have not said that they have all of it.
    Unheard(Vec<LinkId>),
    /// The relays at the end of these links say that they have all of it. It may be dropped once they have proven that.
    Unproven(Vec<LinkId>),
    Drop,
}

impl Demand<'_> {
    /// An account may be dropped if nobody here wants it, and every replica of it is linked and has all of it.
    pub(crate) fn judge(&self, account: &AccountId) -> Verdict {
        if self.subscriptions.contains(account)
            || self.placement.is_assigned_here(self.feeds, account)
            || self.is_wanted(account)
        {
            return Verdict::Keep;
        }
        let replicas = self.placement.replicas_of(self.feeds, account);
        let counts =
            |relay: &PeerId| !self.signed || (self.members.contains(relay) && self.directory.may_keep(relay));
        if replicas.len() < self.copies || !replicas.iter().all(counts) {
            return Verdict::Keep;
        }
        let link_to = |replica: &PeerId| {
            let relay = self.net.neighbours().find(|session| session.peer == *replica);
            Some(relay.filter(|session| session.relay)?.link)
        };
        let Some(links) = replicas.iter().map(link_to).collect::<Option<Vec<LinkId>>>() else {
            return Verdict::Keep;
        };
        let has_all = |link: &LinkId| {
            let mut feeds = self.feeds.feeds_of(account);
            feeds.all(|(_, feed)| self.peer_has.has(*link, feed.number, feed.valid_len()))
        };
        let unheard: Vec<LinkId> = links.iter().copied().filter(|link| !has_all(link)).collect();
        if !unheard.is_empty() {
            return Verdict::Unheard(unheard);
        }
        let is_proven = |link: &LinkId| {
            let mut feeds = self.feeds.feeds_of(account);
            feeds.all(|(device, feed)| self.replacements.is_proven(*link, &device, feed))
        };
        if !self.signed || links.iter().all(is_proven) {
            Verdict::Drop
        } else {
            Verdict::Unproven(links)
        }
    }

    fn is_wanted(&self, account: &AccountId) -> bool {
        let mut people = self.net.sessions().filter(|session| !session.relay);
        people.any(|session| {
            let interest = self.sync.interest(session.link);
            session.account == Some(*account) || interest.is_some_and(|interest| interest.wants(account))
        })
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
