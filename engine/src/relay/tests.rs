//! The relay as a whole, among neighbours.

use core::time::Duration;

use protocol::messages::{Digest, Entries, Interests, Message, RangeEnd, SaltedAccount, Want};

use super::testing::{World, account, device, feed, person, relay_peer, worker};
use crate::api::{Event, RelayState, RepairView};
use crate::facts::Fact;
use crate::io::{LinkId, Log as Line, Output};
use crate::store::{Op, Table};
use crate::sync::{Interest, Summary, Wanting};
use crate::testing::Remote;

fn digests(messages: &[Message]) -> Vec<&Digest> {
    let digests = messages.iter().filter_map(|message| match message {
        Message::Digest(digest) => Some(digest),
        _ => None,
    });
    digests.collect()
}

fn interests(messages: &[Message]) -> Vec<&Interests> {
    let interests = messages.iter().filter_map(|message| match message {
        Message::Interests(interests) => Some(interests),
        _ => None,
    });
    interests.collect()
}

fn wants(messages: &[Message]) -> Vec<Want> {
    let wants = messages.iter().filter_map(|message| match message {
        Message::Want(want) => Some(*want),
        _ => None,
    });
    wants.collect()
}

/// What was last told of repair.
fn repair(world: &mut World) -> Option<RepairView> {
    let outputs = world.outputs().into_iter().rev();
    let mut views = outputs.filter_map(|output| match output {
        Output::Event(Event::Repair(view)) => Some(view),
        _ => None,
    });
    views.next()
}

fn summary(world: &World, link: LinkId) -> Summary {
    let wanting = Wanting::without_follows(&world.relay);
    let scope = wanting.scope(&world.log);
    let session = world.net.session(link).expect("linked");
    world.relay.summary(&scope, session)
}

/// Relay 0 with six others, which are linked, and forty feeds of two entries.
fn divided() -> (World, Vec<LinkId>) {
    let mut world = World::default();
    world.workers(6);
    for n in 0..40 {
        world.hold(n, 2);
    }
    let links = (1..=6).map(|n| world.link_relay(n)).collect();
    world.tick();
    (world, links)
}

fn sent_at_all(world: &mut World, links: &[LinkId]) -> Vec<Message> {
    let sent = links.iter().flat_map(|link| world.sent(*link));
    sent.collect()
}

// Interests and placement.

#[test]
fn while_there_are_few_workers_everything_is_asked_for() {
    let mut world = World::default();
    world.workers(2);
    let (relay, person) = (world.link_relay(1), world.link_person(1));
    world.tick();
    for link in [relay, person] {
        let summary = summary(&world, link);
        assert!(summary.everything && !summary.assigned && summary.accounts.is_empty());
    }
    assert!(world.wants(77));
    assert!(
        interests(&world.sent(relay)).is_empty(),
        "nothing changed for the links"
    );
}

#[test]
fn once_feeds_are_divided_relays_are_asked_for_what_is_assigned_and_what_is_wanted_here() {
    let (mut world, links) = divided();
    let sent = world.sent(links[0]);
    let [asked] = interests(&sent)[..] else {
        panic!("asked once: {sent:?}");
    };
    assert!(asked.reset && asked.assigned && !asked.everything);
    // What is held beside the assignment is asked for by name, and so is what a person here named.
    let beside = world.relay.cache.len();
    assert!(beside > 0);
    let person = world.link_person(100);
    let unknown = (100..200).filter(|n| !world.wants(*n)).collect::<Vec<_>>();
    assert!(unknown.len() > 20, "{unknown:?}");
    world.name(person, &unknown[..1]);
    assert!(world.wants(unknown[0]));
    // The person and the account it named.
    let own =
        usize::from(!world.relay.cache.accounts().any(|it| it == account(100)) && !assigned(&world, 100));
    let summary = summary(&world, links[0]);
    assert!(summary.assigned && !summary.everything);
    assert_eq!(summary.accounts.len(), beside + 1 + own);
    assert!(
        self::summary(&world, person).everything,
        "people say nothing of what they hold"
    );
}

fn assigned(world: &World, n: u16) -> bool {
    world
        .relay
        .placement
        .is_assigned_here(&world.log.feeds, &account(n))
}

