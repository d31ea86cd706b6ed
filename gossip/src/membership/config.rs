//! How a peer behaves in the overlay. Every number says where it comes from.

use core::time::Duration;

/// Settings of one peer's [`Membership`](super::Membership).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This peer never sleeps, so others reserve places for it.
    pub anchor: bool,
    /// Dial until there are this many neighbours. The paper needs ln(n) + 1 to stay connected; 8 is enough for ten thousand
    /// peers and affordable for a tab.
    pub active_target: usize,
    /// Accept peers that want one more neighbour up to this number.
    pub active_high: usize,
    /// Accept peers without any neighbour up to this number. It is never exceeded.
    pub active_max: usize,
    /// Neighbours that should be anchors. These places are reserved for them.
    pub anchors_target: usize,
    /// Dial only anchors: a relay cannot dial a tab.
    pub dial_anchors_only: bool,
    /// Peers remembered beyond the neighbours. After nine tenths of the peers died, 160 leave a survivor without a living
    /// acquaintance once in twenty million cases; 96, which was tried, once in twenty-five thousand.
    pub passive_max: usize,
    /// Connections that are not neighbours yet. When there are more, the oldest one that has asked for nothing within a second is
    /// closed; without one the new connection is refused.
    pub guests_max: usize,
    /// Dials under way at once: a WebRTC dial takes seconds, so several run side by side. Three times as many while more
    /// than half of the neighbours are missing.
    pub dials_max: usize,
    /// A dial without an outcome has failed after this. WebRTC through a far relay was seen to need 5 s.
    pub dial_timeout: Duration,
    /// A request without an answer, or a connection without a request, is given up after this.
    pub request_timeout: Duration,
    /// Neighbours hear from each other this often.
    pub heartbeat_every: Duration,
    /// Heartbeats in a row that may be missing before a neighbour counts as inactive.
    pub missed_max: u32,
    /// Interval of exchanges of samples along a random walk.
    pub shuffle_every: Duration,
    /// How often a peer outside the view is contacted, so that partitions merge again and views change over time.
    pub mix_every: Duration,
    /// A peer that no neighbour mentioned within this time is forgotten, unless it was a neighbour once.
    pub passive_age_max: Duration,
    /// First pause after a failed dial.
    pub backoff_min: Duration,
    /// Longest pause after failed dials.
    pub backoff_max: Duration,
}

impl Config {
    /// A browser tab, or any peer that comes and goes.
    #[must_use]
    pub const fn visitor() -> Self {
        Self {
            anchor: false,
            active_target: 8,
            active_high: 12,
            active_max: 16,
            anchors_target: 2,
            dial_anchors_only: false,
            passive_max: 160,
            guests_max: 8,
            dials_max: 4,
            dial_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            heartbeat_every: Duration::from_secs(5),
            missed_max: 2,
            shuffle_every: Duration::from_secs(15),
            mix_every: Duration::from_secs(30),
            passive_age_max: Duration::from_mins(10),
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(20),
        }
    }

    /// A native peer that never sleeps.
    #[must_use]
    pub const fn anchor() -> Self {
        Self {
            anchor: true,
            active_target: 64,
            active_high: 192,
            active_max: 256,
            anchors_target: 16,
            passive_max: 512,
            guests_max: 64,
            dials_max: 16,
            ..Self::visitor()
        }
    }

    /// The same for another number of neighbours, in the proportions of [`Config::visitor`].
    #[must_use]
    pub const fn with_active(mut self, target: usize) -> Self {
        self.active_target = target;
        self.active_high = target + target.div_ceil(2);
        self.active_max = target * 2;
        self
    }
}
