//! Token buckets: rate limits with bursts.
//!
//! Invariant: within any `t` seconds a bucket lets at most `burst + t · per_s` through.

use protocol::Instant;

/// The rate that a bucket allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens available at once after a pause.
    pub burst: u32,
    /// Tokens per second in the long run.
    pub per_s: u32,
}

/// A token bucket. It starts full.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Tokens left, in millionths, so that short intervals count.
    micro: u64,
    at: Instant,
}

const MICRO: u64 = 1_000_000;

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self {
            micro: u64::from(rate.burst) * MICRO,
            at: now,
        }
    }

    /// Whether no token is missing.
    #[must_use]
    pub fn is_full(&self, rate: Rate, now: Instant) -> bool {
        let mut all = *self;
        all.take(rate, now, rate.burst)
    }

    /// Takes `cost` tokens if there are enough, and returns whether there were.
    pub fn take(&mut self, rate: Rate, now: Instant, cost: u32) -> bool {
        let elapsed_us = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        let full = u64::from(rate.burst) * MICRO;
        self.micro = self
            .micro
            .saturating_add(elapsed_us.saturating_mul(u64::from(rate.per_s)))
            .min(full);
        let cost = u64::from(cost) * MICRO;
        let enough = self.micro >= cost;
        if enough {
            self.micro -= cost;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, TokenBucket};
    use protocol::Instant;

    const RATE: Rate = Rate { burst: 3, per_s: 2 };

    #[test]
    fn a_burst_then_the_long_run() {
        let mut bucket = TokenBucket::new(RATE, Instant(0));
        assert!((0..3).all(|_| bucket.take(RATE, Instant(0), 1)));
        assert!(!bucket.take(RATE, Instant(0), 1));
        assert!(!bucket.take(RATE, Instant(499_999), 1));
        assert!(bucket.take(RATE, Instant(500_000), 1));
        assert!(!bucket.take(RATE, Instant(500_001), 1));
    }

    #[test]
    fn a_bucket_is_full_again_after_a_while() {
        let mut bucket = TokenBucket::new(RATE, Instant(0));
        assert!(bucket.is_full(RATE, Instant(0)));
        assert!(bucket.take(RATE, Instant(0), 1));
        assert!(!bucket.is_full(RATE, Instant(499_999)));
        assert!(bucket.is_full(RATE, Instant(500_000)));
    }

    #[test]
    fn a_long_quiet_time_gives_no_more_than_a_burst() {
        let mut bucket = TokenBucket::new(RATE, Instant(0));
        assert!(!bucket.take(RATE, Instant(u64::MAX), 4));
        assert!(bucket.take(RATE, Instant(u64::MAX), 3));
        assert!(!bucket.take(RATE, Instant(0), 1), "time does not run backwards");
    }
}
