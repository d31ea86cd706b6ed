//! What relays report of the replicas of an account's feeds, and which of them keep any.

use std::time::Duration;

use protocol::messages::directory::{Description, role};
use protocol::{AccountId, KeyPair, PeerId};
use starling_engine::api::{
    Command, CommandResult, Event, HolderView, Query, QueryResult, RelayState, RepairView, ReplicaView,
    Response,
};
use starling_engine::{Config, Input, Log};

use crate::directory::description;
use crate::network::{Network, open_relay, seed};
use crate::placement::{know, relays};
use starling_engine::io::Admission;

fn replicas(net: &mut Network, at: usize, account: AccountId) -> Vec<ReplicaView> {
    match net.query(at, Query::Replicas { account }) {
        QueryResult::Replicas(view) => view.replicas,
        other => panic!("{other:?}"),
    }
}

/// Bytes a peer has sent.
fn sent(net: &mut Network, at: usize) -> u64 {
    match net.query(at, Query::Network) {
        QueryResult::Network(view) => view.bytes_out,
        other => panic!("{other:?}"),
    }
}

fn served_by(net: &mut Network, at: usize, account: AccountId) -> Vec<PeerId> {
    match net.query(at, Query::Replicas { account }) {
        QueryResult::Replicas(view) => view.served_by,
        other => panic!("{other:?}"),
    }
}

fn by_id(net: &Network, relays: &[usize], id: PeerId) -> usize {
    let mut relays = relays.iter().copied();
    let relay = relays.find(|relay| net.peer_id(*relay) == Some(id));
    relay.expect("one of them")
}

fn repair(net: &Network, relay: usize) -> RepairView {
    let mut told = net.peers[relay].events.iter().rev();
    let view = told.find_map(|event| match event {
        Event::Repair(view) => Some(view.clone()),
        _ => None,
    });
    view.expect("told of its share")
}

/// How many relays could keep a copy, each time it was said that they are too few or enough.
fn copies_told(net: &Network, relay: usize) -> Vec<usize> {
    let log = net.peers[relay].log.iter();
    let told = log.filter_map(|log| match log {
        Log::Copies { wanted: 3, living } => Some(*living),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_relay_knows_how_soon_and_how_far_others_have_what_is_written_at_it() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 5);
    let ada = net.person("Ada");
    let account = net.account(ada);
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    net.post(ada, "how soon?");
    net.run_for_ms(10_000);
    let linked = net.linked(ada);
    let asked: Vec<usize> = relays.iter().copied().filter(|at| linked.contains(at)).collect();
    let kept_by = replicas(&mut net, relays[0], account);
    assert_eq!(kept_by.len(), 3);
    for replica in kept_by {
        // Its receipt goes back the way the entry came: to one of the relays Ada is linked with.
        let copies: Vec<ReplicaView> = asked
            .iter()
            .flat_map(|at| replicas(&mut net, *at, account))
            .filter(|replica| replica.relay == replica.relay)
            .collect();
        let delay = copies.iter().filter_map(|replica| replica.delay_ms).max();
        assert!(
            delay.is_some_and(|ms| ms < 1_000),
            "{copies:?}, seed {}",
            net.seed
        );
        let this = asked.iter().any(|at| net.peer_id(*at) == Some(replica.relay));
        assert!(this || delay > Some(5), "two ways and a disk: {copies:?}");
        assert!(
            copies.iter().any(|replica| replica.lag == Some(0)),
            "{copies:?}, seed {}",
            net.seed
        );
    }
}

#[test]
fn a_copy_that_falls_behind_says_so_and_repair_is_no_delay() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 3);
    let ada = net.person("Ada");
    let account = net.account(ada);
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    net.post(ada, "all have this");
    net.run_for_ms(40_000);
    // One is cut off from the others and from Ada, though not for so long that anybody gives it up.
    let mut groups = vec![0; net.peers.len()];
    groups[relays[2]] = 1;
    net.partition(&groups);
    net.post(ada, "two have this");
    net.run_for_ms(20_000);
    net.heal();
    let behind = net.peer_id(relays[2]).expect("a key");
    let lag_of = |view: &[ReplicaView]| view.iter().find(|replica| replica.relay == behind)?.lag;
    let mut lags = Vec::new();
    let mut checked = false;
    for _ in 0..6_000 {
        net.run_for_ms(10);
        for at in &relays[..2] {
            let before = sent(&mut net, *at);
            let lag = lag_of(&replicas(&mut net, *at, account));
            assert_eq!(
                sent(&mut net, *at),
                before,
                "a query sends nothing, seed {}",
                net.seed
            );
            let answer = net.command(*at, Command::CheckReplicas { account });
            assert_eq!(answer, Response::Done(CommandResult::Ok), "seed {}", net.seed);
            checked |= lag > Some(0) && sent(&mut net, *at) > before;
            let view = replicas(&mut net, *at, account);
            let view = view.iter().find(|replica| replica.relay == behind);
            let view = view.expect("it keeps everything");
            lags.extend(view.lag);
            assert!(
                view.delay_ms.is_none_or(|ms| ms < 5_000),
                "{view:?}, seed {}",
                net.seed
            );
        }
    }
    lags.dedup();
    assert!(checked, "nobody was asked, seed {}", net.seed);
    assert!(
        lags.contains(&1) && lags.last() == Some(&0),
        "{lags:?}, seed {}",
        net.seed
    );
}

