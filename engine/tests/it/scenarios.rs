//! What people do, in small networks.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::kinds::Body;
use protocol::{Entry, EntryId, VerifiedEntry, codec};
use starling_engine::api::{
    Command, CommandResult, Error, Event, Page, Query, QueryResult, Request, Response, Timeline,
};
use starling_engine::memory::MemoryStore;
use starling_engine::store::Table;
use starling_engine::{Input, RequestId};

use crate::network::{Network, seed};

fn settle(net: &mut Network) {
    net.introduce_all();
    net.run_for_ms(5_000);
}

/// A relay, Ada, and Bob who follows her.
fn trio() -> (Network, usize, usize, usize) {
    let mut net = Network::new(seed());
    let relay = net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    settle(&mut net);
    (net, relay, ada, bob)
}

#[test]
fn a_post_reaches_a_follower_and_is_shown_with_its_author() {
    let (mut net, _, ada, bob) = trio();
    net.post(ada, "hello");
    net.run_for_ms(500);
    let home = net.page(bob, Timeline::Home);
    assert_eq!(home.len(), 1);
    assert_eq!(
        (home[0].text.as_str(), home[0].name.as_str(), home[0].mine),
        ("hello", "Ada", false)
    );
    let told = net.peers[bob]
        .events
        .iter()
        .any(|event| matches!(event, Event::Posts { posts, .. } if posts[0].text == "hello"));
    assert!(told, "the interface gets an event without asking");
}

#[test]
fn through_a_relay_when_browsers_cannot_link() {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.block(ada, bob);
    net.follow(bob, ada);
    settle(&mut net);
    net.post(ada, "by relay");
    net.run_for_ms(1_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["by relay"]);
}

#[test]
fn directly_when_the_relay_is_dead() {
    let (mut net, relay, ada, bob) = trio();
    net.crash(relay);
    net.run_for_ms(1_000);
    net.post(ada, "still here");
    net.run_for_ms(1_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["still here"]);
}

#[test]
fn posts_written_alone_arrive_in_order_when_the_relay_returns() {
    let (mut net, relay, ada, bob) = trio();
    net.block(ada, bob);
    net.cut(ada, bob);
    net.crash(relay);
    net.run_for_ms(2_000);
    for text in ["one", "two", "three"] {
        net.post(ada, text);
        net.run_for_ms(10);
    }
    let QueryResult::Status(status) = net.query(ada, Query::Status) else {
        panic!()
    };
    assert!(status.waiting >= 3, "they wait, and it is said: {status:?}");
    net.start(relay);
    net.run_for_ms(60_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["three", "two", "one"]);
    let QueryResult::Status(status) = net.query(ada, Query::Status) else {
        panic!()
    };
    assert_eq!((status.waiting, status.not_durable), (0, 0));
}

#[test]
fn a_relay_has_everything_it_gave_a_receipt_for_after_a_crash() {
    let (mut net, relay, ada, _) = trio();
    for n in 0..200 {
        net.post(ada, &format!("post {n}"));
        net.run_for_ms(3);
    }
    net.crash(relay);
    let rows = net.peers[relay].disk.rows(Table::Entries);
    let on_disk: BTreeMap<EntryId, VerifiedEntry> = rows
        .values()
        .map(|row| codec::decode::<Entry>(row).unwrap().verify().unwrap())
        .map(|entry| (entry.id(), entry))
        .collect();
    let posts = net.page(ada, Timeline::Home);
    let mut receipted = 0;
    for post in &posts {
        if post.durability.is_none_or(|durability| durability.relays == 0) {
            continue;
        }
        receipted += 1;
        let kept = on_disk
            .get(&post.entry.id)
            .unwrap_or_else(|| panic!("{:?} had a receipt and is not on the disk", post.text));
        assert_eq!(kept.header().seq, post.seq, "{:?}", post.text);
        assert_eq!(kept.header().device, post.device, "{:?}", post.text);
        assert!(
            matches!(Body::decode(kept.header().kind, kept.body()), Some(Body::Post(kept)) if kept.text == post.text),
            "{:?} is another entry on the disk",
            post.text
        );
    }
    assert!(receipted > 0, "the crash came after some receipts");
    assert!(receipted < posts.len(), "the crash came before the last receipt");
}

#[test]
fn durability_is_told_step_by_step() {
    let (mut net, _, ada, _) = trio();
    let post = net.post(ada, "safe?");
    assert_eq!(
        post.durability.map(|d| (d.saved, d.peers, d.relays)),
        Some((false, 0, 0))
    );
    net.run_for_ms(2_000);
    let last = net.peers[ada].events.iter().rev().find_map(|event| match event {
        Event::Durability { post: of, durability } if *of == post.entry => Some(*durability),
        _ => None,
    });
    assert_eq!(
        last.map(|d| (d.saved, d.peers, d.relays, d.relays_known)),
        Some((true, 1, 1, 1))
    );
}

