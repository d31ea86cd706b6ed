//! A laptop dials a relay: every byte that is sent and signed.

use protocol::Timestamp;
use protocol::link::frame;
use protocol::link::handshake::{self, Binding, Established, Handshake, Side, Step};
use protocol::messages::SaltedAccount;

use super::{identity, same};
use crate::by_hand::{Vector, public, sign};
use crate::cast::{self, ADA, BEGIN, LAPTOP, RELAY};

fn hello(name: &'static str, features: u64, peer: u8, nonce: u8, wall: u64) -> Vector {
    let hello = Vector::new(name)
        .fixed("magic", "STRL")
        .varint("version_min", 1)
        .varint("version_max", 1)
        .varint("features", features)
        .fixed("peer", public(peer))
        .fixed("nonce", [nonce; 32]);
    let hello = if peer == LAPTOP {
        hello
            .byte("certificate: some", 1)
            .all("certificate", &identity::certificate())
    } else {
        hello.byte("certificate: none", 0)
    };
    hello.varint("wall", wall)
}

fn bindings() -> [Vector; 3] {
    [
        Vector::new("binding: DTLS")
            .varint("variant", 0)
            .fixed("offerer", [0xaa; 32])
            .fixed("answerer", [0xbb; 32]),
        Vector::new("binding: WebSocket")
            .varint("variant", 1)
            .sized("host", "relay.example:8080"),
        Vector::new("binding: memory").varint("variant", 2),
    ]
}

fn transcript(name: &'static str, signer: u8, initiator: &Vector, responder: &Vector) -> Vector {
    Vector::new(name)
        .byte("signer", signer)
        .all("binding", &bindings()[0])
        .sized("initiator's hello", initiator.bytes())
        .sized("responder's hello", responder.bytes())
}

pub(crate) fn all() -> Vec<Vector> {
    let laptop = hello("hello of laptop", 0, LAPTOP, 0xa1, BEGIN.0);
    let relay = hello("hello of relay", 1, RELAY, 0xb2, BEGIN.0 + 7);
    let [dtls, web_socket, memory] = bindings();
    let by_initiator = transcript("transcript signed by the initiator", 0, &laptop, &relay);
    let by_responder = transcript("transcript signed by the responder", 1, &laptop, &relay);
    let proof = |name, signer, transcript: &Vector| {
        Vector::new(name)
            .byte("frame type", 1)
            .fixed("signature", sign(signer, "starling link v1", &transcript.bytes()))
    };
    let laptop_proof = proof("proof frame of laptop", LAPTOP, &by_initiator);
    let relay_proof = proof("proof frame of relay", RELAY, &by_responder);
    let mut salt = blake3::Hasher::new_derive_key("starling link salt v1");
    salt.update(&by_initiator.bytes());
    let salt = *salt.finalize().as_bytes();
    let mut peers = [public(LAPTOP), public(RELAY)];
    peers.sort();
    let mut pair_salt = blake3::Hasher::new_derive_key("starling pair salt v1");
    pair_salt.update(&peers.concat());
    let pair_salt = *pair_salt.finalize().as_bytes();
    let (laptop_id, relay_id) = (cast::peer(LAPTOP), cast::peer(RELAY));
    assert_eq!(pair_salt, handshake::pair_salt(&laptop_id, &relay_id));
    assert_eq!(pair_salt, handshake::pair_salt(&relay_id, &laptop_id));
    let relay_salt = blake3::derive_key("starling relay salt v1", &public(RELAY));
    assert_eq!(relay_salt, handshake::relay_salt(&relay_id));
    let salted_for_relay = blake3::keyed_hash(&relay_salt, &public(ADA)).as_bytes()[..8].to_vec();
    let salted = blake3::keyed_hash(&pair_salt, &public(ADA)).as_bytes()[..8].to_vec();
    assert_eq!(salted, SaltedAccount::new(&pair_salt, &cast::account(ADA)).0);

    run(&laptop_proof, &relay_proof, salt);
    let close = Vector::new("close frame")
        .byte("frame type", 4)
        .fixed("reason", "tired");
    assert_eq!(frame::close("tired"), close.bytes());
    vec![
        same(laptop, &cast::laptop_hello()),
        same(relay, &cast::relay_hello()),
        same(dtls, &cast::DTLS),
        same(
            web_socket,
            &Binding::WebSocket {
                host: "relay.example:8080".into(),
            },
        ),
        same(memory, &Binding::Memory),
        by_initiator,
        by_responder,
        laptop_proof,
        relay_proof,
        Vector::new("salt").fixed("salt", salt),
        Vector::new("pair salt").fixed("salt", pair_salt),
        Vector::new("ada, salted").fixed("salted account", salted),
        Vector::new("relay salt").fixed("salt", relay_salt),
        Vector::new("ada, salted for the relay").fixed("salted account", salted_for_relay),
        close,
    ]
}

/// Two real handshakes say the same as the bytes by hand.
fn run(laptop_proof: &Vector, relay_proof: &Vector, salt: [u8; 32]) {
    let mut laptop = Handshake::new(
        Side::Initiator,
        cast::DTLS,
        cast::key(LAPTOP),
        &cast::laptop_hello(),
    );
    let mut relay = Handshake::new(
        Side::Responder,
        cast::DTLS,
        cast::key(RELAY),
        &cast::relay_hello(),
    );
    let deliver = |to: &mut Handshake, bytes: &[u8]| {
        let (kind, payload) = frame::split(bytes).expect("a frame");
        to.on_frame(kind, payload).expect("an honest frame")
    };
    assert_eq!(
        deliver(&mut relay, &laptop.frames()[0]),
        Step::Send(relay_proof.bytes())
    );
    assert_eq!(
        deliver(&mut laptop, &relay.frames()[0]),
        Step::Send(laptop_proof.bytes())
    );
    let mut established = Established {
        peer: cast::peer(RELAY),
        account: None,
        version: 1,
        features: 1,
        wall: Timestamp(BEGIN.0 + 7),
        salt,
    };
    assert_eq!(
        deliver(&mut laptop, &relay_proof.bytes()),
        Step::Done(Box::new(established.clone()))
    );
    established.peer = cast::peer(LAPTOP);
    established.account = Some(cast::account(ADA));
    established.features = 0;
    established.wall = BEGIN;
    assert_eq!(
        deliver(&mut relay, &laptop_proof.bytes()),
        Step::Done(Box::new(established))
    );
}
