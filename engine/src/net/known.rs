//! The relays this peer knows: those its address book names, and those it chose from the directory.
//!
//! Invariant: a peer counts as a relay of ours by this table alone, never by what it says of itself on a link.

use ordered::Map;
use protocol::messages::directory::Description;
use protocol::{PeerId, Timestamp, codec};
use serde::{Deserialize, Serialize};

use crate::api::{RelayState, RelayView};
use crate::ctx::Ctx;
use crate::io::Candidate;
use crate::store::{Op, Table};

use super::Net;

/// Candidates kept until there is an account. Policy when full: later ones are dropped; the signaling room is asked
/// again.
const EARLY_CANDIDATES_MAX: usize = 256;

/// A relay of the address book, as stored. Rows of before membership end with `url`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RelayRecord {
    /// Known since then.
    at: Timestamp,
    /// Where the relay is; empty: the adapter knows.
    url: String,
    /// It is no member of the network, so it counts as one that is not known.
    no_member: bool,
}

/// What follows such a row: a member, a zero of one byte.
const MEMBER: [u8; 1] = [0];

/// Chosen relays that are no members and wait to be removed by the person. Policy when full: the one known for the longest
/// time is forgotten.
const CHOSEN_NO_MEMBERS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct KnownRelays {
    /// Those that the adapter named, chosen ones, of which there are few, and chosen ones that are no members.
    relays: Map<PeerId, RelayRecord>,
    /// Peers to dial once there is a key to prove.
    early: Vec<Candidate>,
}

impl KnownRelays {
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.relays.get(peer).is_some_and(|relay| !relay.no_member)
    }

    /// Whether a relay was chosen from the directory rather than named by the address book, also if it is no member
    /// any more. `None`: it is in neither.
    pub(crate) fn is_chosen(&self, peer: &PeerId) -> Option<bool> {
        self.relays.get(peer).map(|relay| !relay.url.is_empty())
    }

    /// Whether the address book names a relay, also if it is no member any more.
    pub(crate) fn is_named(&self, peer: &PeerId) -> bool {
        self.is_chosen(peer) == Some(false)
    }

    fn members(&self) -> impl Iterator<Item = (PeerId, &RelayRecord)> + '_ {
        let members = self.relays.iter().filter(|(_, relay)| !relay.no_member);
        members.map(|(peer, relay)| (*peer, relay))
    }

    /// The relays of the address book, members or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.relays.keys().copied()
    }

    /// All relays this peer knows.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.members().map(|(peer, _)| peer)
    }

    /// The relays chosen from the directory.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = PeerId> + '_ {
        let chosen = self.members().filter(|(_, relay)| !relay.url.is_empty());
        chosen.map(|(peer, _)| peer)
    }

    /// The relays that this peer would know if they were members of the network, and their addresses.
    pub(crate) fn no_members(&self) -> impl Iterator<Item = (PeerId, &str)> + '_ {
        let relays = self.relays.iter().filter(|(_, relay)| relay.no_member);
        relays.map(|(peer, relay)| (*peer, relay.url.as_str()))
    }

    pub(crate) fn len(&self) -> usize {
        self.members().count()
    }

    /// Whether a relay was chosen before `other` was known.
    pub(crate) fn was_chosen_before(&self, relay: &PeerId, other: &PeerId) -> bool {
        let known = (self.relays.get(relay), self.relays.get(other));
        matches!(known, (Some(relay), Some(other)) if !relay.url.is_empty() && relay.at < other.at)
    }

    /// Where a relay is, if this peer knows it and the adapter does not.
    pub(crate) fn url(&self, peer: &PeerId) -> Option<&String> {
        let url = self.relays.get(peer).map(|relay| &relay.url);
        url.filter(|url| !url.is_empty())
    }

    /// A relay read from the store.
    pub(crate) fn restore(&mut self, relay: PeerId, row: &[u8]) {
        let record = codec::decode_extensible::<RelayRecord>(row);
        let record = record.or_else(|_| codec::decode_extensible(&[row, &MEMBER].concat()));
        // Rows of the first versions hold no address.
        let record = record.unwrap_or_default();
        if !record.no_member {
            self.early.push(Candidate {
                peer: relay,
                relay: true,
            });
        }
        self.relays.insert(relay, record);
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
            url,
            no_member: false,
        };
        ctx.write(Op::put(Table::Relays, relay.0.to_vec(), &record));
        self.known.relays.insert(relay, record);
    }

    /// Whether a relay of the address book is a member of the network. Returns whether that is news.
    pub(crate) fn set_member(&mut self, ctx: &mut Ctx, relay: PeerId, is_member: bool) -> bool {
        let Some(record) = self.known.relays.get_mut(&relay) else {
            return false;
        };
        let is_news = record.no_member == is_member;
        if is_news {
            record.no_member = !is_member;
            ctx.write(Op::put(Table::Relays, relay.0.to_vec(), record));
            self.forget_old_no_members(ctx);
        }
        is_news
    }

    /// Keeps chosen relays that are no members within their bound.
    fn forget_old_no_members(&mut self, ctx: &mut Ctx) {
        let relays = self.known.relays.iter();
        let chosen = relays.filter(|(_, relay)| relay.no_member && !relay.url.is_empty());
        let chosen: Vec<_> = chosen.map(|(peer, relay)| (relay.at, *peer)).collect();
        if chosen.len() > CHOSEN_NO_MEMBERS_MAX
            && let Some((_, oldest)) = chosen.into_iter().min()
        {
            self.forget_relay(ctx, &oldest);
        }
    }

    /// The relays of the address book that are no members of the network any more, as they are shown.
    pub(crate) fn no_member_views(&self) -> impl Iterator<Item = RelayView> + '_ {
        self.known.no_members().map(|(relay, url)| RelayView {
            description: Description {
                relay,
                url: url.to_owned(),
                ..Description::default()
            },
            state: RelayState::NoMember,
            this: false,
        })
    }

    /// This peer does not know a relay any more.
    pub(crate) fn forget_relay(&mut self, ctx: &mut Ctx, relay: &PeerId) {
        ctx.write(Op::Delete {
            table: Table::Relays,
            key: relay.0.to_vec(),
        });
        self.known.relays.remove(relay);
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
