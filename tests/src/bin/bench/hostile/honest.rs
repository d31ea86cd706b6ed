//! Honest peers beside an attack: one that posts, one that pings, and newcomers. The one that posts does the work that
//! new accounts need while many come, before its requests are measured.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use protocol::link::handshake::feature;
use protocol::messages::{Message, Ping, Push, WorkDone, WorkRequired};
use protocol::work::Puzzle;
use protocol::{AccountId, DeviceId, VerifiedEntry};
use starling_tests::lan::At;
use starling_tests::link::{Identity, Link, Person};
use starling_tests::writer;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep_until, timeout};

/// Interval between two requests of one peer.
const PERIOD: Duration = Duration::from_millis(20);
/// Requests are waited for this long after the last one was due.
const PATIENCE: Duration = Duration::from_secs(20);
/// A newcomer that is not served in this time gives up.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Between the numbers of the people who post in one phase and in the next.
const NUMBERS_APART: u32 = 7;

/// An address of the documentation's second block: nobody attacks from there.
pub(super) fn address(n: u32) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 0)) + n).into()
}

/// What a peer asks of the relay.
enum Requests {
    /// To keep an entry; it is answered by a receipt. All entries so far.
    Posts(Vec<VerifiedEntry>),
    /// To answer a ping. Pings so far.
    Pings(u64),
}

/// A peer that makes requests at a fixed rate, whether or not they are answered.
pub(super) struct Peer {
    number: u32,
    requests: Requests,
    /// Links that the relay closed.
    pub(super) lost: usize,
}

struct Pending {
    /// An answer with this number or a higher one answers it.
    number: u64,
    due: Instant,
    message: Message,
}

impl Peer {
    pub(super) fn posts(number: u32) -> Self {
        let feed = writer::feed(number, 0, "");
        Self::new(number, Requests::Posts(feed))
    }

    pub(super) fn pings(number: u32) -> Self {
        Self::new(number, Requests::Pings(0))
    }

    fn new(number: u32, requests: Requests) -> Self {
        let lost = 0;
        Self {
            number,
            requests,
            lost,
        }
    }