#[test]
fn a_named_account_that_is_not_kept_is_fetched_from_relays() {
    let (mut world, links) = divided();
    let person = world.link_person(100);
    let unknown: Vec<u16> = (200..300).filter(|n| !world.wants(*n)).take(2).collect();
    sent_at_all(&mut world, &links);
    // One that is held, and two that are not.
    world.name(person, &[0, unknown[0], unknown[1]]);
    for link in &links {
        let salt = world.net.session(*link).expect("linked").salt_sent;
        let sent = world.sent(*link);
        let [asked] = interests(&sent)[..] else {
            panic!("asked once: {sent:?}");
        };
        let expected = [0, 1].map(|at| SaltedAccount::new(&salt, &account(unknown[at])));
        assert_eq!(asked.add, expected);
    }
    let sent = world.sent(person);
    let heads: Vec<_> = digests(&sent)
        .iter()
        .flat_map(|digest| digest.heads.clone())
        .collect();
    assert_eq!(heads.len(), 1, "what is held is said: {sent:?}");
    // Named again, it is not asked for again.
    world.name(person, &unknown);
    assert!(sent_at_all(&mut world, &links).is_empty());
    world.unlink(person);
    assert!(!world.wants(unknown[0]));
}

#[test]
fn a_relay_that_wants_its_assignment_is_offered_what_moves_to_it() {
    let (mut world, links) = divided();
    let wants_assigned = Interests {
        reset: true,
        assigned: true,
        ..Interests::default()
    };
    world.on_interests(links[0], wants_assigned);
    let sent = world.sent(links[0]);
    let before: usize = digests(&sent).iter().map(|digest| digest.heads.len()).sum();
    assert!(before > 0);
    // Relay 6 gives up its share: a part of it moves to relay 1.
    let mut emptied = worker("");
    emptied.capacity = 0;
    world.describe(6, emptied, links[5]);
    world.tick();
    let sent = world.sent(links[0]);
    let moved: Vec<_> = digests(&sent)
        .iter()
        .flat_map(|digest| digest.heads.clone())
        .collect();
    assert!(
        !moved.is_empty() && moved.len() < before,
        "{} after {before}",
        moved.len()
    );
    let feeds = &world.log.feeds;
    let theirs = world.relay.placement.assigned_to(feeds, &relay_peer(1)).len();
    assert_eq!(before + moved.len(), theirs, "only what is new");
    let lines = world.lines();
    let last = lines
        .iter()
        .rev()
        .find(|line| matches!(line, Line::Placement { .. }));
    assert_eq!(
        last,
        Some(&Line::Placement {
            relays: 6,
            replicas: 3
        })
    );
}

#[test]
fn a_relay_whose_assignment_an_account_belongs_to_is_a_replica() {
    let (world, _) = divided();
    let wanting = Wanting::without_follows(&world.relay);
    let scope = wanting.scope(&world.log);
    for n in [3, 300] {
        let replicas: Vec<u16> = (0..=6)
            .filter(|relay| world.relay.is_replica(&scope, &account(n), &relay_peer(*relay)))
            .collect();
        assert_eq!(replicas.len(), 3, "{n}: {replicas:?}");
    }
    let all: usize = (0..=6)
        .map(|relay| {
            world
                .relay
                .placement
                .assigned_to(&world.log.feeds, &relay_peer(relay))
                .len()
        })
        .sum();
    assert_eq!(all, 40 * 3);
    assert!(world.relay.wanted(&scope).is_empty());
}

// Resuming.

#[test]
fn what_a_person_wanted_is_remembered_for_its_next_link() {
    let mut world = World::default();
    let person = world.link_person(1);
    let all = wanted(&world, person);
    let salted: ordered::Set<_> = all.add.iter().copied().collect();
    let same = Interests::fingerprint(salted.iter());
    world.on_interests(person, all);
    world.name(person, &[500]);
    world.unlink(person);
    let person = world.link_person(1);
    let resume = Interests {
        reset: true,
        same: Some(same),
        ..Interests::default()
    };
    world.on_interests(person, resume.clone());
    assert!(!is_resume_failed(&world.sent(person)));
    let interest = world.sync.interest(person).expect("said");
    assert_eq!((interest.salted.len(), interest.named.len()), (100, 1));
    assert!(world.relay.subscriptions.contains(&account(500)));
    // Another peer with the same fingerprint is not known.
    let other = world.link_person(2);
    world.on_interests(other, resume);
    assert!(is_resume_failed(&world.sent(other)));
}

