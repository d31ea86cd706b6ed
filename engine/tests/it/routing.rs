//! Browsers turn to other relays of the network when their own dies, also after they were closed meanwhile.

use starling_engine::Input;
use starling_engine::api::{Query, Reply, Timeline};

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
        Reply::Status(status) => status.not_durable,
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
        Reply::Network(view) => view,
        other => panic!("{other:?}"),
    };
    assert_eq!(view.relays.len(), 4, "seed {}", net.seed);
    net.post(ada, "who signs for this?");
    net.run_for_ms(5_000);
    assert!(
        not_durable(&mut net, ada) > 0,
        "a stranger's receipt is a peer's word"
    );
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
        Reply::Network(view) => view.relays.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(listed(&mut net, ada), 4, "Eve spoke of it, seed {}", net.seed);
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
