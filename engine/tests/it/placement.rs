//! Feeds divided among relays: enough copies of each, also after relays died, and everybody readable everywhere.

use std::time::Duration;

use protocol::messages::directory::Description;
use protocol::{AccountId, KeyPair, PeerId};
use starling_engine::api::{Event, Query, QueryResult, Timeline};
use starling_engine::{Candidate, Config, Input, Log};

use crate::directory::description;
use crate::network::{Network, open_relay, seed};

const RELAYS: usize = 7;
const PEOPLE: usize = 40;
const REPLICAS: usize = 3;

pub(crate) fn describe(net: &mut Network, relay: usize, n: usize) {
    let zones = ["cellar", "attic", "garden"];
    net.input(relay, Input::Describe(Box::new(description(zones[n % 3], n))));
}

/// Relays in three zones, each told of the first.
pub(crate) fn relays(net: &mut Network, n: usize) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    for n in 0..n {
        let config = Config {
            repair_grace: Duration::from_secs(20),
            joins: n > 0,
            ..open_relay(KeyPair::from_seed(&[n as u8 + 1; 32]))
        };
        let relay = net.add(config);
        describe(net, relay, n);
        if let Some(first) = all.first() {
            know(net, relay, *first);
        }
        all.push(relay);
    }
    net.run_for_ms(15_000);
    all
}

pub(crate) fn know(net: &mut Network, peer: usize, relay: usize) {
    let relay = net.peer_id(relay).expect("a key");
    net.input(
        peer,
        Input::Candidates(vec![Candidate {
            peer: relay,
            relay: true,
        }]),
    );
}

/// Entries of an account that a peer holds.
fn held(net: &mut Network, at: usize, account: AccountId) -> u64 {
    match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile.entries,
        other => panic!("{other:?}"),
    }
}

/// The living relays that hold all of an account's entries.
fn copies(net: &mut Network, relays: &[usize], account: AccountId, entries: u64) -> usize {
    let living: Vec<usize> = relays
        .iter()
        .copied()
        .filter(|relay| net.peers[*relay].engine.is_some())
        .collect();
    living
        .iter()
        .filter(|relay| held(net, **relay, account) == entries)
        .count()
}

/// People at relays by turns, who have written and left again.
fn people(net: &mut Network, relays: &[usize]) -> Vec<AccountId> {
    let mut accounts = Vec::new();
    for n in 0..PEOPLE {
        let person = net.person(&format!("person {n}"));
        know(net, person, relays[n % relays.len()]);
        net.run_for_ms(2_000);
        net.post(person, "hello");
        net.run_for_ms(2_000);
        accounts.push(net.account(person));
        net.crash(person);
    }
    net.run_for_ms(10_000);
    accounts
}

/// Certificate, profile, post.
const ENTRIES: u64 = 3;

#[test]
fn each_feed_has_its_replicas_and_no_relay_has_all() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let accounts = people(&mut net, &relays);
    let mut all = 0;
    for account in &accounts {
        let copies = copies(&mut net, &relays, *account, ENTRIES);
        // The relays it was written at keep it besides, if they are none of them.
        assert!(
            (REPLICAS..=REPLICAS + 2).contains(&copies),
            "{copies}, seed {}",
            net.seed
        );
        all += copies;
    }
    assert!(all < PEOPLE * RELAYS * 3 / 4, "feeds are divided: {all}");
}

#[test]
fn replicas_are_restored_after_two_relays_died() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let accounts = people(&mut net, &relays);
    net.crash(relays[1]);
    net.crash(relays[4]);
    let before: Vec<usize> = accounts
        .iter()
        .map(|account| copies(&mut net, &relays, *account, ENTRIES))
        .collect();
    assert!(
        before.iter().all(|copies| *copies >= 1),
        "two deaths lose nothing: {before:?}"
    );
    assert!(
        before.iter().any(|copies| *copies < REPLICAS),
        "the fault took effect"
    );
    // Dead after thirty seconds, then the grace.
    net.run_for_ms(80_000);
    for account in &accounts {
        let copies = copies(&mut net, &relays, *account, ENTRIES);
        assert!(copies >= REPLICAS, "{copies}, seed {}", net.seed);
    }
}

