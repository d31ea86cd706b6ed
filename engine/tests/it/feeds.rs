//! Forks and revocations.

use starling_engine::api::{
    Command, CommandResult, Error, Event, MeView, Query, QueryResult, Request, Response, Timeline,
};
use starling_engine::{Input, RequestId};

use crate::completeness::profile;
use crate::network::{Network, seed};

/// Ada's browser profile was copied: two engines with one device key.
fn copied_device() -> (Network, usize, usize, usize) {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    net.introduce_all();
    net.run_for_ms(3_000);
    net.post(ada, "before");
    net.run_for_ms(2_000);
    let copy = net.add_browser();
    net.crash(copy);
    net.model.forks_allowed = true;
    let copied = net.peers[ada].disk.copy();
    net.peers[copy].disk.replace(copied);
    net.crash(ada);
    net.start(copy);
    net.run_for_ms(100);
    (net, ada, bob, copy)
}

#[test]
fn a_fork_is_proven_frozen_shown_and_ends_in_the_same_views() {
    let (mut net, ada, bob, copy) = copied_device();
    let carol = net.person("Carol");
    let account = net.account(copy);
    net.follow_account(carol, account);
    net.introduce_all();
    net.run_for_ms(3_000);
    // The copy writes while the original is away, and another peer confirms it; then both come online.
    net.partition(&[0, 0, 0, 1, 1]);
    net.post(copy, "from the copy");
    net.run_for_ms(1_000);
    assert_eq!(net.texts(carol, Timeline::Home), ["from the copy", "before"]);
    net.start(ada);
    net.introduce_all();
    net.run_for_ms(100);
    net.post(ada, "from the original");
    net.post(ada, "another");
    net.run_for_ms(5_000);
    assert_eq!(
        net.texts(bob, Timeline::Home),
        ["another", "from the original", "before"]
    );
    net.crash(ada);
    net.run_for_ms(1_000);
    net.heal();
    net.introduce_all();
    net.run_for_ms(90_000);
    let account = net.account(copy);
    for peer in [bob, copy] {
        assert_eq!(
            net.texts(peer, Timeline::User(account)),
            ["before"],
            "frozen where it forked"
        );
        let QueryResult::Profile(profile) = net.query(peer, Query::Profile { account }) else {
            panic!()
        };
        assert!(profile.forked && !profile.is_complete(), "{profile:?}");
        assert_eq!(profile.posts(), 1, "what came after does not count");
    }
    assert!(
        net.peers[bob]
            .events
            .iter()
            .any(|event| matches!(event, Event::Forked { .. }))
    );
    let publish = Command::Publish {
        token: [3; 16],
        text: "no".into(),
        reply_to: None,
        slug: None,
    };
    assert_eq!(net.command(copy, publish), Response::Error(Error::Forked));

    // A newcomer gets the proof with the feed.
    let dora = net.person("Dora");
    net.follow_account(dora, account);
    net.introduce_all();
    net.run_for_ms(10_000);
    assert_eq!(net.texts(dora, Timeline::User(account)), ["before"]);
    assert!(profile(&mut net, dora, copy).forked);

    // The phrase makes a new device out of the broken one, and life goes on.
    let QueryResult::Phrase(Some(words)) = net.query(copy, Query::Phrase) else {
        panic!()
    };
    let restore = Command::Restore {
        phrase: words.join(" "),
        device_name: "again".into(),
    };
    assert_eq!(
        net.command(copy, restore),
        Response::Done(CommandResult::Account(account))
    );
    net.introduce_all();
    net.run_for_ms(5_000);
    net.post(copy, "again");
    net.run_for_ms(5_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["again", "before"]);
}

fn me(net: &mut Network, peer: usize) -> MeView {
    match net.query(peer, Query::Me) {
        QueryResult::Me(Some(me)) => me,
        other => panic!("{other:?}"),
    }
}

fn publish(text: &str) -> Command {
    Command::Publish {
        token: [7; 16],
        text: text.into(),
        reply_to: None,
        slug: None,
    }
}

#[test]
fn two_copies_that_are_open_at_once_take_each_others_links_seldom_and_say_so() {
    let (mut net, ada, _, copy) = copied_device();
    net.start(ada);
    for _ in 0..20 {
        // Dials that found the other copy, or nobody, are answered now.
        net.introduce_all();
        net.run_for_ms(1_000);
    }
    assert!(me(&mut net, ada).elsewhere || me(&mut net, copy).elsewhere);
    let before = net.opened;
    net.run_for_ms(120_000);
    let opened = net.opened - before;
    assert!(opened <= 12, "{opened} links in two minutes, seed {}", net.seed);
    assert!(me(&mut net, ada).elsewhere || me(&mut net, copy).elsewhere);
    net.crash(copy);
    net.run_for_ms(400_000);
    let original = me(&mut net, ada);
    assert!(!original.elsewhere && !original.forked, "{original:?}");
    assert!(!net.linked(ada).is_empty());
}

