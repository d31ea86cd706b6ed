//! Who belongs to a network of relays: invitations, those who call themselves relays, expulsion, and what is left of it
//! after restarts.

use std::time::Duration;

use protocol::messages::receipt::Reason;
use protocol::{KeyPair, PeerId};
use starling_engine::api::{Command, Event, MembersView, Query, QueryResult, RelayState, Request};
use starling_engine::io::MembershipInput;
use starling_engine::{Config, Input, Log, RequestId};

use crate::network::{Network, open_relay, seed};
use crate::placement::{describe, know};
use crate::withdrawals::holders;

/// A relay of a network by invitation.
fn relay(net: &mut Network, n: u8) -> usize {
    let relay = net.add(Config {
        joins: n > 1,
        repair_grace: Duration::from_secs(20),
        ..Config::relay(KeyPair::from_seed(&[n; 32]))
    });
    describe(net, relay, usize::from(n));
    relay
}

/// A relay shows a secret to another one, as its operator was told.
fn join(net: &mut Network, relay: usize, by: usize, secret: [u8; 16]) {
    know(net, relay, by);
    let peer = net.peer_id(by).expect("a key");
    net.input(relay, Input::Membership(MembershipInput::Join { peer, secret }));
}

/// The operator of a relay named the address of another one.
fn named(net: &mut Network, relay: usize, of: usize) {
    know(net, relay, of);
    let peer = net.peer_id(of).expect("a key");
    net.input(relay, Input::Membership(MembershipInput::Configured { peer }));
}

/// A relay invites another one, which joins its network.
pub(crate) fn invite(net: &mut Network, by: usize, relay: usize) {
    let secret = [relay as u8; 16];
    net.invitations.insert((by, secret));
    join(net, relay, by, secret);
}

/// Three relays of one network: the first invited the second, which invited the third.
fn chain(net: &mut Network) -> [usize; 3] {
    let relays = [1, 2, 3].map(|n| relay(net, n));
    for pair in relays.windows(2) {
        invite(net, pair[0], pair[1]);
        net.run_for_ms(20_000);
    }
    net.run_for_ms(40_000);
    relays
}

fn view(net: &mut Network, at: usize) -> MembersView {
    match net.query(at, Query::Members { about: None }) {
        QueryResult::Members(view) => view,
        other => panic!("{other:?}"),
    }
}

/// The members as a relay sees them, by their place among `relays`.
fn members(net: &mut Network, at: usize, relays: &[usize]) -> Vec<usize> {
    let view = view(net, at);
    let is = |relay: &usize| {
        let id = net.peer_id(*relay).expect("a key");
        view.members.iter().any(|member| member.relay == id)
    };
    let members: Vec<usize> = (0..relays.len()).filter(|n| is(&relays[*n])).collect();
    assert_eq!(members.len(), view.members.len(), "no others");
    members
}

