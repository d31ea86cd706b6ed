//! What a profile claims of a person's posts: that all of them are there is said only when it is so.

use starling_engine::api::{Command, ProfileView, Query, QueryResult, Timeline};
use starling_engine::store::{Batch, BatchId, Op, Strictness, Table};

use crate::network::{Network, seed};

pub(crate) fn profile(net: &mut Network, at: usize, of: usize) -> ProfileView {
    let account = net.account(of);
    match net.query(at, Query::Profile { account }) {
        QueryResult::Profile(profile) => profile,
        other => panic!("{other:?}"),
    }
}

/// Ada, whom Bob follows, and a relay; all are linked.
fn ada_and_bob() -> (Network, usize, usize) {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    net.introduce_all();
    net.run_for_ms(3_000);
    (net, ada, bob)
}

#[test]
fn a_neighbour_that_is_ahead_makes_a_feed_incomplete_until_all_is_here() {
    let (mut net, ada, bob) = ada_and_bob();
    for text in ["one", "two", "three"] {
        net.post(ada, text);
    }
    net.run_for_ms(3_000);
    let before = profile(&mut net, bob, ada);
    assert!(before.is_complete(), "{before:?}, seed {}", net.seed);
    assert_eq!((before.posts(), before.missing()), (3, 0));
    assert!(before.reported_by >= 1, "{before:?}");

    // Bob is away, as long as it takes Ada to write five more.
    net.partition(&[0, 0, 1]);
    net.run_for_ms(2_000);
    let away = profile(&mut net, bob, ada);
    assert_eq!(
        (away.posts(), away.reported_by),
        (3, 0),
        "nobody is there to ask: {away:?}"
    );
    assert!(away.compared.is_some(), "but another account was");
    let mut last = None;
    for n in 0..5 {
        last = Some(net.post(ada, &format!("unseen {n}")).timestamp);
    }
    net.run_for_ms(3_000);
    net.heal();
    net.introduce_all();
    let mut most = 0;
    for _ in 0..30_000 {
        let now = profile(&mut net, bob, ada);
        most = now.missing().max(most);
        if now.missing() > 0 {
            assert!(!now.is_complete(), "{now:?}");
            assert_eq!(now.posts() + now.missing(), 8, "{now:?}");
        }
        if now.posts() == 8 {
            break;
        }
        net.run_for_ms(1);
    }
    assert_eq!(most, 5, "what was missing was said meanwhile, seed {}", net.seed);
    net.run_for_ms(1_000);
    let after = profile(&mut net, bob, ada);
    assert!(after.is_complete(), "{after:?}");
    assert_eq!((after.posts(), after.signed_at()), (8, last), "{after:?}");
    let theirs = profile(&mut net, ada, ada);
    assert_eq!(
        theirs.feeds[0].head, after.feeds[0].head,
        "the same head as the author's own"
    );
    assert!(
        theirs.is_complete(),
        "others told Ada how far they have it: {theirs:?}"
    );
}

#[test]
fn nothing_is_claimed_before_anybody_was_asked() {
    let (mut net, ada, bob) = ada_and_bob();
    net.post(ada, "one");
    net.run_for_ms(3_000);
    assert!(profile(&mut net, bob, ada).is_complete(), "seed {}", net.seed);
    // Bob comes back with nobody there: the posts are counted, and that is all.
    net.crash(bob);
    net.partition(&[0, 0, 1]);
    net.start(bob);
    net.run_for_ms(3_000);
    let alone = profile(&mut net, bob, ada);
    assert!(!alone.is_complete(), "{alone:?}");
    assert_eq!((alone.posts(), alone.compared), (1, None));
    net.heal();
    net.introduce_all();
    net.run_for_ms(10_000);
    assert!(profile(&mut net, bob, ada).is_complete(), "seed {}", net.seed);
}

#[test]
fn a_rebuild_counts_the_same_posts() {
    let (mut net, ada, bob) = ada_and_bob();
    for n in 0..520 {
        net.post(ada, &format!("{n}"));
    }
    net.run_for_ms(10_000);
    let before = profile(&mut net, bob, ada);
    assert_eq!(before.posts(), 520, "seed {}", net.seed);
    net.command(bob, Command::RebuildViews);
    let usual = std::mem::replace(&mut net.load_us, (50_000, 50_000));
    for _ in 0..200 {
        net.run_for_ms(10);
        let meanwhile = profile(&mut net, bob, ada);
        assert_eq!(meanwhile.posts(), 520, "also while it lasts, seed {}", net.seed);
    }
    net.load_us = usual;
    net.command(bob, Command::RebuildViews);
    net.post(ada, "meanwhile");
    net.run_for_ms(10_000);
    let after = profile(&mut net, bob, ada);
    assert_eq!(after.posts(), 521);
    assert_eq!(net.page(bob, Timeline::User(before.account)).len(), 521);
    assert!(after.is_complete() && after.signed_at() > before.signed_at());
}

/// Takes the last number off a row.
fn shorten(row: &mut Vec<u8>) {
    row.pop();
    while row.last().is_some_and(|byte| byte & 0x80 != 0) {
        row.pop();
    }
}

#[test]
fn feeds_stored_before_posts_were_counted_are_kept_and_counted() {
    let (mut net, ada, bob) = ada_and_bob();
    for text in ["one", "two", "three"] {
        net.post(ada, text);
    }
    net.post(bob, "mine");
    net.run_for_ms(3_000);
    let (before, own) = (profile(&mut net, bob, ada), profile(&mut net, bob, bob));
    assert_eq!((before.posts(), own.posts()), (3, 1), "seed {}", net.seed);
    net.crash(bob);
    let rows = net.peers[bob].disk.rows(Table::Feeds);
    let ops = rows.into_iter().map(|(key, mut value)| {
        let table = Table::Feeds;
        // When it was signed, and how many posts there are.
        shorten(&mut value);
        shorten(&mut value);
        Op::Put { table, key, value }
    });
    let batch = Batch {
        id: BatchId(0),
        strictness: Strictness::Strict,
        ops: ops.collect(),
    };
    net.peers[bob].disk.change(&batch);
    // Nobody is there to have them from.
    net.partition(&[0, 0, 1]);
    net.start(bob);
    net.run_for_ms(5_000);
    let after = profile(&mut net, bob, ada);
    assert_eq!(after.feeds, before.feeds, "seed {}", net.seed);
    assert_eq!(profile(&mut net, bob, bob).feeds, own.feeds);
    assert_eq!(
        net.post(bob, "one more").seq,
        own.entries,
        "no number is used twice"
    );
}
