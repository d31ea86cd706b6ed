//! Building views again from stored entries: all of them on request, one account's after entries of it became void (a
//! fork, a revocation), and after an update of the program those of kinds that the version before did not know and
//! therefore only stored.
//!
//! An account whose entries become void again and again is indexed again at growing intervals: each proof of an earlier
//! fork costs its sender a few hundred bytes, and indexing all entries of the account again may write megabytes. What is
//! void is not shown meanwhile, since readers look at the limit of the feed.
//!
//! One step at a time: load some entries, index them, load the next. What is being done is written down in the store,
//! so that the next start completes what a crash interrupted; indexing twice changes nothing.

use std::collections::VecDeque;

use core::time::Duration;

use ordered::Map;
use protocol::kinds::Kind;
use protocol::{AccountId, DeviceId, Entry, Instant, codec};

use crate::api::Event;
use crate::ctx::{Ctx, LoadOwner};
use crate::facts::Fact;
use crate::kinds::{Kinds, Viewer};
use crate::log::Log;
use crate::log::keys::{self, FeedNumber, id_at};
use crate::log::records::meta;
use crate::store::{LoadId, Op, Read, Row, Rows, Table};

/// Maximum number of rows per step, which bounds the work of one input.
const STEP_ROWS: usize = 512;

/// After an account was indexed again for the second time, it is not for this long; each time after that, for twice as
/// long as before.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// An account that was indexed again lately.
#[derive(Clone, Copy, Debug)]
struct Lately {
    /// It is not indexed again before.
    until: Instant,
    pause: Duration,
    /// It is to be indexed again then.
    waits: bool,
}

/// The kinds that a store without [`meta::KINDS`] has indexed: those of the versions that did not write it. Never
/// changes.
const KINDS_UNRECORDED: &[Kind] = &[
    Kind::CERTIFICATE,
    Kind::PROFILE,
    Kind::POST,
    Kind::FOLLOW,
    Kind::REVOCATION,
    Kind::NAME,
    Kind::SLUG,
];

/// What is to be indexed again.
#[derive(Debug, Default)]
pub(super) struct Reindex {
    /// What [`meta::KINDS`] in the store says.
    kinds: Option<Vec<Kind>>,
    /// Accounts whose entries of kinds that are new to the store are not indexed yet. Each that is held once.
    new_kinds: Vec<AccountId>,
    /// At most each account that is held once, and the one at work once more.
    accounts: VecDeque<AccountId>,
    /// Accounts that were to be indexed again lately. Each that is held once.
    lately: Map<AccountId, Lately>,
    /// Everything is to be thrown away first.
    all: bool,
    /// The step at work.
    step: Option<Step>,
    /// The load it waits for. `None` with a step: the load failed, and is tried again.
    load: Option<LoadId>,
    /// Entries indexed, and entries there are, for the progress of a rebuild.
    progress: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Step {
    /// The rows of one of [`Kinds::INDEX_TABLES`] are removed.
    Clear { table: usize },
    /// Entries of a feed from `from` to below `upto` are indexed; what comes later is indexed as it comes.
    Feed {
        account: AccountId,
        device: DeviceId,
        number: FeedNumber,
        from: u64,
        upto: u64,
        posts: Posts,
        /// Feeds of the account that come after.
        left: Vec<DeviceId>,
        /// Only entries of kinds that are new to the store.
        new_only: bool,
    },
}

/// The posts of a feed that is being indexed: it has as many as before until all of them are counted.
#[derive(Clone, Copy, Debug)]
struct Posts {
    before: u64,
    counted: u64,
}

impl Lately {
    /// The account is indexed again.
    fn begin(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
        self.until = now + self.pause;
    }
}

impl Reindex {
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if key == meta::REBUILD {
            self.all = true;
            return Some(());
        }
        if key == meta::KINDS {
            self.kinds = Some(codec::decode_extensible(value).ok()?);
            return Some(());
        }
        let account = key.strip_prefix(meta::REINDEX)?;
        self.accounts.push_back(AccountId(id_at(account, 0)?));
        Some(())
    }

    /// Entries of new kinds do not count: what others say is complete all the while.
    pub(super) fn is_busy(&self) -> bool {
        let clears = matches!(self.step, Some(Step::Clear { .. }));
        clears || self.all || !self.accounts.is_empty()
    }

    fn is_new(&self, kind: Kind) -> bool {
        !self.kinds.as_deref().unwrap_or(KINDS_UNRECORDED).contains(&kind)
    }

