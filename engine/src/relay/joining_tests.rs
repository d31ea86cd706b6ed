use core::time::Duration;

use protocol::messages::Message;
use protocol::messages::membership::{JoinAnswer, JoinRequest, Stance, Vouch, Vouches};
use protocol::{PeerId, Timestamp};

use super::{CHECKS_PER_S, SEND_ALL_INTERVAL, TRIES_MAX};
use crate::facts::Fact;
use crate::io::{Admission, LinkId, Log as Line, Output};
use crate::relay::testing::{World, relay_key, relay_peer};
use crate::store::Op;
use crate::testing::spoil;

/// Relay 0 of a network by invitation, alone so far.
fn world() -> World {
    World::new(|config| config.admission = Admission::Invited)
}

fn vouch(by: u16, stance: Stance, relay: u16) -> Vouch {
    Vouch::issue(
        &relay_key(by),
        relay_peer(relay),
        stance,
        Timestamp(1_700_000_000_000),
    )
}

fn say(world: &mut World, link: LinkId, vouches: Vec<Vouch>) {
    let fingerprint = [0; 16];
    world.on_message(link, Message::Vouches(Vouches { fingerprint, vouches }));
}

/// Relay `n` is a member: it was invited, and says that it joined.
fn invite(world: &mut World, n: u16) {
    world.vouch(relay_peer(n), Stance::Invites);
    world.relay.take_in(vouch(n, Stance::Joins, 0));
}

/// The statements in each message that a neighbour received.
fn told(world: &mut World, link: LinkId) -> Vec<usize> {
    let sent = world.sent(link).into_iter();
    let told = sent.filter_map(|message| match message {
        Message::Vouches(vouches) => Some(vouches.vouches.len()),
        _ => None,
    });
    told.collect()
}

fn answers(world: &mut World, link: LinkId) -> Vec<bool> {
    let sent = world.sent(link).into_iter();
    let answers = sent.filter_map(|message| match message {
        Message::JoinAnswer(answer) => Some(answer.accepted),
        _ => None,
    });
    answers.collect()
}

/// Secrets that the adapter is asked about.
fn asked(world: &mut World) -> usize {
    let outputs = world.outputs().into_iter();
    outputs
        .filter(|output| matches!(output, Output::Invitation { .. }))
        .count()
}

fn misbehaved(world: &mut World) -> bool {
    world
        .facts()
        .iter()
        .any(|fact| matches!(fact, Fact::Misbehaved { .. }))
}

fn members(world: &World) -> Vec<PeerId> {
    world.relay.listed().expect("not open").iter().copied().collect()
}

#[test]
fn a_valid_secret_makes_the_relay_that_shows_it_a_member() {
    let mut world = world();
    let link = world.link_relay(1);
    let request = || Message::JoinRequest(JoinRequest { secret: [5; 16] });
    world.on_message(link, request());
    assert_eq!(asked(&mut world), 1);
    world.on_invitation(link, Some(false));
    assert_eq!(answers(&mut world, link), [false]);
    assert_eq!(members(&world), [relay_peer(0)]);

    world.on_message(link, request());
    world.on_invitation(link, Some(true));
    let sent = world.sent(link);
    let [
        Message::Vouches(vouches),
        Message::JoinAnswer(JoinAnswer { accepted: true }),
    ] = sent.as_slice()
    else {
        panic!("first what makes it a member: {sent:?}");
    };
    assert_eq!(vouches.vouches.len(), 1);
    assert!(
        !members(&world).contains(&relay_peer(1)),
        "it has not said that it joined"
    );
    say(&mut world, link, vec![vouch(1, Stance::Joins, 0)]);
    assert!(members(&world).contains(&relay_peer(1)));

    // It shows the secret again after a restart.
    world.outputs();
    world.on_message(link, request());
    assert_eq!((asked(&mut world), answers(&mut world, link)), (0, vec![true]));
}

#[test]
fn a_link_may_try_few_secrets_one_at_a_time() {
    let mut world = world();
    let link = world.link_relay(1);
    // Of two that are shown at once, the second is not looked up, and counts.
    for n in 0..TRIES_MAX / 2 + 3 {
        let secret = [n as u8; 16];
        world.on_message(link, Message::JoinRequest(JoinRequest { secret }));
        assert_eq!(asked(&mut world), usize::from(n < TRIES_MAX / 2));
        world.on_message(link, Message::JoinRequest(JoinRequest { secret }));
        assert_eq!(asked(&mut world), 0, "one is being looked up");
        world.on_invitation(link, Some(false));
    }
}

