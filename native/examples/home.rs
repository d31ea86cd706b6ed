//! How long a page of a home timeline takes when a million entries are stored, one JSON object per line:
//!
//! - `home_page_p50`, `home_page_p99`: a page of 50 for a person who follows 2,000 of 10,000 accounts, in the engine a
//!   tab runs, on the relay's own store, from the request to the response; pages from the newest down, on a reopened
//!   store.
//!
//! ```text
//! cargo run --release -p starling-native --example home [ENTRIES]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::Engine;
use engine::api::{Command as Act, Event, Page, Query, QueryResult, Request, Response, Timeline};
use engine::io::{Config, Input, Now, Output, RequestId};
use engine::store::BatchId;
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::{AccountId, DeviceId, Entry, EntryId, KeyPair, Timestamp, VerifiedEntry};
use starling_native::store::{Command, Store};
use tokio::sync::mpsc;

const CACHE_BYTES: usize = 128 << 20;
const ACCOUNTS: usize = 10_000;
const FOLLOWED: usize = 2_000;
const PAGE: u32 = 50;
/// Pages read: what a person scrolls through in an evening.
const PAGES: usize = 200;
const TARGET_MS: f64 = 10.0;
/// When the first post was written; the others follow second by second.
const WRITTEN_MS: u64 = 1_767_225_600_000;
/// Batches the store may not have reported yet, so that everything waits in its queue and nowhere else.
const UNWRITTEN_MAX: u64 = 512;

fn account_key(n: usize) -> KeyPair {
    KeyPair::from_seed(&blake3::derive_key(
        "home bench account",
        &(n as u64).to_le_bytes(),
    ))
}

/// One account's feed. All accounts write by turns, so that their posts lie mixed in time.
fn feed(n: usize, entries: usize) -> Vec<Entry> {
    let account = account_key(n);
    let device = KeyPair::from_seed(&blake3::derive_key(
        "home bench device",
        &(n as u64).to_le_bytes(),
    ));
    let id = DeviceId(device.public());
    let mut prev = EntryId::default();
    let write = |seq: u64| {
        let body = match seq {
            0 => Body::Certificate(Certificate::issue(&account, id, "bench".to_owned(), Timestamp(1))),
            _ => Body::Post(Post {
                text: format!("{seq}: {}", "x".repeat(200)),
                reply: None,
            }),
        };
        let lamport = seq + 1;
        let position = Position { seq, prev, lamport };
        // Any order will do that is not the accounts' own.
        let turn = (n * 7_919 % ACCOUNTS) as u64;
        let at = Timestamp(WRITTEN_MS + (seq * ACCOUNTS as u64 + turn) * 1_000);
        let account = AccountId(account.public());
        let entry = VerifiedEntry::create(&device, position, account, at, &body);
        prev = entry.id();
        entry.entry().clone()
    };
    (0..entries as u64).map(write).collect()
}

/// An engine and a store, as a driver runs them, without links.
struct Peer {
    engine: Engine,
    start: Instant,
    store: Store,
    answers: mpsc::Receiver<Input>,
    ready: bool,
    given: BatchId,
    written: BatchId,
    asked: u64,
    answer: Option<Response>,
}

impl Peer {
    async fn open(folder: &Path, config: Config) -> Self {
        let (store, answers) = Store::open(folder, CACHE_BYTES).unwrap();
        let start = Instant::now();
        let mut peer = Self {
            engine: Engine::new(config, [7; 32], now(start)),
            start,
            store,
            answers,
            ready: false,
            given: BatchId(0),
            written: BatchId(0),
            asked: 0,
            answer: None,
        };
        peer.execute().await;
        while !peer.ready {
            peer.wait().await;
        }
        peer
    }

    async fn handle(&mut self, input: Input) {
        if let Input::Persisted { id } = &input {
            self.written = *id;
        }
        self.engine.handle(now(self.start), input);
        self.execute().await;
    }

