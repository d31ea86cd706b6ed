//! The operating system's clocks in the units of the engine, and clocks that a test moves.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::io::Now;
use protocol::Timestamp;
use tokio::sync::watch;

/// Time since a start (monotonic) and the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both readings, taken together.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            instant: protocol::Instant::default() + self.start.elapsed(),
            wall: wall(),
        }
    }

    /// The moment of the operating system at which this clock shows `at`.
    #[must_use]
    pub fn moment(&self, at: protocol::Instant) -> Instant {
        self.start + at.since(protocol::Instant::default())
    }
}

/// The time of day. Before 1970 it is 1970.
#[must_use]
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}

/// Where a service reads the time that has passed, for its leases, pauses and periods.
#[derive(Clone, Debug)]
pub enum Monotonic {
    /// The operating system's monotonic clock.
    System,
    /// A clock that stands still until it is advanced.
    Manual(ManualClock),
}

impl Monotonic {
    /// The moment it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Manual(clock) => clock.base + *clock.passed.borrow(),
        }
    }

    /// Resolves when it is this moment or a later one.
    pub async fn sleep_until(&self, moment: Instant) {
        match self {
            Self::System => tokio::time::sleep_until(moment.into()).await,
            Self::Manual(clock) => {
                let mut passed = clock.passed.subscribe();
                // The sender lives as long as `clock`, so this cannot fail.
                let _ = passed.wait_for(|passed| clock.base + *passed >= moment).await;
            }
        }
    }

    /// Resolves when this time has passed.
    pub async fn sleep(&self, pause: Duration) {
        self.sleep_until(self.now() + pause).await;
    }
}

/// A clock for tests. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock {
    base: Instant,
    passed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a clock has no default moment")]
    pub fn new() -> Self {
        Self {
            base: Instant::now(),
            passed: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.passed.send_modify(|passed| *passed += by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_advanced_and_wakes_who_waits_for_the_moment() {
        let manual = ManualClock::new();
        let clock = Monotonic::Manual(manual.clone());
        let start = clock.now();
        let hour = Duration::from_hours(1);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(hour).await }
        });
        tokio::task::yield_now().await;
        manual.advance(hour - Duration::from_nanos(1));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        manual.advance(Duration::from_nanos(1));
        waiting.await.unwrap();
        assert_eq!(clock.now(), start + hour);
    }
}
