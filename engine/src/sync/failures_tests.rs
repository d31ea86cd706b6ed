use core::time::Duration;

use protocol::messages::{Digest, FeedHead, Message};
use protocol::{DeviceId, EntryId, Instant};

use super::{FAILED_MAX, Failures, PAUSE_MAX};
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::sync::fetch::{SLOW, STALLED};
use crate::sync::testing::{Peer, entries, written};
use crate::testing::Remote;

const NOW: Instant = Instant(1_000_000_000);

fn feed(n: usize) -> DeviceId {
    let mut device = [0; 32];
    device[..8].copy_from_slice(&n.to_be_bytes());
    DeviceId(device)
}

#[test]
fn pauses_double_up_to_a_bound_and_end_with_progress() {
    let mut failures = Failures::default();
    for times in 1..20 {
        failures.record(feed(1), NOW);
        let pause = (STALLED * (1 << times.min(8))).min(PAUSE_MAX);
        assert_eq!(failures.times(&feed(1)), times);
        assert!(failures.is_paused(&feed(1), NOW + pause - Duration::from_micros(1)));
        assert!(!failures.is_paused(&feed(1), NOW + pause));
    }
    assert_eq!(failures.paused(NOW).count(), 1);
    failures.on_progress(&feed(1));
    assert_eq!((failures.times(&feed(1)), failures.paused(NOW).count()), (0, 0));
}

#[test]
fn failures_are_bounded() {
    let mut failures = Failures::default();
    for n in 0..=FAILED_MAX {
        failures.record(feed(n), NOW + Duration::from_micros(n as u64));
    }
    assert_eq!(failures.paused(NOW).count(), FAILED_MAX);
    assert_eq!(failures.times(&feed(0)), 0, "the first one");
}

/// Says that it holds much of a feed, which it never sends.
fn claim(peer: &mut Peer, link: LinkId, author: &Author) {
    let head = FeedHead {
        account: author.account(),
        device: author.device(),
        next_seq: 1_000,
        head: EntryId::default(),
    };
    let heads = vec![head];
    peer.receive(link, Message::Digest(Digest { heads, end: false }));
}

/// Some neighbours claim a feed each second and send nothing. After how long `honest`, which says once that it holds the
/// feed, is asked for it.
fn asked_after(peer: &mut Peer, hostile: &[LinkId], honest: LinkId, author: &mut Author) -> Option<Duration> {
    for link in hostile {
        claim(peer, *link, author);
    }
    let written = written(author, 3);
    peer.tells(honest, &written[2]);
    for second in 0..120 {
        if let Some(want) = peer.wants(honest).first() {
            peer.receive(honest, entries(want.request, &written));
            assert_eq!(peer.held(author), 3);
            return Some(Duration::from_secs(second));
        }
        peer.node.pass(Duration::from_secs(1));
        for link in hostile {
            claim(peer, *link, author);
        }
        peer.on_timer();
    }
    None
}

#[test]
fn neighbours_that_claim_a_feed_and_send_nothing_do_not_keep_it_from_another_one() {
    for k in [1, 4, 6, 10] {
        let mut ada = Author::new(2);
        let mut peer = Peer::new(&[&ada]);
        let hostile: Vec<LinkId> = (0..k).map(|n| peer.link(&Remote::peer(20 + n))).collect();
        let honest = peer.link(&Remote::peer(50));
        let after = asked_after(&mut peer, &hostile, honest, &mut ada);
        let most = SLOW * u32::from(k + 1);
        assert!(after.is_some_and(|after| after <= most), "{k}: {after:?}");
    }
}

#[test]
fn a_device_of_the_account_is_asked_at_once() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let hostile: Vec<LinkId> = (0..6).map(|n| peer.link(&Remote::peer(20 + n))).collect();
    let own = own_device(&mut peer, &ada);
    let after = asked_after(&mut peer, &hostile, own, &mut ada);
    assert_eq!(after, Some(Duration::ZERO));
}

#[test]
fn a_device_of_the_account_that_left_a_request_unanswered_is_asked_at_once_again() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let own = own_device(&mut peer, &ada);
    let hostile: Vec<LinkId> = (0..6).map(|n| peer.link(&Remote::peer(20 + n))).collect();
    claim(&mut peer, own, &ada);
    for _ in 0..2 * STALLED.as_secs() + 2 {
        peer.node.pass(Duration::from_secs(1));
        peer.on_timer();
    }
    assert_eq!(
        peer.wants(own).len(),
        2,
        "a neighbour that was too busy gets one more chance"
    );
    let after = asked_after(&mut peer, &hostile, own, &mut ada);
    assert_eq!(after, Some(Duration::ZERO));
}

fn own_device(peer: &mut Peer, author: &Author) -> LinkId {
    peer.link(&Remote {
        key: author.device_key().clone(),
        certificate: Some(author.certificate()),
        ..Remote::peer(0)
    })
}
