//! Follows.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind};
use crate::id::AccountId;

/// Follows an account, or stops following it. Per followed account the one with the greatest (lamport, device) wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The account followed.
    pub account: AccountId,
    /// Whether it is followed from now on.
    pub on: bool,
}

impl EntryBody for Follow {
    const KIND: Kind = Kind::FOLLOW;
}
