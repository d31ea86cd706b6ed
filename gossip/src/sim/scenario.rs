//! What is to happen in a simulated network, and what is expected of it. Written as TOML; see `gossip/scenarios/`.

use serde::{Deserialize, Serialize};

use super::network::{Hostility, Network};

/// A run, from the first join to the last check.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Members.
    pub nodes: u32,
    /// Neighbours aimed at.
    #[serde(default = "active")]
    pub active: usize,
    /// The source of all chance.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Members that join per second.
    #[serde(default = "join_per_s")]
    pub join_per_s: u32,
    /// All join through the first member; else through any that is there.
    #[serde(default)]
    pub one_contact: bool,
    /// Seconds from the last join to second 0 of everything below.
    #[serde(default = "settle_s")]
    pub settle_s: f64,
    /// When it ends.
    pub end_s: f64,
    /// Share of members that are hostile from the start.
    #[serde(default)]
    pub hostile: f64,
    /// What hostile members do.
    #[serde(default)]
    pub hostility: Vec<Hostility>,
    /// The links.
    #[serde(default)]
    pub network: Network,
    /// What is broadcast.
    #[serde(default)]
    pub traffic: Vec<Traffic>,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

const fn active() -> usize {
    8
}

const fn seed() -> u64 {
    1
}

const fn join_per_s() -> u32 {
    500
}

const fn settle_s() -> f64 {
    30.0
}

/// Who broadcasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Senders {
    /// Always the same member.
    One,
    /// Any member, each time another.
    #[default]
    Many,
}

/// Broadcasts at a steady pace.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// From when on.
    pub at_s: f64,
    /// The number of messages.
    pub messages: u32,
    /// Milliseconds between them.
    #[serde(default = "every_ms")]
    pub every_ms: u64,
    /// The senders.
    #[serde(default)]
    pub senders: Senders,
    /// What must come of these.
    #[serde(default)]
    pub expect: TrafficExpect,
}

const fn every_ms() -> u64 {
    1_000
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Members die at once without notice.
    Kill {
        /// When.
        at_s: f64,
        /// Which share.
        share: f64,
    },
    /// Members freeze, as tabs do, and thaw.
    Freeze {
        /// When.
        at_s: f64,
        /// Which share.
        share: f64,
        /// For how long.
        for_s: f64,
    },
    /// The network falls in two.
    Cut {
        /// When.
        at_s: f64,
        /// Which share is on the smaller side.
        share: f64,
        /// For how long.
        for_s: f64,
    },
    /// Members die and others are born, all the time.
    Churn {
        /// From when on.
        at_s: f64,
        /// For how long.
        for_s: f64,
        /// Deaths per second; as many return.
        per_s: f64,
    },
    /// Members join, all within a second.
    Storm {
        /// When.
        at_s: f64,
        /// How many of the members wait for this.
        nodes: u32,
    },
}

impl Fault {
    /// When it happens.
    #[must_use]
    pub const fn at_s(&self) -> f64 {
        match self {
            Self::Kill { at_s, .. }
            | Self::Freeze { at_s, .. }
            | Self::Cut { at_s, .. }
            | Self::Churn { at_s, .. }
            | Self::Storm { at_s, .. } => *at_s,
        }
    }

    /// When it is over.
    #[must_use]
    pub const fn over_s(&self) -> f64 {
        match self {
            Self::Kill { at_s, .. } => *at_s,
            Self::Freeze { at_s, for_s, .. }
            | Self::Cut { at_s, for_s, .. }
            | Self::Churn { at_s, for_s, .. } => *at_s + *for_s,
            Self::Storm { at_s, .. } => *at_s + 1.0,
        }
    }
}

/// Bounds for one block of broadcasts; what is left out is not checked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrafficExpect {
    /// Least share of (message, honest survivor) pairs.
    pub delivered_min: Option<f64>,
    /// Most redundant bodies per delivered body.
    pub rmr_max: Option<f64>,
    /// Most links travelled.
    pub ldh_max: Option<u16>,
    /// Longest time until everybody had a message, 99 of 100 messages.
    pub full_p99_ms_max: Option<f64>,
    /// Longest time until everybody had a message, counted from when the last fault before it was noticed.
    pub late_ms_max: Option<f64>,
}

/// Bounds for the whole run; what is left out is not checked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Components at the end.
    pub components_max: Option<usize>,
    /// Members without a neighbour at the end.
    pub isolated_max: Option<usize>,
    /// Members whose loss would split the graph at the end.
    pub articulation_points_max: Option<usize>,
    /// Seconds from the end of the last fault until the graph is whole and stays so.
    pub whole_after_s_max: Option<f64>,
    /// The most neighbours any member ever had.
    pub degree_max: Option<usize>,
    /// The most components that were seen, at least: the cut did cut.
    pub components_seen_min: Option<usize>,
    /// Messages lost, at least: the network did lose.
    pub lost_min: Option<u64>,
    /// Links that only one of the two takes for one, at the end and a while later.
    pub one_sided_max: Option<usize>,
}
