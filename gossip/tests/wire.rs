//! Messages in bytes, typed and between members: golden ones, random ones, rubbish.

use std::net::SocketAddr;

use bytes::Bytes;
use gossip::broadcast::{Announcement, Item, Route, Tree};
use gossip::membership::{self, Descriptor, Wish};
use gossip::swarm::{Held, Message, MessageId};
use gossip::typed::{self, Messages as _, Raw};
use gossip::wire::{self, BODY_LEN_MAX, LEN_MAX, SEQ_MAX};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

type Wire = Message<SocketAddr, Bytes>;

fn bytes_of(message: &Wire) -> Bytes {
    wire::encode(Vec::new(), message)
        .expect("within the limits")
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7_000))
}

fn told(n: u8) -> Descriptor<SocketAddr> {
    Descriptor {
        peer: peer(n),
        anchor: n == 1,
        heartbeat: 300,
        age_s: 2,
    }
}

fn id(n: u8, seq: u64) -> MessageId<SocketAddr> {
    MessageId { origin: peer(n), seq }
}

/// One of each kind, and its bytes.
fn golden() -> Vec<(Wire, &'static str)> {
    use membership::Message as Overlay;
    let route = Route {
        tree: Tree::from_byte(9),
        hops: 3,
    };
    let announced = Announcement {
        item: Item {
            key: id(2, 5),
            upto: 1,
        },
        tree: Tree::TRUNK,
        hops: 4,
        waited_ms: 100,
    };
    let held = Held {
        origin: peer(3),
        below: 7,
        also: vec![9, 10, 300],
    };
    vec![
        (
            Message::Overlay(Overlay::Request {
                wish: Wish::Urgent,
                anchor: true,
                heartbeat: 1_000,
                peers: vec![told(1)],
            }),
            "01000101e80701000a000001d83601ac0202",
        ),
        (
            Message::Overlay(Overlay::Accept {
                anchor: false,
                heartbeat: 1,
                degree: 8,
                peers: vec![],
            }),
            "010100010800",
        ),
        (
            Message::Overlay(Overlay::Refuse { peers: vec![told(2)] }),
            "010201000a000002d83600ac0202",
        ),
        (
            Message::Overlay(Overlay::ForwardJoin {
                newcomer: told(2),
                ttl: 6,
            }),
            "0103000a000002d83600ac020206",
        ),
        (
            Message::Overlay(Overlay::Shuffle {
                ttl: 5,
                peers: vec![told(1), told(2)],
            }),
            "01040502000a000001d83601ac0202000a000002d83600ac0202",
        ),
        (
            Message::Overlay(Overlay::Heartbeat {
                counter: 70_000,
                degree: 3,
                echo: 69_999,
                held_ms: 250,
            }),
            "0105f0a20403efa204fa01",
        ),
        (Message::Overlay(Overlay::Leave { peers: vec![] }), "010600"),
        (
            Message::News {
                id: id(1, SEQ_MAX),
                route,
                body: Bytes::from_static(b"news"),
            },
            "0107000a000001d836ffffffffffffff0f0903046e657773",
        ),
        (Message::Announce(vec![announced]), "010801000a000002d83605000464"),
        (
            Message::Graft {
                id: Some(id(1, 1)),
                tree: Tree::TRUNK,
            },
            "010901000a000001d8360100",
        ),
        (
            Message::Graft {
                id: None,
                tree: Tree::from_byte(63),
            },
            "0109003f",
        ),
        (
            Message::Prune {
                tree: Tree::from_byte(1),
            },
            "010a01",
        ),
        (Message::Digest(vec![held]), "010b01000a000003d83607030200a102"),
        (
            Message::Direct(Bytes::from_static(b"for you")),
            "010c07666f7220796f75",
        ),
    ]
}

#[test]
fn every_kind_has_the_bytes_it_always_had() {
    for (message, expected) in golden() {
        let bytes = bytes_of(&message);
        assert_eq!(hex(&bytes), expected, "{message:?}");
        assert_eq!(wire::decode(&bytes), Ok(message));
    }
}

fn a_peer() -> impl Strategy<Value = SocketAddr> {
    any::<(bool, u128, u16)>().prop_map(|(v4, ip, port)| {
        if v4 {
            SocketAddr::from(((ip as u32).to_be_bytes(), port))
        } else {
            SocketAddr::from((ip.to_be_bytes(), port))
        }
    })
}

