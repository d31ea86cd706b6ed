//! The address of a relay.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::{Authority, Scheme};

/// The address of a relay as people write it: `https://relay.example`, `http://192.0.2.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayUrl {
    tls: bool,
    host: String,
}

/// Not an address of a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a relay; one looks like https://relay.example or http://192.0.2.1:8080")]
pub struct UrlError(String);

impl RelayUrl {
    /// The host, with the port if it is named: what the server sees as `Host`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        let has_port = self
            .host
            .parse::<Authority>()
            .is_ok_and(|authority| authority.port().is_some());
        match (has_port, self.tls) {
            (true, _) => self.host.clone(),
            (false, true) => format!("{}:443", self.host),
            (false, false) => format!("{}:80", self.host),
        }
    }

    /// The URL of the endpoint for links.
    #[must_use]
    pub fn link(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}/link", self.host)
    }
}

impl FromStr for RelayUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let wrong = || UrlError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.as_str().to_ascii_lowercase();
        Ok(Self { tls, host })
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)
    }
}

impl TryFrom<String> for RelayUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<RelayUrl> for String {
    fn from(url: RelayUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::RelayUrl;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |text: &str| {
            let url: RelayUrl = text.parse().ok()?;
            Some([url.to_string(), url.link(), url.host_and_port()])
        };
        let all = |forms: [&str; 3]| Some(forms.map(str::to_owned));
        assert_eq!(
            read("https://Relay.example/"),
            all([
                "https://relay.example",
                "wss://relay.example/link",
                "relay.example:443"
            ])
        );
        assert_eq!(
            read("http://[::1]:8080"),
            all(["http://[::1]:8080", "ws://[::1]:8080/link", "[::1]:8080"])
        );
        assert_eq!(
            read("http://[::1]"),
            all(["http://[::1]", "ws://[::1]/link", "[::1]:80"])
        );
        for wrong in [
            "",
            "relay.example",
            "ws://relay.example",
            "https://",
            "https://a/b",
            "https://user@a",
            "https://a/?b",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
