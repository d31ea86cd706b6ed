use protocol::PeerId;

use super::HandOver;
use crate::io::LinkId;
use crate::relay::placement::PIECE;
use crate::relay::testing::{World, account, relay_peer};

/// What is left to hand over, of ten feeds of three entries each. All members keep all.
fn left(world: &World, for_good: bool, relays: &[u16]) -> u64 {
    let relays: Vec<_> = relays
        .iter()
        .map(|n| (LinkId(u64::from(*n)), relay_peer(*n)))
        .collect();
    let mut hand_over = HandOver::default();
    hand_over.begin();
    while hand_over.is_counting() {
        go_on(world, &mut hand_over, for_good, &relays);
    }
    hand_over.left(&world.log.feeds)
}

fn go_on(world: &World, hand_over: &mut HandOver, for_good: bool, relays: &[(LinkId, PeerId)]) {
    let (feeds, relay) = (&world.log.feeds, &world.relay);
    hand_over.go_on(for_good, feeds, &relay.placement, &relay.peer_has, relays);
}

#[test]
fn handing_over_for_good_counts_feeds_that_a_replica_lacks() {
    let mut world = World::default();
    for n in 0..10 {
        world.hold(n, 3);
    }
    world.workers(2);
    world.tick();
    let links = [world.link_relay(1), world.link_relay(2)];
    assert_eq!(links, [LinkId(1), LinkId(2)]);
    assert_eq!(left(&world, true, &[]), 10, "no replica is linked");
    assert_eq!(left(&world, true, &[1, 2]), 10);
    for n in 0..10 {
        world.peer_has(links[0], n, 3);
    }
    assert_eq!(left(&world, true, &[1]), 0);
    assert_eq!(left(&world, true, &[1, 2]), 10);
    for n in 0..4 {
        world.peer_has(links[1], n, 3);
        world.peer_has(links[1], n + 4, 2);
    }
    assert_eq!(left(&world, true, &[1, 2]), 6);
}

#[test]
fn before_a_restart_one_relay_that_has_all_is_enough() {
    let mut world = World::default();
    for n in 0..10 {
        world.hold(n, 3);
    }
    world.workers(2);
    world.tick();
    let links = [world.link_relay(1), world.link_relay(2)];
    assert_eq!(left(&world, false, &[]), 0);
    assert_eq!(left(&world, false, &[1, 2]), 10);
    for n in 0..10 {
        world.peer_has(links[usize::from(n % 2)], n, 3);
    }
    assert_eq!(left(&world, false, &[1, 2]), 0);
    world.unlink(links[1]);
    assert_eq!(
        left(&world, false, &[1, 2]),
        5,
        "what it said is forgotten with its link"
    );
    assert!(world.log.feeds.devices(&account(0)).len() == 1);
}

#[test]
fn many_feeds_are_counted_in_pieces_and_entries_that_come_meanwhile_count() {
    let mut world = World::default();
    let accounts = PIECE as u16 + 100;
    for n in 0..accounts {
        world.hold(n, 1);
    }
    world.workers(2);
    world.tick();
    let link = world.link_relay(1);
    for n in 0..accounts {
        world.peer_has(link, n, 1);
    }
    let relays = [(link, relay_peer(1))];
    let mut hand_over = HandOver::default();
    let count = |world: &World, hand_over: &mut HandOver, between: &dyn Fn(&mut HandOver)| {
        hand_over.begin();
        go_on(world, hand_over, false, &relays);
        assert!(hand_over.is_counting(), "the first piece is not all");
        between(hand_over);
        go_on(world, hand_over, false, &relays);
        assert!(!hand_over.is_counting());
        hand_over.left(&world.log.feeds)
    };
    assert_eq!(
        hand_over.left(&world.log.feeds),
        u64::from(accounts),
        "not counted yet"
    );
    assert_eq!(count(&world, &mut hand_over, &|_| {}), 0);
    // The first account grows after it was looked at.
    let first = *world.log.feeds.accounts_after(None).next().expect("an account");
    let grown = (0..accounts).find(|n| account(*n) == first).expect("its number");
    world.hold(grown, 2);
    hand_over.begin();
    assert_eq!(count(&world, &mut hand_over, &|_| {}), 1, "it lacks one entry");
    world.peer_has(link, grown, 2);
    assert_eq!(count(&world, &mut hand_over, &|_| {}), 0);
    world.hold(grown, 3);
    hand_over.begin();
    go_on(&world, &mut hand_over, false, &relays);
    world.peer_has(link, grown, 3);
    world.hold(grown, 4);
    hand_over.on_appended(first);
    go_on(&world, &mut hand_over, false, &relays);
    assert_eq!(hand_over.left(&world.log.feeds), 1);
}
