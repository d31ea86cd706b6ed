//! Names of the registry: claimed once, known to all who hold the feed, shown to nobody without proof.

use protocol::KeyPair;
use protocol::messages::directory::{Description, role};
use protocol::names::{NameAnswer, RegistryId};
use starling_engine::api::{ClaimView, Command, MeView, Query, QueryResult};
use starling_engine::{Candidate, Config, Input, Log};

use crate::directory::description;
use crate::network::{Network, open_relay, seed};

/// A relay that keeps the registry, and one that does not and knows the first.
pub(crate) fn relays(net: &mut Network) -> (usize, usize) {
    let config = Config {
        runs_registry: true,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    };
    let index = net.add(config);
    let worker = net.add_relay();
    let registry = RegistryId(net.registry.key.public());
    net.input(index, Input::Registry(registry));
    let keeps = Description {
        roles: role::WORKER | role::INDEX,
        ..description("cellar", 0)
    };
    net.input(index, Input::Describe(Box::new(keeps)));
    net.input(worker, Input::Describe(Box::new(description("attic", 1))));
    let peer = net.peer_id(index).expect("a key");
    net.input(worker, Input::Candidates(vec![Candidate { peer, relay: true }]));
    net.run_for_ms(10_000);
    (index, worker)
}

/// Links with a relay as with the one whose app this is.
pub(crate) fn visit(net: &mut Network, person: usize, relay: usize) {
    let peer = net.peer_id(relay).expect("a key");
    net.input(person, Input::Candidates(vec![Candidate { peer, relay: true }]));
}

pub(crate) fn me(net: &mut Network, peer: usize) -> MeView {
    match net.query(peer, Query::Me) {
        QueryResult::Me(Some(me)) => me,
        other => panic!("{other:?}"),
    }
}

fn handle_of(net: &mut Network, at: usize, of: usize) -> String {
    let account = me(net, of).account;
    match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile.handle,
        other => panic!("{other:?}"),
    }
}

fn claim(net: &mut Network, peer: usize, name: &str) {
    let name = name.to_owned();
    net.command(peer, Command::ClaimName { name });
}

#[test]
fn a_name_is_claimed_through_any_relay_and_everybody_knows_it() {
    let mut net = Network::new(seed());
    let (index, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    visit(&mut net, bob, index);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    claim(&mut net, ada, " @Ada ");
    net.run_for_ms(1_000);
    let own = me(&mut net, ada);
    assert_eq!(
        (own.handle.as_str(), own.claim),
        ("ada", None),
        "seed {}",
        net.seed
    );
    net.run_for_ms(5_000);
    assert_eq!(handle_of(&mut net, bob, ada), "ada");
    claim(&mut net, bob, "ada");
    net.run_for_ms(1_000);
    let refused = me(&mut net, bob).claim.expect("it says why");
    assert_eq!(refused.refused, Some(NameAnswer::Taken));
    net.command(bob, Command::DropClaim);
    assert_eq!(me(&mut net, bob).claim, None);

    net.command(ada, Command::ReleaseName);
    net.run_for_ms(5_000);
    assert_eq!(handle_of(&mut net, bob, ada), "");
    claim(&mut net, bob, "ada");
    net.run_for_ms(5_000);
    assert_eq!(me(&mut net, bob).handle, "ada");
    assert_eq!(handle_of(&mut net, bob, ada), "");
}

#[test]
fn a_claim_made_offline_outlives_a_restart_and_an_absent_registry() {
    let mut net = Network::new(seed());
    let (index, worker) = relays(&mut net);
    let ada = net.person("Ada");
    claim(&mut net, ada, "ada");
    net.run_for_ms(1_000);
    net.crash(ada);
    net.start(ada);
    net.run_for_ms(1_000);
    let waits = me(&mut net, ada).claim;
    let expected = ClaimView {
        name: "ada".to_owned(),
        release: false,
        refused: None,
    };
    assert_eq!(waits, Some(expected), "seed {}", net.seed);
    net.registry.answers = false;
    visit(&mut net, ada, worker);
    net.run_for_ms(60_000);
    assert!(me(&mut net, ada).claim.is_some(), "nothing is decided");
    net.registry.answers = true;
    net.run_for_ms(150_000);
    assert_eq!(me(&mut net, ada).handle, "ada");
    // The relay that keeps it goes: everything else goes on, claims wait.
    net.crash(index);
    let bob = net.person("Bob");
    visit(&mut net, bob, worker);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    assert_eq!(
        handle_of(&mut net, bob, ada),
        "ada",
        "no registry is needed to know it"
    );
    claim(&mut net, bob, "bob");
    net.run_for_ms(30_000);
    assert_eq!(me(&mut net, bob).claim.and_then(|claim| claim.refused), None);
}

#[test]
fn work_is_done_when_it_is_asked_for() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    net.registry.work_bits = 16;
    let ada = net.person("Ada");
    visit(&mut net, ada, worker);
    net.run_for_ms(10_000);
    claim(&mut net, ada, "ada");
    net.run_for_ms(5_000);
    assert_eq!(me(&mut net, ada).handle, "ada", "seed {}", net.seed);
}

