//! Names of accounts.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind, is_receipt_for};
use crate::names::NameReceipt;

/// The account's name in the registry, or that it no longer has one. The one with the greatest (lamport, device) wins;
/// of several accounts with a receipt for one name, the receipt with the highest revision wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The registry's signed statement.
    pub receipt: Option<NameReceipt>,
}

impl EntryBody for Name {
    const KIND: Kind = Kind::NAME;

    fn is_valid(&self) -> bool {
        is_receipt_for(self.receipt.as_ref(), None)
    }
}
