use std::time::Duration;

use protocol::codec::encode;
use protocol::signal::{CloseReason, RoomId, SIGNAL_VERSION, ToPeer, ToServer, sign_join};
use protocol::{Instant, KeyPair, PeerId, limits};

use super::{Limits, Output, Rooms, SocketId};
use crate::rate::Rate;

const HOST: &str = "relay.example";
const START: Instant = Instant(1_000_000);

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn peer(n: u8) -> PeerId {
    PeerId(key(n).public())
}

fn rooms(limits: Limits) -> Rooms {
    Rooms::new(limits, [7; 32])
}

fn drain(rooms: &mut Rooms) -> Vec<Output> {
    std::iter::from_fn(|| rooms.poll_output()).collect()
}

/// Opens a socket and takes its nonce.
fn open(rooms: &mut Rooms) -> (SocketId, [u8; 32]) {
    let socket = rooms.open(START, HOST, None).unwrap();
    match drain(rooms).as_slice() {
        [
            Output::Send {
                socket: to,
                message: ToPeer::Challenge { nonce, version },
            },
        ] if *to == socket && *version == SIGNAL_VERSION => (socket, *nonce),
        other => panic!("expected a challenge, got {other:?}"),
    }
}

fn join_message(n: u8, nonce: &[u8; 32], room: RoomId) -> Vec<u8> {
    encode(&ToServer::Join {
        version: SIGNAL_VERSION,
        peer: peer(n),
        room,
        signature: sign_join(&key(n), nonce, &room, HOST),
    })
}

fn signal(to: PeerId, payload: &[u8]) -> Vec<u8> {
    encode(&ToServer::Signal {
        to,
        payload: payload.to_vec(),
    })
}

/// Key `n` joins the lobby; everything said about it.
fn enter(rooms: &mut Rooms, n: u8) -> (SocketId, Vec<Output>) {
    let (socket, nonce) = open(rooms);
    rooms.receive(START, socket, &join_message(n, &nonce, RoomId::lobby()));
    (socket, drain(rooms))
}