fn an_id() -> impl Strategy<Value = MessageId<SocketAddr>> {
    (a_peer(), 1..=SEQ_MAX).prop_map(|(origin, seq)| MessageId { origin, seq })
}

fn a_tree() -> impl Strategy<Value = Tree> {
    (0..64_u8).prop_map(Tree::from_byte)
}

fn a_sample() -> impl Strategy<Value = Vec<Descriptor<SocketAddr>>> {
    let one =
        (a_peer(), any::<(bool, u64, u16)>()).prop_map(|(peer, (anchor, heartbeat, age_s))| Descriptor {
            peer,
            anchor,
            heartbeat,
            age_s,
        });
    vec(one, 0..=membership::SAMPLE_MAX)
}

fn a_body() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn a_held() -> impl Strategy<Value = Held<SocketAddr>> {
    let also = proptest::collection::btree_set(0..SEQ_MAX / 2, 0..40);
    (a_peer(), 0..SEQ_MAX / 2, also).prop_map(|(origin, below, also)| Held {
        origin,
        below,
        also: also.into_iter().map(|seq| below + seq).collect(),
    })
}

fn an_announcement() -> impl Strategy<Value = Announcement<MessageId<SocketAddr>>> {
    (an_id(), a_tree(), any::<(u8, u16)>()).prop_map(|(key, tree, (hops, waited_ms))| Announcement {
        item: Item { key, upto: 1 },
        tree,
        hops,
        waited_ms,
    })
}

fn a_message() -> impl Strategy<Value = Wire> {
    use membership::Message as Overlay;
    prop_oneof![
        (a_sample(), any::<(bool, u64, u16)>()).prop_map(|(peers, (anchor, heartbeat, degree))| {
            Message::Overlay(Overlay::Accept {
                anchor,
                heartbeat,
                degree,
                peers,
            })
        }),
        (a_sample(), any::<u8>()).prop_map(|(peers, ttl)| Message::Overlay(Overlay::Shuffle { ttl, peers })),
        (an_id(), a_tree(), any::<u8>(), a_body()).prop_map(|(id, tree, hops, body)| {
            let route = Route { tree, hops };
            Message::News { id, route, body }
        }),
        vec(an_announcement(), 0..=256).prop_map(Message::Announce),
        (proptest::option::of(an_id()), a_tree()).prop_map(|(id, tree)| Message::Graft { id, tree }),
        vec(a_held(), 0..20).prop_map(Message::Digest),
        a_body().prop_map(Message::Direct),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in a_message()) {
        prop_assert_eq!(wire::decode(&bytes_of(&message)), Ok(message));
    }

    #[test]
    fn rubbish_is_refused_without_a_panic(bytes in vec(any::<u8>(), 0..600), kind in 0..14_u8) {
        let _ = wire::decode::<SocketAddr>(&bytes.clone().into());
        let mut likely = vec![wire::VERSION, kind];
        likely.extend(bytes);
        let likely = Bytes::from(likely);
        if let Ok(message) = wire::decode::<SocketAddr>(&likely) {
            prop_assert_eq!(bytes_of(&message), likely, "two forms of one message");
        }
    }

    #[test]
    fn a_damaged_message_is_read_in_its_one_form_or_refused(
        message in a_message(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = bytes_of(&message).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let bytes = Bytes::from(bytes);
        if let Ok(message) = wire::decode::<SocketAddr>(&bytes) {
            prop_assert_eq!(bytes_of(&message), bytes);
        }
    }

    #[test]
    fn typed_rubbish_is_refused_without_a_panic(bytes in vec(any::<u8>(), 0..100), tag in 0..6_u8) {
        let _ = Chat::decode(&bytes);
        let mut likely = vec![tag];
        likely.extend(bytes);
        if let Ok(message) = Chat::decode(&likely) {
            prop_assert_eq!(message.encode(), Ok(likely));
        }
    }

    #[test]
    fn a_typed_message_is_read_as_it_was_written(text in ".*", numbers in vec(any::<i64>(), 0..50)) {
        let message = Chat::Said(Said { text, numbers });
        prop_assert_eq!(Chat::decode(&message.encode().expect("short")), Ok(message));
    }
}

#[test]
fn limits_hold_on_both_sides() {
    let over = |message: Wire| {
        assert_eq!(
            wire::encode(Vec::new(), &message),
            Err(wire::Malformed),
            "{}",
            message.kind()
        );
    };
    over(Message::Direct(vec![0; BODY_LEN_MAX + 1].into()));
    over(Message::Digest(vec![
        Held {
            origin: peer(1),
            below: 1,
            also: vec![],
        };
        1_025
    ]));
    over(Message::Graft {
        id: Some(id(1, 0)),
        tree: Tree::TRUNK,
    });
    over(Message::Graft {
        id: Some(id(1, SEQ_MAX + 1)),
        tree: Tree::TRUNK,
    });
    over(Message::Overlay(membership::Message::Leave {
        peers: vec![told(1); 17],
    }));
    assert!(wire::decode::<SocketAddr>(&vec![wire::VERSION; LEN_MAX + 1].into()).is_err());
    let longest = Message::Direct(vec![7; BODY_LEN_MAX].into());
    assert_eq!(wire::decode(&bytes_of(&longest)), Ok(longest));
}

#[test]
fn the_largest_digest_fits() {
    let row = |n: u16| Held {
        origin: SocketAddr::from((u128::MAX.to_be_bytes(), n)),
        below: SEQ_MAX / 2,
        // Far apart, so that each takes eight bytes.
        also: (1..=8).map(|n| SEQ_MAX / 2 + (n << 48)).collect(),
    };
    let digest = Message::Digest((0..1_024).map(row).collect());
    assert_eq!(wire::decode(&bytes_of(&digest)), Ok(digest));
}

#[test]
fn another_version_is_refused() {
    let mut bytes = bytes_of(&Message::Prune { tree: Tree::TRUNK }).to_vec();
    bytes[0] += 1;
    assert!(wire::decode::<SocketAddr>(&bytes.into()).is_err());
    assert!(wire::decode::<SocketAddr>(&Bytes::new()).is_err());
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    text: String,
    numbers: Vec<i64>,
}

gossip::messages! {
    /// What is said here.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Chat {
        1 => Said(Said),
        /// A name.
        2 => Renamed(String),
        /// Nothing but its tag.
        300 => Waved(()),
    }
}

