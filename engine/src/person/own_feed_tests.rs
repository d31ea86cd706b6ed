//! The check of the own feed, old copies, and forked feeds.

use core::time::Duration;

use protocol::kinds::ReplyTo;
use protocol::{Body, EntryId};

use super::{CATCH_UP_TIMEOUT, CHECK_TIMEOUT, OwnFeed, PROGRESS_TIMEOUT, PUBLISH_TIMEOUT, WAITING_MAX};
use crate::api::{Command, Error, Response};
use crate::io::{Output, RequestId};
use crate::log::durability::OWN_POSTS_MAX;
use crate::log::records::meta;
use crate::person::testing::Device;
use crate::store::Table;
use crate::testing::{Node, Remote};

#[test]
fn a_device_that_was_just_made_has_nothing_to_wait_for() {
    let mut device = Device::new();
    device.node.link(&Remote::peer(20));
    assert!(!device.waits(1));
}

#[test]
fn nothing_waits_without_a_neighbour_to_ask() {
    let mut device = Device::restarted();
    assert!(!device.waits(1));
    assert!(!device.on_timer());
}

#[test]
fn after_a_restart_commands_that_sign_wait_until_the_neighbours_had_time_to_answer() {
    let mut device = Device::restarted();
    device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    let Node { ctx, net, .. } = &mut device.node;
    let unsigned = device
        .person
        .hold_until_checked(ctx, net, RequestId(2), Command::ConfirmPhrase);
    assert!(unsigned.is_some(), "it signs nothing");
    device.node.pass(CHECK_TIMEOUT - Duration::from_millis(1));
    assert!(!device.on_timer());
    assert!(device.ready().is_empty());
    device.node.pass(Duration::from_millis(1));
    assert!(!device.on_timer(), "what is written is not published yet");
    assert_eq!(device.ready(), [1]);
    assert!(!device.waits(3));
    device
        .node
        .pass(PUBLISH_TIMEOUT - CHECK_TIMEOUT - Duration::from_millis(1));
    assert!(!device.on_timer());
    device.node.pass(Duration::from_millis(1));
    assert!(device.on_timer());
}

#[test]
fn what_was_written_before_the_neighbours_answered_is_published_once_they_have() {
    let mut device = Device::restarted();
    let link = device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    device.node.pass(CHECK_TIMEOUT);
    assert!(!device.on_timer());
    device.publish(9).expect("published");
    assert!(device.compared(link));
}

#[test]
fn a_neighbour_that_is_slow_to_say_that_it_holds_more_is_not_too_late() {
    let mut device = Device::new();
    device.confirm(2);
    device.node.persist();
    device.person.own_feed = OwnFeed::default();
    let Node { ctx, log, .. } = &mut device.node;
    device.person.on_ready(ctx, log);
    device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    device.node.pass(CHECK_TIMEOUT);
    assert!(!device.on_timer());
    device.publish(9).expect("published");
    device.node.persist();
    assert_eq!(device.shared(), 2);
    device.contradicted();
    assert!(device.person.own_feed.is_old_copy());
    while device.cut() {}
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (2, 1)
    );
}

#[test]
fn what_is_written_after_the_neighbours_left_waits_for_nobody() {
    let mut device = Device::restarted();
    let link = device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    let Node { ctx, net, .. } = &mut device.node;
    net.end(ctx, link, "the channel closed");
    assert!(!device.on_timer());
    assert_eq!(device.ready(), [1]);
}

#[test]
fn commands_go_on_once_every_neighbour_has_said_all() {
    let mut device = Device::restarted();
    let (empty, other) = (
        device.node.link(&Remote::peer(20)),
        device.node.link(&Remote::peer(21)),
    );
    assert!(device.waits(1));
    assert!(!device.compared(empty), "the other one may hold more");
    assert!(device.ready().is_empty());
    assert!(device.compared(other));
    assert_eq!(device.ready(), [1]);
}

