//! Measured figures: one JSON object per line, beside the target they were measured for.

use serde::Serialize;

/// Whether a figure should be small or large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Good when not above this.
    AtMost(f64),
    /// Good when not below this.
    AtLeast(f64),
    /// Printed to be compared, with nothing promised.
    None,
}

/// One measured figure. Printed as one JSON object, fields that were not set left out.
#[derive(Debug, Serialize)]
pub struct Figure<'a> {
    bench: &'a str,
    figure: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attack: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<&'a [u64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feeds: Option<usize>,
}

impl<'a> Figure<'a> {
    /// A figure of a benchmark, in its unit.
    #[must_use]
    pub fn new(bench: &'a str, figure: &'a str, value: f64, unit: &'a str) -> Self {
        // Three decimals: what is measured here is not known any better.
        let value = (value * 1000.0).round() / 1000.0;
        Self {
            bench,
            figure,
            attack: None,
            of: None,
            value,
            unit,
            n: None,
            in_flight: None,
            target: None,
            met: None,
            peer: None,
            seed: SEED,
            seeds: None,
            feeds: None,
        }
    }

    /// The attack it was measured under.
    #[must_use]
    pub fn attack(mut self, attack: &'a str) -> Self {
        self.attack = Some(attack);
        self
    }

    /// What exactly it is of, where a figure has several.
    #[must_use]
    pub fn of(mut self, of: &'a str) -> Self {
        self.of = Some(of);
        self
    }

    /// How many feeds the relay held.
    #[must_use]
    pub fn feeds(mut self, feeds: usize) -> Self {
        self.feeds = Some(feeds);
        self
    }

    /// How many samples, or how large the task was.
    #[must_use]
    pub fn n(mut self, n: usize) -> Self {
        self.n = Some(n);
        self
    }

    /// How many of them each client had under way at a time.
    #[must_use]
    pub fn in_flight(mut self, in_flight: usize) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    /// Something else measured in the same run for comparison: a library, a browser's own function, a limit.
    #[must_use]
    pub fn peer(mut self, peer: &'a str) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The seeds it was taken from, when there were several.
    #[must_use]
    pub fn seeds(mut self, seeds: &'a [u64]) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// What it should be.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        (self.target, self.met) = match target {
            Target::AtMost(most) => (Some(most), Some(self.value <= most)),
            Target::AtLeast(least) => (Some(least), Some(self.value >= least)),
            Target::None => (None, None),
        };
        self
    }

    /// Prints it on standard output.
    ///
    /// # Panics
    /// If standard output is gone: nobody is there to measure for.
    pub fn print(&self) {
        println!(
            "{}",
            serde_json::to_string(self).expect("plain numbers and words")
        );
    }
}

/// The seed of everything chosen at random in a benchmark's load. Keys and timings come from the machine.
pub const SEED: u64 = 1;

/// Prints one figure on standard output.
pub fn print(bench: &str, figure: &str, value: f64, unit: &str, target: Target) {
    Figure::new(bench, figure, value, unit).target(target).print();
}

/// The value below which a share (0 to 1) of the samples lies: nearest rank. 0 when there are none.
#[must_use]
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_samples() {
        let samples = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(percentile(&samples, 0.5), 3.0);
        assert_eq!(percentile(&samples, 0.99), 5.0);
        assert_eq!(percentile(&samples, 0.0), 1.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
