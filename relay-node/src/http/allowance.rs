//! So much a minute, for everybody together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it takes an empty one to be full again.
const MINUTE: Duration = Duration::from_mins(1);

/// A bucket that refills evenly.
#[derive(Debug)]
pub(crate) struct Allowance {
    per_minute: f64,
    /// What is left, and since when.
    left: Mutex<(f64, Instant)>,
}

impl Allowance {
    /// A full one.
    pub(crate) fn new(per_minute: u32) -> Self {
        let per_minute = f64::from(per_minute);
        Self {
            per_minute,
            left: Mutex::new((per_minute, Instant::now())),
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, since) = *left;
        let grown =
            now.saturating_duration_since(since).as_secs_f64() / MINUTE.as_secs_f64() * self.per_minute;
        let have = (before + grown).min(self.per_minute);
        let enough = have >= 1.0;
        *left = (if enough { have - 1.0 } else { have }, now);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Duration, Instant};

    #[test]
    fn what_is_spent_comes_back_with_time_and_never_more() {
        let allowance = Allowance::new(6);
        let start = Instant::now();
        let taken = |at| (0..20).filter(|_| allowance.take_at(at)).count();
        assert_eq!(taken(start), 6);
        assert_eq!(taken(start + Duration::from_secs(11)), 1);
        assert_eq!(taken(start + Duration::from_hours(1)), 6);
    }
}
