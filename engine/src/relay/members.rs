//! Which relays are members of this relay's network.
//!
//! No relay makes itself a member. Relays sign statements about each other ([`Vouch`]), pass them on and keep
//! them on disk, and each computes the members from them, beginning with itself: a member is every relay whose network
//! a member says it joined, and every relay that a member invites and that says it joined that one.
//!
//! A relay is under those that it joined and those that these are under; it cannot take back that it joined. An
//! expulsion counts at the relay that signed it, and everywhere if the expelled relay is under the signer, the signer is
//! not under it, and no expulsion of the signer counts. So no member can expel the one that invited it. With an expelled
//! relay go those that no other member vouches for.
//!
//! Invariants: a statement is kept only if its signature was checked and its signer is reached by statements, expelled or
//! not, or says that it joined a relay that invites it. The same statements give the same members, in whatever order
//! they arrived. Policy when full: statements of relays that are not reached make room; a statement of this relay itself
//! always fits; one relay signs at most [`PER_SIGNER_MAX`].

use ordered::{Map, Set};
use protocol::messages::membership::{Stance, Vouch, fingerprint};
use protocol::{KeyPair, PeerId, Timestamp};

use crate::io::Admission;

/// Statements kept: 1,024 relays with their inviters and those they joined, and as many expulsions; 0.7 MB. Computing
/// the members from them takes some milliseconds.
const VOUCHES_MAX: usize = 4_096;
/// Statements of one relay that are kept, so that no member can fill the table alone.
const PER_SIGNER_MAX: usize = 512;

/// Signer and subject, and whether it says that the signer joined: that stands beside what else it says.
type Key = (PeerId, PeerId, bool);

fn key_of(vouch: &Vouch) -> Key {
    (vouch.by, vouch.relay, vouch.stance == Stance::Joins)
}

/// Why a statement is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VouchRefused {
    /// One that is as late is kept already, or it says nothing about another relay.
    Old,
    /// Its signer is no member.
    Stranger,
    /// There are too many.
    Full,
    /// The signature is wrong.
    Forged,
}

#[derive(Debug)]
pub(crate) struct Members {
    own: PeerId,
    admission: Admission,
    vouches: Map<Key, Vouch>,
    /// Computed from them; this relay is one.
    members: Set<PeerId>,
    /// The members if no expulsion counted.
    reached: Set<PeerId>,
}

impl Members {
    pub(crate) fn new(own: PeerId, admission: Admission) -> Self {
        let mut members = Self {
            own,
            admission,
            vouches: Map::new(),
            members: Set::new(),
            reached: Set::new(),
        };
        members.compute();
        members
    }

    /// A statement read from the store. [`Self::compute`] follows when all are read.
    pub(crate) fn restore(&mut self, vouch: Vouch) {
        self.vouches.insert(key_of(&vouch), vouch);
    }

    /// Whether any relay that describes itself is a member.
    pub(crate) fn is_open(&self) -> bool {
        self.admission == Admission::Open
    }

    /// Whether statements decide who is a member.
    pub(crate) fn is_by_invitation(&self) -> bool {
        self.admission == Admission::Invited
    }

    /// The members, this relay included, unless any relay is one.
    pub(crate) fn all(&self) -> &Set<PeerId> {
        &self.members
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.members.contains(peer)
    }

