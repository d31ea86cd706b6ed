//! Attacks that repeat messages which cost the relay more than the attacker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use protocol::entry::Position;
use protocol::kinds::{Body, Post};
use protocol::messages::{
    Digest, FeedHead, Interests, Message, NameAsked, Ping, SKETCH_CELL_LEN, SaltedAccount, Sketch, Want,
};
use protocol::names::NameQuestion;
use protocol::{AccountId, DeviceId, EntryId, VerifiedEntry, limits};
use starling_tests::link::{Link, Person, WRITTEN};

use super::attacker::Attacker;
use super::honest::push;
use crate::authors::Author;

/// Cells of one sketch: 70 bytes together with the rest of the message.
const CELLS: usize = 3;
/// Salted accounts in one message: 3.6 kB.
const SALTED: usize = 440;
/// Heads that are claimed over one link.
const HEADS: usize = 1_000_000;
/// How long the link of a burst stays: until what it asked for is done.
const BURST: Duration = Duration::from_millis(500);
/// Links that make bursts at a time.
const BURSTING: usize = 4;
/// New accounts, each with an entry beside its certificate, that are prepared.
const ACCOUNTS: u32 = 30_000;
/// Feeds that are asked for in turn.
const ASKED: usize = 1_000;

/// Numbers without a pattern (SplitMix64); the same in each run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes()[..part.len()]);
        }
        bytes
    }
}

/// Says that the feeds of all accounts are wanted and a sketch follows.
fn everything() -> Message {
    Message::Interests(Interests {
        reset: true,
        everything: true,
        sketch: true,
        ..Interests::default()
    })
}

fn sketch(round: u32, chance: &mut Chance) -> Message {
    let mut cells = chance.bytes::<{ CELLS * SKETCH_CELL_LEN }>();
    for cell in cells.chunks_mut(SKETCH_CELL_LEN) {
        // Both sums are below a prime of 61 bits.
        cell[7] &= 0xf;
        cell[15] &= 0xf;
    }
    Message::Sketch(Sketch {
        round,
        feeds: 100_000,
        first: 0,
        cells: cells.to_vec(),
    })
}

/// Sketches without end.
pub(super) async fn sketches(attacker: Arc<Attacker>) -> Result<()> {
    let mut links = 0;
    let begin = |_: &Link| {
        links += 1;
        let mut chance = Chance(1 << 32 | links);
        let mut round = 0;
        move || {
            round += 1;
            Some(match round {
                1 => everything().encode(),
                _ => sketch(round, &mut chance).encode(),
            })
        }
    };
    attacker.flood(begin).await
}

/// One sketch on each of many links under fresh keys. A further one on the same link would end the comparison with the first.
pub(super) async fn sketch_bursts(attacker: Arc<Attacker>) -> Result<()> {
    let mut chance = Chance(2);
    let messages = |_: &Link| vec![everything(), sketch(1, &mut chance)];
    several(&attacker, messages).await
}

/// [`Attacker::bursts`] over some links at a time.
async fn several(attacker: &Attacker, mut messages: impl FnMut(&Link) -> Vec<Message>) -> Result<()> {
    let messages = std::cell::RefCell::new(&mut messages);
    let bursts = (0..BURSTING).map(|_| attacker.bursts(BURST, |link| (messages.borrow_mut())(link)));
    futures_util::future::try_join_all(bursts).await?;
    Ok(())
}

fn random_interests(chance: &mut Chance, before: Vec<SaltedAccount>) -> Interests {
    Interests {
        add: (0..SALTED).map(|_| SaltedAccount(chance.bytes())).collect(),
        remove: before,
        ..Interests::default()
    }
}

/// Interests in accounts that nobody has, without end; those before are withdrawn.
pub(super) async fn interests(attacker: Arc<Attacker>) -> Result<()> {
    let mut links = 0;
    let begin = |_: &Link| {
        links += 1;
        let mut chance = Chance(3 << 32 | links);
        let mut before = Vec::new();
        move || {
            let interests = random_interests(&mut chance, std::mem::take(&mut before));
            before.clone_from(&interests.add);
            Some(Message::Interests(interests).encode())
        }
    };
    attacker.flood(begin).await
}

