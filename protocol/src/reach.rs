//! From where an IP address can be reached. Peers judge by it the addresses that others name: candidates of a
//! connection, addresses of relays, proxies in front of a server.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, ..] = ip.octets();
    // 100.64.0.0/10 is shared by the customers of a provider or the machines of an overlay network (RFC 6598).
    let shared = a == 100 && b & 0b1100_0000 == 64;
    // 240.0.0.0/4 is reserved (RFC 1112), and the last address of it is for broadcast.
    let reserved = a >= 240;
    // 0.0.0.0/8 is "this host on this network" (RFC 1122).
    if ip.is_loopback() || a == 0 {
        Reach::Machine
    } else if ip.is_private() || ip.is_link_local() || ip.is_multicast() || shared || reserved {
        Reach::Network
    } else {
        Reach::Internet
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    match ip.segments() {
        _ if ip.is_loopback() || ip.is_unspecified() => Reach::Machine,
        // What a network without IPv4 translates to it (NAT64, RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            reach_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Global unicast (RFC 4291, section 2.4).
        [first, ..] if first & 0xe000 == 0x2000 => Reach::Internet,
        _ => Reach::Network,
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
            ("0.1.2.3", Reach::Machine),
            ("::", Reach::Machine),
            ("::1", Reach::Machine),
            ("::ffff:127.0.0.1", Reach::Machine),
            ("64:ff9b::127.0.0.1", Reach::Machine),
            ("10.1.2.3", Reach::Network),
            ("169.254.169.254", Reach::Network),
            ("100.64.0.1", Reach::Network),
            ("100.127.255.255", Reach::Network),
            ("::ffff:192.168.0.1", Reach::Network),
            ("64:ff9b::192.168.0.1", Reach::Network),
            ("fd00::1", Reach::Network),
            ("fe80::1", Reach::Network),
            ("224.0.0.1", Reach::Network),
            ("240.0.0.1", Reach::Network),
            ("255.255.255.255", Reach::Network),
            ("ff02::1", Reach::Network),
            ("203.0.113.1", Reach::Internet),
            ("100.63.0.1", Reach::Internet),
            ("100.128.0.1", Reach::Internet),
            ("2001:db8::1", Reach::Internet),
            ("64:ff9b::203.0.113.1", Reach::Internet),
        ] {
            assert_eq!(reach(address.parse().unwrap()), from, "{address}");
        }
    }
}
