//! Comparing by sketches: what is the same on both ends costs nothing.

use std::time::Duration;

use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::{AccountId, DeviceId, Entry, EntryId, KeyPair, Timestamp, VerifiedEntry};
use starling_engine::store::Table;
use starling_engine::{Config, Input};

use crate::network::{Network, open_relay, seed};
use crate::placement::{describe, know};

/// Kinds of messages.
const WANT: u8 = 3;
const INTERESTS: u8 = 1;
const DIGEST: u8 = 2;
const SKETCH: u8 = 27;
const COMPARED: u8 = 28;
const FORGOTTEN: u8 = 29;

/// The feed of the `n`th of many people.
pub(crate) fn feed(n: u16, entries: u64) -> Vec<Entry> {
    let key =
        |kind: u8| KeyPair::from_seed(&[&n.to_le_bytes()[..], &[kind; 30]].concat().try_into().unwrap());
    let (account, device) = (key(0xaa), key(0xdd));
    let id = AccountId(account.public());
    let since = Timestamp(1_700_000_000_000);
    let certificate = Certificate::issue(&account, DeviceId(device.public()), "laptop".into(), since);
    let mut prev = EntryId::default();
    let mut feed = Vec::new();
    for seq in 0..entries {
        let body = match seq {
            0 => Body::Certificate(certificate.clone()),
            _ => Body::Post(Post {
                text: format!("{seq}"),
                reply: None,
            }),
        };
        let position = Position {
            seq,
            prev,
            lamport: seq + 1,
        };
        let at = since.plus(Duration::from_secs(seq));
        let entry = VerifiedEntry::create(&device, position, id, at, &body);
        prev = entry.id();
        feed.push(entry.entry().clone());
    }
    feed
}

pub(crate) fn entries(net: &Network, peer: usize) -> usize {
    net.peers[peer].disk.len(Table::Entries)
}

pub(crate) fn give(net: &mut Network, peer: usize, n: u16, entries: u64) {
    net.input(peer, Input::Entries(feed(n, entries)));
}

/// What comparing has cost so far.
fn comparing(net: &Network) -> usize {
    let kinds = [DIGEST, SKETCH, COMPARED];
    kinds.iter().filter_map(|kind| net.traffic.get(kind)).sum()
}

#[test]
fn relays_find_what_differs_and_do_not_tell_the_rest() {
    let mut net = Network::new(seed());
    let relays = [net.add_relay(), net.add_relay()];
    for (n, relay) in relays.iter().enumerate() {
        describe(&mut net, *relay, n);
    }
    for n in 0..600 {
        // Of most, both have as much; of some one has more, of some the other, and some one lacks.
        let (one, other) = match n {
            0..20 => (5, 2),
            20..40 => (1, 4),
            40..45 => (3, 0),
            45..50 => (0, 3),
            _ => (2, 2),
        };
        give(&mut net, relays[0], n, one);
        give(&mut net, relays[1], n, other);
    }
    net.run_for_ms(1_000);
    know(&mut net, relays[1], relays[0]);
    net.run_for_ms(10_000);
    let all = 20 * 5 + 20 * 4 + 10 * 3 + 550 * 2;
    for relay in relays {
        assert_eq!(entries(&net, relay), all, "seed {}", net.seed);
    }
    let spent = comparing(&net);
    println!("{spent} bytes for 50 of 600 feeds");
    assert!(spent < 12_000, "{spent} bytes, seed {}", net.seed);
    assert!(net.traffic.contains_key(&SKETCH));
    // Linked again, with nothing new.
    net.traffic.clear();
    net.cut(relays[0], relays[1]);
    net.run_for_ms(60_000);
    let spent = comparing(&net);
    // Both dial, so it may be said twice.
    assert!(spent < 12_000, "{spent} bytes, seed {}", net.seed);
    assert!(net.traffic.contains_key(&SKETCH), "they are linked again");
}

#[test]
fn a_relay_that_has_next_to_nothing_is_told_all() {
    let mut net = Network::new(seed());
    let relays = [net.add_relay(), net.add_relay()];
    for n in 0..300 {
        give(&mut net, relays[1], n, 2);
    }
    give(&mut net, relays[0], 301, 2);
    net.run_for_ms(1_000);
    know(&mut net, relays[1], relays[0]);
    net.run_for_ms(10_000);
    for relay in relays {
        assert_eq!(entries(&net, relay), 602, "seed {}", net.seed);
    }
}

