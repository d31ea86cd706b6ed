use protocol::entry::Position;
use protocol::kinds::Revocation;
use protocol::messages::ForkProof;
use protocol::{Body, Entry, EntryId, KeyPair, Timestamp, VerifiedEntry};

use crate::api::Error;
use crate::facts::Fact;
use crate::io::LinkId;
use crate::kinds::testing::{Author, post};
use crate::log::append::Taken;
use crate::log::durability::Confirmed;
use crate::log::feeds::Feed;
use crate::store::{Op, Table};
use crate::testing::{Node, Remote, spoil};

/// The device of author 1, whose own feed has begun, and another author.
fn node() -> (Node, Author, Author) {
    let me = Author::new(1);
    let mut node = Node::new(&me);
    node.log.begin_own(&mut node.ctx, me.certificate());
    node.persist();
    node.facts();
    (node, me, Author::new(2))
}

fn entry_with_wrong_signature(entry: &VerifiedEntry) -> Entry {
    let mut entry = entry.entry().clone();
    spoil(&mut entry.signed.signature);
    entry
}

fn next_seq(node: &Node, author: &Author) -> u64 {
    let feed = node.log.feeds.get(&author.device());
    feed.map_or(0, |feed| feed.next_seq)
}

fn shared(node: &Node, author: &Author) -> (u64, EntryId) {
    node.log.feeds.get(&author.device()).expect("held").shared()
}

fn write(node: &mut Node, text: &str) -> VerifiedEntry {
    let body = Body::Post(post(text, None));
    node.log
        .append_own(&mut node.ctx, &body)
        .expect("there is an account")
}

fn revoke(author: &Author, device: &Author, next_seq: u64) -> Revocation {
    Revocation::issue(
        author.key(),
        device.device(),
        next_seq,
        EntryId::default(),
        Timestamp(5),
    )
}

fn voided(node: &mut Node) -> bool {
    let facts = node.facts();
    facts.iter().any(|fact| matches!(fact, Fact::Voided(_)))
}

#[test]
fn entries_are_taken_in_in_order_and_the_first_one_makes_the_account_known() {
    let (mut node, _, mut author) = node();
    let entries = [author.begin(), author.post("one"), author.post("two")];
    for (n, entry) in entries.iter().enumerate() {
        let Taken::Appended { entry: taken, len } = node.take_in(entry) else {
            panic!("entry {n} was not appended");
        };
        assert_eq!(taken.id(), entry.id());
        assert_eq!(len, protocol::codec::encode(entry.entry()).len());
    }
    let seen = node.facts();
    let seen = seen.iter().filter(|fact| matches!(fact, Fact::AccountSeen(_)));
    assert_eq!(seen.count(), 1);
    node.log.flush(&mut node.ctx);
    let ops = node.flush();
    let stored = |of| {
        ops.iter()
            .filter(|op| matches!(op, Op::Put { table, .. } if *table == of))
            .count()
    };
    assert_eq!((stored(Table::Entries), stored(Table::Feeds)), (3, 1));
}

#[test]
fn an_entry_that_comes_too_early_is_not_kept_and_says_what_to_fetch() {
    let (mut node, _, mut author) = node();
    node.hold(&mut author, 2);
    author.post("the gap");
    let early = author.post("early");
    let Taken::TooEarly(head) = node.take_in(&early) else {
        panic!("it was not too early");
    };
    assert_eq!(
        (head.device, head.next_seq, head.head),
        (author.device(), 4, early.id())
    );
    assert_eq!(next_seq(&node, &author), 2);
    assert!(node.flush().is_empty(), "nothing was written");
}

#[test]
fn an_entry_with_a_wrong_signature_changes_nothing() {
    let (mut node, _, mut author) = node();
    node.hold(&mut author, 1);
    let wrong = entry_with_wrong_signature(&author.post("forged"));
    let taken = node.log.take_in(&mut node.ctx, None, wrong, false);
    assert!(taken.is_err(), "{taken:?}");
    assert_eq!(next_seq(&node, &author), 1);
    assert!(node.flush().is_empty());
}

