use protocol::{PeerId, Timestamp};

use super::*;
use crate::api::StoreState;
use crate::kinds::testing::Author;
use crate::log::records::HolderRecord;
use crate::views::testing::{Peer, feed_of};

#[test]
fn without_an_account_nothing_waits_and_the_phrase_counts_as_confirmed() {
    let peer = Peer::new(None);
    let expected = StatusView {
        connection: Connection::Connecting,
        phrase_confirmed: true,
        ..StatusView::default()
    };
    assert_eq!(status(&peer.ctx, &peer.context()), expected);
}

#[test]
fn own_entries_wait_until_a_peer_holds_them_and_are_not_durable_until_a_relay_does() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    peer.take(&feed_of(&mut ada, 4));
    peer.take(&feed_of(&mut bob, 9));
    let counts = |peer: &Peer| {
        let status = status(&peer.ctx, &peer.context());
        (status.waiting, status.not_durable)
    };
    let device = peer.ctx.device().expect("there is an account");
    assert_eq!(counts(&peer), (5, 5));
    let holder = |next_seq, relay| HolderRecord {
        next_seq,
        relay,
        at: Timestamp(1),
        ..HolderRecord::default()
    };
    peer.log
        .holders
        .restore(device, PeerId([1; 32]), holder(4, false));
    assert_eq!(counts(&peer), (1, 5));
    peer.log.holders.restore(device, PeerId([2; 32]), holder(3, true));
    assert_eq!(counts(&peer), (1, 2));
    peer.log.holders.restore(device, PeerId([3; 32]), holder(5, true));
    assert_eq!(counts(&peer), (0, 0));
}

#[test]
fn the_state_of_the_store_is_shown() {
    let mut peer = Peer::new(None);
    peer.ctx.store_state = StoreState::Full;
    assert_eq!(status(&peer.ctx, &peer.context()).store, StoreState::Full);
}

#[test]
fn counts_that_do_not_fit_are_shown_as_the_most_that_does() {
    assert_eq!([count(3), count(u64::MAX)], [3, u32::MAX]);
}
