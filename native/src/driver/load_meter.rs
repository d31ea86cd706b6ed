//! Measures the load of this peer where everything passes. A relay publishes the result in its description, and
//! browsers rank relays by it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::io::RelayMetrics;
use engine::store::BatchId;

/// Length of one measurement.
const PERIOD: Duration = Duration::from_secs(2);
/// Batches on their way to the disk that are timed; when there are more, the others are not.
const TIMED_BATCHES_MAX: usize = 4_096;

/// One measurement, until [`PERIOD`] has passed.
#[derive(Debug)]
pub(super) struct LoadMeter {
    began: Instant,
    busy: Duration,
    unpersisted: VecDeque<(BatchId, Instant)>,
    commits: u32,
    commit_time: Duration,
    links: u64,
    refused: Arc<AtomicU64>,
}

impl LoadMeter {
    pub(super) fn new(refused: Arc<AtomicU64>) -> Self {
        Self {
            began: Instant::now(),
            busy: Duration::ZERO,
            unpersisted: VecDeque::new(),
            commits: 0,
            commit_time: Duration::ZERO,
            links: 0,
            refused,
        }
    }

    pub(super) fn record_link(&mut self) {
        self.links += 1;
    }

    pub(super) fn record_persist(&mut self, id: BatchId) {
        if self.unpersisted.len() < TIMED_BATCHES_MAX {
            self.unpersisted.push_back((id, Instant::now()));
        }
    }

    pub(super) fn record_persisted(&mut self, upto: BatchId, now: Instant) {
        while let Some((_, began)) = self.unpersisted.pop_front_if(|(id, _)| *id <= upto) {
            self.commits += 1;
            self.commit_time += now - began;
        }
    }

    /// Records that the engine worked from `began` until now. Returns the measurement if its period is over, and
    /// starts the next one.
    pub(super) fn record_work(&mut self, began: Instant) -> Option<RelayMetrics> {
        let now = Instant::now();
        self.busy += now - began;
        let passed = now - self.began;
        if passed < PERIOD {
            return None;
        }
        let refused = self.refused.swap(0, Ordering::Relaxed);
        let ratio = |part: u128, whole: u128, scale: u128| (part * scale).checked_div(whole).unwrap_or(0);
        let load = ratio(self.busy.as_micros(), passed.as_micros(), 1_000);
        let response = ratio(self.commit_time.as_micros(), u128::from(self.commits), 1);
        let errors = ratio(u128::from(refused), u128::from(refused + self.links), 1_000_000);
        let metrics = RelayMetrics {
            load: load.min(1_000) as u16,
            response_us: u32::try_from(response).unwrap_or(u32::MAX),
            errors_ppm: errors as u32,
        };
        let unpersisted = std::mem::take(&mut self.unpersisted);
        *self = Self {
            unpersisted,
            ..Self::new(Arc::clone(&self.refused))
        };
        Some(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_returned_after_its_period_and_the_next_starts_empty() {
        let refused = Arc::new(AtomicU64::new(1));
        let mut meter = LoadMeter::new(Arc::clone(&refused));
        let now = Instant::now();
        assert_eq!(meter.record_work(now), None);
        meter.began = now - PERIOD * 2;
        meter.busy = PERIOD;
        for _ in 0..3 {
            meter.record_link();
        }
        meter.record_persist(BatchId(1));
        meter.record_persist(BatchId(2));
        meter.record_persisted(BatchId(2), Instant::now() + Duration::from_millis(8));
        let metrics = meter.record_work(Instant::now()).unwrap();
        assert!((450..=550).contains(&metrics.load), "{metrics:?}");
        assert!((8_000..9_000).contains(&metrics.response_us), "{metrics:?}");
        assert_eq!(metrics.errors_ppm, 250_000);
        assert_eq!((meter.commits, refused.load(Ordering::Relaxed)), (0, 0));
    }
}