#[test]
fn what_a_device_wanted_before_it_was_updated_is_not_remembered_and_all_of_it_is_taken_again() {
    let mut world = World::default();
    let older = Remote {
        relay_salt: false,
        ..person(1)
    };
    // And the other way round.
    for [before, after] in [[older.clone(), person(1)], [person(1), older]] {
        let link = world.link_as(before);
        let all = wanted(&world, link);
        world.on_interests(link, all);
        world.unlink(link);
        let link = world.link_as(after.clone());
        let all = wanted(&world, link);
        let salted: ordered::Set<_> = all.add.iter().copied().collect();
        let resume = Interests {
            reset: true,
            same: Some(Interests::fingerprint(salted.iter())),
            ..Interests::default()
        };
        world.on_interests(link, resume.clone());
        assert!(is_resume_failed(&world.sent(link)));
        world.on_interests(link, all);
        world.unlink(link);
        let link = world.link_as(after);
        world.on_interests(link, resume);
        assert!(!is_resume_failed(&world.sent(link)));
        world.unlink(link);
    }
}

/// A hundred accounts, as the neighbour names them.
fn wanted(world: &World, link: LinkId) -> Interests {
    let salt = world.net.session(link).expect("linked").salt_received;
    let add = (100..200).map(|n| SaltedAccount::new(&salt, &account(n)));
    Interests {
        reset: true,
        add: add.collect(),
        ..Interests::default()
    }
}

fn is_resume_failed(messages: &[Message]) -> bool {
    messages
        .iter()
        .any(|message| matches!(message, Message::ResumeFailed(_)))
}

#[test]
fn an_account_taken_back_is_not_subscribed_any_more() {
    let mut world = World::default();
    let person = world.link_person(1);
    let salt = world.net.session(person).expect("linked").salt_received;
    world.name(person, &[500, 501]);
    let remove = Interests {
        remove: vec![SaltedAccount::new(&salt, &account(500))],
        ..Interests::default()
    };
    world.on_interests(person, remove);
    let subscribed = [500, 501, 1].map(|n| world.relay.subscriptions.contains(&account(n)));
    assert_eq!(subscribed, [false, true, true]);
}

// Catching up.

#[test]
fn a_relay_catches_up_with_its_neighbours_and_remembers_that_it_has_some() {
    let mut world = World::new(|config| config.joins = true);
    world.describe_own(worker(""));
    world.tick();
    assert!(!repair(&mut world).expect("told").caught_up);
    let link = world.link_relay(1);
    world.describe(1, worker(""), link);
    world.tick();
    assert!(
        !world.relay.repair.assess(&[], world.now()).caught_up,
        "not compared"
    );
    let World {
        ctx,
        net,
        directory,
        relay,
        ..
    } = &mut world;
    relay.on_compared(ctx, net, directory, link);
    world.tick();
    let outputs = world.outputs();
    let view = outputs.iter().rev().find_map(|output| match output {
        Output::Event(Event::Repair(view)) => Some(view.clone()),
        _ => None,
    });
    let view = view.expect("told");
    assert!(view.caught_up);
    assert_eq!((view.relays, view.replicas, view.living), (2, 2, 2));
    let written = outputs.iter().any(|output| match output {
        Output::Persist(batch) => batch
            .ops
            .iter()
            .any(|op| matches!(op, Op::Put { table: Table::Meta, key, .. } if key == b"networked")),
        _ => false,
    });
    assert!(written);
    assert_eq!(repair(&mut world), None, "told once");
}

#[test]
fn a_relay_that_is_not_of_the_directory_is_not_waited_for() {
    let mut world = World::new(|config| config.joins = true);
    let link = world.link_relay(9);
    world.receive(link, &Message::Digest(Digest::default()));
    world.pass(Duration::from_secs(20));
    world.tick();
    assert!(repair(&mut world).expect("told").caught_up);
}

