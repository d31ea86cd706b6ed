//! Which relay is where.
//!
//! An address stands in the book once whoever is there has proven a key on a link to it. Bounded by what the operator
//! named.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::PeerId;
use tokio::sync::mpsc;

use super::RelayUrl;

/// Addresses kept.
const MAX: usize = 4_096;
/// Dials waiting for their turn; the engine has a few under way at once.
pub(super) const DIALS_MAX: usize = 64;

/// The book, shared by the driver and whoever dials.
#[derive(Debug)]
pub struct AddressBook {
    known: Mutex<BTreeMap<PeerId, RelayUrl>>,
    dials: mpsc::Sender<(PeerId, RelayUrl)>,
}

impl AddressBook {
    pub(super) fn new(dials: mpsc::Sender<(PeerId, RelayUrl)>) -> Self {
        Self {
            known: Mutex::default(),
            dials,
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PeerId, RelayUrl>> {
        // Nothing here panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `peer` is at `url`, and nobody else is.
    pub(crate) fn learn(&self, peer: PeerId, url: RelayUrl) {
        let mut known = self.known();
        known.retain(|_, other| *other != url);
        if known.len() < MAX {
            known.insert(peer, url);
        }
    }

    /// Whether somebody was met at `url`.
    pub(super) fn has(&self, url: &RelayUrl) -> bool {
        self.known().values().any(|known| known == url)
    }

    /// Has `peer` dialled. `false`: nobody knows where it is.
    pub(crate) fn dial(&self, peer: PeerId) -> bool {
        let url = self.known().get(&peer).cloned();
        url.is_some_and(|url| self.dials.try_send((peer, url)).is_ok())
    }
}
