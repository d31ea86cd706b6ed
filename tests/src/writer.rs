//! A client as light as can be, for load: posts are signed beforehand, sent over one WebSocket, and counted as the relay
//! signs for them. Everything on the wire is what a tab sends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::entry::{Body, Position, Post};
use protocol::frame::{self, Reassembly};
use protocol::handshake::{Binding, Handshake, Hello, MAGIC, Role, Step, VERSION_MAX, VERSION_MIN};
use protocol::identity::Certificate;
use protocol::message::{Decoded, Message, Push};
use protocol::overlay::{Request, Wish};
use protocol::receipt::Receipt;
use protocol::{AccountId, DeviceId, EntryId, KeyPair, PeerId, Timestamp, VerifiedEntry};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A relay that says nothing for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// When the posts were written, by their author's clock.
const WRITTEN: Timestamp = Timestamp(1_767_225_600_000);

/// A person with one device, and signed posts that nobody has seen yet.
#[derive(Debug)]
pub struct Backlog {
    account: AccountId,
    device: KeyPair,
    certificate: Certificate,
    /// The feed from its beginning, each entry as the frame that pushes it.
    frames: Vec<Vec<u8>>,
}

impl Backlog {
    /// The `n`th person of a load, with `posts` posts of `text`.
    #[must_use]
    pub fn new(n: u32, posts: usize, text: &str) -> Self {
        let key = |of: &str| {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            seed[4..4 + of.len()].copy_from_slice(of.as_bytes());
            KeyPair::from_seed(&seed)
        };
        let (account_key, device) = (key("account"), key("device"));
        let account = AccountId(account_key.public());
        let id = DeviceId(device.public());
        let certificate = Certificate::issue(&account_key, id, "load".to_owned(), Timestamp(1));
        let mut frames = Vec::with_capacity(posts + 1);
        let mut prev = EntryId::default();
        for seq in 0..=posts as u64 {
            let body = match seq {
                0 => Body::Certificate(certificate.clone()),
                _ => Body::Post(Post {
                    text: format!("{seq}: {text}"),
                    reply: None,
                }),
            };
            let lamport = seq + 1;
            let at = WRITTEN.plus(Duration::from_secs(seq));
            let position = Position { seq, prev, lamport };
            let entry = VerifiedEntry::create(&device, position, account, at, &body);
            prev = entry.id();
            let push = Message::Push(Push {
                hops: 1,
                tree: 0,
                entry: entry.entry().clone(),
            });
            frames.extend(frame::fragment(&push.encode()));
        }
        assert_eq!(frames.len(), posts + 1, "posts of one frame each");
        Self {
            account,
            device,
            certificate,
            frames,
        }
    }

    /// Whose posts they are.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }
}

/// A linked client.
#[derive(Debug)]
pub struct Writer {
    backlog: Backlog,
    relay: PeerId,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    reassembly: Reassembly,
    sent: usize,
    durable: usize,
    last: Option<Receipt>,
}

