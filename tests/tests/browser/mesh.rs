//! Many tabs with few links each: news travels over several of them, with and without a server.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use starling_tests::{Browser, Page, Relay, RelayOptions};

use starling_tests::user_steps::{
    all_at, first_visit, follow, neighbours, post, profile_link, sees, without_relay,
};

const TABS: usize = 12;
/// Some of them to relays; once those are gone, all to other tabs. A tab has 8 and takes up to 16. With 4, twelve tabs that had
/// joined at two relays within a minute fell apart along their relays in a quarter of the runs: a newcomer links with clients of
/// its own relay first, and views mix over minutes.
const LINKS_MAX: usize = 6;
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
    for (n, tab) in tabs.iter().enumerate() {
        if let Err(error) = sees(tab, text).await {
            for (n, tab) in tabs.iter().enumerate() {
                eprintln!("P{n} is linked with {:?}", neighbours(tab, false).await);
            }
            return Err(error.context(format!("P{n} does not see {text:?}")));
        }
        within_cap(std::slice::from_ref(tab)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_tabs_with_six_links_each_outlive_their_two_servers() -> Result<()> {
    let mut first = Relay::start().await?;
    let mut second = Relay::start_with(RelayOptions {
        args: first.join()?.into(),
        ..RelayOptions::with_built_app()?
    })
    .await?;
    second.log().wait(0, "\"relay\":true").await?;
    let browser = Browser::launch().await?;
    let mut tabs = Vec::new();
    for n in 0..TABS {
        // Every other one is another relay's client.
        let home = if n % 2 == 0 { &first } else { &second };
        let tab = browser
            .new_context()
            .await?
            .open(&home.url(&format!("/?links={LINKS_MAX}")))
            .await?;
        first_visit(&tab, &format!("P{n}")).await?;
        tabs.push(tab);
    }
    let link = profile_link(&tabs[0]).await?;
    for tab in &tabs[1..] {
        follow(tab, &link).await?;
    }
    post(&tabs[0], "with two relays").await?;
    everybody_sees(&tabs, "with two relays").await?;

    second.kill().await?;
    post(&tabs[0], "with one relay").await?;
    everybody_sees(&tabs, "with one relay").await?;

    first.kill().await?;
    for tab in &tabs {
        without_relay(tab, PATIENCE).await?;
    }
    post(&tabs[0], "with no server anywhere").await?;
    everybody_sees(&tabs, "with no server anywhere").await?;

    // A neighbour of the author closes. Those linked with it link with another peer, introduced by others.
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

    first.restart().await?;
    second.restart().await?;
    all_at(&tabs[0], "relays").await?;
    within_cap(&tabs).await?;
    let known: BTreeSet<String> = neighbours(&tabs[0], true).await?;
    ensure!(!known.is_empty(), "a relay is back: {known:?}");
    // A client of the second relay who was never there before is served what was said meanwhile.
    let late = browser
        .new_context()
        .await?
        .open(&second.url("/?direct=off"))
        .await?;
    first_visit(&late, "Late").await?;
    follow(&late, &link).await?;
    sees(&late, "one of us has left").await
}
