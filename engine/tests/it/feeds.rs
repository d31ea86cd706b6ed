//! Forks and revocations.

use starling_engine::api::{Answer, Command, Event, Outcome, Query, Refusal, Reply, Timeline};

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
    // The copy writes while the original is away, unseen by anybody; then both come online.
    net.partition(&[0, 0, 0, 1]);
    net.post(copy, "from the copy");
    net.run_for_ms(1_000);
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
        let Reply::Profile(profile) = net.query(peer, Query::Profile { account }) else {
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
    assert_eq!(net.command(copy, publish), Answer::Refused(Refusal::Forked));

    // The phrase makes a new device out of the broken one, and life goes on.
    let Reply::Phrase(Some(words)) = net.query(copy, Query::Phrase) else {
        panic!()
    };
    let restore = Command::Restore {
        phrase: words.join(" "),
        device_name: "anew".into(),
    };
    assert_eq!(
        net.command(copy, restore),
        Answer::Done(Outcome::Account(account))
    );
    net.introduce_all();
    net.run_for_ms(5_000);
    net.post(copy, "anew");
    net.run_for_ms(5_000);
    assert_eq!(net.texts(bob, Timeline::Home), ["anew", "before"]);
}

#[test]
fn a_revoked_device_is_void_from_there_on_and_its_past_stays() {
    let mut net = Network::new(seed());
    net.add_relay();
    let (ada, bob) = (net.person("Ada"), net.person("Bob"));
    net.follow(bob, ada);
    let Reply::Phrase(Some(words)) = net.query(ada, Query::Phrase) else {
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
    let Reply::Me(Some(me)) = net.query(phone, Query::Me) else {
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
        Answer::Refused(Refusal::PhraseChecksum | Refusal::PhraseOfOther)
    ));
    let revoke = Command::RevokeDevice {
        phrase: words.join(" "),
        device: me.device,
    };
    assert_eq!(net.command(ada, revoke), Answer::Done(Outcome::Ok));
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
    assert_eq!(net.command(phone, publish), Answer::Refused(Refusal::Revoked));
}

#[test]
fn nobody_revokes_another_persons_device() {
    use protocol::entry::{Body, Position};
    use protocol::identity::Revocation;
    use protocol::message::{Message, Push};
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
