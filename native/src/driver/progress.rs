//! How far the driver's thread has got: what readiness and liveness are judged by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shared between the driver's thread, which reports, and its handles, which ask.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    start: Instant,
    times: Arc<Times>,
}

/// In milliseconds since the start.
#[derive(Debug, Default)]
struct Times {
    turned: AtomicU64,
    open: AtomicU64,
}

/// For how long the driver's thread has done nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standstill {
    /// Since it finished an input.
    pub thread: Duration,
    /// Since the store's queue had a place for everything that it was given.
    pub store: Duration,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            times: Arc::default(),
        }
    }

    /// The thread is between two inputs. `open`: nothing waits for a place in the store's queue.
    pub(super) fn record(&self, open: bool) {
        let now = millis(self.start.elapsed());
        self.times.turned.store(now, Ordering::Relaxed);
        if open {
            self.times.open.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn standstill(&self) -> Standstill {
        let now = millis(self.start.elapsed());
        let since =
            |time: &AtomicU64| Duration::from_millis(now.saturating_sub(time.load(Ordering::Relaxed)));
        Standstill {
            thread: since(&self.times.turned),
            store: since(&self.times.open),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;

    #[test]
    fn a_thread_that_waits_for_its_store_is_told_from_one_that_stands() {
        let progress = Progress::new();
        std::thread::sleep(Duration::from_millis(20));
        progress.record(false);
        let standstill = progress.standstill();
        assert!(standstill.thread < standstill.store, "{standstill:?}");
        assert!(standstill.store >= Duration::from_millis(20));
        progress.record(true);
        assert!(progress.standstill().store < Duration::from_millis(20));
    }
}
