//! What the app costs the person who opens it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Deserialize;
use starling_tests::figures::{Figure, Target, percentile, print};
use starling_tests::user_steps::{first_visit, follow};
use starling_tests::{Browser, NativePeer, Page, Relay, http, testid};

const BENCH: &str = "client";

/// Everything the document loaded, as the browser itself accounts for it.
const LOADED: &str =
    "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .map(e => ({ url: new URL(e.name).pathname, encoded: e.encodedBodySize }))";

#[derive(Debug, Deserialize)]
struct Loaded {
    url: String,
    encoded: f64,
}

/// Posts whose arrival is timed for a newcomer.
const FIRST: usize = 5_000;
/// Posts of the first person followed, all stored when the page is opened again.
const HISTORY: usize = 10_000;
/// Posts of the second person followed, by which the rate is measured.
const LONG_HISTORY: usize = 20_000;
/// Number of times the page with everything stored is opened again.
const STARTS: usize = 10;

/// Notes when the first post stands on the screen: after the frame that shows it, on the clock of the navigation.
const PAINTED: &str = "(() => { let seen = false; \
    new MutationObserver((_, watching) => { \
      if (seen || !document.querySelector('[data-testid=post-text]')) return; \
      seen = true; watching.disconnect(); \
      requestAnimationFrame(() => setTimeout(() => { window.painted = performance.now(); })); \
    }).observe(document, { childList: true, subtree: true }); })()";

/// Prints all figures of the app.
pub(crate) async fn measure() -> Result<()> {
    let relay = Relay::start().await?;
    download(&relay).await?;
    history(&relay).await
}

/// A new user follows two people with long histories; then comes back, with all of it stored.
async fn history(relay: &Relay) -> Result<()> {
    let ada = author("Ada", HISTORY, relay).await?;
    let bob = author("Bob", LONG_HISTORY, relay).await?;
    let browser = Browser::launch().await?;

    // From an empty profile: robot hands and all.
    let began = Instant::now();
    let page = browser.open(&relay.url("/")).await?;
    first_visit(&page, "Reader").await?;
    let following = Instant::now();
    follow(&page, &ada).await?;
    page.wait_element(&testid("post-text")).await?;
    let first_s = began.elapsed().as_secs_f64();
    let synced_s = stored(&page, FIRST, following).await?;
    Figure::new(BENCH, "empty_profile_to_first_post", first_s, "s")
        .target(Target::AtMost(5.0))
        .print();
    Figure::new(BENCH, "entries_synced", synced_s, "s")
        .n(FIRST)
        .target(Target::AtMost(5.0))
        .print();
    stored(&page, HISTORY, following).await?;
    page.close().await?;
    cold_starts(&browser, relay).await?;

    let page = browser.open(&relay.url("/")).await?;
    page.wait_element(&testid("post-text")).await?;
    let before: f64 = page.eval("starling.stored()").await?;
    let following = Instant::now();
    follow(&page, &bob).await?;
    let synced_s = stored(&page, before as usize + LONG_HISTORY, following).await?;
    let rate = LONG_HISTORY as f64 / synced_s;
    let checks = median(&page, "starling.checks()").await?;
    let puts = median(&page, RAW_PUTS).await?;
    Figure::new(BENCH, "entries_verified_and_stored_per_s", rate, "1/s")
        .n(LONG_HISTORY)
        .print();
    Figure::new(BENCH, "signature_checks_per_s", checks, "1/s")
        .peer("ed25519-dalek in the same wasm, one thread")
        .print();
    Figure::new(BENCH, "puts_per_s", puts, "1/s")
        .n(5_000)
        .peer("IndexedDB, batches of 256 values of one entry's size")
        .print();
    Figure::new(BENCH, "share_of_the_slower_limit", rate / checks.min(puts), "1")
        .target(Target::AtLeast(0.6))
        .print();
    Ok(())
}

/// A person who wrote this many posts and left them with the relay. Returns the link to the profile.
async fn author(name: &str, posts: usize, relay: &Relay) -> Result<String> {
    let author = NativePeer::person(name).await?;
    for n in 0..posts {
        let text = format!("post {n} of {name}: {}", "a bird sings ".repeat(15));
        author.post(&text).await?;
    }
    author.link_with(relay).await?;
    author
        .wait("all receipts", |seen| seen.status.not_durable == 0)
        .await?;
    let account = author.me().await?.account;
    author.unlink().await;
    Ok(relay.url(&format!("/u/{account}")))
}

