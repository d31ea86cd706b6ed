//! A link to a relay made by hand: the handshake, frames and messages of a tab, without an engine behind them.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use protocol::kinds::Certificate;
use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{
    Binding, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN, feature, pair_salt, relay_salt,
};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Decoded, Interests, Message, NameAsked, SaltedAccount};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest};
use protocol::{AccountId, DeviceId, KeyPair, PeerId, Timestamp, limits};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as Ws};

use crate::lan::At;

/// What all of them say the time is.
pub const WRITTEN: Timestamp = Timestamp(1_767_225_600_000);
/// A relay that does not answer for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// A person with one device; the same number is the same person.
#[derive(Clone, Debug)]
pub struct Person {
    pub account: AccountId,
    pub device: KeyPair,
    /// That it speaks for the account.
    pub certificate: Certificate,
}

impl Person {
    /// The `n`th person.
    #[must_use]
    pub fn new(n: u32) -> Self {
        let key = |of: &str| {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            seed[4..4 + of.len()].copy_from_slice(of.as_bytes());
            KeyPair::from_seed(&seed)
        };
        let (account, device) = (key("account"), key("device"));
        let id = DeviceId(device.public());
        let certificate = Certificate::issue(&account, id, "load".to_owned(), Timestamp(1));
        Self {
            account: AccountId(account.public()),
            device,
            certificate,
        }
    }
}

/// Who a peer says it is in its hello, and the key that proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub key: KeyPair,
    /// None for a relay.
    pub certificate: Option<Certificate>,
    pub features: u64,
}

impl From<&Person> for Identity {
    fn from(person: &Person) -> Self {
        Self {
            key: person.device.clone(),
            certificate: Some(person.certificate.clone()),
            features: 0,
        }
    }
}

impl Identity {
    /// A peer that calls itself a relay, with the key of the `n`th person's device.
    #[must_use]
    pub fn relay(n: u32) -> Self {
        Self {
            key: Person::new(n).device,
            certificate: None,
            features: feature::RELAY,
        }
    }

    /// A handshake with the relay at `host`, as the side that dialled.
    #[must_use]
    pub fn handshake(&self, host: String) -> Handshake {
        let peer = PeerId(self.key.public());
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features: self.features,
            peer,
            // Of one key, each link of a run has the same; the relay's is fresh.
            nonce: peer.0,
            certificate: self.certificate.clone(),
            wall: WRITTEN,
        };
        let binding = Binding::WebSocket { host };
        Handshake::new(Side::Initiator, binding, self.key.clone(), &hello)
    }
}