#[test]
fn a_neighbour_that_leaves_is_not_waited_for() {
    let mut device = Device::restarted();
    let (stays, leaves) = (
        device.node.link(&Remote::peer(20)),
        device.node.link(&Remote::peer(21)),
    );
    assert!(device.waits(1));
    assert!(!device.compared(stays));
    let Node { ctx, net, .. } = &mut device.node;
    net.end(ctx, leaves, "the channel closed");
    assert!(device.on_timer());
    assert_eq!(device.ready(), [1]);
}

#[test]
fn a_known_relay_has_to_answer_as_well_or_time_passes() {
    let relay = Remote::relay(30);
    let knows_a_relay = || {
        let mut device = Device::restarted();
        let Node { ctx, net, .. } = &mut device.node;
        net.know_relay(ctx, relay.id(), String::new());
        let tab = device.node.link(&Remote::peer(20));
        assert!(device.waits(1));
        assert!(!device.compared(tab), "a tab alone proves nothing");
        device
    };
    let mut device = knows_a_relay();
    let link = device.node.link(&relay);
    assert!(device.compared(link));
    let mut device = knows_a_relay();
    assert!(!device.on_timer());
    device.node.pass(CHECK_TIMEOUT);
    assert!(!device.on_timer());
    assert_eq!(device.ready(), [1]);
    device.node.pass(PUBLISH_TIMEOUT - CHECK_TIMEOUT);
    assert!(device.on_timer());
}

#[test]
fn one_of_two_known_relays_may_have_been_set_back_so_both_have_to_answer_or_time_passes() {
    let relays = [Remote::relay(30), Remote::relay(31)];
    let one_answered = || {
        let mut device = Device::restarted();
        for relay in &relays {
            let Node { ctx, net, .. } = &mut device.node;
            net.know_relay(ctx, relay.id(), String::new());
        }
        let first = device.node.link(&relays[0]);
        assert!(device.waits(1));
        assert!(!device.compared(first));
        device
    };
    let mut device = one_answered();
    let second = device.node.link(&relays[1]);
    assert!(!device.on_timer());
    assert!(device.compared(second));
    let mut device = one_answered();
    device.node.pass(CHECK_TIMEOUT);
    assert!(device.on_timer(), "the other one may be gone for good");
}

#[test]
fn commands_beyond_the_bound_are_refused() {
    let mut device = Device::restarted();
    device.node.link(&Remote::peer(20));
    for request in 0..WAITING_MAX as u64 {
        assert!(device.waits(request));
    }
    device.node.outputs();
    assert!(device.waits(1_000), "it is not carried out");
    let outputs = device.node.outputs();
    assert!(
        matches!(
            outputs.as_slice(),
            [Output::Response {
                id: RequestId(1_000),
                response: Response::Error(Error::Busy),
            }]
        ),
        "{outputs:?}"
    );
    device.node.pass(CHECK_TIMEOUT);
    device.on_timer();
    assert_eq!(device.ready().len(), WAITING_MAX);
}

#[test]
fn what_neighbours_say_they_hold_keeps_nobody_from_writing_for_long_nor_from_publishing() {
    let mut device = Device::restarted();
    let link = device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    let next_seq = device.next_seq();
    device.heard(next_seq + 1, EntryId([5; 32]));
    device.node.pass(CHECK_TIMEOUT);
    assert!(!device.on_timer(), "more is to come");
    assert!(!device.compared(link));
    device
        .node
        .pass(CATCH_UP_TIMEOUT - CHECK_TIMEOUT - Duration::from_millis(1));
    assert!(device.ready().is_empty());
    device.heard(next_seq + 2, EntryId([6; 32]));
    device.node.pass(Duration::from_millis(1));
    assert!(!device.on_timer());
    assert_eq!(device.ready(), [1], "saying it again makes nobody wait longer");
    // What is written here now is not what the neighbour said it holds.
    device.publish(8).expect("published");
    device.publish(9).expect("published");
    assert!(!device.on_timer() && !device.compared(link));
    device.node.pass(PROGRESS_TIMEOUT - CATCH_UP_TIMEOUT);
    assert!(device.on_timer());
}

