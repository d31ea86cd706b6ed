//! The relays this peer knows: those its address book names, and those it chose from the directory.
//!
//! Invariant: a peer counts as a relay of ours by this table alone, never by what it says of itself on a link.

use ordered::Map;
use protocol::{PeerId, Timestamp, codec};
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;
use crate::io::Candidate;
use crate::store::{Op, Table};

use super::Net;

/// Candidates kept until there is an account. Policy when full: later ones are dropped; the signaling room is asked
/// again.
const EARLY_CANDIDATES_MAX: usize = 256;

/// A row of the address book.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RelayRecord {
    at: Timestamp,
    /// Where the relay is; empty: the adapter knows.
    url: String,
}

#[derive(Debug, Default)]
pub(crate) struct KnownRelays {
    /// Where each relay is; empty: the adapter knows.
    urls: Map<PeerId, String>,
    /// Peers to dial once there is a key to prove.
    early: Vec<Candidate>,
}

impl KnownRelays {
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.urls.contains_key(peer)
    }

    /// Whether a known relay was chosen from the directory rather than named by the address book. `None`: it is not
    /// known.
    pub(crate) fn is_chosen(&self, peer: &PeerId) -> Option<bool> {
        self.urls.get(peer).map(|url| !url.is_empty())
    }

    /// All relays this peer knows.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.urls.keys().copied()
    }

    /// The relays chosen from the directory.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = PeerId> + '_ {
        let chosen = self.urls.iter().filter(|(_, url)| !url.is_empty());
        chosen.map(|(peer, _)| *peer)
    }

    pub(crate) fn len(&self) -> usize {
        self.urls.len()
    }

    /// Where a relay is, if this peer knows it and the adapter does not.
    pub(super) fn url(&self, peer: &PeerId) -> Option<&String> {
        self.urls.get(peer).filter(|url| !url.is_empty())
    }

    /// A relay read from the store.
    pub(crate) fn restore(&mut self, relay: PeerId, row: &[u8]) {
        // Rows of older versions hold no address.
        let record = codec::decode_extensible::<RelayRecord>(row);
        let url = record.map_or_else(|_| String::new(), |record| record.url);
        self.urls.insert(relay, url);
        self.early.push(Candidate {
            peer: relay,
            relay: true,
        });
    }

    pub(super) fn store_early(&mut self, candidate: Candidate) {
        if self.early.len() < EARLY_CANDIDATES_MAX {
            self.early.push(candidate);
        }
    }

    pub(super) fn take_early(&mut self) -> Vec<Candidate> {
        core::mem::take(&mut self.early)
    }
}

impl Net {
    /// This peer knows a relay from now on, also after a restart.
    pub(crate) fn know_relay(&mut self, ctx: &mut Ctx, relay: PeerId, url: String) {
        let record = RelayRecord {
            at: ctx.now.wall,
            url: url.clone(),
        };
        ctx.write(Op::put(Table::Relays, relay.0.to_vec(), &record));
        self.known.urls.insert(relay, url);
    }

    /// This peer does not know a relay any more.
    pub(crate) fn forget_relay(&mut self, ctx: &mut Ctx, relay: &PeerId) {
        ctx.write(Op::Delete {
            table: Table::Relays,
            key: relay.0.to_vec(),
        });
        self.known.urls.remove(relay);
    }

    /// A relay is no member of the network any more.
    pub(crate) fn on_member_gone(&mut self, ctx: &mut Ctx, relay: &PeerId) {
        if self.known.contains(relay) {
            self.forget_relay(ctx, relay);
        }
        if let Some(link) = self.link_to(relay) {
            self.close(ctx, link, "not a member of this network any more");
        }
    }

    /// Peers that could be dialled became known.
    pub(crate) fn on_candidates(&mut self, ctx: &mut Ctx, candidates: &[Candidate]) {
        let own = ctx.peer();
        for candidate in candidates {
            if own == Some(candidate.peer) {
                continue;
            }
            if candidate.relay && self.known.is_chosen(&candidate.peer) != Some(false) {
                self.know_relay(ctx, candidate.peer, String::new());
            }
            if self.membership.is_some() {
                self.learn(ctx, candidate.peer, candidate.relay);
            } else {
                self.known.store_early(*candidate);
            }
        }
    }
}