    /// The store was read: what it holds of kinds that the version before did not know is to be indexed.
    pub(super) fn begin_new_kinds(&mut self, log: &Log) {
        if Kinds::INDEXED.iter().any(|kind| self.is_new(*kind)) {
            self.new_kinds = log.feeds.accounts().collect();
        }
    }

    pub(super) fn begin(&mut self, ctx: &mut Ctx, account: AccountId) {
        // What is being indexed of it now was valid a moment ago: that is not enough.
        let new_only = matches!(self.step, Some(Step::Feed { new_only: true, .. }));
        let at_work = usize::from(self.step.is_some() && !new_only);
        if self.accounts.iter().skip(at_work).any(|it| *it == account) {
            return;
        }
        let now = ctx.now.instant;
        match self.lately.get_mut(&account) {
            Some(lately) if now < lately.until => {
                if !core::mem::replace(&mut lately.waits, true) {
                    ctx.write(mark(account_key(&account)));
                }
                return;
            }
            Some(lately) => lately.begin(now),
            None => {
                let first = Lately {
                    until: now,
                    pause: Duration::ZERO,
                    waits: false,
                };
                self.lately.insert(account, first);
            }
        }
        ctx.write(mark(account_key(&account)));
        self.accounts.push_back(account);
    }

    pub(super) fn begin_all(&mut self, ctx: &mut Ctx) {
        if !self.all {
            ctx.write(mark(meta::REBUILD.to_vec()));
            self.all = true;
        }
    }