/// Opens a WebSocket to a relay and says nothing on it; through a proxy on this machine for a client with this address.
///
/// # Errors
/// If the relay refuses, or is not there.
pub async fn connect(at: impl Into<At>, client: Option<IpAddr>) -> Result<WebSocketStream<TcpStream>> {
    let at = at.into();
    let mut request = format!("ws://{}/link", at.address()).into_client_request()?;
    if let Some(client) = client {
        let client = HeaderValue::from_str(&client.to_string())?;
        request.headers_mut().insert("x-forwarded-for", client);
    }
    let stream = at.connect().await?;
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

/// A link whose handshake is done.
#[derive(Debug)]
pub struct Link {
    /// Whom it leads to.
    pub relay: PeerId,
    salt: [u8; 32],
    socket: WebSocketStream<TcpStream>,
    reassembly: Reassembly,
    /// Messages that came while another one was waited for.
    passed: VecDeque<Message>,
    sent: usize,
}

/// The half of a link that sends.
#[derive(Debug)]
pub struct Sender {
    sink: SplitSink<WebSocketStream<TcpStream>, Ws>,
}

/// The half of a link that receives.
#[derive(Debug)]
pub struct Receiver {
    stream: SplitStream<WebSocketStream<TcpStream>>,
    reassembly: Reassembly,
}

impl Link {
    /// Links with the relay there (a port alone is one of this machine), as the person's device, and asks to be its
    /// neighbour.
    ///
    /// # Errors
    /// If the relay refuses, or is not there.
    pub async fn open(at: impl Into<At>, person: &Person) -> Result<Self> {
        Self::open_from(at, person, None).await
    }

    /// The same through a proxy on this machine, for a client with this address.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_from(
        at: impl Into<At>,
        identity: impl Into<Identity>,
        client: Option<IpAddr>,
    ) -> Result<Self> {
        let mut link = Self::prove_as(at, &identity.into(), client).await?;
        let request = Request {
            wish: Wish::Join,
            heartbeat: 1,
            peers: Vec::new(),
        };
        link.send(&Message::Request(request)).await?;
        Ok(link)
    }

    /// The same up to the end of the handshake: a peer that asks for nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn prove(at: impl Into<At>, person: &Person, client: Option<IpAddr>) -> Result<Self> {
        Self::prove_as(at, &person.into(), client).await
    }

    /// The same for any peer.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn prove_as(at: impl Into<At>, identity: &Identity, client: Option<IpAddr>) -> Result<Self> {
        let at = at.into();
        let host = at.address().to_string();
        let mut socket = connect(at, client).await?;
        let mut handshake = identity.handshake(host);
        let mut sent = 0;
        for frame in handshake.frames() {
            sent += frame.len();
            socket.send(Ws::binary(frame)).await?;
        }
        let me = PeerId(identity.key.public());
        let (relay, salt) = loop {
            let Ws::Binary(frame) = socket.next().await.context("the relay hung up")?? else {
                continue;
            };
            let (kind, payload) = frame::split(&frame)?;
            match handshake.on_frame(kind, payload)? {
                Step::Wait => {}
                Step::Send(frame) => {
                    sent += frame.len();
                    socket.send(Ws::binary(frame)).await?;
                }
                Step::Done(established) => {
                    let by_relay = identity.features & established.features & feature::RELAY_SALT != 0;
                    let salt = match by_relay {
                        true => relay_salt(&established.peer),
                        false => pair_salt(&me, &established.peer),
                    };
                    break (established.peer, salt);
                }
            }
        };
        Ok(Self {
            relay,
            salt,
            socket,
            reassembly: Reassembly::default(),
            passed: VecDeque::new(),
            sent,
        })
    }

    /// Bytes of all frames sent, those of the handshake included.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The salted account, as interests on this link name it.
    #[must_use]
    pub fn salted(&self, account: &AccountId) -> SaltedAccount {
        SaltedAccount::new(&self.salt, account)
    }

    /// Takes it apart, for a peer that sends without waiting for what it receives.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        let (sink, stream) = self.socket.split();
        let receiver = Receiver {
            stream,
            reassembly: self.reassembly,
        };
        (Sender { sink }, receiver)
    }

    /// How far the relay itself holds the feeds of these accounts: the sum over their devices.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn holds(&mut self, accounts: &[AccountId]) -> Result<BTreeMap<AccountId, u64>> {
        let mut held = BTreeMap::new();
        for part in accounts.chunks(limits::INTERESTS_PER_MESSAGE_MAX) {
            let add = part
                .iter()
                .map(|account| SaltedAccount::new(&self.salt, account))
                .collect();
            let interests = Interests {
                add,
                ..Interests::default()
            };
            self.send(&Message::Interests(interests)).await?;
            loop {
                match self.read().await? {
                    Message::Digest(digest) => {
                        for head in digest.heads {
                            *held.entry(head.account).or_default() += head.next_seq;
                        }
                        if digest.end {
                            break;
                        }
                    }
                    // A receipt may come before the digest.
                    other => self.passed.push_back(other),
                }
            }
        }
        Ok(held)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn send(&mut self, message: &Message) -> Result<()> {
        for frame in frame::fragment(&message.encode()) {
            self.feed(frame).await?;
        }
        self.flush().await
    }

    /// Puts a frame on its way; [`Self::flush`] sends it.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn feed(&mut self, frame: Vec<u8>) -> Result<()> {
        self.sent += frame.len();
        Ok(self.socket.feed(Ws::binary(frame)).await?)
    }

    /// Sends what was fed.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush().await?)
    }

    /// The next message; pings are answered. May be dropped while it waits.
    ///
    /// # Errors
    /// If the relay closes the link, or says nothing for half a minute.
    pub async fn next(&mut self) -> Result<Message> {
        match self.passed.pop_front() {
            Some(message) => Ok(message),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Message> {
        loop {
            match read(&mut self.socket, &mut self.reassembly).await? {
                Message::Ping(ping) => self.send(&Message::Pong(ping)).await?,
                message => return Ok(message),
            }
        }
    }
}

impl Sender {
    /// Puts a frame on its way; [`Self::flush`] sends it.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn feed(&mut self, frame: Vec<u8>) -> Result<()> {
        Ok(self.sink.feed(Ws::binary(frame)).await?)
    }

    /// Sends what was fed.
    ///
    /// # Errors
    /// If the link is gone.
    pub async fn flush(&mut self) -> Result<()> {
        Ok(self.sink.flush().await?)
    }
}

impl Receiver {
    /// The next message, pings included.
    ///
    /// # Errors
    /// If the relay closes the link, or says nothing for half a minute.
    pub async fn next(&mut self) -> Result<Message> {
        read(&mut self.stream, &mut self.reassembly).await
    }
}

/// Asks the registry through a relay, over a link that opens for it.
///
/// # Errors
/// If there is no link, or it ends before the answer.
pub async fn ask_registry(at: At, person: &Person, question: NameQuestion) -> Result<NameAnswer> {
    let mut link = Link::open(at, person).await?;
    let request = 1;
    link.send(&Message::NameQuestion(NameAsked { request, question }))
        .await?;
    loop {
        if let Message::NameAnswer(answered) = link.next().await? {
            return Ok(answered.answer);
        }
    }
}

/// A person's request about a name, with the revision known of it.
pub fn name_request(person: &Person, name: &str, action: NameAction, nonce: u8, known: u64) -> NameQuestion {
    let (certificate, name) = (person.certificate.clone(), name.to_owned());
    let nonce = [nonce; 16];
    NameQuestion::Request(NameRequest::issue(
        &person.device,
        certificate,
        name,
        None,
        action,
        nonce,
        known,
    ))
}

/// The next known message of a link whose handshake is done.
async fn read(
    socket: &mut (impl Stream<Item = Result<Ws, Error>> + Unpin),
    reassembly: &mut Reassembly,
) -> Result<Message> {
    loop {
        let read = tokio::time::timeout(STUCK, socket.next()).await;
        let read = read.context("the relay says nothing any more")?;
        let Ws::Binary(frame) = read.context("the relay hung up")?? else {
            continue;
        };
        let (kind, payload) = frame::split(&frame)?;
        match kind {
            frame::CLOSE => bail!("refused: {}", String::from_utf8_lossy(payload)),
            frame::HELLO | frame::PROOF => continue,
            _ => {}
        }
        let Some(message) = reassembly.push(kind, payload)? else {
            continue;
        };
        if let Decoded::Known(message) = Message::decode(&message)? {
            return Ok(message);
        }
    }
}
