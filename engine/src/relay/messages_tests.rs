use super::CHECKS_MAX;
use crate::api::{CommandResult, Response};
use crate::io::{LinkId, Output};
use crate::relay::testing::{World, device, feed, relay_key};
use protocol::messages::{Digest, Entries, Heads, Message, RangeEnd, Want};

/// Relay 0 with two other workers, and five entries of which relay 1 has three; the link to it.
fn world() -> (World, LinkId) {
    let mut world = World::default();
    world.workers(2);
    world.hold(1, 5);
    world.tick();
    let link = world.link_relay(1);
    world.peer_has(link, 1, 3);
    (world, link)
}

/// The entries that the peer at the end of a link was asked for.
fn wants(world: &mut World, link: LinkId) -> Vec<Want> {
    let sent = world.sent(link).into_iter();
    let wants = sent.filter_map(|message| match message {
        Message::Want(want) => Some(want),
        _ => None,
    });
    wants.collect()
}

/// The checks that were answered.
fn answered(world: &mut World) -> Vec<u64> {
    let outputs = world.outputs().into_iter();
    let answered = outputs.filter_map(|output| match output {
        Output::Response {
            id,
            response: Response::Done(CommandResult::Ok),
        } => Some(id.0),
        _ => None,
    });
    answered.collect()
}

fn show(world: &mut World, link: LinkId, want: Want) {
    let entry = feed(1, want.to)[want.from as usize].entry().clone();
    let entries = Entries {
        request: want.request,
        entries: vec![entry],
    };
    assert!(world.on_message(link, Message::Entries(entries)).is_none());
}

fn end(world: &mut World, link: LinkId, want: Want) {
    let request = want.request;
    assert!(
        world
            .on_message(link, Message::RangeEnd(RangeEnd { request }))
            .is_none()
    );
}

#[test]
fn a_replica_that_seems_to_be_behind_is_asked_once_and_counts_when_it_shows_the_entry() {
    let (mut world, link) = world();
    assert_eq!(world.check_replicas(1, 1), None);
    assert_eq!(world.check_replicas(2, 1), None, "waits for the same answer");
    let asked = wants(&mut world, link);
    let [want] = asked[..] else {
        panic!("asked once: {asked:?}");
    };
    assert_eq!((want.from, want.to), (4, 5), "the last entry held here");
    show(&mut world, link, want);
    assert_eq!(answered(&mut world), [0u64; 0]);
    end(&mut world, link, want);
    assert_eq!(answered(&mut world), [1, 2]);
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    assert_eq!(world.relay.peer_has.get(link, number), Some(5));
    assert_eq!(world.ctx.totals.audits, 0, "it was a question, not an audit");
    assert_eq!(
        world.check_replicas(3, 1),
        Some(CommandResult::Ok),
        "no replica seems to be behind"
    );
}

#[test]
fn a_replica_that_does_not_have_the_entry_is_not_blamed() {
    let (mut world, link) = world();
    assert_eq!(world.check_replicas(1, 1), None);
    let want = wants(&mut world, link)[0];
    end(&mut world, link, want);
    assert_eq!(answered(&mut world), [1]);
    assert_eq!(world.ctx.totals.audits_failed, 0);
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    assert_eq!(world.relay.peer_has.get(link, number), Some(3));
}

#[test]
fn a_check_waits_for_every_replica_and_ends_with_their_links() {
    let (mut world, one) = world();
    let two = world.link_relay(2);
    assert_eq!(world.check_replicas(1, 1), None);
    world.unlink(one);
    assert_eq!(answered(&mut world), [0u64; 0]);
    let want = wants(&mut world, two)[0];
    end(&mut world, two, want);
    assert_eq!(answered(&mut world), [1]);
    world.unlink(two);
    assert_eq!(
        world.check_replicas(2, 1),
        Some(CommandResult::Ok),
        "no replica is linked"
    );
}

#[test]
fn a_peer_that_is_no_neighbour_is_not_asked_since_it_would_not_answer() {
    let mut world = World::default();
    world.workers(2);
    world.hold(1, 5);
    world.tick();
    let link = world.prove(relay_key(1), true, None);
    assert_eq!(world.check_replicas(1, 1), Some(CommandResult::Ok));
    assert!(wants(&mut world, link).is_empty());
}

#[test]
fn checks_are_bounded() {
    let (mut world, link) = world();
    for request in 0..CHECKS_MAX as u64 {
        assert_eq!(world.check_replicas(request, 1), None);
    }
    let one_more = CHECKS_MAX as u64;
    assert_eq!(world.check_replicas(one_more, 1), Some(CommandResult::Ok));
    world.unlink(link);
    assert_eq!(answered(&mut world).len(), CHECKS_MAX);
}

#[test]
fn messages_about_feeds_are_given_back() {
    let (mut world, link) = world();
    let entries = Message::Entries(Entries {
        request: 77,
        entries: Vec::new(),
    });
    let end = Message::RangeEnd(RangeEnd { request: 77 });
    for message in [entries, end, Message::Digest(Digest::default())] {
        assert_eq!(world.on_message(link, message.clone()), Some(message));
    }
    assert_eq!(
        world.on_message(link, Message::Have(Heads::default())),
        None,
        "no feed is its own"
    );
}