#[test]
fn a_second_device_has_its_own_feed_and_both_show_as_one_person() {
    let (mut net, _, ada, bob) = trio();
    let QueryResult::Phrase(Some(words)) = net.query(ada, Query::Phrase) else {
        panic!()
    };
    let second = net.add_browser();
    let restored = net.command(
        second,
        Command::Restore {
            phrase: words.join(" "),
            device_name: "laptop".into(),
        },
    );
    let account = net.account(ada);
    assert_eq!(restored, Response::Done(CommandResult::Account(account)));
    settle(&mut net);
    net.post(ada, "from the phone");
    net.run_for_ms(50);
    net.post(second, "from the laptop");
    net.run_for_ms(3_000);
    for peer in [ada, second, bob] {
        assert_eq!(
            net.texts(peer, Timeline::User(account)),
            ["from the laptop", "from the phone"]
        );
    }
    let page = net.page(bob, Timeline::User(account));
    assert_ne!(page[0].device, page[1].device);
    assert_eq!(page[0].name, "Ada");
    let QueryResult::Me(Some(me)) = net.query(ada, Query::Me) else {
        panic!()
    };
    assert_eq!(me.devices.len(), 2);
    assert!(!me.forked);
}

#[test]
fn a_place_in_one_timeline_is_none_in_another() {
    let (mut net, _, ada, bob) = trio();
    for peer in [ada, bob] {
        net.post(peer, "one");
        net.post(peer, "two");
    }
    let (ada_is, bob_is) = (net.account(ada), net.account(bob));
    net.follow(ada, bob);
    net.run_for_ms(3_000);
    let page = |net: &mut Network, account, after| {
        let timeline = Timeline::User(account);
        net.ask(
            ada,
            Request::Query(Query::Timeline {
                timeline,
                after,
                limit: 1,
            }),
        )
    };
    let mut places = Vec::new();
    for account in [ada_is, bob_is] {
        let Response::Result(reply) = page(&mut net, account, None) else {
            panic!()
        };
        let QueryResult::Page(Page { next: Some(next), .. }) = *reply else {
            panic!()
        };
        assert!(matches!(
            page(&mut net, account, Some(next.clone())),
            Response::Result(_)
        ));
        places.push(next);
    }
    places.reverse();
    for (account, place) in [ada_is, bob_is].into_iter().zip(places) {
        assert_eq!(
            page(&mut net, account, Some(place)),
            Response::Error(Error::NotFound)
        );
    }
}

#[test]
fn everything_that_had_synced_comes_back_from_the_phrase_alone() {
    let (mut net, _, ada, bob) = trio();
    net.follow(ada, bob);
    let bio = Command::EditProfile {
        name: "Ada L.".into(),
        bio: "counts".into(),
    };
    assert_eq!(net.command(ada, bio), Response::Done(CommandResult::Ok));
    for n in 0..40 {
        net.post(ada, &format!("post {n}"));
        net.run_for_ms(20);
    }
    net.post(bob, "hello Ada");
    net.run_for_ms(3_000);
    let QueryResult::Phrase(Some(words)) = net.query(ada, Query::Phrase) else {
        panic!()
    };
    let before = net.texts(ada, Timeline::Home);
    // The browser's site data is cleared.
    net.crash(ada);
    net.peers[ada].disk.replace(MemoryStore::default());
    net.start(ada);
    assert!(matches!(net.query(ada, Query::Me), QueryResult::Me(None)));
    let restore = Command::Restore {
        phrase: words.join("  ").to_uppercase(),
        device_name: "new".into(),
    };
    assert!(matches!(
        net.command(ada, restore),
        Response::Done(CommandResult::Account(_))
    ));
    settle(&mut net);
    net.run_for_ms(5_000);
    assert_eq!(net.texts(ada, Timeline::Home), before);
    let QueryResult::Me(Some(me)) = net.query(ada, Query::Me) else {
        panic!()
    };
    assert_eq!(
        (me.name.as_str(), me.bio.as_str(), me.following),
        ("Ada L.", "counts", 1)
    );
    assert!(me.phrase_confirmed);
}

#[test]
fn a_restart_keeps_everything_that_was_saved() {
    let (mut net, _, ada, _) = trio();
    net.post(ada, "kept");
    net.run_for_ms(1_000);
    net.crash(ada);
    net.start(ada);
    assert_eq!(net.texts(ada, Timeline::Home), ["kept"]);
    let post = net.post(ada, "and on");
    assert_eq!(post.seq, 3, "certificate, profile, post, this");
}

