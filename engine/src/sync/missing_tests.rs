use core::time::Duration;

use protocol::messages::{Digest, FeedHead, Message, RangeEnd};
use protocol::{AccountId, DeviceId, EntryId};

use super::{MISSING_MAX, MISSING_OF_ALL_MAX, MISSING_OF_LIMITED_MAX};
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
fn when_a_relay_remembers_too_much_the_neighbour_with_most_forgets_what_is_furthest_from_its_turn() {
    let ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let honest = from_address(&mut peer, Some(1), 20);
    name(&mut peer, honest, ada.account(), 0, 1_000);
    let of_honest = peer.sync.missing_len(honest);
    let full = MISSING_OF_ALL_MAX.div_ceil(MISSING_MAX) as u8;
    let flood: Vec<_> = (0..full).map(|n| from_address(&mut peer, None, 21 + n)).collect();
    for link in &flood {
        name(&mut peer, *link, ada.account(), 1_000, 30_000);
    }
    let of_flood: usize = flood.iter().map(|link| peer.sync.missing_len(*link)).sum();
    assert_eq!(of_honest + of_flood, MISSING_OF_ALL_MAX);
    assert_eq!(peer.sync.missing_len(honest), of_honest, "it has few");
    assert!(
        flood.iter().all(|link| peer.sync.overflowed(*link)),
        "they are asked again"
    );
    let lens: Vec<_> = flood.iter().map(|link| peer.sync.missing_len(*link)).collect();
    let most_and_least = lens.iter().max().zip(lens.iter().min());
    assert!(
        most_and_least.is_some_and(|(most, least)| most - least < 1_000),
        "{lens:?}"
    );
    // The neighbour with few has room as long as others have more.
    name(&mut peer, honest, ada.account(), 50_000, 2_000);
    assert_eq!(peer.sync.missing_len(honest), of_honest + 2_000);
    // What was forgotten is what would have been requested last.
    let next = peer.sync.missing(flood[0]).next().expect("some").0.0;
    assert!(next[..8] < 2_000_u64.to_be_bytes()[..], "{next:?}");
}