#[test]
fn typed_messages_have_the_bytes_they_always_had() {
    let said = Said {
        text: "hi".to_owned(),
        numbers: vec![-1, 64],
    };
    for (message, expected) in [
        (Chat::Said(said), "01026869020180 01"),
        (Chat::Renamed("ada".to_owned()), "02 03616461"),
        (Chat::Waved(()), "ac02"),
    ] {
        let bytes = message.encode().expect("short");
        assert_eq!(hex(&bytes), expected.replace(' ', ""), "{message:?}");
        assert_eq!(Chat::decode(&bytes), Ok(message));
    }
}

#[test]
fn an_unknown_tag_is_handed_over_raw_and_written_again_as_it_was() {
    let bytes = [0x85, 0x01, 0xff, 0xff];
    let message = Chat::decode(&bytes).expect("a tag and something");
    let raw = vec![0xff, 0xff];
    assert_eq!(message, Chat::Unknown { tag: 133, bytes: raw });
    assert_eq!(message.encode().as_deref(), Ok(&bytes[..]));
}

#[test]
fn typed_messages_that_are_none_say_why() {
    assert_eq!(Chat::decode(&[]), Err(typed::Error::NoTag));
    assert_eq!(
        Chat::decode(&[0x81, 0]),
        Err(typed::Error::NoTag),
        "a tag has one form"
    );
    assert_eq!(Chat::decode(&[0xff; 9]), Err(typed::Error::NoTag));
    assert_eq!(Chat::decode(&[2]), Err(typed::Error::Malformed(2)));
    assert_eq!(
        Chat::decode(&[2, 1, b'a', 0]),
        Err(typed::Error::Malformed(2)),
        "left over"
    );
    assert_eq!(
        Chat::decode(&[2, 0x81, 0, b'a']),
        Err(typed::Error::Malformed(2)),
        "one form"
    );
    assert_eq!(Chat::decode(&[0; typed::LEN_MAX + 1]), Err(typed::Error::TooLong));
    let long = Chat::Renamed("a".repeat(typed::LEN_MAX));
    assert_eq!(long.encode(), Err(typed::Error::TooLong));
}

#[test]
fn raw_messages_are_read_by_tag() {
    let raw = Raw::new(2, &"ada").expect("short");
    let bytes = raw.encode().expect("short");
    assert_eq!(Chat::decode(&bytes), Ok(Chat::Renamed("ada".to_owned())));
    assert_eq!(
        Raw::decode(&bytes).expect("the same").read::<String>(),
        Ok("ada".to_owned())
    );
    assert_eq!(raw.read::<u64>(), Err(typed::Error::Malformed(2)));
}
