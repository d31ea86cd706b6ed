//! Building views again from stored entries: all of them on request, or one account's after entries of it became void (a
//! fork, a revocation).
//!
//! One step at a time: load some entries, fold them, load the next. What is being done is noted in the store, so a crash in
//! the middle is made good at the next start; folding twice changes nothing.

use std::collections::VecDeque;

use protocol::{AccountId, DeviceId, Entry, codec};

use crate::api::Event;
use crate::log::keys;
use crate::log::records::meta;
use crate::store::{Op, Read, Rows, Table};
use crate::{Engine, Waiting};

/// Rows per step.
const STEP_ROWS: usize = 512;
/// Tables that hold nothing but views of entries.
const INDEX_TABLES: [Table; 7] = [
    Table::Ids,
    Table::ByTime,
    Table::ByAccount,
    Table::ByParent,
    Table::Activity,
    Table::Slugs,
    Table::BySlug,
];

/// What is to be folded again.
#[derive(Debug, Default)]
pub(crate) struct Refolding {
    accounts: VecDeque<AccountId>,
    /// Everything is to be thrown away first.
    all: bool,
    running: bool,
    /// For the progress of a rebuild.
    progress: Option<(u64, u64)>,
}

impl Refolding {
    pub(crate) fn resume(&mut self, account: AccountId) {
        self.accounts.push_back(account);
    }

    pub(crate) fn resume_all(&mut self) {
        self.all = true;
    }

    /// Whether something is being folded again, or is to be: until then an account may seem to have said nothing.
    pub(crate) fn is_busy(&self) -> bool {
        self.running || self.all || !self.accounts.is_empty()
    }
}

/// What a load was for.
#[derive(Debug)]
pub(crate) enum RefoldStep {
    /// Rows of this index table, to be removed.
    Clear(usize),
    /// Entries of a feed below `upto`, to be folded; what comes later is folded as it comes.
    Fold {
        account: AccountId,
        device: DeviceId,
        upto: u64,
        posts: Posts,
        left: Vec<DeviceId>,
    },
}

/// The posts of a feed that is being folded: it has as many as before until all of them are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posts {
    before: u64,
    counted: u64,
}

impl Engine {
    /// An account's entries are no longer valid as they were: fold them again.
    pub(crate) fn begin_refold(&mut self, account: AccountId) {
        // What is being folded of it now was valid a moment ago: that is not enough.
        let begun = usize::from(self.refold.running);
        if !self.refold.accounts.iter().skip(begun).any(|it| *it == account) {
            self.write(Op::Put {
                table: Table::Meta,
                key: refold_key(&account),
                value: Vec::new(),
            });
            self.refold.accounts.push_back(account);
        }
        self.continue_refolding();
    }

    /// Throw all views away and fold everything again.
    pub(crate) fn begin_rebuild(&mut self) {
        if self.refold.all {
            return;
        }
        self.write(Op::Put {
            table: Table::Meta,
            key: meta::REBUILD.to_vec(),
            value: Vec::new(),
        });
        self.refold.all = true;
        self.continue_refolding();
    }

    /// Starts the next piece of work unless one is under way.
    pub(crate) fn continue_refolding(&mut self) {
        if self.refold.running || !matches!(self.stage, crate::boot::Stage::Ready) {
            return;
        }
        if self.refold.all {
            self.refold.all = false;
            self.refold.running = true;
            self.refold.progress = Some((0, self.feeds.entries()));
            self.refold.accounts = self.feeds.accounts().collect();
            return self.clear_table(0);
        }
        let Some(account) = self.refold.accounts.front().copied() else {
            if let Some((_, total)) = self.refold.progress.take() {
                self.write(Op::Delete {
                    table: Table::Meta,
                    key: meta::REBUILD.to_vec(),
                });
                self.event(Event::Rebuilding { done: total, total });
            }
            return;
        };
        self.refold.running = true;
        let held = self.feeds.account_mut(account);
        held.profile = None;
        held.named = None;
        for table in [Table::Profiles, Table::Names] {
            self.write(Op::Delete {
                table,
                key: account.0.to_vec(),
            });
        }
        if self.me() == Some(account) {
            for (followed, _) in core::mem::take(&mut self.follows) {
                self.write(Op::Delete {
                    table: Table::Follows,
                    key: followed.0.to_vec(),
                });
            }
        }
        let mut left = self.feeds.devices(&account).to_vec();
        match left.pop() {
            Some(device) => self.fold_feed(account, device, left),
            None => self.end_refold(account),
        }
    }

