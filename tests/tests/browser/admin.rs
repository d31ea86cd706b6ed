//! The operator's page in a real browser: the printed address, the page beside the app's service worker, and a drain.

use anyhow::{Context as _, Result};
use starling_tests::user_steps::{all_at, first_visit, post};
use starling_tests::{Browser, Relay, RelayOptions, http, shots_dir, testid};

use crate::pages::look;

fn with(mut options: RelayOptions, args: &[&str]) -> RelayOptions {
    options.args.extend(args.iter().map(|arg| (*arg).to_owned()));
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_becomes_the_admin_by_the_printed_address_and_drains_the_relay() -> Result<()> {
    let quick = ["--heartbeat-ms", "1000", "--name", "The nest", "--zone", "cellar"];
    let relay = Relay::start_with(with(RelayOptions::with_built_app()?, &quick)).await?;
    let printed = relay.log().wait(0, "/admin/claim?token=").await?;
    let address = printed.trim().to_owned();
    let join = relay.join()?[1].clone();
    let options = with(
        RelayOptions::default(),
        &["--heartbeat-ms", "1000", "--join", &join, "--zone", "attic"],
    );
    let other = Relay::start_with(options).await?;
    other.log().wait(0, "link established").await?;

    // A user of the app in the same browser: its service worker handles every page of this origin except these.
    let browser = Browser::launch().await?;
    let app = browser.open(&relay.url("/")).await?;
    first_visit(&app, "Ada").await?;
    post(&app, "from the nest").await?;
    all_at(&app, "relays").await?;
    app.wait_for("navigator.serviceWorker.controller !== null")
        .await?;

    let page = browser.open(&relay.url("/admin")).await?;
    page.wait_text("main h1", "Not for everybody").await?;
    look(&page, "admin-stranger").await?;
    page.goto(&address).await?;
    page.wait_element(&testid("claim")).await?;
    look(&page, "admin-claim").await?;
    page.click(&testid("claim")).await?;
    page.wait_element(&testid("directory")).await?;
    assert_eq!(
        page.eval::<String>("location.pathname + location.search").await?,
        "/admin"
    );
    assert_eq!(
        page.eval::<String>("document.cookie").await?,
        "",
        "no script sees the session"
    );
    page.wait_text("main h1", "The nest").await?;
    page.wait_text(&testid("state"), "ready").await?;
    let seen = page.text(&testid("links")).await?;
    assert!(seen.contains("relay") && seen.contains("browser"), "{seen}");
    look(&page, "admin").await?;
    page.screenshot(&shots_dir().join("pages/admin-whole.png"), true)
        .await?;

    page.goto(&address).await?;
    page.wait_text("main h1", "This address is used up").await?;
    page.goto(&relay.url("/admin")).await?;

    page.click(&testid("drain")).await?;
    page.wait_element(&testid("drain-now")).await?;
    look(&page, "admin-drain").await?;
    page.click(&testid("drain-now")).await?;
    page.wait_element(&testid("drained")).await?;
    let repair = http::get(relay.port(), "/api/repair").await?.text();
    let repair: serde_json::Value = serde_json::from_str(&repair)?;
    assert_eq!(repair["to_hand_over"].as_u64().context("it hands over")?, 0);
    look(&page, "admin-drained").await?;

    page.click(&testid("leave")).await?;
    page.wait_text("main h1", "Logged out").await?;
    page.goto(&relay.url("/admin")).await?;
    page.wait_text("main h1", "Not for everybody").await?;
    Ok(())
}
