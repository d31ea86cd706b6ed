//! Every page: free of serious accessibility findings, in light and dark, on a phone and a desktop; and pictures of all.

use anyhow::Result;
use starling_tests::{Browser, Relay, Scheme, axe, shots_dir, testid};

use starling_tests::people::{all_at, first_visit, linked, post};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_and_has_its_picture_taken() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    page.wait_element(&testid("welcome-name")).await?;
    look(&page, "welcome").await?;
    first_visit(&page, "Ada Lovelace").await?;
    linked(&page, 1).await?;
    for text in [
        "The Analytical Engine weaves algebraic patterns just as the Jacquard loom weaves flowers and leaves.",
        "Wrote this on the train, with no network at all. It went out by itself when the tunnel ended.",
        "Starlings flock by watching only a handful of neighbours. So does this network.",
    ] {
        post(&page, text).await?;
    }
    all_at(&page, "relays").await?;
    look(&page, "home").await?;
    for (name, place) in [
        ("explore", "nav-explore"),
        ("activity", "nav-activity"),
        ("network", "nav-network"),
        ("you", "nav-you"),
    ] {
        page.click(&testid(place)).await?;
        page.wait_for(&format!("location.pathname === '/{name}'")).await?;
        look(&page, name).await?;
    }
    page.click("main a[href^='/u/']").await?;
    page.wait_attr(&testid("profile-held"), "data-complete", "true")
        .await?;
    look(&page, "profile").await?;
    page.click("[data-testid=profile-held] summary").await?;
    look(&page, "profile-open").await?;
    let path: String = page
        .eval("'/p/' + document.querySelector('[data-testid=post]').dataset.postId")
        .await?;
    page.goto(&relay.url(&path)).await?;
    page.wait_element(&testid("post")).await?;
    look(&page, "thread").await?;
    page.goto(&relay.url("/nowhere")).await?;
    page.wait_for("document.querySelector('main h1, main h2') !== null")
        .await?;
    look(&page, "not-found").await?;
    Ok(())
}

pub(crate) async fn look(page: &starling_tests::Page, name: &str) -> Result<()> {
    let folder = shots_dir().join("pages");
    std::fs::create_dir_all(&folder)?;
    for (device, width, height) in [("desktop", 1280, 800), ("phone", 360, 740)] {
        page.set_viewport(width, height, device == "phone").await?;
        for (scheme, suffix) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            page.set_preferences(scheme, true).await?;
            // Colours may still be on their way from the other scheme.
            page.wait_for(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))\
                 .then(() => document.getAnimations().every(animation => animation.playState !== 'running'))",
            )
            .await?;
            let found = axe::serious_violations(page).await?;
            assert!(found.is_empty(), "{name}, {device}, {suffix}: {found:#?}");
            page.screenshot(&folder.join(format!("{name}-{device}-{suffix}.png")), false)
                .await?;
        }
    }
    page.set_viewport(1280, 800, false).await
}
