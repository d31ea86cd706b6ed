use core::time::Duration;

use protocol::messages::{Digest, FeedHead, Message, RangeEnd};
use protocol::{AccountId, DeviceId, EntryId};

use super::{CHECK_EVERY, FORGOTTEN_AT_ONCE, MISSING_MAX, MISSING_OF_ALL_MAX, MISSING_OF_LIMITED_MAX};
use crate::io::{AddressId, LinkId};
use crate::kinds::testing::Author;
use crate::sync::testing::Peer;
use crate::testing::Remote;

/// A neighbour names feeds that do not exist, `from` the nth on; their order is that of `n`.
fn name(peer: &mut Peer, link: LinkId, account: AccountId, from: u64, count: u64) {
    for part in (from..from + count).step_by(1_024) {
        let head = |n: u64| {
            let mut device = [7; 32];
            device[..8].copy_from_slice(&n.to_be_bytes());
            FeedHead {
                account,
                device: DeviceId(device),
                next_seq: 5,
                head: EntryId::default(),
            }
        };
        let heads = (part..(part + 1_024).min(from + count)).map(head).collect();
        peer.receive(link, Message::Digest(Digest { heads, end: false }));
    }
}

fn from_address(peer: &mut Peer, address: Option<u128>, remote: u8) -> LinkId {
    peer.node.wire.address = address.map(AddressId);
    peer.link(&Remote::peer(remote))
}

#[test]
fn of_a_neighbour_with_quotas_less_is_remembered_than_of_a_member_and_it_is_asked_again() {
    let ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let stranger = from_address(&mut peer, Some(1), 20);
    let dialled = from_address(&mut peer, None, 21);
    name(&mut peer, stranger, ada.account(), 0, 30_000);
    name(&mut peer, dialled, ada.account(), 30_000, 30_000);
    assert_eq!(peer.sync.missing_len(stranger), MISSING_OF_LIMITED_MAX);
    assert_eq!(peer.sync.missing_len(dialled), MISSING_MAX);
    while peer.sync.missing_len(stranger) > 0 {
        for want in peer.wants(stranger) {
            let request = want.request;
            peer.receive(stranger, Message::RangeEnd(RangeEnd { request }));
        }
    }
    let later = peer.node.ctx.now.instant + Duration::from_secs(60);
    assert_eq!(peer.sync.links_to_ask_again(later), [stranger]);
}

#[test]
fn when_a_relay_remembers_too_much_the_address_with_most_forgets_what_is_furthest_from_its_turn() {
    let ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let honest = from_address(&mut peer, Some(1), 20);
    name(&mut peer, honest, ada.account(), 0, 8_000);
    let members: Vec<_> = (21..30).map(|n| from_address(&mut peer, None, n)).collect();
    for link in &members {
        name(&mut peer, *link, ada.account(), 0, 30_000);
    }
    let len = |peer: &Peer, links: &[LinkId]| -> usize {
        links.iter().map(|link| peer.sync.missing_len(*link)).sum()
    };
    let of_others = len(&peer, &members) + len(&peer, &[honest]);
    // Many links of one address, each with less than the others.
    let flood: Vec<_> = (30..35).map(|n| from_address(&mut peer, Some(2), n)).collect();
    for link in &flood {
        name(&mut peer, *link, ada.account(), 1_000, 7_500);
    }
    let full = MISSING_OF_ALL_MAX - FORGOTTEN_AT_ONCE..MISSING_OF_ALL_MAX + CHECK_EVERY;
    let of_flood = len(&peer, &flood);
    assert!(
        full.contains(&(of_others + of_flood)),
        "{of_others} and {of_flood}"
    );
    let others = len(&peer, &members) + len(&peer, &[honest]);
    assert_eq!(
        others, of_others,
        "their addresses have fewer, or are not limited"
    );
    // What was forgotten is what would have been requested last.
    let forgot = flood.iter().find(|link| peer.sync.overflowed(**link));
    let next = peer.sync.missing(*forgot.expect("one")).next().expect("some").0.0;
    assert!(next[..8] < 2_000_u64.to_be_bytes()[..], "{next:?}");
}
