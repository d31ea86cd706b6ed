use core::time::Duration;

use protocol::Timestamp;
use protocol::messages::Message;
use protocol::messages::receipt::Receipt;

use crate::facts::Fact;
use crate::io::LinkId;
use crate::relay::testing::{World, device, feed, relay_key, relay_peer};

fn receipt(relay: u16, n: u16, next_seq: u64) -> Receipt {
    let head = feed(n, next_seq)[next_seq as usize - 1].id();
    Receipt::issue(&relay_key(relay), device(n), next_seq, head, Timestamp(5))
}

fn receipts(world: &mut World, link: LinkId) -> usize {
    let sent = world.sent(link);
    let receipts = sent
        .iter()
        .filter(|message| matches!(message, Message::Receipt(_)));
    receipts.count()
}

fn receive(world: &mut World, link: LinkId, receipt: &Receipt) {
    assert!(
        world
            .on_message(link, Message::Receipt(receipt.clone()))
            .is_none()
    );
}

#[test]
fn a_receipt_reaches_the_author_and_goes_back_the_way_of_the_entries() {
    let mut world = World::default();
    let (one, two) = (world.link_relay(1), world.link_relay(2));
    let author = world.link_person(1);
    let other = world.link_person(2);
    world.hold_from(1, 2, Some(one));
    receive(&mut world, two, &receipt(2, 1, 2));
    assert_eq!(receipts(&mut world, author), 1);
    assert_eq!(receipts(&mut world, one), 1, "the relay the entries came from");
    assert_eq!(receipts(&mut world, two), 0);
    assert_eq!(receipts(&mut world, other), 0);
}

#[test]
fn a_receipt_of_a_third_relay_is_not_passed_on_to_relays() {
    let mut world = World::default();
    let (one, two) = (world.link_relay(1), world.link_relay(2));
    let author = world.link_person(1);
    world.hold_from(1, 2, Some(one));
    receive(&mut world, two, &receipt(3, 1, 2));
    assert_eq!(receipts(&mut world, author), 1);
    assert_eq!(receipts(&mut world, one), 0, "it could circulate");
    // Nor back to its signer.
    receive(&mut world, one, &receipt(1, 1, 2));
    assert_eq!(receipts(&mut world, one), 0);
}

#[test]
fn a_forged_receipt_is_the_senders_fault_and_goes_nowhere() {
    let mut world = World::default();
    let two = world.link_relay(2);
    let author = world.link_person(1);
    world.hold(1, 2);
    let forged = Receipt {
        next_seq: 1,
        ..receipt(2, 1, 2)
    };
    receive(&mut world, two, &forged);
    assert_eq!(receipts(&mut world, author), 0);
    let facts = world.facts();
    assert!(
        matches!(facts[..], [Fact::Misbehaved { link, .. }] if link == two),
        "{facts:?}"
    );
}

#[test]
fn a_receipt_of_a_relay_of_the_directory_says_what_it_has_and_how_soon() {
    let mut world = World::default();
    world.workers(2);
    let (one, two) = (world.link_relay(1), world.link_relay(2));
    let author = world.link_person(1);
    world.hold_from(1, 2, Some(author));
    world.pass(Duration::from_millis(30));
    receive(&mut world, one, &receipt(1, 1, 2));
    // That of relay 2 comes over relay 1.
    world.pass(Duration::from_millis(20));
    receive(&mut world, one, &receipt(2, 1, 2));
    // And one that is not of the directory is not believed.
    let stranger = world.link_relay(9);
    receive(&mut world, stranger, &receipt(9, 1, 2));
    assert_eq!(
        world.relay.delays(),
        ordered::sorted_by_key([(relay_peer(1), 30), (relay_peer(2), 50)], |delay| delay.0)
    );
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    let has = [one, two, stranger].map(|link| world.relay.peer_has.get(link, number));
    assert_eq!(has, [Some(2), Some(2), None]);
}

#[test]
fn delays_are_measured_of_what_people_write_here_alone() {
    let mut world = World::default();
    world.workers(2);
    let (one, two) = (world.link_relay(1), world.link_relay(2));
    world.hold_from(1, 2, Some(two));
    world.hold(2, 2);
    world.pass(Duration::from_millis(30));
    receive(&mut world, one, &receipt(1, 1, 2));
    receive(&mut world, one, &receipt(1, 2, 2));
    assert_eq!(world.relay.delays(), []);
}