    /// Makes requests for this time; milliseconds from the moment each was due until it was answered.
    pub(super) async fn run(&mut self, at: &At, time: Duration) -> Result<Vec<f64>> {
        if let Requests::Posts(feed) = &mut self.requests {
            // An account may write so much in an hour; this one writes for all honest people.
            self.number += NUMBERS_APART;
            *feed = writer::feed(self.number, 0, "");
        }
        let mut link = self.link(at).await?;
        let begin = Instant::now();
        let end = begin + time;
        let mut due = begin;
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut took = Vec::new();
        while due < end || !pending.is_empty() {
            let next = async {
                match due < end {
                    true => sleep_until(due.into()).await,
                    false => sleep_until((end + PATIENCE).into()).await,
                }
            };
            let answered = tokio::select! {
                () = next => {
                    if due >= end {
                        break;
                    }
                    let (number, message) = self.request();
                    let sent = link.send(&message).await;
                    pending.push_back(Pending { number, due, message });
                    due += PERIOD;
                    sent.map(|()| None)
                }
                message = link.next() => message.map(|message| self.answer(&link, &message)),
            };
            match answered {
                Ok(Some(number)) => {
                    while pending.front().is_some_and(|first| first.number <= number) {
                        took.extend(pending.pop_front().map(|first| ms_since(first.due)));
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    eprintln!("an honest link is lost: {error:#}");
                    self.lost += 1;
                    let Ok(again) = timeout(PATIENCE, self.link(at)).await else {
                        break;
                    };
                    link = again?;
                    for request in &pending {
                        let _ = link.send(&request.message).await;
                    }
                }
            }
        }
        // What was not answered took longer than was waited for.
        took.extend(pending.iter().map(|request| ms_since(request.due)));
        Ok(took)
    }

    /// A link to the relay, which has the beginning of the feed.
    async fn link(&mut self, at: &At) -> Result<Link> {
        let person = Person::new(self.number);
        let identity = Identity {
            features: feature::WORK,
            ..Identity::from(&person)
        };
        let mut link = loop {
            match Link::open_from(at.clone(), identity.clone(), Some(address(self.number % 200))).await {
                Ok(link) => break link,
                Err(error) => eprintln!("an honest peer was refused: {error:#}"),
            }
            tokio::time::sleep(PAUSE).await;
        };
        if let Requests::Posts(feed) = &self.requests {
            let held = link.holds(&[person.account]).await?;
            if held.is_empty() {
                let begun = timeout(PATIENCE, begin(&mut link, person.account, &feed[0]));
                begun.await.context("a new account is not taken")??;
            }
        }
        Ok(link)
    }

    fn request(&mut self) -> (u64, Message) {
        match &mut self.requests {
            Requests::Posts(feed) => {
                let text = format!("The {}th thing an honest person says", feed.len());
                let entry = writer::entry_after(self.number, &feed[feed.len() - 1], &text);
                let message = push(&entry);
                feed.push(entry);
                (feed.len() as u64, message)
            }
            Requests::Pings(token) => {
                *token += 1;
                (*token, Message::Ping(Ping { token: *token }))
            }
        }
    }

    fn answer(&self, link: &Link, message: &Message) -> Option<u64> {
        match (&self.requests, message) {
            (Requests::Posts(feed), Message::Receipt(receipt)) => {
                let own = receipt.relay == link.relay && receipt.device == device(feed);
                own.then_some(receipt.next_seq)
            }
            (Requests::Pings(_), Message::Pong(pong)) => Some(pong.token),
            _ => None,
        }
    }
}

/// Has the relay take a new account, and does the work that it asks for meanwhile, as the app does.
async fn begin(link: &mut Link, account: AccountId, first: &VerifiedEntry) -> Result<()> {
    link.send(&push(first)).await?;
    loop {
        match link.next().await? {
            Message::Receipt(receipt) if receipt.device == first.header().device => return Ok(()),
            Message::WorkRequired(WorkRequired { bits, challenge }) => {
                let puzzle = Puzzle::new(&link.relay, &account, &challenge, bits);
                let seek = move || {
                    let mut nonce = 0;
                    while !puzzle.seek(&mut nonce, u32::MAX) {}
                    nonce
                };
                let done = WorkDone {
                    bits,
                    challenge,
                    nonce: spawn_blocking(seek).await?,
                };
                link.send(&Message::WorkDone(done)).await?;
                link.send(&push(first)).await?;
            }
            _ => {}
        }
    }
}

fn device(feed: &[VerifiedEntry]) -> DeviceId {
    feed[0].header().device
}

fn ms_since(due: Instant) -> f64 {
    due.elapsed().as_secs_f64() * 1_000.0
}

/// The message that pushes an entry of a peer's own.
pub(super) fn push(entry: &VerifiedEntry) -> Message {
    Message::Push(Push {
        hops: 1,
        tree: 0,
        entry: entry.entry().clone(),
    })
}

/// Newcomers who come one after the other within this time, the `n`th from `address(n)`; how many become neighbours of
/// the relay.
pub(super) async fn newcomers(
    at: &At,
    count: u32,
    first: u32,
    within: Duration,
    address: impl Fn(u32) -> IpAddr,
) -> usize {
    let begin = Instant::now();
    let mut coming = JoinSet::new();
    for n in 0..count {
        let (at, address) = (at.clone(), address(n));
        coming.spawn(async move {
            sleep_until((begin + within * n / count).into()).await;
            match timeout(SERVED_WITHIN, served(&at, first + n, address)).await {
                Ok(Ok(link)) => Some(link),
                Ok(Err(error)) => {
                    eprintln!("newcomer {n} was not served: {error:#}");
                    None
                }
                Err(_) => {
                    eprintln!("newcomer {n} was not served in {SERVED_WITHIN:?}");
                    None
                }
            }
        });
    }
    // Nobody goes before all have come.
    let links = coming.join_all().await;
    links.into_iter().flatten().count()
}

/// A new neighbour of the relay, which answers it.
async fn served(at: &At, number: u32, address: IpAddr) -> Result<Link> {
    let mut link = Link::open_from(at.clone(), &Person::new(number), Some(address)).await?;
    link.send(&Message::Ping(Ping { token: 1 })).await?;
    loop {
        if let Message::Pong(_) = link.next().await? {
            return Ok(link);
        }
    }
}

/// The entries that the relay gives of a feed when it is asked for the first `entries` of them.
pub(super) async fn fetched(at: &At, number: u32, device: DeviceId, entries: u64) -> Result<usize> {
    use protocol::messages::Want;
    let mut link = served(at, number, address(number % 200)).await?;
    link.send(&Message::Want(Want {
        request: 1,
        device,
        from: 0,
        to: entries,
    }))
    .await?;
    let mut fetched = 0;
    let reading = async {
        loop {
            match link.next().await? {
                Message::Entries(part) if part.request == 1 => fetched += part.entries.len(),
                Message::RangeEnd(end) if end.request == 1 => return Ok(fetched),
                _ => {}
            }
        }
    };
    match timeout(PATIENCE, reading).await {
        Ok(fetched) => fetched,
        Err(_) => bail!("no answer to a request for entries"),
    }
}

/// Has the relay take in entries of one person, and waits until it holds all of them.
pub(super) async fn publish(at: &At, number: u32, feed: &[VerifiedEntry]) -> Result<()> {
    let person = Person::new(number);
    let mut link = Link::open_from(at.clone(), &person, Some(address(number % 200))).await?;
    let device = device(feed);
    let held = link.holds(&[person.account]).await?;
    let mut held = usize::try_from(held.get(&person.account).copied().unwrap_or(0))?;
    let mut sent = held;
    while held < feed.len() {
        for entry in &feed[sent..(held + 256).min(feed.len()).max(sent)] {
            link.send(&push(entry)).await?;
            sent += 1;
        }
        let message = timeout(PATIENCE, link.next()).await;
        if let Message::Receipt(receipt) = message.context("no receipt")??
            && receipt.relay == link.relay
            && receipt.device == device
        {
            held = usize::try_from(receipt.next_seq)?;
        }
    }
    Ok(())
}