/// An old copy of a device wrote while no other peer saw it; then it came online. `by_copy` and `by_original`: what each of
/// them wrote.
fn old_copy<T: AsRef<str>>(by_copy: &[T], by_original: &[T]) -> (Network, usize, usize, usize) {
    let (mut net, ada, bob, copy) = copied_device();
    net.partition(&[0, 0, 0, 1]);
    for text in by_copy {
        net.post(copy, text.as_ref());
    }
    net.run_for_ms(1_000);
    net.start(ada);
    net.introduce_all();
    net.run_for_ms(100);
    for text in by_original {
        net.post(ada, text.as_ref());
    }
    net.run_for_ms(5_000);
    net.heal();
    net.introduce_all();
    net.run_for_ms(60_000);
    (net, ada, bob, copy)
}

#[test]
fn an_old_copy_of_a_device_takes_back_what_no_other_peer_has() {
    for (by_copy, by_original) in [(1, 2), (1, 1), (2, 1), (5, 2)] {
        let texts = |who: &str, n: usize| (0..n).map(|n| format!("{who} {n}")).collect::<Vec<_>>();
        let (by_copy, by_original) = (texts("copy", by_copy), texts("original", by_original));
        let (mut net, ada, bob, copy) = old_copy(&by_copy, &by_original);
        let account = net.account(ada);
        let mut expected = vec!["before".to_owned()];
        expected.extend(by_original);
        expected.reverse();
        for peer in [ada, bob, copy] {
            assert_eq!(
                net.texts(peer, Timeline::User(account)),
                expected,
                "peer {peer}, seed {}",
                net.seed
            );
            assert!(!profile(&mut net, peer, ada).forked, "peer {peer}");
        }
        let old = me(&mut net, copy);
        assert!(old.old_copy && old.set_aside as usize == by_copy.len(), "{old:?}");
        assert_eq!(net.command(copy, publish("no")), Response::Error(Error::OldCopy));
        let original = me(&mut net, ada);
        assert!(!original.old_copy && !original.forked, "{original:?}");
        net.post(ada, "the original goes on");
    }
}

#[test]
fn a_device_that_was_alone_while_a_copy_of_it_wrote_finds_that_out_before_it_publishes() {
    for (by_copy, by_other) in [(1, 3), (2, 2), (3, 1)] {
        let (mut net, other, bob, copy) = copied_device();
        // It runs all the time: a laptop that sleeps.
        net.introduce_all();
        net.run_for_ms(10_000);
        net.partition(&[0, 0, 0, 1]);
        net.run_for_ms(40_000);
        for n in 0..by_copy {
            net.post(copy, &format!("asleep {n}"));
        }
        net.run_for_ms(1_000);
        net.start(other);
        net.introduce_all();
        net.run_for_ms(3_000);
        let mut expected = vec!["before".to_owned()];
        for n in 0..by_other {
            let text = format!("other {n}");
            net.post(other, &text);
            expected.insert(0, text);
        }
        net.run_for_ms(5_000);
        let account = net.account(other);
        net.crash(other);
        net.heal();
        net.introduce_all();
        net.run_for_ms(60_000);
        for peer in [bob, copy] {
            assert_eq!(
                net.texts(peer, Timeline::User(account)),
                expected,
                "peer {peer}, {by_copy} beside {by_other}, seed {}",
                net.seed
            );
            assert!(!profile(&mut net, peer, copy).forked, "peer {peer}");
        }
        let old = me(&mut net, copy);
        assert!(old.old_copy && old.set_aside == by_copy, "{old:?}");
    }
}

#[test]
fn an_old_copy_becomes_a_device_of_its_own_and_keeps_its_posts() {
    let (mut net, ada, bob, copy) = old_copy(&["from the copy"], &["from the original", "another"]);
    let account = net.account(ada);
    // It is still an old copy after a restart, and what was set aside is still there.
    net.crash(copy);
    net.start(copy);
    net.introduce_all();
    net.run_for_ms(5_000);
    assert!(me(&mut net, copy).old_copy);
    let begin = Command::BeginAsNewDevice {
        phrase: None,
        device_name: "the copy".into(),
    };
    assert_eq!(
        net.command(copy, begin),
        Response::Done(CommandResult::Account(account))
    );
    net.introduce_all();
    net.run_for_ms(10_000);
    net.post(copy, "and goes on");
    net.run_for_ms(10_000);
    for peer in [ada, bob, copy] {
        let mut texts = net.texts(peer, Timeline::User(account));
        texts.sort();
        assert_eq!(
            texts,
            [
                "and goes on",
                "another",
                "before",
                "from the copy",
                "from the original"
            ],
            "peer {peer}, seed {}",
            net.seed
        );
    }
    let new = me(&mut net, copy);
    assert!(
        !new.old_copy && new.set_aside == 0 && new.devices.len() == 2,
        "{new:?}"
    );
}

/// The copy wrote after what the original wrote: one feed, whole at both, and no old copy.
fn assert_went_on(net: &mut Network, bob: usize, copy: usize) {
    let account = net.account(copy);
    for peer in [bob, copy] {
        assert_eq!(
            net.texts(peer, Timeline::User(account)),
            ["after that", "from the original", "before"],
            "peer {peer}, seed {}",
            net.seed
        );
    }
    assert!(!me(net, copy).old_copy);
}

