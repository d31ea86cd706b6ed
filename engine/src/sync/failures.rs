//! Which requests neighbours left unanswered. Neighbours say how far they hold feeds, and nobody can verify that before
//! the entries are here: one that said so and sent nothing comes after the others that say so, for a time that doubles.

use core::time::Duration;

use ordered::Map;
use protocol::{DeviceId, Instant};

use super::fetch::STALLED;

/// Feeds that a neighbour did not send, 48 bytes each. Policy when full: the one whose pause ends first is forgotten.
const FAILED_MAX: usize = 128;
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// How often a neighbour did not send a feed, and until when others come before it.
#[derive(Clone, Copy, Debug)]
struct Failure {
    times: u32,
    until: Instant,
}

/// The feeds that one neighbour did not send.
#[derive(Debug, Default)]
pub(super) struct Failures {
    feeds: Map<DeviceId, Failure>,
}

impl Failures {
    /// A request was given up.
    pub(super) fn record(&mut self, device: DeviceId, now: Instant) {
        let times = self.times(&device).saturating_add(1);
        let pause = STALLED.saturating_mul(1 << times.min(8)).min(PAUSE_MAX);
        let until = now + pause;
        self.feeds.insert(device, Failure { times, until });
        if self.feeds.len() > FAILED_MAX {
            let first = self.feeds.iter().min_by_key(|(_, failure)| failure.until);
            if let Some(first) = first.map(|(device, _)| *device) {
                self.feeds.remove(&first);
            }
        }
    }

    /// The neighbour sent something of a feed.
    pub(super) fn on_progress(&mut self, device: &DeviceId) {
        self.feeds.remove(device);
    }

    /// How often the neighbour did not send a feed, one time after the other.
    pub(super) fn times(&self, device: &DeviceId) -> u32 {
        self.feeds.get(device).map_or(0, |failure| failure.times)
    }

    /// Whether others come before the neighbour.
    pub(super) fn is_paused(&self, device: &DeviceId, now: Instant) -> bool {
        self.feeds.get(device).is_some_and(|failure| now < failure.until)
    }

    /// The feeds for which they do.
    pub(super) fn paused(&self, now: Instant) -> impl Iterator<Item = &DeviceId> {
        let paused = self.feeds.iter().filter(move |(_, failure)| now < failure.until);
        paused.map(|(device, _)| device)
    }
}

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
