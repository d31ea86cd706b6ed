//! What a relay holds beside its share, and what of it goes.

use std::time::Duration;

use protocol::{AccountId, KeyPair, PeerId};
use starling_engine::Config;
use starling_engine::api::{Event, Query, QueryResult, RepairView};
use starling_engine::io::Admission;
use starling_engine::store::Table;

use crate::compare::{entries, feed, give};
use crate::network::{Network, seed};
use crate::placement::{describe, know};

const PEOPLE: u16 = 60;
const CACHED_MAX: usize = 5;

/// Six relays, of which the first was given everybody's feeds: a certificate and two posts each.
fn given_to_the_first(net: &mut Network) -> Vec<usize> {
    let key = |n: u8| KeyPair::from_seed(&[n + 1; 32]);
    let members: Vec<PeerId> = (0..6).map(|n| PeerId(key(n).public())).collect();
    let mut relays = Vec::new();
    for n in 0..6u8 {
        let config = Config {
            admission: Admission::Listed(members.clone()),
            repair_grace: Duration::from_secs(20),
            cached_accounts_max: CACHED_MAX,
            joins: n > 0,
            ..Config::relay(key(n))
        };
        let relay = net.add(config);
        describe(net, relay, usize::from(n));
        if n > 0 {
            know(net, relay, relays[0]);
        }
        relays.push(relay);
    }
    net.run_for_ms(500);
    for n in 0..PEOPLE {
        give(net, relays[0], n, 3);
    }
    relays
}

fn account(n: u16) -> AccountId {
    feed(n, 1)[0].signed.header.account
}

/// How many entries of an account a peer holds, by its own word.
fn held(net: &mut Network, at: usize, account: AccountId) -> u64 {
    match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile.entries,
        other => panic!("{other:?}"),
    }
}

fn repair(net: &Network, relay: usize) -> RepairView {
    let told = net.peers[relay]
        .events
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Repair(view) => Some(view.clone()),
            _ => None,
        });
    told.expect("told of its share")
}

/// Nothing is lost, and the disk holds what the relay says it holds, rows of its views included.
fn assert_whole(net: &mut Network, relays: &[usize]) {
    for n in 0..PEOPLE {
        let copies = relays
            .iter()
            .filter(|relay| held(net, **relay, account(n)) >= 3)
            .count();
        assert!(copies >= 3, "{copies} copies of {n}, seed {}", net.seed);
    }
    for relay in relays {
        let said: u64 = (0..PEOPLE).map(|n| held(net, *relay, account(n))).sum();
        assert_eq!(entries(net, *relay) as u64, said, "seed {}", net.seed);
        let disk = &net.peers[*relay].disk;
        for table in [Table::ByTime, Table::ByAccount, Table::Ids] {
            assert_eq!(
                disk.len(table) as u64,
                said / 3 * 2,
                "{table:?}, seed {}",
                net.seed
            );
        }
        let meta = disk.rows(Table::Meta);
        assert!(
            !meta.keys().any(|key| key.starts_with(b"drop:")),
            "seed {}",
            net.seed
        );
    }
}

#[test]
fn what_nobody_wants_goes_when_all_replicas_have_it() {
    let mut net = Network::new(seed());
    let relays = given_to_the_first(&mut net);
    net.run_for_ms(2_000);
    let ada = net.person("Ada");
    know(&mut net, ada, relays[0]);
    for n in 0..20 {
        net.follow_account(ada, account(n));
    }
    net.run_for_ms(120_000);
    // Ada and those she follows stay; of the others, few.
    let cached = repair(&net, relays[0]).cached;
    println!("{cached} accounts beside the share of the first relay");
    assert!(
        (1..=(CACHED_MAX + 21) as u64).contains(&cached),
        "seed {}",
        net.seed
    );
    assert!(
        entries(&net, relays[0]) < 3 * usize::from(PEOPLE),
        "seed {}",
        net.seed
    );
    for n in 0..20 {
        assert_eq!(held(&mut net, relays[0], account(n)), 3, "{n}, seed {}", net.seed);
    }
    // An account that was dropped is fetched again for a person who asks.
    let dropped = (20..PEOPLE).find(|n| held(&mut net, relays[0], account(*n)) == 0);
    let dropped = dropped.expect("an account was dropped");
    net.follow_account(ada, account(dropped));
    net.run_for_ms(60_000);
    assert_eq!(held(&mut net, ada, account(dropped)), 3, "seed {}", net.seed);
    net.crash(ada);
    net.run_for_ms(180_000);
    let cached = repair(&net, relays[0]).cached;
    assert!(cached <= CACHED_MAX as u64, "{cached}, seed {}", net.seed);
}

#[test]
fn a_crash_while_deleting_leaves_nothing_behind() {
    let mut net = Network::new(seed());
    let relays = given_to_the_first(&mut net);
    let mut crashes = 0;
    for _ in 0..20_000 {
        net.run_for_ms(5);
        let meta = net.peers[relays[0]].disk.rows(Table::Meta);
        if meta.keys().any(|key| key.starts_with(b"drop:")) {
            crashes += 1;
            net.crash(relays[0]);
            net.run_for_ms(200);
            net.start(relays[0]);
            describe(&mut net, relays[0], 0);
        }
    }
    println!("{crashes} crashes in the middle");
    assert!(crashes > 2, "{crashes}, seed {}", net.seed);
    net.run_for_ms(120_000);
    let cached = repair(&net, relays[0]).cached;
    assert!(cached <= CACHED_MAX as u64, "{cached}, seed {}", net.seed);
    assert_whole(&mut net, &relays);
}