#[test]
fn handing_over_for_good_asks_the_others_until_they_have_all() {
    let mut world = World::default();
    world.workers(2);
    for n in 0..5 {
        world.hold(n, 2);
    }
    let links = [world.link_relay(1), world.link_relay(2)];
    world.tick();
    world.relay.hand_over(&mut world.ctx, true);
    assert_eq!(world.ctx.next_timeout, world.now(), "its timer is due at once");
    sent_at_all(&mut world, &links);
    world.tick();
    assert_eq!(repair(&mut world).expect("told").to_hand_over, Some(5));
    assert_eq!(
        interests(&sent_at_all(&mut world, &links)).len(),
        2,
        "asked what they have"
    );
    world.pass(Duration::from_secs(1));
    world.tick();
    assert!(
        interests(&sent_at_all(&mut world, &links)).is_empty(),
        "not every second"
    );
    world.pass(Duration::from_secs(5));
    world.tick();
    assert_eq!(interests(&sent_at_all(&mut world, &links)).len(), 2);
    for link in links {
        for n in 0..5 {
            world.peer_has(link, n, 2);
        }
    }
    world.pass(Duration::from_secs(5));
    world.tick();
    assert_eq!(repair(&mut world).expect("told").to_hand_over, Some(0));
    assert!(interests(&sent_at_all(&mut world, &links)).is_empty());
}

#[test]
fn too_few_copies_are_logged_when_they_begin_and_end() {
    let copies = |world: &mut World| {
        let lines = world.lines().into_iter();
        lines
            .filter(|line| matches!(line, Line::Copies { .. }))
            .collect::<Vec<_>>()
    };
    let mut world = World::default();
    world.workers(1);
    world.tick();
    assert_eq!(copies(&mut world), []);
    world.pass(Duration::from_secs(20));
    world.describe(1, worker(""), LinkId(1));
    world.tick();
    assert_eq!(copies(&mut world), [Line::Copies { wanted: 3, living: 2 }]);
    world.workers(2);
    world.tick();
    assert_eq!(copies(&mut world), [Line::Copies { wanted: 3, living: 3 }]);
}

// Audits.

/// Whether the end of a request ends an audit.
fn end(world: &mut World, link: LinkId, request: u32) -> bool {
    let end = Message::RangeEnd(RangeEnd { request });
    world.on_message(link, end).is_none()
}

/// Whether the entry that was asked for is taken as the answer to an audit.
fn show(world: &mut World, link: LinkId, want: Want) -> bool {
    let entry = feed(1, want.to)[want.from as usize].entry().clone();
    let entries = Entries {
        request: want.request,
        entries: vec![entry],
    };
    world.on_message(link, Message::Entries(entries)).is_none()
}

fn audited() -> (World, LinkId) {
    let mut world = World::default();
    world.hold(1, 5);
    world.net.know_relay(&mut world.ctx, relay_peer(1), String::new());
    let link = world.link_relay(1);
    world.peer_has(link, 1, 5);
    (world, link)
}

#[test]
fn a_relay_that_is_no_member_is_not_audited_and_takes_no_turn_of_one() {
    let (mut world, link) = audited();
    let strangers = [2, 3, 4].map(|n| world.link_relay(n));
    for stranger in strangers {
        world.peer_has(stranger, 1, 5);
    }
    for n in 1..=10 {
        world.on_anti_entropy();
        let want = wants(&world.sent(link))[0];
        assert!(show(&mut world, link, want) && end(&mut world, link, want.request));
        assert_eq!(world.ctx.totals.audits, n);
    }
    assert!(
        strangers
            .iter()
            .all(|stranger| wants(&world.sent(*stranger)).is_empty())
    );
}

#[test]
fn a_relay_that_shows_the_entry_passes_its_audit() {
    let (mut world, link) = audited();
    for _ in 0..10 {
        world.on_anti_entropy();
        let sent = world.sent(link);
        let [want] = wants(&sent)[..] else {
            panic!("asked for one entry: {sent:?}");
        };
        assert!(want.to == want.from + 1 && want.to <= 5);
        assert!(show(&mut world, link, want));
        assert!(!end(&mut world, link, want.request + 1), "another request");
        assert!(end(&mut world, link, want.request));
        assert!(!end(&mut world, link, want.request), "once");
    }
    assert_eq!((world.ctx.totals.audits, world.ctx.totals.audits_failed), (10, 0));
}

