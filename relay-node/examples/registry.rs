//! How many names a registry gives away in a second, one JSON object per line: requests are checked, decided durably,
//! and answered with a signed receipt.
//!
//! - `claims_per_s_embedded`: in a file; `slug_claims_per_s_embedded`: of slugs, which are counted;
//! - `claims_per_s_etcd`, `slug_claims_per_s_etcd`: in the etcd at the address given;
//! - `raw_txns_per_s` (`"peer":"etcd"`): the same transactions given to etcd's client directly, with nothing around
//!   them, in turns with the former; `etcd_fraction_of_raw` is the one by the other.
//!
//! ```text
//! cargo run --release -p starling-relay-node --example registry [etcd://127.0.0.1:2379]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that fails is none")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};
use protocol::entry::Position;
use protocol::kinds::Certificate;
use protocol::kinds::{Body, Post};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameRequest};
use protocol::{AccountId, DeviceId, KeyPair, Timestamp, VerifiedEntry};
use starling_relay_node::names::{Credentials, Embedded, Etcd, EtcdAddress, Registry, Settings, TxnStore};

/// Claims of one round.
const CLAIMS: usize = 4_000;
/// Rounds, of each kind in turn; the median counts.
const ROUNDS: usize = 5;
/// Claims under way at once.
const AT_ONCE: usize = 64;
const TODAY: Timestamp = Timestamp(1_780_000_000_000);

fn print(figure: &str, value: f64, unit: &str, more: &serde_json::Value) {
    let mut line = serde_json::json!({
        "bench": "registry", "figure": figure, "value": (value * 1000.0).round() / 1000.0, "unit": unit,
        "n": CLAIMS * ROUNDS, "in_flight": AT_ONCE, "seed": 1,
    });
    for (key, value) in more.as_object().unwrap() {
        line[key] = value.clone();
    }
    println!("{line}");
}

/// Letters that are nobody's double.
fn name(n: usize) -> String {
    let letter = |place: usize| char::from(b"abcdefghjknpqrst"[n >> (4 * place) & 15]);
    (0..6).map(letter).collect()
}

/// Different people who want different names, or slugs for a post each.
fn requests(round: usize, slugs: bool) -> Vec<NameRequest> {
    (0..CLAIMS)
        .map(|n| {
            let n = round * CLAIMS + n;
            let mut seed = [3; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            let account = KeyPair::from_seed(&seed);
            seed[31] = 4;
            let device = KeyPair::from_seed(&seed);
            let certificate =
                Certificate::issue(&account, DeviceId(device.public()), "bench".to_owned(), TODAY);
            let body = Body::Post(Post {
                text: name(n),
                reply: None,
            });
            let at = Position {
                seq: 1,
                ..Position::default()
            };
            let post = || VerifiedEntry::create(&device, at, AccountId(account.public()), TODAY, &body);
            let post = slugs.then(|| post().header().clone());
            NameRequest::issue(&device, certificate, name(n), post, NameAction::Claim, [5; 16], 0)
        })
        .collect()
}

/// Runs `each` for all items with this concurrency. Returns the rate per second.
async fn rate<T: Send + Sync + 'static, F: Future<Output = ()> + Send>(
    items: Vec<T>,
    each: impl Fn(Arc<Vec<T>>, usize) -> F + Clone + Send + 'static,
) -> f64 {
    let (items, next) = (Arc::new(items), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (items, next, each) = (Arc::clone(&items), Arc::clone(&next), each.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= items.len() {
                        return;
                    }
                    each(Arc::clone(&items), n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    items.len() as f64 / began.elapsed().as_secs_f64()
}

async fn claims(registry: &Registry, requests: Vec<NameRequest>) -> f64 {
    let registry = registry.clone();
    let questions = requests.into_iter().map(NameQuestion::Request).collect();
    rate(questions, move |questions, n| {
        let registry = registry.clone();
        async move {
            let question = &questions[n];
            let NameQuestion::Request(request) = question else {
                return;
            };
            request.verify().unwrap();
            let answer = registry.answer(question, TODAY).await;
            assert!(matches!(answer, NameAnswer::Held(_)), "{answer:?}");
        }
    })
    .await
}

async fn raw(client: &Client, round: usize) -> f64 {
    let client = client.clone();
    rate((0..CLAIMS).collect(), move |_, n| {
        let mut client = client.clone();
        async move {
            let n = round * CLAIMS + n;
            let name = format!("rawrawra/n/{}", name(n));
            let account = [b"rawrawra/a/", &blake3::hash(&n.to_le_bytes()).as_bytes()[..]].concat();
            let absent = |key: &[u8]| Compare::create_revision(key, CompareOp::Equal, 0);
            let txn = Txn::new()
                .when([absent(name.as_bytes()), absent(&account)])
                .and_then([
                    TxnOp::put(name.as_bytes(), [7; 64], None),
                    TxnOp::put(&account[..], name.as_bytes(), None),
                ])
                .or_else([TxnOp::get(name.as_bytes(), None), TxnOp::get(&account[..], None)]);
            assert!(client.txn(txn).await.unwrap().succeeded());
        }
    })
    .await
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = TxnStore::Embedded(Embedded::open(folder.path()).unwrap());
    let registry = Registry::open(embedded, Settings::default(), [1; 32])
        .await
        .unwrap();
    let (mut names, mut slugs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        names.push(claims(&registry, requests(round, false)).await);
        slugs.push(claims(&registry, requests(round, true)).await);
    }
    let none = serde_json::json!({});
    print("claims_per_s_embedded", median(names), "1/s", &none);
    print("slug_claims_per_s_embedded", median(slugs), "1/s", &none);
    let Some(address) = std::env::args().nth(1) else {
        return;
    };
    let address: EtcdAddress = address.parse().unwrap();
    let client = Client::connect([address.first()], None).await.unwrap();
    let store = TxnStore::Etcd(Etcd::new(address, Credentials::default()));
    let registry = Registry::open(store, Settings::default(), [1; 32]).await.unwrap();
    let (mut ours, mut theirs, mut slugs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(raw(&client, round).await);
        ours.push(claims(&registry, requests(round, false)).await);
    }
    // In rounds of their own, so that nothing comes between those that are compared.
    for round in 0..ROUNDS {
        slugs.push(claims(&registry, requests(round, true)).await);
    }
    print("slug_claims_per_s_etcd", median(slugs), "1/s", &none);
    let (ours, theirs) = (median(ours), median(theirs));
    print("claims_per_s_etcd", ours, "1/s", &none);
    print(
        "raw_txns_per_s",
        theirs,
        "1/s",
        &serde_json::json!({"peer": "etcd"}),
    );
    let fraction = ours / theirs;
    let met = serde_json::json!({"target": 0.8, "met": fraction >= 0.8});
    print("etcd_fraction_of_raw", fraction, "ratio", &met);
}
