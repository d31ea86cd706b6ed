//! The state of each neighbour: its place in every tree, its credit, and the announcements that it has not got yet.

use core::time::Duration;

use ordered::Map;

use super::tree::{TREES, Tree};
use super::{ANNOUNCEMENTS_MAX, Announcement, Item};

#[derive(Debug)]
pub(super) struct Neighbour<K> {
    /// Trees on which items are announced to it, not pushed.
    pub(super) lazy: u64,
    /// Trees it joined here to mend a break; whether that was needed shows with the next copies.
    mending: u64,
    /// Copies in a row it was not the first with, by tree.
    duplicates: [u8; TREES],
    pub(super) pruned_at: Option<Duration>,
    /// It joined us in a tree just now: it is not pruned before this.
    pub(super) kept_until: Duration,
    /// Bytes that may be sent before it grants more; may go below zero by one message.
    pub(super) credit: i64,
    pub(super) announcements: Map<K, Announced>,
    pub(super) overflowed: bool,
    pub(super) rtt: Option<Duration>,
    /// Announcements in a row it did not make good when asked.
    pub(super) promises_broken: u8,
    /// Until then its announcements are not listened to.
    pub(super) distrusted_until: Duration,
    /// What it announced and we have not got.
    pub(super) missing: usize,
}

/// Queued announcements to a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) upto: u64,
    pub(super) tree: Tree,
    pub(super) hops: u8,
    pub(super) since: Duration,
}

impl<K: Copy + Ord> Neighbour<K> {
    pub(super) fn new(lazy: u64, credit: i64) -> Self {
        Self {
            lazy,
            mending: 0,
            duplicates: [0; TREES],
            pruned_at: None,
            kept_until: Duration::ZERO,
            credit,
            announcements: Map::new(),
            overflowed: false,
            rtt: None,
            promises_broken: 0,
            distrusted_until: Duration::ZERO,
            missing: 0,
        }
    }

    pub(super) const fn is_eager(&self, tree: Tree) -> bool {
        self.lazy & tree.bit() == 0
    }

    pub(super) const fn set_eager(&mut self, tree: Tree) {
        self.lazy &= !tree.bit();
        self.mending &= !tree.bit();
        self.duplicates[tree.index()] = 0;
    }

    /// Makes it eager to mend a break.
    pub(super) const fn set_mending(&mut self, tree: Tree) {
        if !self.is_eager(tree) {
            self.set_eager(tree);
            self.mending |= tree.bit();
        }
    }

    pub(super) const fn is_mending(&self, tree: Tree) -> bool {
        self.mending & tree.bit() != 0
    }

    pub(super) const fn set_lazy(&mut self, tree: Tree) {
        self.lazy |= tree.bit();
        self.mending &= !tree.bit();
        self.duplicates[tree.index()] = 0;
    }

    /// Copies the trunk's bit to `tree`.
    pub(super) const fn copy_trunk(&mut self, tree: Tree) {
        if self.is_eager(Tree::TRUNK) {
            self.set_eager(tree);
        } else {
            self.set_lazy(tree);
        }
    }

    /// One more copy that was not the first. How many in a row.
    pub(super) const fn count_duplicate(&mut self, tree: Tree) -> u8 {
        let count = self.duplicates[tree.index()].saturating_add(1);
        self.duplicates[tree.index()] = count;
        count
    }

    /// Adds an announcement. Policy when the table is full: the neighbour gets a whole digest instead.
    pub(super) fn announce(&mut self, item: Item<K>, tree: Tree, hops: u8, now: Duration) {
        if self.announcements.len() >= ANNOUNCEMENTS_MAX && !self.announcements.contains_key(&item.key) {
            self.announcements.clear();
            self.overflowed = true;
        }
        if self.overflowed {
            return;
        }
        let pending = self.announcements.or_insert_with(item.key, || Announced {
            upto: 0,
            tree,
            hops,
            since: now,
        });
        if item.upto > pending.upto {
            *pending = Announced {
                upto: item.upto,
                tree,
                hops,
                since: now,
            };
        }
    }

    /// It says that it holds this: no need to tell it.
    pub(super) fn holds(&mut self, item: Item<K>) {
        if self
            .announcements
            .get(&item.key)
            .is_some_and(|pending| pending.upto <= item.upto)
        {
            self.announcements.remove(&item.key);
        }
    }

    /// Takes up to `limit` pending announcements.
    pub(super) fn take(&mut self, limit: usize, now: Duration) -> Vec<Announcement<K>> {
        let mut taken = Vec::with_capacity(self.announcements.len().min(limit));
        while taken.len() < limit {
            let Some((key, pending)) = self.announcements.pop_first() else {
                break;
            };
            taken.push(Announcement {
                item: Item {
                    key,
                    upto: pending.upto,
                },
                tree: pending.tree,
                hops: pending.hops,
                waited_ms: u16::try_from(now.saturating_sub(pending.since).as_millis()).unwrap_or(u16::MAX),
            });
        }
        taken
    }
}
