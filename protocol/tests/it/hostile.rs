//! Bytes of strangers: an ordinary error, never a panic, never a second form of the same value.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use protocol::Body;
use protocol::entry::EntryError;
use protocol::link::handshake::{Binding, Handshake, Hello, Side};
use protocol::messages::membership::{MemberList, Vouches};
use protocol::messages::overlay::{Descriptor, Shuffle};
use protocol::messages::{
    Announced, Announcements, Compared, Decoded, Differences, FeedHead, Interests, Message, MessageError,
    Relays, SKETCH_CELL_LEN, SaltedAccount, Sketch, Verdict, Want,
};
use protocol::signal::{self, Payload, RoomMember, SignalMessage, ToPeer, ToServer};
use protocol::{Entry, EntryId, Kind, PeerId, SignedHeader, codec, limits};

use crate::golden::{FILES, parse};
use crate::{by_hand, cast};

/// Gives bytes to every decoder. Whatever is accepted must be the one form of what was understood.
fn decode_all(bytes: &[u8]) {
    if let Ok(Decoded::Known(message)) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes, "a message has one form");
    }
    one_form::<ToServer>(bytes);
    one_form::<ToPeer>(bytes);
    one_form::<Payload>(bytes);
    if let Ok(entry) = codec::decode::<Entry>(bytes) {
        assert_eq!(codec::encode(&entry), bytes, "an entry has one form");
        let _ = entry.verify();
    }
    if let Ok(hello) = codec::decode_open::<Hello>(bytes) {
        assert!(bytes.starts_with(&codec::encode(&hello)), "a hello has one form");
    }
    for kind in 0..6 {
        let _ = Body::decode(Kind(kind), bytes);
    }
    for kind in 0..6 {
        let mut handshake = Handshake::new(
            Side::Responder,
            Binding::Memory,
            cast::key(cast::RELAY),
            &cast::relay_hello(),
        );
        let _ = handshake.on_frame(kind, bytes);
        let _ = handshake.on_frame(1, bytes);
    }
}

fn one_form<T: SignalMessage>(bytes: &[u8]) {
    if let Ok(message) = signal::decode::<T>(bytes) {
        assert_eq!(codec::encode(&message), bytes, "a signal message has one form");
    }
}

fn golden() -> Vec<Vec<u8>> {
    FILES
        .iter()
        .flat_map(|(_, text)| parse(text).into_values())
        .collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_without_panic(bytes in vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
    }

    #[test]
    fn damaged_bytes_are_decoded_without_panic(
        which in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let mut bytes = which.get(&golden()).clone();
        for (place, byte, how) in damage {
            let place = place.index(bytes.len().max(1)).min(bytes.len());
            match how {
                0 if place < bytes.len() => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 if place < bytes.len() => drop(bytes.remove(place)),
                _ => bytes.truncate(place),
            }
        }
        decode_all(&bytes);
    }

    #[test]
    fn kinds_of_later_versions_are_skipped(kind in 42u8.., fields in vec(any::<u8>(), 0..100)) {
        let bytes = [&[kind][..], &fields].concat();
        prop_assert_eq!(Message::decode(&bytes), Ok(Decoded::Unknown(kind)));
    }
}

#[test]
fn an_integer_has_one_form() {
    let credit = Message::decode(&[10, 5]).unwrap();
    assert!(matches!(credit, Decoded::Known(Message::Credit(_))));
    for longer in [&[10, 0x85, 0x00][..], &[10, 0x85, 0x80, 0x80, 0x80, 0x00]] {
        assert_eq!(Message::decode(longer), Err(MessageError::Malformed));
    }
}

/// On a 64-bit machine postcard reads a length of six bytes, on a 32-bit one it does not: views would have differed.
#[test]
fn a_length_reads_alike_on_all_machines() {
    let mut body = b"\x85\x80\x80\x80\x80\x00Hello\x00".to_vec();
    assert_eq!(Body::decode(Kind::POST, &body), None);
    body.splice(..6, [5]);
    assert!(Body::decode(Kind::POST, &body).is_some());
}

#[test]
fn an_entry_has_one_form() {
    let bytes = codec::encode(cast::feed()[2].entry());
    // version, device, account: the number follows.
    assert_eq!(bytes[65], 2);
    let mut longer = bytes.clone();
    longer.splice(65..66, [0x82, 0x00]);
    assert!(codec::decode::<Entry>(&bytes).is_ok());
    assert!(codec::decode::<Entry>(&longer).is_err());
}