fn members(outputs: &[Output]) -> Vec<(PeerId, bool)> {
    outputs
        .iter()
        .find_map(|output| match output {
            Output::Send {
                message: ToPeer::Joined { members } | ToPeer::Members { members },
                ..
            } => Some(members.iter().map(|member| (member.peer, member.relay)).collect()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("nobody was listed: {outputs:?}"))
}

/// `bytes` on a fresh, unjoined socket end it with `reason`.
fn check_refused(rooms: &mut Rooms, bytes: &[u8], reason: CloseReason) {
    let (socket, _) = open(rooms);
    check_ends(rooms, socket, bytes, reason);
}

fn check_ends(rooms: &mut Rooms, socket: SocketId, bytes: &[u8], reason: CloseReason) {
    rooms.receive(START, socket, bytes);
    assert_eq!(drain(rooms), [Output::Close { socket, reason }]);
    rooms.receive(START, socket, bytes);
    assert_eq!(drain(rooms), [], "a forgotten socket says nothing more");
}

#[test]
fn a_proven_key_joins_and_signals() {
    let mut rooms = rooms(Limits::default());
    let (ada, outputs) = enter(&mut rooms, 1);
    assert_eq!(members(&outputs), []);
    let (bob, outputs) = enter(&mut rooms, 2);
    assert_eq!(members(&outputs), [(peer(1), false)]);
    rooms.receive(START, bob, &signal(peer(1), b"offer"));
    let message = ToPeer::Signal {
        from: peer(2),
        payload: b"offer".to_vec(),
    };
    assert_eq!(drain(&mut rooms), [Output::Send { socket: ada, message }]);
}

#[test]
fn a_wrong_proof_is_refused() {
    let mut rooms = rooms(Limits::default());
    let (socket, nonce) = open(&mut rooms);
    let lobby = RoomId::lobby();
    let with = |peer, room, signature| {
        encode(&ToServer::Join {
            version: SIGNAL_VERSION,
            peer,
            room,
            signature,
        })
    };
    // The key of another peer.
    let stolen = with(peer(2), lobby, sign_join(&key(1), &nonce, &lobby, HOST));
    check_ends(&mut rooms, socket, &stolen, CloseReason::BadSignature);
    // Another room than the signed one.
    let (socket, nonce) = open(&mut rooms);
    let moved = with(
        peer(1),
        RoomId::named("other"),
        sign_join(&key(1), &nonce, &lobby, HOST),
    );
    check_ends(&mut rooms, socket, &moved, CloseReason::BadSignature);
    // Signed for another server.
    let (socket, nonce) = open(&mut rooms);
    let relayed = with(peer(1), lobby, sign_join(&key(1), &nonce, &lobby, "evil.example"));
    check_ends(&mut rooms, socket, &relayed, CloseReason::BadSignature);
    assert_eq!((rooms.sockets(), rooms.rooms()), (0, 0));
}

#[test]
fn a_recorded_join_is_worthless_on_another_socket() {
    let mut rooms = rooms(Limits::default());
    let (socket, nonce) = open(&mut rooms);
    let join = join_message(1, &nonce, RoomId::lobby());
    rooms.receive(START, socket, &join);
    drain(&mut rooms);
    check_refused(&mut rooms, &join, CloseReason::BadSignature);
    assert_eq!(rooms.sockets(), 1, "the honest one stays");
}

#[test]
fn messages_at_the_wrong_time_are_refused() {
    let mut rooms = rooms(Limits::default());
    check_refused(&mut rooms, &signal(peer(1), b"x"), CloseReason::Malformed);
    check_refused(&mut rooms, &encode(&ToServer::List), CloseReason::Malformed);
    check_refused(&mut rooms, b"", CloseReason::Malformed);
    check_refused(&mut rooms, &[0xff; 100], CloseReason::Malformed);
    check_refused(
        &mut rooms,
        &vec![0; limits::SIGNAL_LEN_MAX + 1],
        CloseReason::Malformed,
    );
    let (ada, _) = enter(&mut rooms, 1);
    check_ends(
        &mut rooms,
        ada,
        &join_message(1, &[0; 32], RoomId::lobby()),
        CloseReason::Malformed,
    );
    let (ada, _) = enter(&mut rooms, 1);
    let long = vec![0; limits::SIGNAL_PAYLOAD_LEN_MAX + 1];
    check_ends(&mut rooms, ada, &signal(peer(2), &long), CloseReason::Malformed);
    let (ada, _) = enter(&mut rooms, 1);
    check_ends(
        &mut rooms,
        ada,
        &signal(peer(1), b"to myself"),
        CloseReason::Malformed,
    );
}

#[test]
fn another_version_is_told_so() {
    let mut rooms = rooms(Limits::default());
    let (socket, nonce) = open(&mut rooms);
    let join = encode(&ToServer::Join {
        version: SIGNAL_VERSION + 1,
        peer: peer(1),
        room: RoomId::lobby(),
        signature: sign_join(&key(1), &nonce, &RoomId::lobby(), HOST),
    });
    check_ends(&mut rooms, socket, &join, CloseReason::Version);
}

#[test]
fn the_absent_are_named() {
    let mut rooms = rooms(Limits::default());
    let (ada, _) = enter(&mut rooms, 1);
    // In another room, hence not here.
    let (bob, nonce) = open(&mut rooms);
    rooms.receive(START, bob, &join_message(2, &nonce, RoomId::named("elsewhere")));
    drain(&mut rooms);
    rooms.receive(START, ada, &signal(peer(2), b"hello"));
    let message = ToPeer::Absent { peer: peer(2) };
    assert_eq!(drain(&mut rooms), [Output::Send { socket: ada, message }]);
}

#[test]
fn the_newest_socket_of_a_key_wins() {
    let mut rooms = rooms(Limits::default());
    let (older, _) = enter(&mut rooms, 1);
    let (newer, outputs) = enter(&mut rooms, 1);
    let reason = CloseReason::Replaced;
    assert_eq!(
        outputs[0],
        Output::Close {
            socket: older,
            reason
        }
    );
    assert_eq!(members(&outputs), [], "no member gets its own entry");
    // The older one's end arrives late and takes nothing with it.
    rooms.close(older);
    let (_, outputs) = enter(&mut rooms, 2);
    assert_eq!(members(&outputs), [(peer(1), false)]);
    rooms.close(newer);
    assert_eq!(rooms.sockets(), 1);
}

#[test]
fn the_relay_is_listed_first_and_never_replaced() {
    let mut rooms = rooms(Limits::default());
    for n in 1..=3 {
        enter(&mut rooms, n);
    }
    let relay = rooms.open_local(START, peer(9), RoomId::lobby()).unwrap();
    assert_eq!(drain(&mut rooms), []);
    let (ada, outputs) = enter(&mut rooms, 4);
    let listed = members(&outputs);
    assert_eq!((listed[0], listed.len()), ((peer(9), true), 4));
    rooms.receive(START, ada, &signal(peer(9), b"offer"));
    assert_eq!(
        drain(&mut rooms),
        [Output::Local {
            socket: relay,
            from: peer(4),
            address: None,
            payload: b"offer".to_vec(),
        }]
    );
    rooms.signal_local(START, relay, peer(4), b"answer".to_vec());
    let message = ToPeer::Signal {
        from: peer(9),
        payload: b"answer".to_vec(),
    };
    assert_eq!(drain(&mut rooms), [Output::Send { socket: ada, message }]);
    // Not even a thief of its key can take its place.
    let (thief, outputs) = enter(&mut rooms, 9);
    let reason = CloseReason::Replaced;
    assert_eq!(
        outputs,
        [Output::Close {
            socket: thief,
            reason
        }]
    );
}

#[test]
fn a_socket_that_is_too_slow_is_refused() {
    let limits = Limits::default();
    let mut rooms = rooms(limits);
    let (slow, _) = open(&mut rooms);
    let (_, _) = enter(&mut rooms, 1);
    rooms.tick(START + limits.join_within - Duration::from_micros(1));
    assert_eq!(drain(&mut rooms), []);
    rooms.tick(START + limits.join_within);
    let reason = CloseReason::TooSlow;
    assert_eq!(drain(&mut rooms), [Output::Close { socket: slow, reason }]);
    assert_eq!(rooms.sockets(), 1, "who joined stays");
}

#[test]
fn a_flood_is_refused() {
    let limits = Limits {
        messages: Rate { burst: 4, per_s: 1 },
        ..Limits::default()
    };
    let mut rooms = rooms(limits);
    let (ada, _) = enter(&mut rooms, 1);
    for _ in 0..3 {
        rooms.receive(START, ada, &signal(peer(2), b"x"));
    }
    assert_eq!(drain(&mut rooms).len(), 3);
    check_ends(&mut rooms, ada, &signal(peer(2), b"x"), CloseReason::TooFast);
    // Bytes are counted as well.
    let limits = Limits {
        bytes: Rate {
            burst: 20_000,
            per_s: 1,
        },
        ..Limits::default()
    };
    let mut rooms = Rooms::new(limits, [7; 32]);
    let (ada, _) = enter(&mut rooms, 1);
    rooms.receive(START, ada, &signal(peer(2), &[0; 16_000]));
    assert_eq!(drain(&mut rooms).len(), 1);
    check_ends(
        &mut rooms,
        ada,
        &signal(peer(2), &[0; 16_000]),
        CloseReason::TooFast,
    );
}

#[test]
fn a_list_costs_as_much_as_eight_messages() {
    let limits = Limits {
        messages: Rate { burst: 18, per_s: 1 },
        ..Limits::default()
    };
    let mut rooms = rooms(limits);
    let (ada, _) = enter(&mut rooms, 1);
    for _ in 0..2 {
        rooms.receive(START, ada, &encode(&ToServer::List));
        assert_eq!(members(&drain(&mut rooms)), []);
    }
    // One token is left of 18, after the join and two lists.
    rooms.receive(START, ada, &signal(peer(2), b"x"));
    assert_eq!(drain(&mut rooms).len(), 1);
    check_ends(&mut rooms, ada, &signal(peer(2), b"x"), CloseReason::TooFast);
}

#[test]
fn many_cannot_flood_one_through_the_server() {
    let limits = Limits {
        inbound: Rate { burst: 5, per_s: 1 },
        ..Limits::default()
    };
    let mut rooms = rooms(limits);
    let (victim, _) = enter(&mut rooms, 1);
    let mut arrived = 0;
    for n in 2..=10 {
        let (socket, _) = enter(&mut rooms, n);
        rooms.receive(START, socket, &signal(peer(1), b"x"));
        arrived += drain(&mut rooms).len();
    }
    assert_eq!(arrived, 5);
    assert_eq!(rooms.sockets(), 10, "nobody is refused for it");
    rooms.receive(START, victim, &encode(&ToServer::List));
    assert_eq!(members(&drain(&mut rooms)).len(), 9);
}

#[test]
fn full_means_refusing_newcomers() {
    let mut full_room = rooms(Limits {
        members_max: 2,
        ..Limits::default()
    });
    enter(&mut full_room, 1);
    let (bob, _) = enter(&mut full_room, 2);
    let (third, outputs) = enter(&mut full_room, 3);
    let reason = CloseReason::RoomFull;
    assert_eq!(
        outputs,
        [Output::Close {
            socket: third,
            reason
        }]
    );
    // A member may join again, and one that leaves makes room.
    let (_, outputs) = enter(&mut full_room, 1);
    assert_eq!(members(&outputs), [(peer(2), false)]);
    full_room.close(bob);
    let (_, outputs) = enter(&mut full_room, 3);
    assert_eq!(members(&outputs), [(peer(1), false)]);

    let mut full_server = rooms(Limits {
        sockets_max: 1,
        ..Limits::default()
    });
    enter(&mut full_server, 1);
    assert_eq!(full_server.open(START, HOST, None), Err(CloseReason::ServerFull));

    let mut no_more_rooms = rooms(Limits {
        rooms_max: 1,
        ..Limits::default()
    });
    let (ada, _) = enter(&mut no_more_rooms, 1);
    let (bob, nonce) = open(&mut no_more_rooms);
    let elsewhere = join_message(2, &nonce, RoomId::named("elsewhere"));
    check_ends(&mut no_more_rooms, bob, &elsewhere, CloseReason::ServerFull);
    // An empty room is no room.
    no_more_rooms.close(ada);
    let (bob, nonce) = open(&mut no_more_rooms);
    no_more_rooms.receive(START, bob, &join_message(2, &nonce, RoomId::named("elsewhere")));
    assert_eq!(members(&drain(&mut no_more_rooms)), []);
}

#[test]
fn large_rooms_are_sampled() {
    let mut rooms = rooms(Limits::default());
    for n in 1..=100 {
        enter(&mut rooms, n);
    }
    let (ada, outputs) = enter(&mut rooms, 101);
    let first = members(&outputs);
    assert_eq!(first.len(), limits::SIGNAL_MEMBERS_MAX);
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
    rooms.receive(START, ada, &encode(&ToServer::List));
    assert_ne!(members(&drain(&mut rooms)), first, "others may come up next time");
}

#[test]
fn stopping_tells_everybody() {
    let mut rooms = rooms(Limits::default());
    enter(&mut rooms, 1);
    open(&mut rooms);
    rooms.stop();
    let told = drain(&mut rooms);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|output| matches!(
        output,
        Output::Close {
            reason: CloseReason::Stopping,
            ..
        }
    )));
    assert_eq!((rooms.sockets(), rooms.rooms()), (0, 0));
    assert_eq!(rooms.open(START, HOST, None), Err(CloseReason::Stopping));
}

