//! Names in the network, as people ask for them, lose to others, and find each other by them.

use anyhow::Result;
use starling_tests::user_steps::{first_visit, linked, profile_link};
use starling_tests::{Browser, Page, Relay, shots_dir, testid};

async fn ask_for(page: &Page, name: &str) -> Result<()> {
    page.click(&testid("nav-you")).await?;
    page.type_into(&testid("handle-input"), name).await?;
    page.click(&testid("handle-claim")).await
}

async fn has(page: &Page, name: &str) -> Result<()> {
    page.wait_for(&format!(
        "document.querySelector('[data-testid=handle]')?.dataset.handle === '{name}'"
    ))
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_had_by_one_found_by_others_handed_on_and_given_back_when_nobody_is_there() -> Result<()> {
    let mut relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let (ada, bob) = (one.open(&relay.url("/")).await?, two.open(&relay.url("/")).await?);
    first_visit(&ada, "Ada").await?;
    first_visit(&bob, "Bob").await?;
    linked(&ada, 1).await?;
    linked(&bob, 1).await?;
    ask_for(&ada, "@Ada").await?;
    has(&ada, "ada").await?;
    let shots = shots_dir().join("names");
    ada.screenshot(&shots.join("held.png"), true).await?;

    ask_for(&bob, "ada").await?;
    bob.wait_element(&testid("handle-refused")).await?;
    bob.screenshot(&shots.join("refused.png"), true).await?;
    ask_for(&bob, "admin").await?;
    bob.wait_for("document.querySelector('[data-testid=handle-refused]')?.textContent.includes('admin')")
        .await?;
    ask_for(&bob, "bob").await?;
    has(&bob, "bob").await?;

    bob.click(&testid("nav-explore")).await?;
    bob.paste_into(&testid("follow-input"), "@ada").await?;
    bob.click(&testid("follow-submit")).await?;
    bob.wait_for("document.querySelector('[data-testid=profile-handle]')?.textContent === '@ada'")
        .await?;
    bob.wait_for("document.querySelector('[data-testid=follow-button]')?.dataset.followed === 'true'")
        .await?;
    bob.screenshot(&shots.join("profile.png"), true).await?;
    // A link that was received, opened in a new tab.
    bob.goto(&relay.url("/@ada")).await?;
    bob.wait_for("document.querySelector('[data-testid=profile-name]')?.textContent === 'Ada'")
        .await?;
    bob.goto(&relay.url("/@nobody-at-all")).await?;
    bob.wait_for("document.querySelector('[data-testid=named]')?.textContent.includes('Nobody')")
        .await?;

    // The name goes to Bob, who gives his own back for it.
    let link = profile_link(&bob).await?;
    ada.click("[data-testid=offer] summary").await?;
    ada.paste_into(&testid("offer-input"), &link).await?;
    ada.screenshot(&shots.join("offer.png"), true).await?;
    ada.click(&testid("offer-submit")).await?;
    ada.wait_element(&testid("handle-offered")).await?;
    ada.screenshot(&shots.join("offered.png"), true).await?;
    bob.click(&testid("nav-you")).await?;
    bob.click(&testid("handle-release")).await?;
    bob.wait_element(&testid("handle-input")).await?;
    ask_for(&bob, "ada").await?;
    has(&bob, "ada").await?;
    has(&ada, "").await?;
    ask_for(&ada, "ada2").await?;
    has(&ada, "ada2").await?;

    relay.kill().await?;
    ada.click(&testid("handle-release")).await?;
    ada.wait_element(&testid("handle-waiting")).await?;
    ada.screenshot(&shots.join("waiting.png"), true).await?;
    relay.restart().await?;
    has(&ada, "").await?;
    ada.wait_element(&testid("handle-input")).await?;
    Ok(())
}
