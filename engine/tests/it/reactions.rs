//! Reactions to posts: one of each account, on all its devices and at everybody who holds its feed.

use protocol::EntryRef;
use starling_engine::api::{
    Command, CommandResult, Error, Event, Query, QueryResult, ReactionView, Response, Timeline,
};
use starling_engine::store::{Batch, BatchId, Op, Strictness, Table};

use crate::network::{Network, seed};

fn react(net: &mut Network, peer: usize, post: EntryRef, emoji: &str) -> Response {
    let emoji = emoji.to_owned();
    net.command(peer, Command::React { post, emoji })
}

fn reacted(net: &mut Network, peer: usize, post: EntryRef, emoji: &str) {
    let done = react(net, peer, post, emoji);
    assert_eq!(done, Response::Done(CommandResult::Ok), "seed {}", net.seed);
}

/// What the page of the post shows: emoji, how many, and whether the own one.
fn shown(net: &mut Network, peer: usize, post: EntryRef) -> Vec<(String, u32, bool)> {
    let QueryResult::Thread(thread) = net.query(peer, Query::Thread { post }) else {
        panic!("no thread")
    };
    let reactions = thread.post.expect("it is held").beside.reactions;
    reactions
        .into_iter()
        .map(|it| (it.emoji, it.count, it.mine))
        .collect()
}

fn who(net: &mut Network, peer: usize, post: EntryRef) -> Vec<ReactionView> {
    match net.query(peer, Query::Reactions { post }) {
        QueryResult::Reactions(reactions) => reactions,
        other => panic!("{other:?}"),
    }
}

fn one(emoji: &str, mine: bool) -> Vec<(String, u32, bool)> {
    vec![(emoji.to_owned(), 1, mine)]
}

/// The emoji in the last event about the post.
fn last_event(net: &Network, peer: usize, post: EntryRef) -> Option<Vec<String>> {
    let events = net.peers[peer].events.iter().rev();
    let mut of_post = events.filter_map(|event| match event {
        Event::Beside { post: of, beside, .. } if *of == post => {
            let emoji = beside.reactions.iter().map(|it| it.emoji.clone());
            Some(emoji.collect())
        }
        _ => None,
    });
    of_post.next()
}

fn settle(net: &mut Network) {
    net.introduce_all();
    net.run_for_ms(4_000);
}

/// A relay, and Ada and Bob who follow each other; Ada wrote a post.
fn two_people() -> (Network, usize, usize, usize, EntryRef) {
    let mut net = Network::new(seed());
    let relay = net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    net.follow(ada, bob);
    settle(&mut net);
    let post = net.post(ada, "a post").entry;
    net.run_for_ms(2_000);
    (net, relay, ada, bob, post)
}

#[test]
fn a_reaction_is_seen_by_all_and_can_be_changed_and_taken_back() {
    let (mut net, relay, ada, bob, post) = two_people();
    reacted(&mut net, bob, post, "👍");
    assert_eq!(shown(&mut net, bob, post), one("👍", true), "at once");
    net.run_for_ms(2_000);
    for peer in [ada, relay] {
        assert_eq!(shown(&mut net, peer, post), one("👍", false), "peer {peer}");
    }
    assert_eq!(last_event(&net, ada, post), Some(vec!["👍".to_owned()]));
    let relays_events = net.peers[relay].events.iter();
    assert_eq!(
        relays_events
            .filter(|it| matches!(it, Event::Beside { .. }))
            .count(),
        0
    );
    let account = net.account(bob);
    let expected = ReactionView {
        account,
        name: "Bob".into(),
        emoji: "👍".into(),
    };
    assert_eq!(who(&mut net, ada, post), [expected]);

    reacted(&mut net, bob, post, "🎉");
    reacted(&mut net, ada, post, "🎉");
    net.run_for_ms(2_000);
    for (peer, mine) in [(ada, true), (bob, true), (relay, false)] {
        let expected = vec![("🎉".to_owned(), 2, mine)];
        assert_eq!(shown(&mut net, peer, post), expected, "peer {peer}");
    }
    assert_eq!(who(&mut net, relay, post).len(), 2);

    reacted(&mut net, bob, post, "");
    net.run_for_ms(2_000);
    for (peer, mine) in [(ada, true), (bob, false), (relay, false)] {
        assert_eq!(shown(&mut net, peer, post), one("🎉", mine), "peer {peer}");
    }
    let timeline = net.page(bob, Timeline::Home);
    assert_eq!(timeline[0].beside.reactions.len(), 1, "in lists too");
    assert_eq!(
        react(&mut net, bob, post, "no"),
        Response::Error(Error::NotAnEmoji)
    );
}

