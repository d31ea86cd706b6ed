//! How long it takes to say who keeps whose feeds, for a million accounts over a thousand relays, and how much moves
//! when one relay is lost. One JSON object per figure.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a clock and the machine's processors are what it is about"
)]

use std::time::Instant;

use protocol::{AccountId, PeerId};
use starling_engine::assignment::{Assignment, Worker};

const ACCOUNTS: u32 = 1_000_000;
const RELAYS: u32 = 1_000;
const REPLICAS: usize = 3;
const ZONES: u32 = 7;

fn key(kind: u8, n: u32) -> [u8; 32] {
    *blake3::hash(&[&[kind][..], &n.to_le_bytes()].concat()).as_bytes()
}

/// The replicas of all accounts, computed on all processors.
fn all(assignment: &Assignment, accounts: &[AccountId]) -> Vec<Vec<PeerId>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = accounts.chunks(accounts.len().div_ceil(threads).max(1));
    std::thread::scope(|scope| {
        let working: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    let replicas = part.iter().map(|account| assignment.replicas(account, REPLICAS));
                    replicas.collect::<Vec<_>>()
                })
            })
            .collect();
        working
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

fn main() {
    let zones: Vec<String> = (0..ZONES).map(|n| format!("zone {n}")).collect();
    let workers: Vec<Worker<'_>> = (0..RELAYS)
        .map(|n| Worker {
            peer: PeerId(key(2, n)),
            capacity: 50 + n % 100,
            zone: &zones[(n % ZONES) as usize],
        })
        .collect();
    let accounts: Vec<AccountId> = (0..ACCOUNTS).map(|n| AccountId(key(1, n))).collect();
    let began = Instant::now();
    let before = all(&Assignment::new(workers.iter().copied()), &accounts);
    let seconds = began.elapsed().as_secs_f64();

    let lost = workers[7].peer;
    let left = workers.iter().copied().filter(|worker| worker.peer != lost);
    let after = all(&Assignment::new(left), &accounts);
    let held = before.iter().flatten().filter(|peer| **peer == lost).count();
    let moved: usize = before
        .iter()
        .zip(&after)
        .map(|(old, new)| new.iter().filter(|peer| !old.contains(peer)).count())
        .sum();
    let print = |figure: &str, value: f64, unit: &str, target: f64| {
        let met = value <= target;
        println!(
            r#"{{"bench":"assign","figure":"{figure}","value":{value:.3},"unit":"{unit}","n":{ACCOUNTS},"relays":{RELAYS},"target":{target},"met":{met},"seed":1}}"#
        );
    };
    print("all_assigned", seconds, "s", 2.0);
    // What the lost relay held has to be somewhere else; ideally nothing more moves.
    print("moved_of_ideal", moved as f64 / held.max(1) as f64, "1", 1.1);
}
