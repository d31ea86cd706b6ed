//! Pages whose code is loaded on first use: not before, with a way out when that fails, and without a network once the
//! service worker has it.

use anyhow::{Context as _, Result};
use starling_tests::user_steps::{first_visit, linked};
use starling_tests::{Browser, Page, Relay, http, testid};

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

/// Opens the app as somebody who was here before, and waits for the timeline.
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