/// One account at a time, as often as a new link may have accounts looked for at once, again and again.
pub(super) async fn interest_bursts(attacker: Arc<Attacker>) -> Result<()> {
    let mut chance = Chance(4);
    let messages = |_: &Link| {
        let one = |_| {
            Message::Interests(Interests {
                add: vec![SaltedAccount(chance.bytes())],
                ..Interests::default()
            })
        };
        (0..10).map(one).collect()
    };
    several(&attacker, messages).await
}

/// Heads of feeds that do not exist.
pub(super) async fn absent_heads(attacker: Arc<Attacker>) -> Result<()> {
    let mut links = 0;
    let begin = |_: &Link| {
        links += 1;
        let mut chance = Chance(5 << 32 | links);
        let mut left = HEADS;
        move || {
            let count = left.min(limits::HEADS_PER_MESSAGE_MAX);
            left -= count;
            let head = |_| FeedHead {
                account: AccountId(chance.bytes()),
                device: DeviceId(chance.bytes()),
                next_seq: 1_000,
                head: EntryId(chance.bytes()),
            };
            let heads = (0..count).map(head).collect();
            (count > 0).then(|| {
                Message::Digest(Digest {
                    heads,
                    end: left == 0,
                })
                .encode()
            })
        }
    };
    attacker.flood(begin).await
}

/// Messages that push a certificate and a post of accounts that are new to the relay.
pub(super) fn new_accounts(first: u32) -> Vec<Vec<u8>> {
    let pushes = |n| {
        let person = Person::new(first + n);
        written(&person, "I am new here").map(|entry| push(&entry).encode())
    };
    (0..ACCOUNTS).flat_map(pushes).collect()
}

/// The first two entries of a person's feed.
pub(super) fn written(person: &Person, text: &str) -> [VerifiedEntry; 2] {
    let certificate = Body::Certificate(person.certificate.clone());
    let post = Body::Post(Post {
        text: text.to_owned(),
        reply: None,
    });
    let create =
        |position, body| VerifiedEntry::create(&person.device, position, person.account, WRITTEN, body);
    let first = create(Position::default(), &certificate);
    let position = Position {
        seq: 1,
        prev: first.id(),
        lamport: 2,
    };
    let second = create(position, &post);
    [first, second]
}

/// Entries of accounts that are new to the relay, as long as there are some.
pub(super) async fn fresh_keys(attacker: Arc<Attacker>, pushes: Vec<Vec<u8>>) -> Result<()> {
    let pushes = std::cell::RefCell::new(pushes.into_iter());
    attacker.flood(|_| || pushes.borrow_mut().next()).await
}

/// Pings without end.
pub(super) async fn pings(attacker: Arc<Attacker>) -> Result<()> {
    let begin = |_: &Link| {
        let mut token = 0;
        move || {
            token += 1;
            Some(Message::Ping(Ping { token }).encode())
        }
    };
    attacker.flood(begin).await
}

/// Requests for feeds that the relay holds, without end and without granting credit.
pub(super) async fn wants(attacker: Arc<Attacker>, feeds: usize) -> Result<()> {
    let devices: Vec<_> = (0..feeds.min(ASKED))
        .map(|n| DeviceId(Author::new(n).device.public()))
        .collect();
    let begin = |_: &Link| {
        let (mut request, devices) = (0_u32, &devices);
        move || {
            request += 1;
            let want = Want {
                request,
                device: devices[request as usize % devices.len()],
                from: 0,
                to: 4,
            };
            Some(Message::Want(want).encode())
        }
    };
    attacker.flood(begin).await
}

/// Questions whose a name is, without end.
pub(super) async fn lookups(attacker: Arc<Attacker>) -> Result<()> {
    let begin = |_: &Link| {
        let mut request = 0;
        move || {
            request += 1;
            let question = NameQuestion::Lookup {
                slug: false,
                name: format!("somebody{request}"),
            };
            Some(Message::NameQuestion(NameAsked { request, question }).encode())
        }
    };
    attacker.flood(begin).await
}
