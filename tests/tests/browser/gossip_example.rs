//! The gossip library's example for browsers: tabs that talk to each other with nobody in between.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Path as Name, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use starling_tests::{Browser, Page, workspace_root};

/// Where `gossip/examples/page browser` leaves the page.
fn folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from);
    target.join("examples/browser")
}

fn file(folder: &Path, name: &str) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html",
        Some((_, "js")) => "text/javascript",
        Some((_, "wasm")) => "application/wasm",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match std::fs::read(folder.join(name)) {
        Ok(bytes) => ([(CONTENT_TYPE, kind)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve() -> Result<String> {
    let folder = folder();
    ensure!(
        folder.join("index.html").is_file(),
        "{} is not built: run gossip/examples/page browser",
        folder.display()
    );
    let app = Router::new()
        .route(
            "/",
            get(async |State(folder): State<PathBuf>| file(&folder, "index.html")),
        )
        .route(
            "/{name}",
            get(async |State(folder): State<PathBuf>, Name(name): Name<String>| file(&folder, &name)),
        )
        .with_state(folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://localhost:{}/", listener.local_addr()?.port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn invited(browser: &Browser, url: &str, by: &Page) -> Result<Page> {
    let invitation = by.attr("#invite", "href").await?.context("an invitation")?;
    let tab = browser.open(&format!("{url}{invitation}")).await?;
    tab.wait_text("#status", "Linked with").await?;
    Ok(tab)
}

async fn say(tab: &Page, text: &str) -> Result<()> {
    tab.type_into("#line", text).await?;
    tab.press("Enter").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_talk_and_go_on_without_the_first() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let first = browser.open(&url).await?;
    first.wait_text("#status", "Alone so far").await?;
    let second = invited(&browser, &url, &first).await?;
    first.wait_text("#status", "Linked with 1 tab").await?;
    let third = invited(&browser, &url, &second).await?;
    third.wait_text("#status", "Linked with 2 tabs").await?;

    say(&third, "good morning").await?;
    for tab in [&first, &second] {
        tab.wait_text("#lines li:last-child", "good morning").await?;
    }
    let name = third.text("#me").await?;
    assert_eq!(first.text("#lines li:last-child b").await?, name);
    assert_eq!(third.text("#lines li:last-child b").await?, "you");

    // No message is sent; the others notice.
    first.close().await?;
    second.wait_text("#status", "Linked with 1 tab").await?;
    third.wait_text("#status", "Linked with 1 tab").await?;
    say(&second, "still <b>here</b>").await?;
    third
        .wait_text("#lines li:last-child", "still <b>here</b>")
        .await?;
    assert_eq!(third.count("#lines li").await?, 2, "each is shown once");

    let stray = browser.open(&format!("{url}#join=00000000000000aa")).await?;
    stray
        .wait_text("#status", "00000000000000aa cannot be reached: no such tab")
        .await?;
    third
        .screenshot(&workspace_root().join("target/test-shots/gossip-tabs.png"), false)
        .await?;
    for tab in [&second, &third, &stray] {
        let errors = tab.errors();
        ensure!(errors.is_empty(), "{errors:?}");
    }
    Ok(())
}
