//! The directory of relays: all know all, and everybody judges alone.

use protocol::PeerId;
use protocol::messages::directory::{Description, role};
use starling_engine::api::{Query, QueryResult, RelayState, RelayView};
use starling_engine::{Candidate, Input, Log};

use crate::network::{Network, seed};
use crate::placement::know;

pub(crate) fn description(zone: &str, n: usize) -> Description {
    Description {
        url: format!("http://relay-{n}.example"),
        roles: role::WORKER,
        zone: zone.into(),
        capacity: 100,
        ..Description::default()
    }
}

/// Relays of which each knows the one before it.
fn line(net: &mut Network, n: usize) -> Vec<usize> {
    let relays: Vec<usize> = (0..n).map(|_| net.add_relay()).collect();
    for (n, relay) in relays.iter().enumerate() {
        net.input(*relay, Input::Describe(Box::new(description("cellar", n))));
    }
    for pair in relays.windows(2) {
        let peer = net.peer_id(pair[0]).expect("a relay has a key");
        net.input(pair[1], Input::Candidates(vec![Candidate { peer, relay: true }]));
    }
    net.run_for_ms(20_000);
    relays
}

fn directory(net: &mut Network, peer: usize) -> Vec<RelayView> {
    match net.query(peer, Query::Network) {
        QueryResult::Network(view) => view.relays,
        other => panic!("{other:?}"),
    }
}

/// How a peer sees others, by their order.
fn states(net: &mut Network, at: usize, of: &[usize]) -> Vec<Option<RelayState>> {
    let views = directory(net, at);
    let ids: Vec<PeerId> = of.iter().map(|peer| net.peer_id(*peer).expect("a key")).collect();
    ids.iter()
        .map(|id| {
            views
                .iter()
                .find(|view| view.description.relay == *id)
                .map(|view| view.state)
        })
        .collect()
}

#[test]
fn relays_in_a_line_know_and_link_with_each_other_and_browsers_know_them_too() {
    let mut net = Network::new(seed());
    let relays = line(&mut net, 5);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[4]);
    net.run_for_ms(10_000);
    for peer in relays.iter().copied().chain([ada]) {
        let views = directory(&mut net, peer);
        assert_eq!(views.len(), 5, "seed {}", net.seed);
        assert!(views.iter().all(|view| view.state == RelayState::Alive));
        assert_eq!(
            views.iter().filter(|view| view.this).count(),
            usize::from(peer != ada)
        );
    }
    for relay in &relays {
        let others = relays.iter().filter(|other| *other != relay);
        let linked = net.linked(*relay);
        assert!(
            others.clone().all(|other| linked.contains(other)),
            "everybody with everybody"
        );
    }
}

#[test]
fn a_relay_that_dies_is_suspect_then_dead_and_alive_again_when_it_returns() {
    let mut net = Network::new(seed());
    let relays = line(&mut net, 5);
    let (gone, others) = relays.split_first().expect("five");
    net.crash(*gone);
    net.run_for_ms(14_500);
    for other in others {
        let views = directory(&mut net, *other);
        let suspects: Vec<_> = views
            .iter()
            .filter(|view| view.state == RelayState::Suspect)
            .collect();
        assert_eq!(suspects.len(), 1, "seed {}", net.seed);
    }
    net.run_for_ms(20_000);
    for other in others {
        let views = directory(&mut net, *other);
        assert_eq!(
            views.iter().filter(|view| view.state == RelayState::Dead).count(),
            1
        );
        let changes: Vec<&str> = net.peers[*other]
            .log
            .iter()
            .filter_map(|log| match log {
                Log::Relay { to, .. } if *to != "alive" => Some(*to),
                _ => None,
            })
            .collect();
        assert_eq!(changes, ["suspect", "dead"], "each step is logged once");
    }
    net.start(*gone);
    net.input(*gone, Input::Describe(Box::new(description("cellar", 0))));
    net.run_for_ms(60_000);
    for other in others {
        assert_eq!(states(&mut net, *other, &relays), [Some(RelayState::Alive); 5]);
    }
}

#[test]
fn a_relay_that_is_cut_off_suspects_a_partition() {
    let mut net = Network::new(seed());
    let relays = line(&mut net, 7);
    let mut groups = vec![0; 7];
    groups[3] = 1;
    net.partition(&groups);
    net.run_for_ms(20_000);
    let suspicions = |net: &Network, peer: usize| {
        net.peers[peer]
            .log
            .iter()
            .filter(|log| matches!(log, Log::PartitionSuspected { on: true }))
            .count()
    };
    assert_eq!(
        suspicions(&net, relays[3]),
        1,
        "all others are silent: it is the one that is cut off"
    );
    for other in relays.iter().filter(|relay| **relay != relays[3]) {
        assert_eq!(suspicions(&net, *other), 0, "one of seven may fall silent");
    }
    net.heal();
    net.run_for_ms(90_000);
    for relay in &relays {
        assert_eq!(
            states(&mut net, *relay, &relays),
            [Some(RelayState::Alive); 7],
            "seed {}",
            net.seed
        );
    }
}

#[test]
fn a_browser_without_a_relay_judges_by_the_pace_at_which_it_hears() {
    let mut net = Network::new(seed());
    let relays = line(&mut net, 1);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.block(bob, relays[0]);
    know(&mut net, ada, relays[0]);
    net.connect(bob, ada);
    // The app came from it once.
    know(&mut net, bob, relays[0]);
    net.run_for_ms(200_000);
    assert_eq!(states(&mut net, bob, &relays), [Some(RelayState::Alive)]);
    let suspected = net.peers[bob]
        .log
        .iter()
        .filter(|log| matches!(log, Log::Relay { to: "suspect", .. }));
    assert_eq!(
        suspected.count(),
        0,
        "half a minute between heartbeats is what it hears"
    );
    // The relay dies: that is noticed too, later.
    net.crash(relays[0]);
    net.run_for_ms(120_000);
    let views = directory(&mut net, bob);
    assert_eq!(views[0].state, RelayState::Suspect, "seed {}", net.seed);
}
