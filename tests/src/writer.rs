//! A client as light as can be, for load: posts are signed beforehand, sent over one link, and counted as the relay
//! signs for them. Everything on the wire is what a tab sends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use protocol::entry::Position;
use protocol::kinds::{Body, Post};
use protocol::link::frame;
use protocol::messages::receipt::Receipt;
use protocol::messages::{Message, Push};
use protocol::{AccountId, DeviceId, EntryId, VerifiedEntry};

use crate::link::{Link, Person, WRITTEN};

/// A person, and signed posts that nobody has seen yet.
#[derive(Debug)]
pub struct Backlog {
    person: Person,
    /// The feed from its beginning, each entry as the frame that pushes it.
    frames: Vec<Vec<u8>>,
}

impl Backlog {
    /// The `n`th person of a load, with `posts` posts of `text`.
    ///
    /// # Panics
    /// If a post does not fit into one frame.
    #[must_use]
    pub fn new(n: u32, posts: usize, text: &str) -> Self {
        let mut frames = Vec::with_capacity(posts + 1);
        for entry in feed(n, posts, text) {
            let push = Message::Push(Push {
                hops: 1,
                tree: 0,
                entry: entry.entry().clone(),
            });
            frames.extend(frame::fragment(&push.encode()));
        }
        assert_eq!(frames.len(), posts + 1, "posts of one frame each");
        let person = Person::new(n);
        Self { person, frames }
    }

    /// Whose posts they are.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.person.account
    }
}

/// All the `n`th person wrote: who it is, then `posts` posts of `text`.
#[must_use]
pub fn feed(n: u32, posts: usize, text: &str) -> Vec<VerifiedEntry> {
    let person = Person::new(n);
    let mut prev = EntryId::default();
    let write = |seq: u64| {
        let body = match seq {
            0 => Body::Certificate(person.certificate.clone()),
            _ => Body::Post(Post {
                text: format!("{seq}: {text}"),
                reply: None,
            }),
        };
        let lamport = seq + 1;
        let at = WRITTEN.plus(Duration::from_secs(seq));
        let position = Position { seq, prev, lamport };
        let entry = VerifiedEntry::create(&person.device, position, person.account, at, &body);
        prev = entry.id();
        entry
    };
    (0..=posts as u64).map(write).collect()
}

/// A post of the `n`th person that follows `before` in the feed.
#[must_use]
pub fn entry_after(n: u32, before: &VerifiedEntry, text: &str) -> VerifiedEntry {
    let person = Person::new(n);
    let header = before.header();
    let position = Position {
        seq: header.seq + 1,
        prev: before.id(),
        lamport: header.lamport + 1,
    };
    let body = Body::Post(Post {
        text: text.to_owned(),
        reply: None,
    });
    let at = header.timestamp.plus(Duration::from_secs(1));
    VerifiedEntry::create(&person.device, position, person.account, at, &body)
}

/// A linked client.
#[derive(Debug)]
pub struct Writer {
    backlog: Backlog,
    link: Link,
    sent: usize,
    durable: usize,
    last: Option<Receipt>,
}

impl Writer {
    /// Links with a relay, hears how much of the feed it holds, and has at least the first entry taken in.
    ///
    /// # Errors
    /// If the relay refuses.
    pub async fn link(relay: &crate::Relay, backlog: Backlog) -> Result<Self> {
        let mut writer = Self {
            link: Link::open(relay.at(), &backlog.person).await?,
            backlog,
            sent: 0,
            durable: 0,
            last: None,
        };
        let own = [writer.backlog.account()];
        let held = writer.link.holds(&own).await?;
        writer.sent = usize::try_from(held.get(&own[0]).copied().unwrap_or(0))?;
        // The receipt comes right behind the digest that says so.
        writer.wait_for(writer.sent).await?;
        if writer.sent == 0 {
            writer.push(1).await?;
            writer.wait_for(1).await?;
        }
        Ok(writer)
    }

    /// Bytes that are left to be sent.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.backlog.frames.iter().map(Vec::len).sum()
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

    /// Sends `posts` posts, one every `pause`, whether or not the relay keeps up; how long each took to be signed for,
    /// from the moment it was due, in milliseconds.
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
                message = self.link.next() => {
                    self.take(message?)?;
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
            self.link.feed(frame).await?;
            self.sent += 1;
        }
        self.link.flush().await
    }

    async fn wait_for(&mut self, durable: usize) -> Result<()> {
        while self.durable < durable {
            let message = self.link.next().await?;
            self.take(message)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<()> {
        // Those of other relays come as well.
        if let Message::Receipt(receipt) = message
            && receipt.relay == self.link.relay
        {
            self.durable = usize::try_from(receipt.next_seq)?;
            // What other relays gave it meanwhile need not be sent.
            self.sent = self.sent.max(self.durable);
            self.last = Some(receipt);
        }
        Ok(())
    }

    /// Whether the last receipt is what it claims to be. Checking each would measure this side.
    fn check(&self) -> Result<()> {
        let receipt = self.last.as_ref().context("no receipt")?;
        let device = DeviceId(self.backlog.person.device.public());
        ensure!(receipt.device == device, "a receipt for another feed");
        Ok(receipt.verify()?)
    }
}
