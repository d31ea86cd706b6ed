use protocol::messages::directory::{Description, role};
use protocol::messages::{Message, Presence, SaltedAccount};
use protocol::{AccountId, PeerId};

use super::SEND_INTERVAL;
use crate::io::{Admission, LinkId};
use crate::relay::testing::{World, account, relay_peer, worker};

fn with_roles(roles: u8) -> Description {
    Description { roles, ..worker("") }
}

/// Relay 0 with these roles, and relay 1, which is linked, with those.
fn world(own: u8, other: u8) -> (World, LinkId) {
    let mut world = World::default();
    world.describe_own(with_roles(own));
    let link = world.link_relay(1);
    world.describe(1, with_roles(other), link);
    (world, link)
}

/// The accounts in each report that relay 1 received.
fn told(world: &mut World, link: LinkId) -> Vec<usize> {
    let sent = world.sent(link).into_iter();
    let told = sent.filter_map(|message| match message {
        Message::Presence(presence) => Some(presence.accounts.len()),
        _ => None,
    });
    told.collect()
}

fn presence(world: &World, link: LinkId, accounts: &[AccountId]) -> Presence {
    let salt = world.net.session(link).expect("linked").salt_received;
    let accounts = accounts.iter();
    let accounts = accounts.map(|account| SaltedAccount::new(&salt, account));
    Presence {
        accounts: accounts.collect(),
    }
}

fn served_by(world: &World, n: u16) -> Vec<PeerId> {
    world.relay.served_by(&world.net, &world.directory, &account(n))
}

#[test]
fn relays_that_keep_names_learn_who_is_linked_here() {
    let (mut world, link) = world(role::WEB, role::INDEX);
    world.tick();
    assert_eq!(told(&mut world, link), [0usize; 0], "nobody is here");
    let person = world.link_person(1);
    world.link_person(2);
    world.pass(SEND_INTERVAL);
    world.tick();
    assert_eq!(told(&mut world, link), [2]);
    world.pass(SEND_INTERVAL);
    world.tick();
    assert_eq!(told(&mut world, link), [0usize; 0], "nothing changed");
    world.unlink(person);
    world.tick();
    assert_eq!(told(&mut world, link), [0usize; 0], "changes are sent together");
    world.pass(SEND_INTERVAL);
    world.tick();
    assert_eq!(told(&mut world, link), [1]);
}

#[test]
fn other_relays_are_not_told_and_a_relay_without_the_app_tells_nobody() {
    for (own, other) in [(role::WEB, role::WORKER), (role::WORKER, role::INDEX)] {
        let (mut world, link) = world(own, other);
        world.link_person(1);
        world.tick();
        assert_eq!(told(&mut world, link), [0usize; 0], "{own} {other}");
    }
}

#[test]
fn a_new_link_is_told_again() {
    let (mut world, link) = world(role::WEB, role::INDEX);
    world.link_person(1);
    world.tick();
    assert_eq!(told(&mut world, link), [1]);
    world.unlink(link);
    assert!(world.relay.presence.advertised.is_empty());
    let link = world.link_relay(1);
    world.pass(SEND_INTERVAL);
    world.tick();
    assert_eq!(told(&mut world, link), [1]);
}

#[test]
fn an_account_is_found_at_the_relay_that_named_it_last() {
    let (mut world, link) = world(role::INDEX, role::WEB);
    let both = presence(&world, link, &[account(1), account(2)]);
    assert!(world.on_message(link, Message::Presence(both)).is_none());
    assert_eq!(served_by(&world, 1), [relay_peer(1)]);
    assert_eq!(served_by(&world, 3), []);
    // What it says replaces what it said.
    let one = presence(&world, link, &[account(2)]);
    assert!(world.on_message(link, Message::Presence(one)).is_none());
    assert_eq!(served_by(&world, 1), []);
    assert_eq!(served_by(&world, 2), [relay_peer(1)]);
    world.unlink(link);
    assert_eq!(served_by(&world, 2), [], "it goes with its link");
}

#[test]
fn this_relay_names_itself_if_it_serves_the_app() {
    let (mut world, _) = world(role::WEB | role::INDEX, role::WEB);
    world.link_person(1);
    assert_eq!(served_by(&world, 1), [relay_peer(0)]);
    world.describe_own(with_roles(role::INDEX));
    assert_eq!(served_by(&world, 1), []);
}

#[test]
fn what_is_said_counts_while_the_relay_serves_the_app_and_only_if_this_one_keeps_names() {
    let (mut world, link) = world(role::INDEX, role::WEB);
    let one = presence(&world, link, &[account(1)]);
    assert!(world.on_message(link, Message::Presence(one.clone())).is_none());
    world.describe(1, with_roles(role::WORKER), link);
    assert_eq!(served_by(&world, 1), [], "it does not serve the app any more");

    let (mut world, link) = self::world(role::WORKER, role::WEB);
    assert!(world.on_message(link, Message::Presence(one.clone())).is_none());
    world.describe_own(with_roles(role::INDEX));
    assert_eq!(served_by(&world, 1), [], "it was not listened to");

    // Nor to a relay that is not of the network.
    let mut world = World::new(|config| config.admission = Admission::Listed(vec![relay_peer(0)]));
    world.describe_own(with_roles(role::INDEX));
    let link = world.link_relay(1);
    world.describe(1, with_roles(role::WEB), link);
    assert!(world.on_message(link, Message::Presence(one)).is_none());
    assert_eq!(served_by(&world, 1), []);
}