#[test]
fn a_reaction_given_offline_goes_out_later() {
    let (mut net, _, ada, bob, post) = two_people();
    net.partition(&[0, 0, 1]);
    net.run_for_ms(1_000);
    reacted(&mut net, bob, post, "❤️");
    assert_eq!(shown(&mut net, bob, post), one("❤️", true));
    net.run_for_ms(2_000);
    assert_eq!(shown(&mut net, ada, post), []);
    net.crash(bob);
    net.start(bob);
    assert_eq!(
        shown(&mut net, bob, post),
        one("❤️", true),
        "it survives a restart"
    );
    net.heal();
    settle(&mut net);
    net.run_for_ms(20_000);
    assert_eq!(shown(&mut net, ada, post), one("❤️", false));
}

#[test]
fn the_devices_of_a_person_agree() {
    let (mut net, _, ada, bob, post) = two_people();
    let QueryResult::Phrase(Some(words)) = net.query(bob, Query::Phrase) else {
        panic!("no phrase")
    };
    let second = net.add_browser();
    let restore = Command::Restore {
        phrase: words.join(" "),
        device_name: "laptop".into(),
    };
    net.command(second, restore);
    settle(&mut net);
    net.run_for_ms(5_000);
    reacted(&mut net, bob, post, "👍");
    net.run_for_ms(2_000);
    assert_eq!(shown(&mut net, second, post), one("👍", true));
    reacted(&mut net, second, post, "❤️");
    net.run_for_ms(2_000);
    for (peer, mine) in [(ada, false), (bob, true), (second, true)] {
        assert_eq!(shown(&mut net, peer, post), one("❤️", mine), "peer {peer}");
    }
    // Both react while they do not see each other: one of the two reactions counts, the same everywhere.
    net.partition(&[0, 0, 0, 1]);
    reacted(&mut net, bob, post, "🎉");
    reacted(&mut net, second, post, "👀");
    net.run_for_ms(2_000);
    net.heal();
    settle(&mut net);
    net.run_for_ms(20_000);
    let at_ada = shown(&mut net, ada, post);
    assert_eq!(at_ada.len(), 1, "{at_ada:?}");
    for peer in [bob, second] {
        assert_eq!(
            shown(&mut net, peer, post),
            one(&at_ada[0].0, true),
            "peer {peer}"
        );
    }
}

#[test]
fn a_reaction_after_a_fork_counts_nowhere() {
    let (mut net, relay, ada, bob, post) = two_people();
    reacted(&mut net, bob, post, "👍");
    net.run_for_ms(2_000);
    // Bob's browser profile is copied; the copy and the original go on without seeing each other.
    let copy = net.add_browser();
    net.crash(copy);
    net.model.forks_allowed = true;
    let copied = net.peers[bob].disk.copy();
    net.peers[copy].disk.replace(copied);
    let carol = net.person("Carol");
    let account = net.account(bob);
    net.follow_account(carol, account);
    let adas = net.account(ada);
    net.follow_account(carol, adas);
    settle(&mut net);
    net.crash(bob);
    net.partition(&[0, 0, 0, 1, 1]);
    net.start(copy);
    net.run_for_ms(100);
    reacted(&mut net, copy, post, "🎉");
    net.introduce_all();
    // The relay that it knows does not answer: what it writes is published after a while all the same.
    net.run_for_ms(20_000);
    assert_eq!(shown(&mut net, carol, post), one("🎉", false));
    net.crash(copy);
    net.start(bob);
    settle(&mut net);
    reacted(&mut net, bob, post, "❤️");
    net.run_for_ms(20_000);
    assert_eq!(shown(&mut net, ada, post), one("❤️", false));
    net.crash(bob);
    net.heal();
    net.introduce_all();
    net.run_for_ms(90_000);
    for peer in [ada, carol, relay] {
        assert_eq!(
            shown(&mut net, peer, post),
            one("👍", false),
            "peer {peer}, seed {}",
            net.seed
        );
    }
}

/// The disk as the version before reactions leaves it: the entries are there, and nothing is known of their kind.
fn by_an_earlier_version(net: &mut Network, peer: usize) {
    let disk = &mut net.peers[peer].disk;
    let delete = |table, key| Op::Delete { table, key };
    let rows = disk.rows(Table::Reactions).into_keys();
    let mut ops: Vec<_> = rows.map(|key| delete(Table::Reactions, key)).collect();
    assert_eq!(ops.len(), 1, "peer {peer}");
    ops.push(delete(Table::Meta, b"kinds".to_vec()));
    disk.change(&Batch {
        id: BatchId(0),
        strictness: Strictness::Strict,
        ops,
    });
}

#[test]
fn reactions_that_an_earlier_version_stored_are_shown_after_the_update() {
    let (mut net, relay, ada, bob, post) = two_people();
    reacted(&mut net, bob, post, "👍");
    net.run_for_ms(3_000);
    for (peer, mine) in [(ada, false), (bob, true), (relay, false)] {
        net.crash(peer);
        by_an_earlier_version(&mut net, peer);
        net.start(peer);
        net.run_for_ms(1_000);
        assert_eq!(shown(&mut net, peer, post), one("👍", mine), "peer {peer}");
        assert_eq!(
            net.texts(peer, Timeline::Public),
            ["a post"],
            "nothing else changed"
        );
    }
}
