//! How a relay does, measured where everything passes: what it says of itself, and others rank it by.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::io::Figures;
use engine::store::BatchId;

/// What was measured this long is told.
const EVERY: Duration = Duration::from_secs(2);
/// Batches on their way to the disk that are timed; more are not.
const TIMED_MAX: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Gauge {
    began: Instant,
    busy: Duration,
    under_way: VecDeque<(BatchId, Instant)>,
    commits: u32,
    waited: Duration,
    links: u64,
    refused: Arc<AtomicU64>,
}

impl Gauge {
    pub(super) fn new(refused: Arc<AtomicU64>) -> Self {
        Self {
            began: Instant::now(),
            busy: Duration::ZERO,
            under_way: VecDeque::new(),
            commits: 0,
            waited: Duration::ZERO,
            links: 0,
            refused,
        }
    }

    pub(super) fn linked(&mut self) {
        self.links += 1;
    }

    pub(super) fn persist(&mut self, id: BatchId) {
        if self.under_way.len() < TIMED_MAX {
            self.under_way.push_back((id, Instant::now()));
        }
    }

    pub(super) fn persisted(&mut self, upto: BatchId, now: Instant) {
        while let Some((_, began)) = self.under_way.pop_front_if(|(id, _)| *id <= upto) {
            self.commits += 1;
            self.waited += now - began;
        }
    }

    /// An input that came at `began` was worked on until now. The figures, when it is time.
    pub(super) fn worked(&mut self, began: Instant) -> Option<Figures> {
        let now = Instant::now();
        self.busy += now - began;
        let passed = now - self.began;
        if passed < EVERY {
            return None;
        }
        let refused = self.refused.swap(0, Ordering::Relaxed);
        let share = |part: u128, whole: u128, of: u128| (part * of).checked_div(whole).unwrap_or(0);
        let load = share(self.busy.as_micros(), passed.as_micros(), 1_000);
        let response = share(self.waited.as_micros(), u128::from(self.commits), 1);
        let errors = share(u128::from(refused), u128::from(refused + self.links), 1_000_000);
        let figures = Figures {
            load: load.min(1_000) as u16,
            response_us: u32::try_from(response).unwrap_or(u32::MAX),
            errors_ppm: errors as u32,
        };
        let under_way = std::mem::take(&mut self.under_way);
        *self = Self {
            under_way,
            ..Self::new(Arc::clone(&self.refused))
        };
        Some(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_told_and_begun_anew() {
        let refused = Arc::new(AtomicU64::new(1));
        let mut gauge = Gauge::new(Arc::clone(&refused));
        let now = Instant::now();
        assert_eq!(gauge.worked(now), None);
        gauge.began = now - EVERY * 2;
        gauge.busy = EVERY;
        for _ in 0..3 {
            gauge.linked();
        }
        gauge.persist(BatchId(1));
        gauge.persist(BatchId(2));
        gauge.persisted(BatchId(2), Instant::now() + Duration::from_millis(8));
        let figures = gauge.worked(Instant::now()).unwrap();
        assert!((450..=550).contains(&figures.load), "{figures:?}");
        assert!((8_000..9_000).contains(&figures.response_us), "{figures:?}");
        assert_eq!(figures.errors_ppm, 250_000);
        assert_eq!((gauge.commits, refused.load(Ordering::Relaxed)), (0, 0));
    }
}