#[test]
fn a_relay_that_does_not_show_the_entry_is_offered_the_feed_again() {
    let (mut world, link) = audited();
    world.on_anti_entropy();
    let want = wants(&world.sent(link))[0];
    assert!(end(&mut world, link, want.request));
    assert_eq!((world.ctx.totals.audits, world.ctx.totals.audits_failed), (1, 1));
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    assert_eq!(world.relay.peer_has.get(link, number), None);
    let sent = world.sent(link);
    assert_eq!(digests(&sent)[0].heads[0].device, device(1));
    let lines = world.lines();
    assert!(
        lines
            .iter()
            .any(|line| matches!(line, Line::NotHeld { seq, .. } if *seq == want.from)),
        "{lines:?}"
    );
    // It says nothing of which it could be asked any more.
    world.on_anti_entropy();
    assert!(wants(&world.sent(link)).is_empty());
}

#[test]
fn an_audit_that_is_not_answered_fails_after_a_while() {
    let (mut world, link) = audited();
    world.on_anti_entropy();
    world.on_anti_entropy();
    assert_eq!(wants(&world.sent(link)).len(), 1, "one question is under way");
    world.pass(Duration::from_secs(30));
    world.tick();
    assert_eq!((world.ctx.totals.audits, world.ctx.totals.audits_failed), (1, 1));
    world.unlink(link);
    world.on_anti_entropy();
    assert_eq!(world.ctx.totals.audits, 1, "nobody is left to ask");
}

#[test]
fn people_are_not_audited() {
    let mut world = World::default();
    world.hold(1, 5);
    let person = world.link_person(2);
    world.peer_has(person, 1, 5);
    world.on_anti_entropy();
    assert!(wants(&world.sent(person)).is_empty());
}

// Replicas.

#[test]
fn the_replicas_of_an_account_are_shown_with_their_state_and_lag() {
    let mut world = World::default();
    world.workers(3);
    world.hold(1, 5);
    world.tick();
    let links = [world.link_relay(1), world.link_relay(2)];
    world.peer_has(links[0], 1, 5);
    world.peer_has(links[1], 1, 3);
    world.sent(links[0]);
    let view = |world: &World| {
        world
            .relay
            .replicas_view(&world.net, &world.log, &world.directory, &account(1))
    };
    let shown = view(&world);
    assert_eq!(shown.replicas.len(), 3);
    for replica in &shown.replicas {
        assert_eq!(replica.state, RelayState::Alive);
        let (lag, delay) = match replica.relay {
            own if own == relay_peer(0) => (Some(0), Some(0)),
            one if one == relay_peer(1) => (Some(0), None),
            two if two == relay_peer(2) => (Some(2), None),
            _ => (None, None),
        };
        assert_eq!((replica.lag, replica.delay_ms), (lag, delay), "{replica:?}");
    }
    // To look has no effect.
    assert_eq!(view(&world).replicas, shown.replicas);
    assert!(sent_at_all(&mut world, &links).is_empty());
}

#[test]
fn replicas_that_are_dead_come_last() {
    let mut world = World::default();
    world.workers(2);
    world.tick();
    // Relay 1 falls silent.
    for _ in 0..12 {
        world.pass(Duration::from_secs(5));
        world.describe(2, worker(""), LinkId(2));
        world.judge();
    }
    let view = world
        .relay
        .replicas_view(&world.net, &world.log, &world.directory, &account(1));
    let last = view.replicas.last().expect("three");
    assert_eq!((last.relay, last.state), (relay_peer(1), RelayState::Dead));
    assert_eq!(view.replicas[0].state, RelayState::Alive);
}

#[test]
fn nothing_breaks_when_messages_come_on_links_that_ended() {
    let (mut world, link) = audited();
    world.unlink(link);
    world.peer_has(link, 1, 5);
    world
        .relay
        .on_neighbour_up(&mut world.ctx, &world.net, &world.directory, link);
    world.relay.on_helped(&world.ctx, &world.net, link, true);
    assert!(
        world
            .relay
            .on_interests(&world.net, link, &Interests::default())
            .is_none()
    );
    assert!(!end(&mut world, link, 1));
    let facts = world.facts();
    assert!(facts.iter().all(|fact| !matches!(fact, Fact::Misbehaved { .. })));
    assert!(world.relay.peer_has.of(link).is_none());
}
