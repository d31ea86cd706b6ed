//! Who may open a socket at all: decided from an upgrade request's headers and address, before any state is made.
//!
//! - **Origin** (RFC 6455 section 10.2): a page may open a socket to the server it came from, or if its origin is listed. A
//!   request without an origin is no browser and has nothing of a browser's to misuse.
//! - **Host**: what a client signs names the host it dialled. When the server is told its own names, a stranger who
//!   stands between cannot pass a signature for his host on to this one, and DNS rebinding ends here.
//! - **Address**: sockets per client address are counted. Behind a reverse proxy the address is the last one in
//!   `X-Forwarded-For`, believed only from proxies that are trusted. This machine itself is trusted, and its own
//!   programs (loopback without that header) are not counted.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::limits;

/// What the door lets through.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Origins besides the server's own, such as `https://app.example`; `*` allows all.
    pub allowed_origins: Vec<String>,
    /// The names (with the port, if not the default one) the server is reached by; empty: any.
    pub hosts: Vec<String>,
    /// Reverse proxies on other machines.
    pub trusted_proxies: Vec<IpAddr>,
    /// Sockets of one address (IPv6: of one /64). Many people may share an address (schools, mobile networks), so this
    /// bounds what one stranger takes of the whole rather than what is normal for one person.
    pub sockets_per_address_max: usize,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            sockets_per_address_max: 64,
        }
    }
}

/// Why somebody stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// No usable `Host` header, or not one of the server's names.
    #[error("this server is not reached by that name; its configuration lists its hosts")]
    Host,
    /// A page of another site.
    #[error("this page's origin is not allowed here; the configuration lists allowed origins")]
    Origin,
    /// As many sockets as one address may have.
    #[error("too many connections from your address")]
    TooMany,
}

impl IntoResponse for DoorError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        };
        (status, self.to_string()).into_response()
    }
}

/// Somebody let in. Its place is free again when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    /// What the client dialled, lower-case.
    pub host: String,
    /// The client's address, if it is not a program on this machine.
    pub address: Option<IpAddr>,
    _place: Option<Place>,
}

/// One door, shared by all requests.
#[derive(Clone, Debug)]
pub struct Door {
    config: Arc<DoorConfig>,
    /// Origins allowed besides, which come and go.
    also: Arc<Mutex<BTreeSet<String>>>,
    counts: Counts,
}

impl Door {
    /// A door with nobody inside.
    #[must_use]
    pub fn new(mut config: DoorConfig) -> Self {
        for name in config.hosts.iter_mut().chain(&mut config.allowed_origins) {
            *name = name.trim_end_matches('/').to_ascii_lowercase();
        }
        let counts = Counts::new(config.sockets_per_address_max);
        Self {
            config: Arc::new(config),
            also: Arc::default(),
            counts,
        }
    }

    /// From now on pages of these origins may come in as well, in place of those named here before: the other servers of a
    /// network, whose apps turn to this one when theirs is gone.
    pub fn allow(&self, origins: impl IntoIterator<Item = String>) {
        let mut also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
        *also = origins
            .into_iter()
            .map(|origin| origin.to_ascii_lowercase())
            .collect();
    }

    /// Lets a request in that comes from `remote`.
    ///
    /// # Errors
    /// [`DoorError`]: answer with it.
    pub fn admit(&self, remote: SocketAddr, headers: &HeaderMap) -> Result<Admitted, DoorError> {
        let host = self.host(headers)?;
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin
                .to_str()
                .map_err(|_| DoorError::Origin)?
                .to_ascii_lowercase();
            let own = origin
                .split_once("://")
                .is_some_and(|(scheme, authority)| matches!(scheme, "http" | "https") && authority == host);
            let listed = self
                .config
                .allowed_origins
                .iter()
                .any(|allowed| allowed == "*" || *allowed == origin);
            let also = || {
                let also = self.also.lock().unwrap_or_else(PoisonError::into_inner);
                also.contains(&origin)
            };
            if !own && !listed && !also() {
                return Err(DoorError::Origin);
            }
        }
        let address = self.client_address(remote.ip(), headers);
        let place = match address {
            Some(address) => Some(self.counts.enter(address).ok_or(DoorError::TooMany)?),
            None => None,
        };
        Ok(Admitted {
            host,
            address,
            _place: place,
        })
    }

    /// The `Host` header, lower-case, if it is acceptable.
    ///
    /// # Errors
    /// [`DoorError::Host`].
    pub fn host(&self, headers: &HeaderMap) -> Result<String, DoorError> {
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .ok_or(DoorError::Host)?
            .to_ascii_lowercase();
        let known = self.config.hosts.is_empty() || self.config.hosts.contains(&host);
        if host.is_empty() || host.len() > limits::HOST_LEN_MAX || !known {
            return Err(DoorError::Host);
        }
        Ok(host)
    }

    fn client_address(&self, remote: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let remote = remote.to_canonical();
        if !remote.is_loopback() && !self.config.trusted_proxies.contains(&remote) {
            return Some(remote);
        }
        // The last entry is the one the trusted proxy wrote itself; all before it is hearsay.
        let forwarded = headers
            .get_all(HeaderName::from_static("x-forwarded-for"))
            .iter()
            .next_back()
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.rsplit(',').next())
            .and_then(|last| last.trim().parse::<IpAddr>().ok());
        match forwarded {
            Some(address) => Some(address.to_canonical()),
            None if remote.is_loopback() => None,
            None => Some(remote),
        }
    }
}

/// How many are inside per address.
#[derive(Clone, Debug)]
pub struct Counts {
    max: usize,
    inside: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Counts {
    /// At most `max` per address.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            inside: Arc::default(),
        }
    }

    /// A place for one more of this address, if there is one.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.entry(network).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place {
            network,
            inside: Arc::clone(&self.inside),
        })
    }
}

/// One place taken; free again when dropped.
#[derive(Debug)]
pub struct Place {
    network: IpAddr,
    inside: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.network);
            }
        }
    }
}

/// What one customer of a network provider usually gets: an IPv4 address or an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