#[test]
fn an_entry_that_is_held_costs_no_check_of_its_signature() {
    let (mut node, _, mut author) = node();
    let held = node.hold(&mut author, 2);
    // The id does not cover the signature: were it checked, this one would be refused.
    let again = entry_with_wrong_signature(&held[1]);
    let taken = node.log.take_in(&mut node.ctx, Some(LinkId(1)), again, true);
    assert!(matches!(taken, Ok(Taken::Held { seq: 1, .. })), "{taken:?}");
    assert_eq!(node.ctx.totals.duplicates, 1);
    assert!(node.loads().is_empty(), "the head is known without a read");
}

#[test]
fn an_entry_after_another_head_is_one_of_another_branch() {
    let (mut node, _, mut author) = node();
    let mut other = Author::new(2);
    node.hold(&mut author, 2);
    other.begin();
    other.post("not what is held");
    let taken = node.take_in(&other.post("its next"));
    assert!(matches!(taken, Taken::OtherBranch { seq: 1, .. }), "{taken:?}");
    assert_eq!(next_seq(&node, &author), 2);
}

#[test]
fn an_entry_cannot_move_a_feed_to_another_account() {
    let (mut node, _, mut author) = node();
    let held = node.hold(&mut author, 1);
    let thief = Author::new(3);
    let device = KeyPair::from_seed(&[108; 32]);
    assert_eq!(
        device.public(),
        author.device().0,
        "the author's own device signs"
    );
    let at = Position {
        seq: 1,
        prev: held[0].id(),
        lamport: 2,
    };
    let body = Body::Post(post("moved", None));
    let moved = VerifiedEntry::create(&device, at, thief.account(), Timestamp(1), &body);
    let taken = node
        .log
        .take_in(&mut node.ctx, None, moved.entry().clone(), false);
    assert!(taken.is_err(), "{taken:?}");
}

#[test]
fn a_feed_beyond_the_bound_does_not_begin() {
    let me = Author::new(1);
    let mut node = Node::with_feeds_max(&me, 1);
    let (mut first, mut second) = (Author::new(2), Author::new(3));
    node.hold(&mut first, 1);
    assert!(matches!(node.take_in(&second.begin()), Taken::Ignored));
    assert_eq!((node.log.feeds.len(), node.ctx.totals.refused), (1, 1));
    assert!(matches!(
        node.take_in(&first.post("goes on")),
        Taken::Appended { .. }
    ));
}

#[test]
fn there_is_always_room_for_the_own_feed() {
    let me = Author::new(1);
    let mut node = Node::with_feeds_max(&me, 0);
    node.log.begin_own(&mut node.ctx, me.certificate());
    assert_eq!(next_seq(&node, &me), 1);
}

#[test]
fn a_revocation_counts_at_once() {
    let (mut node, _, mut author) = node();
    let mut phone = Author::with_device(2, 1);
    node.hold(&mut author, 1);
    node.hold(&mut phone, 2);
    let revocation = author.write(&Body::Revocation(revoke(&author, &phone, 2)));
    node.take_in(&revocation);
    assert!(matches!(node.take_in(&phone.post("void")), Taken::Ignored));
    assert_eq!(next_seq(&node, &phone), 2);
    assert!(!voided(&mut node), "nothing that is held became void");
}

#[test]
fn a_revocation_makes_held_entries_void_that_came_after_it() {
    let (mut node, _, mut author) = node();
    let mut phone = Author::with_device(2, 1);
    node.hold(&mut author, 1);
    node.hold(&mut phone, 3);
    let revocation = author.write(&Body::Revocation(revoke(&author, &phone, 2)));
    node.take_in(&revocation);
    assert!(voided(&mut node));
    assert_eq!(node.log.feeds.get(&phone.device()).map(Feed::limit), Some(2));
}