/// A member from an address.
fn enter_from(rooms: &mut Rooms, n: u8, address: &str) -> SocketId {
    let socket = rooms.open(START, HOST, Some(address.parse().unwrap())).unwrap();
    let nonce = match drain(rooms).as_slice() {
        [
            Output::Send {
                message: ToPeer::Challenge { nonce, .. },
                ..
            },
        ] => *nonce,
        other => panic!("expected a challenge, got {other:?}"),
    };
    rooms.receive(START, socket, &join_message(n, &nonce, RoomId::lobby()));
    drain(rooms);
    socket
}

/// Many keys of one address cannot fill the places of a tab.
#[test]
fn few_members_of_an_address_may_call_one_member_at_a_time() {
    let mut rooms = rooms(Limits::default());
    let tab = enter_from(&mut rooms, 1, "198.51.100.1");
    let strangers: Vec<SocketId> = (10..25)
        .map(|n| enter_from(&mut rooms, n, &format!("2001:db8::{n}")))
        .collect();
    let honest = enter_from(&mut rooms, 2, "203.0.113.7");
    let (local, _) = enter(&mut rooms, 3);
    let calls = |rooms: &mut Rooms, now: Instant, from: SocketId, to: u8| {
        rooms.receive(now, from, &signal(peer(to), b"offer"));
        let delivered = |output: &Output| {
            matches!(
                output,
                Output::Send {
                    message: ToPeer::Signal { .. },
                    ..
                }
            )
        };
        drain(rooms).iter().any(delivered)
    };
    let delivered = |rooms: &mut Rooms, now: Instant| {
        let called = strangers.iter().map(|stranger| calls(rooms, now, *stranger, 1));
        called.filter(|called| *called).count()
    };
    assert_eq!(delivered(&mut rooms, START), 4);
    assert_eq!(delivered(&mut rooms, START), 4, "the same ones go on");
    assert!(calls(&mut rooms, START, honest, 1));
    assert!(calls(&mut rooms, START, local, 1));
    // Whom the tab calls may answer.
    assert!(calls(&mut rooms, START, tab, 24));
    assert_eq!(delivered(&mut rooms, START), 5);
    assert_eq!(delivered(&mut rooms, START + Duration::from_secs(10)), 4);
}

