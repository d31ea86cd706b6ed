//! What a relay does in a second, and what a neighbour costs it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use starling_tests::figures::{Figure, Target};
use starling_tests::{Browser, NativePeer, Relay, RelayOptions, process};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::beside;

const BENCH: &str = "relay";
/// Authors whose backlog is taken in at once.
const AUTHORS: usize = 8;
const POSTS_EACH: usize = 3_000;
/// Authors who post live, each waiting for the receipt of one post before the next.
const LIVE: usize = 200;

/// Prints all figures of a relay.
pub(crate) async fn measure() -> Result<()> {
    crate::durable::measure().await?;
    crate::nostr::measure().await?;
    backlog().await?;
    receipts().await?;
    to_a_browser().await?;
    beside::run("examples/rtc_throughput").await?;
    beside::run("examples/rates").await?;
    beside::run("examples/home").await
}

/// How fast bytes leave a relay for a page in Chromium, over one data channel.
async fn to_a_browser() -> Result<()> {
    let mut child = beside::command("examples/rtc_throughput")?
        .arg("browser")
        .spawn()?;
    let stdout = child.stdout.take().context("its standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let url = lines.next_line().await?.context("an address")?;
    let browser = Browser::launch().await?;
    let _page = browser.open(&url).await?;
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
    println!(
        "{}",
        line.context("the page received nothing in a minute")??
            .context("a figure")?
    );
    Ok(())
}

/// Entries verified, stored and receipted per second: authors come back with a backlog all at once.
async fn backlog() -> Result<()> {
    let relay = Relay::start_with(RelayOptions::default()).await?;
    let mut authors = Vec::new();
    for n in 0..AUTHORS {
        let author = NativePeer::person(&format!("Author {n}")).await?;
        for post in 0..POSTS_EACH {
            author
                .post(&format!("post {post} of author {n}: {}", "x".repeat(200)))
                .await?;
        }
        authors.push(author);
    }
    let before = relay.pid().and_then(process::resident_kib);
    let began = Instant::now();
    for author in &authors {
        author.link_with(&relay).await?;
    }
    for author in &authors {
        author
            .wait("all receipts", |seen| seen.status.not_durable == 0)
            .await?;
    }
    let entries = AUTHORS * (POSTS_EACH + 2);
    let rate = entries as f64 / began.elapsed().as_secs_f64();
    Figure::new(BENCH, "entries_per_s", rate, "1/s")
        .n(entries)
        .target(Target::AtLeast(10_000.0))
        .print();
    if let (Some(before), Some(after)) = (before, relay.pid().and_then(process::resident_kib)) {
        let growth = after.saturating_sub(before) as f64 * 1024.0 / entries as f64;
        Figure::new(BENCH, "memory_per_entry", growth, "B")
            .n(entries)
            .print();
    }
    let disk = folder_bytes(relay.data_dir())?;
    Figure::new(BENCH, "disk_per_entry", disk as f64 / entries as f64, "B")
        .n(entries)
        .print();
    Ok(())
}

pub(crate) fn folder_bytes(folder: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

/// One author, one post at a time: how long until its receipt, signed after the durable commit, is back.
async fn receipts() -> Result<()> {
    let relay = Relay::start_with(RelayOptions::default()).await?;
    let author = NativePeer::person("Author").await?;
    author.link_with(&relay).await?;
    let durable = |seen: &starling_tests::native::Seen| seen.status.not_durable == 0;
    author.wait("the first receipt", durable).await?;
    let mut samples_ms = Vec::with_capacity(LIVE);
    for n in 0..LIVE {
        let began = Instant::now();
        author.post(&format!("post {n}")).await?;
        tokio::time::timeout(Duration::from_secs(10), author.wait("its receipt", durable))
            .await
            .context("a receipt took longer than ten seconds")??;
        samples_ms.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    for (figure, share) in [("receipt_p50", 0.5), ("receipt_p99", 0.99)] {
        let value = starling_tests::figures::percentile(&samples_ms, share);
        Figure::new(BENCH, figure, value, "ms").n(LIVE).print();
    }
    Ok(())
}
