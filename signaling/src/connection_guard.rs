//! Decides from the headers and the address of an upgrade request who may open a socket, before any state is created.
//!
//! - **Origin** (RFC 6455 section 10.2): a page may open a socket to the server it was loaded from, or if its origin is
//!   allowed. A request without an origin does not come from a browser, so no user's session can be misused.
//! - **Host**: a client signs the host it dialled. When the server's own names are configured, a man in the middle
//!   cannot forward a signature made for another host, and DNS rebinding is refused.
//! - **Address**: sockets are limited per client address; when it has the most allowed, its oldest socket whose peer
//!   has proven no key yet gives way ([`crate::places`]). New sockets come in one after the other at a limited rate
//!   (`arrivals`). Behind a reverse proxy the address is the last one in
//!   `X-Forwarded-For`, which is read only from trusted proxies. Loopback is trusted, and programs on this machine
//!   (loopback without that header) are not limited.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::limits;

use crate::arrivals::Arrivals;
use crate::places::{Place, Places, network};
use crate::proxies::{Hint, ProxyHints, ProxyNetwork, is_local};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which connections a [`ConnectionGuard`] accepts.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Origins besides the server's own, such as `https://app.example`; `*` allows all.
    pub allowed_origins: Vec<String>,
    /// Names of the server, with the port unless it is the default one; empty: any.
    pub hosts: Vec<String>,
    /// Reverse proxies on other machines whose `X-Forwarded-For` is read.
    pub trusted_proxies: Vec<ProxyNetwork>,
    /// Takes what requests reveal about proxies that are set up wrongly.
    pub hints: ProxyHints,
    /// Most sockets of one address (IPv6: of one /64). Many people can share an address (schools, mobile networks), so
    /// the limit is a share of the server's capacity, not what one person needs.
    pub sockets_per_address_max: usize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            hints: ProxyHints::default(),
            sockets_per_address_max: 64,
        }
    }
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The `Host` header is missing, or not one of the server's names.
    #[error("this server is not reached by that name; its configuration lists its hosts")]
    Host,
    /// The page's origin is not allowed. With what to do if the page is the server's own.
    #[error("this page's origin is not allowed here{}", advice(.0))]
    Origin(Option<Hint>),
    /// The address has the most sockets allowed. With what to do if it is a proxy's.
    #[error("too many connections from your address{}", advice(.0))]
    TooMany(Option<Hint>),
    /// The address opens sockets faster than allowed. With what to do if it is a proxy's.
    #[error("too many new connections from your address in a short time{}", advice(.0))]
    TooFast(Option<Hint>),
}

fn advice(hint: &Option<Hint>) -> String {
    hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default()
}

impl IntoResponse for GuardError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::TooMany(_) | Self::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        (status, self.to_string()).into_response()
    }
}

/// A host or an origin as it is compared.
fn normalised(name: &str) -> String {
    name.trim_end_matches('/').to_ascii_lowercase()
}

/// An accepted connection. Dropping it frees its place.
#[derive(Debug)]
pub struct Accepted {
    /// The host the client dialled, lower-case.
    pub host: String,
    /// The client's address; `None` for a program on this machine.
    pub address: Option<IpAddr>,
    /// To be settled once the peer has proven a key; until then the connection may have to give way.
    pub place: Place,
}

/// Accepts or refuses connections; shared by all requests of a server.
#[derive(Clone, Debug)]
pub struct ConnectionGuard {
    config: Arc<GuardConfig>,
    /// The configured origins, which change when the settings are read again.
    configured: Arc<Mutex<Vec<String>>>,
    /// Further allowed origins, which change at run time.
    allowed_now: Arc<Mutex<BTreeSet<String>>>,
    arrivals: Arrivals,
    places: Places,
}

impl ConnectionGuard {
    /// A guard without connections.
    #[must_use]
    pub fn new(mut config: GuardConfig) -> Self {
        for name in &mut config.hosts {
            *name = normalised(name);
        }
        let configured = config.allowed_origins.iter().map(|origin| normalised(origin));
        let configured = Arc::new(Mutex::new(configured.collect()));
        let places = Places::new(config.sockets_per_address_max);
        Self {
            arrivals: Arrivals::new(config.sockets_per_address_max),
            config: Arc::new(config),
            configured,
            allowed_now: Arc::default(),
            places,
        }
    }

    /// Replaces the configured origins.
    pub fn configure_origins(&self, origins: &[String]) {
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        *configured = origins.iter().map(|origin| normalised(origin)).collect();
    }

    /// Replaces the origins that are allowed beside the configured ones: the other servers of a network, whose apps
    /// connect to this one when their own is down.
    pub fn allow(&self, origins: impl IntoIterator<Item = String>) {
        let mut allowed = self.allowed_now.lock().unwrap_or_else(PoisonError::into_inner);
        *allowed = origins
            .into_iter()
            .map(|origin| origin.to_ascii_lowercase())
            .collect();
    }