#[test]
fn what_neighbours_hold_is_waited_for_as_long_as_it_arrives() {
    let mut device = Device::restarted();
    device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    device.heard(device.next_seq() + 3, EntryId([5; 32]));
    let almost = PROGRESS_TIMEOUT - Duration::from_millis(1);
    for token in [8, 9] {
        device.fetched(token);
        device.node.pass(almost);
        assert!(!device.on_timer());
        assert!(device.ready().is_empty());
    }
    device.node.pass(Duration::from_millis(1));
    assert!(device.on_timer());
    assert_eq!(device.ready(), [1]);
}

#[test]
fn writing_goes_on_once_the_feed_has_caught_up() {
    let mut device = Device::restarted();
    device.node.link(&Remote::peer(20));
    assert!(device.waits(1));
    let mut other = Device::restarted();
    // The same key, so the same entry.
    let expected = other.fetched(9);
    device.heard(device.next_seq() + 1, expected);
    assert!(!device.on_timer());
    assert_eq!(device.fetched(9), expected);
    assert!(device.on_timer());
    assert_eq!(device.ready(), [1]);
}

#[test]
fn after_a_restart_neighbours_learn_only_of_what_was_confirmed() {
    let mut device = Device::new();
    device.publish(1).expect("published");
    device.node.persist();
    device.confirm(2);
    assert_eq!(device.shared(), 3);
    device.person.own_feed = OwnFeed::default();
    let Node { ctx, log, .. } = &mut device.node;
    device.person.on_ready(ctx, log);
    assert_eq!(device.shared(), 2);
    let link = device.node.link(&Remote::peer(20));
    device.on_timer();
    assert!(device.compared(link));
    assert_eq!(device.shared(), 3);
}

/// A copy of a device of which the others hold another third entry. The fourth one was confirmed by no other peer
/// either.
fn old_copy() -> Device {
    let mut device = Device::new();
    device.confirm(2);
    for token in [1, 2] {
        device.publish(token).expect("published");
    }
    device.node.persist();
    device.node.outputs();
    device.person.own_feed = OwnFeed::default();
    device.contradicted();
    device
}

#[test]
fn an_old_copy_takes_back_what_no_other_peer_confirmed_and_writes_no_more() {
    let mut device = old_copy();
    assert!(device.person.own_feed.is_old_copy());
    assert!(device.cut());
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (2, 2)
    );
    assert_eq!(device.publish(3).err(), Some(Error::OldCopy));
    assert!(!device.waits(4), "it is refused at once");
    let number = device
        .node
        .log
        .feeds
        .get(&device.node.ctx.device().expect("a device"));
    let number = number.expect("held").number;
    let left = device.node.store.rows(Table::Entries);
    let left = left.keys().filter(|key| key.starts_with(&number.to_be_bytes()));
    assert_eq!(left.count(), 2);
}

#[test]
fn an_old_copy_is_one_after_a_restart_and_begins_to_cut_again() {
    let mut device = old_copy();
    device.node.outputs();
    device.person.own_feed = OwnFeed::default();
    for (key, row) in device.node.store.rows(Table::Meta) {
        let Node { ctx, net, .. } = &mut device.node;
        device.person.restore_row(ctx, net, Table::Meta, &key, &row);
    }
    assert!(device.person.own_feed.is_old_copy());
    let Node { ctx, log, .. } = &mut device.node;
    device.person.on_ready(ctx, log);
    assert!(device.cut());
    assert_eq!(device.person.own_feed.set_aside_len(), 2);
}

#[test]
fn an_old_copy_keeps_after_a_restart_what_it_fetched_since_it_was_cut() {
    let mut device = old_copy();
    assert!(device.cut());
    // Stands for entries that were fetched, and for which no receipt came.
    device.person.own_feed = OwnFeed::default();
    device.publish(9).expect("published");
    device.node.persist();
    for (key, row) in device.node.store.rows(Table::Meta) {
        let Node { ctx, net, .. } = &mut device.node;
        device.person.restore_row(ctx, net, Table::Meta, &key, &row);
    }
    device.node.outputs();
    let Node { ctx, log, .. } = &mut device.node;
    device.person.on_ready(ctx, log);
    assert!(device.person.own_feed.is_old_copy() && !device.cut());
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (3, 2)
    );
}

#[test]
fn what_another_peer_confirmed_while_it_was_read_is_not_taken_back() {
    let mut device = old_copy();
    device.confirm(3);
    assert!(device.cut());
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (3, 1)
    );
}

