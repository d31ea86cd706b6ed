//! A link is up between two keys on one channel, or it is not up at all.

use std::collections::VecDeque;

use proptest::prelude::*;
use protocol::kinds::Certificate;
use protocol::link::frame::{self, HELLO, LAST, PROOF};
use protocol::link::handshake::{
    Binding, Established, Handshake, HandshakeError, Hello, MAGIC, NoCommonVersion, Side, Step, VERSION_MAX,
    Versions,
};
use protocol::{KeyPair, codec};

use crate::cast::{self, ADA, BEGIN, BOB, DTLS, LAPTOP, PHONE, RELAY};

/// One end: a handshake, and what came of it.
struct End {
    handshake: Handshake,
    done: Option<Established>,
    failed: Option<HandshakeError>,
}

impl End {
    fn new(side: Side, binding: Binding, key: KeyPair, hello: &Hello) -> Self {
        Self {
            handshake: Handshake::new(side, binding, key, hello),
            done: None,
            failed: None,
        }
    }

    fn laptop() -> Self {
        Self::new(Side::Initiator, DTLS, cast::key(LAPTOP), &cast::laptop_hello())
    }

    fn relay() -> Self {
        Self::new(Side::Responder, DTLS, cast::key(RELAY), &cast::relay_hello())
    }

    fn hello(&self) -> Vec<u8> {
        self.handshake.frames()[0].clone()
    }

    /// Takes a frame; what is to be sent.
    fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if self.failed.is_some() {
            return Vec::new();
        }
        let (kind, payload) = frame::split(bytes).expect("a frame");
        match self.handshake.on_frame(kind, payload) {
            Ok(Step::Wait) => Vec::new(),
            Ok(Step::Send(frame)) => vec![frame],
            Ok(Step::Done(established)) => {
                let first = self.done.is_none();
                self.done = Some(*established);
                // Who is through says everything once more: the other side may have missed it.
                if first {
                    self.handshake.frames()
                } else {
                    Vec::new()
                }
            }
            Err(error) => {
                self.failed = Some(error);
                Vec::new()
            }
        }
    }

    /// Gives frames in order; the error that ends it.
    fn fails_on(mut self, frames: &[Vec<u8>]) -> Option<HandshakeError> {
        for frame in frames {
            self.take(frame);
        }
        assert!(self.done.is_none(), "a link that must not be");
        self.failed
    }
}

/// Runs two ends against each other, losing the first frames of each direction, and repeating once a round.
fn run(one: &mut End, other: &mut End, mut lost: (usize, usize), change: impl Fn(bool, Vec<u8>) -> Vec<u8>) {
    let rounds = 3 + lost.0.max(lost.1);
    for _ in 0..rounds {
        let mut to_other: VecDeque<_> = if one.done.is_none() {
            one.handshake.frames()
        } else {
            Vec::new()
        }
        .into();
        let mut to_one: VecDeque<_> = if other.done.is_none() {
            other.handshake.frames()
        } else {
            Vec::new()
        }
        .into();
        while !to_other.is_empty() || !to_one.is_empty() {
            if let Some(frame) = to_other.pop_front() {
                if lost.0 > 0 {
                    lost.0 -= 1;
                } else {
                    to_one.extend(other.take(&change(true, frame)));
                }
            }
            if let Some(frame) = to_one.pop_front() {
                if lost.1 > 0 {
                    lost.1 -= 1;
                } else {
                    to_other.extend(one.take(&change(false, frame)));
                }
            }
        }
    }
}

fn unchanged(_: bool, frame: Vec<u8>) -> Vec<u8> {
    frame
}

