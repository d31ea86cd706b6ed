use core::time::Duration;

use protocol::messages::directory::{Description, role};
use protocol::messages::{Message, NameAnswered, NameAsked};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest, RegistryId};

use super::{COUNT_INTERVAL, TIMEOUT};
use crate::facts::Fact;
use crate::io::{LinkId, NameTicket, Output};
use crate::relay::testing::{World, account, certificate, device, key, worker};

const PER_MINUTE: u32 = 5;

fn lookup() -> NameQuestion {
    NameQuestion::Lookup {
        slug: false,
        name: "ada".into(),
    }
}

fn claim(n: u16) -> NameRequest {
    NameRequest::issue(
        &key(0xdd, n),
        certificate(n),
        "ada".into(),
        None,
        NameAction::Claim,
        [3; 16],
        0,
    )
}

/// A relay with its own registry, or none.
fn world(runs_registry: bool) -> World {
    let mut world = World::new(|config| {
        config.runs_registry = runs_registry;
        config.names_per_minute = PER_MINUTE;
        config.claims_per_minute = 3;
    });
    world.tick();
    world
}

fn ask(world: &mut World, link: LinkId, request: u32, question: NameQuestion) {
    let asked = NameAsked { request, question };
    assert!(world.on_message(link, Message::NameQuestion(asked)).is_none());
}

/// The answers sent on a link, by the numbers of their questions.
fn answers(world: &mut World, link: LinkId) -> Vec<(u32, NameAnswer)> {
    let sent = world.sent(link).into_iter();
    let answers = sent.filter_map(|message| match message {
        Message::NameAnswer(NameAnswered { request, answer }) => Some((request, answer)),
        _ => None,
    });
    answers.collect()
}

/// The questions put to the own registry.
fn tickets(world: &mut World) -> Vec<NameTicket> {
    let outputs = world.outputs().into_iter();
    let tickets = outputs.filter_map(|output| match output {
        Output::Name { ticket, .. } => Some(ticket),
        _ => None,
    });
    tickets.collect()
}

/// Relay `n`, linked, which keeps names.
fn index(world: &mut World, n: u16) -> LinkId {
    let link = world.link_relay(n);
    let description = Description {
        roles: role::INDEX,
        ..worker("")
    };
    world.describe(n, description, link);
    link
}

/// The numbers of questions forwarded on a link.
fn forwarded(world: &mut World, link: LinkId) -> Vec<u32> {
    let sent = world.sent(link).into_iter();
    let forwarded = sent.filter_map(|message| match message {
        Message::NameQuestion(asked) => Some(asked.request),
        _ => None,
    });
    forwarded.collect()
}

#[test]
fn the_own_registry_answers_the_neighbour_that_asked() {
    let mut world = world(true);
    let (one, two) = (world.link_person(1), world.link_person(2));
    ask(&mut world, one, 7, lookup());
    ask(&mut world, two, 7, lookup());
    let tickets = tickets(&mut world);
    assert_eq!(tickets.len(), 2);
    world
        .relay
        .on_named_by_registry(&mut world.ctx, tickets[1], NameAnswer::Unavailable);
    assert_eq!(answers(&mut world, one), []);
    assert_eq!(answers(&mut world, two), [(7, NameAnswer::Unavailable)]);
    // It is answered once.
    world
        .relay
        .on_named_by_registry(&mut world.ctx, tickets[1], NameAnswer::TooFast);
    assert_eq!(answers(&mut world, two), []);
}

#[test]
fn what_one_neighbour_may_ask_a_minute_is_bounded_across_its_links() {
    let mut world = world(true);
    let mut asked = 0;
    for _ in 0..3 {
        let link = world.link_person(1);
        for request in 0..3 {
            ask(&mut world, link, request, lookup());
        }
        asked += tickets(&mut world).len();
        world.unlink(link);
        world.pass(Duration::from_secs(5));
        world.tick();
    }
    assert_eq!(asked, PER_MINUTE as usize, "a new link does not begin again");
    // Another one is not held up, and the next minute is a new one.
    let other = world.link_person(2);
    ask(&mut world, other, 1, lookup());
    assert_eq!(tickets(&mut world).len(), 1);
    world.pass(COUNT_INTERVAL);
    world.tick();
    let link = world.link_person(1);
    ask(&mut world, link, 1, lookup());
    assert_eq!(tickets(&mut world).len(), 1);
}

#[test]
fn beyond_the_bound_the_answer_is_too_fast() {
    let mut world = world(true);
    let link = world.link_person(1);
    for request in 0..=PER_MINUTE {
        ask(&mut world, link, request, lookup());
    }
    assert_eq!(answers(&mut world, link), [(PER_MINUTE, NameAnswer::TooFast)]);
}

