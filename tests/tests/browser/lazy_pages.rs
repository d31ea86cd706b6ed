//! Pages whose code is loaded on first use: not before, with a way out when that fails, and without a network once the
//! service worker has it. And what the first load weighs without them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use starling_tests::user_steps::{first_visit, linked};
use starling_tests::{Browser, Page, Relay, http, testid, workspace_root};

/// Bytes of the first load at most, compressed with brotli: the promise of `docs/weight.md`.
const FIRST_LOAD_BYTES_MAX: usize = 400_000;

/// The paths of the parts of the program that this document has fetched.
const FETCHED: &str = "performance.getEntriesByType('resource').map(entry => new URL(entry.name).pathname) \
    .filter(path => /^\\/pages-[0-9a-f]{16}\\.wasm$/.test(path))";

/// The same in the cache of the service worker, which has taken this page over.
const KEPT: &str = "navigator.serviceWorker.controller && caches.keys() \
    .then(names => Promise.all(names.map(name => caches.open(name).then(cache => cache.keys())))) \
    .then(requests => requests.flat().map(request => new URL(request.url).pathname) \
    .filter(path => /^\\/pages-[0-9a-f]{16}\\.wasm$/.test(path)))";

/// As long as the document says so, no part can be fetched.
const LOST: &str = "(fetched => { window.fetch = (what, ...rest) => window.lost && String(what).includes('/pages-') \
    ? Promise.reject(new TypeError('lost')) : fetched(what, ...rest); })(window.fetch.bind(window))";

async fn fetched(page: &Page) -> Result<Vec<String>> {
    page.eval(FETCHED).await
}

