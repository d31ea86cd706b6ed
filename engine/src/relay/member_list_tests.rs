use protocol::PeerId;
use protocol::Timestamp;
use protocol::messages::Message;
use protocol::messages::directory::Description;
use protocol::messages::membership::{Stance, Vouch};

use crate::io::{AddressId, Admission, LinkId, Output};
use crate::relay::testing::{World, relay_key, relay_peer, worker};

fn vouch(by: u16, stance: Stance, relay: u16) -> Vouch {
    Vouch::issue(
        &relay_key(by),
        relay_peer(relay),
        stance,
        Timestamp(1_700_000_000_000),
    )
}

/// Relay 0 of a network by invitation, to which relays 1 to `n` belong.
fn world(n: u16) -> World {
    let mut world = World::new(|config| config.admission = Admission::Invited);
    for relay in 1..=n {
        world.vouch(relay_peer(relay), Stance::Invites);
        world.relay.take_in(vouch(relay, Stance::Joins, 0));
    }
    world.list_members();
    world
}

/// The lists of members that were sent on a link since this was last asked.
fn sent(world: &mut World, link: LinkId) -> Vec<Vec<PeerId>> {
    let sent = world.sent(link).into_iter();
    let lists = sent.filter_map(|message| match message {
        Message::Members(list) => Some(list.relays),
        _ => None,
    });
    lists.collect()
}

fn sorted(relays: &[u16]) -> Vec<PeerId> {
    let mut peers: Vec<PeerId> = relays.iter().map(|n| relay_peer(*n)).collect();
    peers.sort();
    peers
}

fn at(url: &str) -> Description {
    Description {
        url: url.into(),
        ..worker("")
    }
}

#[test]
fn a_device_is_sent_the_members_when_it_links_and_when_they_change() {
    let mut world = world(2);
    world.tick();
    let link = world.prove_person(1);
    world.neighbour_up(link);
    assert_eq!(sent(&mut world, link), [sorted(&[0, 1, 2])]);
    let other = world.link_relay(9);
    world.tick();
    assert_eq!(sent(&mut world, link).len(), 0, "nothing changed");
    world.vouch(relay_peer(1), Stance::Expels);
    world.tick();
    assert_eq!(sent(&mut world, link), [sorted(&[0, 2])]);
    assert_eq!(sent(&mut world, other).len(), 0, "not to a relay");
}

#[test]
fn in_an_open_network_no_list_is_sent() {
    let mut world = World::default();
    let link = world.prove_person(1);
    world.neighbour_up(link);
    world.tick();
    assert_eq!(sent(&mut world, link).len(), 0);
}

#[test]
fn a_relay_that_knows_that_it_was_expelled_does_not_list_itself() {
    let mut world = world(0);
    world.vouch(relay_peer(1), Stance::Joins);
    world.relay.take_in(vouch(1, Stance::Invites, 0));
    let link = world.prove_person(1);
    world.neighbour_up(link);
    assert_eq!(sent(&mut world, link), [sorted(&[0, 1])]);
    world.relay.take_in(Vouch::issue(
        &relay_key(1),
        relay_peer(0),
        Stance::Expels,
        Timestamp(1_700_000_000_001),
    ));
    world.tick();
    assert_eq!(sent(&mut world, link), [sorted(&[1])]);
}

#[test]
fn a_dead_member_whose_address_another_one_took_over_is_not_listed_until_it_is_alive_again() {
    let mut world = world(3);
    world.tick();
    world.describe_own(at("https://0.example"));
    world.describe(1, at("https://one.example"), LinkId(1));
    world.describe(3, at("https://three.example"), LinkId(3));
    let link = world.prove_person(1);
    world.neighbour_up(link);
    assert_eq!(sent(&mut world, link), [sorted(&[0, 1, 2, 3])]);
    // One and three fall silent.
    for _ in 0..60 {
        world.pass(core::time::Duration::from_secs(2));
        world.describe(2, at("https://two.example"), LinkId(2));
        world.judge();
    }
    world.tick();
    assert_eq!(sent(&mut world, link).len(), 0, "dead is not lost");
    world.describe(2, at("https://one.example"), LinkId(2));
    world.tick();
    assert_eq!(sent(&mut world, link), [sorted(&[0, 2, 3])]);
    world.describe(1, at("https://one.example"), LinkId(1));
    world.tick();
    assert_eq!(sent(&mut world, link), [sorted(&[0, 1, 2, 3])]);
    let _ = world.facts();
}

/// What the adapter learned about the peers of links since this was last asked.
fn said(world: &mut World) -> Vec<(LinkId, bool)> {
    let outputs = world.outputs().into_iter();
    let said = outputs.filter_map(|output| match output {
        Output::Member { link, on } => Some((link, on)),
        _ => None,
    });
    said.collect()
}

#[test]
fn the_adapter_learns_from_the_engine_which_linked_relays_are_members() {
    let mut world = world(2);
    world.wire.address = Some(AddressId(7));
    let (member, stranger) = (world.link_relay(1), world.link_relay(9));
    assert_eq!(said(&mut world), [(member, true)]);
    let limited = |world: &World, link| world.net.session(link).expect("a session").limited();
    assert_eq!(
        (limited(&world, member), limited(&world, stranger)),
        (None, Some(AddressId(7)))
    );
    world.mark_members();
    assert_eq!(said(&mut world), [], "nothing changed");
    world.vouch(relay_peer(1), Stance::Expels);
    world.list_members();
    world.mark_members();
    assert_eq!(said(&mut world), [(member, false)]);
    assert_eq!(limited(&world, member), Some(AddressId(7)));
}
