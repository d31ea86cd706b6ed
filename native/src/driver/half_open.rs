//! Links whose peer is no neighbour yet: it has not proven its key, or has proven it and asked for nothing. They have
//! one budget, whatever transport they use, so they take no place of a neighbour.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use engine::io::LinkId;

/// Of the links that a peer may have, the part that may be half-open beside them.
const SHARE: usize = 4;

/// The half-open links of other machines. Policy when full: the oldest one of the address that has most of them gives
/// way. Links of this machine and those that this side dialled do not count.
#[derive(Debug)]
pub(super) struct HalfOpen {
    max: usize,
    /// In the order in which they opened.
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
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for address in self.links.values() {
            *counts.entry(*address).or_default() += 1;
        }
        let most = counts.values().max()?;
        let of_most = |(_, address): &(&LinkId, &IpAddr)| counts.get(address) == Some(most);
        let gives_way = self.links.iter().find(of_most).map(|(link, _)| *link)?;
        self.links.remove(&gives_way);
        Some(gives_way)
    }

    /// The link ended, or its peer is a neighbour.
    pub(super) fn end(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
