//! The signaling server over real WebSockets, with honest and hostile peers.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::codec::{decode, encode};
use protocol::signal::{CloseReason, RoomId, SIGNAL_VERSION, ToPeer, ToServer, sign_join};
use protocol::{KeyPair, PeerId, limits};
use starling_signaling::serve::{ServeLimits, serve};
use starling_signaling::sockets::{SocketBudget, refuse_without_socket};
use starling_signaling::{ConnectionGuard, GuardConfig, Limits, LocalCall, SignalingServer, router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A stuck server must not hang a test.
const DEADLINE: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    server: SignalingServer,
    stop: Option<oneshot::Sender<()>>,
    done: tokio::task::JoinHandle<()>,
}

async fn server(limits: Limits, guard: GuardConfig) -> Server {
    server_with(limits, guard, ServeLimits::default(), SocketBudget::default()).await
}

async fn server_with(
    limits: Limits,
    guard: GuardConfig,
    serve_limits: ServeLimits,
    sockets: SocketBudget,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = SignalingServer::new(limits, [1; 32]);
    let (stop, stopped) = oneshot::channel();
    let told = server.clone();
    let stopped = async move {
        let _ = stopped.await;
        told.stop();
    };
    let guard = ConnectionGuard::new(guard);
    sockets.register(guard.places().clone());
    let app = router(server.clone(), guard)
        .layer(axum::middleware::from_fn(refuse_without_socket))
        .route("/healthz", axum::routing::get(async || "ok"));
    let done = tokio::spawn(serve(listener, app, serve_limits, sockets, stopped));
    let stop = Some(stop);
    Server {
        address,
        server,
        stop,
        done,
    }
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    nonce: [u8; 32],
    host: String,
}

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn peer(n: u8) -> PeerId {
    PeerId(key(n).public())
}

impl Server {
    async fn try_connect(&self, headers: &[(&'static str, &str)]) -> Result<Client, Error> {
        let mut request = format!("ws://{}/signal", self.address)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = timeout(DEADLINE, connect_async(request)).await.unwrap()?;
        let host = self.address.to_string();
        let nonce = [0; 32];
        Ok(Client { socket, nonce, host })
    }

    /// A connected and challenged client.
    async fn connect(&self) -> Client {
        self.connect_from(&[]).await
    }

    async fn connect_from(&self, headers: &[(&'static str, &str)]) -> Client {
        let mut client = self.try_connect(headers).await.unwrap();
        match client.next().await {
            ToPeer::Challenge { nonce, .. } => client.nonce = nonce,
            other => panic!("expected a challenge, got {other:?}"),
        }
        client
    }

    /// A client in the lobby with key `n`.
    async fn joined(&self, n: u8) -> Client {
        let mut client = self.connect().await;
        client.send(client.join(n)).await;
        match client.next().await {
            ToPeer::Joined { .. } => client,
            other => panic!("expected to be in, got {other:?}"),
        }
    }

    async fn status_of_refusal(&self, headers: &[(&'static str, &str)]) -> u16 {
        match self.try_connect(headers).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("expected an HTTP status, got {:?}", other.map(|_| ())),
        }
    }
}

impl Client {
    fn join(&self, n: u8) -> ToServer {
        let room = RoomId::lobby();
        ToServer::Join {
            version: SIGNAL_VERSION,
            peer: peer(n),
            room,
            signature: sign_join(&key(n), &self.nonce, &room, &self.host),
        }
    }

    async fn send(&mut self, message: ToServer) {
        self.send_raw(Message::Binary(encode(&message).into())).await;
    }

    async fn send_raw(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message))
            .await
            .unwrap()
            .unwrap();
    }

    async fn next(&mut self) -> ToPeer {
        loop {
            match timeout(DEADLINE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Binary(bytes))) => return decode(&bytes).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a signal message, got {other:?}"),
            }
        }
    }

    /// Reads until the server has said why it closes, and has closed.
    async fn close_reason(&mut self) -> CloseReason {
        let reason = loop {
            if let ToPeer::Refused { reason } = self.next().await {
                break reason;
            }
        };
        loop {
            match timeout(DEADLINE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) => {
                    break assert_eq!(frame.reason.as_str(), reason.to_string());
                }
                other => panic!("expected a close, got {other:?}"),
            }
        }
        reason
    }
}

