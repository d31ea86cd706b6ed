//! Links whose peer is no neighbour yet: it has not proven its key, or has proven it and asked for nothing. They have
//! one budget, whatever transport they use, so they take no place of a neighbour.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::io::LinkId;

/// Of the links that a peer may have, the part that may be half-open beside them.
const SHARE: usize = 4;

/// The leading bits that the addresses of one network share. A customer of a provider seldom has more than one.
const NETWORK_BITS_V4: u32 = 24;
const NETWORK_BITS_V6: u32 = 48;

/// The half-open links of other machines. Policy when full: of the networks that have most of them, the oldest one of
/// the address that has most gives way. Links of this machine and those that this side dialled do not count.
#[derive(Debug)]
pub(super) struct HalfOpen {
    max: usize,
    /// In the order in which they opened, with their addresses (of IPv6: any of the /64).
    links: BTreeMap<LinkId, IpAddr>,
}

impl HalfOpen {
    /// The most half-open links of a peer that may have this many links.
    pub(super) fn max(links_max: usize) -> usize {
        (links_max / SHARE).max(1)
    }

    pub(super) fn new(links_max: usize) -> Self {
        Self {
            max: Self::max(links_max),
            links: BTreeMap::new(),
        }
    }

    /// A link opened. The one that gives way to it, which is half-open no longer.
    pub(super) fn begin(&mut self, link: LinkId, address: Option<IpAddr>) -> Option<LinkId> {
        self.links.insert(link, address?);
        if self.links.len() <= self.max {
            return None;
        }
        let mut of_networks: HashMap<IpAddr, usize> = HashMap::new();
        let mut of_addresses: HashMap<IpAddr, usize> = HashMap::new();
        for address in self.links.values() {
            *of_networks.entry(network(*address)).or_default() += 1;
            *of_addresses.entry(*address).or_default() += 1;
        }
        let crowd = |address: &IpAddr| (of_networks.get(&network(*address)), of_addresses.get(address));
        let most = self.links.values().map(crowd).max()?;
        let mut of_most = self.links.iter().filter(|(_, address)| crowd(address) == most);
        let gives_way = of_most.next().map(|(link, _)| *link)?;
        self.links.remove(&gives_way);
        Some(gives_way)
    }

    /// The link ended, or its peer is a neighbour.
    pub(super) fn end(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}

/// The first address of the network of an address (IPv4: its /24, IPv6: its /48).
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX << (u32::BITS - NETWORK_BITS_V4);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - NETWORK_BITS_V6);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::api::{Query, Transport};
    use engine::io::Config;
    use protocol::KeyPair;
    use protocol::link::handshake::{Binding, Side};

    use super::*;
    use crate::driver::{self, Origin};
    use crate::link::ToLink;
    use crate::network::AddressBook;
    use crate::store::Store;

    fn address(n: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from(0xcb00_7100 + n).into())
    }

    #[test]
    fn the_oldest_of_the_address_with_most_half_open_links_gives_way() {
        let mut half_open = HalfOpen::new(16);
        let mut next = 0;
        let mut begin = |half_open: &mut HalfOpen, of: u32| {
            next += 1;
            half_open.begin(LinkId(next), address(of)).map(|link| link.0)
        };
        for of in [1, 2, 2, 3] {
            assert_eq!(begin(&mut half_open, of), None);
        }
        assert_eq!(
            begin(&mut half_open, 3),
            Some(2),
            "two addresses have two: the oldest of both"
        );
        assert_eq!(begin(&mut half_open, 4), Some(4), "one has two");
        assert_eq!(begin(&mut half_open, 5), Some(1), "all have one");
        half_open.end(LinkId(3));
        assert_eq!(begin(&mut half_open, 6), None, "one became a neighbour");
    }

    /// 256 places, of which 40 are of honest people of 20 networks, two at an address each.
    #[test]
    fn a_flood_of_many_addresses_of_one_network_evicts_its_own_links() {
        let honest_v6 = 0x2001_0db8_0001_u128;
        let flood = 0x2001_0db8_ffff_u128;
        let of_64 = |network: u128, n: u128| Some(Ipv6Addr::from_bits(network << 80 | n << 64).into());
        let mut half_open = HalfOpen::new(1_024);
        let mut honest = 0;
        for n in 0..10 {
            for _ in 0..2 {
                let v4 = Some(Ipv4Addr::from(0xc633_0001 + (n << 8)).into());
                let v6 = of_64(honest_v6 + u128::from(n), 0);
                for address in [v4, v6] {
                    honest += 1;
                    assert_eq!(half_open.begin(LinkId(honest), address), None);
                }
            }
        }
        let evicted: Vec<LinkId> = (0..1_000)
            .filter_map(|n| half_open.begin(LinkId(honest + 1 + n), of_64(flood, u128::from(n % 256))))
            .collect();
        assert_eq!(evicted.len(), 1_000 + 40 - 256, "the budget is kept");
        assert!(evicted.iter().all(|link| link.0 > honest), "{evicted:?}");
        let newcomer = LinkId(honest + 1_001);
        let gives_way = half_open.begin(newcomer, of_64(honest_v6 + 100, 0));
        assert!(gives_way.is_some_and(|link| link.0 > honest && link != newcomer));
    }

    #[test]
    fn addresses_of_one_24_or_one_48_are_one_network() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("203.0.113.1", "203.0.113.255"));
        assert!(same("203.0.113.1", "::ffff:203.0.113.9"));
        assert!(!same("203.0.113.1", "203.0.112.1"));
        assert!(same("2001:db8:1::", "2001:db8:1:ffff::"));
        assert!(!same("2001:db8:1::", "2001:db8:2::"));
    }

    #[test]
    fn links_of_this_machine_do_not_count() {
        let mut half_open = HalfOpen::new(4);
        assert_eq!(half_open.begin(LinkId(1), address(1)), None);
        assert!((2..100).all(|link| half_open.begin(LinkId(link), None).is_none()));
        assert_eq!(half_open.begin(LinkId(100), address(2)), Some(LinkId(1)));
    }

    /// A relay with 8 links has 2 half-open ones: each of 20 newcomers is let in, and the oldest ones are closed.
    #[tokio::test]
    async fn silent_links_of_many_addresses_give_way_to_newcomers() {
        let (book, _dials) = AddressBook::open(Vec::new());
        let config = Config {
            links_max: 8,
            ..Config::relay(KeyPair::from_seed(&[1; 32]))
        };
        let options = driver::Options::new(config, [7; 32], Store::in_memory().unwrap(), book);
        let (driver, _thread) = driver::start(options).unwrap();
        // Answered when the store is read.
        driver.ask(Query::Network).await.unwrap();
        let mut ends = Vec::new();
        for n in 0..20 {
            let binding = Binding::WebSocket {
                host: "relay.example".to_owned(),
            };
            let origin = Origin::Accepted(address(n));
            let attached = driver.attach(Side::Responder, binding, Transport::WebSocket, origin);
            ends.push(attached.await.unwrap_or_else(|error| panic!("{n}: {error}")));
            if ends.len() > HalfOpen::max(8) {
                let mut closed = ends.remove(0);
                let reason = loop {
                    match closed.outgoing.next().await.expect("a reason") {
                        ToLink::Frame(_) => {}
                        ToLink::Close(reason) => break reason,
                    }
                };
                assert_eq!(reason, "it gave way to a newcomer");
            }
        }
    }
}
