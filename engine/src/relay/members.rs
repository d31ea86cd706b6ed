//! Which relays are members of this relay's network.
//!
//! No relay is a member by its own word. Relays sign statements about each other ([`Vouch`]), pass them on and keep
//! them on disk, and each computes the members from them, beginning with itself: a member is every relay that a member
//! invites, or whose network a member says it joined.
//!
//! A relay is under the relays whose network it joined, and under those that these are under. An expulsion counts at
//! the relay that signed it, and everywhere if the expelled relay is under it; so no member can expel the one that
//! invited it. With an expelled relay go those that no other member vouches for.
//!
//! Invariants: a statement is kept only if its signature was checked and its signer is a member, or was one without
//! expulsions; of an expelled relay only what it joined is kept, which decides whether its expulsion counts. The same
//! statements give the same members, in whatever order they arrived. Policy when full: statements of relays that are no
//! members make room, then new ones are refused; one relay signs at most [`PER_SIGNER_MAX`].

use ordered::{Map, Set};
use protocol::messages::membership::{Stance, Vouch, fingerprint};
use protocol::{KeyPair, PeerId, Timestamp};

use crate::io::Admission;

/// Statements kept: 1,024 relays with their inviters and those they joined, and as many expulsions; 1.5 MB.
const VOUCHES_MAX: usize = 8_192;
/// Statements of one relay that are kept, so that no member can fill the table alone.
const PER_SIGNER_MAX: usize = 1_024;

