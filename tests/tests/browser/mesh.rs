//! Many tabs with few links each: news travels over several of them, with and without a server.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use starling_tests::{Browser, Page, Relay};

use starling_tests::people::{all_at, first_visit, follow, neighbours, post, profile_link, sees};

const TABS: usize = 12;
const LINKS_MAX: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody has more links than allowed.
async fn within_cap(tabs: &[Page]) -> Result<()> {
    for tab in tabs {
        let links = neighbours(tab, false).await?.len() + neighbours(tab, true).await?.len();
        ensure!(links <= LINKS_MAX, "{links} links");
    }
    Ok(())
}

/// Everybody sees it, and nobody needed more links for that than allowed.
async fn everybody_sees(tabs: &[Page], text: &str) -> Result<()> {
    for tab in tabs {
        sees(tab, text).await?;
        within_cap(std::slice::from_ref(tab)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_tabs_with_four_links_each_outlive_their_server() -> Result<()> {
    let mut relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let mut tabs = Vec::new();
    for n in 0..TABS {
        let tab = browser.new_context().await?.open(&relay.url("/?links=4")).await?;
        first_visit(&tab, &format!("P{n}")).await?;
        tabs.push(tab);
    }
    let link = profile_link(&tabs[0]).await?;
    for tab in &tabs[1..] {
        follow(tab, &link).await?;
    }
    post(&tabs[0], "with a relay").await?;
    everybody_sees(&tabs, "with a relay").await?;

    relay.kill().await?;
    for tab in &tabs {
        tab.wait_for_within(
            "starling.links().then(l => !JSON.parse(l).some(link => link.relay))",
            PATIENCE,
        )
        .await?;
    }
    post(&tabs[0], "with no server anywhere").await?;
    everybody_sees(&tabs, "with no server anywhere").await?;

    // A neighbour of the author closes. Whoever was linked with it links with somebody new, introduced by others.
    let before = neighbours(&tabs[1], false).await?;
    let mut gone = None;
    for (n, tab) in tabs.iter().enumerate().skip(2) {
        if neighbours(tab, false)
            .await?
            .intersection(&before)
            .next()
            .is_some()
        {
            gone = Some(n);
            break;
        }
    }
    let gone = tabs.remove(gone.unwrap_or(2));
    let orphans = neighbours(&gone, false).await?;
    gone.close().await?;
    ensure!(!orphans.is_empty(), "the tab that closed was linked");
    for tab in &tabs {
        tab.wait_for_within("starling.links().then(l => JSON.parse(l).length >= 2)", PATIENCE)
            .await?;
    }
    post(&tabs[0], "one of us has left").await?;
    everybody_sees(&tabs, "one of us has left").await?;

    relay.restart().await?;
    all_at(&tabs[0], "relays").await?;
    within_cap(&tabs).await?;
    let known: BTreeSet<String> = neighbours(&tabs[0], true).await?;
    ensure!(known.len() == 1, "the relay is back: {known:?}");
    Ok(())
}