    fn clear_table(&mut self, index: usize) {
        match INDEX_TABLES.get(index) {
            Some(table) => {
                let read = Read::prefix(*table, &[], STEP_ROWS);
                self.load(vec![read], Waiting::Refold(RefoldStep::Clear(index)));
            }
            None => {
                self.refold.running = false;
                self.continue_refolding();
            }
        }
    }

    /// Folds one of the account's feeds from its beginning.
    fn fold_feed(&mut self, account: AccountId, device: DeviceId, left: Vec<DeviceId>) {
        let feed = self.feeds.get(&device);
        let (upto, before) = feed.map_or((0, 0), |feed| (feed.next_seq, feed.posts));
        let posts = Posts { before, counted: 0 };
        let step = RefoldStep::Fold {
            account,
            device,
            upto,
            posts,
            left,
        };
        self.fold_from(device, 0, upto, step);
    }

    fn fold_from(&mut self, device: DeviceId, seq: u64, upto: u64, step: RefoldStep) {
        let number = self.feeds.get(&device).map_or(0, |feed| feed.number);
        let read = Read::Range {
            table: Table::Entries,
            start: keys::entry(number, seq),
            end: keys::entry(number, upto),
            limit: STEP_ROWS,
            bytes_max: usize::MAX,
            reverse: false,
        };
        self.load(vec![read], Waiting::Refold(step));
    }

    pub(crate) fn on_refold_rows(&mut self, step: RefoldStep, rows: Rows) {
        let rows = rows.into_iter().next().unwrap_or_default();
        match step {
            RefoldStep::Clear(index) => {
                let more = rows.len() == STEP_ROWS;
                let table = INDEX_TABLES[index];
                self.write_all(rows.into_iter().map(|(key, _)| Op::Delete { table, key }));
                self.clear_table(if more { index } else { index + 1 });
            }
            RefoldStep::Fold {
                account,
                device,
                upto,
                mut posts,
                mut left,
            } => {
                let more = rows.len() == STEP_ROWS;
                let Some((number, limit)) = self.feeds.get(&device).map(|feed| (feed.number, feed.limit()))
                else {
                    return self.end_refold(account);
                };
                let (mut seq, mut signed_at) = (0, None);
                for (key, value) in &rows {
                    seq = keys::seq_of(key).unwrap_or(seq);
                    let Ok(entry) = codec::decode::<Entry>(value) else {
                        continue;
                    };
                    let header = &entry.signed.header;
                    if seq < limit {
                        let post = self.fold_entry(header, header.id(), &entry.body, number);
                        posts.counted += u64::from(post.is_some());
                        // The last one that is not void, or the last one there is.
                        signed_at = (seq + 1 == limit.min(upto)).then_some(header.timestamp);
                    } else {
                        self.unfold_entry(header, header.id(), &entry.body);
                    }
                }
                if let Some(feed) = self.feeds.get_mut(&device) {
                    if !more {
                        // What came meanwhile was counted as it came.
                        feed.posts = posts.counted + feed.posts.saturating_sub(posts.before);
                    }
                    // And was signed later.
                    if let Some(signed_at) = signed_at.filter(|_| feed.next_seq == upto) {
                        feed.signed_at = signed_at;
                    }
                }
                self.touch_feed(device);
                if let Some((done, total)) = &mut self.refold.progress {
                    *done += rows.len() as u64;
                    let event = Event::Rebuilding {
                        done: *done,
                        total: *total,
                    };
                    self.event(event);
                }
                if more {
                    let step = RefoldStep::Fold {
                        account,
                        device,
                        upto,
                        posts,
                        left,
                    };
                    return self.fold_from(device, seq + 1, upto, step);
                }
                match left.pop() {
                    Some(device) => self.fold_feed(account, device, left),
                    None => self.end_refold(account),
                }
            }
        }
    }

    fn end_refold(&mut self, account: AccountId) {
        self.refold.accounts.pop_front();
        self.refold.running = false;
        if !self.refold.accounts.contains(&account) {
            self.write(Op::Delete {
                table: Table::Meta,
                key: refold_key(&account),
            });
        }
        self.changed_profiles.insert(account);
        if self.me() == Some(account) {
            self.me_changed = true;
            for link in self.up_links() {
                self.tell_interests(link);
            }
        }
        self.continue_refolding();
    }
}

fn refold_key(account: &AccountId) -> Vec<u8> {
    [meta::REFOLD, account.0.as_slice()].concat()
}
