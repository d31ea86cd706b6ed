//! Where the registry keeps names, as an operator writes it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::EtcdAddress;

/// The store of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RegistryBackend {
    /// In the data folder.
    #[default]
    Embedded,
    /// In etcd.
    Etcd(EtcdAddress),
}

impl FromStr for RegistryBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            text => text
                .parse()
                .map(Self::Etcd)
                .map_err(|error| format!("{error}; or `embedded`")),
        }
    }
}

impl TryFrom<String> for RegistryBackend {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RegistryBackend> for String {
    fn from(place: RegistryBackend) -> Self {
        match place {
            RegistryBackend::Embedded => "embedded".to_owned(),
            RegistryBackend::Etcd(address) => address.to_string(),
        }
    }
}
