//! The roles of a relay, as an operator writes them.

use std::str::FromStr;

use clap::ValueEnum;
use protocol::messages::directory::role;
use serde::{Deserialize, Serialize};

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayRole {
    /// Keeps feeds.
    Worker,
    /// Serves the app.
    Web,
    /// Keeps names.
    Index,
    /// Introduces browsers.
    Signal,
}

impl RelayRole {
    /// Its bit in a description.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Worker => role::WORKER,
            Self::Web => role::WEB,
            Self::Index => role::INDEX,
            Self::Signal => role::SIGNAL,
        }
    }
}

impl FromStr for RelayRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = |_| "it is no role; the roles are worker, web, index, signal".to_owned();
        <Self as ValueEnum>::from_str(text, true).map_err(unknown)
    }
}
