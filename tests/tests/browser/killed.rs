//! A browser that is killed right after a post: what was written is there once or not at all, and the device goes on with its feed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use starling_tests::keys::{self, Modifiers};
use starling_tests::user_steps::{all_at, first_visit, linked, profile_link, texts};
use starling_tests::{Browser, Page, Profile, Relay, http, testid};

/// How long after the key press the browser is killed: before anything is written, meanwhile, and after.
const KILLED_AFTER_MS: [u64; 4] = [0, 10, 30, 60];

/// The parts of the app's program are kept by its service worker: it opens without a network.
const KEPT: &str = "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)";

/// Writes a text in place of what is in the composer.
async fn write(page: &Page, text: &str) -> Result<()> {
    page.wait_element(&testid("composer-input")).await?;
    page.paste_into(&testid("composer-input"), text).await
}

/// What a relay says at an address of its API.
async fn said(relay: &Relay, path: &str) -> Result<Value> {
    let answer = http::get_with(relay.port(), path, &[]).await?;
    anyhow::ensure!(
        answer.status == 200,
        "{path}: {} {}",
        answer.status,
        answer.text()
    );
    Ok(serde_json::from_slice(&answer.body)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_killed_right_after_a_post_goes_on_with_its_feed() -> Result<()> {
    let relay = Relay::start().await?;
    let profile = Profile::new()?;
    let mut browser = Browser::launch_in(&profile).await?;
    let mut page = browser.context().cuttable().open(&relay.url("/")).await?;
    first_visit(&page, "Ada").await?;
    let link = profile_link(&page).await?;
    let account = link
        .rsplit('/')
        .next()
        .context("a profile link ends with an account")?;
    linked(&page, 1).await?;
    page.wait_for(KEPT).await?;

    let mut written = 0;
    for after_ms in KILLED_AFTER_MS {
        let (first, second) = (
            format!("Killed after {after_ms} ms"),
            format!("After {after_ms} ms"),
        );
        write(&page, &first).await?;
        let [down, _] = keys::press("Enter", Modifiers::CTRL);
        let (_, killed) = tokio::join!(page.call("Input.dispatchKeyEvent", down), async {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            browser.kill().await
        });
        killed?;

        browser = Browser::launch_in(&profile).await?;
        let context = browser.context().cuttable();
        context.set_offline(true).await?;
        page = context.open(&relay.url("/")).await?;
        write(&page, &second).await?;
        page.press_with("Enter", Modifiers::CTRL).await?;
        page.wait_for(&format!(
            "[...document.querySelectorAll('[data-testid=post-text]')].some(post => post.textContent === '{second}')"
        ))
        .await?;
        context.set_offline(false).await?;
        linked(&page, 1).await?;
        all_at(&page, "relays").await?;

        let shown = texts(&page).await?;
        let times = |text: &str| shown.iter().filter(|shown| *shown == text).count();
        assert!(times(&first) <= 1 && times(&second) == 1, "{shown:?}");
        written += times(&first) + 1;
        assert_eq!(shown.len(), written, "{shown:?}");
        for note in ["forked-note", "old-copy-note"] {
            assert_eq!(page.count(&testid(note)).await?, 0, "{note}, {after_ms} ms");
        }
        let copy = said(&relay, &format!("/api/profile/{account}")).await?;
        assert_eq!(copy["forked"], false, "{after_ms} ms: {copy}");
        assert_eq!(
            copy["feeds"].as_array().map(Vec::len),
            Some(1),
            "{after_ms} ms: {copy}"
        );
        let copy = said(&relay, &format!("/api/timeline/account/{account}")).await?;
        let posts = copy["posts"].as_array().context("posts")?;
        let held: Vec<&str> = posts.iter().filter_map(|post| post["text"].as_str()).collect();
        assert_eq!(held, shown, "{after_ms} ms");
        println!(
            "{after_ms} ms: the post {}",
            if times(&first) == 1 {
                "is there"
            } else {
                "is not there"
            }
        );
    }
    browser.close().await
}
