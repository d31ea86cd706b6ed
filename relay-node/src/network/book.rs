//! Which relay is where.
//!
//! An address is proven once whoever is there has proven a key on a link to it; what relays say of themselves in the
//! directory is tried and never stands in the way of that. Bounded; policy when full: newcomers are not written down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::PeerId;
use tokio::sync::mpsc;

use super::RelayUrl;

/// Addresses kept.
const MAX: usize = 4_096;
/// Dials waiting for their turn; the engine has a few under way at once.
pub(super) const DIALS_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Address {
    url: RelayUrl,
    /// Whoever is there has proven to be this relay.
    proven: bool,
}

/// The book, shared by the driver and whoever dials.
#[derive(Debug)]
pub struct AddressBook {
    known: Mutex<BTreeMap<PeerId, Address>>,
    dials: mpsc::Sender<(PeerId, RelayUrl)>,
}

impl AddressBook {
    pub(super) fn new(dials: mpsc::Sender<(PeerId, RelayUrl)>) -> Self {
        Self {
            known: Mutex::default(),
            dials,
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PeerId, Address>> {
        // Nothing here panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `peer` is at `url`, and nobody else is.
    pub(crate) fn learn(&self, peer: PeerId, url: RelayUrl) {
        let mut known = self.known();
        known.retain(|_, other| other.url != url);
        if known.len() < MAX {
            known.insert(peer, Address { url, proven: true });
        }
    }

    /// `peer` says that it is at `url`. Nobody is taken for somebody else for it: dialling will show.
    pub(crate) fn hear(&self, peer: PeerId, url: RelayUrl) {
        let mut known = self.known();
        let proven = |address: &Address| address.proven;
        if known.get(&peer).is_some_and(proven)
            || known.values().any(|other| other.proven && other.url == url)
        {
            return;
        }
        if known.len() < MAX || known.contains_key(&peer) {
            known.insert(peer, Address { url, proven: false });
        }
    }

    /// Whether somebody was met at `url`.
    pub(super) fn has(&self, url: &RelayUrl) -> bool {
        self.known()
            .values()
            .any(|known| known.proven && known.url == *url)
    }

    /// Has `peer` dialled. `false`: nobody knows where it is.
    pub(crate) fn dial(&self, peer: PeerId) -> bool {
        let known = self.known().get(&peer).cloned();
        known.is_some_and(|known| self.dials.try_send((peer, known.url)).is_ok())
    }
}
