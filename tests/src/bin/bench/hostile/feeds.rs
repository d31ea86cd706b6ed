//! Attacks on what the relay holds: claims that stand in the way of fetching, proofs of forks, and relays that nobody
//! invited.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use protocol::entry::Position;
use protocol::kinds::{Body, Post};
use protocol::messages::directory::{Description, role};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Digest, Entries, FeedHead, ForkProof, Heads, Message, RangeEnd, Relays, Want};
use protocol::{DeviceId, EntryId, VerifiedEntry};
use starling_tests::lan::At;
use starling_tests::link::{Identity, Link, Person, WRITTEN};
use starling_tests::writer;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

use super::attacker::{Attacker, Reading};
use super::floods::{Chance, written};
use super::honest::{fetched, publish, push};

/// Feeds that the attacker claims to have more of.
pub(super) const CLAIMED: u32 = 64;
/// Entries of each, and how many of them the relay has before.
const CLAIMED_ENTRIES: usize = 6;
const HELD_BEFORE: usize = 2;
/// Interval between two entries that the attacker sends.
const DRIP: Duration = Duration::from_secs(4);
/// The honest peer comes this long after the attacker.
const HONEST_COMES: Duration = Duration::from_secs(2);
const CLAIMED_FIRST: u32 = 2_000_000;

/// The head of a feed after its entry.
fn head_after(entry: &VerifiedEntry) -> FeedHead {
    let header = entry.header();
    FeedHead {
        account: header.account,
        device: header.device,
        next_seq: header.seq + 1,
        head: entry.id(),
    }
}

/// Feeds of which the relay has the beginning.
pub(super) struct Claimed(Vec<Vec<VerifiedEntry>>);

impl Claimed {
    pub(super) async fn prepare(at: &At) -> Result<Self> {
        let feeds = (0..CLAIMED).map(|n| writer::feed(CLAIMED_FIRST + n, CLAIMED_ENTRIES - 1, "claimed"));
        let feeds: Vec<_> = feeds.collect();
        for (n, feed) in feeds.iter().enumerate() {
            publish(at, CLAIMED_FIRST + u32::try_from(n)?, &feed[..HELD_BEFORE]).await?;
        }
        Ok(Self(feeds))
    }

    /// How many of the feeds the relay has to their end.
    pub(super) async fn fetched(&self, at: &At) -> Result<usize> {
        let mut link = Link::open_from(at.clone(), &Person::new(1_999_999), None).await?;
        let accounts: Vec<_> = self.0.iter().map(|feed| feed[0].header().account).collect();
        let held = link.holds(&accounts).await?;
        Ok(held
            .values()
            .filter(|entries| **entries == CLAIMED_ENTRIES as u64)
            .count())
    }

    /// Tells the relay of these heads.
    async fn tell(link: &mut Link, heads: Vec<FeedHead>) -> Result<()> {
        link.send(&Message::Digest(Digest { heads, end: true })).await
    }
}

/// Claims to have more of all feeds, and answers requests by an entry that the relay has, now and then.
pub(super) async fn stale_claims(attacker: Arc<Attacker>, claimed: Arc<Claimed>) -> Result<()> {
    let mut chance = Chance(6);
    let heads = claimed.0.iter().map(|feed| FeedHead {
        next_seq: 1_000,
        head: EntryId(chance.bytes()),
        ..head_after(&feed[0])
    });
    let heads: Vec<_> = heads.collect();
    while !attacker.is_over() {
        let Ok(mut link) = attacker.link().await else {
            continue;
        };
        let before = link.sent();
        Claimed::tell(&mut link, heads.clone()).await?;
        attacker.count(link.sent() - before);
        let (mut sender, receiver) = link.split();
        let (requests, mut asked) = mpsc::unbounded_channel();
        let reading = Reading::start(&attacker, receiver, move |message| {
            if let Message::Want(want) = message {
                let _ = requests.send(want);
            }
        });
        let mut open: BTreeMap<DeviceId, Want> = BTreeMap::new();
        while !attacker.is_over() && !reading.is_over() {
            let _ = timeout_at((Instant::now() + DRIP).min(attacker.until).into(), async {
                while let Some(want) = asked.recv().await {
                    open.insert(want.device, want);
                }
            })
            .await;
            let Some((device, want)) = open.pop_first() else {
                continue;
            };
            let feed = claimed.0.iter().find(|feed| feed[0].header().device == device);
            let Some(feed) = feed else { continue };
            let stale = Message::Entries(Entries {
                request: want.request,
                entries: vec![feed[0].entry().clone()],
            });
            open.insert(device, want);
            attacker.send(&mut sender, &stale.encode()).await?;
            sender.flush().await?;
        }
        if reading.is_over() {
            attacker.count_closed();
        } else {
            attacker.keep_halves(sender, reading);
        }
    }
    Ok(())
}

