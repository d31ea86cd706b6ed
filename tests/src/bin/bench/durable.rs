//! How many posts a second a relay takes durably, and how soon each is signed for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use starling_tests::figures::{Figure, Target, percentile};
use starling_tests::writer::{Backlog, Writer};
use starling_tests::{Relay, RelayOptions, process};

use crate::relay::folder_bytes;

const BENCH: &str = "relay";
/// Posts of one client that may be unsigned for at a time.
const IN_FLIGHT: usize = 64;
/// Posts of all clients together.
const POSTS: usize = 64_000;
const HALF_LOAD_POSTS: usize = 32_000;
/// What a post says: a sentence or two.
const TEXT_BYTES: usize = 200;

/// Prints what a relay takes in a second, and what a million entries take.
pub(crate) async fn measure() -> Result<()> {
    rates().await?;
    million().await
}

/// Prints the rate at 1, 8 and 64 clients, and how long a post takes at half of the last.
pub(crate) async fn rates() -> Result<()> {
    let mut rate = 0.0;
    for clients in [1, 8, 64] {
        let (posts_per_s, cpu_us) = at_full_load(clients).await?;
        rate = posts_per_s;
        let figure = format!("durable_posts_per_s_{clients}");
        Figure::new(BENCH, &figure, rate, "1/s")
            .n(POSTS)
            .in_flight(IN_FLIGHT)
            .target(if clients == 64 {
                Target::AtLeast(15_000.0)
            } else {
                Target::None
            })
            .print();
        // Of the relay alone, and much the same however busy the machine is with other things.
        let figure = format!("cpu_per_durable_post_{clients}");
        Figure::new(BENCH, &figure, cpu_us, "us").n(POSTS).print();
    }
    let took = at_rate(64, rate / 2.0).await?;
    for (figure, share, target) in [
        ("ack_p50_at_half_load", 0.5, Target::None),
        ("ack_p99_at_half_load", 0.99, Target::AtMost(20.0)),
    ] {
        Figure::new(BENCH, figure, percentile(&took, share), "ms")
            .n(took.len())
            .target(target)
            .print();
    }
    Ok(())
}

/// What a million entries take in memory and on the disk, and how soon the relay serves again after a kill.
async fn million() -> Result<()> {
    const CLIENTS: usize = 64;
    const ENTRIES: usize = 1_000_000;
    let no_app = tempfile::tempdir()?;
    let mut relay = relay(no_app.path()).await?;
    let mut writers = writers(&relay, CLIENTS, ENTRIES / CLIENTS).await?;
    let raw: usize = writers.iter().map(Writer::bytes).sum();
    try_join_all(writers.iter_mut().map(|writer| writer.write_all(IN_FLIGHT))).await?;
    drop(writers);
    let figure = |name: &str, value: f64, unit: &'static str, target| {
        Figure::new(BENCH, name, value, unit)
            .n(ENTRIES)
            .target(target)
            .print();
    };
    if let Some(resident) = relay.pid().and_then(process::resident_kib) {
        figure("million_memory", resident as f64 / 1024.0, "MiB", Target::None);
    }
    let disk = folder_bytes(relay.data_dir())? as f64;
    figure("million_disk_per_entry", disk / ENTRIES as f64, "B", Target::None);
    figure(
        "million_disk_to_raw",
        disk / raw as f64,
        "ratio",
        Target::AtMost(2.0),
    );
    relay.kill().await?;
    let began = Instant::now();
    relay.restart().await?;
    figure(
        "million_start_after_kill",
        began.elapsed().as_secs_f64(),
        "s",
        Target::AtMost(5.0),
    );
    Ok(())
}

async fn writers(relay: &Relay, clients: usize, posts: usize) -> Result<Vec<Writer>> {
    // All are signed before the first links: a linked peer must answer, or it counts as gone.
    let backlogs = (0..u32::try_from(clients)?)
        .map(|n| Backlog::new(n, posts, &"x".repeat(TEXT_BYTES)))
        .collect::<Vec<_>>();
    let mut writers = Vec::with_capacity(clients);
    for backlog in backlogs {
        writers.push(Writer::link(relay, backlog).await?);
    }
    Ok(writers)
}

/// A relay with no app to compress, which it otherwise does in its first seconds.
async fn relay(no_app: &Path) -> Result<Relay> {
    let options = RelayOptions {
        args: vec!["--sockets-per-address-max".to_owned(), "256".to_owned()],
        app_dir: Some(no_app.to_owned()),
        ..RelayOptions::default()
    };
    Relay::start_with(options).await
}

/// Posts a second, and microseconds of a processor the relay spent on each.
async fn at_full_load(clients: usize) -> Result<(f64, f64)> {
    let no_app = tempfile::tempdir()?;
    let relay = relay(no_app.path()).await?;
    let mut writers = writers(&relay, clients, POSTS / clients).await?;
    let cpu = || relay.pid().and_then(process::cpu_time).unwrap_or_default();
    let (began, spent) = (Instant::now(), cpu());
    try_join_all(writers.iter_mut().map(|writer| writer.write_all(IN_FLIGHT))).await?;
    let (took, spent) = (began.elapsed(), cpu() - spent);
    let posts = POSTS as f64;
    Ok((posts / took.as_secs_f64(), spent.as_secs_f64() * 1e6 / posts))
}

async fn at_rate(clients: usize, rate: f64) -> Result<Vec<f64>> {
    let no_app = tempfile::tempdir()?;
    let relay = relay(no_app.path()).await?;
    let each = HALF_LOAD_POSTS / clients;
    let mut writers = writers(&relay, clients, each).await?;
    let pause = Duration::from_secs_f64(clients as f64 / rate);
    let first = Instant::now() + Duration::from_millis(50);
    // Spread over the pause, as people are.
    let all = writers.iter_mut().enumerate().map(|(n, writer)| {
        let first = first + pause.mul_f64(n as f64 / clients as f64);
        writer.write_at(each, first, pause)
    });
    Ok(try_join_all(all).await?.concat())
}