#[test]
fn the_same_head_as_here_is_no_sign_of_an_old_copy() {
    let mut device = Device::restarted();
    let own = device.node.ctx.device().expect("a device");
    let (next_seq, head) = device.node.log.feeds.get(&own).expect("held").shared();
    let link = device.node.link(&Remote::peer(20));
    device.heard(next_seq, head);
    device.heard(next_seq, EntryId::default());
    assert!(device.compared(link));
    assert!(!device.person.own_feed.is_old_copy());
}

#[test]
fn another_head_than_here_is_no_proof_but_nothing_is_published_until_it_had_time_to_come() {
    for below in [0, 1] {
        let mut device = Device::new();
        device.publish(1).expect("published");
        device.node.persist();
        device.confirm(1);
        device.person.own_feed = OwnFeed::default();
        let Node { ctx, log, .. } = &mut device.node;
        device.person.on_ready(ctx, log);
        let link = device.node.link(&Remote::peer(20));
        device.heard(device.next_seq() - below, EntryId([7; 32]));
        assert!(!device.person.own_feed.is_old_copy());
        assert!(device.waits(1) && !device.compared(link));
        device.node.pass(PROGRESS_TIMEOUT - Duration::from_millis(1));
        assert!(!device.on_timer());
        assert_eq!((device.shared(), device.ready()), (1, vec![1]));
        device.node.pass(Duration::from_millis(1));
        assert!(device.on_timer());
        assert_eq!(device.shared(), 3);
    }
}

/// A device that starts with `lost` of the entries that another peer confirmed gone from its disk.
fn damaged(lost: u64) -> Device {
    let mut device = Device::new();
    device.publish(1).expect("published");
    device.node.persist();
    device.confirm(device.next_seq());
    let next_seq = device.next_seq() - lost;
    let Node { ctx, log, .. } = &mut device.node;
    let id = ctx.device().expect("a device");
    let head = log.own_head(&id, next_seq).expect("held");
    log.cut_own(&id, next_seq, head, 0);
    device.person.own_feed = OwnFeed::default();
    device.person.on_ready(ctx, log);
    device
}

#[test]
fn what_others_confirmed_and_the_disk_lost_is_fetched_before_anything_is_published() {
    let mut device = damaged(1);
    device.node.link(&Remote::peer(20));
    assert!(device.waits(1) && !device.on_timer());
    assert!(device.ready().is_empty());
    device.fetched(9);
    assert!(device.on_timer());
    assert_eq!(device.ready(), [1]);
}

#[test]
fn what_is_written_in_the_place_of_lost_entries_is_taken_back_when_these_turn_up() {
    let mut device = damaged(1);
    // Nobody is linked: the person goes on.
    assert!(!device.on_timer() && !device.waits(1));
    device.publish(8).expect("published");
    device.node.persist();
    assert_eq!((device.next_seq(), device.shared()), (3, 2));
    device.node.outputs();
    device.contradicted();
    assert!(device.cut());
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (2, 1)
    );
}

#[test]
fn an_old_copy_takes_more_back_than_is_remembered_in_memory() {
    let mut device = Device::new();
    device.confirm(2);
    for token in 0..u16::try_from(OWN_POSTS_MAX).expect("small") {
        device.publish(token).expect("published");
    }
    device.node.persist();
    device.node.outputs();
    device.contradicted();
    assert!(device.cut());
    assert_eq!(device.next_seq(), 2);
}

#[test]
fn an_old_copy_becomes_a_device_of_its_own_and_issues_its_posts_again_in_order() {
    let mut device = old_copy();
    device.cut();
    device.node.facts();
    let (account, before) = (device.node.ctx.me(), device.node.ctx.device());
    device.command(as_new_device()).expect("a new device");
    assert_eq!(device.node.ctx.me(), account);
    assert_ne!(device.node.ctx.device(), before);
    let posts: Vec<_> = device
        .own_entries()
        .iter()
        .filter_map(
            |entry| match protocol::Body::decode(entry.header().kind, entry.body()) {
                Some(protocol::Body::Post(post)) => Some(post.text),
                _ => None,
            },
        )
        .collect();
    assert_eq!(posts, ["post 1", "post 2"]);
    device.node.flush();
    let left = device.node.store.rows(Table::Meta);
    let left = left
        .keys()
        .filter(|key| key.starts_with(meta::SET_ASIDE) || *key == meta::OLD_COPY);
    assert_eq!((left.count(), device.person.own_feed.set_aside_len()), (0, 0));
}

