//! Browsers turn to other relays of the network when their own dies, also after they were closed meanwhile.

use starling_engine::api::{Query, QueryResult, Timeline};
use starling_engine::io::{Input, RelayMetrics, Routing, Terms};
use starling_engine::store::Table;

use crate::network::{Network, seed};
use crate::placement::{know, relays};

/// The relays a person is linked with.
fn relays_of(net: &mut Network, person: usize, relays: &[usize]) -> Vec<usize> {
    let linked = net.linked(person);
    relays
        .iter()
        .copied()
        .filter(|relay| linked.contains(relay))
        .collect()
}

/// Posts that no relay has signed for.
fn not_durable(net: &mut Network, person: usize) -> u32 {
    match net.query(person, Query::Status) {
        QueryResult::Status(status) => status.not_durable,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_browser_moves_on_when_its_relay_dies_and_loses_nothing() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 5);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    assert!(relays_of(&mut net, ada, &relays).len() >= 2, "seed {}", net.seed);
    let mut dead = Vec::new();
    // Whomever it turns to dies next, until two are left.
    for n in 0..3 {
        let linked = relays_of(&mut net, ada, &relays);
        let victim = if n == 0 { relays[0] } else { linked[0] };
        net.crash(victim);
        dead.push(victim);
        net.post(ada, &format!("after {} deaths", dead.len()));
        net.run_for_ms(60_000);
        let linked = relays_of(&mut net, ada, &relays);
        assert!(!linked.is_empty(), "{n}, seed {}", net.seed);
        assert_eq!(not_durable(&mut net, ada), 0, "{n}, seed {}", net.seed);
    }
    assert_eq!(net.texts(ada, Timeline::Home).len(), 3);
}

#[test]
fn a_browser_opened_when_its_relay_is_dead_remembers_others() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 4);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    net.crash(ada);
    net.crash(relays[0]);
    net.start(ada);
    net.run_for_ms(30_000);
    assert!(
        !relays_of(&mut net, ada, &relays[1..]).is_empty(),
        "seed {}",
        net.seed
    );
    net.post(ada, "elsewhere");
    net.run_for_ms(10_000);
    assert_eq!(not_durable(&mut net, ada), 0);
}

#[test]
fn what_strangers_say_of_relays_makes_nobody_link_with_them() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 4);
    let ada = net.person("Ada");
    // Linked with a relay nobody told her of: its directory is hearsay.
    net.connect(ada, relays[1]);
    net.run_for_ms(30_000);
    let view = match net.query(ada, Query::Network) {
        QueryResult::Network(view) => view,
        other => panic!("{other:?}"),
    };
    assert_eq!(view.relays, [], "seed {}", net.seed);
    assert_eq!(
        relays_of(&mut net, ada, &relays),
        [relays[1]],
        "seed {}",
        net.seed
    );
    net.post(ada, "who signs for this?");
    // Long enough for several rounds of everything that looks for links.
    net.run_for_ms(300_000);
    assert_eq!(
        relays_of(&mut net, ada, &relays),
        [relays[1]],
        "seed {}",
        net.seed
    );
    assert!(
        not_durable(&mut net, ada) > 0,
        "a stranger's receipt is a peer's word"
    );
}

#[test]
fn a_relay_that_is_told_of_as_an_ordinary_peer_is_not_linked_with() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 8);
    let bob = net.person("Bob");
    know(&mut net, bob, relays[0]);
    net.run_for_ms(30_000);
    // Each is linked with a relay that nobody told her of, and speaks of it as of any neighbour.
    for relay in &relays[1..] {
        let eve = net.person("Eve");
        net.connect(eve, *relay);
        net.connect(eve, bob);
    }
    net.run_for_ms(300_000);
    let known = net.peers[bob].disk.rows(Table::Relays);
    for relay in relays_of(&mut net, bob, &relays) {
        let peer = net.peer_id(relay).unwrap();
        assert!(
            known.contains_key(peer.0.as_slice()),
            "relay {relay} is none of Bob's, seed {}",
            net.seed
        );
    }
    assert!(known.len() < 8, "he did not choose them all");
}

#[test]
fn a_relay_that_only_strangers_speak_of_counts_for_nothing() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 3);
    let cellar = net.add_relay();
    let described = Box::new(crate::directory::description("cellar", 9));
    net.input(cellar, Input::Describe(described));
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    let eve = net.person("Eve");
    know(&mut net, eve, cellar);
    net.connect(ada, eve);
    net.run_for_ms(120_000);
    let listed = |net: &mut Network, node| match net.query(node, Query::Network) {
        QueryResult::Network(view) => view.relays.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(listed(&mut net, ada), 3, "Eve spoke of it, seed {}", net.seed);
    assert_eq!(listed(&mut net, relays[0]), 3, "seed {}", net.seed);
    for relay in &relays {
        net.crash(*relay);
    }
    net.run_for_ms(60_000);
    net.connect(ada, cellar);
    net.run_for_ms(30_000);
    net.post(ada, "who signs for this?");
    net.run_for_ms(30_000);
    assert!(net.linked(ada).contains(&cellar), "seed {}", net.seed);
    assert_eq!(not_durable(&mut net, ada), 1, "seed {}", net.seed);
}