#[test]
fn neighbours_learn_nothing_of_void_entries_whichever_came_first() {
    let (mut node, _, mut author) = node();
    let mut phone = Author::with_device(2, 1);
    node.hold(&mut author, 1);
    let held = node.hold(&mut phone, 4);
    node.take_in(&author.write(&Body::Revocation(revoke(&author, &phone, 2))));
    let of = |node: &Node| (shared(node, &phone), node.log.durable(&phone.device()));
    assert_eq!(of(&node), ((0, EntryId::default()), None), "not read yet");
    assert!(node.read_ends());
    let end = (2, held[1].id());
    assert_eq!(of(&node), (end, Some((author.account(), end.0, end.1))));
    let feed = node.log.feeds.get(&phone.device()).expect("held");
    assert_eq!((feed.valid_len(), feed.next_seq), (2, 4));
    // A fork that is found later can end it earlier, and a later one changes nothing.
    for (at, ends) in [(3, 2), (1, 1)] {
        let other = phone_entry(&phone, at, held[at as usize - 1].id());
        let proof = ForkProof {
            one: held[at as usize].entry().signed.clone(),
            other: other.entry().signed.clone(),
        };
        node.log.on_fork_proof(&mut node.ctx, LinkId(9), proof);
        node.pass(core::time::Duration::from_secs(10));
        node.log.on_timer(&mut node.ctx);
        while node.read_ends() {}
        assert_eq!(shared(&node, &phone), (ends, held[ends as usize - 1].id()));
    }
}

#[test]
fn proofs_of_ever_lower_forks_of_one_feed_cost_one_change_in_ten_seconds() {
    let (mut node, _, mut author) = node();
    let mut phone = Author::with_device(2, 1);
    node.hold(&mut author, 1);
    let held = node.hold(&mut phone, 9);
    let mut changes = 0;
    let mut count = |node: &mut Node| changes += u32::from(voided(node));
    for at in (2..9).rev() {
        let other = phone_entry(&phone, at, held[at as usize - 1].id());
        let proof = ForkProof {
            one: held[at as usize].entry().signed.clone(),
            other: other.entry().signed.clone(),
        };
        node.log.on_fork_proof(&mut node.ctx, LinkId(9), proof);
        node.log.on_timer(&mut node.ctx);
        count(&mut node);
    }
    let limit = |node: &Node| node.log.feeds.get(&phone.device()).map(Feed::limit);
    assert_eq!(limit(&node), Some(8), "the first one that came");
    node.pass(core::time::Duration::from_secs(10));
    node.log.on_timer(&mut node.ctx);
    count(&mut node);
    assert_eq!((limit(&node), changes), (Some(2), 2));
}

/// An entry of a device that its owner wrote beside the one with the same number.
fn phone_entry(phone: &Author, seq: u64, prev: EntryId) -> VerifiedEntry {
    let device = KeyPair::from_seed(&[109; 32]);
    assert_eq!(device.public(), phone.device().0, "the phone signs");
    let at = Position {
        seq,
        prev,
        lamport: 9,
    };
    let body = Body::Post(post("beside", None));
    VerifiedEntry::create(&device, at, phone.account(), Timestamp(1), &body)
}

#[test]
fn a_last_entry_that_could_not_be_read_is_read_with_the_next_ones() {
    let (mut node, _, mut author) = node();
    let (mut phone, mut tablet) = (Author::with_device(2, 1), Author::with_device(2, 3));
    node.hold(&mut author, 1);
    for device in [&mut phone, &mut tablet] {
        node.hold(device, 3);
    }
    node.take_in(&author.write(&Body::Revocation(revoke(&author, &phone, 2))));
    for load in node.loads() {
        node.log.on_fork_check_failed(&mut node.ctx, load.id);
    }
    assert_eq!(shared(&node, &phone).0, 0);
    node.take_in(&author.write(&Body::Revocation(revoke(&author, &tablet, 1))));
    while node.read_ends() {}
    assert_eq!((shared(&node, &phone).0, shared(&node, &tablet).0), (2, 1));
}

