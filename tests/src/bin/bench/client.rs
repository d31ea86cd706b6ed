//! What the app costs the person who opens it.

use anyhow::{Result, ensure};
use serde::Deserialize;
use starling_tests::figures::{Target, print};
use starling_tests::{Browser, Relay, http};

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

/// Prints all figures of the app.
pub(crate) async fn measure() -> Result<()> {
    let relay = Relay::start().await?;
    download(&relay).await
}

/// Bytes over the wire on the first visit, bodies as they are encoded. What the service worker fetches afterwards to
/// keep the app offline is the same files once more from the HTTP cache, or in the background.
async fn download(relay: &Relay) -> Result<()> {
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
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
    let path = loaded
        .iter()
        .find(is_wasm)
        .map(|loaded| loaded.url.clone())
        .unwrap_or_default();
    let answer = http::get_with(relay.port(), &path, &[("accept-encoding", "br")]).await?;
    ensure!(
        answer.header("content-encoding") == Some("br"),
        "the wasm is not served as brotli"
    );
    print(BENCH, "wasm_brotli", wasm / 1000.0, "kB", Target::AtMost(300.0));
    print(
        BENCH,
        "first_load",
        (wasm + rest) / 1000.0,
        "kB",
        Target::AtMost(400.0),
    );
    Ok(())
}
