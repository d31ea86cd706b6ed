//! Pauses between tries: exponential with full jitter (Brooker, "Exponential Backoff and Jitter", 2015), so that the
//! clients of a server that came back do not arrive all at once.

use core::time::Duration;

/// How long to wait before the next try.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// The ceiling starts at `first` and doubles with every failure up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// Another failure: the pause, given a random number.
    pub fn pause(&mut self, random: u64) -> Duration {
        let ceiling = self
            .first
            .saturating_mul(1 << self.failures.min(16))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(random % micros)
    }

    /// Starts over with the first pause: an attempt succeeded, or there is a sign that the network is back.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let worst: Vec<u128> = (0..9)
            .map(|_| backoff.pause(u64::MAX - 615).as_millis())
            .collect();
        assert!(
            worst[0] < 200 && worst.iter().all(|pause| *pause < 10_000),
            "{worst:?}"
        );
        assert_eq!(backoff.pause(10_000_000 * 7), Duration::ZERO);
        assert!(backoff.pause(9_999_999) > Duration::from_secs(9));
        backoff.reset();
        assert!(backoff.pause(199_999) < Duration::from_millis(200));
    }
}
