//! The same device in two places: a copied browser profile whose original is open, too. A peer keeps one link to each
//! key, so the two take each other's links for as long as both dial again at once. This counts how often that happens,
//! slows it down, and lets the person know before both write.

use core::time::Duration;

use protocol::Instant;

/// Links lost to another holder of the key before it counts as one: a link that is opened again after a change of
/// network replaces the earlier one, too.
const COUNT_MIN: u32 = 3;
/// Losses further apart than this have nothing to do with each other. Longer than the pause after which a displaced
/// device dials again, 60 s.
const APART: Duration = Duration::from_mins(3);

/// What a peer says that closes a link since its neighbour opened a newer one.
pub(super) const REPLACED: &str = "replaced by a newer link";

#[derive(Debug, Default)]
pub(super) struct Displaced {
    count: u32,
    last: Option<Instant>,
}

impl Displaced {
    /// A link of this device was replaced, and not by this device. Whether it is time to be slower.
    pub(super) fn record(&mut self, now: Instant) -> bool {
        if !self.is_recent(now) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
        self.count >= COUNT_MIN
    }

    /// Whether this device is in use somewhere else.
    pub(super) fn is_elsewhere(&self, now: Instant) -> bool {
        self.count >= COUNT_MIN && self.is_recent(now)
    }

    fn is_recent(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.since(last) < APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_replaced_now_and_then_says_nothing() {
        let mut displaced = Displaced::default();
        let mut now = Instant::default();
        for _ in 0..10 {
            assert!(!displaced.record(now));
            assert!(!displaced.is_elsewhere(now));
            now = now + APART;
        }
    }

    #[test]
    fn links_that_are_replaced_again_and_again_are_those_of_another_holder_of_the_key() {
        let mut displaced = Displaced::default();
        let start = Instant::default();
        let later = |s: u64| start + Duration::from_secs(s);
        assert!(!displaced.record(start) && !displaced.record(later(1)));
        assert!(displaced.record(later(2)));
        assert!(displaced.is_elsewhere(later(60)));
        assert!(displaced.record(later(100)), "a minute's pause is no end of it");
        assert!(displaced.is_elsewhere(later(101)));
        assert!(
            !displaced.is_elsewhere(later(100) + APART),
            "the other one is closed"
        );
    }
}