#[test]
fn a_repeated_token_is_the_same_post() {
    let (mut net, _, ada, bob) = trio();
    let publish = Command::Publish {
        token: [7; 16],
        text: "once".into(),
        reply_to: None,
        slug: None,
    };
    let Response::Done(CommandResult::Published(first)) = net.command(ada, publish.clone()) else {
        panic!()
    };
    net.run_for_ms(1_000);
    net.crash(ada);
    net.start(ada);
    let Response::Done(CommandResult::Published(second)) = net.command(ada, publish) else {
        panic!()
    };
    assert_eq!(first.entry, second.entry);
    settle(&mut net);
    assert_eq!(net.texts(bob, Timeline::Home), ["once"]);
}

#[test]
fn unfollowing_empties_home_and_following_again_fills_it() {
    let (mut net, _, ada, bob) = trio();
    net.post(ada, "here");
    net.run_for_ms(1_000);
    let account = net.account(ada);
    net.command(bob, Command::Unfollow { account });
    assert!(net.texts(bob, Timeline::Home).is_empty());
    net.post(ada, "unseen");
    net.run_for_ms(1_000);
    net.command(bob, Command::Follow { account });
    net.run_for_ms(2_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["unseen", "here"]);
}

#[test]
fn looking_at_a_stranger_fetches_and_a_nobody_is_given_up() {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, eve) = (net.person("Ada"), net.person("Eve"));
    net.block(ada, eve);
    settle(&mut net);
    net.post(ada, "public");
    net.run_for_ms(1_000);
    let account = net.account(ada);
    let QueryResult::Profile(profile) = net.query(eve, Query::Profile { account }) else {
        panic!()
    };
    assert!(profile.searching && profile.name.is_empty());
    net.run_for_ms(2_000);
    let QueryResult::Profile(profile) = net.query(eve, Query::Profile { account }) else {
        panic!()
    };
    assert_eq!((profile.name.as_str(), profile.searching), ("Ada", false));
    assert_eq!(net.texts(eve, Timeline::User(account)), ["public"]);
    assert!(net.texts(eve, Timeline::Home).is_empty());

    let nobody = protocol::AccountId([9; 32]);
    net.query(eve, Query::Profile { account: nobody });
    net.run_for_ms(10_000);
    let QueryResult::Profile(profile) = net.query(eve, Query::Profile { account: nobody }) else {
        panic!()
    };
    assert!(!profile.searching);
}