#[test]
fn a_revoked_device_that_is_not_held_cannot_begin_a_longer_feed() {
    let (mut node, _, mut author) = node();
    let mut phone = Author::with_device(2, 1);
    node.hold(&mut author, 1);
    node.take_in(&author.write(&Body::Revocation(revoke(&author, &phone, 1))));
    assert!(matches!(node.take_in(&phone.begin()), Taken::Appended { .. }));
    assert!(matches!(node.take_in(&phone.post("void")), Taken::Ignored));
}

#[test]
fn of_several_revocations_the_lowest_number_counts_also_after_a_restart() {
    let (mut node, _, author) = node();
    let phone = Author::with_device(2, 1);
    let of = (author.account(), phone.device());
    let mut revoked = |next_seq| {
        node.log.revoke(&mut node.ctx, &revoke(&author, &phone, next_seq));
        node.log
            .revocations
            .get(&of)
            .map(|revocation| revocation.next_seq)
    };
    assert_eq!(revoked(5), Some(5));
    assert_eq!(revoked(3), Some(3));
    assert_eq!(revoked(9), Some(3), "a later number gives nothing back");
    node.flush();
    let rows = node.store.rows(Table::Revocations);
    let rows: Vec<Revocation> = rows
        .values()
        .map(|row| protocol::codec::decode_extensible(row).expect("a row"))
        .collect();
    assert_eq!(rows.iter().map(|row| row.next_seq).collect::<Vec<_>>(), [3]);
}

#[test]
fn revocations_and_forks_bound_feeds_again_after_a_restart() {
    let (mut node, me, mut author) = node();
    node.hold(&mut author, 3);
    let record = node.log.feeds.get(&author.device()).expect("held").record();
    node.log = super::Log::new(10);
    node.log.feeds.restore(author.device(), record);
    for (signer, next_seq) in [(&author, 2), (&me, 1)] {
        // One account's revocation does not concern another's device.
        let revocation = revoke(signer, &author, next_seq);
        let of = (signer.account(), author.device());
        node.log.revocations.insert(of, revocation);
    }
    node.log.restore_limits(&mut node.ctx);
    assert_eq!(node.log.feeds.get(&author.device()).map(Feed::limit), Some(2));
    assert!(node.read_ends());
    assert_eq!(shared(&node, &author).0, 2);
}

#[test]
fn a_device_cannot_revoke_another_without_the_key_of_the_account() {
    let (mut node, _, mut author) = node();
    let phone = Author::with_device(2, 1);
    let other = Author::new(3);
    node.hold(&mut author, 1);
    // Signed by the key of another account, in the name of this one.
    let forged = Revocation {
        account: author.account(),
        ..revoke(&other, &phone, 0)
    };
    let entry = author.write(&Body::Revocation(forged));
    let _ = node
        .log
        .take_in(&mut node.ctx, None, entry.entry().clone(), false);
    // Valid, but of another account than that of the feed.
    let entry = author.write(&Body::Revocation(revoke(&other, &phone, 0)));
    let _ = node
        .log
        .take_in(&mut node.ctx, None, entry.entry().clone(), false);
    assert!(node.log.revocations.is_empty());
}

#[test]
fn own_entries_are_shared_only_once_they_are_durable() {
    let (mut node, me, _) = node();
    let entry = write(&mut node, "mine");
    let shared = |node: &Node| node.log.feeds.get(&me.device()).map(Feed::shared);
    assert_eq!(shared(&node).map(|shared| shared.0), Some(1));
    node.log.next_saved(&me.device());
    assert!(node.log.next_saved(&me.device()).is_none());
    node.persist();
    assert_eq!(shared(&node), Some((2, entry.id())));
    let saved = node.log.next_saved(&me.device());
    assert_eq!(saved.map(|(saved, _)| saved.id()), Some(entry.id()));
}