impl Writer {
    /// Links with a relay, and has the feed's first entry taken in.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn link(relay: &crate::Relay, backlog: Backlog) -> Result<Self> {
        let host = format!("127.0.0.1:{}", relay.port());
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{host}/link")).await?;
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features: 0,
            peer: PeerId(backlog.device.public()),
            nonce: backlog.account.0,
            certificate: Some(backlog.certificate.clone()),
            wall: WRITTEN,
        };
        let binding = Binding::WebSocket { host };
        let mut handshake = Handshake::new(Role::Initiator, binding, backlog.device.clone(), &hello);
        for frame in handshake.frames() {
            socket.send(Ws::binary(frame)).await?;
        }
        let relay = loop {
            let Ws::Binary(frame) = socket.next().await.context("the relay hung up")?? else {
                continue;
            };
            let (kind, payload) = frame::split(&frame)?;
            match handshake.on_frame(kind, payload)? {
                Step::Wait => {}
                Step::Send(frame) => socket.send(Ws::binary(frame)).await?,
                Step::Done(established) => break established.peer,
            }
        };
        let mut writer = Self {
            backlog,
            relay,
            socket,
            reassembly: Reassembly::default(),
            sent: 0,
            durable: 0,
            last: None,
        };
        let request = Message::Request(Request {
            wish: Wish::Join,
            heartbeat: 1,
            peers: Vec::new(),
        });
        for frame in frame::fragment(&request.encode()) {
            writer.socket.send(Ws::binary(frame)).await?;
        }
        writer.push(1).await?;
        writer.wait_for(1).await?;
        Ok(writer)
    }

    /// Posts that are left to be sent.
    #[must_use]
    pub fn left(&self) -> usize {
        self.backlog.frames.len() - self.sent
    }

    /// Sends all posts, with at most `in_flight` of them unsigned for at any time.
    ///
    /// # Errors
    /// If the relay refuses one.
    pub async fn write_all(&mut self, in_flight: usize) -> Result<()> {
        while self.durable < self.backlog.frames.len() {
            let room = in_flight - (self.sent - self.durable);
            self.push(room.min(self.left())).await?;
            self.wait_for(self.durable + 1).await?;
        }
        self.check()
    }

    /// Sends `posts` posts, one every `pause`, whether or not the relay keeps up; how long each took to be signed for, from the
    /// moment it was due, in milliseconds.
    ///
    /// # Errors
    /// If the relay refuses one.
    pub async fn write_at(&mut self, posts: usize, first: Instant, pause: Duration) -> Result<Vec<f64>> {
        let begin = self.sent;
        let due = |n: usize| first + pause * u32::try_from(n).unwrap_or(u32::MAX);
        let mut took = Vec::with_capacity(posts);
        while took.len() < posts {
            let next = self.sent - begin;
            let wait = async {
                match next < posts {
                    true => tokio::time::sleep_until(due(next).into()).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => self.push(1).await?,
                read = self.socket.next() => {
                    self.take(read.context("the relay hung up")??)?;
                    let now = Instant::now();
                    for n in took.len()..(self.durable - begin).min(posts) {
                        took.push(now.duration_since(due(n)).as_secs_f64() * 1000.0);
                    }
                }
            }
        }
        self.check()?;
        Ok(took)
    }

    async fn push(&mut self, posts: usize) -> Result<()> {
        for _ in 0..posts {
            let frame = std::mem::take(&mut self.backlog.frames[self.sent]);
            self.socket.feed(Ws::binary(frame)).await?;
            self.sent += 1;
        }
        Ok(self.socket.flush().await?)
    }

    async fn wait_for(&mut self, durable: usize) -> Result<()> {
        while self.durable < durable {
            let read = tokio::time::timeout(STUCK, self.socket.next()).await;
            let read = read.context("the relay signs nothing any more")?;
            self.take(read.context("the relay hung up")??)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Ws) -> Result<()> {
        let Ws::Binary(frame) = message else {
            return Ok(());
        };
        let (kind, payload) = frame::split(&frame)?;
        match kind {
            frame::CLOSE => bail!("refused: {}", String::from_utf8_lossy(payload)),
            frame::HELLO | frame::PROOF => return Ok(()),
            _ => {}
        }
        let Some(message) = self.reassembly.push(kind, payload)? else {
            return Ok(());
        };
        if let Decoded::Known(Message::Receipt(receipt)) = Message::decode(&message)? {
            self.durable = usize::try_from(receipt.next_seq)?;
            self.last = Some(receipt);
        }
        Ok(())
    }

    /// Whether the last receipt is what it claims to be. Checking each would measure this side.
    fn check(&self) -> Result<()> {
        let receipt = self.last.as_ref().context("no receipt")?;
        ensure!(receipt.relay == self.relay, "a receipt of another relay");
        ensure!(
            receipt.device == DeviceId(self.backlog.device.public()),
            "a receipt for another feed"
        );
        Ok(receipt.verify()?)
    }
}
