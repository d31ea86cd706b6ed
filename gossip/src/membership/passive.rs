//! The passive view: known peers without a link.
//!
//! Invariants: never more than its maximum; no single neighbour fills more than a quarter of it with peers it
//! mentions (eclipse attack); of the peers that were neighbours once, the last [`MET_KEPT`] stay however often dialling them
//! fails, since after a partition they are the way back. Policy when full: the peer that failed most is removed first, then
//! the one not heard of for longest.

use core::cmp::Reverse;
use core::fmt::Debug;
use core::time::Duration;
use std::collections::BinaryHeap;

use ordered::Map;
use rand_core::Rng;

use super::message::Descriptor;
use super::pick;

/// Former neighbours that are kept through failures. Guess: of 8 neighbours, after a cut through the middle, about four
/// are on the other side; four times that.
pub const MET_KEPT: usize = 16;
/// Failures in a row after which a peer that was never a neighbour is forgotten.
const FAILURES_MAX: u32 = 4;
/// Failures in a row after which no place is reserved for an anchor. One failure may be an accident.
const ANCHOR_FAILURES_MAX: u32 = 2;

/// What is known of one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<P> {
    pub(super) anchor: bool,
    pub(super) heartbeat: u64,
    /// When it was last heard from, as far as is known.
    heard: Duration,
    failures: u32,
    next_try: Duration,
    /// The neighbour that mentioned it; `None` if it was a neighbour itself or given by the caller.
    source: Option<P>,
    /// It was a neighbour once.
    met: bool,
}

/// The table. See the module.
#[derive(Debug)]
pub(super) struct Passive<P> {
    known: Map<P, Known<P>>,
    /// Number of peers by the neighbour that mentioned them.
    told: Map<P, usize>,
    max: usize,
    age_max: Duration,
    /// Not later than the next time at which a peer may be dialled.
    soonest: Duration,
}