#[test]
fn names_of_another_registry_are_shown_to_nobody() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    visit(&mut net, bob, worker);
    net.follow(bob, ada);
    net.run_for_ms(10_000);
    claim(&mut net, ada, "ada");
    net.run_for_ms(5_000);
    assert_eq!(handle_of(&mut net, bob, ada), "ada", "seed {}", net.seed);
    // Another registry gives Ada's name to Eve, by a relay that is hers alone.
    net.registry.key = KeyPair::from_seed(&[0x66; 32]);
    net.registry.held.clear();
    let other = RegistryId(net.registry.key.public());
    let config = Config {
        runs_registry: true,
        ..open_relay(KeyPair::from_seed(&[0x67; 32]))
    };
    let impostor = net.add(config);
    let keeps = Description {
        roles: role::WORKER | role::INDEX,
        ..description("street", 2)
    };
    net.input(impostor, Input::Registry(other));
    net.input(impostor, Input::Describe(Box::new(keeps)));
    let (eve, dan) = (net.person("Eve"), net.person("Dan"));
    visit(&mut net, eve, impostor);
    net.run_for_ms(10_000);
    claim(&mut net, eve, "ada");
    net.run_for_ms(5_000);
    assert_eq!(me(&mut net, eve).handle, "ada", "that registry works");
    // Bob and Dan hear of it from that relay itself and hold her feed; Dan has heard of no other registry.
    for person in [bob, dan] {
        net.follow(person, eve);
        net.connect(person, eve);
        net.connect(person, impostor);
    }
    net.run_for_ms(20_000);
    let street = net.peer_id(impostor).expect("a key");
    for person in [bob, dan] {
        let QueryResult::Network(network) = net.query(person, Query::Network) else {
            panic!()
        };
        let mut listed = network.relays.iter().map(|relay| relay.description.relay);
        assert!(
            !listed.any(|relay| relay == street),
            "{person} was told of it by no relay of hers"
        );
        assert_eq!(handle_of(&mut net, person, eve), "", "seed {}", net.seed);
    }
    assert_eq!(handle_of(&mut net, bob, ada), "ada");
    // It becomes one of Bob's relays: he takes names from the registry he heard of first.
    visit(&mut net, bob, impostor);
    net.run_for_ms(20_000);
    let noticed = |log: &Log| matches!(log, Log::OtherRegistry { other: it, .. } if *it == other);
    assert!(
        net.peers[bob].log.iter().any(noticed),
        "and says that there is another"
    );
    assert_eq!(handle_of(&mut net, bob, eve), "", "seed {}", net.seed);
    assert_eq!(handle_of(&mut net, bob, ada), "ada");
}

#[test]
fn an_answer_of_a_registry_that_nobody_has_named_yet_is_waited_for_without_blame() {
    let mut net = Network::new(seed());
    let config = Config {
        runs_registry: true,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    };
    let index = net.add(config);
    net.input(index, Input::Registry(RegistryId(net.registry.key.public())));
    let ada = net.person("Ada");
    visit(&mut net, ada, index);
    net.run_for_ms(10_000);
    // It answers before it has said what it is: the answer cannot be checked.
    claim(&mut net, ada, "ada");
    net.run_for_ms(10_000);
    assert!(!net.registry.held.is_empty(), "it was asked");
    let refused = |log: &Log| matches!(log, Log::Refused { .. });
    assert!(
        !net.peers[ada].log.iter().any(refused),
        "and it did nothing wrong"
    );
    assert!(me(&mut net, ada).claim.is_some(), "the claim waits");
    net.input(index, Input::Describe(Box::new(description("cellar", 0))));
    net.run_for_ms(150_000);
    assert_eq!(me(&mut net, ada).handle, "ada", "seed {}", net.seed);
}

