//! Work that a relay asks for before it takes a new account.

use serde::{Deserialize, Serialize};

use super::Fields;

/// More bits than anybody could find.
const BITS_MAX: u8 = 64;

/// See [`Message::WorkRequired`](super::Message::WorkRequired).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRequired {
    /// How much work.
    pub bits: u8,
    /// Of the relay's choice.
    pub challenge: [u8; 16],
}

impl Fields for WorkRequired {
    fn within_limits(&self) -> bool {
        self.bits <= BITS_MAX
    }
}

/// See [`Message::WorkDone`](super::Message::WorkDone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkDone {
    /// As it was asked for.
    pub bits: u8,
    pub challenge: [u8; 16],
    /// Solves the [puzzle](crate::work::Puzzle).
    pub nonce: u64,
}

impl Fields for WorkDone {
    fn within_limits(&self) -> bool {
        self.bits <= BITS_MAX
    }
}
