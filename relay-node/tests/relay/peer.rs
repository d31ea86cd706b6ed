//! A peer made by hand: the protocol's handshake and frames over a WebSocket, and a feed of its own to send.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{
    Binding, Established, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN,
};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::receipt::Receipt;
use protocol::messages::{Decoded, Message, Push};
use protocol::{AccountId, DeviceId, EntryId, KeyPair, PeerId, Timestamp, VerifiedEntry};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message as Ws};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::offerer::Offerer;
use crate::process::{DEADLINE, Relay};

/// A person with one device.
pub struct Author {
    pub account: AccountId,
    pub device: KeyPair,
    pub certificate: Certificate,
    pub feed: Vec<VerifiedEntry>,
}

impl Author {
    pub fn new(seed: u8) -> Self {
        let account = KeyPair::from_seed(&[seed; 32]);
        let device = KeyPair::from_seed(&[seed ^ 0x80; 32]);
        let certificate = Certificate::issue(
            &account,
            DeviceId(device.public()),
            "a device".to_owned(),
            Timestamp(1_000),
        );
        let mut author = Self {
            account: AccountId(account.public()),
            device,
            certificate: certificate.clone(),
            feed: Vec::new(),
        };
        author.write(&Body::Certificate(certificate));
        author
    }

    pub fn device_id(&self) -> DeviceId {
        DeviceId(self.device.public())
    }

    pub fn post(&mut self, text: &str) -> VerifiedEntry {
        self.write(&Body::Post(Post {
            text: text.to_owned(),
            reply: None,
        }))
    }

    pub fn write(&mut self, body: &Body) -> VerifiedEntry {
        let seq = self.feed.len() as u64;
        let position = Position {
            seq,
            prev: self
                .feed
                .last()
                .map_or(EntryId([0; 32]), |entry| entry.header().id()),
            lamport: seq + 1,
        };
        let at = Timestamp(1_767_225_600_000 + seq);
        let entry = VerifiedEntry::create(&self.device, position, self.account, at, body);
        self.feed.push(entry.clone());
        entry
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A channel to a relay, and what the handshake on it is bound to.
pub struct Channel {
    wire: Wire,
    binding: Binding,
}

enum Wire {
    WebSocket(Socket),
    WebRtc(Offerer),
}

/// An open channel, whatever was said on it.
pub async fn connect(relay: &Relay, headers: &[(&'static str, &str)]) -> Result<Channel, u16> {
    let mut request = format!("ws://{}/link", relay.address)
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match timeout(DEADLINE, connect_async(request)).await.unwrap() {
        Ok((socket, _)) => Ok(Channel::websocket(relay, socket)),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("no channel: {error}"),
    }
}

/// A channel that fills up quickly when it is not read.
pub async fn connect_with_small_buffer(relay: &Relay) -> Channel {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(relay.address).await.unwrap();
    let host = relay.address;
    let (socket, _) = client_async(format!("ws://{host}/link"), MaybeTlsStream::Plain(stream))
        .await
        .unwrap();
    Channel::websocket(relay, socket)
}

impl Channel {
    fn websocket(relay: &Relay, socket: Socket) -> Self {
        let host = relay.address.to_string();
        Self {
            wire: Wire::WebSocket(socket),
            binding: Binding::WebSocket { host },
        }
    }

    /// A data channel that is open, and the certificates' fingerprints.
    pub fn webrtc(offerer: Offerer, binding: Binding) -> Self {
        let wire = Wire::WebRtc(offerer);
        Self { wire, binding }
    }

    // The other side may have closed meanwhile; what it said is read afterwards.
    pub async fn send_frame(&mut self, frame: Vec<u8>) {
        match &mut self.wire {
            Wire::WebSocket(_) => self.send_raw(Ws::Binary(frame.into())).await,
            Wire::WebRtc(offerer) => drop(offerer.try_send(&frame).await),
        }
    }

    pub async fn send_raw(&mut self, message: Ws) {
        let Wire::WebSocket(socket) = &mut self.wire else {
            panic!("no WebSocket");
        };
        let _ = timeout(DEADLINE, socket.send(message)).await.unwrap();
    }

    /// Sends without ever reading; whether it was taken in a while.
    pub async fn try_send(&mut self, frame: Vec<u8>) -> bool {
        let Wire::WebSocket(socket) = &mut self.wire else {
            panic!("no WebSocket");
        };
        let sent = socket.send(Ws::Binary(frame.into()));
        matches!(timeout(std::time::Duration::from_secs(5), sent).await, Ok(Ok(())))
    }

    /// The next frame, or `None` when the channel was closed.
    pub async fn next_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            match &mut self.wire {
                Wire::WebSocket(socket) => match timeout(DEADLINE, socket.next()).await.unwrap() {
                    Some(Ok(Ws::Binary(bytes))) => return Some(bytes.into()),
                    Some(Ok(Ws::Ping(_) | Ws::Pong(_))) => {}
                    _ => return None,
                },
                Wire::WebRtc(offerer) => {
                    let frame = timeout(DEADLINE, offerer.recv()).await.unwrap();
                    return frame.map(|bytes| bytes.to_vec());
                }
            }
        }
    }

    /// Reads to the end of the channel; the reason the relay gave.
    pub async fn close_reason(&mut self) -> String {
        let mut reason = None;
        while let Some(frame) = self.next_frame().await {
            if let Ok((frame::CLOSE, payload)) = frame::split(&frame) {
                reason = Some(String::from_utf8(payload.to_vec()).unwrap());
            }
        }
        reason.expect("the channel was closed without a reason")
    }

    pub fn handshake(&self, author: &Author, nonce: u8) -> Handshake {
        Self::handshake_bound(author, nonce, self.binding.clone())
    }

    pub fn handshake_for_host(&self, author: &Author, nonce: u8, host: &str) -> Handshake {
        let host = host.to_owned();
        Self::handshake_bound(author, nonce, Binding::WebSocket { host })
    }

    fn handshake_bound(author: &Author, nonce: u8, binding: Binding) -> Handshake {
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features: 0,
            peer: PeerId(author.device.public()),
            nonce: [nonce; 32],
            certificate: Some(author.certificate.clone()),
            wall: Timestamp(1_767_225_600_000),
        };
        Handshake::new(Side::Initiator, binding, author.device.clone(), &hello)
    }

    /// Goes through the handshake. `sent` collects the frames sent, as an eavesdropper would.
    pub async fn establish(mut self, mut handshake: Handshake, sent: &mut Vec<Vec<u8>>) -> Linked {
        for frame in handshake.frames() {
            sent.push(frame.clone());
            self.send_frame(frame).await;
        }
        let established = loop {
            let frame = self
                .next_frame()
                .await
                .expect("the relay closed in the handshake");
            let (kind, payload) = frame::split(&frame).unwrap();
            match handshake.on_frame(kind, payload).unwrap() {
                Step::Wait => {}
                Step::Send(frame) => {
                    sent.push(frame.clone());
                    self.send_frame(frame).await;
                }
                Step::Done(established) => break *established,
            }
        };
        let mut linked = Linked {
            channel: self,
            established,
            reassembly: Reassembly::default(),
        };
        linked.send(&Message::Request(Request::alone(Wish::Join))).await;
        linked
    }
}

/// A channel whose handshake is done.
pub struct Linked {
    pub channel: Channel,
    pub established: Established,
    reassembly: Reassembly,
}

/// A link to the relay as this author's device.
pub async fn link(relay: &Relay, author: &Author) -> Linked {
    let channel = connect(relay, &[]).await.unwrap();
    let handshake = channel.handshake(author, 7);
    channel.establish(handshake, &mut Vec::new()).await
}

impl Linked {
    pub async fn send(&mut self, message: &Message) {
        for frame in frame::fragment(&message.encode()) {
            self.channel.send_frame(frame).await;
        }
    }