/// Neither end may end up with a link.
fn never(
    mut one: End,
    mut other: End,
    change: impl Fn(bool, Vec<u8>) -> Vec<u8>,
) -> [Option<HandshakeError>; 2] {
    run(&mut one, &mut other, (0, 0), change);
    assert!(
        one.done.is_none() && other.done.is_none(),
        "a link that must not be"
    );
    [one.failed, other.failed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn honest_ends_meet_though_early_frames_are_lost(lost in (0..8usize, 0..8usize)) {
        let (mut laptop, mut relay) = (End::laptop(), End::relay());
        run(&mut laptop, &mut relay, lost, unchanged);
        prop_assert_eq!((laptop.failed, relay.failed), (None, None));
        let (at_laptop, at_relay) = (laptop.done.unwrap(), relay.done.unwrap());
        prop_assert_eq!(at_laptop.peer, cast::peer(RELAY));
        prop_assert_eq!(at_laptop.account, None);
        prop_assert_eq!(at_relay.peer, cast::peer(LAPTOP));
        prop_assert_eq!(at_relay.account, Some(cast::account(ADA)));
        prop_assert_eq!(at_laptop.salt, at_relay.salt);
        prop_assert_eq!((at_laptop.version, at_relay.version), (VERSION_MAX, VERSION_MAX));
    }
}

#[test]
fn no_bit_of_a_hello_may_change_on_the_way() {
    let len = End::laptop().hello().len();
    // The first byte is the frame's type.
    for bit in 8..len * 8 {
        let flip = |to_relay: bool, mut frame: Vec<u8>| {
            if to_relay && frame[0] == HELLO {
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            frame
        };
        never(End::laptop(), End::relay(), flip);
    }
}

#[test]
fn no_bit_of_a_proof_may_change_on_the_way() {
    for bit in 8..65 * 8 {
        let (mut laptop, mut relay) = (End::laptop(), End::relay());
        run(&mut laptop, &mut relay, (0, 0), |to_relay, mut frame| {
            if to_relay && frame[0] == PROOF {
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            frame
        });
        assert_eq!(relay.done, None, "bit {bit}");
        assert_eq!(relay.failed, Some(HandshakeError::Proof), "bit {bit}");
    }
}

#[test]
fn another_channel_is_noticed() {
    let swapped = Binding::Dtls {
        offerer: [0xbb; 32],
        answerer: [0xaa; 32],
    };
    let host = |host: &str| Binding::WebSocket { host: host.into() };
    for (one, other) in [
        (DTLS, swapped),
        (DTLS, Binding::Memory),
        (host("a.example"), host("b.example")),
        (host("a.example"), host("a.example:8080")),
    ] {
        let laptop = End::new(Side::Initiator, one, cast::key(LAPTOP), &cast::laptop_hello());
        let relay = End::new(Side::Responder, other, cast::key(RELAY), &cast::relay_hello());
        let expected = Some(HandshakeError::Proof);
        assert_eq!(never(laptop, relay, unchanged), [expected, expected]);
    }
}

#[test]
fn both_ends_cannot_have_dialled() {
    let relay = End::new(Side::Initiator, DTLS, cast::key(RELAY), &cast::relay_hello());
    never(End::laptop(), relay, unchanged);
}

#[test]
fn a_mirror_is_noticed() {
    let laptop = End::laptop();
    let reflected = [laptop.hello()];
    assert_eq!(laptop.fails_on(&reflected), Some(HandshakeError::Oneself));
}

#[test]
fn a_proof_cannot_be_thrown_back() {
    let mut laptop = End::laptop();
    let own_proof = laptop.take(&End::relay().hello()).remove(0);
    laptop.take(&own_proof);
    assert_eq!(laptop.failed, Some(HandshakeError::Proof));
}

#[test]
fn a_recorded_session_is_worthless() {
    let (mut laptop, mut relay) = (End::laptop(), End::relay());
    let mut recorded = vec![laptop.hello()];
    recorded.extend(laptop.take(&relay.hello()));
    for frame in &recorded {
        relay.take(frame);
    }
    assert!(relay.done.is_some(), "the first time it is the laptop itself");

    let fresh = Hello {
        nonce: [0xb3; 32],
        ..cast::relay_hello()
    };
    let again = End::new(Side::Responder, DTLS, cast::key(RELAY), &fresh);
    assert_eq!(again.fails_on(&recorded), Some(HandshakeError::Proof));
}

#[test]
fn versions_and_features_cannot_be_talked_down() {
    let modern = Hello {
        version_max: 7,
        features: u64::MAX,
        ..cast::laptop_hello()
    };
    let laptop = || End::new(Side::Initiator, DTLS, cast::key(LAPTOP), &modern);
    let (mut one, mut other) = (laptop(), End::relay());
    run(&mut one, &mut other, (0, 0), unchanged);
    let established = other.done.expect("later versions are welcome");
    assert_eq!(
        (established.version, established.features),
        (VERSION_MAX, u64::MAX)
    );

    for lesser in [
        Hello {
            version_max: VERSION_MAX,
            ..modern.clone()
        },
        Hello {
            features: 0,
            ..modern.clone()
        },
    ] {
        let lesser = frame::join(HELLO, &codec::encode(&lesser));
        let expected = Some(HandshakeError::Proof);
        let talk_down = |to_relay: bool, frame: Vec<u8>| {
            if to_relay && frame[0] == HELLO {
                lesser.clone()
            } else {
                frame
            }
        };
        assert_eq!(never(laptop(), End::relay(), talk_down), [expected, expected]);
    }
}

/// Gives a relay the hello; its first answer.
fn answer(hello: &Hello) -> Option<HandshakeError> {
    End::relay().fails_on(&[frame::join(HELLO, &codec::encode(hello))])
}

#[test]
fn hellos_that_are_none_are_refused() {
    let hello = cast::laptop_hello;
    assert_eq!(answer(&hello()), None);
    let versions = |version_min, version_max| {
        answer(&Hello {
            version_min,
            version_max,
            ..hello()
        })
    };
    let foreign = |min, max| {
        let (own, theirs) = (Versions::OWN, Versions { min, max });
        Some(HandshakeError::Version(NoCommonVersion { own, theirs }))
    };
    assert_eq!(versions(2, 9), foreign(2, 9));
    assert_eq!(versions(0, 0), foreign(0, 0));
    assert_eq!(versions(0, 9), None);
    assert_eq!(versions(1, 0), Some(HandshakeError::Malformed));
    let magic = Hello {
        magic: *b"STRM",
        ..hello()
    };
    assert_eq!(answer(&magic), Some(HandshakeError::Malformed));
    let with = |certificate| {
        answer(&Hello {
            certificate: Some(certificate),
            ..hello()
        })
    };
    let issue = |by: u8, device, name: &str| {
        Certificate::issue(&cast::key(by), cast::device(device), name.to_owned(), BEGIN)
    };
    assert_eq!(with(issue(BOB, LAPTOP, "bob's")), None);
    assert_eq!(
        with(issue(ADA, PHONE, "phone")),
        Some(HandshakeError::Certificate)
    );
    assert_eq!(
        with(issue(ADA, LAPTOP, &"n".repeat(51))),
        Some(HandshakeError::Certificate)
    );
    let forged = Certificate {
        account: cast::account(BOB),
        ..cast::certificate()
    };
    assert_eq!(with(forged), Some(HandshakeError::Certificate));
}

/// A peer of a later version of the protocol, which changed everything in a hello but its beginning.
#[test]
fn a_peer_of_another_version_is_answered_in_plain_words() {
    let hello = [&MAGIC[..], &[2, 3], b"fields nobody knows yet"].concat();
    let error = End::relay().fails_on(&[frame::join(HELLO, &hello)]).unwrap();
    assert_eq!(
        error.to_string(),
        "no protocol version in common: this program speaks 1, the neighbour speaks 2 to 3; this program is too old: \
         update it"
    );

    let mut later = cast::relay_hello();
    (later.version_min, later.version_max) = (2, 3);
    let later = End::new(Side::Responder, DTLS, cast::key(RELAY), &later);
    let error = later.fails_on(&[End::laptop().hello()]).unwrap();
    assert_eq!(
        error.to_string(),
        "no protocol version in common: this program speaks 2 to 3, the neighbour speaks 1; the neighbour's program is \
         too old: update it"
    );
}

#[test]
fn the_newest_common_version_is_spoken() {
    let versions = |min, max| Versions { min, max };
    assert_eq!(versions(1, 3).common(versions(2, 5)), Some(3));
    assert_eq!(versions(2, 5).common(versions(1, 3)), Some(3));
    assert_eq!(versions(1, 1).common(versions(1, 1)), Some(1));
    assert_eq!(versions(1, 2).common(versions(3, 4)), None);
    assert_eq!(versions(3, 4).common(versions(1, 2)), None);
}

#[test]
fn a_hello_of_a_later_version_may_be_longer() {
    let mut longer = End::laptop().hello();
    longer.extend(b"what a later version adds");
    let mut relay = End::relay();
    assert_eq!(relay.take(&longer).len(), 1, "a proof");
    // Not one byte less is under the proof: a shortened hello is another hello.
    assert!(relay.take(&End::laptop().hello()).is_empty());
    assert_eq!(relay.failed, Some(HandshakeError::Changed));
}

#[test]
fn another_key_cannot_prove_the_one_named() {
    let impostor = End::laptop();
    let mut forged = impostor.handshake.frames();
    let by_phone = End::new(
        Side::Initiator,
        DTLS,
        cast::key(PHONE),
        &Hello {
            peer: cast::peer(PHONE),
            certificate: None,
            ..cast::laptop_hello()
        },
    );
    let mut by_phone = by_phone;
    forged.extend(by_phone.take(&End::relay().hello()));
    assert_eq!(End::relay().fails_on(&forged), Some(HandshakeError::Proof));
}

#[test]
fn nothing_is_heard_before_the_proof() {
    for kind in [frame::MORE, LAST, 5, 255] {
        let early = [frame::join(kind, b"x")];
        assert_eq!(End::relay().fails_on(&early), Some(HandshakeError::TooEarly));
        let after_hello = [End::laptop().hello(), early[0].clone()];
        assert_eq!(
            End::relay().fails_on(&after_hello),
            Some(HandshakeError::TooEarly)
        );
    }
}

#[test]
fn a_second_hello_must_be_the_first() {
    let other = Hello {
        nonce: [0xa2; 32],
        ..cast::laptop_hello()
    };
    let hellos = [
        End::laptop().hello(),
        End::laptop().hello(),
        frame::join(HELLO, &codec::encode(&other)),
    ];
    assert_eq!(End::relay().fails_on(&hellos), Some(HandshakeError::Changed));
}

#[test]
fn a_proof_before_its_hello_waits_for_the_repeat() {
    let (mut laptop, mut relay) = (End::laptop(), End::relay());
    let proof = laptop.take(&relay.hello()).remove(0);
    assert!(relay.take(&proof).is_empty());
    assert_eq!((relay.failed, relay.done.is_some()), (None, false));
    for frame in laptop.handshake.frames() {
        relay.take(&frame);
    }
    assert!(relay.done.is_some());
}