#[test]
fn a_relay_of_the_directory_may_ask_for_its_people() {
    let mut world = world(true);
    world.workers(1);
    let link = world.link_relay(1);
    for request in 0..20 * PER_MINUTE {
        ask(&mut world, link, request, lookup());
    }
    assert_eq!(tickets(&mut world).len(), 20 * PER_MINUTE as usize);
    let stranger = world.link_relay(9);
    for request in 0..20 * PER_MINUTE {
        ask(&mut world, stranger, request, lookup());
    }
    assert_eq!(
        tickets(&mut world).len(),
        PER_MINUTE as usize,
        "not of the directory"
    );
}

#[test]
fn requests_of_all_together_are_bounded_and_those_of_revoked_devices_refused() {
    let mut world = world(true);
    world.log.revocations.insert((account(9), device(9)), 1);
    let revoked = world.link_person(9);
    ask(&mut world, revoked, 1, NameQuestion::Request(claim(9)));
    assert_eq!(answers(&mut world, revoked), [(1, NameAnswer::NotYours)]);
    let mut refused = 0;
    for n in 1..=5 {
        let link = world.link_person(n);
        ask(&mut world, link, 1, NameQuestion::Request(claim(n)));
        refused += usize::from(answers(&mut world, link) == [(1, NameAnswer::TooFast)]);
    }
    assert_eq!((tickets(&mut world).len(), refused), (3, 2));
}

#[test]
fn a_forged_request_is_the_neighbours_fault_and_costs_the_registry_nothing() {
    let mut world = world(true);
    let link = world.link_person(1);
    let mut forged = claim(1);
    forged.name = "bob".into();
    ask(&mut world, link, 1, NameQuestion::Request(forged));
    let facts = world.facts();
    assert!(
        matches!(facts[..], [Fact::Misbehaved { link: by, .. }] if by == link),
        "{facts:?}"
    );
    assert!(tickets(&mut world).is_empty());
}

#[test]
fn a_question_is_forwarded_to_a_relay_that_keeps_names_and_its_answer_returned() {
    let mut world = world(false);
    let person = world.link_person(1);
    ask(&mut world, person, 3, lookup());
    assert_eq!(
        answers(&mut world, person),
        [(3, NameAnswer::Unavailable)],
        "there is none"
    );
    let index = index(&mut world, 1);
    ask(&mut world, person, 4, lookup());
    let [request] = forwarded(&mut world, index)[..] else {
        panic!("forwarded once");
    };
    let answered = NameAnswered {
        request,
        answer: NameAnswer::TooFast,
    };
    let other = NameAnswered {
        request: request + 1,
        ..answered.clone()
    };
    let other = Message::NameAnswer(other);
    let returned = world.on_message(index, other.clone());
    assert_eq!(returned, Some(other), "an answer to another question");
    assert_eq!(world.on_message(index, Message::NameAnswer(answered)), None);
    assert_eq!(answers(&mut world, person), [(4, NameAnswer::TooFast)]);
}

#[test]
fn a_relay_with_another_registry_is_not_asked_nor_the_one_that_asks() {
    let mut world = world(false);
    let index = index(&mut world, 1);
    world
        .kinds
        .learn_registry(&mut world.ctx, RegistryId([5; 32]), true);
    let person = world.link_person(1);
    ask(&mut world, person, 3, lookup());
    assert_eq!(answers(&mut world, person), [(3, NameAnswer::Unavailable)]);
    let description = Description {
        roles: role::INDEX,
        registry: Some(RegistryId([5; 32])),
        ..worker("")
    };
    world.describe(1, description, index);
    ask(&mut world, index, 4, lookup());
    assert_eq!(answers(&mut world, index), [(4, NameAnswer::Unavailable)]);
    ask(&mut world, person, 5, lookup());
    assert_eq!(forwarded(&mut world, index).len(), 1);
}

#[test]
fn a_late_answer_finds_nobody_waiting() {
    let mut world = world(true);
    let link = world.link_person(1);
    ask(&mut world, link, 3, lookup());
    let ticket = tickets(&mut world)[0];
    world.pass(TIMEOUT - Duration::from_secs(1));
    world.tick();
    assert_eq!(answers(&mut world, link), []);
    world.pass(Duration::from_secs(1));
    world.tick();
    assert_eq!(answers(&mut world, link), [(3, NameAnswer::Unavailable)]);
    world
        .relay
        .on_named_by_registry(&mut world.ctx, ticket, NameAnswer::TooFast);
    assert_eq!(answers(&mut world, link), []);
}

#[test]
fn a_lost_link_to_the_registry_is_an_answer() {
    let mut world = world(false);
    let index = index(&mut world, 1);
    let (person, leaver) = (world.link_person(1), world.link_person(2));
    ask(&mut world, person, 3, lookup());
    ask(&mut world, leaver, 3, lookup());
    world.unlink(leaver);
    assert_eq!(world.relay.names.forwarded.len(), 1, "only one still waits");
    world.unlink(index);
    assert_eq!(answers(&mut world, person), [(3, NameAnswer::Unavailable)]);
    world.pass(TIMEOUT);
    world.tick();
    assert_eq!(answers(&mut world, person), [], "once");
}
