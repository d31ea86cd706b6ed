//! The addresses of relays.
//!
//! An address is proven once a relay has proved its key on a link to it. Addresses from the directory are tried,
//! unless the operator named another one for that relay or a different relay is proven to be at that address. The
//! table is bounded. When it is full, new relays are not added; unproven addresses go when their relay leaves the
//! directory.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::PeerId;
use protocol::messages::membership::{Invitation, InvitationSecret, NoInvitation};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{RelayUrl, UrlError};

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

/// A relay that the operator told this one to join: `https://relay.example`, or with an invitation
/// `https://relay.example#INVITATION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JoinTarget {
    pub url: RelayUrl,
    pub invitation: Option<Invitation>,
}

/// Not the address of a relay to join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinTargetError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("what follows the # in the address: {0}")]
    Invitation(#[from] NoInvitation),
}

impl From<RelayUrl> for JoinTarget {
    fn from(url: RelayUrl) -> Self {
        Self {
            url,
            invitation: None,
        }
    }
}

impl FromStr for JoinTarget {
    type Err = JoinTargetError;

    fn from_str(text: &str) -> Result<Self, JoinTargetError> {
        let (url, invitation) = match text.split_once('#') {
            Some((url, invitation)) => (url, Some(invitation.parse()?)),
            None => (text, None),
        };
        let url = url.parse()?;
        Ok(Self { url, invitation })
    }
}

/// Without the invitation, which is a secret.
impl fmt::Display for JoinTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl TryFrom<String> for JoinTarget {
    type Error = JoinTargetError;

    fn try_from(text: String) -> Result<Self, JoinTargetError> {
        text.parse()
    }
}

impl From<JoinTarget> for String {
    fn from(target: JoinTarget) -> Self {
        let JoinTarget { url, invitation } = target;
        invitation.map_or_else(|| url.to_string(), |invitation| format!("{url}#{invitation}"))
    }
}

/// What an address means for which a peer has proved its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proven {
    /// The operator did not name it, or named it without an invitation beside another address with one.
    NotConfigured,
    /// The operator named it.
    Configured,
    /// The operator named it, and was invited by the relay that is there.
    Invited(InvitationSecret),
    /// The operator named it with an invitation by another relay than the one that is there.
    Another,
}

/// The book, shared by the driver and the dialler.
#[derive(Debug)]
pub struct AddressBook {
    known: Mutex<BTreeMap<PeerId, Address>>,
    /// Relays the operator named.
    named: Vec<JoinTarget>,
    dials: mpsc::Sender<(PeerId, RelayUrl)>,
}

impl AddressBook {
    pub(super) fn new(named: Vec<JoinTarget>, dials: mpsc::Sender<(PeerId, RelayUrl)>) -> Self {
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
    pub(super) fn named(&self) -> impl Iterator<Item = &RelayUrl> {
        self.named.iter().map(|target| &target.url)
    }

    fn is_named(&self, url: &RelayUrl) -> bool {
        self.named().any(|named| named == url)
    }

    /// Records that `peer`, and no other relay, is at `url`.
    pub(crate) fn record_proven(&self, peer: PeerId, url: RelayUrl) -> Proven {
        let mut named = self.named.iter().filter(|target| target.url == url).peekable();
        // An operator who was invited joins by that invitation; the network says which other relays belong to it.
        let is_invited = self.named.iter().any(|target| target.invitation.is_some());
        let proven = match (named.peek().is_some(), named.find_map(|target| target.invitation)) {
            (false, _) => Proven::NotConfigured,
            (true, None) if is_invited => Proven::NotConfigured,
            (true, None) => Proven::Configured,
            (true, Some(invitation)) if invitation.by == peer => Proven::Invited(invitation.secret),
            (true, Some(_)) => Proven::Another,
        };
        let mut known = self.known();
        known.retain(|_, other| other.url != url);
        if known.len() < ADDRESSES_MAX {
            known.insert(peer, Address { url, proven: true });
        }
        proven
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
            let stays = before.is_some_and(|before| before == url || self.is_named(before));
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

    use protocol::messages::membership::Invitation;

    use super::{AddressBook, JoinTarget, Proven, RelayUrl};

    fn url(port: u16) -> RelayUrl {
        format!("http://127.0.0.1:{port}").parse().unwrap()
    }

    #[test]
    fn an_invitation_is_shown_to_the_relay_that_issued_it_alone() {
        let [by, other] = [1, 2].map(|n| PeerId([n; 32]));
        let secret = [7; 16];
        let text = format!("{}#{}", url(1), Invitation { by, secret });
        let target: JoinTarget = text.parse().unwrap();
        assert_eq!(
            target.to_string(),
            url(1).to_string(),
            "the secret is not printed"
        );
        assert_eq!(String::from(target.clone()), text);
        assert!("http://a#b".parse::<JoinTarget>().is_err());
        let (book, _dials) = AddressBook::open(vec![target, url(2).into()]);
        assert_eq!(book.record_proven(other, url(1)), Proven::Another);
        assert_eq!(
            book.record_proven(other, url(2)),
            Proven::NotConfigured,
            "not by its address alone"
        );
        assert_eq!(book.record_proven(by, url(1)), Proven::Invited(secret));
    }

    #[test]
    fn unproven_addresses_replace_neither_proven_nor_named_ones() {
        let (book, mut dials) = AddressBook::open(vec![url(1).into()]);
        let [named, met, moves, stranger] = [1, 2, 3, 4].map(|n| PeerId([n; 32]));
        assert_eq!(book.record_proven(named, url(1)), Proven::Configured);
        assert_eq!(book.record_proven(met, url(2)), Proven::NotConfigured);
        assert_eq!(book.record_proven(moves, url(3)), Proven::NotConfigured);
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
