//! What the parts of a relay can do on this machine, one JSON object per line:
//!
//! - `signature_checks_per_s`: Ed25519 signatures of entries checked, one thread;
//! - `store_commits_per_s`: batches given one at a time, each awaited;
//! - `engine_entries_per_s`: entries taken from a peer, verified, stored, and covered by a receipt, everything but
//!   sockets.
//!
//! ```text
//! cargo run --release -p starling-native --example rates [ENTRIES [FOLDER]]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use engine::api::Transport;
use engine::io::{Config, Input};
use engine::store::{Batch, BatchId, Op, Strictness, Table};
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::link::frame::{self, Reassembly};
use protocol::link::handshake::{Binding, Handshake, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN};
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Decoded, Digest, Entries, FeedHead, Message, Ping, RangeEnd, Want};
use protocol::{AccountId, DeviceId, Entry, EntryId, KeyPair, PeerId, Timestamp, VerifiedEntry, codec};
use starling_native::driver::{self, Origin};
use starling_native::link::{LinkEnd, ToLink};
use starling_native::network::AddressBook;
use starling_native::store::{Command, Store};

const CACHE_BYTES: usize = 128 << 20;
const DEVICES: usize = 8;
/// What the engine puts into one message.
const MESSAGE_BYTES: usize = 96 * 1024;

fn print(figure: &str, value: f64, unit: &str) {
    println!(
        "{}",
        serde_json::json!({"bench": "relay", "figure": figure, "value": value.round(), "unit": unit, "seed": 1})
    );
}

struct Feed {
    device: KeyPair,
    entries: Vec<VerifiedEntry>,
}

struct Person {
    account: AccountId,
    certificate: Certificate,
    feeds: Vec<Feed>,
}

/// One person with several devices, so that one link is given receipts for all of it.
fn person(entries: usize) -> Person {
    let account_key = KeyPair::from_seed(&[1; 32]);
    let account = AccountId(account_key.public());
    let mut certificates = Vec::new();
    let feeds = (0..DEVICES)
        .map(|n| {
            let device = KeyPair::from_seed(&[100 + n as u8; 32]);
            let id = DeviceId(device.public());
            let certificate = Certificate::issue(&account_key, id, "bench".to_owned(), Timestamp(1));
            certificates.push(certificate.clone());
            let mut feed: Vec<VerifiedEntry> = Vec::new();
            for seq in 0..(entries / DEVICES) as u64 {
                let prev = feed.last().map_or(EntryId([0; 32]), |entry| entry.header().id());
                let lamport = seq + 1;
                let position = Position { seq, prev, lamport };
                let text = format!("{seq}: {}", "a bird sings ".repeat(15));
                let body = match seq {
                    0 => Body::Certificate(certificate.clone()),
                    _ => Body::Post(Post { text, reply: None }),
                };
                let at = Timestamp(1_767_225_600_000 + seq * 1_000 + n as u64);
                feed.push(VerifiedEntry::create(&device, position, account, at, &body));
            }
            Feed {
                device,
                entries: feed,
            }
        })
        .collect();
    let certificate = certificates.swap_remove(0);
    Person {
        account,
        certificate,
        feeds,
    }
}

fn signatures(person: &Person) {
    let entries: Vec<Entry> = person.feeds[0]
        .entries
        .iter()
        .map(|entry| entry.entry().clone())
        .collect();
    let count = entries.len();
    let start = Instant::now();
    for entry in entries {
        std::hint::black_box(entry.verify().unwrap());
    }
    print(
        "signature_checks_per_s",
        count as f64 / start.elapsed().as_secs_f64(),
        "1/s",
    );
}

/// The rows an entry becomes: itself, its id, and its places in two timelines.
fn rows(feed: usize, entry: &VerifiedEntry) -> [(Table, Vec<u8>, Vec<u8>); 4] {
    let header = entry.header();
    let place = [&(feed as u32).to_be_bytes()[..], &header.seq.to_be_bytes()].concat();
    let id = header.id();
    let time = [&(u64::MAX - header.timestamp.0).to_be_bytes()[..], &id.0[..8]].concat();
    [
        (Table::Entries, place.clone(), codec::encode(entry.entry())),
        (Table::Ids, id.0.to_vec(), place.clone()),
        (Table::ByTime, time.clone(), place.clone()),
        (Table::ByAccount, [&header.account.0[..], &time].concat(), place),
    ]
}

async fn single_commits(folder: &Path, person: &Person) {
    const COMMITS: usize = 1_000;
    let folder = folder.join("single");
    std::fs::create_dir(&folder).unwrap();
    let (store, mut answers) = Store::open(&folder, CACHE_BYTES).unwrap();
    let start = Instant::now();
    for (n, entry) in person.feeds[0].entries.iter().cycle().take(COMMITS).enumerate() {
        let ops = rows(n, entry)
            .into_iter()
            .map(|(table, key, value)| Op::Put { table, key, value })
            .collect();
        let batch = Batch {
            id: BatchId(n as u64),
            strictness: Strictness::Strict,
            ops,
        };
        store.commands().send(Command::Persist(batch)).await.unwrap();
        assert!(matches!(answers.recv().await, Some(Input::Persisted { .. })));
    }
    print(
        "store_commits_per_s",
        COMMITS as f64 / start.elapsed().as_secs_f64(),
        "1/s",
    );
    store.close().await;
}