#[test]
fn entries_of_others_are_shared_before_they_are_durable() {
    let (mut node, _, mut author) = node();
    node.take_in(&author.begin());
    let feed = node.log.feeds.get(&author.device()).expect("held");
    assert_eq!((feed.shared().0, feed.durable), (1, 0));
    assert!(node.log.durable(&author.device()).is_none());
}

#[test]
fn neighbours_learn_of_no_more_than_the_prefix_that_is_not_withheld() {
    let (mut node, me, _) = node();
    let first = write(&mut node, "one");
    write(&mut node, "two");
    node.persist();
    let shared = |node: &Node| node.log.feeds.get(&me.device()).map(|feed| feed.shared().0);
    node.log.withhold_own(&me.device(), Some((2, first.id())));
    assert_eq!(shared(&node), Some(2));
    node.log.withhold_own(&me.device(), Some((9, first.id())));
    assert_eq!(shared(&node), Some(3), "nor of more than is durable");
    node.log.withhold_own(&me.device(), None);
    assert_eq!(shared(&node), Some(3));
}

#[test]
fn a_late_report_of_the_disk_does_not_move_a_feed_back() {
    let (mut node, me, _) = node();
    write(&mut node, "one");
    let first = node.log.flush(&mut node.ctx);
    write(&mut node, "two");
    let second = node.log.flush(&mut node.ctx);
    assert_eq!(node.log.on_persisted(&second).len(), 1);
    assert!(node.log.on_persisted(&first).is_empty());
    assert_eq!(node.log.durable(&me.device()).map(|durable| durable.1), Some(3));
}

#[test]
fn entries_that_were_cut_off_are_written_again_with_their_numbers() {
    let (mut node, me, _) = node();
    let kept = write(&mut node, "kept");
    let gone = write(&mut node, "gone");
    node.persist();
    node.log.cut_own(&me.device(), 2, kept.id(), 0);
    let feed = node.log.feeds.get(&me.device()).expect("held");
    assert_eq!((feed.next_seq, feed.head, feed.durable), (2, kept.id(), 2));
    assert_eq!(node.log.holders.own_id(me.device(), 2), None);
    assert_eq!(node.log.holders.own_id(me.device(), 1), Some(kept.id()));
    assert_eq!(node.log.feeds.entries(), 2);
    let next = write(&mut node, "instead");
    assert_eq!((next.header().seq, next.header().prev), (2, kept.id()));
    assert_ne!(next.id(), gone.id());
}

#[test]
fn a_push_that_waits_is_dropped_with_the_entry_that_is_cut_off() {
    let (mut node, me, _) = node();
    while node.log.next_saved(&me.device()).is_some() {}
    let kept = node.log.feeds.get(&me.device()).expect("held").head;
    write(&mut node, "gone");
    node.persist();
    node.log.cut_own(&me.device(), 1, kept, 1);
    assert!(node.log.next_saved(&me.device()).is_none());
}

#[test]
fn an_own_entry_is_unconfirmed_until_another_peer_holds_it() {
    let (mut node, me, author) = node();
    let entry = write(&mut node, "mine");
    let unconfirmed = |node: &Node, seq| node.log.is_unconfirmed(&node.ctx, &me.device(), seq);
    assert!(unconfirmed(&node, 0) && unconfirmed(&node, 1));
    let confirmed = Confirmed {
        peer: Remote::peer(9).id(),
        relay: false,
        device: me.device(),
        next_seq: 1,
        head: node.log.own_head(&me.device(), 1).expect("held"),
        signed_at: Timestamp(0),
    };
    node.log.confirm(&mut node.ctx, confirmed);
    assert!(!unconfirmed(&node, 0) && unconfirmed(&node, 1));
    let confirmed = Confirmed {
        next_seq: 2,
        head: entry.id(),
        ..confirmed
    };
    node.log.confirm(&mut node.ctx, confirmed);
    assert!(!unconfirmed(&node, 1));
    assert!(
        !node.log.is_unconfirmed(&node.ctx, &author.device(), 0),
        "not an own feed"
    );
}

