//! Feeds of which void entries are held.

use protocol::kinds::Revocation;
use protocol::messages::{ForkProof, Message, Want};
use protocol::{Timestamp, VerifiedEntry};

use super::super::testing::{Peer, written};
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::testing::{Remote, head};

/// A peer that holds four entries of a device of which the account allows two, and is linked with a neighbour that wants
/// them.
fn with_void_entries() -> (Peer, Author, Vec<VerifiedEntry>, LinkId) {
    let mut author = Author::new(2);
    let mut peer = Peer::new(&[&author]);
    let held = peer.node.hold(&mut author, 4);
    let revocation = Revocation::issue(author.key(), author.device(), 2, held[1].id(), Timestamp(1));
    peer.node.log.revoke(&mut peer.node.ctx, &revocation);
    assert!(peer.node.read_ends());
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&author]);
    (peer, author, held, link)
}

#[test]
fn void_entries_are_in_no_digest_and_no_answer() {
    let (mut peer, author, held, link) = with_void_entries();
    peer.settle();
    assert_eq!(peer.told(link), [head(&held[1])]);
    let want = Want {
        request: 1,
        device: author.device(),
        from: 0,
        to: 4,
    };
    peer.receive(link, Message::Want(want));
    peer.serve();
    let sent = peer.node.sent(link).into_iter();
    let served = sent.map(|message| match message {
        Message::Entries(entries) => entries.entries.len(),
        _ => 0,
    });
    assert_eq!(served.sum::<usize>(), 2);
}

#[test]
fn void_entries_that_a_neighbour_still_counts_are_neither_wanted_nor_a_fork() {
    let (mut peer, author, held, link) = with_void_entries();
    peer.tells(link, &held[3]);
    assert_eq!(peer.wants(link), []);
    let mut fresh = Peer::new(&[&author]);
    let revocation = Revocation::issue(author.key(), author.device(), 2, held[1].id(), Timestamp(1));
    fresh.node.log.revoke(&mut fresh.node.ctx, &revocation);
    let link = fresh.link(&Remote::peer(20));
    fresh.tells(link, &held[3]);
    let wants = fresh.wants(link);
    assert_eq!(
        wants.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(0, 2)]
    );
}

#[test]
fn what_a_forked_feed_has_before_the_fork_is_fetched() {
    let mut author = Author::new(2);
    let mut peer = Peer::new(&[&author]);
    let entries = written(&mut author, 5);
    for entry in &entries[..2] {
        peer.node.take_in(entry);
    }
    let mut again = Author::new(2);
    let mut beside = written(&mut again, 4);
    beside.push(again.post("beside"));
    let proof = ForkProof {
        one: entries[4].entry().signed.clone(),
        other: beside[4].entry().signed.clone(),
    };
    peer.node.log.on_fork_proof(&mut peer.node.ctx, LinkId(1), proof);
    let link = peer.link(&Remote::peer(20));
    peer.tells(link, &entries[4]);
    let wants = peer.wants(link);
    assert_eq!(
        wants.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(2, 4)]
    );
}
