//! The rules of one node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{BOOKS_MAX, Config, Event, Node, Output, REPEAT_TTL};
use crate::peers::{Contact, DROPPED_MAX, FAILURES_MAX, Failure, PEERS_MAX, RETRY_ROUNDS_MIN, STARTING};
use crate::seen::Seen;
use crate::wire::{
    BATCH_MAX, BOOK_LEN_MAX, Gossip, Message, Payload, PeerId, REQUEST_LEN_MAX, TTL_MAX, VERSION_MAX,
};

pub(super) const ROUND: Duration = Duration::from_secs(10);

pub(super) fn config(id: u16) -> Config {
    Config {
        id: PeerId(id),
        seed: None,
        infection_factor: 2,
        ttl: 3,
        gossip_interval: ROUND,
        fickle_interval: Duration::ZERO,
        first_version: 1,
        titles: ["Emma", "Kim", "Walden"].map(str::to_owned).to_vec(),
    }
}

pub(super) fn node(config: Config) -> Node {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&config.id.0.to_le_bytes());
    // Tests that restart a node change this, and with it the ids of its messages.
    seed[2..10].copy_from_slice(&config.first_version.to_le_bytes());
    Node::new(config, seed, seed)
}

fn quiet(id: u16) -> Node {
    let mut node = node(config(id));
    drain(&mut node);
    node
}

fn drain(node: &mut Node) -> Vec<Output> {
    std::iter::from_fn(|| node.poll()).collect()
}

