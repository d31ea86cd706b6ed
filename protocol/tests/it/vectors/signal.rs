//! Every message between peers and the signaling server.

use protocol::Signature;
use protocol::signal::{
    CloseReason, Payload, RoomId, RoomMember, SIGNAL_VERSION, SignalMessage, ToPeer, ToServer, sign_join,
    verify_join,
};

use crate::by_hand::{Vector, blake3, hex, public, sign};
use crate::cast::{self, LAPTOP, RELAY};

const NONCE: [u8; 32] = [0xc3; 32];
const HOST: &str = "relay.example:8080";

fn same<T: SignalMessage + PartialEq + core::fmt::Debug>(by_hand: Vector, value: &T) -> Vector {
    let name = by_hand.name;
    assert_eq!(
        hex(&by_hand.bytes()),
        hex(&protocol::codec::encode(value)),
        "{name}: document and code disagree"
    );
    assert_eq!(
        protocol::signal::decode(&by_hand.bytes()).as_ref(),
        Ok(value),
        "{name}: read back"
    );
    by_hand
}

/// Messages to the server.
pub(crate) fn to_server() -> Vec<(Vector, ToServer)> {
    let room = blake3(b"starling lobby v1");
    let signature = sign(
        LAPTOP,
        "starling signal v1",
        &[&NONCE[..], &room[..], HOST.as_bytes()].concat(),
    );
    vec![
        (
            Vector::new("ToServer: Join")
                .varint("variant", 0)
                .varint("version", 1)
                .fixed("peer", public(LAPTOP))
                .fixed("room: lobby", room)
                .fixed("signature", signature),
            ToServer::Join {
                version: SIGNAL_VERSION,
                peer: cast::peer(LAPTOP),
                room: RoomId::lobby(),
                signature: sign_join(&cast::key(LAPTOP), &NONCE, &RoomId::lobby(), HOST),
            },
        ),
        (
            Vector::new("ToServer: Signal")
                .varint("variant", 1)
                .fixed("to", public(RELAY))
                .sized("payload", [1, 2, 3]),
            ToServer::Signal {
                to: cast::peer(RELAY),
                payload: vec![1, 2, 3],
            },
        ),
        (Vector::new("ToServer: List").varint("variant", 2), ToServer::List),
    ]
}

/// Messages to a peer.
pub(crate) fn to_peer() -> Vec<(Vector, ToPeer)> {
    let members = vec![
        RoomMember {
            peer: cast::peer(RELAY),
            relay: true,
        },
        RoomMember {
            peer: cast::peer(LAPTOP),
            relay: false,
        },
    ];
    let listed = |name, variant| {
        Vector::new(name)
            .varint("variant", variant)
            .varint("members, count", 2)
            .fixed("members[0].peer", public(RELAY))
            .byte("members[0].relay", 1)
            .fixed("members[1].peer", public(LAPTOP))
            .byte("members[1].relay", 0)
    };
    vec![
        (
            Vector::new("ToPeer: Challenge")
                .varint("variant", 0)
                .varint("version", 1)
                .fixed("nonce", NONCE),
            ToPeer::Challenge {
                version: SIGNAL_VERSION,
                nonce: NONCE,
            },
        ),
        (
            listed("ToPeer: Joined", 1),
            ToPeer::Joined {
                members: members.clone(),
            },
        ),
        (listed("ToPeer: Members", 2), ToPeer::Members { members }),
        (
            Vector::new("ToPeer: Signal")
                .varint("variant", 3)
                .fixed("from", public(RELAY))
                .sized("payload", [1, 2, 3]),
            ToPeer::Signal {
                from: cast::peer(RELAY),
                payload: vec![1, 2, 3],
            },
        ),
        (
            Vector::new("ToPeer: Absent")
                .varint("variant", 4)
                .fixed("peer", public(RELAY)),
            ToPeer::Absent {
                peer: cast::peer(RELAY),
            },
        ),
        (
            Vector::new("ToPeer: Refused")
                .varint("variant", 5)
                .varint("reason: room full", 3),
            ToPeer::Refused {
                reason: CloseReason::RoomFull,
            },
        ),
    ]
}

/// Messages from peer to peer.
pub(crate) fn payloads() -> Vec<(Vector, Payload)> {
    let sdp = "v=0\r\n";
    vec![
        (
            Vector::new("Payload: Call")
                .varint("variant", 0)
                .varint("session", 1 << 40),
            Payload::Call { session: 1 << 40 },
        ),
        (
            Vector::new("Payload: Offer")
                .varint("variant", 1)
                .varint("session", 1 << 40)
                .sized("sdp", sdp),
            Payload::Offer {
                session: 1 << 40,
                sdp: sdp.into(),
            },
        ),
        (
            Vector::new("Payload: Answer")
                .varint("variant", 2)
                .varint("session", 1 << 40)
                .sized("sdp", sdp),
            Payload::Answer {
                session: 1 << 40,
                sdp: sdp.into(),
            },
        ),
        (
            Vector::new("Payload: Candidate")
                .varint("variant", 3)
                .varint("session", 1 << 40)
                .sized("candidate", "")
                .sized("mid", "0"),
            Payload::Candidate {
                session: 1 << 40,
                candidate: String::new(),
                mid: "0".into(),
            },
        ),
        (
            Vector::new("Payload: Decline")
                .varint("variant", 4)
                .varint("session", 1 << 40),
            Payload::Decline { session: 1 << 40 },
        ),
    ]
}

pub(crate) fn all() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (by_hand, message) in to_server() {
        if let ToServer::Join {
            peer,
            room,
            signature,
            ..
        } = &message
        {
            assert!(verify_join(peer, &NONCE, room, HOST, signature).is_ok());
            assert_ne!(*signature, Signature::from_bytes(&[0; 64]));
        }
        vectors.push(same(by_hand, &message));
    }
    for (by_hand, message) in to_peer() {
        vectors.push(same(by_hand, &message));
    }
    for (by_hand, payload) in payloads() {
        vectors.push(same(by_hand, &payload));
    }
    vectors
}
