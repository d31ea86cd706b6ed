//! What a relay takes in an hour from one account or one address.

use serde::{Deserialize, Serialize};

use super::Fields;

/// A limit of what is taken in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Quota {
    /// Entries of one account.
    AccountEntries,
    /// Bytes of the entries of one account.
    AccountBytes,
    /// Accounts of which nothing was held before, from one address or from all.
    AddressAccounts,
    /// Bytes of entries from one address.
    AddressBytes,
}

/// See [`Message::QuotaExceeded`](super::Message::QuotaExceeded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaExceeded {
    pub quota: Quota,
    /// How much it allows in an hour.
    pub per_hour: u64,
    /// Seconds until more is taken.
    pub wait_s: u32,
}

impl Fields for QuotaExceeded {}
