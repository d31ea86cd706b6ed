//! Which relay is where.
//!
//! An address is proven once whoever is there has proven a key on a link to it. What relays say of themselves in the
//! directory is tried, unless the operator named the address, or somebody else is proven to be there. Bounded; policy when
//! full: newcomers are not written down; who is in the directory no more and was never met is forgotten.

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
    /// By the operator.
    named: Vec<RelayUrl>,
    dials: mpsc::Sender<(PeerId, RelayUrl)>,
}

impl AddressBook {
    pub(super) fn new(named: Vec<RelayUrl>, dials: mpsc::Sender<(PeerId, RelayUrl)>) -> Self {
        Self {
            known: Mutex::default(),
            named,
            dials,
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PeerId, Address>> {
        // Nothing here panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Addresses the operator named.
    pub(super) fn named(&self) -> &[RelayUrl] {
        &self.named
    }

    /// `peer` is at `url`, and nobody else is. Whether the operator named that address.
    pub(crate) fn learn(&self, peer: PeerId, url: RelayUrl) -> bool {
        let named = self.named.contains(&url);
        let mut known = self.known();
        known.retain(|_, other| other.url != url);
        if known.len() < MAX {
            known.insert(peer, Address { url, proven: true });
        }
        named
    }

    /// These relays say where they are: all of the directory.
    pub(crate) fn hear(&self, relays: &BTreeMap<PeerId, RelayUrl>) {
        let mut known = self.known();
        known.retain(|peer, address| address.proven || relays.contains_key(peer));
        let proven = known.iter().filter(|(_, address)| address.proven);
        let proven: BTreeMap<RelayUrl, PeerId> = proven
            .map(|(peer, address)| (address.url.clone(), *peer))
            .collect();
        for (peer, url) in relays {
            let before = known.get(peer).map(|address| &address.url);
            let stays = before.is_some_and(|before| before == url || self.named.contains(before));
            let anothers = proven.get(url).is_some_and(|there| there != peer);
            if stays || anothers || (before.is_none() && known.len() >= MAX) {
                continue;
            }
            let address = Address {
                url: url.clone(),
                proven: false,
            };
            known.insert(*peer, address);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protocol::PeerId;

    use super::{AddressBook, RelayUrl};

    fn url(port: u16) -> RelayUrl {
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    #[test]
    fn claims_are_tried_and_take_nothing_away_from_the_proven_or_the_named() {
        let (book, _dials) = AddressBook::open(vec![url(1)]);
        let [named, met, moves, stranger] = [1, 2, 3, 4].map(|n| PeerId([n; 32]));
        assert!(book.learn(named, url(1)), "the operator named it");
        assert!(!book.learn(met, url(2)));
        assert!(!book.learn(moves, url(3)));
        let at = |peer: &PeerId| book.known().get(peer).map(|address| address.url.clone());
        book.hear(&BTreeMap::from([
            (named, url(11)),
            (moves, url(13)),
            (stranger, url(2)),
        ]));
        assert_eq!(at(&named), Some(url(1)), "the operator knows better");
        assert_eq!(at(&moves), Some(url(13)), "it knows best where it is itself");
        assert_eq!(at(&stranger), None, "somebody else is proven to be there");
        book.hear(&BTreeMap::from([(stranger, url(4))]));
        assert_eq!(at(&stranger), Some(url(4)));
        assert_eq!(at(&met), Some(url(2)), "proven, directory or not");
        assert_eq!(at(&moves), None, "it was never met there");
        assert!(!book.has(&url(4)) && book.has(&url(2)));
    }
}