impl<P: Copy + Ord + Debug> Passive<P> {
    pub(super) fn new(max: usize, age_max: Duration) -> Self {
        Self {
            known: Map::new(),
            told: Map::new(),
            max,
            age_max,
            soonest: Duration::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get(&self, peer: &P) -> Option<&Known<P>> {
        self.known.get(peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&P, &Known<P>)> {
        self.known.iter()
    }

    /// Anchors that may well answer when they are dialled.
    pub(super) fn anchors_awaited(&self) -> usize {
        self.known
            .values()
            .filter(|known| known.anchor && known.failures < ANCHOR_FAILURES_MAX)
            .count()
    }

    pub(super) fn remove(&mut self, peer: &P) -> Option<Known<P>> {
        let removed = self.known.remove(peer)?;
        self.uncount(removed.source);
        Some(removed)
    }

    /// Adds a peer that `source` mentioned.
    pub(super) fn learn(&mut self, told: &Descriptor<P>, source: Option<P>, now: Duration) {
        let age = Duration::from_secs(u64::from(told.age_s));
        if source.is_some() && age > self.age_max {
            return;
        }
        let heard = now.saturating_sub(age);
        if let Some(known) = self.known.get_mut(&told.peer) {
            known.anchor |= told.anchor;
            known.heartbeat = known.heartbeat.max(told.heartbeat);
            if heard > known.heard {
                known.heard = heard;
                // It was alive after our last attempt, they say: worth another, and nothing more than that.
                known.failures = known.failures.min(FAILURES_MAX - 1);
            }
            return;
        }
        if let Some(source) = source
            && self
                .told
                .get(&source)
                .is_some_and(|told| *told >= (self.max / 4).max(1))
        {
            let oldest = self
                .from(source)
                .min_by_key(|(_, known)| known.heard)
                .map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.remove(&oldest);
            }
        }
        self.insert(
            told.peer,
            Known {
                anchor: told.anchor,
                heartbeat: told.heartbeat,
                heard,
                failures: 0,
                next_try: now,
                source,
                met: false,
            },
        );
    }

    /// A neighbour is one no more.
    pub(super) fn met(&mut self, peer: P, anchor: bool, heartbeat: u64, heard: Duration, next_try: Duration) {
        self.insert(
            peer,
            Known {
                anchor,
                heartbeat,
                heard,
                failures: 0,
                next_try,
                source: None,
                met: true,
            },
        );
    }

    /// It says itself whether it is an anchor. That counts for more than what others say.
    pub(super) fn set_anchor(&mut self, peer: &P, anchor: bool) {
        if let Some(known) = self.known.get_mut(peer) {
            known.anchor = anchor;
        }
    }

    /// Dialling it, or asking it, came to nothing.
    pub(super) fn failed(
        &mut self,
        peer: &P,
        now: Duration,
        min: Duration,
        max: Duration,
        rng: &mut impl Rng,
    ) {
        let Some(known) = self.known.get_mut(peer) else {
            return;
        };
        known.failures = known.failures.saturating_add(1);
        // Full jitter (Brooker, "Exponential Backoff And Jitter", 2015).
        let ceiling = min.saturating_mul(1 << known.failures.min(10)).min(max);
        known.next_try = now + super::jitter(ceiling, rng);
        self.soonest = self.soonest.min(known.next_try);
        // Contacts given from outside are tried for ever: without them a peer that lost everybody stays alone.
        if known.failures >= FAILURES_MAX && !known.met && !known.anchor && known.source.is_some() {
            self.remove(peer);
        }
    }

    /// It answered, with a refusal: it lives, and is asked again later than others.
    pub(super) fn refused(&mut self, peer: &P, now: Duration, pause: Duration, rng: &mut impl Rng) {
        if let Some(known) = self.known.get_mut(peer) {
            known.failures = 0;
            known.heard = now;
            known.next_try = now + pause / 2 + super::jitter(pause, rng);
            self.soonest = self.soonest.min(known.next_try);
        }
    }

    /// Everybody may be tried at once.
    pub(super) fn retry_now(&mut self, now: Duration) {
        for known in self.known.values_mut() {
            known.failures = 0;
            known.next_try = known.next_try.min(now);
        }
        self.soonest = Duration::ZERO;
    }

    /// Forgets peers that no neighbour mentioned for a long time.
    pub(super) fn expire(&mut self, now: Duration) {
        let stays = |known: &Known<P>| {
            known.met
                || known.anchor
                || known.source.is_none()
                || now.saturating_sub(known.heard) <= self.age_max
        };
        let old = self.known.iter().filter(|(_, known)| !stays(known));
        let old: Vec<P> = old.map(|(peer, _)| *peer).collect();
        for peer in old {
            self.remove(&peer);
        }
    }

    /// Any peer that may be dialled now and satisfies `fits`, by chance.
    pub(super) fn choose(
        &self,
        now: Duration,
        rng: &mut impl Rng,
        fits: impl Fn(&P, &Known<P>) -> bool,
    ) -> Option<P> {
        let ready = || {
            self.known
                .iter()
                .filter(|(peer, known)| known.next_try <= now && fits(peer, known))
        };
        let n = ready().count();
        (n > 0).then(|| ready().nth(pick(n, rng)).map(|(peer, _)| *peer))?
    }

    /// When the next peer may be dialled that could not be before `now`, or earlier. The table is looked through only when
    /// the time found before has come.
    pub(super) fn next_try(&mut self, now: Duration) -> Duration {
        if self.soonest <= now {
            let times = self.known.values().map(|known| known.next_try);
            self.soonest = times.filter(|at| *at > now).min().unwrap_or(Duration::MAX);
        }
        self.soonest
    }

    /// Up to `n` acquaintances to pass on, without the ones that do not answer.
    pub(super) fn sample(
        &self,
        n: usize,
        without: &P,
        now: Duration,
        rng: &mut impl Rng,
    ) -> Vec<Descriptor<P>> {
        let mut found: Vec<_> = self
            .known
            .iter()
            .filter(|(peer, known)| *peer != without && known.failures == 0)
            .filter(|(_, known)| now.saturating_sub(known.heard) <= self.age_max)
            .collect();
        super::choose_some(&mut found, n, rng);
        found
            .into_iter()
            .map(|(peer, known)| known.describe(*peer, now))
            .collect()
    }

    /// Former neighbours heard of then or later are kept through failures.
    fn kept_since(&self) -> Duration {
        let mut latest = [Duration::ZERO; MET_KEPT];
        for known in self.known.values().filter(|known| known.met) {
            let at = latest.partition_point(|heard| *heard >= known.heard);
            if at < MET_KEPT {
                latest.copy_within(at..MET_KEPT - 1, at + 1);
                latest[at] = known.heard;
            }
        }
        latest[MET_KEPT - 1]
    }

    fn from(&self, source: P) -> impl Iterator<Item = (&P, &Known<P>)> {
        self.known
            .iter()
            .filter(move |(_, known)| known.source == Some(source))
    }

    fn insert(&mut self, peer: P, known: Known<P>) {
        if self.known.len() >= self.max && !self.known.contains_key(&peer) && !self.make_room(known.anchor) {
            return;
        }
        self.soonest = self.soonest.min(known.next_try);
        if let Some(source) = known.source {
            *self.told.or_default(source) += 1;
        }
        if let Some(replaced) = self.known.insert(peer, known) {
            self.uncount(replaced.source);
        }
    }

    fn uncount(&mut self, source: Option<P>) {
        let Some(source) = source else {
            return;
        };
        if let Some(told) = self.told.get_mut(&source) {
            *told -= 1;
            if *told == 0 {
                self.told.remove(&source);
            }
        }
    }

    /// Forgets some at once, so that the table is not looked through for each newcomer. Only an anchor takes the place of
    /// an anchor, and of one alone. False: nobody may go.
    fn make_room(&mut self, for_anchor: bool) -> bool {
        let kept_since = self.kept_since();
        // A heap, because code to select or sort weighs much in a browser.
        let mut victims: BinaryHeap<_> = self
            .known
            .iter()
            .filter(|(_, old)| !(old.met && old.heard >= kept_since) && (!old.anchor || for_anchor))
            .map(|(peer, old)| (!old.anchor, old.failures, Reverse(old.heard), *peer))
            .collect();
        let some = (self.max / 8).clamp(1, victims.len().max(1));
        for n in 0..some {
            match victims.pop() {
                Some((stranger, _, _, peer)) if stranger || n == 0 => {
                    self.remove(&peer);
                }
                _ => return n > 0,
            }
        }
        true
    }
}

impl<P: Copy> Known<P> {
    /// It was a neighbour once.
    pub(super) const fn was_met(&self) -> bool {
        self.met
    }

    fn describe(&self, peer: P, now: Duration) -> Descriptor<P> {
        Descriptor {
            peer,
            anchor: self.anchor,
            heartbeat: self.heartbeat,
            age_s: age_s(now.saturating_sub(self.heard)),
        }
    }
}

/// Seconds, as many as fit.
pub(super) fn age_s(age: Duration) -> u16 {
    u16::try_from(age.as_secs()).unwrap_or(u16::MAX)
}
