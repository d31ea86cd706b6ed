//! The relay that served the app dies: the app uses another relay of the network, also when it is opened again.

use std::time::Duration;

use anyhow::Result;
use starling_tests::network::key;
use starling_tests::user_steps::{all_at, first_visit, neighbours, post};
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::{Browser, Page, Relay, RelayOptions, shots_dir, testid};

fn quick(mut options: RelayOptions) -> RelayOptions {
    options
        .args
        .extend(["--heartbeat-ms".to_owned(), "1000".to_owned()]);
    options
}

async fn linked_with(page: &Page, relay: &str) -> Result<()> {
    let linked = || async {
        let relays = neighbours(page, true).await.ok()?;
        relays.contains(relay).then_some(())
    };
    eventually("a link with the other relay", Duration::from_secs(60), linked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_turns_to_another_relay_when_its_own_dies() -> Result<()> {
    let mut options = quick(RelayOptions::with_built_app()?);
    options
        .args
        .extend(["--routing-response", "3.5"].map(str::to_owned));
    let mut first = Relay::start_with(options).await?;
    let mut join = quick(RelayOptions::default());
    join.args.extend(first.join()?);
    let second = Relay::start_with(join).await?;
    let other = key(&second).await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&first.url("/")).await?;
    first_visit(&page, "Ada").await?;
    linked_with(&page, &other).await?;
    post(&page, "with both").await?;
    all_at(&page, "relays").await?;
    page.wait_for("navigator.serviceWorker.controller !== null")
        .await?;
    page.click(&testid("nav-network")).await?;
    page.wait_for("document.querySelectorAll('[data-testid=relays] dd').length === 2")
        .await?;
    // The weights are those its own relay's operator set, and each score is its parts.
    let weights = "document.querySelector('[data-testid=weights]')?.textContent";
    page.wait_for(&format!("({weights} ?? '').includes('answer 3.5,')"))
        .await?;
    let adds_up = "[...document.querySelectorAll('[data-testid=score]')].every(shown => {
        const [score, ...parts] = shown.textContent.match(/[\\d.]+/g).map(Number).filter((_, at) => at !== 1);
        const sum = parts.reduce((a, b) => a + b);
        // Each part is shown to a tenth.
        return parts.length === 4 && score >= 1000 / (sum + 0.2) - 0.1 && score <= 1000 / Math.max(sum - 0.2, 0.001) + 0.1;
    })";
    page.wait_for("document.querySelectorAll('[data-testid=score]').length === 2")
        .await?;
    assert!(page.eval::<bool>(adds_up).await?, "a score is not its parts");
    page.screenshot(&shots_dir().join("failover/network.png"), true)
        .await?;
    page.click(&testid("nav-home")).await?;
    page.wait_element(&testid("composer-input")).await?;

    first.kill().await?;
    let alone = || async {
        let relays = neighbours(&page, true).await.ok()?;
        (relays.len() == 1).then_some(())
    };
    eventually("the dead relay to be noticed", DEADLINE, alone).await?;
    post(&page, "without the first").await?;
    all_at(&page, "relays").await?;

    // Opened again, from the browser's cache, it remembers the other relay.
    page.reload().await?;
    linked_with(&page, &other).await?;
    post(&page, "opened without it").await?;
    all_at(&page, "relays").await?;
    assert!(!first.is_running());
    Ok(())
}
