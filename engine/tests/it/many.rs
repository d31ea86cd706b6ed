//! Many feeds: an empty relay is filled over channels that hold little, and neighbours that ask or claim much cost
//! little.

use std::time::Duration;

use protocol::KeyPair;
use protocol::messages::{Digest, FeedHead, Interests, Message, SaltedAccount, Sketch};
use protocol::{AccountId, DeviceId, EntryId};
use starling_engine::{Config, Input};

use crate::compare::{entries, feed};
use crate::hostile::Victim;
use crate::network::{Network, open_relay, seed};
use crate::placement::{describe, know};

/// More than a peer advertises at once.
const FEEDS: u16 = 9_000;

fn caught_up(net: &Network, relay: usize) -> bool {
    net.peers[relay]
        .events
        .iter()
        .any(|event| matches!(event, starling_engine::api::Event::Repair(view) if view.caught_up))
}

#[test]
fn an_empty_relay_is_filled_over_a_channel_that_holds_less_than_a_digest() {
    let mut net = Network::new(seed());
    // A digest of all feeds has 920 kB, a window of heads 840 kB.
    net.channel_bytes_max = 900_000;
    let full = net.add_relay();
    describe(&mut net, full, 0);
    for n in 0..FEEDS {
        net.input(full, Input::Entries(feed(n, 1)));
    }
    net.run_for_ms(1_000);
    let empty = net.add(Config {
        joins: true,
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    });
    describe(&mut net, empty, 1);
    know(&mut net, empty, full);
    let opened = net.opened;
    let mut ready_with = None;
    for _ in 0..120 {
        net.run_for_ms(500);
        if caught_up(&net, empty) {
            ready_with = Some(entries(&net, empty));
            break;
        }
    }
    assert_eq!(entries(&net, empty), usize::from(FEEDS), "seed {}", net.seed);
    assert_eq!(
        ready_with,
        Some(usize::from(FEEDS)),
        "it serves once it is filled"
    );
    assert!(net.opened - opened <= 2, "{} links", net.opened - opened);
}

/// A relay that holds many feeds, and a stranger on its link.
fn victim() -> (Victim, KeyPair) {
    let mut victim = Victim::new();
    for n in 0..5_000 {
        victim.take(feed(n, 1));
    }
    let stranger = KeyPair::from_seed(&[7; 32]);
    victim.link(&stranger);
    (victim, stranger)
}

fn everything() -> Message {
    Message::Interests(Interests {
        reset: true,
        everything: true,
        sketch: true,
        ..Interests::default()
    })
}

#[test]
fn sketches_without_end_are_compared_a_few_times_and_the_link_lives() {
    let (mut victim, _) = victim();
    victim.message(&everything());
    let sketch = |round| {
        Message::Sketch(Sketch {
            round,
            feeds: 1,
            first: 0,
            cells: vec![0; 20],
        })
    };
    let from = victim.sent_len();
    for round in 0..200 {
        victim.message(&sketch(round));
        victim.pass(Duration::from_millis(100));
    }
    let compared = |message: &Message| matches!(message, Message::Compared(_));
    let answered = victim
        .messages(from)
        .iter()
        .filter(|message| compared(message))
        .count();
    assert!((1..=7).contains(&answered), "{answered} in twenty seconds");
    assert!(victim.is_linked());
}

#[test]
fn one_input_does_a_part_of_the_work_it_causes_and_the_rest_follows() {
    let (mut victim, _) = victim();
    let heads = |victim: &Victim, from| {
        let sent = victim.messages(from).into_iter();
        let digests = sent.filter_map(|message| match message {
            Message::Digest(digest) => Some(digest),
            _ => None,
        });
        digests.map(|digest| digest.heads.len()).sum::<usize>()
    };
    let from = victim.sent_len();
    victim.message(&Message::Interests(Interests {
        reset: true,
        everything: true,
        ..Interests::default()
    }));
    let at_once = heads(&victim, from);
    assert!((1..4_000).contains(&at_once), "{at_once}");
    // What else the neighbour asks meanwhile adds nothing to a step.
    for n in 0..500_u64 {
        victim.message(&Message::Interests(Interests {
            add: vec![SaltedAccount(n.to_le_bytes())],
            ..Interests::default()
        }));
    }
    assert_eq!(heads(&victim, from), at_once);
    victim.pass(Duration::from_secs(2));
    assert_eq!(heads(&victim, from), 5_000);
    assert!(victim.is_linked());
}

#[test]
fn heads_of_feeds_that_do_not_exist_are_forgotten_beyond_a_bound() {
    let (mut victim, _) = victim();
    for part in 0..60_u32 {
        let head = |n: u32| {
            let mut id = [3; 32];
            id[..8].copy_from_slice(&(u64::from(part) << 32 | u64::from(n)).to_le_bytes());
            FeedHead {
                account: AccountId(id),
                device: DeviceId(id),
                next_seq: 9,
                head: EntryId(id),
            }
        };
        victim.message(&Message::Digest(Digest {
            heads: (0..1_024).map(head).collect(),
            end: false,
        }));
    }
    victim.pass(Duration::from_secs(1));
    assert!(victim.is_linked());
    // Requests are made, as many as are answered; the rest waits, and is bounded by a test of the part.
    let wants = victim.messages(0);
    let wants = wants
        .iter()
        .filter(|message| matches!(message, Message::Want(_)))
        .count();
    assert!((64..=256).contains(&wants), "{wants}");
}