#[tokio::test]
async fn peers_find_each_other_and_the_relay() {
    let server = server(Limits::default(), GuardConfig::default()).await;
    let (relay, mut calls) = server.server.local(peer(9), RoomId::lobby()).unwrap();
    let mut ada = server.joined(1).await;
    let mut bob = server.connect().await;
    bob.send(bob.join(2)).await;
    let ToPeer::Joined { members } = bob.next().await else {
        panic!("expected to be in");
    };
    let listed: Vec<_> = members.iter().map(|member| (member.peer, member.relay)).collect();
    assert_eq!(listed, [(peer(9), true), (peer(1), false)]);

    let payload = b"offer".to_vec();
    bob.send(ToServer::Signal {
        to: peer(1),
        payload: payload.clone(),
    })
    .await;
    assert_eq!(
        ada.next().await,
        ToPeer::Signal {
            from: peer(2),
            payload: payload.clone()
        }
    );
    ada.send(ToServer::Signal {
        to: peer(9),
        payload: payload.clone(),
    })
    .await;
    assert_eq!(
        timeout(DEADLINE, calls.recv()).await.unwrap(),
        Some(LocalCall {
            from: peer(1),
            address: None,
            payload
        })
    );
    relay.signal(peer(1), b"answer".to_vec());
    let payload = b"answer".to_vec();
    assert_eq!(
        ada.next().await,
        ToPeer::Signal {
            from: peer(9),
            payload
        }
    );
    // Who left is absent.
    drop(ada);
    loop {
        bob.send(ToServer::Signal {
            to: peer(1),
            payload: vec![],
        })
        .await;
        bob.send(ToServer::List).await;
        match bob.next().await {
            ToPeer::Absent { peer: absent } => break assert_eq!(absent, peer(1)),
            ToPeer::Members { .. } => {}
            other => panic!("expected absence, got {other:?}"),
        }
    }
    drop(relay);
    assert_eq!(timeout(DEADLINE, calls.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let server = server(Limits::default(), GuardConfig::default()).await;
    let mut client = server.connect().await;
    let ToServer::Join {
        version,
        room,
        signature,
        ..
    } = client.join(1)
    else {
        unreachable!()
    };
    let forged = ToServer::Join {
        version,
        peer: peer(2),
        room,
        signature,
    };
    client.send(forged).await;
    assert_eq!(client.close_reason().await, CloseReason::BadSignature);
}

#[tokio::test]
async fn a_replayed_join_is_refused_and_the_honest_peer_stays() {
    let server = server(Limits::default(), GuardConfig::default()).await;
    let mut honest = server.connect().await;
    let join = honest.join(1);
    honest.send(join.clone()).await;
    assert!(matches!(honest.next().await, ToPeer::Joined { .. }));
    let mut thief = server.connect().await;
    thief.send(join).await;
    assert_eq!(thief.close_reason().await, CloseReason::BadSignature);
    honest.send(ToServer::List).await;
    assert!(matches!(honest.next().await, ToPeer::Members { .. }));
}

#[tokio::test]
async fn the_same_key_replaces_its_older_socket() {
    let server = server(Limits::default(), GuardConfig::default()).await;
    let mut older = server.joined(1).await;
    let mut newer = server.joined(1).await;
    assert_eq!(older.close_reason().await, CloseReason::Replaced);
    newer.send(ToServer::List).await;
    assert_eq!(newer.next().await, ToPeer::Members { members: vec![] });
}

#[tokio::test]
async fn rules_are_kept() {
    let server = server(
        Limits {
            members_max: 1,
            ..Limits::default()
        },
        GuardConfig::default(),
    )
    .await;
    let check = async |message: Message, reason| {
        let mut client = server.connect().await;
        client.send_raw(message).await;
        assert_eq!(client.close_reason().await, reason);
    };
    let early = encode(&ToServer::Signal {
        to: peer(1),
        payload: vec![],
    });
    check(Message::Binary(early.into()), CloseReason::Malformed).await;
    check(Message::Binary(vec![0xff; 64].into()), CloseReason::Malformed).await;
    check(Message::text("hello"), CloseReason::Malformed).await;
    let too_long = vec![0; limits::SIGNAL_LEN_MAX + 1];
    check(Message::Binary(too_long.into()), CloseReason::Malformed).await;
    check(Message::Binary(vec![0; 1 << 20].into()), CloseReason::Malformed).await;
    let _inside = server.joined(1).await;
    let mut outside = server.connect().await;
    outside.send(outside.join(2)).await;
    assert_eq!(outside.close_reason().await, CloseReason::RoomFull);
}

#[tokio::test]
async fn floods_end() {
    let server = server(Limits::default(), GuardConfig::default()).await;
    let burst = Limits::default().messages.burst;
    let mut ada = server.joined(1).await;
    for _ in 0..burst + 100 {
        // The server may close in the middle of it.
        let flood = encode(&ToServer::Signal {
            to: peer(2),
            payload: vec![0; 8],
        });
        if ada.socket.send(Message::Binary(flood.into())).await.is_err() {
            break;
        }
    }
    assert_eq!(ada.close_reason().await, CloseReason::TooFast);
    let mut bob = server.joined(2).await;
    for _ in 0..100 {
        if bob.socket.send(Message::Ping(vec![1].into())).await.is_err() {
            break;
        }
    }
    assert_eq!(bob.close_reason().await, CloseReason::TooFast);
}

#[tokio::test]
async fn who_does_not_join_is_closed() {
    let server = server(
        Limits {
            join_within: Duration::from_millis(50),
            ..Limits::default()
        },
        GuardConfig::default(),
    )
    .await;
    let mut client = server.connect().await;
    assert_eq!(client.close_reason().await, CloseReason::TooSlow);
}

#[tokio::test]
async fn foreign_origins_and_crowds_stay_outside() {
    let server = server(
        Limits::default(),
        GuardConfig {
            sockets_per_address_max: 1,
            ..GuardConfig::default()
        },
    )
    .await;
    assert_eq!(
        server
            .status_of_refusal(&[("origin", "https://evil.example")])
            .await,
        403
    );
    let own = format!("http://{}", server.address);
    assert!(server.try_connect(&[("origin", &own)]).await.is_ok());
    let from = [("x-forwarded-for", "203.0.113.7")];
    let mut silent = server.connect_from(&from).await;
    let began = std::time::Instant::now();
    let mut inside = server.connect_from(&from).await;
    assert!(
        began.elapsed() > Duration::from_millis(900),
        "it waited for its turn"
    );
    assert_eq!(silent.close_reason().await, CloseReason::TooSlow, "it gave way");
    inside.send(inside.join(1)).await;
    inside.next().await;
    assert_eq!(server.status_of_refusal(&from).await, 429);
    drop(inside);
    let slot_is_freed = async {
        while server.try_connect(&from).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, slot_is_freed)
        .await
        .expect("the slot of a closed connection is free again");
}

#[tokio::test]
async fn a_full_server_says_so() {
    let limits = Limits {
        sockets_max: 1,
        ..Limits::default()
    };
    let server = server(limits, GuardConfig::default()).await;
    let _inside = server.joined(1).await;
    let mut outside = server.try_connect(&[]).await.unwrap();
    assert_eq!(outside.close_reason().await, CloseReason::ServerFull);
}

/// The status line and body of a response on a connection that the server then closes.
async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let read = timeout(DEADLINE, stream.read_to_string(&mut response)).await;
    read.expect("a response").unwrap();
    response
}

#[tokio::test]
async fn without_sockets_health_is_answered_and_silent_ones_make_room() {
    let sockets = SocketBudget::new(4);
    let server = server_with(
        Limits::default(),
        GuardConfig::default(),
        ServeLimits::default(),
        sockets.clone(),
    )
    .await;
    // Connections that are only held open, and a WebSocket whose peer proves nothing: each newcomer has a place.
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut waiting = server.connect().await;
    let mut members = Vec::new();
    for n in 1..=4 {
        members.push(server.joined(n).await);
    }
    assert_eq!(waiting.close_reason().await, CloseReason::TooSlow);
    assert_eq!((sockets.open(), sockets.max()), (4, 4));
    // Members keep theirs.
    assert_eq!(server.status_of_refusal(&[]).await, 503);
    let held: Vec<_> =
        futures_util::future::join_all((0..40).map(|_| TcpStream::connect(server.address))).await;
    assert!(get(server.address, "/healthz").await.starts_with("HTTP/1.1 200"));
    drop((members.pop(), held, silent));
    let comes_back = async {
        while server.try_connect(&[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, comes_back)
        .await
        .expect("a socket is free again");
}

#[tokio::test]
async fn a_stopping_server_says_goodbye() {
    let mut server = server(Limits::default(), GuardConfig::default()).await;
    let mut ada = server.joined(1).await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(ada.close_reason().await, CloseReason::Stopping);
    timeout(DEADLINE, server.done).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn slow_requests_are_cut_off() {
    let serve_limits = ServeLimits {
        head_within: Duration::from_millis(50),
        ..ServeLimits::default()
    };
    let server = server_with(
        Limits::default(),
        GuardConfig::default(),
        serve_limits,
        SocketBudget::default(),
    )
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /signal HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let (mut rest, began) = (Vec::new(), std::time::Instant::now());
    timeout(DEADLINE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    // It was the slow head that ended it, not the request: the server waited for the rest of it.
    assert!(
        began.elapsed() >= Duration::from_millis(40),
        "{:?}",
        began.elapsed()
    );
    let _in_time = server.connect().await;
}
