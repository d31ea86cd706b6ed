//! The link set: which peers to be linked with.
//!
//! Invariants: at most one link per peer; never more than `links_max`; never a link to oneself; at most
//! [`CANDIDATES_MAX`] known candidates. A peer that refuses or fails is tried again with full-jitter exponential backoff
//! (Brooker, "Exponential Backoff And Jitter", 2015). The policy when the candidate table is full: anchors (peers that
//! never sleep) push others out, others are dropped.

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeMap;

use rand_core::Rng;

/// Candidates remembered.
pub const CANDIDATES_MAX: usize = 512;
/// First pause after a failed dial.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest pause after failed dials. Guess: a person who reopened a laptop waits no longer than this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// Dials under way at once: a WebRTC dial takes seconds, so several run side by side.
pub const DIALS_MAX: usize = 4;
/// A dial without an outcome counts as failed after this.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How many links to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlayConfig {
    /// Dial until there are as many.
    pub links_target: usize,
    /// Accept no more than this.
    pub links_max: usize,
    /// Of the target, so many should be anchors.
    pub anchors_target: usize,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    anchor: bool,
    failures: u32,
    next_try: Duration,
}

/// What to do with a new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission<L> {
    /// Keep it.
    Keep,
    /// Keep it and close this older link to the same peer.
    Replace(L),
    /// Close it: the table is full.
    Full,
    /// Close it: this peer only links with anchors.
    Unwanted,
}

/// The link set. `P` names peers, `L` links.
#[derive(Debug)]
pub struct Overlay<P, L> {
    config: OverlayConfig,
    anchors_only: bool,
    links: BTreeMap<P, (L, bool)>,
    candidates: BTreeMap<P, Candidate>,
    dialing: BTreeMap<P, Duration>,
}

impl<P: Copy + Ord + Debug, L: Copy + Eq + Debug> Overlay<P, L> {
    /// An empty set.
    #[must_use]
    pub fn new(config: OverlayConfig) -> Self {
        Self {
            config,
            anchors_only: false,
            links: BTreeMap::new(),
            candidates: BTreeMap::new(),
            dialing: BTreeMap::new(),
        }
    }

    /// Link with anchors alone from now on. Returns the links to close.
    pub fn set_anchors_only(&mut self, on: bool) -> Vec<L> {
        self.anchors_only = on;
        if !on {
            return Vec::new();
        }
        self.links
            .values()
            .filter(|(_, anchor)| !anchor)
            .map(|(link, _)| *link)
            .collect()
    }

    /// A peer that could be dialled. Known ones keep their backoff; becoming an anchor is remembered.
    pub fn add_candidate(&mut self, peer: P, anchor: bool, now: Duration) {
        if let Some(known) = self.candidates.get_mut(&peer) {
            known.anchor |= anchor;
            return;
        }
        if self.candidates.len() >= CANDIDATES_MAX {
            let victim = self
                .candidates
                .iter()
                .filter(|(peer, known)| !known.anchor && !self.links.contains_key(peer))
                .max_by_key(|(_, known)| known.failures)
                .map(|(peer, known)| (*peer, known.failures));
            match victim {
                Some((victim, failures)) if anchor || failures > 0 => self.candidates.remove(&victim),
                _ => return,
            };
        }
        self.candidates.insert(
            peer,
            Candidate {
                anchor,
                failures: 0,
                next_try: now,
            },
        );
    }

    /// Whether a peer is known to be an anchor.
    #[must_use]
    pub fn is_anchor(&self, peer: &P) -> bool {
        self.candidates.get(peer).is_some_and(|known| known.anchor)
    }

    /// Anchors known, linked or not.
    pub fn anchors(&self) -> impl Iterator<Item = P> + '_ {
        self.candidates
            .iter()
            .filter(|(_, known)| known.anchor)
            .map(|(peer, _)| *peer)
    }

    /// A link to `peer` proved itself. A newer link replaces an older one: the older is most likely dead without knowing.
    pub fn on_link_up(&mut self, peer: P, link: L, anchor: bool) -> Admission<L> {
        self.dialing.remove(&peer);
        let anchor = anchor || self.is_anchor(&peer);
        if self.anchors_only && !anchor {
            return Admission::Unwanted;
        }
        if let Some(known) = self.candidates.get_mut(&peer) {
            known.failures = 0;
        }
        if let Some((old, _)) = self.links.insert(peer, (link, anchor)) {
            return Admission::Replace(old);
        }
        if self.links.len() > self.config.links_max {
            self.links.remove(&peer);
            return Admission::Full;
        }
        Admission::Keep
    }

    /// A link that was kept ended. The peer is tried again soon, a little spread out.
    pub fn on_link_down(&mut self, peer: &P, link: L, now: Duration, rng: &mut impl Rng) {
        if self.links.get(peer).is_some_and(|(held, _)| *held == link) {
            self.links.remove(peer);
            if let Some(known) = self.candidates.get_mut(peer) {
                known.next_try = now + jitter(BACKOFF_MIN, rng);
            }
        }
    }

    /// Dialling `peer` came to nothing, or the peer refused the link.
    pub fn on_dial_failed(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        self.dialing.remove(peer);
        if let Some(known) = self.candidates.get_mut(peer) {
            known.failures = known.failures.saturating_add(1);
            let ceiling = BACKOFF_MIN
                .saturating_mul(1 << known.failures.min(10))
                .min(BACKOFF_MAX);
            known.next_try = now + jitter(ceiling, rng);
        }
    }

    /// The network came back, or the machine woke: everything may be tried at once.
    pub fn retry_now(&mut self, now: Duration) {
        for known in self.candidates.values_mut() {
            known.failures = 0;
            known.next_try = known.next_try.min(now);
        }
    }

    /// The peers to dial now. Call it after every change and every second or so.
    pub fn dial(&mut self, now: Duration, rng: &mut impl Rng) -> Vec<(P, bool)> {
        let overdue: Vec<P> = self
            .dialing
            .iter()
            .filter(|(_, since)| now >= **since + DIAL_TIMEOUT)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in overdue {
            self.on_dial_failed(&peer, now, rng);
        }
        let mut dials = Vec::new();
        while self.dialing.len() < DIALS_MAX {
            let anchors = self.links.values().filter(|(_, anchor)| *anchor).count()
                + self.dialing.keys().filter(|peer| self.is_anchor(peer)).count();
            let all = self.links.len() + self.dialing.len();
            let want_anchor = anchors < self.config.anchors_target;
            let want_any = all < self.config.links_target;
            let ready: Vec<(P, bool)> = self
                .candidates
                .iter()
                .filter(|(peer, known)| {
                    known.next_try <= now
                        && !self.links.contains_key(peer)
                        && !self.dialing.contains_key(peer)
                        && if known.anchor {
                            want_anchor
                        } else {
                            want_any && !self.anchors_only
                        }
                })
                .map(|(peer, known)| (*peer, known.anchor))
                .collect();
            // Anchors first; among equals by chance, so that peers do not all pick the same neighbour.
            let anchors_ready = ready.iter().any(|(_, anchor)| *anchor);
            let pool: Vec<_> = ready
                .into_iter()
                .filter(|(_, anchor)| *anchor == anchors_ready)
                .collect();
            if pool.is_empty() {
                break;
            }
            let chosen = pool[(rng.next_u64() % pool.len() as u64) as usize];
            self.dialing.insert(chosen.0, now);
            dials.push(chosen);
        }
        dials
    }

    /// Dials under way.
    #[must_use]
    pub fn dialing(&self) -> usize {
        self.dialing.len()
    }

    /// The link to a peer.
    #[must_use]
    pub fn link(&self, peer: &P) -> Option<L> {
        self.links.get(peer).map(|(link, _)| *link)
    }
}