async fn engine(folder: &Path, person: &Person) {
    let folder = folder.join("engine");
    std::fs::create_dir(&folder).unwrap();
    let store = Store::open(&folder, CACHE_BYTES).unwrap();
    let config = Config::relay(KeyPair::from_seed(&[9; 32]));
    let (book, _dials) = AddressBook::open(Vec::new());
    let (driver, thread) = driver::start(driver::Options::new(config, [3; 32], store, book)).unwrap();
    while !driver.is_ready() {
        tokio::task::yield_now().await;
    }
    let mut end = driver
        .attach(
            Side::Responder,
            Binding::Memory,
            Transport::Memory,
            Origin::Accepted(None),
        )
        .await
        .unwrap();
    let device = &person.feeds[0].device;
    let hello = Hello {
        magic: MAGIC,
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: 0,
        peer: PeerId(device.public()),
        nonce: [5; 32],
        certificate: Some(person.certificate.clone()),
        wall: Timestamp(1_767_225_600_000),
    };
    let mut handshake = Handshake::new(Side::Initiator, Binding::Memory, device.clone(), &hello);
    for frame in handshake.frames() {
        end.sink.frame(frame).await;
    }
    loop {
        let frame = next_frame(&mut end).await;
        let (kind, payload) = frame::split(&frame).unwrap();
        match handshake.on_frame(kind, payload).unwrap() {
            Step::Wait => {}
            Step::Send(frame) => drop(end.sink.frame(frame).await),
            Step::Done(_) => break,
        }
    }
    // Answers are prepared, so that the relay alone is measured.
    let prepared: BTreeMap<DeviceId, Vec<Vec<Entry>>> = person
        .feeds
        .iter()
        .map(|feed| (DeviceId(feed.device.public()), chunks(&feed.entries)))
        .collect();
    let heads = person
        .feeds
        .iter()
        .map(|feed| FeedHead {
            account: person.account,
            device: DeviceId(feed.device.public()),
            next_seq: feed.entries.len() as u64,
            head: feed.entries[feed.entries.len() - 1].header().id(),
        })
        .collect();
    let request = Request {
        wish: Wish::Join,
        heartbeat: 1,
        peers: Vec::new(),
    };
    send(&end, &Message::Request(request)).await;
    let start = Instant::now();
    send(&end, &Message::Digest(Digest { heads, end: true })).await;
    let mut reassembly = Reassembly::default();
    let mut promised: BTreeMap<DeviceId, u64> = BTreeMap::new();
    let total: u64 = person.feeds.iter().map(|feed| feed.entries.len() as u64).sum();
    while promised.values().sum::<u64>() < total {
        let frame = next_frame(&mut end).await;
        let (kind, payload) = frame::split(&frame).unwrap();
        assert_ne!(kind, frame::CLOSE, "{}", String::from_utf8_lossy(payload));
        let Ok(Some(message)) = reassembly.push(kind, payload) else {
            continue;
        };
        match Message::decode(&message).unwrap() {
            Decoded::Known(Message::Want(Want {
                request,
                device,
                from,
                to,
            })) => {
                for entries in &prepared[&device] {
                    let seq = entries[0].signed.header.seq;
                    if (from..to).contains(&seq) {
                        let entries = entries.clone();
                        send(&end, &Message::Entries(Entries { request, entries })).await;
                    }
                }
                send(&end, &Message::RangeEnd(RangeEnd { request })).await;
            }
            Decoded::Known(Message::Receipt(receipt)) => {
                promised.insert(receipt.device, receipt.next_seq);
            }
            Decoded::Known(Message::Ping(Ping { token })) => send(&end, &Message::Pong(Ping { token })).await,
            _ => {}
        }
    }
    print(
        "engine_entries_per_s",
        total as f64 / start.elapsed().as_secs_f64(),
        "1/s",
    );
    drop(end);
    assert!(thread.stop("measured").await);
}

fn chunks(entries: &[VerifiedEntry]) -> Vec<Vec<Entry>> {
    let mut chunks = vec![Vec::new()];
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.entry().clone();
        bytes += codec::encode(&entry).len();
        if bytes > MESSAGE_BYTES {
            bytes = 0;
            chunks.push(Vec::new());
        }
        chunks.last_mut().unwrap().push(entry);
    }
    chunks
}

async fn next_frame(end: &mut LinkEnd) -> Vec<u8> {
    match end.outgoing.next().await {
        Some(ToLink::Frame(bytes)) => bytes.into(),
        other => panic!("the link ended: {other:?}"),
    }
}

async fn send(end: &LinkEnd, message: &Message) {
    for frame in frame::fragment(&message.encode()) {
        assert!(end.sink.frame(frame).await, "the driver ended");
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries = arguments.next().map_or(40_000, |count| count.parse().unwrap());
    let dir = match arguments.next() {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let person = person(entries);
    signatures(&person);
    single_commits(dir.path(), &person).await;
    engine(dir.path(), &person).await;
}