#[test]
fn own_entries_written_within_a_millisecond_have_ascending_times() {
    let (mut node, ..) = node();
    let times = [0, 1, 2].map(|n| write(&mut node, &n.to_string()).header().timestamp);
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    // A clock that was put back by an hour is believed.
    node.ctx.now.wall.0 -= 3_600_000;
    assert_eq!(write(&mut node, "back").header().timestamp, node.ctx.now.wall);
}

#[test]
fn a_forked_or_revoked_device_cannot_write() {
    let (mut node, me, _) = node();
    assert_eq!(node.log.may_write(&node.ctx), Ok(()));
    let limit = |node: &mut Node, forked, revoked| {
        let feed = node.log.feeds.get_mut(&me.device()).expect("held");
        (feed.forked, feed.revoked) = (forked, revoked);
        node.log.may_write(&node.ctx)
    };
    assert_eq!(limit(&mut node, Some(1), None), Err(Error::Forked));
    assert_eq!(limit(&mut node, None, Some(1)), Err(Error::Revoked));
    assert_eq!(limit(&mut node, None, None), Ok(()));
    node.ctx.store_state = crate::api::StoreState::Full;
    assert!(node.log.may_write(&node.ctx).is_err());
}

/// Two entries of one device with the number 1.
fn branches() -> (Author, [VerifiedEntry; 2]) {
    let (mut one, mut other) = (Author::new(2), Author::new(2));
    one.begin();
    other.begin();
    let entries = [one.post("one"), other.post("other")];
    (one, entries)
}

#[test]
fn a_second_entry_with_a_number_is_compared_with_the_stored_one_and_freezes_the_feed() {
    let (mut node, _, mut author) = node();
    let (mut author_again, [_, other]) = branches();
    node.hold(&mut author, 2);
    // The one that is held is numbered 1 as well.
    let taken = node
        .log
        .take_in(&mut node.ctx, Some(LinkId(1)), other.entry().clone(), true);
    assert!(matches!(taken, Ok(Taken::Held { seq: 1, .. })), "{taken:?}");
    let loads = node.loads();
    let [load] = loads.as_slice() else {
        panic!("one read: {loads:?}");
    };
    let rows = node.store.load(load);
    node.log.on_fork_check_rows(&mut node.ctx, load.id, rows);
    assert!(voided(&mut node));
    assert_eq!(node.log.feeds.get(&author.device()).map(Feed::limit), Some(1));
    assert!(matches!(node.take_in(&author_again.post("more")), Taken::Ignored));
    node.flush();
    assert_eq!(node.store.len(Table::Forks), 1);
}

#[test]
fn a_fork_proof_that_proves_nothing_is_misbehaviour() {
    let (mut node, _, mut author) = node();
    let (_, [one, other]) = branches();
    node.hold(&mut author, 2);
    let proof = |one: &VerifiedEntry, other: &VerifiedEntry| ForkProof {
        one: one.entry().signed.clone(),
        other: other.entry().signed.clone(),
    };
    let mut forged = proof(&one, &other);
    spoil(&mut forged.other.signature);
    for wrong in [proof(&one, &one), forged] {
        node.log.on_fork_proof(&mut node.ctx, LinkId(4), wrong);
        let facts = node.facts();
        assert!(
            matches!(facts.as_slice(), [Fact::Misbehaved { link: LinkId(4), .. }]),
            "{facts:?}"
        );
    }
    node.log
        .on_fork_proof(&mut node.ctx, LinkId(4), proof(&one, &other));
    assert!(voided(&mut node), "this one does");
}

#[test]
fn a_fork_proof_of_a_feed_that_is_not_held_leaves_no_row() {
    let (mut node, ..) = node();
    let (_, [one, other]) = branches();
    let proof = ForkProof {
        one: one.entry().signed.clone(),
        other: other.entry().signed.clone(),
    };
    node.log.on_fork_proof(&mut node.ctx, LinkId(4), proof);
    assert!(node.flush().is_empty() && node.facts().is_empty());
}