/// An honest peer that has all of the feeds and serves them, from this address.
pub(super) async fn serve(at: At, claimed: Arc<Claimed>, client: IpAddr, until: Instant) -> Result<()> {
    sleep(HONEST_COMES).await;
    let feeds: BTreeMap<DeviceId, &Vec<VerifiedEntry>> = claimed
        .0
        .iter()
        .map(|feed| (feed[0].header().device, feed))
        .collect();
    let mut link = Link::open_from(at, &Person::new(1_999_998), Some(client)).await?;
    let heads = claimed.0.iter().map(|feed| head_after(&feed[feed.len() - 1]));
    Claimed::tell(&mut link, heads.collect()).await?;
    while let Ok(message) = timeout_at(until.into(), link.next()).await {
        let Message::Want(want) = message? else { continue };
        let request = want.request;
        if let Some(feed) = feeds.get(&want.device) {
            let from = usize::try_from(want.from)?.min(feed.len());
            let entries: Vec<_> = feed[from..].iter().map(|entry| entry.entry().clone()).collect();
            if !entries.is_empty() {
                link.send(&Message::Entries(Entries { request, entries })).await?;
            }
        }
        link.send(&Message::RangeEnd(RangeEnd { request })).await?;
    }
    Ok(())
}

/// Feeds that are forked, and entries of each.
const FORKED: u32 = 4;
const FORKED_POSTS: usize = 1_500;
const FORKED_FIRST: u32 = 3_000_000;

/// Has the relay take in feeds, and makes proofs that they are forked, each at a lower entry.
pub(super) async fn prepare_proofs(at: &At) -> Result<Vec<Vec<u8>>> {
    let mut chance = Chance(7);
    let mut proofs = Vec::new();
    for n in FORKED_FIRST..FORKED_FIRST + FORKED {
        publish(at, n, &writer::feed(n, FORKED_POSTS, "forked")).await?;
        let person = Person::new(n);
        let mut signed = |seq: u64| {
            let position = Position {
                seq,
                prev: EntryId(chance.bytes()),
                lamport: seq + 1,
            };
            let body = Body::Post(Post {
                text: "either".to_owned(),
                reply: None,
            });
            let entry = VerifiedEntry::create(&person.device, position, person.account, WRITTEN, &body);
            entry.signed().clone()
        };
        for seq in (1..=FORKED_POSTS as u64).rev() {
            let (one, other) = (signed(seq), signed(seq));
            proofs.push(Message::ForkProof(ForkProof { one, other }).encode());
        }
    }
    Ok(proofs)
}

/// Sends proofs as long as there are some.
pub(super) async fn fork_proofs(attacker: Arc<Attacker>, proofs: Vec<Vec<u8>>) -> Result<()> {
    let proofs = std::cell::RefCell::new(proofs.into_iter());
    attacker.flood(|_| || proofs.borrow_mut().next()).await
}

