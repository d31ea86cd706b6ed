//! From where an address can be reached.

use std::net::IpAddr;

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// From this machine.
    Machine,
    /// From the local network, or from the machine that runs this container.
    Network,
    /// From the internet, if no firewall forbids it.
    Internet,
}

/// From where this address can be reached.
#[must_use]
pub fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        ip if ip.is_loopback() || ip.is_unspecified() => Reach::Machine,
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is shared by the customers of a provider (RFC 6598).
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0b1100_0000 == 64;
            match ip.is_private() || ip.is_link_local() || ip.is_broadcast() || ip.is_multicast() || shared {
                true => Reach::Network,
                false => Reach::Internet,
            }
        }
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast() => {
            Reach::Network
        }
        IpAddr::V6(_) => Reach::Internet,
    }
}

#[cfg(test)]
mod tests {
    use super::{Reach, reach};

    #[test]
    fn addresses_are_of_this_machine_the_local_network_or_the_internet() {
        for (address, from) in [
            ("127.0.0.1", Reach::Machine),
            ("0.0.0.0", Reach::Machine),
            ("::1", Reach::Machine),
            ("::ffff:127.0.0.1", Reach::Machine),
            ("10.1.2.3", Reach::Network),
            ("169.254.169.254", Reach::Network),
            ("100.64.0.1", Reach::Network),
            ("::ffff:192.168.0.1", Reach::Network),
            ("fd00::1", Reach::Network),
            ("fe80::1", Reach::Network),
            ("224.0.0.1", Reach::Network),
            ("203.0.113.1", Reach::Internet),
            ("100.128.0.1", Reach::Internet),
            ("2001:db8::1", Reach::Internet),
        ] {
            assert_eq!(reach(address.parse().unwrap()), from, "{address}");
        }
    }
}