    /// The statements of relays that are reached; those of others mean nothing.
    pub(crate) fn vouches(&self) -> impl Iterator<Item = &Vouch> {
        let vouches = self.vouches.values();
        vouches.filter(|vouch| self.reached.contains(&vouch.by))
    }

    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        fingerprint(self.vouches())
    }

    /// Whether `by` invites `relay`, or expels it.
    pub(crate) fn stance(&self, by: &PeerId, relay: &PeerId) -> Option<Stance> {
        self.vouches.get(&(*by, *relay, false)).map(|vouch| vouch.stance)
    }

    fn invites(&self, by: &PeerId, relay: &PeerId) -> bool {
        self.stance(by, relay) == Some(Stance::Invites)
    }

    /// Whether `by` says that it joined the network of `relay`.
    pub(crate) fn joins(&self, by: &PeerId, relay: &PeerId) -> bool {
        self.vouches.contains_key(&(*by, *relay, true))
    }

    /// The relay that invites `relay`, the first by time.
    pub(crate) fn inviter(&self, relay: &PeerId) -> Option<&Vouch> {
        let about = self.vouches.values().filter(|vouch| vouch.relay == *relay);
        let invites =
            about.filter(|vouch| vouch.stance == Stance::Invites && self.members.contains(&vouch.by));
        invites.min_by_key(|vouch| (vouch.at, vouch.by))
    }

    /// What this relay said when it expelled another.
    pub(crate) fn expulsion(&self, relay: &PeerId) -> Option<&Vouch> {
        let said = self.vouches.get(&(self.own, *relay, false));
        said.filter(|vouch| vouch.stance == Stance::Expels)
    }

    /// The statements of one relay.
    fn by(&self, by: &PeerId) -> impl Iterator<Item = &Vouch> {
        let bounds = (*by, PeerId([0; 32]), false)..=(*by, PeerId([0xff; 32]), true);
        self.vouches.range(bounds).map(|(_, vouch)| vouch)
    }

    /// The relays whose network one says it joined.
    fn joined_by(&self, by: &PeerId) -> impl Iterator<Item = PeerId> {
        let joined = self.by(by).filter(|vouch| vouch.stance == Stance::Joins);
        joined.map(|vouch| vouch.relay)
    }

    /// Signs a statement of this relay, later than any it signed about the same one.
    pub(crate) fn sign(&self, key: &KeyPair, relay: PeerId, stance: Stance, now: Timestamp) -> Vouch {
        let before = self.vouches.get(&(self.own, relay, stance == Stance::Joins));
        let at = before.map_or(now, |before| now.max(Timestamp(before.at.0.saturating_add(1))));
        Vouch::issue(key, relay, stance, at)
    }

    /// Whether a statement would be kept, but for its signature.
    pub(crate) fn check(&self, vouch: &Vouch) -> Result<(), VouchRefused> {
        let known = self.vouches.get(&key_of(vouch));
        if vouch.by == vouch.relay || known.is_some_and(|known| !vouch.replaces(known)) {
            return Err(VouchRefused::Old);
        }
        let accepts = vouch.stance == Stance::Joins
            && self.reached.contains(&vouch.relay)
            && self.invites(&vouch.relay, &vouch.by);
        if !accepts && !self.reached.contains(&vouch.by) {
            return Err(VouchRefused::Stranger);
        }
        if known.is_none() && vouch.by != self.own && self.by(&vouch.by).count() >= PER_SIGNER_MAX {
            return Err(VouchRefused::Full);
        }
        Ok(())
    }

    /// Takes a statement in that passes [`Self::check`]; [`Self::compute`] follows. The one that made room for it, if
    /// any.
    pub(crate) fn take_in(&mut self, vouch: Vouch) -> Result<Option<Vouch>, VouchRefused> {
        if vouch.verify().is_err() {
            return Err(VouchRefused::Forged);
        }
        let key = key_of(&vouch);
        let mut removed = None;
        if self.vouches.len() >= VOUCHES_MAX && !self.vouches.contains_key(&key) {
            let useless = self
                .vouches
                .keys()
                .find(|(by, ..)| !self.reached.contains(by))
                .copied();
            let useless = useless.or_else(|| (vouch.by == self.own).then(|| self.least_useful()).flatten());
            removed = self.vouches.remove(&useless.ok_or(VouchRefused::Full)?);
        }
        self.vouches.insert(key, vouch);
        Ok(removed)
    }

    /// The last invitation of the relay that invites most others.
    fn least_useful(&self) -> Option<Key> {
        let mut invitations: Map<PeerId, usize> = Map::new();
        let of_others = self
            .vouches
            .iter()
            .filter(|((by, _, joins), _)| *by != self.own && !joins);
        for ((by, ..), _) in of_others {
            *invitations.or_default(*by) += 1;
        }
        let (most, _) = invitations.iter().max_by_key(|(_, count)| **count)?;
        let mut keys = self.vouches.keys().filter(|(by, _, joins)| by == most && !joins);
        keys.next_back().copied()
    }

    /// Computes the members again.
    pub(crate) fn compute(&mut self) {
        self.reached = self.reach(&Set::new());
        let expelled = self.expelled();
        self.members = self.reach(&expelled);
    }

    /// The relays whose expulsion counts.
    fn expelled(&self) -> Set<PeerId> {
        let expulsions = self
            .vouches
            .values()
            .filter(|vouch| vouch.stance == Stance::Expels);
        // To itself this relay is always a member; see `expelled_by`.
        let expulsions =
            expulsions.filter(|vouch| self.reached.contains(&vouch.by) && vouch.relay != self.own);
        let expulsions: Vec<(PeerId, PeerId)> = expulsions.map(|vouch| (vouch.by, vouch.relay)).collect();
        let mut above: Map<PeerId, Set<PeerId>> = Map::new();
        for (by, relay) in &expulsions {
            above.or_insert_with(*by, || self.above(by));
            above.or_insert_with(*relay, || self.above(relay));
        }
        let is_above = |by: &PeerId, relay: &PeerId| {
            let of =
                |peer: &PeerId, other: &PeerId| above.get(peer).is_some_and(|above| above.contains(other));
            of(relay, by) && !of(by, relay)
        };
        // A relay above a signer has fewer relays above it than the signer has: it is judged first.
        let expulsions =
            ordered::sorted_by_key(expulsions, |(_, relay)| above.get(relay).map_or(0, Set::len));
        let mut expelled = Set::new();
        for (by, relay) in expulsions {
            if by == self.own || (is_above(&by, &relay) && !expelled.contains(&by)) {
                expelled.insert(relay);
            }
        }
        expelled
    }

    /// The members if this relay expelled `relay`.
    pub(crate) fn without(&self, relay: &PeerId) -> Set<PeerId> {
        let mut expelled = self.expelled();
        expelled.insert(*relay);
        self.reach(&expelled)
    }

    /// Whether an expulsion of `relay` by this relay counts everywhere.
    pub(crate) fn counts_everywhere(&self, relay: &PeerId) -> bool {
        self.above(relay).contains(&self.own) && !self.above(&self.own).contains(relay)
    }

    /// Those that this relay and its members vouch for, but for `without` and those that only these vouch for.
    fn reach(&self, without: &Set<PeerId>) -> Set<PeerId> {
        if let Admission::Listed(listed) = &self.admission {
            return listed.iter().copied().chain([self.own]).collect();
        }
        let mut reached = Set::new();
        let mut next = vec![self.own];
        while let Some(peer) = next.pop() {
            if reached.insert(peer) {
                let vouched = self.by(&peer).filter(|vouch| match vouch.stance {
                    Stance::Invites => self.joins(&vouch.relay, &peer),
                    Stance::Joins => true,
                    Stance::Expels => false,
                });
                next.extend(
                    vouched
                        .map(|vouch| vouch.relay)
                        .filter(|peer| !without.contains(peer)),
                );
            }
        }
        reached
    }

    /// The relay itself, those that it joined, and those that these are under.
    fn above(&self, relay: &PeerId) -> Set<PeerId> {
        let mut above = Set::new();
        let mut next = vec![*relay];
        while let Some(peer) = next.pop() {
            if above.insert(peer) {
                next.extend(self.joined_by(&peer));
            }
        }
        above
    }

    /// The relay that expelled this one, if that counts everywhere else.
    pub(crate) fn expelled_by(&self) -> Option<PeerId> {
        let above = self.above(&self.own);
        let own = self.vouches.values().filter(|vouch| vouch.relay == self.own);
        let mut expulsions = own.filter(|vouch| vouch.stance == Stance::Expels);
        let counts = expulsions.find(|vouch| above.contains(&vouch.by));
        counts.map(|vouch| vouch.by)
    }

    /// Whether this relay says that it joined any network.
    pub(crate) fn has_joined(&self) -> bool {
        self.joined_by(&self.own).next().is_some()
    }

    /// Whether this relay joined a network, and no member of it invites this relay so far.
    pub(crate) fn waits_for_invitation(&self) -> bool {
        self.has_joined() && self.inviter(&self.own).is_none()
    }

    /// A relay that invites this one, which joined a network and has not said yet that it joined any relay that invites
    /// it. A relay that joined nobody accepts no invitation by itself: it would put itself under the one that invites.
    pub(crate) fn unanswered_invitation(&self) -> Option<PeerId> {
        if !self.has_joined()
            || self
                .joined_by(&self.own)
                .any(|joined| self.invites(&joined, &self.own))
        {
            return None;
        }
        self.reached
            .iter()
            .copied()
            .find(|by| self.invites(by, &self.own))
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
