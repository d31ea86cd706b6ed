//! The whole way of a browser: the lobby, an offer to the relay found there, a data channel, the handshake bound to
//! both certificates, and a post that is durable in the end.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::PeerId;
use protocol::codec::{decode, encode};
use protocol::link::handshake::{Binding, HandshakeError};
use protocol::signal::{Payload, RoomId, RoomMember, SIGNAL_VERSION, ToPeer, ToServer, sign_join};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::offerer::Offerer;
use crate::peer::{Author, Channel};
use crate::process::{DEADLINE, Relay};

struct Lobby {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    relay: PeerId,
}

impl Lobby {
    async fn enter(relay: &Relay, author: &Author) -> Self {
        Self::enter_from(relay, author, None).await
    }

    /// As the client at this address, behind a proxy.
    async fn enter_from(relay: &Relay, author: &Author, client: Option<&str>) -> Self {
        let host = relay.address.to_string();
        let mut request = format!("ws://{host}/signal").into_client_request().unwrap();
        if let Some(client) = client {
            let client = client.parse().unwrap();
            request.headers_mut().insert("x-forwarded-for", client);
        }
        let (mut socket, _) = connect_async(request).await.unwrap();
        let ToPeer::Challenge { nonce, .. } = next(&mut socket).await else {
            panic!("no challenge");
        };
        let room = RoomId::lobby();
        let join = ToServer::Join {
            version: SIGNAL_VERSION,
            peer: PeerId(author.device.public()),
            room,
            signature: sign_join(&author.device, &nonce, &room, &host),
        };
        socket.send(Ws::Binary(encode(&join).into())).await.unwrap();
        let ToPeer::Joined { members } = next(&mut socket).await else {
            panic!("not in");
        };
        let [RoomMember { peer, relay: true }, ..] = members[..] else {
            panic!("the relay is not listed first: {members:?}");
        };
        let relay = peer;
        Self { socket, relay }
    }

    async fn signal(&mut self, payload: &Payload) {
        let signal = ToServer::Signal {
            to: self.relay,
            payload: encode(payload),
        };
        self.socket
            .send(Ws::Binary(encode(&signal).into()))
            .await
            .unwrap();
    }

    async fn call(&mut self, payload: &Payload) -> Payload {
        self.signal(payload).await;
        match next(&mut self.socket).await {
            ToPeer::Signal { from, payload } => {
                assert_eq!(from, self.relay);
                decode(&payload).unwrap()
            }
            other => panic!("no answer: {other:?}"),
        }
    }

    /// A data channel to the relay, by its rules.
    async fn channel(&mut self) -> Channel {
        let offerer = Offerer::new().await;
        let sdp = offerer.offer_sdp.clone();
        let offer = Payload::Offer { session: 5, sdp };
        let Payload::Answer { session: 5, sdp } = self.call(&offer).await else {
            panic!("the offer was not answered");
        };
        let binding = Binding::Dtls {
            offerer: fingerprint(&offerer.offer_sdp),
            answerer: fingerprint(&sdp),
        };
        offerer.open(sdp).await;
        Channel::webrtc(offerer, binding)
    }
}

async fn next(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> ToPeer {
    loop {
        match timeout(DEADLINE, socket.next()).await.unwrap() {
            Some(Ok(Ws::Binary(bytes))) => return decode(&bytes).unwrap(),
            Some(Ok(Ws::Ping(_))) => {}
            other => panic!("expected a signal message, got {other:?}"),
        }
    }
}

fn fingerprint(sdp: &str) -> [u8; 32] {
    let (_, after) = sdp.split_once("a=fingerprint:sha-256 ").unwrap();
    let digits: Vec<u8> = after
        .lines()
        .next()
        .unwrap()
        .trim()
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    digits.try_into().unwrap()
}

#[tokio::test]
async fn a_post_becomes_durable_over_a_data_channel() {
    let relay = Relay::start().await;
    let mut author = Author::new(1);
    let mut lobby = Lobby::enter(&relay, &author).await;
    let channel = lobby.channel().await;
    let handshake = channel.handshake(&author, 3);
    let mut linked = channel.establish(handshake, &mut Vec::new()).await;
    assert_eq!(linked.established.peer, lobby.relay);
    // Links outlive the signaling they were made by.
    drop(lobby);
    linked.push(author.feed[0].clone()).await;
    linked.push(author.post("over UDP")).await;
    linked.durable(&author, 2).await;
    assert_eq!(linked.fetch(author.device_id(), 0, 2).await.len(), 2);
}

#[tokio::test]
async fn a_handshake_bound_to_another_channel_is_refused() {
    let relay = Relay::start().await;
    let author = Author::new(1);
    let mut lobby = Lobby::enter(&relay, &author).await;
    let mut channel = lobby.channel().await;
    let mut handshake = channel.handshake_for_host(&author, 3, &relay.address.to_string());
    for frame in handshake.frames() {
        channel.send_frame(frame).await;
    }
    loop {
        let frame = channel.next_frame().await.expect("closed without a reason");
        let (kind, payload) = protocol::link::frame::split(&frame).unwrap();
        if kind == protocol::link::frame::CLOSE {
            let reason = String::from_utf8(payload.to_vec()).unwrap();
            break assert_eq!(reason, HandshakeError::Proof.to_string());
        }
        if let Ok(protocol::link::handshake::Step::Send(frame)) = handshake.on_frame(kind, payload) {
            channel.send_frame(frame).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_offer_is_declined() {
    let relay = Relay::start().await;
    let mut lobby = Lobby::enter(&relay, &Author::new(1)).await;
    let declined = Payload::Decline { session: 9 };
    let sdp = "v=0\r\nthis is no offer".to_owned();
    assert_eq!(lobby.call(&Payload::Offer { session: 9, sdp }).await, declined);
    assert_eq!(
        lobby.call(&Payload::Call { session: 9 }).await,
        declined,
        "a relay never offers"
    );
}

/// 16 keys of one address, each of which offers as fast as the signaling server lets it.
#[tokio::test]
async fn offers_that_come_to_nothing_keep_nobody_out() {
    let relay = Relay::start().await;
    let offerer = Offerer::new().await;
    let mut flood = Vec::new();
    for n in 0..16 {
        let mut lobby = Lobby::enter_from(&relay, &Author::new(100 + n), Some("203.0.113.7")).await;
        let sdp = offerer.offer_sdp.clone();
        flood.push(tokio::spawn(async move {
            let offer = |session| {
                let sdp = sdp.clone();
                Payload::Offer { session, sdp }
            };
            for session in 0..128 {
                lobby.signal(&offer(session)).await;
            }
            let mut turns = interval(Duration::from_millis(40));
            for session in 128.. {
                turns.tick().await;
                lobby.signal(&offer(session)).await;
            }
        }));
    }
    for n in 1..=5 {
        let mut author = Author::new(n);
        let mut lobby = Lobby::enter_from(&relay, &author, Some("198.51.100.1")).await;
        let channel = lobby.channel().await;
        let handshake = channel.handshake(&author, 3);
        let mut linked = channel.establish(handshake, &mut Vec::new()).await;
        linked.push(author.feed[0].clone()).await;
        linked.push(author.post("beside a flood")).await;
        linked.durable(&author, 2).await;
    }
    assert!(
        flood.iter().all(|sending| !sending.is_finished()),
        "the flood went on"
    );
    for sending in flood {
        sending.abort();
    }
}
