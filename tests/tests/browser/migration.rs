//! A browser whose store was written by an earlier version of the app goes on with all of it.
//!
//! `fixtures/store-1.json` is such a store: the database `starling` of Ada's browser, read out of Chromium after a
//! visit to a relay, both of the last version before page names and stores had one. Its rows are of every table a
//! person fills: she has a handle, follows Bob, has his posts, wrote two, has receipts for them, a slug for the first
//! and a reply to it. Her recovery words are not confirmed, so they are in there, too. Clocks stood two years back
//! when it was made.

use anyhow::Result;
use serde::Deserialize;
use starling_tests::user_steps::{all_at, first_visit, linked, post, sees, texts};
use starling_tests::{Browser, Relay, testid};

use crate::stored::{import, outdate};

const STORE: &str = include_str!("fixtures/store-1.json");

/// What the fixture says of itself, beside the database.
#[derive(Deserialize)]
struct Store {
    words: String,
    account: String,
    post: String,
    database: serde_json::Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_first_version_is_carried_over() -> Result<()> {
    let store: Store = serde_json::from_str(STORE)?;
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open("about:blank").await?;
    import(&page, &relay, &store.database).await?;

    // No first visit: she is at home, and what she wrote and what Bob wrote is there.
    page.goto(&relay.url("/")).await?;
    page.wait_element(&testid("composer-input")).await?;
    page.wait_for("document.querySelectorAll('[data-testid=post]').length >= 3")
        .await?;
    let shown = texts(&page).await?;
    for text in [
        "Written before the house was redrawn",
        "And one more with a #tag",
        "Bob writes from the hill",
    ] {
        assert!(shown.iter().any(|post| post == text), "{text}: {shown:?}");
    }
    page.click(&testid("nav-activity")).await?;
    page.wait_text(&testid("post-text"), "Bob answers").await?;
    page.click(&testid("nav-you")).await?;
    page.wait_attr(&testid("handle"), "data-handle", "ada").await?;
    page.wait_text(&testid("open-following"), "1 following").await?;
    page.goto(&relay.url("/you/phrase")).await?;
    page.wait_element(&testid("phrase-words")).await?;
    let words: String = page
        .eval("[...document.querySelectorAll('[data-testid=phrase-words] [data-word]')].map(w => w.dataset.word).join(' ')")
        .await?;
    assert_eq!(words, store.words);
    page.goto(&relay.url(&store.post)).await?;
    page.wait_attr(&testid("slug"), "data-slug", "before").await?;

    // She goes on writing, and a relay that knows nothing of her takes all of it: her feed goes on where it ended.
    page.click(&testid("nav-home")).await?;
    linked(&page, 1).await?;
    post(&page, "Written after").await?;
    all_at(&page, "relays").await?;
    assert_eq!(page.count(&testid("forked-note")).await?, 0);
    let other = browser.new_context().await?;
    let reader = other.open(&relay.url("/")).await?;
    first_visit(&reader, "Reader").await?;
    reader.goto(&relay.url(&format!("/u/{}", store.account))).await?;
    reader
        .wait_attr(&testid("profile-held"), "data-complete", "true")
        .await?;
    sees(&reader, "Written after").await?;
    let hers = texts(&reader).await?;
    for text in ["Written before the house was redrawn", "Written after"] {
        assert!(hers.iter().any(|post| post == text), "{text}: {hers:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_later_version_is_named_and_is_no_update() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    first_visit(&page, "Ada").await?;
    outdate(&page, &relay).await?;
    for _ in 0..2 {
        page.goto(&relay.url("/")).await?;
        page.wait_text(
            &testid("store-outdated"),
            "The data in this browser is used by a newer version of Starling.",
        )
        .await?;
        for other in ["engine-stopped", "update-ready"] {
            assert_eq!(page.count(&testid(other)).await?, 0, "{other}");
        }
    }
    Ok(())
}