#[test]
fn persons_devices_have_no_say() {
    for message in [
        Message::JoinRequest(JoinRequest { secret: [5; 16] }),
        Message::Vouches(Vouches::default()),
    ] {
        let mut world = world();
        let link = world.link_person(1);
        world.facts();
        world.on_message(link, message);
        assert!(misbehaved(&mut world));
    }
}

#[test]
fn statements_are_kept_and_passed_on_to_members_alone() {
    let mut world = world();
    invite(&mut world, 1);
    invite(&mut world, 2);
    let (one, two, stranger) = (world.link_relay(1), world.link_relay(2), world.link_relay(9));
    world.store();
    say(
        &mut world,
        one,
        vec![
            vouch(6, Stance::Joins, 5),
            vouch(5, Stance::Invites, 6),
            vouch(1, Stance::Invites, 5),
            vouch(5, Stance::Joins, 1),
        ],
    );
    let (ops, _) = world.store();
    let kept = ops
        .iter()
        .filter(|op| matches!(op, Op::Put { key, .. } if key.starts_with(b"vouch:")));
    assert_eq!(kept.count(), 4);
    assert_eq!(told(&mut world, two), [4]);
    assert_eq!(told(&mut world, stranger), [0usize; 0]);
    assert!(
        members(&world).contains(&relay_peer(6)),
        "in whatever order they come"
    );
}

#[test]
fn what_a_stranger_says_is_neither_kept_nor_checked_and_what_it_passes_on_is() {
    let mut world = world();
    let stranger = world.link_relay(9);
    let mut forged = vouch(9, Stance::Invites, 8);
    spoil(&mut forged.signature);
    world.facts();
    say(&mut world, stranger, vec![forged, vouch(9, Stance::Invites, 7)]);
    assert_eq!(members(&world), [relay_peer(0)]);
    assert!(!misbehaved(&mut world));
    // A member signed this, but the signature is wrong.
    invite(&mut world, 1);
    let mut forged = vouch(1, Stance::Invites, 9);
    spoil(&mut forged.signature);
    world.facts();
    say(&mut world, stranger, vec![forged]);
    assert!(misbehaved(&mut world));
    say(
        &mut world,
        stranger,
        vec![vouch(1, Stance::Invites, 9), vouch(9, Stance::Joins, 1)],
    );
    assert!(members(&world).contains(&relay_peer(9)));
}

#[test]
fn the_signatures_that_a_neighbour_has_checked_are_bounded() {
    let mut world = world();
    invite(&mut world, 1);
    let link = world.link_relay(1);
    let many = 10 + CHECKS_PER_S as u16 + 20;
    let vouches: Vec<Vouch> = (10..many).map(|n| vouch(1, Stance::Joins, n)).collect();
    say(&mut world, link, vouches.clone());
    assert_eq!(members(&world).len(), 2 + CHECKS_PER_S as usize);
    world.pass(Duration::from_secs(1));
    world.tick();
    say(&mut world, link, vouches);
    assert_eq!(
        members(&world).len(),
        usize::from(many - 10) + 2,
        "the rest comes again"
    );
}

#[test]
fn neighbours_whose_fingerprints_differ_send_each_other_everything_now_and_then() {
    let mut world = world();
    invite(&mut world, 1);
    let link = world.link_relay(1);
    world.sent(link);
    say(&mut world, link, vec![]);
    assert_eq!(
        told(&mut world, link),
        [0usize; 0],
        "it was sent everything a moment ago"
    );
    world.pass(SEND_ALL_INTERVAL);
    say(&mut world, link, vec![]);
    assert_eq!(told(&mut world, link), [2]);
    say(&mut world, link, vec![]);
    assert_eq!(told(&mut world, link), [0usize; 0]);
    world.pass(SEND_ALL_INTERVAL);
    let fingerprint = world.relay.fingerprint();
    let vouches = Vec::new();
    world.on_message(link, Message::Vouches(Vouches { fingerprint, vouches }));
    assert_eq!(told(&mut world, link), [0usize; 0], "both hold the same");
}

#[test]
fn a_relay_that_joined_waits_and_is_listed_until_it_is_invited_or_gone() {
    let mut world = world();
    let link = world.link_relay(1);
    say(&mut world, link, vec![vouch(1, Stance::Joins, 0)]);
    assert_eq!(world.relay.asking(), [relay_peer(1)]);
    world.vouch(relay_peer(1), Stance::Invites);
    say(&mut world, link, vec![vouch(1, Stance::Joins, 0)]);
    assert_eq!(world.relay.asking(), []);
    let other = world.link_relay(2);
    say(&mut world, other, vec![vouch(2, Stance::Joins, 0)]);
    assert_eq!(world.relay.asking(), [relay_peer(2)]);
    world.unlink(other);
    assert_eq!(world.relay.asking(), []);
}