#[test]
fn repair_is_no_faster_than_it_may_be() {
    let mut net = Network::new(seed());
    let whole = net.add_relay();
    for n in 0..600 {
        give(&mut net, whole, n, 3);
    }
    net.run_for_ms(1_000);
    let wiped = net.add(Config {
        repair_bytes_per_s: 50_000,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    });
    know(&mut net, wiped, whole);
    net.run_for_ms(4_000);
    let early = entries(&net, wiped);
    net.run_for_ms(30_000);
    assert_eq!(entries(&net, wiped), 1_800, "seed {}", net.seed);
    // Some 300 bytes each; and what was asked for before the share was used up comes, too.
    assert!((1..1_200).contains(&early), "{early} at first, seed {}", net.seed);
}

#[test]
fn a_browser_that_comes_back_says_little_and_misses_nothing() {
    let mut net = Network::new(seed());
    let relay = net.add_relay();
    for n in 0..200 {
        give(&mut net, relay, n, 3);
    }
    net.run_for_ms(1_000);
    let ada = net.person("Ada");
    know(&mut net, ada, relay);
    for n in 0..200 {
        let account = feed(n, 1)[0].signed.header.account;
        net.follow_account(ada, account);
    }
    net.run_for_ms(10_000);
    let before = entries(&net, ada);
    assert!(before >= 600, "{before}, seed {}", net.seed);
    // Away, while others write, and back.
    let back = |net: &mut Network, upto: u64| {
        net.run_for_ms(1_000);
        net.partition(&[0, 1]);
        net.run_for_ms(60_000);
        for n in 0..10 {
            give(net, relay, n, upto);
        }
        net.traffic.clear();
        net.heal();
        net.run_for_ms(60_000);
    };
    back(&mut net, 4);
    assert_eq!(entries(&net, ada), before + 10, "seed {}", net.seed);
    let spent = comparing(&net) + net.traffic.get(&INTERESTS).copied().unwrap_or_default();
    println!("{spent} bytes for 10 of 200 feeds");
    assert!(spent < 2_000, "{spent} bytes, seed {}", net.seed);
    assert!(!net.traffic.contains_key(&FORGOTTEN), "seed {}", net.seed);
    // A relay that was restarted meanwhile has forgotten what she wants, and she says it again.
    net.crash(relay);
    net.run_for_ms(30_000);
    net.traffic.clear();
    net.start(relay);
    net.run_for_ms(1_000);
    for n in 0..10 {
        give(&mut net, relay, n, 6);
    }
    know(&mut net, ada, relay);
    net.run_for_ms(60_000);
    assert_eq!(entries(&net, ada), before + 30, "seed {}", net.seed);
    assert!(net.traffic.contains_key(&FORGOTTEN), "seed {}", net.seed);
}

#[test]
fn a_sketch_tells_of_no_own_entry_that_is_not_on_disk() {
    let mut net = Network::new(seed());
    let relay = net.add_relay();
    for n in 0..30 {
        give(&mut net, relay, n, 2);
    }
    net.run_for_ms(1_000);
    let ada = net.person("Ada");
    know(&mut net, ada, relay);
    for n in 0..30 {
        let account = feed(n, 1)[0].signed.header.account;
        net.follow_account(ada, account);
    }
    net.run_for_ms(10_000);
    // She posts while her disk is slow, and is linked again before it has written.
    net.persist_us = (90_000_000, 90_000_000);
    let post = net.post(ada, "slow");
    net.traffic.clear();
    net.cut(ada, relay);
    net.run_for_ms(60_000);
    assert!(
        net.traffic.contains_key(&SKETCH),
        "they compared, seed {}",
        net.seed
    );
    assert!(
        !net.traffic.contains_key(&WANT),
        "nothing differs, seed {}",
        net.seed
    );
    net.run_for_ms(35_000);
    let held = net.peers[relay].disk.view.rows(Table::Ids);
    assert!(
        held.contains_key(post.entry.id.0.as_slice()),
        "it came once it was written"
    );
}