/// Why a statement is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// One that is as late is kept already, or it says nothing about another relay.
    Old,
    /// Its signer is no member.
    Stranger,
    /// There are too many.
    Full,
    /// The signature is wrong.
    Forged,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Members {
    own: PeerId,
    admission: Admission,
    /// By signer and subject.
    vouches: Map<(PeerId, PeerId), Vouch>,
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
        self.vouches.insert((vouch.by, vouch.relay), vouch);
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

    pub(crate) fn vouches(&self) -> impl Iterator<Item = &Vouch> {
        self.vouches.values()
    }

    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        fingerprint(self.vouches.values())
    }

    /// What `by` says about `relay`.
    pub(crate) fn stance(&self, by: &PeerId, relay: &PeerId) -> Option<Stance> {
        self.vouches.get(&(*by, *relay)).map(|vouch| vouch.stance)
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
        let said = self.vouches.get(&(self.own, *relay));
        said.filter(|vouch| vouch.stance == Stance::Expels)
    }

    /// The statements of one relay.
    fn by(&self, by: &PeerId) -> impl Iterator<Item = &Vouch> {
        let bounds = (*by, PeerId([0; 32]))..=(*by, PeerId([0xff; 32]));
        self.vouches.range(bounds).map(|(_, vouch)| vouch)
    }

    /// Signs a statement of this relay, later than any it signed about the same one.
    pub(crate) fn sign(&self, key: &KeyPair, relay: PeerId, stance: Stance, now: Timestamp) -> Vouch {
        let before = self.vouches.get(&(self.own, relay));
        let at = before.map_or(now, |before| now.max(Timestamp(before.at.0.saturating_add(1))));
        Vouch::issue(key, relay, stance, at)
    }

    /// Whether a statement would be kept, but for its signature.
    pub(crate) fn check(&self, vouch: &Vouch) -> Result<(), NotKept> {
        let known = self.vouches.get(&(vouch.by, vouch.relay));
        if vouch.by == vouch.relay || known.is_some_and(|known| !vouch.replaces(known)) {
            return Err(NotKept::Old);
        }
        let joins = vouch.stance == Stance::Joins && self.reached.contains(&vouch.by);
        if !joins && !self.members.contains(&vouch.by) {
            return Err(NotKept::Stranger);
        }
        if known.is_none() && self.by(&vouch.by).count() >= PER_SIGNER_MAX {
            return Err(NotKept::Full);
        }
        Ok(())
    }

    /// Takes a statement in that passes [`Self::check`]; [`Self::compute`] follows. The one that made room for it, if
    /// any.
    pub(crate) fn take_in(&mut self, vouch: Vouch) -> Result<Option<Vouch>, NotKept> {
        if vouch.verify().is_err() {
            return Err(NotKept::Forged);
        }
        let key = (vouch.by, vouch.relay);
        let mut removed = None;
        if self.vouches.len() >= VOUCHES_MAX && !self.vouches.contains_key(&key) {
            let useless = self.vouches.keys().find(|(by, _)| !self.members.contains(by));
            let useless = *useless.ok_or(NotKept::Full)?;
            removed = self.vouches.remove(&useless);
        }
        self.vouches.insert(key, vouch);
        Ok(removed)
    }

    /// Computes the members again.
    pub(crate) fn compute(&mut self) {
        self.reached = self.reach(&Set::new());
        let expulsions = self
            .vouches
            .values()
            .filter(|vouch| vouch.stance == Stance::Expels);
        let expulsions = expulsions.filter(|vouch| self.reached.contains(&vouch.by));
        let expelled = expulsions.filter(|vouch| self.counts(vouch, &mut Vec::new()));
        let expelled: Set<PeerId> = expelled.map(|vouch| vouch.relay).collect();
        self.members = self.reach(&expelled);
    }

    /// The members if this relay expelled `relay`.
    pub(crate) fn without(&self, relay: &PeerId) -> Set<PeerId> {
        let gone = self.reached.iter().filter(|peer| !self.members.contains(*peer));
        self.reach(&gone.copied().chain([*relay]).collect())
    }

    /// Whether an expulsion of `relay` by this relay counts everywhere.
    pub(crate) fn counts_everywhere(&self, relay: &PeerId) -> bool {
        self.is_under(relay, &self.own, &mut Vec::new())
    }

    /// Those that this relay and its members vouch for, but for `without` and those that only these vouch for.
    fn reach(&self, without: &Set<PeerId>) -> Set<PeerId> {
        let mut reached = Set::new();
        let mut next = vec![self.own];
        if let Admission::Listed(listed) = &self.admission {
            return listed.iter().copied().chain([self.own]).collect();
        }
        while let Some(peer) = next.pop() {
            if reached.insert(peer) {
                let vouched = self.by(&peer).filter(|vouch| vouch.stance != Stance::Expels);
                next.extend(
                    vouched
                        .map(|vouch| vouch.relay)
                        .filter(|peer| !without.contains(peer)),
                );
            }
        }
        reached
    }

    /// Whether an expulsion counts here. `pending`: those whose signers are being judged, which do not count meanwhile:
    /// two relays that are under each other cannot expel each other.
    fn counts(&self, expulsion: &Vouch, pending: &mut Vec<PeerId>) -> bool {
        let Vouch { by, relay, .. } = expulsion;
        if *relay == self.own {
            // To itself this relay is always a member; see `expelled_by`.
            return false;
        }
        if *by == self.own {
            return true;
        }
        if pending.contains(by) || !self.is_under(relay, by, &mut Vec::new()) {
            return false;
        }
        pending.push(*relay);
        let expels_signer = |vouch: &&Vouch| vouch.stance == Stance::Expels && vouch.relay == *by;
        let mut against = self.vouches.values().filter(expels_signer);
        let expelled = against.any(|vouch| self.counts(vouch, pending));
        pending.pop();
        !expelled
    }

    /// Whether `relay` joined the network of `above`, directly or through others.
    fn is_under(&self, relay: &PeerId, above: &PeerId, seen: &mut Vec<PeerId>) -> bool {
        if seen.contains(relay) {
            return false;
        }
        seen.push(*relay);
        let joined = self.by(relay).filter(|vouch| vouch.stance == Stance::Joins);
        let mut joined = joined.map(|vouch| vouch.relay);
        joined.any(|joined| joined == *above || self.is_under(&joined, above, seen))
    }

    /// The relay that expelled this one, if that counts everywhere else.
    pub(crate) fn expelled_by(&self) -> Option<PeerId> {
        let own = self.vouches.values().filter(|vouch| vouch.relay == self.own);
        let mut expulsions = own.filter(|vouch| vouch.stance == Stance::Expels);
        let counts = expulsions.find(|vouch| self.is_under(&self.own, &vouch.by, &mut Vec::new()));
        counts.map(|vouch| vouch.by)
    }

    /// Whether this relay joined a network, and no member of it invites this relay so far.
    pub(crate) fn waits_for_invitation(&self) -> bool {
        let mut joined = self.joined().peekable();
        joined.peek().is_some() && self.inviter(&self.own).is_none()
    }

    /// A relay that invites this one, which joined a network and has not said yet that it joined any relay that invites
    /// it. A relay that joined nobody accepts no invitation by itself: it would put itself under the one that invites.
    pub(crate) fn unanswered_invitation(&self) -> Option<PeerId> {
        let invites = |by: &PeerId| self.stance(by, &self.own) == Some(Stance::Invites);
        let mut joined = self.joined().peekable();
        joined.peek()?;
        if joined.any(|joined| invites(&joined)) {
            return None;
        }
        self.reached.iter().copied().find(invites)
    }

    /// The relays whose network this one joined.
    fn joined(&self) -> impl Iterator<Item = PeerId> + '_ {
        let joined = self.by(&self.own).filter(|vouch| vouch.stance == Stance::Joins);
        joined.map(|vouch| vouch.relay)
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