fn told(outputs: &[Output]) -> Vec<(PeerId, &[Message])> {
    let tell = |output| match output {
        &Output::Tell { peer, ref messages } => Some((peer, messages.as_slice())),
        Output::Ask { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(tell).collect()
}

fn asked(outputs: &[Output]) -> Vec<PeerId> {
    let ask = |output: &Output| match output {
        Output::Ask { peer } => Some(*peer),
        Output::Tell { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(ask).collect()
}

fn message(uuid: &str, origin: u16, version: i64, ttl: i64) -> Message {
    Message {
        uuid: uuid.to_owned(),
        client_id: origin.to_string(),
        payload: Payload {
            version,
            book: format!("Volume {version}"),
        },
        ttl,
    }
}

pub(super) fn version(node: &Node, origin: u16) -> Option<u64> {
    node.books().get(&PeerId(origin)).map(|known| known.version)
}

fn round(node: &mut Node) -> Vec<Output> {
    let now = node.deadline();
    node.wake(now);
    drain(node)
}

/// A round; what was sent to the peers picked at random, as TTLs by id. All requests succeed.
fn passed_on(node: &mut Node) -> BTreeMap<String, i64> {
    let now = node.deadline();
    let outputs = round(node);
    let batches = told(&outputs);
    for &(peer, _) in &batches {
        node.told(peer, Ok(()), now);
    }
    for peer in asked(&outputs) {
        node.answered(peer, Ok(Vec::new()), now);
    }
    drain(node);
    // Those come first, then the newcomers.
    let (_, messages) = batches.first().expect("a peer");
    messages
        .iter()
        .map(|message| (message.uuid.clone(), message.ttl))
        .collect()
}

#[test]
fn news_loses_one_of_its_ttl_at_each_node_and_is_passed_on_once() {
    let mut node = quiet(8000);
    node.receive(PeerId(8001), vec![message("a", 8002, 1, 5)], Duration::ZERO);
    assert_eq!(passed_on(&mut node)["a"], 4);
    assert_eq!(
        passed_on(&mut node)["a"],
        REPEAT_TTL,
        "from then on it is only repeated"
    );

    node.receive(
        PeerId(8001),
        vec![message("b", 8002, 2, 1), message("c", 8003, 1, 0)],
        ROUND,
    );
    assert_eq!(version(&node, 8002), Some(2));
    assert_eq!(version(&node, 8003), None, "it was expired");
    let passed_on = passed_on(&mut node);
    assert_eq!(passed_on["b"], REPEAT_TTL);
    assert!(!passed_on.contains_key("a"), "a newer one has taken its place");
    assert_eq!(node.counters().expired, 1);
}

#[test]
fn nothing_travels_farther_than_allowed_whatever_it_claims() {
    let mut node = quiet(8000);
    node.receive(
        PeerId(8001),
        vec![message("a", 8002, 1, i64::MAX)],
        Duration::ZERO,
    );
    assert_eq!(passed_on(&mut node)["a"], TTL_MAX - 1);
}

#[test]
fn an_older_version_never_overwrites_a_newer_one() {
    let mut node = quiet(8000);
    let mut newest = 0;
    for (index, version_sent) in [3, 1, 5, 5, 4, 9, 2, 9, 8].into_iter().enumerate() {
        let mut sent = message(&index.to_string(), 8002, version_sent, 3);
        sent.payload.book = format!("{index}");
        node.receive(PeerId(8001), vec![sent], Duration::ZERO);
        let known = &node.books()[&PeerId(8002)];
        assert!(known.version >= newest);
        if known.version == newest {
            assert_ne!(known.book, index.to_string(), "a version has one book");
        }
        newest = known.version;
    }
    assert_eq!(newest, 9);
    assert_eq!(node.counters().absorbed, 3);
    assert_eq!(node.counters().stale, 6);
}

#[test]
fn a_message_is_absorbed_once() {
    let mut node = quiet(8000);
    for _ in 0..3 {
        node.receive(PeerId(8001), vec![message("a", 8002, 7, 3)], Duration::ZERO);
    }
    // Not even with another content.
    node.receive(PeerId(8001), vec![message("a", 8002, 8, 3)], Duration::ZERO);
    assert_eq!(version(&node, 8002), Some(7));
    assert_eq!(node.counters().duplicate, 3);
    assert_eq!(node.counters().received, 4);
}

#[test]
fn what_cannot_be_kept_is_skipped_and_the_rest_is_taken() {
    let mut node = quiet(8000);
    let unfit = [
        Message {
            client_id: "library".to_owned(),
            ..message("a", 0, 1, 3)
        },
        message("b", 8002, -1, 3),
        message("c", 8002, i64::MAX, 3),
        Message {
            payload: Payload {
                version: 1,
                book: "x".repeat(BOOK_LEN_MAX + 1),
            },
            ..message("d", 8002, 1, 3)
        },
        Message {
            payload: Payload {
                version: 1,
                book: "two\nlines".to_owned(),
            },
            ..message("e", 8002, 1, 3)
        },
        message(&"f".repeat(65), 8002, 1, 3),
        message("", 8002, 1, 3),
    ];
    let count = unfit.len() as u64;
    let messages = unfit.into_iter().chain([message("g", 8002, 2, 3)]).collect();
    node.receive(PeerId(8001), messages, Duration::ZERO);
    assert_eq!(node.counters().unfit, count);
    assert_eq!(version(&node, 8002), Some(2));
}

#[test]
fn ports_have_one_spelling() {
    for text in [
        "",
        "0",
        "08000",
        "+8000",
        "-1",
        " 8000",
        "65536",
        "8000.0",
        "８０００",
    ] {
        assert!(text.parse::<PeerId>().is_err(), "{text:?}");
    }
    assert_eq!("8000".parse(), Ok(PeerId(8000)));
    assert_eq!("65535".parse(), Ok(PeerId(65_535)));
}

#[test]
fn a_node_that_forgot_its_version_goes_on_above_what_others_remember() {
    let mut node = quiet(8000);
    let book = node.books()[&PeerId(8000)].book.clone();
    node.receive(PeerId(8001), vec![message("old", 8000, 57, 2)], Duration::ZERO);
    assert_eq!(version(&node, 8000), Some(58));
    assert_eq!(
        node.books()[&PeerId(8000)].book,
        book,
        "it does not take back its old book"
    );
    assert!(drain(&mut node).contains(&Output::Event(Event::Overtaken { version: 57 })));
    assert!(
        passed_on(&mut node).values().any(|&ttl| ttl == 3),
        "it is news again"
    );

    // The same version with another book, from before the restart, would leave others in disagreement.
    node.receive(PeerId(8001), vec![message("tie", 8000, 58, 2)], Duration::ZERO);
    assert_eq!(version(&node, 8000), Some(59));
    node.receive(PeerId(8001), vec![message("older", 8000, 58, 2)], Duration::ZERO);
    assert_eq!(version(&node, 8000), Some(59));
    assert_eq!(node.counters().stale, 1);
    // The greatest version anybody accepts leaves one above.
    let last = i64::try_from(VERSION_MAX).expect("fits") - 1;
    node.receive(PeerId(8001), vec![message("top", 8000, last, 2)], Duration::ZERO);
    assert_eq!(version(&node, 8000), Some(VERSION_MAX));
}

#[test]
fn its_own_news_coming_back_changes_nothing() {
    let mut node = quiet(8000);
    node.receive(PeerId(8001), Vec::new(), Duration::ZERO);
    let sent: Vec<String> = passed_on(&mut node).into_keys().collect();
    let own = &node.books()[&PeerId(8000)];
    let echo = Message {
        payload: Payload {
            version: 1,
            book: own.book.clone(),
        },
        ..message(&sent[0], 8000, 1, 2)
    };
    node.receive(PeerId(8001), vec![echo], ROUND);
    assert_eq!(version(&node, 8000), Some(1));
    assert_eq!(node.counters().duplicate, 1);
}

#[test]
fn the_oldest_ids_are_forgotten_first_and_do_no_harm_when_they_return() {
    let mut seen = Seen::new(3);
    for id in ["a", "b", "c", "a", "d"] {
        seen.insert(id);
    }
    assert!(!seen.contains("a") && ["b", "c", "d"].iter().all(|id| seen.contains(id)));
    assert_eq!(seen.len(), 3);

    let mut node = quiet(8000);
    node.seen = Seen::new(1);
    let batch = vec![
        message("a", 8002, 1, 5),
        message("b", 8002, 2, 5),
        message("c", 8003, 1, 5),
    ];
    node.receive(PeerId(8001), batch.clone(), Duration::ZERO);
    passed_on(&mut node);
    node.receive(PeerId(8001), batch, Duration::ZERO);
    assert_eq!(node.counters().absorbed, 3);
    assert!(
        passed_on(&mut node).values().all(|&ttl| ttl <= REPEAT_TTL),
        "nothing is news again"
    );
}

#[test]
fn a_full_table_of_books_refuses_newcomers_and_still_takes_updates() {
    let mut node = quiet(60_000);
    let first = 1..=u16::try_from(BOOKS_MAX).expect("fits");
    let batch = first.map(|id| message(&id.to_string(), id, 1, 3)).collect();
    node.receive(PeerId(8001), batch, Duration::ZERO);
    assert_eq!(node.books().len(), BOOKS_MAX, "its own among them");
    node.receive(
        PeerId(8001),
        vec![message("x", 50_000, 1, 3), message("y", 1, 2, 3)],
        Duration::ZERO,
    );
    assert_eq!(version(&node, 50_000), None);
    assert_eq!(version(&node, 1), Some(2));
    assert!(node.peers().known().count() <= PEERS_MAX);
}

#[test]
fn batches_are_bounded_and_take_turns() {
    let mut node = quiet(8000);
    let ids = 1..=1_000_u16;
    let batch = ids.clone().map(|id| message(&id.to_string(), id, 1, 1)).collect();
    node.receive(PeerId(8001), batch, Duration::ZERO);
    let mut heard = BTreeSet::new();
    for _ in 0..=1_000_usize.div_ceil(BATCH_MAX) {
        let batch = passed_on(&mut node);
        assert!(batch.len() <= BATCH_MAX);
        heard.extend(batch.into_keys());
    }
    assert!(ids.into_iter().all(|id| heard.contains(&id.to_string())));
}

#[test]
fn a_full_batch_of_the_longest_titles_is_within_what_a_node_takes() {
    let longest = Message {
        uuid: "u".repeat(64),
        payload: Payload {
            version: i64::MAX,
            book: "\"".repeat(BOOK_LEN_MAX),
        },
        ..message("", 65_535, 0, TTL_MAX)
    };
    let gossip = Gossip {
        client_id: "65535".to_owned(),
        messages: vec![longest; BATCH_MAX],
        odd: 0,
    };
    let body = serde_json::to_vec(&gossip).expect("JSON");
    assert!(body.len() < REQUEST_LEN_MAX / 8);
}

#[test]
fn uuids_look_like_uuids_and_choices_can_be_repeated() {
    let run = |uuids: u8| {
        let mut node = Node::new(
            Config {
                fickle_interval: ROUND,
                ..config(8000)
            },
            [7; 32],
            [uuids; 32],
        );
        node.receive(PeerId(8001), Vec::new(), Duration::ZERO);
        node.receive(PeerId(8002), Vec::new(), Duration::ZERO);
        node.receive(PeerId(8003), Vec::new(), Duration::ZERO);
        let outputs: Vec<Output> = (0..20).flat_map(|_| round(&mut node)).collect();
        let ids: Vec<String> = told(&outputs)
            .iter()
            .flat_map(|(_, messages)| messages.iter().map(|message| message.uuid.clone()))
            .collect();
        let choices: Vec<_> = outputs
            .into_iter()
            .map(|output| match output {
                Output::Tell { peer, .. } => format!("{peer}"),
                other => format!("{other:?}"),
            })
            .collect();
        (choices, ids)
    };
    let ((choices, ids), (choices_again, other_ids)) = (run(1), run(2));
    assert_eq!(choices, choices_again);
    assert!(ids.iter().all(|id| !other_ids.contains(id)));
    for id in ids {
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }
}

#[test]
fn a_change_of_mind_is_a_new_version_of_another_book() {
    let mut node = node(Config {
        fickle_interval: Duration::from_secs(15),
        first_version: 100,
        ..config(8000)
    });
    let mut before = node.books()[&PeerId(8000)].clone();
    assert_eq!(before.version, 100);
    for _ in 0..20 {
        while version(&node, 8000) == Some(before.version) {
            round(&mut node);
        }
        let known = node.books()[&PeerId(8000)].clone();
        assert_eq!(known.version, before.version + 1);
        assert_ne!(known.book, before.book);
        assert_eq!(known.at - before.at, Duration::from_secs(15));
        before = known;
    }
}

#[test]
fn who_asks_for_peers_becomes_one_and_is_left_alone_while_it_starts() {
    let mut node = node(Config {
        gossip_interval: Duration::from_secs(1),
        ..config(8000)
    });
    drain(&mut node);
    assert_eq!(node.asked_for_peers(PeerId(8001), Duration::ZERO), [PeerId(8001)]);
    assert_eq!(
        node.asked_for_peers(PeerId(8002), Duration::ZERO),
        [PeerId(8001), PeerId(8002)]
    );
    drain(&mut node);
    node.wake(STARTING / 2);
    assert_eq!(drain(&mut node), []);
    node.receive(PeerId(8002), Vec::new(), STARTING / 2);
    node.wake(node.deadline().min(STARTING - Duration::from_millis(1)));
    let outputs = drain(&mut node);
    assert!(
        told(&outputs).iter().all(|&(peer, _)| peer == PeerId(8002)),
        "{outputs:?}"
    );
    node.wake(STARTING * 2);
    let outputs = drain(&mut node);
    assert!(
        told(&outputs).iter().any(|&(peer, _)| peer == PeerId(8001)),
        "{outputs:?}"
    );
    assert!(
        node.asked_for_peers(PeerId(8000), STARTING).len() == 2,
        "it is no peer of itself"
    );
}

#[test]
fn only_peers_that_were_met_are_named_to_others() {
    let mut node = quiet(8000);
    let now = Duration::ZERO;
    node.asked_for_peers(PeerId(8001), now);
    node.answered(
        PeerId(8001),
        Ok(["8002", "8000", "nonsense", "8003"].map(str::to_owned).to_vec()),
        now,
    );
    assert_eq!(node.peers().known().count(), 3);
    assert_eq!(node.asked_for_peers(PeerId(8001), now), [PeerId(8001)]);
    node.told(PeerId(8003), Ok(()), now);
    assert_eq!(
        node.asked_for_peers(PeerId(8001), now),
        [PeerId(8001), PeerId(8003)]
    );
}

#[test]
fn a_full_table_of_peers_prefers_callers_to_hearsay() {
    let mut node = quiet(60_000);
    let now = Duration::ZERO;
    let many: Vec<String> = (1..=500).map(|id: u16| id.to_string()).collect();
    node.answered(PeerId(8001), Ok(many), now);
    assert_eq!(node.peers().known().count(), PEERS_MAX);
    for id in 10_000..11_000 {
        node.asked_for_peers(PeerId(id), now);
    }
    assert_eq!(node.peers().known().count(), PEERS_MAX);
    assert!(node.peers().known().all(|(_, peer)| peer.met));
    assert!(node.peers().known().any(|(id, _)| id == PeerId(8001)));
    for id in 10_000..11_000 {
        node.told(PeerId(id), Err(Failure::Silent), now);
        node.asked_for_peers(PeerId(id + 1_000), now);
    }
    assert!(node.peers().dropped().count() <= DROPPED_MAX);
    assert!(node.peers().known().count() <= PEERS_MAX);
}

#[test]
fn a_dropped_peer_is_tried_again_at_longer_and_longer_intervals_and_then_forgotten() {
    let mut node = quiet(8000);
    let gone = PeerId(8001);
    node.receive(gone, Vec::new(), Duration::ZERO);
    drain(&mut node);
    node.told(gone, Err(Failure::Unreachable), Duration::ZERO);
    assert_eq!(
        drain(&mut node),
        [Output::Event(Event::Dropped {
            peer: gone,
            why: Failure::Unreachable
        })]
    );
    assert!(node.peers().is_empty());
    let mut tries = Vec::new();
    for number in 1..1_000_u32 {
        if asked(&round(&mut node)) == [gone] {
            tries.push(number);
            let now = ROUND * number;
            node.answered(gone, Err(Failure::Unreachable), now);
            assert_eq!(drain(&mut node), [], "it was dropped already");
        }
    }
    assert_eq!(tries[..4], [4, 12, 28, 60]);
    assert_eq!(tries.len() as u32, FAILURES_MAX - 1);
    assert_eq!(node.peers().dropped().count(), 0);
    assert_eq!(node.counters().dropped[&Failure::Unreachable], 1);
}

#[test]
fn a_dropped_peer_comes_back_by_itself_at_once_and_by_hearsay_soon() {
    let gone = PeerId(8001);
    let other = PeerId(8002);
    let dropped = || {
        let mut node = quiet(8000);
        node.receive(gone, Vec::new(), Duration::ZERO);
        node.receive(other, Vec::new(), Duration::ZERO);
        for _ in 0..3 {
            node.answered(gone, Err(Failure::Silent), Duration::ZERO);
        }
        drain(&mut node);
        node
    };
    let mut node = dropped();
    node.asked_for_peers(gone, ROUND);
    assert_eq!(
        drain(&mut node),
        [Output::Event(Event::Met {
            peer: gone,
            contact: Contact::Asked
        })]
    );

    let mut node = dropped();
    let mut tried_after = None;
    for number in 1..100 {
        node.answered(other, Ok(vec![gone.to_string()]), ROUND * number);
        if asked(&round(&mut node)).contains(&gone) {
            tried_after = Some(number);
            break;
        }
    }
    assert_eq!(
        tried_after,
        Some(RETRY_ROUNDS_MIN),
        "others may not know yet that it is gone"
    );
    node.answered(gone, Ok(Vec::new()), ROUND * 10);
    assert!(node.peers().known().any(|(id, peer)| id == gone && peer.met));
}

#[test]
fn a_node_without_peers_asks_its_seed_again_each_round() {
    let seed = PeerId(8001);
    let mut node = node(Config {
        seed: Some(seed),
        ..config(8000)
    });
    assert_eq!(asked(&drain(&mut node)), [seed]);
    assert_eq!(asked(&round(&mut node)), [], "one question at a time");
    for _ in 0..50 {
        node.answered(seed, Err(Failure::Unreachable), ROUND);
        assert!(!drain(&mut node).is_empty(), "a peer may want to know");
        assert_eq!(asked(&round(&mut node)), [seed]);
    }
    let now = node.deadline() - ROUND / 2;
    node.answered(seed, Ok(vec!["8000".to_owned(), "8002".to_owned()]), now);
    drain(&mut node);
    assert_eq!(
        node.deadline(),
        now,
        "who has just found peers does not wait for the next round"
    );
    let outputs = round(&mut node);
    let told: BTreeSet<PeerId> = told(&outputs).into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(told, BTreeSet::from([seed, PeerId(8002)]));
    node.told(seed, Err(Failure::Closed), now);
    assert!(!node.peers().is_empty());
    node.told(PeerId(8002), Err(Failure::Rubbish), now);
    node.answered(PeerId(8002), Err(Failure::Rubbish), now);
    node.answered(seed, Err(Failure::Rubbish), now);
    drain(&mut node);
    assert!(asked(&round(&mut node)).contains(&seed));
}

#[test]
fn one_batch_at_a_time_to_a_peer() {
    let mut node = quiet(8000);
    let slow = PeerId(8001);
    node.receive(slow, Vec::new(), Duration::ZERO);
    assert_eq!(told(&round(&mut node)).len(), 1);
    for _ in 0..5 {
        let outputs = round(&mut node);
        assert_eq!((told(&outputs).len(), asked(&outputs).len()), (0, 0));
    }
    node.told(slow, Ok(()), ROUND);
    assert_eq!(told(&round(&mut node)).len(), 1);
}