#[test]
fn an_expelled_relay_learns_of_it_and_is_not_listed_as_one_that_waits() {
    let mut world = world();
    invite(&mut world, 1);
    let link = world.link_relay(1);
    world.facts();
    world.vouch(relay_peer(1), Stance::Expels);
    assert_eq!(told(&mut world, link), [1]);
    let gone = world.facts().into_iter().find_map(|fact| match fact {
        Fact::Members { gone } => Some(gone),
        _ => None,
    });
    assert_eq!(gone, Some(vec![relay_peer(1)]));
    let gone = world
        .lines()
        .into_iter()
        .any(|line| matches!(line, Line::Member { on: false, .. }));
    assert!(gone);
    world.unlink(link);
    let again = world.prove_relay(1);
    assert_eq!(told(&mut world, again), [1], "why it is not a member");
    say(&mut world, again, vec![vouch(1, Stance::Joins, 0)]);
    assert_eq!(world.relay.asking(), []);
}

#[test]
fn an_expelled_relay_may_use_invitations_that_were_issued_after_its_expulsion() {
    let mut world = world();
    let link = world.link_relay(1);
    let asked_with = |world: &mut World| {
        world.on_message(link, Message::JoinRequest(JoinRequest { secret: [5; 16] }));
        let times = world.outputs().into_iter().filter_map(|output| match output {
            Output::Invitation { not_before, .. } => Some(not_before),
            _ => None,
        });
        times.collect::<Vec<_>>()
    };
    assert_eq!(asked_with(&mut world), [Timestamp(0)]);
    world.on_invitation(link, Some(false));
    assert_eq!(answers(&mut world, link), [false]);
    invite(&mut world, 1);
    world.pass(Duration::from_secs(60));
    let expelled_at = world.ctx.now.wall;
    world.vouch(relay_peer(1), Stance::Expels);
    world.pass(Duration::from_secs(60));
    assert_eq!(asked_with(&mut world), [expelled_at]);

    // It is expelled again while its secret is looked up.
    world.vouch(relay_peer(1), Stance::Expels);
    world.on_invitation(link, Some(true));
    assert_eq!(answers(&mut world, link), [false]);
    assert_eq!(members(&world), [relay_peer(0)]);

    assert_eq!(asked_with(&mut world).len(), 1);
    world.on_invitation(link, Some(true));
    assert!(members(&world).contains(&relay_peer(1)), "invited after that");
}

#[test]
fn this_relay_joins_the_first_that_its_operator_names_and_no_other_one() {
    let mut world = world();
    world.named(1);
    assert!(members(&world).contains(&relay_peer(1)), "it believes it");
    world.facts();
    // Another relay is at that address by now, or at another one.
    world.named(2);
    assert!(!members(&world).contains(&relay_peer(2)));
    let gone = world
        .facts()
        .into_iter()
        .any(|fact| matches!(fact, Fact::Members { gone } if gone == [relay_peer(2)]));
    assert!(gone, "and it is known no longer");
}

#[test]
fn an_invitation_is_shown_until_it_is_answered() {
    let mut world = world();
    let link = world.prove_relay(1);
    world.join(1, [7; 16]);
    let shown = |world: &mut World| {
        let sent = world.sent(link).into_iter();
        sent.filter(|message| matches!(message, Message::JoinRequest(_)))
            .count()
    };
    assert_eq!(shown(&mut world), 1);
    world.on_anti_entropy();
    assert_eq!(shown(&mut world), 1, "again");
    world.on_message(link, Message::JoinAnswer(JoinAnswer { accepted: false }));
    let refused = |line: Line| matches!(line, Line::Joined { accepted: false, .. });
    assert!(world.lines().into_iter().any(refused));
    assert!(world.relay.is_refused(&relay_peer(1)));
    world.on_anti_entropy();
    assert_eq!(shown(&mut world), 0);
}

#[test]
fn a_secret_that_cannot_be_looked_up_now_is_not_refused_and_one_whose_link_ended_counts() {
    let mut world = world();
    let link = world.link_relay(1);
    let request = || Message::JoinRequest(JoinRequest { secret: [5; 16] });
    world.on_message(link, request());
    world.on_invitation(link, None);
    assert_eq!(answers(&mut world, link), []);
    world.on_message(link, request());
    world.unlink(link);
    world.on_invitation(link, Some(true));
    let again = world.link_relay(1);
    say(&mut world, again, vec![vouch(1, Stance::Joins, 0)]);
    assert!(members(&world).contains(&relay_peer(1)));
}