/// Feeds that the relay gave receipts for, and entries of each.
pub(super) const RECEIPTED: u32 = 3;
const RECEIPTED_POSTS: usize = 50;
const RECEIPTED_FIRST: u32 = 4_000_000;
/// Relays that nobody invited.
const STRANGERS: u32 = 12;
/// Bytes of junk that they bring, all together.
const JUNK_BYTES: usize = 35 << 20;
/// Characters of a post of theirs.
const JUNK_CHARS: usize = 3_000;

/// Feeds that the relay signed receipts for, whose authors are gone.
pub(super) struct Receipted(Vec<Vec<VerifiedEntry>>);

impl Receipted {
    pub(super) async fn prepare(at: &At) -> Result<Self> {
        let mut feeds = Vec::new();
        for n in RECEIPTED_FIRST..RECEIPTED_FIRST + RECEIPTED {
            let feed = writer::feed(n, RECEIPTED_POSTS, "receipted");
            publish(at, n, &feed).await?;
            feeds.push(feed);
        }
        Ok(Self(feeds))
    }

    /// How many of the feeds the relay does not give any more.
    pub(super) async fn lost(&self, at: &At) -> Result<usize> {
        let mut lost = 0;
        for (n, feed) in (0..).zip(&self.0) {
            let entries = feed.len() as u64;
            let there = fetched(at, 4_900_000 + n, feed[0].header().device, entries).await;
            if !matches!(there, Ok(there) if there == feed.len()) {
                eprintln!("of a receipted feed with {entries} entries there are {there:?}");
                lost += 1;
            }
        }
        Ok(lost)
    }
}

/// Strangers describe themselves as relays that hold the receipted feeds, and push junk.
pub(super) async fn stranger_relays(attacker: Arc<Attacker>, receipted: Arc<Receipted>) -> Result<()> {
    let heads: Vec<_> = receipted
        .0
        .iter()
        .map(|feed| head_after(&feed[feed.len() - 1]))
        .collect();
    let junk = "x".repeat(JUNK_CHARS);
    let strangers = (0..STRANGERS).map(|_| {
        let (attacker, heads, junk) = (&attacker, &heads, &junk);
        async move { stranger(attacker, heads, junk).await }
    });
    futures_util::future::try_join_all(strangers).await?;
    Ok(())
}

async fn stranger(attacker: &Attacker, heads: &[FeedHead], junk: &str) -> Result<()> {
    let n = attacker.number();
    let identity = Identity::relay(n);
    let mut heartbeat = 1_000;
    while !attacker.is_over() {
        let Ok(link) = attacker.link_as(&identity).await else {
            continue;
        };
        let (mut sender, receiver) = link.split();
        let reading = Reading::start(attacker, receiver, |_| {});
        let mut left = JUNK_BYTES / STRANGERS as usize;
        while !attacker.is_over() && !reading.is_over() {
            heartbeat += 1;
            let description = Description {
                heartbeat,
                url: format!("https://relay-{n}.example"),
                roles: role::WORKER | role::WEB,
                zone: format!("zone {n}"),
                capacity: 1_000_000,
                ..Description::default()
            };
            let relays = vec![description.sign(&identity.key)];
            let heads = heads.to_vec();
            let mut said = vec![
                Message::Request(Request::alone(Wish::Join)),
                Message::Relays(Relays { relays }),
                Message::Have(Heads { heads: heads.clone() }),
                Message::Digest(Digest { heads, end: true }),
            ];
            if left > 0 {
                let author = Person::new(attacker.number());
                let entries = written(&author, junk);
                said.extend(entries.iter().map(push));
                left = left.saturating_sub(JUNK_CHARS);
            }
            for message in said {
                if attacker.send(&mut sender, &message.encode()).await.is_err() {
                    break;
                }
            }
            let _ = timeout_at(attacker.until.into(), sender.flush()).await;
            // All junk within the time of the attack.
            sleep(Duration::from_millis(4)).await;
        }
        if reading.is_over() {
            attacker.count_closed();
        } else {
            attacker.keep_halves(sender, reading);
        }
    }
    Ok(())
}
