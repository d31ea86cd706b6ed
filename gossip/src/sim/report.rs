//! What came of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::network::Hostility;

/// Percentiles of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half are not above.
    pub p50: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// None is above.
    pub max: f64,
}

impl Spread {
    /// Of these values.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (values.len() as f64 * share).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// What came of one block of broadcasts.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport {
    /// The number of messages.
    pub messages: u32,
    /// Redundant bodies per delivered body, from the first of these broadcasts to the next block or the end.
    pub rmr: f64,
    /// The most links a first copy travelled.
    pub ldh_max: u16,
    /// Share of (message, honest member that is there at the end) pairs.
    pub delivered_fraction: f64,
    /// Messages that nobody holds who is there at the end: they died with those who spoke.
    pub vanished: u32,
    /// Until everybody had a message.
    pub full_delivery_ms: Spread,
    /// The same, counted from when the last fault before was noticed; 0 without one.
    pub late_ms: f64,
}

/// Messages and bytes of one kind.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Members.
    pub nodes: u32,
    /// Neighbours aimed at.
    pub active: usize,
    /// The seed.
    pub seed: u64,
    /// Redundant bodies per delivered body in the first block of broadcasts, build-up of the trees included.
    pub rmr: f64,
    /// The most links a first copy travelled in the first block.
    pub ldh_max: u16,
    /// Share of (message, honest member that is there at the end) pairs, over all blocks.
    pub delivered_fraction: f64,
    /// Until everybody had a message, in the first block.
    pub full_delivery_ms: Spread,
    /// Members without a neighbour at the end.
    pub isolated_nodes: usize,
    /// Components at the end.
    pub components: usize,
    /// The most components seen at any second.
    pub components_seen: usize,
    /// Members whose loss would split the graph at the end.
    pub articulation_points: usize,
    /// Links that only one of the two takes for one, at the end and [`LINGER`](super::LINGER) later, if that was
    /// looked at.
    pub one_sided: Option<usize>,
    /// Fewest, mean and most neighbours at the end.
    pub degree: (usize, f64, usize),
    /// The most neighbours any member ever had.
    pub degree_max: usize,
    /// Seconds from the end of the last fault until the graph was whole for good.
    pub whole_after_s: Option<f64>,
    /// Messages lost on the way.
    pub lost: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Things that happened.
    pub events: u64,
    /// Block by block.
    pub traffic: Vec<TrafficReport>,
    /// What was sent, by kind.
    pub sent: BTreeMap<String, Sent>,
    /// Members struck by each fault, in order.
    pub struck: Vec<u32>,
    /// How often hostile members deviated from the protocol, by behaviour.
    pub tampered: BTreeMap<Hostility, u64>,
    /// Expectations that were not met.
    pub failed: Vec<String>,
}