#[test]
fn people_are_read_at_relays_that_do_not_keep_them() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let accounts = people(&mut net, &relays);
    let reader = net.person("Reader");
    know(&mut net, reader, relays[3]);
    net.run_for_ms(3_000);
    for account in &accounts {
        net.follow_account(reader, *account);
    }
    net.run_for_ms(20_000);
    let texts = net.texts(reader, Timeline::Home);
    assert_eq!(texts.len(), PEOPLE, "seed {}", net.seed);
}

#[test]
fn a_wiped_relay_is_refilled_and_says_when_it_has_caught_up() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let accounts = people(&mut net, &relays);
    let wiped = relays[2];
    let mut before = Vec::new();
    for account in &accounts {
        before.push(held(&mut net, wiped, *account));
    }
    net.crash(wiped);
    net.peers[wiped].disk.replace(Default::default());
    net.peers[wiped].events.clear();
    net.start(wiped);
    describe(&mut net, wiped, 2);
    know(&mut net, wiped, relays[0]);
    net.run_for_ms(60_000);
    let caught_up = net.peers[wiped]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Repair(view) => Some(view.caught_up),
            _ => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(caught_up.first(), Some(&false), "seed {}", net.seed);
    assert_eq!(caught_up.last(), Some(&true));
    let mut mine = 0;
    for (account, before) in accounts.iter().zip(before) {
        let now = held(&mut net, wiped, *account);
        let copies = copies(&mut net, &relays, *account, ENTRIES);
        assert!(copies >= REPLICAS, "{copies}, seed {}", net.seed);
        mine += usize::from(now == ENTRIES && before == ENTRIES);
    }
    assert!(mine > 0, "it had a share");
}

#[test]
fn an_author_hears_of_the_replicas_through_the_relay_it_is_linked_with() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    net.run_for_ms(5_000);
    let post = net.post(ada, "safe?");
    net.run_for_ms(10_000);
    let held = match net.query(ada, Query::Holders { post: post.entry }) {
        QueryResult::Holders(holders) => holders,
        other => panic!("{other:?}"),
    };
    let by: Vec<PeerId> = held
        .iter()
        .filter(|holder| holder.relay)
        .map(|holder| holder.peer)
        .collect();
    assert!(by.len() >= REPLICAS, "{by:?}, seed {}", net.seed);
    let page = net.page(ada, Timeline::Home);
    let durability = page[0].durability.expect("one's own");
    assert!(
        durability.relays >= 3 && durability.relays_known >= 3,
        "{durability:?}"
    );
}

#[test]
fn a_relay_being_emptied_is_given_nothing_more() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, RELAYS);
    let emptied = Description {
        capacity: 0,
        ..description("cellar", 0)
    };
    net.input(relays[0], Input::Describe(Box::new(emptied)));
    net.run_for_ms(10_000);
    let accounts = people(&mut net, &relays[1..]);
    for account in &accounts {
        assert_eq!(held(&mut net, relays[0], *account), 0, "seed {}", net.seed);
        assert!(copies(&mut net, &relays, *account, ENTRIES) >= REPLICAS);
    }
}

