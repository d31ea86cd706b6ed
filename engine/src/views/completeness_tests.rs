use protocol::kinds::{Profile, Revocation};
use protocol::{Body, EntryId, KeyPair, Timestamp};

use super::*;
use crate::kinds::testing::Author;
use crate::views::testing::{Peer, feed_of};

const NOW: Timestamp = Timestamp(77);

fn asked() -> Heard {
    Heard {
        peers: 1,
        compared: Some(NOW),
        ..Heard::default()
    }
}

/// The author's profile at this peer, with what was heard.
fn profile(peer: &Peer, author: &Author, heard: Heard) -> ProfileView {
    let mut view = super::super::profile::view(&peer.context(), &author.account());
    show(&mut view, &peer.log, heard);
    view
}

fn device(number: u8) -> DeviceId {
    DeviceId(KeyPair::from_seed(&[number; 32]).public())
}

#[test]
fn all_is_here_once_a_peer_was_asked_and_has_no_more() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    let view = profile(&peer, &ada, asked());
    assert!(view.is_complete());
    assert_eq!((view.posts(), view.missing(), view.entries), (3, 0, 4));
    assert_eq!((view.reported_by, view.compared), (1, Some(NOW)));
    let feed = peer.log.feeds.get(&ada.device()).expect("held");
    assert_eq!(
        (view.feeds[0].head, view.signed_at()),
        (feed.head, Some(feed.signed_at))
    );
    assert!(
        !profile(&peer, &ada, Heard::default()).is_complete(),
        "no peer was asked"
    );
}

#[test]
fn what_peers_have_beyond_is_ahead_and_what_they_have_less_is_not() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    let mut heard = asked();
    for next_seq in [2, 9, 5] {
        heard.record(ada.device(), next_seq);
    }
    let view = profile(&peer, &ada, heard);
    assert_eq!(view.missing(), 5);
    assert!(!view.is_complete());
    let mut heard = asked();
    heard.record(ada.device(), 4);
    assert!(profile(&peer, &ada, heard).is_complete());
}

#[test]
fn feeds_of_which_nothing_is_here_are_ahead_as_a_whole() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 1));
    let mut heard = asked();
    heard.record(device(1), 6);
    let view = profile(&peer, &ada, heard);
    assert_eq!((view.feeds.len(), view.missing()), (2, 6));
    assert_eq!(view.feeds[1].device, device(1), "the last written one is first");
    assert!(!view.is_complete());
}

fn revoke(peer: &mut Peer, by: &Author, device: DeviceId, next_seq: u64) {
    let revocation = Revocation::issue(by.key(), device, next_seq, EntryId::default(), Timestamp(1));
    peer.log.revocations.insert((by.account(), device), revocation);
}

#[test]
fn what_a_revocation_made_void_is_not_missing() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    revoke(&mut peer, &ada, device(1), 0);
    revoke(&mut peer, &ada, device(2), 2);
    let mut heard = asked();
    heard.record(device(1), 6);
    heard.record(device(2), 6);
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    feed.revoked = Some(4);
    heard.record(ada.device(), 9);
    let view = profile(&peer, &ada, heard);
    assert_eq!((view.feeds.len(), view.missing()), (2, 2));
}

#[test]
fn a_feed_that_ends_before_its_last_entry_shows_no_head() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    feed.revoked = Some(2);
    let view = profile(&peer, &ada, asked());
    assert_eq!(
        (view.feeds[0].entries, view.feeds[0].head),
        (2, EntryId::default())
    );
}

#[test]
fn a_forked_feed_is_never_complete() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    feed.forked = Some(9);
    let view = profile(&peer, &ada, asked());
    assert_eq!(
        (view.forked, view.missing(), view.is_complete()),
        (true, 0, false)
    );
}

#[test]
fn neighbours_cannot_make_up_more_devices_than_an_account_may_have() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 1));
    let mut heard = asked();
    for n in 0..200 {
        heard.record(device(n), 3);
    }
    let view = profile(&peer, &ada, heard);
    assert_eq!(view.feeds.len(), DEVICES_PER_ACCOUNT_MAX);
}

#[test]
fn other_entries_than_posts_are_no_posts() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = feed_of(&mut ada, 1);
    let (name, bio) = ("Ada".into(), String::new());
    entries.push(ada.write(&Body::Profile(Profile { name, bio })));
    peer.take(&entries);
    let view = profile(&peer, &ada, asked());
    assert_eq!((view.posts(), view.feeds[0].entries), (1, 3));
}