fn listed(net: &mut Network, at: usize) -> Vec<(PeerId, RelayState)> {
    match net.query(at, Query::Network) {
        QueryResult::Network(view) => {
            let relays = view.relays.iter();
            relays
                .map(|relay| (relay.description.relay, relay.state))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

fn expel(net: &mut Network, at: usize, relay: usize) {
    let relay = net.peer_id(relay).expect("a key");
    let request = Request::Command(Command::ExpelRelay { relay });
    let id = RequestId(9_000_000 + net.now_us);
    net.input(at, Input::Request { id, request });
}

#[test]
fn invited_relays_are_members_at_all_and_so_after_a_restart() {
    let mut net = Network::new(seed());
    let relays = chain(&mut net);
    for at in relays {
        assert_eq!(members(&mut net, at, &relays), [0, 1, 2], "seed {}", net.seed);
        assert_eq!(listed(&mut net, at).len(), 3, "seed {}", net.seed);
        assert!(view(&mut net, at).invited);
    }
    let ids = relays.map(|at| net.peer_id(at).expect("a key"));
    for at in relays {
        net.crash(at);
    }
    // Nobody tells the second relay whom to dial: it knows the members, and where they are.
    net.start(relays[1]);
    net.run_for_ms(2_000);
    let known = view(&mut net, relays[1]).members;
    let is_known = |id: &PeerId| known.iter().any(|member| member.relay == *id);
    assert!(ids.iter().all(is_known), "seed {}", net.seed);
    let listed = listed(&mut net, relays[1]);
    let dead = listed
        .iter()
        .filter(|(_, state)| *state == RelayState::Dead)
        .count();
    assert_eq!(dead, 2, "known and silent: {listed:?}, seed {}", net.seed);
    net.start(relays[2]);
    net.start(relays[0]);
    net.run_for_ms(30_000);
    for at in relays {
        let others = relays.iter().filter(|other| **other != at);
        let linked = net.linked(at);
        assert!(
            others.clone().all(|other| linked.contains(other)),
            "{at}: {linked:?}, seed {}",
            net.seed
        );
    }
}

#[test]
fn a_relay_without_an_invitation_is_a_guest_until_it_is_invited() {
    let mut net = Network::new(seed());
    let relays = [1, 2].map(|n| relay(&mut net, n));
    named(&mut net, relays[1], relays[0]);
    net.run_for_ms(20_000);
    assert_eq!(members(&mut net, relays[0], &relays), [0], "seed {}", net.seed);
    assert_eq!(listed(&mut net, relays[0]).len(), 1, "seed {}", net.seed);
    let asks = net.peer_id(relays[1]).unwrap();
    assert_eq!(view(&mut net, relays[0]).asking, [asks], "seed {}", net.seed);
    assert!(
        !view(&mut net, relays[1]).invited,
        "it knows that it is no member"
    );

    let request = Request::Command(Command::InviteRelay { relay: asks });
    net.input(
        relays[0],
        Input::Request {
            id: RequestId(77),
            request,
        },
    );
    net.run_for_ms(20_000);
    for at in relays {
        assert_eq!(members(&mut net, at, &relays), [0, 1], "seed {}", net.seed);
        assert_eq!(listed(&mut net, at).len(), 2, "seed {}", net.seed);
    }
    assert!(view(&mut net, relays[1]).invited);
    assert_eq!(view(&mut net, relays[0]).asking, []);
}

#[test]
fn a_secret_makes_one_relay_a_member_and_a_wrong_one_none() {
    let mut net = Network::new(seed());
    let relays = [1, 2, 3].map(|n| relay(&mut net, n));
    net.invitations.insert((relays[0], [5; 16]));
    join(&mut net, relays[1], relays[0], [5; 16]);
    net.run_for_ms(20_000);
    join(&mut net, relays[2], relays[0], [5; 16]);
    net.run_for_ms(20_000);
    assert_eq!(members(&mut net, relays[0], &relays), [0, 1], "seed {}", net.seed);
    let first = net.peer_id(relays[0]).unwrap();
    assert_eq!(view(&mut net, relays[2]).refused, [first], "seed {}", net.seed);
    let refused = |line: &Log| matches!(line, Log::Joined { accepted: false, .. });
    assert!(net.peers[relays[2]].log.iter().any(refused));
}

/// The case that began this: strangers describe relays that do not exist, at addresses of their choice.
#[test]
fn relays_that_a_stranger_invents_are_listed_nowhere() {
    let mut net = Network::new(seed());
    let relays = chain(&mut net);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(5_000);
    let strangers: Vec<usize> = (60..70)
        .map(|n| net.add(open_relay(KeyPair::from_seed(&[n; 32]))))
        .collect();
    for (n, stranger) in strangers.iter().enumerate() {
        describe(&mut net, *stranger, 100 + n);
        // All of them tell the first one of themselves, and it tells our relays.
        know(&mut net, *stranger, if n == 0 { relays[0] } else { strangers[0] });
    }
    net.run_for_ms(20_000);
    let stranger = strangers[0];
    assert!(listed(&mut net, stranger).len() >= 10, "they believe each other");
    for at in relays.into_iter().chain([ada]) {
        let listed = listed(&mut net, at);
        assert_eq!(listed.len(), 3, "{listed:?} at {at}, seed {}", net.seed);
    }
    // It is no member all the same: it may carry what people write.
    assert!(net.linked(stranger).contains(&relays[0]), "seed {}", net.seed);
    for (from, to) in &net.dialled {
        let is_stranger = strangers
            .iter()
            .any(|stranger| net.peer_id(*stranger) == Some(*to));
        let is_ours = relays.contains(from) || *from == ada;
        assert!(
            !is_ours || !is_stranger,
            "{from} dialled what a stranger named, seed {}",
            net.seed
        );
    }
}

#[test]
fn an_expelled_relay_is_a_guest_everywhere_and_others_take_its_share_over() {
    let mut net = Network::new(seed());
    let relays = chain(&mut net);
    expel(&mut net, relays[0], relays[1]);
    net.run_for_ms(20_000);
    assert_eq!(
        members(&mut net, relays[0], &relays),
        [0],
        "3 was invited by 2 alone, seed {}",
        net.seed
    );
    let by = net.peer_id(relays[0]).unwrap();
    let expelled = view(&mut net, relays[1]).expelled_by;
    assert_eq!(expelled, Some(by), "it knows, seed {}", net.seed);
    assert_eq!(
        view(&mut net, relays[0]).asking,
        [],
        "it is not adopted by mistake"
    );

    // The third is invited again by the first, and is under it from then on.
    invite(&mut net, relays[0], relays[2]);
    net.run_for_ms(60_000);
    for at in [relays[0], relays[2]] {
        assert_eq!(
            members(&mut net, at, &relays),
            [0, 2],
            "at {at}, seed {}",
            net.seed
        );
        assert_eq!(listed(&mut net, at).len(), 2, "seed {}", net.seed);
    }
}

/// Ada's home relay, three relays that it invited, and Ada, whose post four of them or three keep.
fn with_post() -> (Network, Vec<usize>, usize, protocol::EntryRef) {
    let mut net = Network::new(seed());
    let relays: Vec<usize> = (1..=4).map(|n| relay(&mut net, n)).collect();
    for other in &relays[1..] {
        invite(&mut net, relays[0], *other);
        net.run_for_ms(10_000);
    }
    net.run_for_ms(40_000);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(20_000);
    let post = net.post(ada, "kept by whom?").entry;
    net.run_for_ms(30_000);
    (net, relays, ada, post)
}

/// The relays that a device counts as holders of a post.
fn counted(net: &mut Network, ada: usize, post: protocol::EntryRef) -> Vec<PeerId> {
    let holders = holders(net, ada, post).into_iter();
    let kept = holders.filter(|holder| holder.relay && holder.withdrawn.is_none());
    kept.map(|holder| holder.peer).collect()
}

#[test]
fn receipts_of_an_expelled_relay_count_on_no_device_and_another_takes_its_place() {
    let (mut net, relays, ada, post) = with_post();
    let before = counted(&mut net, ada, post);
    assert!(before.len() >= 3, "{before:?}, seed {}", net.seed);
    let holds = |at: &&usize| before.contains(&net.peer_id(**at).expect("a key"));
    let victim = *relays[1..].iter().find(holds).expect("a replica");
    let id = net.peer_id(victim).expect("a key");
    net.peers[ada].events.clear();
    expel(&mut net, relays[0], victim);
    net.run_for_ms(1_000);
    assert!(!counted(&mut net, ada, post).contains(&id), "seed {}", net.seed);
    let events = &net.peers[ada].events;
    let said = |event: &Event| matches!(event, Event::NotKept { relay, reason: Reason::NO_MEMBER, .. } if *relay == id);
    let mark = |event: &Event| matches!(event, Event::Durability { post: of, durability } if *of == post && (durability.relays as usize) < before.len());
    assert!(events.iter().any(said), "seed {}", net.seed);
    assert!(events.iter().any(mark), "the mark goes down, seed {}", net.seed);

    net.run_for_ms(120_000);
    let after = counted(&mut net, ada, post);
    assert_eq!(after.len(), 3, "{after:?}, seed {}", net.seed);
    assert!(!after.contains(&id));
    assert!(!net.linked(ada).contains(&victim), "seed {}", net.seed);
    // Without any network it is the same after a restart.
    for at in relays.iter().copied().chain([ada]) {
        net.crash(at);
    }
    net.start(ada);
    net.run_for_ms(5_000);
    assert_eq!(counted(&mut net, ada, post), after, "seed {}", net.seed);
}

#[test]
fn the_old_key_of_a_relay_that_lost_its_data_counts_for_nothing() {
    let (mut net, relays, ada, post) = with_post();
    let before = counted(&mut net, ada, post);
    let holds = |at: &&usize| before.contains(&net.peer_id(**at).expect("a key"));
    let lost = *relays[1..].iter().find(holds).expect("a replica");
    let old = net.peer_id(lost).expect("a key");
    net.crash(lost);
    net.run_for_ms(50_000);
    let dead = counted(&mut net, ada, post);
    assert!(dead.contains(&old), "it may come back, seed {}", net.seed);
    // Another key answers at its address.
    let n = relays.iter().position(|at| *at == lost).expect("one of them") + 1;
    let again = net.add(Config {
        joins: true,
        repair_grace: Duration::from_secs(20),
        ..Config::relay(KeyPair::from_seed(&[77; 32]))
    });
    describe(&mut net, again, n);
    invite(&mut net, relays[0], again);
    net.run_for_ms(30_000);
    let after = counted(&mut net, ada, post);
    assert!(!after.contains(&old), "{after:?}, seed {}", net.seed);
}

#[test]
fn a_member_that_leaves_in_order_has_left_and_is_not_dead() {
    let mut net = Network::new(seed());
    let relays = chain(&mut net);
    let leaving = net.peer_id(relays[2]).unwrap();
    net.input(relays[2], Input::HandOver { for_good: true });
    net.run_for_ms(20_000);
    net.input(relays[2], Input::HandOver { for_good: false });
    net.run_for_ms(1_000);
    net.crash(relays[2]);
    net.run_for_ms(60_000);
    for at in &relays[..2] {
        let state = listed(&mut net, *at)
            .into_iter()
            .find(|(peer, _)| *peer == leaving);
        assert_eq!(
            state.map(|(_, state)| state),
            Some(RelayState::Left),
            "seed {}",
            net.seed
        );
    }
    // It is still a member, and is one again when it comes back.
    net.start(relays[2]);
    describe(&mut net, relays[2], 3);
    net.run_for_ms(30_000);
    let state = listed(&mut net, relays[0])
        .into_iter()
        .find(|(peer, _)| *peer == leaving);
    assert_eq!(
        state.map(|(_, state)| state),
        Some(RelayState::Alive),
        "seed {}",
        net.seed
    );
}

/// Its clock was days ahead, was set right, and the relay started again.
#[test]
fn a_relay_whose_clock_was_ahead_is_alive_again_at_once() {
    let mut net = Network::new(seed());
    let relays = chain(&mut net);
    let ahead = net.peer_id(relays[2]).unwrap();
    net.peers[relays[2]].clock_ahead_ms = 3 * 24 * 3_600_000;
    net.run_for_ms(20_000);
    net.crash(relays[2]);
    net.peers[relays[2]].clock_ahead_ms = 0;
    net.start(relays[2]);
    describe(&mut net, relays[2], 3);
    net.run_for_ms(30_000);
    let state = listed(&mut net, relays[0])
        .into_iter()
        .find(|(peer, _)| *peer == ahead);
    assert_eq!(
        state.map(|(_, state)| state),
        Some(RelayState::Alive),
        "seed {}",
        net.seed
    );
}