fn jitter(ceiling: Duration, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(rng.next_u64() % micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    fn overlay() -> (Overlay<u32, u32>, ChaCha8Rng) {
        let config = OverlayConfig {
            links_target: 3,
            links_max: 4,
            anchors_target: 1,
        };
        (Overlay::new(config), ChaCha8Rng::seed_from_u64(1))
    }

    const fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn anchors_are_dialled_first() {
        let (mut overlay, mut rng) = overlay();
        for peer in 0..10 {
            overlay.add_candidate(peer, peer == 7, at(0));
        }
        let dials = overlay.dial(at(0), &mut rng);
        assert_eq!(dials[0], (7, true));
        assert_eq!(dials.len(), 3, "as many as the target");
    }

    #[test]
    fn a_failed_peer_waits_and_the_wait_grows_but_ends() {
        let (mut overlay, mut rng) = overlay();
        overlay.add_candidate(1, false, at(0));
        let mut now = at(0);
        for _ in 0..20 {
            while overlay.dial(now, &mut rng).is_empty() {
                now += Duration::from_millis(100);
            }
            overlay.on_dial_failed(&1, now, &mut rng);
        }
        let failed = now;
        while overlay.dial(now, &mut rng).is_empty() {
            now += Duration::from_millis(100);
        }
        assert!(now - failed <= BACKOFF_MAX + at(1));
    }

    #[test]
    fn a_newer_link_replaces_the_older_and_its_end_is_ignored() {
        let (mut overlay, mut rng) = overlay();
        assert_eq!(overlay.on_link_up(1, 10, false), Admission::Keep);
        assert_eq!(overlay.on_link_up(1, 11, false), Admission::Replace(10));
        overlay.on_link_down(&1, 10, at(1), &mut rng);
        assert_eq!(overlay.link(&1), Some(11));
    }

    #[test]
    fn no_more_links_than_the_maximum() {
        let (mut overlay, _) = overlay();
        for peer in 0..4 {
            assert_eq!(overlay.on_link_up(peer, peer, false), Admission::Keep);
        }
        assert_eq!(overlay.on_link_up(4, 4, false), Admission::Full);
        assert_eq!(overlay.link(&4), None);
    }

    #[test]
    fn anchors_only_refuses_and_closes_the_others() {
        let (mut overlay, mut rng) = overlay();
        overlay.on_link_up(1, 10, false);
        overlay.on_link_up(2, 20, true);
        assert_eq!(overlay.set_anchors_only(true), vec![10]);
        assert_eq!(overlay.on_link_up(3, 30, false), Admission::Unwanted);
        overlay.add_candidate(4, false, at(0));
        assert!(overlay.dial(at(0), &mut rng).is_empty());
    }

    #[test]
    fn the_candidate_table_is_bounded_and_keeps_anchors() {
        let (mut overlay, _) = overlay();
        for peer in 0..2_000 {
            overlay.add_candidate(peer, peer >= 1_990, at(0));
        }
        assert_eq!(overlay.candidates.len(), CANDIDATES_MAX);
        assert_eq!(overlay.anchors().count(), 10);
    }

    #[test]
    fn a_dial_without_outcome_is_given_up() {
        let (mut overlay, mut rng) = overlay();
        overlay.add_candidate(1, false, at(0));
        assert_eq!(overlay.dial(at(0), &mut rng).len(), 1);
        assert!(overlay.dial(at(10), &mut rng).is_empty());
        overlay.dial(at(16), &mut rng);
        let mut now = at(17);
        while overlay.dial(now, &mut rng).is_empty() {
            now += Duration::from_millis(100);
        }
        assert!(now < at(60));
    }
}
