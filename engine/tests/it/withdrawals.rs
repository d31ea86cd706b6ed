//! What a relay signed for, it keeps, until members of its network have proven to keep it; and what it keeps no longer,
//! it says.

use std::time::Duration;

use protocol::messages::receipt::Reason;
use protocol::{AccountId, KeyPair, PeerId};
use starling_engine::api::{Event, HolderView, Query, QueryResult};
use starling_engine::io::Admission;
use starling_engine::{Config, Input};

use crate::compare::give;
use crate::network::{Network, open_relay, seed};
use crate::placement::{describe, know};

const STRANGERS: usize = 12;
const JUNK: u16 = 60;

fn held(net: &mut Network, at: usize, account: AccountId) -> u64 {
    match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile.entries,
        other => panic!("{other:?}"),
    }
}

fn key(n: usize) -> KeyPair {
    KeyPair::from_seed(&[n as u8 + 1; 32])
}

/// A relay that may hold this number of accounts beside its share.
fn config(n: usize, admission: Admission, cached_accounts_max: usize) -> Config {
    Config {
        admission,
        cached_accounts_max,
        repair_grace: Duration::from_secs(20),
        ..open_relay(key(n))
    }
}

#[test]
fn strangers_with_junk_make_a_relay_forget_nothing_that_it_signed_for() {
    let mut net = Network::new(seed());
    // An open network: whatever describes itself as a relay is assigned feeds.
    let relay = net.add(config(0, Admission::Open, 0));
    describe(&mut net, relay, 0);
    let people = ["Ada", "Bob", "Cem"].map(|name| net.person(name));
    let accounts = people.map(|person| net.account(person));
    for person in people {
        know(&mut net, person, relay);
    }
    net.run_for_ms(20_000);
    for person in people {
        let post = net.post(person, "to be kept");
        net.run_for_ms(5_000);
        let signed = |event: &Event| matches!(event, Event::Durability { post: of, durability } if *of == post.entry && durability.relays == 1);
        assert!(net.peers[person].events.iter().any(signed), "seed {}", net.seed);
    }
    for person in people {
        net.crash(person);
    }
    // They take everything over, sign for it and show it, and bring junk.
    let mut strangers = Vec::new();
    for n in 1..=STRANGERS {
        let stranger = net.add(config(n, Admission::Open, 0));
        describe(&mut net, stranger, n);
        know(&mut net, stranger, relay);
        strangers.push(stranger);
    }
    net.run_for_ms(30_000);
    for n in 0..JUNK {
        give(&mut net, strangers[usize::from(n) % STRANGERS], n, 3);
    }
    net.run_for_ms(180_000);
    let taken = strangers
        .iter()
        .filter(|stranger| held(&mut net, **stranger, accounts[0]) == 3);
    assert!(taken.count() >= 3, "they have it, seed {}", net.seed);
    // And they are gone.
    for stranger in strangers {
        net.crash(stranger);
    }
    net.run_for_ms(60_000);
    let lost = accounts
        .iter()
        .filter(|account| held(&mut net, relay, **account) < 3);
    assert_eq!(lost.count(), 0, "receipted feeds lost, seed {}", net.seed);
}

/// Six relays that list each other, and Ada, who knows the first two; she is not assigned to the first one.
fn members(net: &mut Network, cached_accounts_max: usize) -> (Vec<usize>, usize) {
    let all: Vec<PeerId> = (0..6).map(|n| PeerId(key(n).public())).collect();
    let mut relays: Vec<usize> = Vec::new();
    for n in 0..6 {
        let joins = n > 0;
        let relay = net.add(Config {
            joins,
            ..config(n, Admission::Listed(all.clone()), cached_accounts_max)
        });
        describe(net, relay, n);
        if joins {
            know(net, relay, relays[0]);
        }
        relays.push(relay);
    }
    net.run_for_ms(15_000);
    let ada = net.person("Ada");
    let account = net.account(ada);
    let replicas = match net.query(relays[0], Query::Replicas { account }) {
        QueryResult::Replicas(view) => view.replicas,
        other => panic!("{other:?}"),
    };
    let is_replica = |net: &Network, at: usize| {
        let id = net.peer_id(at);
        replicas.iter().any(|replica| Some(replica.relay) == id)
    };
    let mut sorted = relays.clone();
    sorted.sort_by_key(|at| is_replica(net, *at));
    (sorted, ada)
}