#[test]
fn an_address_that_sends_much_to_the_relay_takes_nothing_from_others() {
    let to_local = Rate { burst: 5, per_s: 1 };
    let inbound = Rate { burst: 8, per_s: 0 };
    let mut rooms = rooms(Limits {
        to_local,
        inbound,
        ..Limits::default()
    });
    let relay = rooms.open_local(START, peer(99), RoomId::lobby()).unwrap();
    let arrived = |rooms: &mut Rooms, socket, now| {
        rooms.receive(now, socket, &signal(peer(99), b"offer"));
        let arrived = |output: &Output| matches!(output, Output::Local { socket, .. } if *socket == relay);
        drain(rooms).iter().filter(|output| arrived(output)).count()
    };
    let flood: Vec<_> = (1..=4)
        .map(|n| enter_from(&mut rooms, n, "203.0.113.1"))
        .collect();
    let mut of_flood = 0;
    for n in 0..100 {
        of_flood += arrived(&mut rooms, flood[n % 4], START);
    }
    assert_eq!(of_flood, 5, "all sockets of an address count together");
    let others: Vec<_> = (5..=20)
        .map(|n| enter_from(&mut rooms, n, &format!("198.51.100.{n}")))
        .collect();
    for socket in others {
        assert_eq!(arrived(&mut rooms, socket, START), 1);
    }
    let later = START + Duration::from_secs(1);
    assert_eq!(arrived(&mut rooms, flood[0], later), 1);
}

#[test]
fn addresses_that_sent_to_the_relay_are_forgotten_and_bounded() {
    let rate = Rate { burst: 2, per_s: 1 };
    let mut rooms = rooms(Limits {
        to_local: rate,
        ..Limits::default()
    });
    let address = |n: usize| Some(std::net::Ipv4Addr::from(0x0a00_0000 + n as u32).into());
    let all = super::LOCAL_SENDERS_MAX;
    assert!((0..all).all(|n| rooms.may_send_to_local(START, address(n))));
    let further = (all..all + 10).filter(|n| rooms.may_send_to_local(START, address(*n)));
    assert_eq!(further.count(), 2, "they share what one may send");
    assert!(rooms.local_senders.len() <= all + 1);
    let later = START + Duration::from_secs(2);
    assert!(rooms.may_send_to_local(later, address(all)));
    assert_eq!(rooms.local_senders.len(), 1);
}