/// Opens the app as a person with an account does, and waits for the timeline.
async fn come_back(page: &Page, relay: &Relay) -> Result<()> {
    page.goto(&relay.url("/")).await?;
    page.wait_element(&testid("composer-input")).await?;
    linked(page, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_load_leaves_out_what_the_first_timeline_does_without() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    page.wait_element(&testid("welcome-name")).await?;
    assert!(fetched(&page).await?.is_empty(), "the first visit");
    first_visit(&page, "Ada").await?;
    come_back(&page, &relay).await?;
    assert!(fetched(&page).await?.is_empty(), "the timeline");

    page.click(&testid("nav-network")).await?;
    page.wait_element(&testid("link")).await?;
    let parts = fetched(&page).await?;
    assert_eq!(parts.len(), 1, "{parts:?}");
    // Whatever else is opened is there by then.
    page.click(&testid("nav-you")).await?;
    page.wait_element(&testid("handle")).await?;
    assert_eq!(fetched(&page).await?, parts);
    assert!(page.errors().is_empty(), "{:?}", page.errors());

    let headers = [("accept-encoding", "br")];
    let part = http::get_with(relay.port(), &parts[0], &headers).await?;
    assert_eq!(part.status, 200);
    assert_eq!(part.header("content-type"), Some("application/wasm"));
    assert_eq!(part.header("content-encoding"), Some("br"));
    let caching = part.header("cache-control").context("cache-control")?;
    assert!(caching.contains("immutable"), "{caching}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_code_cannot_be_fetched_offers_to_try_again() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    first_visit(&page, "Ada").await?;
    page.init_script(LOST).await?;
    come_back(&page, &relay).await?;
    page.eval::<bool>("window.lost = true").await?;
    page.click(&testid("nav-network")).await?;
    let failed = testid("load-failed");
    page.wait_element(&failed).await?;
    assert_eq!(page.text("h1").await?, "Network");
    page.click(&testid("load-again")).await?;
    page.wait_element(&failed).await?;
    // The rest of the app goes on.
    page.click(&testid("nav-home")).await?;
    page.wait_element(&testid("composer-input")).await?;
    page.click(&testid("nav-network")).await?;
    page.wait_element(&failed).await?;

    page.eval::<bool>("window.lost = false, true").await?;
    page.click(&testid("load-again")).await?;
    page.wait_element(&testid("link")).await?;
    page.wait_gone(&failed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_opens_without_a_network() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let context = browser.new_context().await?.cuttable();
    let page = context.open(&relay.url("/")).await?;
    first_visit(&page, "Ada").await?;
    page.wait_for(&format!(
        "Promise.resolve({KEPT}).then(kept => kept && kept.length === 1)"
    ))
    .await?;
    come_back(&page, &relay).await?;
    assert!(
        fetched(&page).await?.is_empty(),
        "no code of other pages is there yet"
    );

    context.set_offline(true).await?;
    page.click(&testid("nav-network")).await?;
    page.wait_element(&testid("diagnostics")).await?;
    page.goto(&relay.url("/you")).await?;
    page.wait_element(&testid("handle")).await?;
    page.goto(&relay.url("/you/phrase")).await?;
    page.wait_element(&testid("phrase-words")).await
}

/// What the build says of itself in `build.json`, as far as it is read here.
#[derive(Deserialize)]
struct Build {
    js: String,
    wasm: String,
    #[serde(default)]
    later: Vec<String>,
}

/// Whether a wasm module has a custom section of this name.
fn has_custom_section(module: &[u8], name: &str) -> Option<bool> {
    /// Takes a LEB128 number off the front.
    fn number(bytes: &mut &[u8]) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= usize::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    // After the magic number and the version.
    let mut rest = module.get(8..)?;
    while let Some((id, after)) = rest.split_first() {
        rest = after;
        let length = number(&mut rest)?;
        let (mut section, after) = rest.split_at_checked(length)?;
        rest = after;
        if *id == 0 {
            let length = number(&mut section)?;
            if section.get(..length)? == name.as_bytes() {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// What cannot be measured is no failure on a machine without the tools, and one where `CI` is set.
fn not_measured(why: &str) -> Result<()> {
    ensure!(std::env::var_os("CI").is_none(), "not measured: {why}");
    println!("not measured: {why}");
    Ok(())
}

#[test]
fn the_first_load_has_at_most_400_000_bytes() -> Result<()> {
    let dist = workspace_root().join("dist");
    let build: Build = serde_json::from_slice(&fs::read(dist.join("build.json"))?)?;
    let wasm = build.wasm.trim_start_matches('/');
    if !dist.join(format!("{wasm}.br")).is_file() {
        return not_measured("the app was built without node and brotli, and has no .br files");
    }
    // The linker writes the names of functions, and wasm-opt removes them.
    let names = has_custom_section(&fs::read(dist.join(wasm))?, "name");
    if names.with_context(|| format!("{wasm} is no wasm module"))? {
        return not_measured("the app was built without wasm-opt");
    }
    let mut loaded = vec![
        "index.html".to_owned(),
        "boot.js".to_owned(),
        "worker.js".to_owned(),
    ];
    loaded.extend([&build.js, &build.wasm].map(|path| path.trim_start_matches('/').to_owned()));
    let styles = fs::read_dir(&dist)?.filter_map(|file| file.ok()?.file_name().into_string().ok());
    loaded.extend(styles.filter(|name| name.ends_with(".css")));
    ensure!(loaded.len() == 6, "one style sheet: {loaded:?}");
    let mut sizes = Vec::new();
    for name in loaded {
        // A file of a few bytes has no compressed form.
        let compressed = fs::metadata(dist.join(format!("{name}.br")));
        let size = compressed.or_else(|_| fs::metadata(dist.join(&name)))?.len() as usize;
        sizes.push((name, size));
    }
    let sum: usize = sizes.iter().map(|(_, size)| size).sum();
    println!("first load: {sum} bytes");
    ensure!(
        sum <= FIRST_LOAD_BYTES_MAX,
        "the first load has {sum} bytes: {sizes:?}; loaded later: {:?}",
        build.later
    );
    Ok(())
}
