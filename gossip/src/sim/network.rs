//! What the simulated network does to what is sent.

use core::time::Duration;

/// How a hostile member behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hostility {
    /// It takes part in the overlay and passes nothing on.
    Silent,
    /// It announces what it does not give, and what does not exist.
    Lying,
    /// It passes on, and floods its neighbours with invented acquaintances.
    Flooding,
}

/// The links between members.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Shortest and longest time from one member to another, in milliseconds. Each pair has its own.
    pub latency_ms: (u64, u64),
    /// Places the members live at; within one, messages take a fifth of the time. 0: no places.
    pub clusters: u32,
    /// Share of messages lost.
    pub loss: f64,
    /// Shortest and longest time a dial takes beyond two round trips, in milliseconds.
    pub dial_ms: (u64, u64),
    /// Share of dials that fail for no reason.
    pub dial_failure: f64,
    /// Share of pairs of which only one can dial the other.
    pub one_way: f64,
    /// How long it takes to find out that nobody answers, in milliseconds.
    pub dial_refused_ms: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency_ms: (20, 150),
            clusters: 0,
            loss: 0.0,
            dial_ms: (100, 1_000),
            dial_failure: 0.0,
            one_way: 0.0,
            dial_refused_ms: 2_000,
        }
    }
}

impl Network {
    /// The time a message takes between two members, the same in both directions.
    #[must_use]
    pub fn latency(&self, seed: u64, a: u32, b: u32) -> Duration {
        let (min, max) = (self.latency_ms.0 * 1_000, self.latency_ms.1 * 1_000);
        let chance = pair(seed, a, b);
        let micros = min + chance % (max - min + 1).max(1);
        let near = self.clusters > 0 && a % self.clusters == b % self.clusters;
        Duration::from_micros(if near { micros / 5 } else { micros })
    }

    /// Whether `from` can dial `to`, as far as their place in the network goes.
    #[must_use]
    pub fn can_dial(&self, seed: u64, from: u32, to: u32) -> bool {
        let chance = pair(seed ^ 0x00d1_a100, from, to);
        let one_way = share(chance) < self.one_way;
        !one_way || ((chance >> 60) & 1 == 1) == (from < to)
    }
}

/// A number as a share of one.
pub(super) fn share(chance: u64) -> f64 {
    (chance & 0xffff_ffff) as f64 / 4_294_967_296.0
}

/// A number that belongs to a pair, by splitmix64.
fn pair(seed: u64, a: u32, b: u32) -> u64 {
    let (low, high) = (u64::from(a.min(b)), u64::from(a.max(b)));
    let mut x = seed ^ (low << 32 | high).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