    /// The places of accepted connections.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Checks a request from `remote` to open a socket, waits for its turn among the new sockets of its address, and
    /// takes a place for it.
    ///
    /// # Errors
    /// [`GuardError`], which is also the response.
    pub async fn admit(&self, remote: SocketAddr, headers: &HeaderMap) -> Result<Accepted, GuardError> {
        let (host, address) = self.check(remote, headers)?;
        if let Some(address) = address
            && !self.arrivals.turn(network(address)).await
        {
            return Err(GuardError::TooFast(self.crowded(remote.ip(), Some(address))));
        }
        self.place(remote, host, address)
    }

    /// Checks a request from `remote`, and takes a place for its connection without waiting.
    ///
    /// # Errors
    /// [`GuardError`], which is also the response.
    pub fn accept(&self, remote: SocketAddr, headers: &HeaderMap) -> Result<Accepted, GuardError> {
        let (host, address) = self.check(remote, headers)?;
        self.place(remote, host, address)
    }

    /// The host that a request is for, and whose it is, if its host and its origin are allowed.
    fn check(&self, remote: SocketAddr, headers: &HeaderMap) -> Result<(String, Option<IpAddr>), GuardError> {
        let host = self.host(headers)?;
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin
                .to_str()
                .map_err(|_| GuardError::Origin(None))?
                .to_ascii_lowercase();
            let own = origin
                .split_once("://")
                .is_some_and(|(scheme, authority)| matches!(scheme, "http" | "https") && authority == host);
            let listed = {
                let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
                configured
                    .iter()
                    .any(|allowed| allowed == "*" || *allowed == origin)
            };
            let allowed_now = || {
                let allowed = self.allowed_now.lock().unwrap_or_else(PoisonError::into_inner);
                allowed.contains(&origin)
            };
            if !own && !listed && !allowed_now() {
                return Err(GuardError::Origin(self.lost_host(remote.ip(), origin, host)));
            }
        }
        let address = self.client_address(remote.ip(), headers);
        Ok((host, address))
    }

    fn place(
        &self,
        remote: SocketAddr,
        host: String,
        address: Option<IpAddr>,
    ) -> Result<Accepted, GuardError> {
        let Some(place) = self.places.acquire(address) else {
            return Err(GuardError::TooMany(self.crowded(remote.ip(), address)));
        };
        Ok(Accepted { host, address, place })
    }

    /// The `Host` header, lower-case, if it is acceptable.
    ///
    /// # Errors
    /// [`GuardError::Host`].
    pub fn host(&self, headers: &HeaderMap) -> Result<String, GuardError> {
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .ok_or(GuardError::Host)?
            .to_ascii_lowercase();
        let known = self.config.hosts.is_empty() || self.config.hosts.contains(&host);
        if host.is_empty() || host.len() > limits::HOST_LEN_MAX || !known {
            return Err(GuardError::Host);
        }
        Ok(host)
    }

    /// The client behind a request; `None`: a program on this machine.
    #[must_use]
    pub fn client_address(&self, remote: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let remote = remote.to_canonical();
        if !remote.is_loopback() && !self.is_trusted(remote) {
            // A client of the public internet may invent the header, so it proves nothing there.
            if is_local(remote) && headers.contains_key(FORWARDED_FOR) {
                self.config.hints.give(Hint::Untrusted(remote));
            }
            return Some(remote);
        }
        // The trusted proxy wrote the last entry itself; the client can forge those before it.
        let forwarded = headers
            .get_all(FORWARDED_FOR)
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

    fn is_trusted(&self, remote: IpAddr) -> bool {
        let mut trusted = self.config.trusted_proxies.iter();
        trusted.any(|network| network.contains(remote))
    }

    /// What to do about a page that is refused, if it may be the server's own behind a proxy.
    fn lost_host(&self, remote: IpAddr, origin: String, host: String) -> Option<Hint> {
        let remote = remote.to_canonical();
        // Pages of files and of sandboxes have no host that a proxy could have lost.
        let is_page = origin.starts_with("http://") || origin.starts_with("https://");
        let hint = Hint::NoHost { origin, host };
        let may_be_proxy = is_local(remote) || self.is_trusted(remote);
        (is_page && may_be_proxy).then(|| self.config.hints.give(hint))
    }

    /// What to do about an address that has the most sockets allowed, if it may be a proxy's.
    fn crowded(&self, remote: IpAddr, address: Option<IpAddr>) -> Option<Hint> {
        let remote = remote.to_canonical();
        if self.is_trusted(remote) {
            // Otherwise the proxy named a client, which has too many.
            return (address == Some(remote)).then(|| self.config.hints.give(Hint::NoClient(remote)));
        }
        is_local(remote).then(|| self.config.hints.give(Hint::Untrusted(remote)))
    }
}

#[cfg(test)]
#[path = "connection_guard_tests.rs"]
mod tests;