    /// Starts the next piece of work unless one is at work.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds) {
        while ctx.ready && self.step.is_none() {
            if core::mem::take(&mut self.all) {
                self.progress = Some((0, log.feeds.entries()));
                self.accounts = log.feeds.accounts().collect();
                self.new_kinds.clear();
                self.clear_table(ctx, 0);
                continue;
            }
            let Some(account) = self.accounts.front().copied() else {
                if let Some((_, total)) = self.progress.take() {
                    ctx.write(unmark(meta::REBUILD.to_vec()));
                    ctx.event(Event::Rebuilding { done: total, total });
                }
                if let Some(account) = self.new_kinds.pop() {
                    self.next_feed(ctx, log, account, log.feeds.devices(&account).to_vec(), true);
                    continue;
                }
                if self.kinds.as_deref() != Some(Kinds::INDEXED) {
                    ctx.write(Op::put(Table::Meta, meta::KINDS.to_vec(), &Kinds::INDEXED));
                    self.kinds = Some(Kinds::INDEXED.to_vec());
                }
                return;
            };
            kinds.clear_account(ctx, Viewer::of(ctx), &account);
            self.next_feed(ctx, log, account, log.feeds.devices(&account).to_vec(), false);
        }
    }

    fn clear_table(&mut self, ctx: &mut Ctx, table: usize) {
        match Kinds::INDEX_TABLES.get(table) {
            Some(_) => self.begin_step(ctx, Step::Clear { table }),
            None => self.step = None,
        }
    }

    /// Indexes the last of these feeds from its beginning; or the account is done.
    fn next_feed(
        &mut self,
        ctx: &mut Ctx,
        log: &Log,
        account: AccountId,
        mut left: Vec<DeviceId>,
        new_only: bool,
    ) {
        let next = left
            .pop()
            .and_then(|device| log.feeds.get(&device).map(|feed| (device, feed)));
        let Some((device, feed)) = next else {
            return self.end_account(ctx, account, new_only);
        };
        let step = Step::Feed {
            account,
            device,
            number: feed.number,
            from: 0,
            upto: feed.next_seq,
            posts: Posts {
                before: feed.posts,
                counted: 0,
            },
            left,
            new_only,
        };
        self.begin_step(ctx, step);
    }

    fn begin_step(&mut self, ctx: &mut Ctx, step: Step) {
        let read = match &step {
            Step::Clear { table } => Read::prefix(Kinds::INDEX_TABLES[*table], &[], STEP_ROWS),
            Step::Feed {
                number, from, upto, ..
            } => Read::Range {
                table: Table::Entries,
                start: keys::entry(*number, *from),
                end: keys::entry(*number, *upto),
                limit: STEP_ROWS,
                bytes_max: usize::MAX,
                reverse: false,
            },
        };
        self.load = Some(ctx.load(LoadOwner::Reindex, vec![read]));
        self.step = Some(step);
    }

    pub(super) fn on_load_failed(&mut self, load: LoadId) {
        if self.load == Some(load) {
            self.load = None;
        }
    }

    /// Begins with accounts whose pause is over, and tries a load again that failed.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds) {
        let now = ctx.now.instant;
        let mut due = Vec::new();
        self.lately.retain(|account, lately| {
            if lately.waits && now >= lately.until {
                due.push(*account);
            }
            lately.waits || now.since(lately.until) < lately.pause.max(PAUSE)
        });
        for account in due {
            if let Some(lately) = self.lately.get_mut(&account) {
                lately.waits = false;
            }
            self.begin(ctx, account);
        }
        self.go_on(ctx, log, kinds);
        if self.load.is_none()
            && let Some(step) = self.step.take()
        {
            self.begin_step(ctx, step);
        }
    }

    pub(super) fn on_rows(
        &mut self,
        ctx: &mut Ctx,
        log: &mut Log,
        kinds: &mut Kinds,
        load: LoadId,
        rows: Rows,
    ) {
        if self.load != Some(load) {
            return;
        }
        self.load = None;
        let rows = rows.into_iter().next().unwrap_or_default();
        match self.step.take() {
            Some(Step::Clear { table }) => {
                let more = rows.len() == STEP_ROWS;
                let of = Kinds::INDEX_TABLES[table];
                ctx.write_all(rows.into_iter().map(|(key, _)| Op::Delete { table: of, key }));
                self.clear_table(ctx, if more { table } else { table + 1 });
            }
            Some(step @ Step::Feed { .. }) => self.on_entries(ctx, log, kinds, step, &rows),
            None => {}
        }
        self.go_on(ctx, log, kinds);
    }

    fn on_entries(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &mut Kinds, step: Step, rows: &[Row]) {
        let Step::Feed {
            account,
            device,
            number,
            upto,
            mut posts,
            left,
            new_only,
            ..
        } = step
        else {
            return;
        };
        let Some(feed) = log.feeds.get_mut(&device).filter(|feed| feed.number == number) else {
            // The feed is no longer held.
            return self.end_account(ctx, account, new_only);
        };
        let more = rows.len() == STEP_ROWS;
        let (viewer, limit) = (Viewer::of(ctx), feed.limit());
        let mut from = upto;
        for (key, value) in rows {
            let Some(seq) = keys::seq_of(key) else { continue };
            from = seq + 1;
            let Ok(entry) = codec::decode::<Entry>(value) else {
                continue;
            };
            let header = &entry.signed.header;
            if new_only && !self.is_new(header.kind) {
                continue;
            }
            if seq >= limit {
                kinds.unindex(ctx, viewer, header, header.id(), &entry.body, number);
                continue;
            }
            let indexed = kinds.index(ctx, viewer, header, header.id(), &entry.body, number);
            posts.counted += u64::from(indexed.post.is_some());
            // Of the last one that is not void, or the last one there is, unless a later one came meanwhile.
            if !new_only && seq + 1 == limit.min(upto) && feed.next_seq == upto {
                feed.signed_at = header.timestamp;
            }
        }
        if !more && !new_only {
            // What came meanwhile was counted as it came.
            feed.posts = posts.counted + feed.posts.saturating_sub(posts.before);
        }
        log.touch(device);
        if let Some((done, total)) = &mut self.progress {
            *done += rows.len() as u64;
            let (done, total) = (*done, *total);
            ctx.event(Event::Rebuilding { done, total });
        }
        if !more {
            return self.next_feed(ctx, log, account, left, new_only);
        }
        let step = Step::Feed {
            account,
            device,
            number,
            from,
            upto,
            posts,
            left,
            new_only,
        };
        self.begin_step(ctx, step);
    }

    fn end_account(&mut self, ctx: &mut Ctx, account: AccountId, new_only: bool) {
        if new_only {
            return;
        }
        self.accounts.pop_front();
        let waits = self.lately.get(&account).is_some_and(|lately| lately.waits);
        if !waits && !self.accounts.contains(&account) {
            ctx.write(unmark(account_key(&account)));
        }
        ctx.changed.profiles.insert(account);
        ctx.changed.me |= ctx.is_me(&account);
        ctx.fact(Fact::Reindexed(account));
    }
}

fn account_key(account: &AccountId) -> Vec<u8> {
    [meta::REINDEX, account.0.as_slice()].concat()
}

fn mark(key: Vec<u8>) -> Op {
    Op::Put {
        table: Table::Meta,
        key,
        value: Vec::new(),
    }
}

fn unmark(key: Vec<u8>) -> Op {
    Op::Delete {
        table: Table::Meta,
        key,
    }
}

#[cfg(test)]
#[path = "reindex_tests.rs"]
mod tests;
