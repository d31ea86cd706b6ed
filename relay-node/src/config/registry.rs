//! Where the registry keeps names, as an operator writes it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::EtcdAddress;

/// The store of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RegistryPlace {
    /// In the data folder.
    #[default]
    Embedded,
    /// In etcd.
    Etcd(EtcdAddress),
}

impl FromStr for RegistryPlace {
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

impl TryFrom<String> for RegistryPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RegistryPlace> for String {
    fn from(place: RegistryPlace) -> Self {
        match place {
            RegistryPlace::Embedded => "embedded".to_owned(),
            RegistryPlace::Etcd(address) => address.to_string(),
        }
    }
}
