//! What was announced and did not come: the graft timers.
//!
//! Invariant: at most [`MISSING_MAX`] items, of any one neighbour at most [`MISSING_PER_NEIGHBOUR`]. Policy when full:
//! the announcement is ignored, and the owner's reconciliation finds the item later.

use core::time::Duration;

use ordered::{Map, Set};

use super::tree::Tree;

/// Maximum number of items that were announced and are awaited at once.
pub const MISSING_MAX: usize = 8_192;
/// Maximum number of awaited items that one neighbour announced, so that no neighbour can fill the table.
pub const MISSING_PER_NEIGHBOUR: usize = 1_024;
/// Neighbours remembered that announced one item.
pub(super) const ANNOUNCERS_MAX: usize = 6;

#[derive(Debug)]
pub(super) struct Missing<P> {
    pub(super) upto: u64,
    pub(super) tree: Tree,
    pub(super) announced: Duration,
    /// Who said it holds the item, and when it could have sent it here; those not asked yet.
    pub(super) announcers: Vec<(P, Duration)>,
    /// Who was asked last.
    pub(super) asked: Option<P>,
    due: Duration,
}

#[derive(Debug)]
pub(super) struct MissingTable<P, K> {
    items: Map<K, Missing<P>>,
    due: Set<(Duration, K)>,
}

impl<P: Copy + Ord, K: Copy + Ord> MissingTable<P, K> {
    pub(super) const fn new() -> Self {
        Self {
            items: Map::new(),
            due: Set::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.items.contains_key(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut Missing<P>> {
        self.items.get_mut(key)
    }

    pub(super) fn insert(
        &mut self,
        key: K,
        upto: u64,
        tree: Tree,
        from: (P, Duration),
        now: Duration,
        due: Duration,
    ) {
        let missing = Missing {
            upto,
            tree,
            announced: now,
            announcers: vec![from],
            asked: None,
            due,
        };
        self.items.insert(key, missing);
        self.due.insert((due, key));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<Missing<P>> {
        let missing = self.items.remove(key)?;
        self.due.remove(&(missing.due, *key));
        Some(missing)
    }

    pub(super) fn put_off(&mut self, key: K, due: Duration) {
        if let Some(missing) = self.items.get_mut(&key) {
            self.due.remove(&(missing.due, key));
            missing.due = due;
            self.due.insert((due, key));
        }
    }

    /// An item whose time has come.
    pub(super) fn due(&self, now: Duration) -> Option<K> {
        self.due
            .first()
            .filter(|(due, _)| *due <= now)
            .map(|(_, key)| *key)
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A neighbour is gone: what it was asked for is due at once, and it is not asked again.
    pub(super) fn forget(&mut self, peer: &P, now: Duration) {
        let mut hurry = Vec::new();
        for (key, missing) in self.items.iter_mut() {
            missing.announcers.retain(|(announcer, _)| announcer != peer);
            if missing.asked == Some(*peer) {
                missing.asked = None;
                hurry.push(*key);
            }
        }
        for key in hurry {
            self.put_off(key, now);
        }
    }
}
