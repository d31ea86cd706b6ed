//! How many tabs hold together: people in one headless Chromium, each with data of its own, linked with each other and
//! with one relay; then without it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use starling_tests::figures::{Figure, percentile};
use starling_tests::user_steps::{
    first_visit, follow, neighbours, post, profile_link, sees_within, without_relay,
};
use starling_tests::{Browser, Page, Relay, process};

const BENCH: &str = "mesh";
const SIZES: [usize; 2] = [24, 50];
/// A post that is not on a screen by then counts as not arrived.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// Prints what holds at each size.
pub(crate) async fn measure() -> Result<()> {
    for size in SIZES {
        with(size).await.with_context(|| format!("{size} tabs"))?;
    }
    Ok(())
}

async fn with(size: usize) -> Result<()> {
    let mut relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let began = Instant::now();
    let mut tabs: Vec<Page> = Vec::with_capacity(size);
    let mut link = String::new();
    for n in 0..size {
        let tab = browser.new_context().await?.open(&relay.url("/")).await?;
        first_visit(&tab, &format!("P{n}")).await?;
        if n == 0 {
            link = profile_link(&tab).await?;
        } else {
            follow(&tab, &link).await?;
        }
        tabs.push(tab);
        eprintln!("{} of {size} tabs", n + 1);
    }
    figure(size, "opened", began.elapsed().as_secs_f64(), "s");
    spread(size, "with_relay", &tabs).await?;
    links(size, "with_relay", &tabs).await?;
    // Of all processes of the browser; pages they share are counted in each.
    let memory: u64 = process::family(browser.pid())
        .into_iter()
        .filter_map(process::resident_kib)
        .sum();
    figure(
        size,
        "memory_per_tab",
        memory as f64 / 1024.0 / size as f64,
        "MiB",
    );

    relay.kill().await?;
    for tab in &tabs {
        without_relay(tab, ARRIVES_WITHIN).await?;
    }
    spread(size, "without_relay", &tabs).await?;
    links(size, "without_relay", &tabs).await?;

    // A quarter of them close at once; the others find new neighbours.
    for tab in tabs.split_off(size - size / 4) {
        tab.close().await?;
    }
    spread(size, "quarter_gone", &tabs).await?;
    links(size, "quarter_gone", &tabs).await
}

/// A post of the first tab, until it is on the others' screens.
async fn spread(size: usize, when: &str, tabs: &[Page]) -> Result<()> {
    let text = format!("told {when}");
    let began = Instant::now();
    post(&tabs[0], &text).await?;
    let arrivals = tabs[1..].iter().map(async |tab| {
        let seen = sees_within(tab, &text, ARRIVES_WITHIN).await;
        seen.map(|()| began.elapsed().as_secs_f64() * 1e3)
    });
    let arrivals = join_all(arrivals).await;
    let arrived_ms: Vec<f64> = arrivals.into_iter().filter_map(Result::ok).collect();
    let share = arrived_ms.len() as f64 / (tabs.len() - 1) as f64;
    figure(size, &format!("arrived_{when}"), share, "share");
    for (name, share) in [("p50", 0.5), ("max", 1.0)] {
        let value = percentile(&arrived_ms, share);
        figure(size, &format!("{name}_{when}"), value, "ms");
    }
    Ok(())
}

/// How many links the tabs have.
async fn links(size: usize, when: &str, tabs: &[Page]) -> Result<()> {
    let mut counts = Vec::with_capacity(tabs.len());
    for tab in tabs {
        let count = neighbours(tab, false).await?.len() + neighbours(tab, true).await?.len();
        counts.push(count as f64);
    }
    for (name, share) in [("min", 0.0), ("p50", 0.5), ("max", 1.0)] {
        let value = percentile(&counts, share);
        figure(size, &format!("links_{name}_{when}"), value, "links");
    }
    Ok(())
}

fn figure(size: usize, name: &str, value: f64, unit: &'static str) {
    Figure::new(BENCH, name, value, unit).n(size).print();
}
