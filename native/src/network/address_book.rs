//! The addresses of relays.
//!
//! An address is proven once a relay has proved its key on a link to it. Addresses from the directory are tried,
//! unless the operator named another one for that relay or a different relay is proven to be at that address. The
//! table is bounded. When it is full, new relays are not added; unproven addresses go when their relay leaves the
//! directory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::PeerId;
use tokio::sync::mpsc;

use super::RelayUrl;

/// Addresses kept.
const ADDRESSES_MAX: usize = 4_096;
/// Dials that may wait for their turn; the engine has only a few in progress at once.
pub(super) const DIALS_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Address {
    url: RelayUrl,
    /// The relay has proved its key there.
    proven: bool,
}

/// The book, shared by the driver and the dialler.
#[derive(Debug)]
pub struct AddressBook {
    known: Mutex<BTreeMap<PeerId, Address>>,
    /// Addresses the operator named.
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

    /// Records that `peer`, and no other relay, is at `url`. Returns whether the operator named that address.
    pub(crate) fn record_proven(&self, peer: PeerId, url: RelayUrl) -> bool {
        let named = self.named.contains(&url);
        let mut known = self.known();
        known.retain(|_, other| other.url != url);
        if known.len() < ADDRESSES_MAX {
            known.insert(peer, Address { url, proven: true });
        }
        named
    }

    /// Takes over the addresses of the directory, all of it.
    pub(crate) fn set_directory(&self, relays: &BTreeMap<PeerId, RelayUrl>) {
        let mut known = self.known();
        known.retain(|peer, address| address.proven || relays.contains_key(peer));
        let proven = known.iter().filter(|(_, address)| address.proven);
        let proven: BTreeMap<RelayUrl, PeerId> = proven
            .map(|(peer, address)| (address.url.clone(), *peer))
            .collect();
        for (peer, url) in relays {
            let before = known.get(peer).map(|address| &address.url);
            let stays = before.is_some_and(|before| before == url || self.named.contains(before));
            let taken = proven.get(url).is_some_and(|there| there != peer);
            if stays || taken || (before.is_none() && known.len() >= ADDRESSES_MAX) {
                continue;
            }
            let address = Address {
                url: url.clone(),
                proven: false,
            };
            known.insert(*peer, address);
        }
    }

    /// Whether a relay is proven to be at `url`.
    pub(super) fn is_proven(&self, url: &RelayUrl) -> bool {
        self.known()
            .values()
            .any(|known| known.proven && known.url == *url)
    }

    /// Has `peer` dialled at its known address, or at the `url` of its own description unless another relay is proven
    /// to be there. `false`: there is no address, or too many dials wait.
    pub(crate) fn dial(&self, peer: PeerId, url: &str) -> bool {
        let known = self.known().get(&peer).map(|address| address.url.clone());
        let described = || url.parse().ok().filter(|url| !self.is_proven(url));
        known
            .or_else(described)
            .is_some_and(|url| self.dials.try_send((peer, url)).is_ok())
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
    fn unproven_addresses_replace_neither_proven_nor_named_ones() {
        let (book, mut dials) = AddressBook::open(vec![url(1)]);
        let [named, met, moves, stranger] = [1, 2, 3, 4].map(|n| PeerId([n; 32]));
        assert!(book.record_proven(named, url(1)), "the operator named it");
        assert!(!book.record_proven(met, url(2)));
        assert!(!book.record_proven(moves, url(3)));
        let at = |peer: &PeerId| book.known().get(peer).map(|address| address.url.clone());
        book.set_directory(&BTreeMap::from([
            (named, url(11)),
            (moves, url(13)),
            (stranger, url(2)),
        ]));
        assert_eq!(at(&named), Some(url(1)), "the operator knows better");
        assert_eq!(at(&moves), Some(url(13)), "a relay may change its own address");
        assert_eq!(at(&stranger), None, "another relay is proven to be there");
        book.set_directory(&BTreeMap::from([(stranger, url(4))]));
        assert_eq!(at(&stranger), Some(url(4)));
        assert_eq!(at(&met), Some(url(2)), "proven, directory or not");
        assert_eq!(at(&moves), None, "it was never met there");
        assert!(!book.is_proven(&url(4)) && book.is_proven(&url(2)));

        // A dial goes to the known address first, else to the one the relay gives, but never to another relay's.
        assert!(book.dial(met, "http://127.0.0.1:22"));
        assert_eq!(dials.try_next(), Some((met, url(2))));
        assert!(book.dial(moves, "http://127.0.0.1:23"));
        assert_eq!(dials.try_next(), Some((moves, url(23))));
        assert!(!book.dial(moves, "http://127.0.0.1:2"), "another relay is there");
        assert!(!book.dial(moves, ""), "no address");
        assert_eq!(dials.try_next(), None);
    }
}
