//! The key of a relay, as an operator writes it.

use std::str::FromStr;

use protocol::PeerId;
use serde::{Deserialize, Serialize};

/// The key of a relay, as `/api/relay` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayKey(pub PeerId);

/// Not the key of a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no relay's key; a relay says its own at /api/relay (`peer`)")]
pub struct RelayKeyError(String);

impl FromStr for RelayKey {
    type Err = RelayKeyError;

    fn from_str(text: &str) -> Result<Self, RelayKeyError> {
        text.parse().map(Self).map_err(|_| RelayKeyError(text.to_owned()))
    }
}

impl TryFrom<String> for RelayKey {
    type Error = RelayKeyError;

    fn try_from(text: String) -> Result<Self, RelayKeyError> {
        text.parse()
    }
}

impl From<RelayKey> for String {
    fn from(key: RelayKey) -> Self {
        key.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::RelayKey;

    #[test]
    fn a_key_is_read_as_a_relay_prints_it_and_anything_else_says_where_to_find_it() {
        let key = protocol::PeerId([3; 32]);
        assert_eq!(key.to_string().parse(), Ok(RelayKey(key)));
        let error = "ada".parse::<RelayKey>().unwrap_err();
        assert!(error.to_string().contains("/api/relay"), "{error}");
    }
}