#[test]
fn entries_that_are_issued_again_refer_to_each_other_by_their_new_ids() {
    let mut device = Device::new();
    device.confirm(2);
    let first = device.publish(1).expect("published").entry;
    let reply = protocol::kinds::Post {
        text: "reply".into(),
        reply: Some(ReplyTo {
            root: first,
            parent: first,
        }),
    };
    let liked = protocol::kinds::Reaction {
        post: first,
        emoji: "🎉".into(),
    };
    let Node { ctx, log, .. } = &mut device.node;
    for body in [Body::Post(reply), Body::Reaction(liked)] {
        log.append_own(ctx, &body);
    }
    device.node.persist();
    device.node.outputs();
    device.contradicted();
    assert!(device.cut());
    assert_eq!(device.person.own_feed.set_aside_len(), 2, "posts");
    device.node.facts();
    device.command(as_new_device()).expect("a new device");
    let entries = device.own_entries();
    let bodies: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.id(), Body::decode(entry.header().kind, entry.body())?)))
        .collect();
    let new_id = bodies.iter().find_map(|(id, body)| match body {
        Body::Post(post) if post.reply.is_none() => Some(*id),
        _ => None,
    });
    let new_id = new_id.expect("the first post");
    assert_ne!(new_id, first.id);
    let referred: Vec<_> = bodies
        .iter()
        .filter_map(|(_, body)| match body {
            Body::Post(post) => post.reply.map(|reply| (reply.root.id, reply.parent.id)),
            Body::Reaction(reaction) => Some((reaction.post.id, reaction.post.id)),
            _ => None,
        })
        .collect();
    assert_eq!(referred, [(new_id, new_id); 2]);
}

#[test]
fn a_forked_device_issues_its_posts_from_the_fork_on_again_as_a_new_device() {
    let mut device = Device::new();
    for token in [1, 2] {
        device.publish(token).expect("published");
    }
    device.node.persist();
    device.confirm(4);
    let own = device.node.ctx.device().expect("a device");
    let me = device.node.ctx.me().expect("an account");
    device.node.log.feeds.get_mut(&own).expect("held").forked = Some(3);
    device.node.outputs();
    let fork = |device: &mut Device| {
        let Node { ctx, log, .. } = &mut device.node;
        device.person.on_forked(ctx, log, &me);
        device.cut()
    };
    assert!(fork(&mut device));
    assert_eq!(
        (device.next_seq(), device.person.own_feed.set_aside_len()),
        (4, 1)
    );
    assert!(fork(&mut device), "as after a restart");
    assert_eq!(device.person.own_feed.set_aside_len(), 1);
    device.node.facts();
    device.command(as_new_device()).expect("a new device");
    let entries = device.own_entries();
    let texts = entries
        .iter()
        .filter_map(|entry| match Body::decode(entry.header().kind, entry.body()) {
            Some(Body::Post(post)) => Some(post.text),
            _ => None,
        });
    assert_eq!(texts.collect::<Vec<_>>(), ["post 2"]);
}

fn as_new_device() -> Command {
    Command::BeginAsNewDevice {
        phrase: None,
        device_name: "copy".into(),
    }
}

#[test]
fn a_device_that_can_write_does_not_become_another() {
    let mut device = Device::new();
    assert_eq!(device.command(as_new_device()).err(), Some(Error::HasAccount));
}

#[test]
fn a_post_that_arrives_after_all_is_not_issued_again() {
    let mut device = old_copy();
    let taken_back: Vec<_> = device.own_entries();
    device.cut();
    let post = taken_back.last().expect("a post");
    let Node { ctx, log, .. } = &mut device.node;
    device.person.on_arrived(ctx, log, post);
    assert_eq!(device.person.own_feed.set_aside_len(), 1);
}