#[test]
fn the_first_that_lives_is_the_primary() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 6);
    let ada = net.person("Ada");
    let account = net.account(ada);
    let before = replicas(&mut net, relays[0], account);
    let first = by_id(&net, &relays, before[0].relay);
    let asked = relays.iter().copied().find(|relay| *relay != first);
    let asked = asked.expect("another");
    net.crash(first);
    // Two heartbeats and a half.
    net.run_for_ms(13_000);
    let after = replicas(&mut net, asked, account);
    let ids = |views: &[ReplicaView]| views.iter().map(|view| view.relay).collect::<Vec<_>>();
    let states = after.iter().map(|replica| replica.state).collect::<Vec<_>>();
    assert_eq!(
        states,
        [RelayState::Alive, RelayState::Alive, RelayState::Suspect],
        "seed {}",
        net.seed
    );
    let mut moved = ids(&before);
    moved.rotate_left(1);
    assert_eq!(ids(&after), moved, "the others keep their order");
}

#[test]
fn fewer_copies_than_wanted_are_said_once_and_so_is_the_end_of_it() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 3);
    net.run_for_ms(5_000);
    assert_eq!(copies_told(&net, relays[0]), [0; 0], "seed {}", net.seed);
    net.crash(relays[2]);
    net.run_for_ms(100_000);
    let view = repair(&net, relays[0]);
    assert_eq!((view.wanted, view.living), (3, 2), "seed {}", net.seed);
    assert_eq!(copies_told(&net, relays[0]), [2]);
    net.start(relays[2]);
    crate::placement::describe(&mut net, relays[2], 2);
    net.run_for_ms(60_000);
    let view = repair(&net, relays[0]);
    assert_eq!((view.wanted, view.living), (3, 3), "seed {}", net.seed);
    assert_eq!(copies_told(&net, relays[0]), [2, 3]);
}

#[test]
fn a_relay_that_suspects_a_partition_neither_takes_nor_gives_a_share() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 7);
    let members = |net: &Network| {
        let log = net.peers[relays[0]].log.iter();
        let mut told = log.filter_map(|log| match log {
            Log::Placement { relays, .. } => Some(*relays),
            _ => None,
        });
        told.next_back()
    };
    net.crash(relays[6]);
    // Dead after thirty seconds, then the grace; long ago after a minute.
    net.run_for_ms(70_000);
    assert_eq!(members(&net), Some(6), "seed {}", net.seed);
    for relay in &relays[3..6] {
        net.crash(*relay);
    }
    net.run_for_ms(60_000);
    let log = &net.peers[relays[0]].log;
    assert!(
        log.iter()
            .any(|log| matches!(log, Log::PartitionSuspected { on: true })),
        "seed {}",
        net.seed
    );
    assert_eq!(
        members(&net),
        Some(6),
        "the long dead stay dead, seed {}",
        net.seed
    );
    assert!(repair(&net, relays[0]).suspects_partition);
}

/// Three relays that keep feeds, and one that says it does not.
fn with_a_lobby(net: &mut Network, signs: bool) -> (Vec<usize>, usize) {
    let workers = relays(net, 3);
    let lobby = net.add(Config {
        worker: signs,
        joins: true,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    });
    let described = Description {
        roles: role::WEB | role::INDEX,
        ..description("lobby", 9)
    };
    net.input(lobby, Input::Describe(Box::new(described)));
    know(net, lobby, workers[0]);
    net.run_for_ms(10_000);
    (workers, lobby)
}

/// Who holds a person's post, relays and others.
fn holders(net: &mut Network, person: usize, text: &str) -> (Vec<PeerId>, Vec<PeerId>) {
    let post = net.post(person, text);
    net.run_for_ms(15_000);
    let held = match net.query(person, Query::Holders { post: post.entry }) {
        QueryResult::Holders(holders) => holders,
        other => panic!("{other:?}"),
    };
    let (relays, others): (Vec<HolderView>, Vec<HolderView>) = held.into_iter().partition(|held| held.relay);
    let peers = |views: Vec<HolderView>| views.into_iter().map(|view| view.peer).collect();
    (peers(relays), peers(others))
}