#[test]
fn a_relay_that_leaves_for_good_says_so_when_others_have_everything() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 4);
    let accounts = people(&mut net, &relays);
    let leaver = relays[3];
    net.peers[leaver].events.clear();
    net.input(leaver, Input::HandOver { for_good: true });
    let left = |net: &Network| {
        let told = net.peers[leaver].events.iter().filter_map(|event| match event {
            Event::Repair(view) => view.to_hand_over,
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert!(
        left(&net).first().is_some_and(|left| *left > 0),
        "seed {}",
        net.seed
    );
    for _ in 0..60 {
        net.run_for_ms(1_000);
        if left(&net).last() == Some(&0) {
            break;
        }
    }
    assert_eq!(left(&net).last(), Some(&0), "seed {}", net.seed);
    net.crash(leaver);
    for account in &accounts {
        assert_eq!(
            copies(&mut net, &relays, *account, ENTRIES),
            3,
            "seed {}",
            net.seed
        );
    }
}

#[test]
fn a_relay_that_cannot_show_what_it_says_it_has_is_noticed() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 2);
    let accounts = people(&mut net, &relays);
    assert_eq!(copies(&mut net, &relays, accounts[0], ENTRIES), 2);
    net.run_for_ms(120_000);
    let metrics = |net: &mut Network, relay: usize| match net.query(relay, Query::Network) {
        QueryResult::Network(view) => (view.audits, view.audits_failed),
        other => panic!("{other:?}"),
    };
    let (asked, failed) = metrics(&mut net, relays[0]);
    assert!(asked > 0 && failed == 0, "{asked} {failed}, seed {}", net.seed);
    // Its records are there, its entries are not: a disk that lies.
    net.peers[relays[1]].disk.lose_entries();
    net.run_for_ms(120_000);
    let (_, failed) = metrics(&mut net, relays[0]);
    assert!(failed > 0, "seed {}", net.seed);
    let log = &net.peers[relays[0]].log;
    assert!(log.iter().any(|log| matches!(log, Log::NotHeld { .. })));
}

#[test]
fn two_halves_that_cannot_see_each_other_both_serve_and_become_one_again() {
    let mut net = Network::new(seed());
    let relays = relays(&mut net, 8);
    let people: Vec<usize> = (0..8)
        .map(|n| {
            let person = net.person(&format!("person {n}"));
            know(&mut net, person, relays[n]);
            person
        })
        .collect();
    net.run_for_ms(20_000);
    let accounts: Vec<AccountId> = people.iter().map(|person| net.account(*person)).collect();
    for person in &people {
        for account in accounts
            .iter()
            .filter(|account| **account != account_of(&accounts, &people, *person))
        {
            net.follow_account(*person, *account);
        }
        net.post(*person, "together");
    }
    net.run_for_ms(20_000);
    for person in &people {
        assert_eq!(net.texts(*person, Timeline::Home).len(), 8, "seed {}", net.seed);
    }

    // Relays and their people: four here, four there.
    let half = |n: usize| u32::from(n >= 4);
    let mut groups = vec![0; net.peers.len()];
    for n in 0..8 {
        groups[relays[n]] = half(n);
        groups[people[n]] = half(n);
    }
    net.partition(&groups);
    net.run_for_ms(10_000);
    for person in &people {
        net.post(*person, "apart");
    }
    net.run_for_ms(110_000);
    for person in &people {
        let texts = net.texts(*person, Timeline::Home);
        assert_eq!(
            texts.len(),
            12,
            "their own half's posts, and only those; seed {}",
            net.seed
        );
        let page = net.page(*person, Timeline::User(account_of(&accounts, &people, *person)));
        let durability = page[0].durability.expect("one's own");
        assert!(durability.relays > 0, "written while apart, and signed for");
    }

    net.heal();
    net.run_for_ms(120_000);
    for person in &people {
        assert_eq!(net.texts(*person, Timeline::Home).len(), 16, "seed {}", net.seed);
    }
    for (account, person) in accounts.iter().zip(&people) {
        let entries = held(&mut net, *person, *account);
        let copies = copies(&mut net, &relays, *account, entries);
        assert!(copies >= REPLICAS, "{copies}, seed {}", net.seed);
    }
}

/// Whose account a person's is.
fn account_of(accounts: &[AccountId], people: &[usize], person: usize) -> AccountId {
    let at = people.iter().position(|other| *other == person);
    accounts[at.expect("one of them")]
}