#[test]
fn flags_are_zero_or_one() {
    assert!(Message::decode(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0]).is_ok());
    assert!(Message::decode(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    assert!(Message::decode(&[1, 1, 255, 0, 0, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn lengths_beyond_the_bytes_are_refused_at_once() {
    for length in [70u64, 1 << 16, 1 << 32, u64::MAX] {
        let heads = [&[7][..], &by_hand::varint(length), &[1; 64]].concat();
        assert_eq!(Message::decode(&heads), Err(MessageError::Malformed));
        let interests = [&[1, 0, 0, 0][..], &by_hand::varint(length), &[1; 64]].concat();
        assert_eq!(Message::decode(&interests), Err(MessageError::Malformed));
        let payload = [&[1][..], &[1; 32], &by_hand::varint(length), &[1; 64]].concat();
        assert!(signal::decode::<ToServer>(&payload).is_err());
    }
}

fn refused(message: &Message) {
    assert_eq!(Message::decode(&message.encode()), Err(MessageError::TooMuch));
}

fn accepted(message: &Message) {
    assert!(Message::decode(&message.encode()).is_ok());
}

#[test]
fn lists_end_at_their_limits() {
    let head = FeedHead {
        account: cast::account(cast::ADA),
        device: cast::device(cast::LAPTOP),
        next_seq: 1,
        head: EntryId([1; 32]),
    };
    let announced = Announced {
        head,
        tree: 1,
        hops: 1,
        waited_ms: 0,
    };
    let announce = |count| {
        Message::Announce(Announcements {
            items: vec![announced; count],
        })
    };
    accepted(&announce(limits::HEADS_PER_MESSAGE_MAX));
    refused(&announce(limits::HEADS_PER_MESSAGE_MAX + 1));

    let interests = |add, remove| {
        Message::Interests(Interests {
            add: vec![SaltedAccount([1; 8]); add],
            remove: vec![SaltedAccount([1; 8]); remove],
            ..Interests::default()
        })
    };
    accepted(&interests(limits::INTERESTS_PER_MESSAGE_MAX, 0));
    refused(&interests(limits::INTERESTS_PER_MESSAGE_MAX, 1));
    let named = |named| {
        Message::Interests(Interests {
            named: vec![cast::account(cast::ADA); named],
            ..Interests::default()
        })
    };
    accepted(&named(limits::NAMED_PER_MESSAGE_MAX));
    refused(&named(limits::NAMED_PER_MESSAGE_MAX + 1));
    let sketch = |bytes| {
        Message::Sketch(Sketch {
            cells: vec![0; bytes],
            ..Sketch::default()
        })
    };
    accepted(&sketch(limits::SKETCH_CELLS_PER_MESSAGE_MAX * SKETCH_CELL_LEN));
    refused(&sketch(
        (limits::SKETCH_CELLS_PER_MESSAGE_MAX + 1) * SKETCH_CELL_LEN,
    ));
    refused(&sketch(SKETCH_CELL_LEN - 1));
    let differ = |asked, next_seq| {
        let ahead = vec![([2; 6], next_seq)];
        let verdict = Verdict::Differ(Differences {
            asked: vec![[1; 6]; asked],
            ahead,
            end: true,
        });
        Message::Compared(Compared { round: 1, verdict })
    };
    accepted(&differ(limits::DIFFERENCES_PER_MESSAGE_MAX - 1, 1));
    refused(&differ(limits::DIFFERENCES_PER_MESSAGE_MAX, 1));
    refused(&differ(0, 0));

    let entry = cast::feed()[2].entry().clone();
    let entries = |count| {
        Message::Entries(protocol::messages::Entries {
            request: 1,
            entries: vec![entry.clone(); count],
        })
    };
    refused(&entries(0));
    accepted(&entries(limits::ENTRIES_PER_MESSAGE_MAX));
    refused(&entries(limits::ENTRIES_PER_MESSAGE_MAX + 1));

    let push = |hops| {
        Message::Push(protocol::messages::Push {
            hops,
            tree: 1,
            entry: entry.clone(),
        })
    };
    refused(&push(0));
    accepted(&push(limits::HOPS_MAX));
    refused(&push(limits::HOPS_MAX + 1));

    let descriptor = Descriptor {
        peer: PeerId([1; 32]),
        relay: false,
        heartbeat: 1,
        age_s: 0,
    };
    let shuffle = |count| {
        Message::Shuffle(Shuffle {
            ttl: 6,
            peers: vec![descriptor; count],
        })
    };
    accepted(&shuffle(limits::PEERS_PER_MESSAGE_MAX));
    refused(&shuffle(limits::PEERS_PER_MESSAGE_MAX + 1));

    let relays = |count, change: fn(&mut protocol::messages::directory::Description)| {
        let mut relay = crate::cast::description();
        change(&mut relay.description);
        Message::Relays(Relays {
            relays: vec![relay; count],
        })
    };
    accepted(&relays(limits::RELAYS_PER_MESSAGE_MAX, |_| ()));
    refused(&relays(limits::RELAYS_PER_MESSAGE_MAX + 1, |_| ()));
    refused(&relays(0, |_| ()));
    accepted(&relays(1, |relay| {
        relay.url = "u".repeat(limits::RELAY_URL_LEN_MAX);
    }));
    refused(&relays(1, |relay| {
        relay.url = "u".repeat(limits::RELAY_URL_LEN_MAX + 1);
    }));
    accepted(&relays(1, |relay| relay.zone = "z".repeat(limits::ZONE_LEN_MAX)));
    refused(&relays(1, |relay| {
        relay.zone = "z".repeat(limits::ZONE_LEN_MAX + 1);
    }));
    let vouches = |count| {
        Message::Vouches(Vouches {
            fingerprint: [0; 16],
            vouches: vec![crate::cast::vouch(); count],
        })
    };
    accepted(&vouches(limits::VOUCHES_PER_MESSAGE_MAX));
    refused(&vouches(limits::VOUCHES_PER_MESSAGE_MAX + 1));
    let members = |count| {
        Message::Members(MemberList {
            relays: vec![PeerId([1; 32]); count],
        })
    };
    accepted(&members(limits::MEMBERS_PER_MESSAGE_MAX));
    refused(&members(limits::MEMBERS_PER_MESSAGE_MAX + 1));
    refused(&relays(1, |relay| {
        if let Some(location) = &mut relay.location {
            location.latitude = 9_001;
        }
    }));

    let want = |from, to| {
        Message::Want(Want {
            request: 1,
            device: cast::device(cast::LAPTOP),
            from,
            to,
        })
    };
    accepted(&want(3, 4));
    refused(&want(3, 3));
    refused(&want(4, 3));
}

/// The receiver of a head or a header counts on from its number, even before it has verified anything.
#[test]
fn numbers_leave_room_to_count_on() {
    let head = |next_seq| {
        Message::Have(protocol::messages::Heads {
            heads: vec![FeedHead {
                account: cast::account(cast::ADA),
                device: cast::device(cast::LAPTOP),
                next_seq,
                head: EntryId([1; 32]),
            }],
        })
    };
    refused(&head(0));
    accepted(&head(1));
    accepted(&head(limits::SEQ_MAX + 1));
    refused(&head(limits::SEQ_MAX + 2));
    refused(&head(u64::MAX));

    let numbered = |seq| {
        let mut entry = cast::feed()[2].entry().clone();
        entry.signed.header.seq = seq;
        let proof = protocol::messages::ForkProof {
            one: entry.signed.clone(),
            other: entry.signed.clone(),
        };
        let signed: SignedHeader = entry.signed.clone();
        let push = Message::Push(protocol::messages::Push {
            hops: 1,
            tree: 1,
            entry,
        });
        (push, Message::ForkProof(proof), signed)
    };
    let (push, proof, signed) = numbered(limits::SEQ_MAX);
    accepted(&push);
    accepted(&proof);
    assert_eq!(signed.verify(), Err(EntryError::Signature));
    let (push, proof, signed) = numbered(limits::SEQ_MAX + 1);
    refused(&push);
    refused(&proof);
    assert_eq!(signed.verify(), Err(EntryError::Order));

    let mut receipt = cast::receipt();
    accepted(&Message::Receipt(receipt.clone()));
    receipt.next_seq = u64::MAX;
    refused(&Message::Receipt(receipt));

    let mut withdrawal = cast::withdrawal();
    withdrawal.from = limits::SEQ_MAX;
    accepted(&Message::Withdrawal(withdrawal.clone()));
    withdrawal.from += 1;
    refused(&Message::Withdrawal(withdrawal));
}

#[test]
fn signal_messages_end_at_their_limits() {
    let signal = |len| {
        codec::encode(&ToServer::Signal {
            to: cast::peer(cast::LAPTOP),
            payload: vec![7; len],
        })
    };
    assert!(signal::decode::<ToServer>(&signal(limits::SIGNAL_PAYLOAD_LEN_MAX)).is_ok());
    assert!(signal::decode::<ToServer>(&signal(limits::SIGNAL_PAYLOAD_LEN_MAX + 1)).is_err());
    assert!(signal::decode::<ToServer>(&signal(limits::SIGNAL_LEN_MAX)).is_err());

    let joined = |count| {
        let member = RoomMember {
            peer: cast::peer(cast::RELAY),
            relay: true,
        };
        codec::encode(&ToPeer::Joined {
            members: vec![member; count],
        })
    };
    assert!(signal::decode::<ToPeer>(&joined(limits::SIGNAL_MEMBERS_MAX)).is_ok());
    assert!(signal::decode::<ToPeer>(&joined(limits::SIGNAL_MEMBERS_MAX + 1)).is_err());

    let offer = |len| {
        codec::encode(&Payload::Offer {
            session: 1,
            sdp: "a".repeat(len),
        })
    };
    assert!(signal::decode::<Payload>(&offer(limits::SIGNAL_PAYLOAD_LEN_MAX - 5)).is_ok());
    assert!(signal::decode::<Payload>(&offer(limits::SIGNAL_PAYLOAD_LEN_MAX)).is_err());
}
