//! Claims and offers of names in the registry.

use protocol::AccountId;
use protocol::names::NameAnswer;
use serde::{Deserialize, Serialize};

/// A name or slug that was asked for, or is to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimView {
    /// The name or slug.
    pub name: String,
    /// It is to be given back.
    pub release: bool,
    /// Why it came to nothing. `None`: the registry has not answered yet.
    pub refused: Option<NameAnswer>,
}

/// An offer of the account's name to another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// To whom. `None`: an offer is to be taken back.
    pub to: Option<AccountId>,
    /// Their display name, if known.
    pub name: String,
    /// The registry knows of it; otherwise it is the claim that says how it goes.
    pub stands: bool,
}
