//! Slugs of posts, as people ask for them without a network, lose to others, choose again, and are found by them.

use std::time::Duration;

use anyhow::Result;
use starling_tests::user_steps::{first_visit, linked, without_relay};
use starling_tests::{Browser, Page, Relay, axe, shots_dir, testid};

/// Writes a post that is to have a slug.
async fn post_as(page: &Page, text: &str, slug: &str) -> Result<()> {
    page.click(&testid("nav-home")).await?;
    page.type_into(&testid("composer-input"), text).await?;
    page.click(".composer [aria-label='Link name']").await?;
    page.type_into(&testid("composer-slug"), slug).await?;
    page.click(&testid("composer-send")).await?;
    page.wait_text(&testid("post-text"), text).await
}

/// Opens the newest post.
async fn open_first(page: &Page) -> Result<()> {
    page.click("[data-testid=post] .post__time").await?;
    page.wait_element(&testid("slug")).await
}

/// Waits until the post's page says this of its slug.
async fn shows(page: &Page, state: &str, slug: &str) -> Result<()> {
    page.wait_for(&format!(
        "(it => it?.dataset.state === '{state}' && it.dataset.slug === '{slug}')\
         (document.querySelector('[data-testid=slug]'))"
    ))
    .await?;
    Ok(())
}

async fn shot(page: &Page, name: &str) -> Result<()> {
    let folder = shots_dir().join("slugs");
    std::fs::create_dir_all(&folder)?;
    let found = axe::serious_violations(page).await?;
    assert!(found.is_empty(), "{name}: {found:#?}");
    page.screenshot(&folder.join(format!("{name}.png")), false)
        .await?;
    page.set_viewport(360, 740, true).await?;
    page.screenshot(&folder.join(format!("{name}-phone.png")), false)
        .await?;
    page.set_viewport(1280, 800, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_name_wished_for_offline_is_taken_meanwhile_and_another_one_is_had() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let (hers, his) = (
        browser.new_context().await?.cuttable(),
        browser.new_context().await?,
    );
    let (ada, bob) = (
        hers.open(&relay.url("/")).await?,
        his.open(&relay.url("/")).await?,
    );
    first_visit(&ada, "Ada").await?;
    first_visit(&bob, "Bob").await?;
    linked(&ada, 1).await?;
    linked(&bob, 1).await?;

    hers.set_offline(true).await?;
    without_relay(&ada, Duration::from_secs(60)).await?;
    ada.type_into(&testid("composer-input"), "Seven neighbours each")
        .await?;
    ada.click(".composer [aria-label='Link name']").await?;
    ada.wait_for("document.activeElement.dataset.testid === 'composer-slug'")
        .await?;
    ada.type_into(&testid("composer-slug"), "Flocks").await?;
    shot(&ada, "composer").await?;
    ada.click(&testid("composer-send")).await?;
    ada.wait_text(&testid("slug-note"), "/flocks/").await?;
    shot(&ada, "waiting").await?;
    // She closes the app, and opens it again.
    ada.reload().await?;
    ada.wait_text(&testid("slug-note"), "/flocks/").await?;

    post_as(&bob, "Somebody elses flock", "flocks").await?;
    open_first(&bob).await?;
    shows(&bob, "held", "flocks").await?;

    hers.set_offline(false).await?;
    linked(&ada, 1).await?;
    ada.wait_text(&testid("slug-note"), "taken").await?;
    shot(&ada, "taken").await?;
    open_first(&ada).await?;
    shows(&ada, "refused", "").await?;
    shot(&ada, "choose-another").await?;
    // The long link works as ever.
    let long: String = ada.eval("location.pathname").await?;
    bob.goto(&relay.url(&long)).await?;
    bob.wait_for("document.querySelector('.post--focus')?.textContent.includes('Seven neighbours')")
        .await?;

    ada.type_into(&testid("slug-input"), "murmurs").await?;
    ada.click(&testid("slug-claim")).await?;
    shows(&ada, "held", "murmurs").await?;
    shot(&ada, "held").await?;

    // The short link, opened by its recipient.
    bob.goto(&relay.url("/murmurs/")).await?;
    bob.wait_for("document.querySelector('.post--focus')?.textContent.includes('Seven neighbours')")
        .await?;
    assert_eq!(bob.eval::<String>("location.pathname").await?, "/murmurs/");
    shot(&bob, "opened").await?;
    bob.goto(&relay.url("/flocks/")).await?;
    bob.wait_for("document.querySelector('.post--focus')?.textContent.includes('Somebody elses')")
        .await?;
    bob.goto(&relay.url("/nobody-has-this/")).await?;
    bob.wait_element(&testid("not-found")).await?;

    ada.click(&testid("slug-release")).await?;
    shows(&ada, "", "").await?;
    ada.wait_element(&testid("slug-open")).await?;
    shot(&ada, "given-back").await?;
    // It is still hers if she wants it back.
    ada.click(&testid("slug-open")).await?;
    ada.wait_for("document.activeElement.dataset.testid === 'slug-input'")
        .await?;
    ada.type_into(&testid("slug-input"), "murmurs").await?;
    ada.press("Enter").await?;
    shows(&ada, "held", "murmurs").await?;
    let console = bob.errors();
    assert!(console.is_empty(), "{console:#?}");
    Ok(())
}
