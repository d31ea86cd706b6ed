//! What people do in the app, step by step, as they do it: by keys and clicks.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::wait::DEADLINE;
use crate::{Page, testid};
use anyhow::{Context as _, Result};

/// First visit: a name, the recovery words, "later", home. Returns the words.
pub async fn first_visit(page: &Page, name: &str) -> Result<String> {
    page.type_into(&testid("welcome-name"), name).await?;
    page.click(&testid("welcome-create")).await?;
    page.wait_element(&testid("phrase-words")).await?;
    let words: String = page
        .eval("[...document.querySelectorAll('[data-testid=phrase-words] [data-word]')].map(w => w.dataset.word).join(' ')")
        .await?;
    anyhow::ensure!(words.split(' ').count() == 24, "24 words are shown: {words:?}");
    page.click(&testid("phrase-later")).await?;
    page.click(&testid("welcome-done")).await?;
    page.wait_element(&testid("composer-input")).await?;
    Ok(words)
}

/// Opens the recovery words and passes the check, so that they are no longer kept on the device.
pub async fn confirm_words(page: &Page, words: &str) -> Result<()> {
    let words: Vec<&str> = words.split(' ').collect();
    page.click("a[href='/you/phrase']").await?;
    page.click(&testid("phrase-confirm")).await?;
    let question = testid("phrase-question");
    page.wait_element(&question).await?;
    while page.count(&question).await? > 0 {
        let position: usize = page
            .eval(&format!("+document.querySelector('{question}').dataset.position"))
            .await?;
        let word = words.get(position - 1).context("a position in the phrase")?;
        page.click(&format!("[data-testid=phrase-option][data-word={word}]"))
            .await?;
        page.wait_for(&format!(
            "document.querySelector('{question}')?.dataset.position !== '{position}'"
        ))
        .await?;
    }
    page.wait_gone(&testid("phrase-reminder")).await
}

/// The account comes back from its words.
pub async fn restore(page: &Page, words: &str) -> Result<()> {
    page.click(&testid("restore-open")).await?;
    page.paste_into(&testid("restore-phrase"), words).await?;
    page.click(&testid("restore-submit")).await?;
    page.wait_element(&testid("composer-input")).await
}

pub async fn profile_link(page: &Page) -> Result<String> {
    page.click(&testid("nav-you")).await?;
    page.click("main a[href^='/u/']").await?;
    let link = testid("profile-link");
    page.wait_element(&link).await?;
    let found: String = page
        .eval(&format!("document.querySelector('{link}').value"))
        .await?;
    page.click(&testid("nav-home")).await?;
    Ok(found.trim().to_owned())
}

/// Follows a person by a link.
pub async fn follow(page: &Page, link: &str) -> Result<()> {
    page.click(&testid("nav-explore")).await?;
    page.paste_into(&testid("follow-input"), link).await?;
    page.click(&testid("follow-submit")).await?;
    let account = link
        .rsplit('/')
        .next()
        .context("a profile link ends with an account")?;
    // The follow is an entry of one's own feed; the person's page shows it.
    page.wait_for(&format!("location.pathname.includes('{account}') || !document.querySelector('[data-testid=follow-input]')?.value"))
        .await?;
    page.click(&testid("nav-home")).await?;
    page.wait_element(&testid("composer-input")).await
}

/// Writes a post.
pub async fn post(page: &Page, text: &str) -> Result<()> {
    page.type_into(&testid("composer-input"), text).await?;
    page.click(&testid("composer-send")).await?;
    page.wait_for(&format!("[...document.querySelectorAll('[data-testid=post-text]')].some(p => p.textContent.includes('{text}'))"))
        .await?;
    Ok(())
}

/// Waits until a post of a person is on the screen, clicking the "new posts" pill when it appears.
pub async fn sees(page: &Page, text: &str) -> Result<()> {
    sees_within(page, text, DEADLINE).await
}

/// The same, for as long as that.
pub async fn sees_within(page: &Page, text: &str, within: Duration) -> Result<()> {
    let seen = format!(
        "(document.querySelector('[data-testid=new-posts-pill]')?.click(), \
         [...document.querySelectorAll('[data-testid=post-text]')].some(p => p.textContent.includes('{text}')))"
    );
    page.wait_for_within(&seen, within).await?;
    Ok(())
}

/// Waits until a tab has no link to a relay left.
pub async fn without_relay(page: &Page, within: Duration) -> Result<()> {
    let alone = "starling.links().then(l => !JSON.parse(l).some(link => link.relay))";
    page.wait_for_within(alone, within).await?;
    Ok(())
}

/// The texts on the screen, top to bottom.
pub async fn texts(page: &Page) -> Result<Vec<String>> {
    page.texts(&testid("post-text")).await
}

/// Waits for this many links (relays included).
pub async fn linked(page: &Page, peers: u32) -> Result<()> {
    page.wait_for(&format!(
        "+document.querySelector('[data-testid=status-chip]').dataset.peers >= {peers}"
    ))
    .await?;
    Ok(())
}

/// Waits until all of one's posts on the screen are at this durability.
pub async fn all_at(page: &Page, durability: &str) -> Result<()> {
    page.wait_for(&format!(
        "(posts => posts.length && posts.every(p => p.dataset.durability === '{durability}'))\
         ([...document.querySelectorAll('[data-testid=post][data-durability]')])"
    ))
    .await?;
    Ok(())
}

/// The peers a tab is linked with, relays or not, by `window.starling`.
pub async fn neighbours(page: &Page, relays: bool) -> Result<BTreeSet<String>> {
    let links: serde_json::Value = page.eval("starling.links().then(JSON.parse)").await?;
    let links = links.as_array().cloned().unwrap_or_default();
    Ok(links
        .iter()
        .filter(|link| link["relay"] == relays)
        .filter_map(|link| link["peer"].as_str().map(str::to_owned))
        .collect())
}

/// The transports of the links, by `window.starling`.
pub async fn transports(page: &Page) -> Result<Vec<(String, bool)>> {
    let links: serde_json::Value = page.eval("starling.links().then(JSON.parse)").await?;
    let links = links.as_array().cloned().unwrap_or_default();
    Ok(links
        .iter()
        .map(|link| {
            (
                link["transport"].as_str().unwrap_or_default().to_owned(),
                link["relay"] == true,
            )
        })
        .collect())
}
