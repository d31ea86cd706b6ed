//! A browser profile that was copied: the copy wrote without a network while the original went on. It says so, and
//! becomes a device of its own with one tap, or with the recovery words once they are confirmed. What it wrote is not
//! lost.

use anyhow::Result;
use starling_tests::user_steps::{all_at, confirm_words, first_visit, linked, post, texts};
use starling_tests::{Browser, Page, Relay, testid};

use crate::stored::{export, import};

/// What each of both wrote.
const BEFORE: &str = "Before the copy was made";
const ORIGINAL: &str = "From the original";
const COPY: &str = "From the copy";
const MORE: &str = "And more than the original wrote";

/// A device and its old copy, both online.
pub(crate) struct Copied {
    pub(crate) original: Page,
    pub(crate) copy: Page,
    pub(crate) words: String,
}

/// Makes an old copy of a browser's data. `confirmed`: the recovery words are no longer on it.
pub(crate) async fn old_copy(
    relay: &Relay,
    browser: &Browser,
    name: &str,
    confirmed: bool,
) -> Result<Copied> {
    let hers = browser.new_context().await?;
    let original = hers.open(&relay.url("/")).await?;
    let words = first_visit(&original, name).await?;
    if confirmed {
        confirm_words(&original, &words).await?;
        original.click(&testid("nav-home")).await?;
    }
    linked(&original, 1).await?;
    post(&original, BEFORE).await?;
    all_at(&original, "relays").await?;
    let database = export(&original, relay).await?;

    // The app is there for when there is no network.
    let other = browser.new_context().await?.cuttable();
    let copy = other.open(&relay.url("/")).await?;
    copy.wait_for("navigator.serviceWorker.ready.then(() => true)")
        .await?;
    import(&copy, relay, &database).await?;
    other.set_offline(true).await?;
    copy.goto(&relay.url("/")).await?;
    post(&copy, COPY).await?;
    post(&copy, MORE).await?;

    original.goto(&relay.url("/")).await?;
    linked(&original, 1).await?;
    post(&original, ORIGINAL).await?;
    all_at(&original, "relays").await?;
    other.set_offline(false).await?;
    copy.wait_element(&testid("old-copy-note")).await?;
    Ok(Copied {
        original,
        copy,
        words,
    })
}

/// Both are devices of one account, and both show everything.
async fn both_go_on(copied: &Copied) -> Result<()> {
    let Copied { original, copy, .. } = copied;
    copy.wait_gone(&testid("old-copy-note")).await?;
    linked(copy, 1).await?;
    copy.click(&testid("nav-home")).await?;
    post(copy, "And goes on").await?;
    for page in [original, copy] {
        page.wait_for(&format!(
            "(document.querySelector('[data-testid=new-posts-pill]')?.click(), \
             ['{BEFORE}', '{ORIGINAL}', '{COPY}', '{MORE}', 'And goes on'].every(text =>
                [...document.querySelectorAll('[data-testid=post-text]')].some(post => post.textContent === text)))"
        ))
        .await?;
        let shown = texts(page).await?;
        assert_eq!(shown.len(), 5, "each once: {shown:?}");
        assert_eq!(page.count(&testid("forked-note")).await?, 0);
    }
    copy.click(&testid("nav-you")).await?;
    copy.wait_for("document.querySelectorAll('[data-testid=device]').length === 2")
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_becomes_a_new_device_with_one_tap_while_its_words_are_unconfirmed() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let copied = old_copy(&relay, &browser, "Ada", false).await?;
    copied.copy.wait_text(&testid("old-copy-note"), "2 posts").await?;
    copied
        .copy
        .click(&format!(
            "{} {}",
            testid("old-copy-note"),
            testid("notice-action")
        ))
        .await?;
    both_go_on(&copied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_becomes_a_new_device_with_its_recovery_words() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let copied = old_copy(&relay, &browser, "Ada", true).await?;
    let copy = &copied.copy;
    copy.click(&format!(
        "{} {}",
        testid("old-copy-note"),
        testid("notice-action")
    ))
    .await?;
    copy.paste_into(&testid("old-copy-phrase"), &copied.words).await?;
    copy.click(&testid("old-copy-begin")).await?;
    copy.wait_gone("dialog[open]").await?;
    both_go_on(&copied).await
}
