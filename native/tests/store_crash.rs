//! The store alone, killed in the middle of a flood of batches: all that was reported is there, and no batch without
//! all earlier ones.

#![allow(clippy::unwrap_used, reason = "a test that fails")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use engine::io::Input;
use engine::store::{Batch, BatchId, Load, LoadId, Op, Read, Strictness, Table};
use starling_native::store::{self, Store};

const FOLDER: &str = "STARLING_TEST_STORE_FOLDER";
const CACHE: usize = 8 << 20;
const OPS: u64 = 5;
const KILLS: usize = 5;

fn key(batch: u64, op: u64) -> Vec<u8> {
    [batch.to_be_bytes(), op.to_be_bytes()].concat()
}

/// Writes batches as fast as it can, and prints the number of each that was reported, until it is killed.
async fn flood(folder: &Path) {
    let (store, mut answers) = Store::open(folder, CACHE).unwrap();
    let first = stored(&store, &mut answers).await;
    let commands = store.commands().clone();
    tokio::spawn(async move {
        for n in first.. {
            let ops = (0..OPS)
                .map(|op| Op::Put {
                    // Spread over tables and keys, so that a torn commit would show.
                    table: if op % 2 == 0 {
                        Table::Entries
                    } else {
                        Table::ByTime
                    },
                    key: key(n, op),
                    value: vec![n as u8; 200],
                })
                .collect();
            let batch = Batch {
                id: BatchId(n),
                strictness: Strictness::Strict,
                ops,
            };
            commands.send(store::Command::Persist(batch)).await.unwrap();
        }
    });
    let mut out = std::io::stdout();
    while let Some(answer) = answers.recv().await {
        if let Input::Persisted { id } = answer {
            writeln!(out, "persisted {}", id.0).unwrap();
            out.flush().unwrap();
        }
    }
}

/// How many batches are stored; fails unless they are whole and without gaps.
async fn stored(store: &Store, answers: &mut tokio::sync::mpsc::Receiver<Input>) -> u64 {
    let reads = [Table::Entries, Table::ByTime]
        .map(|table| Read::prefix(table, &[], usize::MAX))
        .to_vec();
    let load = Load { id: LoadId(1), reads };
    store
        .commands()
        .send(store::Command::Load(load, None))
        .await
        .unwrap();
    let Some(Input::Loaded { rows, .. }) = answers.recv().await else {
        panic!("the store cannot be read");
    };
    let mut keys: Vec<_> = rows.into_iter().flatten().map(|(key, _)| key).collect();
    keys.sort();
    let batches = keys.len() as u64 / OPS;
    let expected: Vec<_> = (0..batches)
        .flat_map(|n| (0..OPS).map(move |op| key(n, op)))
        .collect();
    assert!(
        keys == expected,
        "a batch is there in part, or without an earlier one"
    );
    batches
}

#[tokio::test]
async fn a_killed_store_keeps_its_word() {
    // The test runs itself, as the one that is killed.
    if let Ok(folder) = std::env::var(FOLDER) {
        return flood(Path::new(&folder)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut first = 0;
    for round in 0..KILLS as u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_store_keeps_its_word", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: std::io::Result<String>| -> Option<u64> {
            let line = line.ok()?;
            let (_, number) = line.split_once("persisted ")?;
            number.parse().ok()
        };
        // Some way into the flood, differently far each time.
        let wanted = first + 500 + 700 * round;
        let mut reported: Vec<u64> = Vec::new();
        // One report stands for all batches up to it.
        while reported.last().is_none_or(|last| *last < wanted) {
            let line = lines.next().expect("the child ended by itself");
            reported.extend(number(line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        reported.extend(lines.filter_map(number));
        assert!(reported.is_sorted(), "reported in order");
        let (store, mut answers) = Store::open(dir.path(), CACHE).unwrap();
        let there = stored(&store, &mut answers).await;
        let last = reported[reported.len() - 1];
        assert!(
            there > last,
            "batch {last} was reported, but only {there} are there"
        );
        assert!(store.close().await);
        first = there;
    }
}
