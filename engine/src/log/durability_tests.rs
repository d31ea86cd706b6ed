use protocol::kinds::Follow;
use protocol::messages::receipt::Reason;
use protocol::{Body, DeviceId, EntryId, EntryRef, PeerId, Timestamp};

use super::Recorded::{Again, More, Nothing};
use super::{Confirmed, Holders, NotKept, OWN_POSTS_MAX, PEERS_PER_FEED_MAX, TakenBack};
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
        ..HolderRecord::default()
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
        signed_at: Timestamp(0),
    };
    (node, confirmed)
}

#[test]
fn further_peers_than_the_bound_are_not_counted_but_relays_are() {
    let mut holders = Holders::default();
    for n in 0..PEERS_PER_FEED_MAX {
        assert_eq!(holders.record(DEVICE, peer(n), record(1, false)), More(0));
    }
    assert_eq!(holders.record(DEVICE, peer(1_000), record(1, false)), Nothing);
    assert_eq!(holders.record(DEVICE, peer(1_001), record(1, true)), More(0));
    assert_eq!(
        holders.record(DEVICE, peer(0), record(2, false)),
        More(1),
        "a peer that is remembered moves on"
    );
    assert_eq!(holders.of(&DEVICE, 0).count(), PEERS_PER_FEED_MAX + 1);
}