#[test]
fn a_thread_shows_what_is_answered_and_what_answers() {
    let (mut net, _, ada, bob) = trio();
    net.follow(ada, bob);
    net.run_for_ms(1_000);
    let root = net.post(ada, "question");
    net.run_for_ms(1_000);
    let reply_to = |post: &starling_engine::api::PostView| protocol::kinds::ReplyTo {
        root: post.reply.as_ref().map_or(post.entry, |reply| reply.root),
        parent: post.entry,
    };
    let publish = |text: &str, n, to| Command::Publish {
        token: [n; 16],
        text: text.into(),
        reply_to: Some(to),
        slug: None,
    };
    let Response::Done(CommandResult::Published(answer)) =
        net.command(bob, publish("answer", 1, reply_to(&root)))
    else {
        panic!()
    };
    net.run_for_ms(1_000);
    net.command(ada, publish("thanks", 2, reply_to(&answer)));
    net.run_for_ms(1_000);
    for peer in [ada, bob] {
        let QueryResult::Thread(thread) = net.query(peer, Query::Thread { post: answer.entry }) else {
            panic!()
        };
        let texts = |posts: &[starling_engine::api::PostView]| {
            posts.iter().map(|post| post.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            thread.post.map(|post| (post.text, post.beside.replies)),
            Some(("answer".into(), 1))
        );
        assert_eq!(texts(&thread.ancestors), ["question"]);
        assert_eq!(texts(&thread.replies), ["thanks"]);
    }
    assert_eq!(net.texts(ada, Timeline::Activity), ["answer"]);
    // In a thread of Ada's, though not an answer to her.
    net.command(bob, publish("by the way", 3, reply_to(&answer)));
    net.run_for_ms(1_000);
    assert_eq!(net.texts(ada, Timeline::Activity), ["by the way", "answer"]);
    // Each post itself says what the activity timeline says, for everybody.
    for peer in [ada, bob] {
        let activity = net.texts(peer, Timeline::Activity);
        let posts = net.page(peer, Timeline::Public);
        assert_eq!(posts.len(), 4);
        for post in posts {
            assert_eq!(post.in_activity, activity.contains(&post.text), "{}", post.text);
        }
    }
}

#[test]
fn a_post_from_the_future_waits_for_its_time() {
    let (mut net, _, ada, bob) = trio();
    // Ada's clock is ahead, by little and by much: what she posts is handed to her engine in a time of its own.
    for (token, minutes) in [(1, 9), (2, 20)] {
        let mut ahead = net.now();
        ahead.wall = ahead.wall.plus(Duration::from_secs(minutes * 60));
        let request = Request::Command(Command::Publish {
            token: [token; 16],
            text: format!("in {minutes} minutes"),
            reply_to: None,
            slug: None,
        });
        if let Some(engine) = &mut net.peers[ada].engine {
            engine.handle(
                ahead,
                Input::Request {
                    id: RequestId(1),
                    request,
                },
            );
        }
        net.input(ada, Input::Tick);
    }
    net.post(ada, "now");
    net.run_for_ms(1_000);
    let early = ["in 9 minutes", "now"];
    for peer in [ada, bob] {
        assert_eq!(
            net.texts(peer, Timeline::Home),
            early,
            "ten minutes are believed, more pins nothing to the top"
        );
    }
    net.run_for_ms(9 * 60_000);
    assert_eq!(net.texts(bob, Timeline::Home), early);
    net.run_for_ms(60_000);
    for peer in [ada, bob] {
        let late = ["in 20 minutes", "in 9 minutes", "now"];
        assert_eq!(net.texts(peer, Timeline::Home), late, "its time has come");
    }
}

#[test]
fn bad_commands_change_nothing_and_say_why() {
    let (mut net, _, ada, _) = trio();
    let check =
        |net: &mut Network, command, error| assert_eq!(net.command(ada, command), Response::Error(error));
    let publish = |text: String| Command::Publish {
        token: [1; 16],
        text,
        reply_to: None,
        slug: None,
    };
    check(&mut net, publish("  \n ".into()), Error::Empty);
    check(
        &mut net,
        publish("x".repeat(3_001)),
        Error::TooLong { max: 3_000 },
    );
    check(
        &mut net,
        Command::CreateAccount {
            name: "x".into(),
            device_name: String::new(),
        },
        Error::HasAccount,
    );
    let stranger = net.add_browser();
    let restore = |phrase: &str| Command::Restore {
        phrase: phrase.into(),
        device_name: String::new(),
    };
    let word = Error::PhraseWord {
        position: 1,
        word: "bandon".into(),
    };
    assert_eq!(
        net.command(stranger, restore("abandon bandon")),
        Response::Error(word)
    );
    assert_eq!(
        net.command(stranger, restore("abandon")),
        Response::Error(Error::PhraseLength { words: 1 })
    );
    assert_eq!(
        net.command(stranger, restore(&"abandon ".repeat(24))),
        Response::Error(Error::PhraseChecksum)
    );
    assert_eq!(
        net.command(stranger, publish("x".into())),
        Response::Error(Error::NoAccount)
    );
}

#[test]
fn rebuilt_views_equal_the_first_ones() {
    let (mut net, relay, ada, bob) = trio();
    for n in 0..30 {
        net.post(if n % 3 == 0 { bob } else { ada }, &format!("post {n}"));
        net.run_for_ms(40);
    }
    net.run_for_ms(3_000);
    for peer in [bob, relay] {
        let before = net.peers[peer].disk.view.clone();
        assert_eq!(
            net.command(peer, Command::RebuildViews),
            Response::Done(CommandResult::Ok)
        );
        net.run_for_ms(3_000);
        for table in [
            Table::Ids,
            Table::ByTime,
            Table::ByAccount,
            Table::ByParent,
            Table::Profiles,
            Table::Follows,
            Table::Meta,
        ] {
            assert_eq!(
                net.peers[peer].disk.view.rows(table),
                before.rows(table),
                "{}",
                table.name()
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let (mut net, relay, ada, bob) = trio();
        for n in 0..20 {
            net.post(ada, &format!("{n}"));
            net.run_for_ms(7);
        }
        net.crash(relay);
        net.run_for_ms(1_000);
        net.start(relay);
        net.post(bob, "end");
        net.run_for_ms(5_000);
        net.trace.finalize()
    };
    assert_eq!(run(), run());
}

#[test]
fn relays_only_links_with_no_person() {
    let (mut net, _, ada, bob) = trio();
    net.command(bob, Command::SetRelaysOnly { on: true });
    net.run_for_ms(3_000);
    net.introduce_all();
    net.run_for_ms(3_000);
    let QueryResult::Network(network) = net.query(bob, Query::Network) else {
        panic!()
    };
    assert!(!network.links.is_empty() && network.links.iter().all(|link| link.relay));
    net.post(ada, "still arrives");
    net.run_for_ms(1_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["still arrives"]);
}
