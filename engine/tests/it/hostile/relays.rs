//! Strangers that call themselves relays: this relay does not wait for them before it serves, and they gain no
//! standing.

use super::*;

/// A relay that is to catch up, and a neighbour that calls itself a relay.
fn joining(key: &KeyPair) -> Victim {
    let mut victim = Victim::with(Config {
        joins: true,
        ..open_relay(KeyPair::from_seed(&[1; 32]))
    });
    victim.link_with(key, &relay_hello(key));
    victim
}

fn relay_hello(key: &KeyPair) -> Hello {
    Hello {
        features: feature::RELAY,
        ..hello(key)
    }
}

#[test]
fn who_calls_itself_a_relay_is_not_waited_for() {
    let mut victim = joining(&KeyPair::from_seed(&[7; 32]));
    let (account, device) = keys();
    let claimed = Message::Digest(Digest {
        heads: vec![FeedHead {
            account: AccountId(account.public()),
            device: DeviceId(device.public()),
            next_seq: 9,
            head: EntryId([3; 32]),
        }],
        end: false,
    });
    victim.idle(14, |_| claimed.clone());
    assert!(!victim.repair.caught_up, "others may come");
    victim.idle(3, |_| claimed.clone());
    assert!(victim.repair.caught_up, "{:?}", victim.repair);
    assert_eq!(victim.repair.feeds, 0, "its word is no reason for an alarm");
    assert!(victim.closed.is_empty(), "{:?}", victim.closed);
}

#[test]
fn a_relay_of_the_network_that_makes_no_progress_is_waited_for_a_minute() {
    let stranger = KeyPair::from_seed(&[7; 32]);
    let mut victim = joining(&stranger);
    let own = crate::directory::description("cellar", 1).sign(&stranger);
    victim.message(&Message::Relays(Relays { relays: vec![own] }));
    let ping = |token| Message::Ping(Ping { token });
    victim.idle(50, ping);
    assert!(!victim.repair.caught_up, "it may have something");
    victim.idle(15, ping);
    assert!(victim.repair.caught_up, "{:?}", victim.repair);
    assert!(victim.closed.is_empty(), "{:?}", victim.closed);
}

#[test]
fn a_relay_that_links_again_and_again_is_waited_for_no_longer() {
    let stranger = KeyPair::from_seed(&[7; 32]);
    let mut victim = joining(&stranger);
    let own = crate::directory::description("cellar", 1).sign(&stranger);
    let relays = Message::Relays(Relays { relays: vec![own] });
    for round in 0..3 {
        victim.message(&relays);
        victim.idle(25, |token| Message::Ping(Ping { token }));
        assert_eq!(victim.repair.caught_up, round == 2, "round {round}");
        victim.input(Input::LinkDown { link: LinkId(1) });
        victim.sent.clear();
        victim.link_with(&stranger, &relay_hello(&stranger));
    }
    assert!(victim.closed.is_empty(), "{:?}", victim.closed);
}

#[test]
fn a_relay_that_compares_for_ever_is_not_waited_for_for_ever() {
    let stranger = KeyPair::from_seed(&[7; 32]);
    let mut victim = joining(&stranger);
    let mut heartbeat = 0;
    let mut word = |_| {
        heartbeat += 1;
        if heartbeat % 4 == 1 {
            let description = protocol::messages::directory::Description {
                heartbeat,
                ..crate::directory::description("cellar", 1)
            };
            let relays = vec![description.sign(&stranger)];
            return Message::Relays(Relays { relays });
        }
        Message::Digest(Digest::default())
    };
    victim.idle(600, &mut word);
    assert!(!victim.repair.caught_up, "it may have much");
    victim.idle(65, &mut word);
    assert!(victim.repair.caught_up, "{:?}", victim.repair);
}

#[test]
fn calling_oneself_a_relay_gives_no_standing() {
    let mut victim = Victim::new();
    let stranger = KeyPair::from_seed(&[7; 32]);
    victim.link(&stranger);
    let own = crate::directory::description("cellar", 1).sign(&stranger);
    victim.message(&Message::Relays(Relays { relays: vec![own] }));
    assert!(victim.refused.is_empty(), "an honest description so far");
    assert!(
        victim.disk.is_empty(Table::Relays),
        "nobody is written down by its own word"
    );
    victim.frame(vec![0xff; 3]);
    assert_eq!(victim.refused.len(), 1);
    // And it is banned like anybody.
    victim.closed.clear();
    victim.sent.clear();
    victim.link(&stranger);
    assert_eq!(victim.closed, ["it broke the protocol before"]);
}