#[test]
fn a_confirmation_that_says_no_more_than_before_is_no_news() {
    let mut holders = Holders::default();
    assert_eq!(holders.record(DEVICE, peer(1), record(5, false)), More(0));
    assert_eq!(holders.record(DEVICE, peer(1), record(5, false)), Nothing);
    assert_eq!(holders.record(DEVICE, peer(1), record(4, false)), Nothing);
    assert_eq!(
        holders.record(DEVICE, peer(1), record(5, true)),
        More(0),
        "a signed receipt is more, for all entries"
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
fn a_relay_that_later_signs_for_less_holds_no_more_than_that_but_what_it_held_stays_published() {
    let (mut node, first) = node();
    let follow = |node: &mut Node, n| {
        let body = Body::Follow(Follow {
            account: protocol::AccountId([n; 32]),
            on: true,
        });
        node.log.append_own(&mut node.ctx, &body).expect("written").id()
    };
    follow(&mut node, 3);
    let head = follow(&mut node, 4);
    node.persist();
    let signed = |next_seq, head, at| Confirmed {
        relay: true,
        next_seq,
        head,
        signed_at: Timestamp(at),
        ..first
    };
    let relays = |node: &Node, seq| node.log.durability(&first.device, seq, 0).relays;
    assert_eq!(node.log.confirm(&mut node.ctx, signed(3, head, 5)), Some(0));
    assert_eq!(
        node.log.confirm(&mut node.ctx, signed(1, first.head, 4)),
        None,
        "an old one"
    );
    assert_eq!((relays(&node, 0), relays(&node, 2)), (1, 1));
    assert_eq!(node.log.confirm(&mut node.ctx, signed(1, first.head, 6)), Some(1));
    assert_eq!((relays(&node, 0), relays(&node, 1), relays(&node, 2)), (1, 0, 0));
    assert_eq!(
        node.log.holders.reached(&first.device),
        3,
        "others may have seen it"
    );
    assert_eq!(node.log.confirm(&mut node.ctx, signed(3, head, 7)), Some(1));
    assert_eq!(relays(&node, 2), 1);
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

fn signed(next_seq: u64, at: u64) -> HolderRecord {
    HolderRecord {
        signed_at: Timestamp(at),
        held: next_seq,
        ..record(next_seq, true)
    }
}

fn not_kept(from: u64, at: u64) -> NotKept {
    NotKept {
        relay: peer(1),
        device: DEVICE,
        from,
        signed_at: Timestamp(at),
        reason: Reason::QUOTA,
    }
}

#[test]
fn a_withdrawal_takes_back_what_was_signed_before_it() {
    let mut holders = Holders::default();
    holders.record(DEVICE, peer(1), signed(5, 10));
    holders.record(DEVICE, peer(2), signed(5, 10));
    let now = Timestamp(99);
    assert_eq!(
        holders.take_back(not_kept(0, 9), false, now),
        TakenBack::Nothing,
        "older than the newest receipt"
    );
    assert_eq!(holders.take_back(not_kept(0, 10), false, now), TakenBack::From(0));
    assert_eq!(
        holders.of(&DEVICE, 0).map(|(peer, _)| peer).collect::<Vec<_>>(),
        [peer(2)]
    );
    assert_eq!(
        holders.take_back(not_kept(0, 10), false, now),
        TakenBack::Nothing,
        "known"
    );
    // A receipt that was signed before it comes late, and so does an unsigned message.
    assert_eq!(holders.record(DEVICE, peer(1), signed(5, 10)), Nothing);
    assert_eq!(holders.record(DEVICE, peer(1), record(5, false)), Nothing);
    // The relay keeps the feed again.
    assert_eq!(holders.record(DEVICE, peer(1), signed(3, 11)), More(0));
    assert_eq!(holders.of(&DEVICE, 2).count(), 2);
    assert_eq!(holders.held_by(peer(1)).collect::<Vec<_>>(), [DEVICE]);
}

#[test]
fn a_withdrawal_of_the_later_entries_leaves_the_first() {
    let mut holders = Holders::default();
    holders.record(DEVICE, peer(1), signed(5, 10));
    let taken = holders.take_back(not_kept(2, 11), false, Timestamp(99));
    assert_eq!(taken, TakenBack::From(2));
    assert_eq!(
        (holders.of(&DEVICE, 1).count(), holders.of(&DEVICE, 2).count()),
        (1, 0)
    );
}

#[test]
fn the_newest_receipt_counts_even_if_it_says_no_more() {
    let mut holders = Holders::default();
    holders.record(DEVICE, peer(1), signed(5, 10));
    assert_eq!(holders.record(DEVICE, peer(1), signed(5, 20)), Again);
    assert_eq!(
        holders.take_back(not_kept(0, 15), false, Timestamp(99)),
        TakenBack::Nothing
    );
    assert_eq!(holders.of(&DEVICE, 4).count(), 1);
}

#[test]
fn a_withdrawal_that_overtakes_the_receipts_counts_against_them() {
    let mut holders = Holders::default();
    let now = Timestamp(99);
    assert_eq!(
        holders.take_back(not_kept(0, 15), false, now),
        TakenBack::Nothing,
        "of a relay that does not count"
    );
    assert_eq!(holders.record(DEVICE, peer(1), signed(5, 10)), More(0));
    let mut holders = Holders::default();
    assert_eq!(
        holders.take_back(not_kept(0, 15), true, now),
        TakenBack::Remembered
    );
    assert_eq!(holders.record(DEVICE, peer(1), signed(5, 10)), Nothing);
}

#[test]
fn what_a_relay_held_before_is_never_signed_again() {
    let mut holders = Holders::default();
    holders.record(DEVICE, peer(1), signed(5, 10));
    holders.take_back(not_kept(0, 11), false, Timestamp(99));
    assert_eq!((holders.reach(&DEVICE), holders.reached(&DEVICE)), ((0, 0), 5));
    holders.record(DEVICE, peer(1), signed(2, 12));
    assert_eq!((holders.reach(&DEVICE), holders.reached(&DEVICE)), ((2, 2), 5));
}

#[test]
fn who_keeps_a_post_no_longer_is_shown_after_its_holders() {
    let (mut node, confirmed) = node();
    for n in [1, 2] {
        let relay = Confirmed {
            peer: peer(n),
            relay: true,
            signed_at: Timestamp(10),
            ..confirmed
        };
        node.log.confirm(&mut node.ctx, relay);
    }
    let not_kept = NotKept {
        device: confirmed.device,
        ..not_kept(0, 11)
    };
    assert_eq!(node.log.take_back(&mut node.ctx, not_kept, false), Some(0));
    assert_eq!(node.log.durability(&confirmed.device, 0, 2).relays, 1);
    let shown = |node: &Node, seq| {
        let views = node.log.holder_views(&confirmed.device, seq);
        views
            .into_iter()
            .map(|view| (view.peer, view.withdrawn))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&node, 0), [(peer(2), None), (peer(1), Some(Reason::QUOTA))]);
    assert_eq!(shown(&node, 1), [], "it never had that one");
    // It is stored.
    node.flush();
    let rows = node.store.rows(Table::Holders);
    let records = rows.values().map(|row| HolderRecord::parse(row).expect("whole"));
    let withdrawn: Vec<_> = records
        .map(|record| (record.next_seq, record.withdrawn))
        .collect();
    assert_eq!(withdrawn, [(0, Some(Reason::QUOTA)), (1, None)]);
}

#[test]
fn a_relay_that_left_keeps_nothing_of_what_it_signed_until_then() {
    let (mut node, confirmed) = node();
    let relay = Confirmed {
        relay: true,
        signed_at: Timestamp(10),
        ..confirmed
    };
    node.log.confirm(&mut node.ctx, relay);
    let mut left = |at| {
        let (relay, at) = (confirmed.peer, Timestamp(at));
        node.log.take_back_all(&mut node.ctx, relay, at, Reason::LEFT)
    };
    assert_eq!(left(9), [], "it came back since");
    assert_eq!(left(11), [confirmed.device]);
    assert_eq!(left(12), []);
}

#[test]
fn a_row_of_before_withdrawals_is_read() {
    #[derive(serde::Serialize)]
    struct Before {
        next_seq: u64,
        relay: bool,
        at: Timestamp,
    }
    let before = Before {
        next_seq: 300,
        relay: true,
        at: Timestamp(1),
    };
    let row = protocol::codec::encode(&before);
    assert_eq!(HolderRecord::parse(&row), Some(record(300, true)));
    assert_eq!(HolderRecord::parse(&row[..2]), None, "damaged");
}
