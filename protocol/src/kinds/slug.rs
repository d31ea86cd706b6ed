//! Slugs of posts.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind, is_receipt_for};
use crate::id::EntryId;
use crate::names::NameReceipt;

/// The slug of one of the account's posts in the registry, or that the post no longer has one. Per post the one with
/// the greatest (lamport, device) wins; of several posts with a receipt for one slug, the receipt with the highest
/// revision wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slug {
    pub post: EntryId,
    /// The registry's signed statement.
    pub receipt: Option<NameReceipt>,
}

impl EntryBody for Slug {
    const KIND: Kind = Kind::SLUG;

    fn is_valid(&self) -> bool {
        is_receipt_for(self.receipt.as_ref(), Some(self.post))
    }
}
