//! Reverse proxies in front of a server: which are trusted, and what to do about one that is set up wrongly.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use protocol::reach::{Reach, reach};
use serde::{Deserialize, Serialize};

/// Different hints that are logged: strangers can cause as many as they like.
const HINTS_MAX: usize = 16;

/// Addresses of reverse proxies: one address, or a network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyNetwork(IpNet);

impl ProxyNetwork {
    /// Whether the address belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// The text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a network such as 172.18.0.0/16")]
pub struct NoNetwork;

impl FromStr for ProxyNetwork {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let address = || {
            text.parse::<IpAddr>()
                .map(|address| IpNet::from(address.to_canonical()))
        };
        let network = text.parse().or_else(|_| address()).map_err(|_| NoNetwork)?;
        Ok(Self(network))
    }
}

impl TryFrom<String> for ProxyNetwork {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

impl From<ProxyNetwork> for String {
    fn from(network: ProxyNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

/// What in the requests suggests that a proxy or the server is set up wrongly. Each is logged once. Clones share what
/// was logged.
#[derive(Clone, Debug, Default)]
pub struct ProxyHints(Arc<Mutex<BTreeSet<Hint>>>);

/// One thing to do about a proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// It is probably a proxy and not trusted: all its clients count as one address.
    Untrusted(IpAddr),
    /// It is trusted and does not say which client a request is from.
    NoClient(IpAddr),
    /// Requests of a page come with another `Host` than the page's, as from a proxy that does not forward it.
    NoHost {
        /// The page's origin.
        origin: String,
        /// The `Host` that came.
        host: String,
    },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(address) => write!(
                f,
                "if {address} is the reverse proxy of this server, start the server with --trusted-proxy {address}; otherwise all people behind it count as one address"
            ),
            Self::NoClient(address) => write!(
                f,
                "the trusted proxy {address} sends no X-Forwarded-For, so all people behind it count as one address; add to its settings (nginx): proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            ),
            Self::NoHost { origin, host } => write!(
                f,
                "the page is of {origin}, and the request has the header `Host: {host}`; if a proxy serves this page, add to its settings (nginx): proxy_set_header Host $http_host; otherwise, if the page may connect here, start the server with --allowed-origin {origin}"
            ),
        }
    }
}

impl ProxyHints {
    /// Logs the hint unless it was logged before. Returns it.
    pub(crate) fn give(&self, hint: Hint) -> Hint {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() < HINTS_MAX && given.insert(hint.clone()) {
            tracing::warn!("the reverse proxy seems to be set up wrongly: {hint}");
        }
        hint
    }

    /// What was logged.
    #[must_use]
    pub fn given(&self) -> Vec<Hint> {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.iter().cloned().collect()
    }
}

/// Whether an address is one that proxies of the same operator have: not of the public internet.
pub(crate) fn is_local(address: IpAddr) -> bool {
    reach(address) != Reach::Internet
}

#[cfg(test)]
mod tests {
    use super::{Hint, ProxyHints, ProxyNetwork};

    fn check(text: &str, inside: &[&str], outside: &[&str]) {
        let network: ProxyNetwork = text.parse().unwrap();
        assert_eq!(network.to_string(), text);
        let contains = |address: &&str| network.contains(address.parse().unwrap());
        assert!(inside.iter().all(contains), "{text} {inside:?}");
        assert!(!outside.iter().any(contains), "{text} {outside:?}");
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        check("10.0.0.1", &["10.0.0.1"], &["10.0.0.2", "::1"]);
        check("172.18.0.0/16", &["172.18.0.1", "172.18.255.9"], &["172.19.0.1"]);
        check("fd00::/8", &["fd12::1"], &["2001:db8::1", "10.0.0.1"]);
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.1:80"] {
            assert!(wrong.parse::<ProxyNetwork>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hints_are_given_once_and_are_bounded() {
        let hints = ProxyHints::default();
        for n in 0..=255 {
            hints.give(Hint::Untrusted([10, 0, 0, n].into()));
            hints.give(Hint::Untrusted([10, 0, 0, n].into()));
        }
        assert_eq!(hints.given().len(), super::HINTS_MAX);
    }
}