/// What the replication delay costs each relay, in tenths.
fn delay_parts(net: &mut Network, person: usize) -> Vec<u32> {
    match net.query(person, Query::Network) {
        QueryResult::Network(view) => view.scores.iter().map(|score| score.parts[0]).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn opening_the_app_again_later_says_nothing_of_the_relays() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 4);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    net.post(ada, "and off");
    net.run_for_ms(10_000);
    let measured = delay_parts(&mut net, ada);
    assert!(
        measured.iter().any(|part| (1..1_400).contains(part)),
        "measured: {measured:?}, seed {}",
        net.seed
    );
    // What is written offline waits for links, not for relays.
    let mut groups = vec![0; net.peers.len()];
    groups[ada] = 1;
    net.partition(&groups);
    net.post(ada, "written in a tunnel");
    net.run_for_ms(20_000);
    net.heal();
    net.run_for_ms(60_000);
    assert_eq!(not_durable(&mut net, ada), 0, "seed {}", net.seed);
    let later = delay_parts(&mut net, ada);
    assert!(
        later.iter().all(|part| *part <= 5_000),
        "half a second at most: {later:?}, seed {}",
        net.seed
    );
    net.crash(ada);
    net.run_for_ms(600_000);
    net.start(ada);
    net.run_for_ms(30_000);
    let later = delay_parts(&mut net, ada);
    assert!(
        later.iter().all(|part| [0, 1_500].contains(part)),
        "nothing was measured: {later:?}, seed {}",
        net.seed
    );
}

/// Each link request fails, says this relay of itself.
fn failing(net: &mut Network, relay: usize) {
    let metrics = RelayMetrics {
        errors_ppm: 1_000_000,
        ..RelayMetrics::default()
    };
    net.input(relay, Input::RelayMetrics(metrics));
}

#[test]
fn a_chosen_relay_that_does_far_worse_than_others_is_left_and_the_apps_own_never() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 5);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(40_000);
    let before = relays_of(&mut net, ada, &relays);
    let chosen: Vec<usize> = before
        .iter()
        .copied()
        .filter(|relay| *relay != relays[0])
        .collect();
    assert_eq!(chosen.len(), 1, "seed {}", net.seed);
    failing(&mut net, relays[0]);
    net.run_for_ms(30_000);
    failing(&mut net, chosen[0]);
    let mut fewest = before.len();
    for _ in 0..12 {
        net.run_for_ms(10_000);
        fewest = fewest.min(relays_of(&mut net, ada, &relays).len());
    }
    let after = relays_of(&mut net, ada, &relays);
    assert!(
        after.contains(&relays[0]) && !after.contains(&chosen[0]) && after.len() == before.len(),
        "{before:?} {after:?}, seed {}",
        net.seed
    );
    assert_eq!(fewest, before.len(), "the new one first, seed {}", net.seed);
    net.post(ada, "moved");
    net.run_for_ms(10_000);
    assert_eq!(not_durable(&mut net, ada), 0, "seed {}", net.seed);
    // However bad all of them are, one move in ten minutes is enough.
    for relay in &relays {
        failing(&mut net, *relay);
    }
    net.run_for_ms(10_000);
    let now = relays_of(&mut net, ada, &relays);
    net.input(chosen[0], Input::RelayMetrics(RelayMetrics::default()));
    net.run_for_ms(200_000);
    assert_eq!(relays_of(&mut net, ada, &relays), now, "seed {}", net.seed);
}

/// Whom a browser turns to that weighs like this, of two relays that are slow and sound and two that are quick and
/// fail.
fn chosen_by(weights: [f32; 4]) -> Vec<usize> {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 5);
    for (n, relay) in relays.iter().enumerate() {
        let slow = n < 3;
        let metrics = RelayMetrics {
            load: 0,
            response_us: if slow { 400_000 } else { 1_000 },
            errors_ppm: if slow { 0 } else { 50_000 },
        };
        net.input(*relay, Input::RelayMetrics(metrics));
    }
    net.run_for_ms(30_000);
    let ada = net.person("Ada");
    net.input(ada, Input::Routing(Routing::weighing(weights).expect("weights")));
    know(&mut net, ada, relays[0]);
    net.run_for_ms(30_000);
    let QueryResult::Network(view) = net.query(ada, Query::Network) else {
        panic!("no view");
    };
    assert_eq!(view.weights, weights.map(|weight| (weight * 1_000.0) as u32));
    for score in &view.scores {
        let cost = score.parts.iter().sum::<u32>().max(1);
        let off = f64::from(score.score) * f64::from(cost) / 100_000.0 - 1.0;
        assert!(cost < 20 || off.abs() < 0.1, "{score:?}");
    }
    let others = relays_of(&mut net, ada, &relays[1..]);
    assert!(!others.is_empty(), "seed {}", net.seed);
    others
        .iter()
        .map(|other| {
            relays
                .iter()
                .position(|relay| relay == other)
                .expect("one of them")
        })
        .collect()
}

#[test]
fn the_weights_decide_whom_a_browser_turns_to() {
    let sound = chosen_by([0.0, 0.0, 0.0, 10_000.0]);
    assert!(sound.iter().all(|n| [1, 2].contains(n)), "{sound:?}");
    let quick = chosen_by([0.0, 1.0, 0.0, 0.0]);
    assert!(quick.iter().all(|n| [3, 4].contains(n)), "{quick:?}");
}

#[test]
fn weights_that_rank_nothing_are_none() {
    for weights in [
        [0.0; 4],
        [1.0, 2.0, f32::NAN, 1.0],
        [1.0, 2.0, f32::INFINITY, 1.0],
        [1.0, -0.5, 1.0, 1.0],
        [1.0, 2.0, 3.0, 2.0 * Routing::WEIGHT_MAX],
    ] {
        assert_eq!(Routing::weighing(weights), None, "{weights:?}");
    }
    let routing = Routing::weighing([1.0, 2.0, 0.5, 100.0]).expect("weights");
    let terms = Terms {
        replication_ms: 10.0,
        response_ms: 10.0,
        distance_km: 20.0,
        errors: 0.1,
    };
    assert_eq!(routing.parts(&terms), [10.0, 20.0, 10.0, 10.0]);
    assert_eq!(routing.score(&terms), 1.0 / 50.0);
}
