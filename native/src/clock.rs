//! The operating system's clocks in the units of the engine.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::io::Now;
use protocol::Timestamp;

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
