//! Profiles.

use serde::{Deserialize, Serialize};

use super::{EntryBody, Kind, fits};
use crate::limits;

/// A person's description of themselves. The one with the greatest (lamport, device) wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    /// Short description.
    pub bio: String,
}

impl EntryBody for Profile {
    const KIND: Kind = Kind::PROFILE;

    fn is_valid(&self) -> bool {
        fits(&self.name, limits::NAME_CHARS_MAX) && fits(&self.bio, limits::BIO_CHARS_MAX)
    }
}
