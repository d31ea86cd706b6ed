//! Which relays are members of the network, as the relays that a person's device knows tell it.
//!
//! Relays compute the members from signed statements; a device takes the result from the relays it knows, and keeps the
//! last list of each for as long as the two are linked.
//!
//! Invariants: what a relay says about itself does not count, unless it says that it is no member, and what one relay that was chosen says takes away no
//! relay that is alive, or that another one lists. Policy when full: further lists are not taken.

use ordered::Map;
use protocol::PeerId;

/// Lists kept: of the relays that a device chooses, which are fewer, and of some that are named. 2 MB if each is as long
/// as it can be.
const LISTS_MAX: usize = 16;

/// The members, as one relay says.
#[derive(Debug)]
pub(crate) struct MemberList {
    /// Of a relay that the address book names.
    pub(crate) named: bool,
    /// It is of another network than the relays that this device chose: it counts against relays that are named alone.
    pub(crate) foreign: bool,
    pub(crate) members: Vec<PeerId>,
}

/// The last list of each linked relay that this device knows.
#[derive(Debug, Default)]
pub(crate) struct MemberLists {
    lists: Map<PeerId, MemberList>,
}

impl MemberLists {
    pub(super) fn set(&mut self, by: PeerId, list: MemberList) {
        if self.lists.len() < LISTS_MAX || self.lists.contains_key(&by) {
            self.lists.insert(by, list);
        }
    }

    pub(super) fn remove(&mut self, by: &PeerId) {
        self.lists.remove(by);
    }

    /// A relay is no member itself. That the named one is of another network is still known: the keys which its address
    /// had before are lost.
    pub(super) fn distrust(&mut self, by: &PeerId) {
        self.lists
            .retain(|peer, list| peer != by || (list.named && list.foreign));
    }

    /// Whether a relay is a member. `None`: no list says so. `named`: the address book names it.
    pub(super) fn judge(&self, relay: &PeerId, named: bool, alive: bool) -> Option<bool> {
        let (mut missing, mut listed, mut decided) = (0, false, false);
        for (by, list) in &self.lists {
            if by == relay && !list.members.contains(relay) {
                return Some(false);
            }
            if by == relay || (list.foreign && !named) {
                continue;
            }
            if list.members.contains(relay) {
                listed = true;
            } else {
                missing += 1;
                decided |= list.named;
            }
        }
        if decided || ((named || !listed) && missing > usize::from(alive)) {
            return Some(false);
        }
        listed.then_some(true)
    }
}

#[cfg(test)]
#[path = "member_lists_tests.rs"]
mod tests;
