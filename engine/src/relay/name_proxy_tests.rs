use core::time::Duration;

use protocol::kinds::Revocation;
use protocol::messages::directory::{Description, role};
use protocol::messages::{Message, NameAnswered, NameAsked, RevocationAnswer, RevocationQuestion};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest, RegistryId};
use protocol::{EntryId, Timestamp};

use super::{COUNT_INTERVAL, PER_ADDRESS, TIMEOUT};
use crate::facts::Fact;
use crate::io::{AddressId, LinkId, NameTicket, Output};
use crate::relay::revocation_check;
use crate::relay::testing::{World, account, certificate, device, key, person, relay_peer, worker};
use crate::testing::Remote;

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

/// The same, with the most work that is asked for.
fn worked(n: u16) -> NameRequest {
    let mut claim = claim(n);
    assert!(claim.seek_work(18, u32::MAX));
    claim
}

/// A relay with its own registry, or none.
fn world(runs_registry: bool) -> World {
    let mut world = World::new(|config| {
        config.runs_registry = runs_registry;
        config.names_per_minute = PER_MINUTE;
        config.claims_per_minute = 4;
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
        .on_registry_answer(&mut world.ctx, &world.net, tickets[1], NameAnswer::Unavailable);
    assert_eq!(answers(&mut world, one), []);
    assert_eq!(answers(&mut world, two), [(7, NameAnswer::Unavailable)]);
    // It is answered once.
    world
        .relay
        .on_registry_answer(&mut world.ctx, &world.net, tickets[1], NameAnswer::TooFast);
    assert_eq!(answers(&mut world, two), []);
}

#[test]
fn the_look_alike_is_named_to_neighbours_that_know_the_answer() {
    let looks_like = NameAnswer::LooksLike {
        name: "paypal".into(),
    };
    let asking = |knows| Remote {
        knows_look_alikes: knows,
        ..person(1)
    };
    for (knows, expected) in [(true, looks_like.clone()), (false, NameAnswer::Taken)] {
        let mut world = world(true);
        let link = world.link_as(asking(knows));
        ask(&mut world, link, 7, lookup());
        let ticket = tickets(&mut world)[0];
        world
            .relay
            .on_registry_answer(&mut world.ctx, &world.net, ticket, looks_like.clone());
        assert_eq!(answers(&mut world, link), [(7, expected.clone())]);
        // The same for an answer that comes from another relay.
        let mut world = self::world(false);
        let index = index(&mut world, 2);
        let link = world.link_as(asking(knows));
        ask(&mut world, link, 8, lookup());
        let request = forwarded(&mut world, index)[0];
        let answered = NameAnswered {
            request,
            answer: looks_like.clone(),
        };
        assert!(world.on_message(index, Message::NameAnswer(answered)).is_none());
        assert_eq!(answers(&mut world, link), [(8, expected)]);
    }
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
    world
        .log
        .revocations
        .insert((account(9), device(9)), revocation(9, 9));
    let revoked = world.link_person(9);
    ask(&mut world, revoked, 1, NameQuestion::Request(claim(9)));
    assert_eq!(answers(&mut world, revoked), [(1, NameAnswer::NotYours)]);
    let mut refused = 0;
    for n in 1..=6 {
        let link = world.link_person(n);
        ask(&mut world, link, 1, NameQuestion::Request(worked(n)));
        refused += usize::from(answers(&mut world, link) == [(1, NameAnswer::TooFast)]);
    }
    assert_eq!((tickets(&mut world).len(), refused), (4, 2));
}

/// By person `n`, of the device of person `of`.
fn revocation(n: u16, of: u16) -> Revocation {
    Revocation::issue(&key(0xaa, n), device(of), 1, EntryId::default(), Timestamp(1))
}

/// A relay that keeps names and no feeds, linked with relay 1, which keeps all feeds, and with the device of person 1,
/// which has made a request. The number of the question to relay 1 follows.
fn checking() -> (World, LinkId, LinkId, u32) {
    let mut world = World::new(|config| {
        config.runs_registry = true;
        config.worker = false;
    });
    let index = Description {
        roles: role::INDEX,
        ..worker("")
    };
    world.describe_own(index);
    let keeper = world.link_relay(1);
    world.describe(1, worker(""), keeper);
    world.list_members();
    world.tick();
    let person = world.link_person(1);
    world.sent(keeper);
    ask(&mut world, person, 5, NameQuestion::Request(claim(1)));
    let sent = world.sent(keeper);
    let [Message::RevocationQuestion(asked)] = sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!((asked.account, asked.device), (account(1), device(1)));
    assert!(tickets(&mut world).is_empty(), "nothing is decided yet");
    (world, keeper, person, asked.request)
}

fn answer(world: &mut World, link: LinkId, request: u32, revocation: Option<Revocation>) {
    let answer = RevocationAnswer { request, revocation };
    assert!(
        world
            .on_message(link, Message::RevocationAnswer(answer))
            .is_none()
    );
}

#[test]
fn a_device_that_its_account_revoked_is_refused_where_the_feed_is_not_kept() {
    let (mut world, keeper, person, request) = checking();
    answer(&mut world, person, request, None);
    answer(&mut world, keeper, request + 1, None);
    assert!(tickets(&mut world).is_empty(), "neither was asked that");
    answer(&mut world, keeper, request, Some(revocation(1, 1)));
    assert_eq!(answers(&mut world, person), [(5, NameAnswer::NotYours)]);
    answer(&mut world, keeper, request, None);
    assert!(tickets(&mut world).is_empty(), "it is over");
}

#[test]
fn a_device_that_nobody_revoked_may_ask_the_registry() {
    let (mut world, keeper, person, request) = checking();
    answer(&mut world, keeper, request, None);
    assert_eq!(tickets(&mut world).len(), 1);
    assert_eq!(answers(&mut world, person), []);
}

#[test]
fn a_revocation_of_another_device_or_account_proves_nothing() {
    for wrong in [revocation(2, 1), revocation(1, 2)] {
        let (mut world, keeper, person, request) = checking();
        world.facts();
        answer(&mut world, keeper, request, Some(wrong));
        let facts = world.facts();
        assert!(facts.iter().any(|fact| matches!(fact, Fact::Misbehaved { .. })));
        assert!(tickets(&mut world).is_empty());
        assert_eq!(answers(&mut world, person), [(5, NameAnswer::Unavailable)]);
    }
}

#[test]
fn without_an_answer_about_the_device_nothing_is_decided() {
    let (mut world, _, person, _) = checking();
    world.pass(revocation_check::TIMEOUT);
    world.tick();
    assert_eq!(answers(&mut world, person), [(5, NameAnswer::Unavailable)]);
    let (mut world, keeper, person, _) = checking();
    world.unlink(keeper);
    assert_eq!(answers(&mut world, person), [(5, NameAnswer::Unavailable)]);
    ask(&mut world, person, 6, NameQuestion::Request(claim(1)));
    assert_eq!(
        answers(&mut world, person),
        [(6, NameAnswer::Unavailable)],
        "nobody is left to ask"
    );
}

#[test]
fn a_relay_that_keeps_the_feed_decides_alone_and_so_does_one_that_is_asked_by_such_a_relay() {
    let (mut world, keeper, _, _) = checking();
    ask(&mut world, keeper, 1, NameQuestion::Request(claim(2)));
    assert_eq!(tickets(&mut world).len(), 1, "it has looked itself");
    let mut world = world_of_workers();
    world.hold(1, 2);
    let person = world.link_person(1);
    ask(&mut world, person, 5, NameQuestion::Request(claim(1)));
    assert_eq!(tickets(&mut world).len(), 1);
}

/// A relay that keeps names and feeds, beside another that keeps feeds.
fn world_of_workers() -> World {
    let mut world = world(true);
    world.describe_own(worker(""));
    let keeper = world.link_relay(1);
    world.describe(1, worker(""), keeper);
    world.list_members();
    world.tick();
    world
}

#[test]
fn members_alone_learn_which_devices_were_revoked() {
    let mut world = world_of_workers();
    world
        .log
        .revocations
        .insert((account(9), device(9)), revocation(9, 9));
    let member = world.net.link_to(&relay_peer(1)).expect("linked");
    let person = world.link_person(1);
    for link in [member, person] {
        world.sent(link);
        let asked = RevocationQuestion {
            request: 4,
            account: account(9),
            device: device(9),
        };
        world.on_message(link, Message::RevocationQuestion(asked));
    }
    let expected = RevocationAnswer {
        request: 4,
        revocation: Some(revocation(9, 9)),
    };
    assert_eq!(world.sent(member), [Message::RevocationAnswer(expected)]);
    assert!(world.sent(person).is_empty());
}

#[test]
fn the_more_is_asked_the_more_work_a_request_needs() {
    let mut world = world(true);
    let mut asked_for = Vec::new();
    for n in 1..=4 {
        let link = world.link_person(n);
        ask(&mut world, link, 1, NameQuestion::Request(claim(n)));
        for (_, answer) in answers(&mut world, link) {
            let NameAnswer::Work { bits } = answer else {
                panic!("{answer:?}");
            };
            asked_for.push(bits);
            ask(&mut world, link, 2, NameQuestion::Request(worked(n)));
        }
    }
    assert_eq!(asked_for, [10, 14, 18]);
    assert_eq!(tickets(&mut world).len(), 4);
    world.pass(COUNT_INTERVAL);
    world.tick();
    let link = world.link_person(5);
    ask(&mut world, link, 1, NameQuestion::Request(claim(5)));
    assert_eq!(tickets(&mut world).len(), 1, "the next minute is a quiet one");
}

#[test]
fn neighbours_of_one_address_make_sixty_requests_a_minute_whatever_keys_they_use() {
    let mut world = World::new(|config| config.runs_registry = true);
    world.tick();
    world.wire.address = Some(AddressId(7));
    let mut refused = 0;
    for n in 0..PER_ADDRESS as u16 + 5 {
        let link = world.link_person(n);
        ask(&mut world, link, 1, NameQuestion::Request(claim(n)));
        refused += usize::from(answers(&mut world, link) == [(1, NameAnswer::TooFast)]);
        world.unlink(link);
    }
    assert_eq!(refused, 5);
    world.wire.address = Some(AddressId(8));
    let elsewhere = world.link_person(500);
    tickets(&mut world);
    ask(&mut world, elsewhere, 1, NameQuestion::Request(claim(500)));
    assert_eq!(tickets(&mut world).len(), 1);
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
        .on_registry_answer(&mut world.ctx, &world.net, ticket, NameAnswer::TooFast);
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
