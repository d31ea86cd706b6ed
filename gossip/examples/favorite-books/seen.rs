//! The ids of messages that were absorbed already.
//!
//! Policy when full: first in, first out. A forgotten id does no harm when it returns, since its version is then not
//! newer than what is known of its origin, and what is not newer is neither kept nor passed on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A bounded set of ids.
#[derive(Debug)]
pub(crate) struct Seen {
    max: usize,
    ids: BTreeSet<Arc<str>>,
    /// The same ids, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Seen {
    /// An empty set that holds up to `max` ids.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            ids: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether this id is remembered.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Remembers an id, and forgets the oldest one if there are too many.
    pub(crate) fn insert(&mut self, id: &str) {
        let id: Arc<str> = id.into();
        if self.ids.insert(Arc::clone(&id)) {
            self.order.push_back(id);
        }
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}
