//! Comparison of two sets of feeds by sketches.

use serde::{Deserialize, Serialize};

use super::Fields;
use super::sync::is_length;
use crate::limits;

/// Bytes of one cell of a sketch.
pub const SKETCH_CELL_LEN: usize = 20;
/// Bytes of a feed's key in a sketch that identify the feed in the result.
pub const FEED_KEY_LEN: usize = 6;
/// The first bytes of a feed's key in a sketch.
pub type FeedKey = [u8; FEED_KEY_LEN];

/// See [`Message::Sketch`](super::Message::Sketch).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// Number of the comparison; a number other than the previous one starts a new comparison.
    pub round: u32,
    /// Number of feeds in the sketch.
    pub feeds: u32,
    /// The number of the first cell: how many cells were sent before, or 0.
    pub first: u32,
    /// Cells of [`SKETCH_CELL_LEN`] bytes.
    pub cells: Vec<u8>,
}

impl Fields for Sketch {
    fn within_limits(&self) -> bool {
        let cells = self.cells.len() / SKETCH_CELL_LEN;
        self.cells.len().is_multiple_of(SKETCH_CELL_LEN) && cells <= limits::SKETCH_CELLS_PER_MESSAGE_MAX
    }
}

/// See [`Message::Compared`](super::Message::Compared).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Number of the comparison.
    pub round: u32,
    /// Its result.
    pub verdict: Verdict,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The cells so far are too few; this number of them, counted from the first, may be enough.
    More(u32),
    /// Digests are shorter, since too little is held by both: the receiver sends its digest, the sender's follows.
    Plain,
    /// The differences, or a part of them, seen from the sender of the sketch.
    Differ(Differences),
}

/// See [`Verdict::Differ`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Feeds of the sketch that are not held here: the receiver answers with a digest of them.
    pub asked: Vec<FeedKey>,
    /// Feeds of which more is held here, with the number of their next entry.
    pub ahead: Vec<(FeedKey, u64)>,
    /// The last part.
    pub end: bool,
}

impl Fields for Compared {
    fn within_limits(&self) -> bool {
        match &self.verdict {
            Verdict::More(_) | Verdict::Plain => true,
            Verdict::Differ(differences) => {
                differences.asked.len() + differences.ahead.len() <= limits::DIFFERENCES_PER_MESSAGE_MAX
                    && differences.ahead.iter().all(|(_, next_seq)| is_length(*next_seq))
            }
        }
    }
}