#[test]
fn a_lookup_asks_the_registry_and_says_so_when_there_is_none() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    visit(&mut net, ada, worker);
    net.run_for_ms(10_000);
    claim(&mut net, ada, "ada");
    net.run_for_ms(5_000);
    let look = |net: &mut Network, peer: usize, name: &str| {
        let name = name.to_owned();
        match net.query(peer, Query::Name { name }) {
            QueryResult::Name(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(look(&mut net, bob, "ada"), NameAnswer::Unavailable);
    visit(&mut net, bob, worker);
    net.run_for_ms(10_000);
    let account = me(&mut net, ada).account;
    match look(&mut net, bob, "@Ada") {
        NameAnswer::Held(receipt) => assert_eq!(receipt.account, account),
        other => panic!("{other:?}"),
    }
    assert_eq!(look(&mut net, bob, "nobody"), NameAnswer::Free);
}

/// The only relay, which keeps the registry and lets so much be asked.
fn only_relay(net: &mut Network, names_per_minute: u32, claims_per_minute: u32) -> usize {
    let config = Config {
        runs_registry: true,
        names_per_minute,
        claims_per_minute,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    };
    let index = net.add(config);
    let registry = RegistryId(net.registry.key.public());
    net.input(index, Input::Registry(registry));
    let keeps = Description {
        roles: role::WORKER | role::INDEX,
        ..description("cellar", 0)
    };
    net.input(index, Input::Describe(Box::new(keeps)));
    net.run_for_ms(1_000);
    index
}

#[test]
fn a_wish_is_signed_again_when_the_registry_changed_the_name_meanwhile() {
    let mut net = Network::new(seed());
    let (_, worker) = relays(&mut net);
    let ada = net.person("Ada");
    visit(&mut net, ada, worker);
    net.run_for_ms(10_000);
    // Another account had it and released it.
    net.registry.changed.insert((false, "ada".to_owned()), 70);
    net.registry.revision = 70;
    claim(&mut net, ada, "ada");
    net.run_for_ms(1_000);
    assert_eq!(me(&mut net, ada).handle, "ada", "seed {}", net.seed);
    assert_eq!(net.registry.revision, 72, "asked twice");
    // The latest revision she knows is enough to release it.
    net.command(ada, Command::ReleaseName);
    net.run_for_ms(1_000);
    assert_eq!(
        (me(&mut net, ada).handle.as_str(), net.registry.revision),
        ("", 73)
    );
    // An old claim was replayed and another device changed it since: she releases it all the same.
    claim(&mut net, ada, "ada");
    net.run_for_ms(1_000);
    net.registry.revision = 90;
    net.registry.changed.insert((false, "ada".to_owned()), 90);
    net.command(ada, Command::ReleaseName);
    net.run_for_ms(1_000);
    assert_eq!(me(&mut net, ada).handle, "");
    assert!(net.registry.held.is_empty());
}

#[test]
fn nothing_is_signed_for_a_mark_that_is_not_the_registrys() {
    let mut net = Network::new(seed());
    let index = only_relay(&mut net, 30, 100);
    let ada = net.person("Ada");
    visit(&mut net, ada, index);
    net.run_for_ms(10_000);
    // The relay says that the registry is far ahead: a request that knows of that would be good for long.
    let key = core::mem::replace(&mut net.registry.key, KeyPair::from_seed(&[0x66; 32]));
    net.registry.changed.insert((false, "ada".to_owned()), 1_000_000);
    claim(&mut net, ada, "ada");
    net.run_for_ms(60_000);
    assert_eq!(net.registry.known_max, 0, "seed {}", net.seed);
    assert!(net.registry.revision > 0, "it was asked");
    assert!(me(&mut net, ada).claim.is_some(), "it waits");
    net.registry.key = key;
    net.registry.changed.clear();
    visit(&mut net, ada, index);
    net.run_for_ms(200_000);
    assert_eq!(me(&mut net, ada).handle, "ada", "seed {}", net.seed);
}

#[test]
fn a_new_link_does_not_let_anybody_ask_more_in_a_minute() {
    let mut net = Network::new(seed());
    let index = only_relay(&mut net, 5, 100);
    let ada = net.person("Ada");
    visit(&mut net, ada, index);
    net.run_for_ms(10_000);
    let may_ask = |net: &mut Network| {
        let name = "unclaimed".to_owned();
        match net.query(ada, Query::Name { name }) {
            QueryResult::Name(NameAnswer::Free) => true,
            QueryResult::Name(NameAnswer::TooFast) => false,
            other => panic!("{other:?}"),
        }
    };
    // From the beginning of a minute on.
    while may_ask(&mut net) {}
    while !may_ask(&mut net) {
        net.run_for_ms(500);
    }
    while may_ask(&mut net) {}
    net.cut(ada, index);
    net.run_for_ms(100);
    assert!(!net.linked(ada).contains(&index), "seed {}", net.seed);
    visit(&mut net, ada, index);
    net.run_for_ms(10_000);
    assert!(net.linked(ada).contains(&index), "seed {}", net.seed);
    assert!(!may_ask(&mut net), "seed {}", net.seed);
    net.run_for_ms(60_000);
    assert!(may_ask(&mut net), "seed {}", net.seed);
}

#[test]
fn all_together_claim_so_many_names_in_a_minute_and_everybody_has_one_in_the_end() {
    let mut net = Network::new(seed());
    let index = only_relay(&mut net, 30, 3);
    let people: Vec<usize> = (0..8).map(|n| net.person(&format!("Person {n}"))).collect();
    for person in &people {
        visit(&mut net, *person, index);
    }
    net.run_for_ms(10_000);
    for (n, person) in people.iter().enumerate() {
        claim(&mut net, *person, &format!("person-{n}"));
    }
    net.run_for_ms(10_000);
    let held = net.registry.held.len();
    // A minute may have ended meanwhile.
    assert!((3..=6).contains(&held), "{held} (seed {})", net.seed);
    net.run_for_ms(20 * 60_000);
    assert_eq!(net.registry.held.len(), people.len(), "seed {}", net.seed);
}