/// The page is opened again, with everything stored.
async fn cold_starts(browser: &Browser, relay: &Relay) -> Result<()> {
    let mut samples_ms = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let page = browser.context().blank().await?;
        page.init_script(PAINTED).await?;
        page.goto(&relay.url("/")).await?;
        page.wait_for("window.painted > 0").await?;
        samples_ms.push(page.eval("window.painted").await?);
        page.close().await?;
    }
    for (figure, share) in [("cold_start_p50", 0.5), ("cold_start_max", 1.0)] {
        Figure::new(BENCH, figure, percentile(&samples_ms, share), "ms")
            .n(HISTORY)
            .target(Target::AtMost(800.0))
            .print();
    }
    Ok(())
}

/// Seconds since `began` until this many entries are stored, which they are not before they are verified and in the
/// views.
async fn stored(page: &Page, entries: usize, began: Instant) -> Result<f64> {
    let within = Duration::from_secs(120);
    page.wait_for_within(&format!("starling.stored().then(n => n >= {entries})"), within)
        .await?;
    Ok(began.elapsed().as_secs_f64())
}

/// Writes as many values of the size of an entry as fast as the browser takes them, in an empty database of its own:
/// 256 to a transaction, two transactions under way at a time, as the app writes what it syncs.
const RAW_PUTS: &str = "(async () => { \
    const opening = indexedDB.open('raw-' + Math.random(), 1); \
    opening.onupgradeneeded = () => opening.result.createObjectStore('raw'); \
    const db = await new Promise((done, failed) => { opening.onsuccess = () => done(opening.result); opening.onerror = failed; }); \
    const value = crypto.getRandomValues(new Uint8Array(480)); \
    const began = performance.now(); \
    let under_way = []; \
    for (let at = 0; at < 5000; at += 256) { \
      const tx = db.transaction('raw', 'readwrite', { durability: 'relaxed' }); \
      const store = tx.objectStore('raw'); \
      for (let n = at; n < Math.min(at + 256, 5000); n++) store.put(value, n); \
      under_way.push(new Promise((done, failed) => { tx.oncomplete = done; tx.onabort = failed; })); \
      if (under_way.length > 1) await under_way.shift(); \
    } \
    await Promise.all(under_way); \
    const took = performance.now() - began; \
    const name = db.name; db.close(); indexedDB.deleteDatabase(name); \
    return 5000 / took * 1000; })()";

/// The middle one of five measurements, after one that warms up.
async fn median(page: &Page, measurement: &str) -> Result<f64> {
    page.eval::<f64>(measurement).await?;
    let mut samples = Vec::new();
    for _ in 0..5 {
        samples.push(page.eval(measurement).await?);
    }
    Ok(percentile(&samples, 0.5))
}

/// Bytes over the wire on the first visit, bodies as they are encoded. What the service worker fetches afterwards to
/// keep the app offline is the same files once more from the HTTP cache, or in the background.
async fn download(relay: &Relay) -> Result<()> {
    let browser = Browser::launch().await?;
    let page = browser.new_context().await?.open(&relay.url("/")).await?;
    // Everything is there once the first page can be used.
    page.wait_element(&testid("welcome-name")).await?;
    page.wait_for(&format!(
        "{LOADED}.some(e => e.url.endsWith('.wasm') && e.encoded > 0)"
    ))
    .await?;
    let loaded: Vec<Loaded> = page.eval(LOADED).await?;
    let is_wasm = |loaded: &&Loaded| loaded.url.ends_with(".wasm");
    let wasm = loaded
        .iter()
        .filter(is_wasm)
        .map(|loaded| loaded.encoded)
        .fold(0.0, f64::max);
    // The worker loads the same file from the cache: it crosses the wire once.
    let rest: f64 = loaded
        .iter()
        .filter(|loaded| !is_wasm(loaded))
        .map(|loaded| loaded.encoded)
        .sum();
    // A part of the first load, which has the target.
    print(BENCH, "wasm_brotli", wasm / 1000.0, "kB", Target::None);
    print(
        BENCH,
        "first_load",
        (wasm + rest) / 1000.0,
        "kB",
        Target::AtMost(400.0),
    );
    loaded_later(relay).await
}

/// What the build says of itself, as far as it is measured.
#[derive(Debug, Deserialize)]
struct Build {
    later: Vec<String>,
}

/// The pages that the first timeline does without.
async fn loaded_later(relay: &Relay) -> Result<()> {
    let build: Build = serde_json::from_slice(&http::get(relay.port(), "/build.json").await?.body)?;
    let mut bytes = 0;
    for path in &build.later {
        let part = http::get_with(relay.port(), path, &[("accept-encoding", "br")]).await?;
        ensure!(part.status == 200, "{path} is not served");
        bytes += part.body.len();
    }
    print(BENCH, "loaded_later", bytes as f64 / 1000.0, "kB", Target::None);
    Ok(())
}