pub(crate) fn holders(net: &mut Network, person: usize, post: protocol::EntryRef) -> Vec<HolderView> {
    match net.query(person, Query::Holders { post }) {
        QueryResult::Holders(holders) => holders,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_author_learns_from_other_relays_which_one_keeps_a_feed_no_longer() {
    let mut net = Network::new(seed());
    let (relays, ada) = members(&mut net, 0);
    let account = net.account(ada);
    let (first, replica) = (relays[0], relays[5]);
    let first_id = net.peer_id(first).expect("a key");
    know(&mut net, ada, first);
    know(&mut net, ada, replica);
    net.run_for_ms(20_000);
    let post = net.post(ada, "kept by whom?").entry;
    net.run_for_ms(10_000);
    let kept = |holder: &HolderView| holder.relay && holder.withdrawn.is_none();
    let count = |net: &mut Network| holders(net, ada, post).into_iter().filter(kept).count();
    let signed = holders(&mut net, ada, post);
    assert!(
        signed
            .iter()
            .any(|holder| holder.peer == first_id && kept(holder)),
        "{signed:?}, seed {}",
        net.seed
    );
    let before = count(&mut net);
    assert!(before >= 4, "three replicas and the first: {before}");
    // While she is away, the first drops what the replicas have proven to have.
    net.crash(ada);
    net.run_for_ms(120_000);
    assert_eq!(held(&mut net, first, account), 0, "seed {}", net.seed);
    // She comes back, and never links with the first again.
    net.crash(first);
    net.start(ada);
    net.run_for_ms(30_000);
    let told = |event: &Event| matches!(event, Event::NotKept { relay, reason, .. } if *relay == first_id && *reason == Reason::MOVED);
    assert!(net.peers[ada].events.iter().any(told), "seed {}", net.seed);
    let shown = holders(&mut net, ada, post);
    let of_first = shown.iter().find(|holder| holder.peer == first_id);
    assert_eq!(
        of_first.expect("it is shown").withdrawn,
        Some(Reason::MOVED),
        "seed {}",
        net.seed
    );
    assert!(count(&mut net) >= 3, "the replicas keep it, seed {}", net.seed);
    // And after the next start she still knows it.
    net.crash(ada);
    net.start(ada);
    net.run_for_ms(1_000);
    assert!(
        holders(&mut net, ada, post)
            .iter()
            .any(|holder| holder.withdrawn.is_some())
    );
}

#[test]
fn a_relay_that_left_for_good_counts_as_a_holder_no_more() {
    let mut net = Network::new(seed());
    let (relays, ada) = members(&mut net, 100);
    let leaving = relays[5];
    let id = net.peer_id(leaving).expect("a key");
    know(&mut net, ada, relays[3]);
    know(&mut net, ada, relays[4]);
    net.run_for_ms(20_000);
    let post = net.post(ada, "one will leave").entry;
    net.run_for_ms(15_000);
    let counts = |net: &mut Network| {
        let shown = holders(net, ada, post);
        let of_leaving = shown.iter().find(|holder| holder.peer == id);
        of_leaving.map(|holder| holder.withdrawn)
    };
    assert_eq!(counts(&mut net), Some(None), "seed {}", net.seed);
    // She is away when it goes.
    net.crash(ada);
    net.input(leaving, Input::HandOver { for_good: true });
    net.run_for_ms(60_000);
    net.input(leaving, Input::HandOver { for_good: false });
    net.run_for_ms(1_000);
    net.crash(leaving);
    net.run_for_ms(60_000);
    net.start(ada);
    net.run_for_ms(30_000);
    assert_eq!(counts(&mut net), Some(Some(Reason::LEFT)), "seed {}", net.seed);
}