#[test]
fn a_device_that_lags_behind_its_own_feed_fetches_it_before_it_signs() {
    let (mut net, ada, bob, copy) = copied_device();
    net.crash(copy);
    net.start(ada);
    net.introduce_all();
    net.run_for_ms(1_000);
    net.post(ada, "from the original");
    net.run_for_ms(5_000);
    net.crash(ada);
    // The machine was set back: the same device, as it was before.
    net.start(copy);
    net.introduce_all();
    net.run_for_ms(300);
    net.post(copy, "after that");
    net.run_for_ms(10_000);
    assert_went_on(&mut net, bob, copy);
}

#[test]
fn a_neighbour_that_never_had_the_feed_does_not_end_the_check() {
    let (mut net, ada, bob, copy) = copied_device();
    net.crash(copy);
    net.start(ada);
    let carol = net.person("Carol");
    net.introduce_all();
    net.run_for_ms(1_000);
    net.post(ada, "from the original");
    net.run_for_ms(5_000);
    net.crash(ada);
    // The machine was set back, and reaches Carol alone at first.
    let together: Vec<u32> = (0..net.peers.len())
        .map(|peer| u32::from(peer == copy || peer == carol))
        .collect();
    net.partition(&together);
    net.start(copy);
    net.introduce_all();
    net.run_for_ms(500);
    let id = RequestId(1);
    let request = Request::Command(publish("after that"));
    net.input(copy, Input::Request { id, request });
    net.run_for_ms(500);
    net.heal();
    net.introduce_all();
    net.run_for_ms(10_000);
    assert_went_on(&mut net, bob, copy);
}

#[test]
fn a_revoked_device_is_void_from_there_on_and_its_past_stays() {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    let QueryResult::Phrase(Some(words)) = net.query(ada, Query::Phrase) else {
        panic!()
    };
    let phone = net.add_browser();
    net.command(
        phone,
        Command::Restore {
            phrase: words.join(" "),
            device_name: "phone".into(),
        },
    );
    net.introduce_all();
    net.run_for_ms(5_000);
    net.post(phone, "mine");
    net.run_for_ms(3_000);
    let QueryResult::Me(Some(me)) = net.query(phone, Query::Me) else {
        panic!()
    };
    // The phone is stolen; offline it writes on.
    net.partition(&[0, 0, 0, 1]);
    net.post(phone, "stolen");
    let other = words.iter().rev().cloned().collect::<Vec<_>>().join(" ");
    assert!(matches!(
        net.command(
            ada,
            Command::RevokeDevice {
                phrase: other,
                device: me.device
            }
        ),
        Response::Error(Error::PhraseChecksum | Error::PhraseOfOther)
    ));
    let revoke = Command::RevokeDevice {
        phrase: words.join(" "),
        device: me.device,
    };
    assert_eq!(net.command(ada, revoke), Response::Done(CommandResult::Ok));
    net.run_for_ms(2_000);
    net.heal();
    net.introduce_all();
    net.run_for_ms(60_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["mine"]);
    let seen = profile(&mut net, bob, ada);
    assert!(seen.is_complete(), "what is void is not missing: {seen:?}");
    assert_eq!(seen.posts(), 1);
    assert_eq!(
        net.texts(phone, Timeline::Home),
        ["mine"],
        "the stolen device learns of it as well"
    );
    let publish = Command::Publish {
        token: [3; 16],
        text: "no".into(),
        reply_to: None,
        slug: None,
    };
    assert_eq!(net.command(phone, publish), Response::Error(Error::Revoked));
}

#[test]
fn nobody_revokes_another_persons_device() {
    use protocol::entry::Position;
    use protocol::kinds::Body;
    use protocol::kinds::Revocation;
    use protocol::messages::{Message, Push};
    use protocol::{AccountId, DeviceId, EntryId, KeyPair, Timestamp, VerifiedEntry};

    use crate::hostile::{Victim, certificate};

    let mut victim = Victim::new();
    let (mallory, phone) = (KeyPair::from_seed(&[21; 32]), KeyPair::from_seed(&[22; 32]));
    let (ada, laptop) = (KeyPair::from_seed(&[23; 32]), KeyPair::from_seed(&[24; 32]));
    victim.link(&phone);
    let first = certificate(&mallory, &phone);
    let body = Revocation::issue(
        &mallory,
        DeviceId(laptop.public()),
        0,
        EntryId::default(),
        Timestamp(2),
    );
    let at = Position {
        seq: 1,
        prev: first.id(),
        lamport: 2,
    };
    let account = AccountId(mallory.public());
    let second = VerifiedEntry::create(&phone, at, account, Timestamp(2), &Body::Revocation(body));
    for entry in [first, second, certificate(&ada, &laptop)] {
        victim.message(&Message::Push(Push {
            hops: 1,
            tree: 0,
            entry: entry.entry().clone(),
        }));
    }
    assert_eq!(
        victim.disk.len(starling_engine::store::Table::Entries),
        3,
        "Ada's feed is taken in"
    );
}