    async fn execute(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            let command = match output {
                Output::Persist(batch) => {
                    self.given = batch.id;
                    Command::Persist(batch)
                }
                Output::Load(load) => Command::Load(load, None),
                Output::Event(Event::Ready { .. }) => {
                    self.ready = true;
                    continue;
                }
                Output::Response { id, response } => {
                    assert_eq!(id, RequestId(self.asked));
                    self.answer = Some(response);
                    continue;
                }
                _ => continue,
            };
            self.store.commands().send(command).await.unwrap();
        }
    }

    async fn wait(&mut self) {
        let answer = self.answers.recv().await.unwrap();
        self.handle(answer).await;
    }

    async fn ask(&mut self, request: Request) -> Response {
        self.asked += 1;
        let id = RequestId(self.asked);
        self.handle(Input::Request { id, request }).await;
        loop {
            match self.answer.take() {
                Some(answer) => return answer,
                None => self.wait().await,
            }
        }
    }

    /// Waits until at most this many batches are not on the disk.
    async fn written(&mut self, left: u64) {
        while self.written.0 + left < self.given.0 {
            self.wait().await;
        }
    }

    async fn close(mut self) {
        self.written(0).await;
        let Self {
            store, mut answers, ..
        } = self;
        let taken = async { while answers.recv().await.is_some() {} };
        assert!(tokio::join!(store.close(), taken).0);
    }
}

fn now(start: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Now {
        instant: protocol::Instant::default() + start.elapsed(),
        wall: Timestamp::default().plus(wall),
    }
}

/// Has a relay's engine take everything in, signatures checked, as from a backup.
async fn fill(folder: &Path, entries: usize) {
    let (feeds, mut signed) = mpsc::channel(64);
    std::thread::spawn(move || {
        for n in 0..ACCOUNTS {
            feeds.blocking_send(feed(n, entries / ACCOUNTS)).unwrap();
        }
    });
    let mut relay = Peer::open(folder, Config::relay(KeyPair::from_seed(&[9; 32]))).await;
    while let Some(feed) = signed.recv().await {
        relay.handle(Input::Entries(feed)).await;
        relay.written(UNWRITTEN_MAX).await;
    }
    relay.written(0).await;
    match relay.ask(Request::Query(Query::Network)).await {
        Response::Result(reply) => match *reply {
            QueryResult::Network(view) => assert_eq!(view.entries, entries as u64, "all were taken in"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    relay.close().await;
}

/// Follows every fifth account.
async fn follow(folder: &Path) {
    let mut person = Peer::open(folder, Config::browser()).await;
    let name = || "Ada".to_owned();
    let mut acts = vec![Act::CreateAccount {
        name: name(),
        device_name: name(),
    }];
    acts.extend((0..FOLLOWED).map(|n| Act::Follow {
        account: AccountId(account_key(n * (ACCOUNTS / FOLLOWED)).public()),
    }));
    for act in acts {
        let answer = person.ask(Request::Command(act)).await;
        assert!(matches!(answer, Response::Done(_)), "{answer:?}");
    }
    person.close().await;
}

/// Reads home from the newest post down. Returns how long each page took.
async fn read(folder: &Path) -> Vec<Duration> {
    let mut person = Peer::open(folder, Config::browser()).await;
    let (mut after, mut took) = (None, Vec::new());
    let mut newest = Timestamp(u64::MAX);
    for _ in 0..PAGES {
        let began = Instant::now();
        let query = Query::Timeline {
            timeline: Timeline::Home,
            after,
            limit: PAGE,
        };
        let answer = person.ask(Request::Query(query)).await;
        took.push(began.elapsed());
        let Response::Result(reply) = answer else {
            panic!("{answer:?}");
        };
        let QueryResult::Page(Page { posts, next }) = *reply else {
            panic!("no page");
        };
        assert_eq!(posts.len(), PAGE as usize, "a whole page");
        for post in posts {
            assert!(post.timestamp <= newest, "newest first");
            newest = post.timestamp;
        }
        after = next;
    }
    person.close().await;
    took
}

fn print(figure: &str, took: Duration, entries: usize) {
    let ms = took.as_secs_f64() * 1_000.0;
    println!(
        "{}",
        serde_json::json!({
            "bench": "relay", "figure": figure, "value": (ms * 1_000.0).round() / 1_000.0, "unit": "ms", "n": entries,
            "target": TARGET_MS, "met": ms <= TARGET_MS, "seed": 1,
        })
    );
}

#[tokio::main]
async fn main() {
    let entries = std::env::args()
        .nth(1)
        .map_or(1_000_000, |count| count.parse().unwrap());
    assert_eq!(
        entries % ACCOUNTS,
        0,
        "the same number for each of {ACCOUNTS} accounts"
    );
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(dir.path(), entries).await;
    eprintln!(
        "{entries} entries are stored after {:.0} s",
        began.elapsed().as_secs_f64()
    );
    follow(dir.path()).await;
    let mut took = read(dir.path()).await;
    eprintln!("the first page took {:?}", took[0]);
    took.sort_unstable();
    print("home_page_p50", took[took.len() / 2], entries);
    print("home_page_p99", took[took.len() * 99 / 100], entries);
}
