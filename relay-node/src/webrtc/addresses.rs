//! The addresses that an answer offers: the configured ones, or those of the interfaces, which change.
//!
//! A relay may start before its network, move to another one, or get another lease: the interfaces are read again
//! every few seconds, and each answer offers what they had last.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::reach::{Reach, reach};

/// Addresses put into an answer; a browser checks each of them.
const OFFERED_MAX: usize = 8;
/// Interval at which the interfaces are read: a browser whose link was refused tries again within about as long.
pub(super) const READ_EVERY: Duration = Duration::from_secs(3);
/// Files that runtimes of containers make in each of them.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Whether this process runs in a container.
#[must_use]
pub fn in_container() -> bool {
    CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists())
}

/// What to do so that browsers reach one of these addresses; `None`: one of them is of the internet, or was configured.
#[must_use]
pub fn advice(offered: &[IpAddr], configured: bool) -> Option<&'static str> {
    let best = offered.iter().copied().map(reach).max();
    match best {
        _ if configured => None,
        Some(Reach::Internet) => None,
        Some(Reach::Network) if in_container() => Some(
            "they are of this container: browsers on other machines cannot reach them; name the host's address with --public-ip, and publish the UDP port",
        ),
        Some(Reach::Network) => Some(
            "only browsers in this local network can reach them; for others name the public address with --public-ip",
        ),
        Some(Reach::Machine) => Some(
            "only browsers on this machine can reach them; this machine has no other address at the moment",
        ),
        None => {
            Some("this machine has no address at the moment; the interfaces are read again every few seconds")
        }
    }
}

/// The addresses that answers offer, now.
///
/// # Errors
/// If the interfaces cannot be read.
pub fn offered(bound: IpAddr, public_ips: &[IpAddr]) -> io::Result<Vec<IpAddr>> {
    if !public_ips.is_empty() {
        Ok(public_ips.to_vec())
    } else if !bound.is_unspecified() {
        Ok(vec![bound])
    } else {
        interface_ips(bound)
    }
}

/// Every interface's address a socket bound to `wildcard` receives at; loopback only if there is nothing else.
fn interface_ips(wildcard: IpAddr) -> io::Result<Vec<IpAddr>> {
    let ips = rtc_shared::ifaces::ifaces()?;
    let ips = ips.into_iter().filter_map(|interface| Some(interface.addr?.ip()));
    Ok(reachable(wildcard, ips))
}

fn reachable(wildcard: IpAddr, all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let is_reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && *ip != Ipv4Addr::UNSPECIFIED,
        // A link-local address means nothing without its interface, which a candidate cannot name.
        IpAddr::V6(ip) => wildcard.is_ipv6() && !ip.is_unicast_link_local() && *ip != Ipv6Addr::UNSPECIFIED,
    };
    let (loopback, mut ips): (Vec<_>, Vec<_>) = all.filter(is_reachable).partition(IpAddr::is_loopback);
    // IPv4 first: it is what most private networks route.
    ips.sort_by_key(IpAddr::is_ipv6);
    if ips.is_empty() { loopback } else { ips }
}

/// The addresses of one endpoint.
#[derive(Debug)]
pub(super) struct Addresses {
    bound: SocketAddr,
    public_ips: Vec<IpAddr>,
    offered: Mutex<Arc<[SocketAddr]>>,
}

impl Addresses {
    /// Reads the interfaces if nothing else says what to offer.
    pub(super) fn new(bound: SocketAddr, public_ips: Vec<IpAddr>) -> io::Result<Self> {
        let addresses = Self {
            bound,
            public_ips,
            offered: Mutex::new(Arc::new([])),
        };
        addresses.update(offered(bound.ip(), &addresses.public_ips)?);
        Ok(addresses)
    }

    /// What an answer offers now.
    pub(super) fn offered(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.offered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the interfaces again and again, for as long as the endpoint lives.
    pub(super) async fn follow(self: Arc<Self>, every: Duration) {
        if !self.public_ips.is_empty() || !self.bound.ip().is_unspecified() {
            return;
        }
        loop {
            tokio::time::sleep(every).await;
            match offered(self.bound.ip(), &self.public_ips) {
                Ok(ips) => self.update(ips),
                Err(error) => tracing::debug!(%error, "the interfaces cannot be read"),
            }
        }
    }

    fn update(&self, ips: Vec<IpAddr>) {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for ip in &ips {
            let address = SocketAddr::new(*ip, self.bound.port());
            if !addresses.contains(&address) && addresses.len() < OFFERED_MAX {
                addresses.push(address);
            }
        }
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if **offered == *addresses {
            return;
        }
        *offered = addresses.into();
        let advice = advice(&ips, !self.public_ips.is_empty());
        tracing::info!(addresses = ?ips, advice, "addresses offered to browsers over WebRTC");
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Addresses, Reach, advice, reach, reachable};

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn loopback_is_offered_only_without_a_network() {
        let check = |wildcard: &str, all: &[&str], expected: &[&str]| {
            let found = reachable(wildcard.parse().unwrap(), ips(all).into_iter());
            assert_eq!(found, ips(expected), "{all:?}");
        };
        check("0.0.0.0", &["127.0.0.1"], &["127.0.0.1"]);
        check(
            "0.0.0.0",
            &["127.0.0.1", "10.0.0.7", "2001:db8::1"],
            &["10.0.0.7"],
        );
        check(
            "::",
            &["::1", "fe80::1", "2001:db8::1", "10.0.0.7"],
            &["10.0.0.7", "2001:db8::1"],
        );
    }

    #[test]
    fn answers_offer_what_the_interfaces_have_by_now() {
        let addresses = Addresses::new("0.0.0.0:7".parse().unwrap(), ips(&["192.0.2.1"])).unwrap();
        let offered = || -> Vec<String> { addresses.offered().iter().map(ToString::to_string).collect() };
        assert_eq!(offered(), ["192.0.2.1:7"]);
        addresses.update(Vec::new());
        assert!(offered().is_empty());
        addresses.update(ips(&["192.0.2.2", "192.0.2.2", "10.0.0.7"]));
        assert_eq!(offered(), ["192.0.2.2:7", "10.0.0.7:7"]);
    }

    #[test]
    fn addresses_that_browsers_cannot_reach_are_named() {
        assert_eq!(reach("127.0.0.1".parse().unwrap()), Reach::Machine);
        assert_eq!(reach("172.17.0.2".parse().unwrap()), Reach::Network);
        assert_eq!(reach("fd00::2".parse().unwrap()), Reach::Network);
        assert_eq!(reach("203.0.113.9".parse().unwrap()), Reach::Internet);
        let names = |texts: &[&str]| advice(&ips(texts), false).unwrap_or_default();
        assert!(names(&["172.17.0.2"]).contains("--public-ip"));
        assert!(names(&["127.0.0.1"]).contains("this machine"));
        assert!(names(&[]).contains("no address"));
        assert_eq!(names(&["172.17.0.2", "203.0.113.9"]), "");
        assert_eq!(advice(&ips(&["172.17.0.2"]), true), None);
    }
}