    pub async fn push(&mut self, entry: VerifiedEntry) {
        let entry = entry.entry().clone();
        let push = Push {
            hops: 1,
            tree: 0,
            entry,
        };
        self.send(&Message::Push(push)).await;
    }

    /// The next message, or `None` when the link was closed. Pings are answered.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let frame = self.channel.next_frame().await?;
            let (kind, payload) = frame::split(&frame).unwrap();
            if kind == frame::CLOSE {
                return None;
            }
            if kind == frame::HELLO || kind == frame::PROOF {
                continue;
            }
            let Some(message) = self.reassembly.push(kind, payload).unwrap() else {
                continue;
            };
            match Message::decode(&message).unwrap() {
                Decoded::Known(Message::Ping(ping)) => self.send(&Message::Pong(ping)).await,
                Decoded::Known(message) => return Some(message),
                Decoded::Unknown(_) => {}
            }
        }
    }

    /// The next receipt for this author's feed, checked.
    pub async fn receipt(&mut self, author: &Author) -> Option<Receipt> {
        loop {
            match self.next().await? {
                Message::Receipt(receipt) => {
                    assert_eq!(receipt.relay, self.established.peer);
                    assert_eq!(receipt.device, author.device_id());
                    receipt.verify().unwrap();
                    return Some(receipt);
                }
                _ => continue,
            }
        }
    }

    /// Waits until the relay has promised everything below `next_seq`.
    pub async fn durable(&mut self, author: &Author, next_seq: u64) {
        while self
            .receipt(author)
            .await
            .expect("the relay closed the link")
            .next_seq
            < next_seq
        {}
    }

    /// Asks for a range and takes the answer.
    pub async fn fetch(&mut self, device: DeviceId, from: u64, to: u64) -> Vec<protocol::Entry> {
        let request = 1;
        self.send(&Message::Want(protocol::messages::Want {
            request,
            device,
            from,
            to,
        }))
        .await;
        let mut fetched = Vec::new();
        loop {
            match self.next().await.expect("the relay closed the link") {
                Message::Entries(entries) => fetched.extend(entries.entries),
                Message::RangeEnd(end) if end.request == request => return fetched,
                _ => {}
            }
        }
    }
}