#[test]
fn a_relay_that_is_no_worker_holds_what_people_there_want_and_signs_for_nothing() {
    let mut net = Network::new(seed());
    let (workers, lobby) = with_a_lobby(&mut net, false);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    know(&mut net, ada, lobby);
    know(&mut net, bob, workers[1]);
    net.run_for_ms(20_000);
    net.post(bob, "far from the lobby");
    let (signed, told) = holders(&mut net, ada, "in the lobby");
    let lobby_id = net.peer_id(lobby).expect("a key");
    assert_eq!(signed.len(), 3, "the workers; seed {}", net.seed);
    assert!(!signed.contains(&lobby_id) && told.contains(&lobby_id));
    let held = |net: &mut Network, at, account| match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile.entries,
        other => panic!("{other:?}"),
    };
    let (ada_is, bob_is) = (net.account(ada), net.account(bob));
    assert_eq!(held(&mut net, lobby, ada_is), 3);
    assert_eq!(held(&mut net, lobby, bob_is), 0, "nobody there asked for Bob");
    assert!(
        replicas(&mut net, workers[0], bob_is)
            .iter()
            .all(|replica| replica.relay != lobby_id)
    );
    net.follow_account(ada, bob_is);
    net.run_for_ms(30_000);
    assert_eq!(held(&mut net, lobby, bob_is), 3, "seed {}", net.seed);
    assert!(repair(&net, lobby).caught_up);
}

#[test]
fn who_keeps_names_knows_who_serves_whom_and_forgets_it_with_the_link() {
    let mut net = Network::new(seed());
    let (workers, lobby) = with_a_lobby(&mut net, false);
    let index = net.add(open_relay(KeyPair::from_seed(&[8; 32])));
    let described = Description {
        roles: role::WORKER | role::INDEX,
        ..description("archive", 8)
    };
    net.input(index, Input::Describe(Box::new(described)));
    know(&mut net, index, workers[0]);
    net.run_for_ms(20_000);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    know(&mut net, ada, lobby);
    know(&mut net, bob, workers[1]);
    net.run_for_ms(30_000);
    let (ada_is, bob_is) = (net.account(ada), net.account(bob));
    let lobby_id = net.peer_id(lobby).expect("a key");
    assert_eq!(
        served_by(&mut net, index, ada_is),
        [lobby_id],
        "seed {}",
        net.seed
    );
    assert_eq!(served_by(&mut net, lobby, ada_is), [lobby_id]);
    assert_eq!(served_by(&mut net, index, bob_is), [], "workers serve no app");
    assert_eq!(
        served_by(&mut net, workers[1], ada_is),
        [],
        "told to whom it concerns"
    );
    net.crash(ada);
    net.run_for_ms(10_000);
    assert_eq!(served_by(&mut net, index, ada_is), [], "seed {}", net.seed);
    net.start(ada);
    net.run_for_ms(1_000);
    if !net.linked(ada).contains(&lobby) {
        net.connect(ada, lobby);
    }
    net.run_for_ms(30_000);
    assert_eq!(
        served_by(&mut net, index, ada_is),
        [lobby_id],
        "seed {}",
        net.seed
    );
    net.crash(lobby);
    net.run_for_ms(2_000);
    assert_eq!(served_by(&mut net, index, ada_is), [], "seed {}", net.seed);
}

#[test]
fn a_receipt_of_a_relay_that_says_it_keeps_nothing_is_no_receipt() {
    let mut net = Network::new(seed());
    let (_, lobby) = with_a_lobby(&mut net, true);
    let ada = net.person("Ada");
    know(&mut net, ada, lobby);
    net.run_for_ms(20_000);
    let (signed, told) = holders(&mut net, ada, "signed by whom?");
    let lobby_id = net.peer_id(lobby).expect("a key");
    assert!(
        !signed.contains(&lobby_id) && told.contains(&lobby_id),
        "{signed:?} {told:?}, seed {}",
        net.seed
    );
    assert_eq!(signed.len(), 3, "seed {}", net.seed);
}

#[test]
fn who_calls_itself_a_relay_takes_nothing_over() {
    let mut net = Network::new(seed());
    let keys: Vec<KeyPair> = (1..=3).map(|n| KeyPair::from_seed(&[n; 32])).collect();
    let id = |n: usize| PeerId(keys[n].public());
    let relay = |n: usize, feeds_max| Config {
        admission: Admission::Listed(vec![id(0), id(1)]),
        repair_grace: Duration::from_secs(20),
        feeds_max,
        joins: n > 0,
        ..open_relay(keys[n].clone())
    };
    // Of the two of the network one has no room; the stranger has.
    let ours = net.add(relay(0, 1_000));
    let full = net.add(relay(1, 0));
    let stranger = net.add(relay(2, 1_000));
    for (n, relay) in [ours, full, stranger].into_iter().enumerate() {
        crate::placement::describe(&mut net, relay, n);
    }
    know(&mut net, full, ours);
    know(&mut net, stranger, ours);
    net.run_for_ms(20_000);
    let ada = net.person("Ada");
    let account = net.account(ada);
    know(&mut net, ada, ours);
    net.run_for_ms(60_000);
    assert_eq!(
        net.query(stranger, Query::Profile { account }),
        net.query(ours, Query::Profile { account }),
        "the stranger has all of it, seed {}",
        net.seed
    );
    net.input(ours, Input::HandOver { for_good: false });
    net.run_for_ms(20_000);
    let left = repair(&net, ours).to_hand_over;
    assert!(left.is_some_and(|left| left > 0), "{left:?}, seed {}", net.seed);
}
