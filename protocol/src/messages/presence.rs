//! Which relays there are, and which accounts are linked with them.

use serde::{Deserialize, Serialize};

use super::directory::SignedDescription;
use super::{Fields, SaltedAccount};
use crate::limits;

/// See [`Message::Relays`](super::Message::Relays).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// One description per relay; at least one.
    pub relays: Vec<SignedDescription>,
}

impl Fields for Relays {
    fn within_limits(&self) -> bool {
        (1..=limits::RELAYS_PER_MESSAGE_MAX).contains(&self.relays.len())
            && self.relays.iter().all(|relay| relay.description.within_limits())
    }
}

/// See [`Message::Presence`](super::Message::Presence).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// All of them; replaces the list sent before.
    pub accounts: Vec<SaltedAccount>,
}

impl Fields for Presence {
    fn within_limits(&self) -> bool {
        self.accounts.len() <= limits::INTERESTS_PER_MESSAGE_MAX
    }
}
