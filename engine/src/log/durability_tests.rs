use protocol::kinds::Follow;
use protocol::{Body, DeviceId, EntryId, EntryRef, PeerId, Timestamp};

use super::{Confirmed, Holders, OWN_POSTS_MAX, PEERS_PER_FEED_MAX};
use crate::kinds::testing::Author;
use crate::log::records::HolderRecord;
use crate::store::Table;
use crate::testing::Node;

const DEVICE: DeviceId = DeviceId([1; 32]);

fn peer(n: usize) -> PeerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    PeerId(id)
}

fn record(next_seq: u64, relay: bool) -> HolderRecord {
    HolderRecord {
        next_seq,
        relay,
        at: Timestamp(1),
    }
}

/// The own device, which has written its first entry.
fn node() -> (Node, Confirmed) {
    let me = Author::new(1);
    let mut node = Node::new(&me);
    node.log.begin_own(&mut node.ctx, me.certificate());
    node.persist();
    let head = node.log.feeds.get(&me.device()).expect("held").head;
    let confirmed = Confirmed {
        peer: peer(1),
        relay: false,
        device: me.device(),
        next_seq: 1,
        head,
    };
    (node, confirmed)
}

#[test]
fn further_peers_than_the_bound_are_not_counted_but_relays_are() {
    let mut holders = Holders::default();
    for n in 0..PEERS_PER_FEED_MAX {
        assert_eq!(holders.record(DEVICE, peer(n), record(1, false)), Some(0));
    }
    assert_eq!(holders.record(DEVICE, peer(1_000), record(1, false)), None);
    assert_eq!(holders.record(DEVICE, peer(1_001), record(1, true)), Some(0));
    assert_eq!(
        holders.record(DEVICE, peer(0), record(2, false)),
        Some(1),
        "a peer that is remembered moves on"
    );
    assert_eq!(holders.of(&DEVICE, 0).count(), PEERS_PER_FEED_MAX + 1);
}

#[test]
fn a_confirmation_that_says_no_more_than_before_is_no_news() {
    let mut holders = Holders::default();
    assert_eq!(holders.record(DEVICE, peer(1), record(5, false)), Some(0));
    assert_eq!(holders.record(DEVICE, peer(1), record(5, false)), None);
    assert_eq!(holders.record(DEVICE, peer(1), record(4, false)), None);
    assert_eq!(
        holders.record(DEVICE, peer(1), record(5, true)),
        Some(5),
        "a signed receipt is more"
    );
    assert_eq!(holders.reach(&DEVICE), (5, 5));
}

#[test]
fn the_reach_of_relays_is_not_that_of_other_peers() {
    let mut holders = Holders::default();
    holders.record(DEVICE, peer(1), record(7, false));
    holders.record(DEVICE, peer(2), record(3, true));
    assert_eq!(holders.reach(&DEVICE), (7, 3));
    assert_eq!(holders.reach(&DeviceId([2; 32])), (0, 0));
}

#[test]
fn the_oldest_own_entries_and_posts_are_forgotten_first() {
    let mut holders = Holders::default();
    let most = OWN_POSTS_MAX as u64;
    for seq in 0..=most {
        let id = EntryId(peer(seq as usize).0);
        holders.record_own(DEVICE, seq, id);
        let post = EntryRef {
            account: protocol::AccountId([3; 32]),
            id,
        };
        holders.record_own_post(DEVICE, seq, post);
    }
    assert_eq!(holders.own_id(DEVICE, 0), None);
    assert!(holders.own_id(DEVICE, 1).is_some() && holders.own_id(DEVICE, most).is_some());
    let posts = holders.own_posts_from(DEVICE, 0);
    assert_eq!((posts.len(), posts[0].0), (OWN_POSTS_MAX, 1));
}

#[test]
fn what_a_peer_confirms_of_an_own_feed_is_stored_and_counted() {
    let (mut node, confirmed) = node();
    let durability = |node: &Node| node.log.durability(&confirmed.device, 0, 2);
    assert_eq!((durability(&node).saved, durability(&node).peers), (true, 0));
    assert_eq!(node.log.confirm(&mut node.ctx, confirmed), Some(0));
    let relay = Confirmed {
        peer: peer(2),
        relay: true,
        ..confirmed
    };
    assert_eq!(node.log.confirm(&mut node.ctx, relay), Some(0));
    let now = durability(&node);
    assert_eq!((now.peers, now.relays, now.relays_known), (1, 1, 2));
    assert_eq!(
        node.log.durability(&confirmed.device, 1, 0).peers,
        0,
        "not of the next entry"
    );
    node.flush();
    assert_eq!(node.store.len(Table::Holders), 2);
}

#[test]
fn a_confirmation_of_what_was_never_written_is_not_believed() {
    let (mut node, confirmed) = node();
    let more = Confirmed {
        next_seq: 2,
        ..confirmed
    };
    let other_head = Confirmed {
        head: EntryId([9; 32]),
        ..confirmed
    };
    let unknown = Confirmed {
        device: DEVICE,
        ..confirmed
    };
    for wrong in [more, other_head, unknown] {
        assert_eq!(node.log.confirm(&mut node.ctx, wrong), None, "{wrong:?}");
    }
    assert!(node.flush().is_empty());
    node.log.append_own(
        &mut node.ctx,
        &Body::Follow(Follow {
            account: protocol::AccountId([3; 32]),
            on: true,
        }),
    );
    assert_eq!(
        node.log.confirm(&mut node.ctx, other_head),
        None,
        "another continuation that has fewer entries"
    );
    assert_eq!(node.log.confirm(&mut node.ctx, confirmed), Some(0));
}

#[test]
fn feeds_of_others_have_no_holders() {
    let (mut node, confirmed) = node();
    let mut author = Author::new(2);
    let held = node.hold(&mut author, 1);
    let of_other = Confirmed {
        device: author.device(),
        head: held[0].id(),
        ..confirmed
    };
    assert_eq!(node.log.confirm(&mut node.ctx, of_other), None);
}
