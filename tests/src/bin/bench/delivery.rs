//! From a key press to another person's screen: directly with the relay dead, and through the relay alone.
//!
//! Both pages stamp with their own clock, which on one machine is the same one: the author's page when the key goes
//! down, the reader's page when the text stands in its document.

use anyhow::{Context as _, Result};
use starling_tests::figures::{Figure, Target, percentile};
use starling_tests::keys::Modifiers;
use starling_tests::user_steps::{first_visit, follow, linked, profile_link};
use starling_tests::{Browser, Relay, testid};

const BENCH: &str = "delivery";
const POSTS: usize = 200;

/// Prints both ways.
pub(crate) async fn measure() -> Result<()> {
    way("direct", "", 60.0).await?;
    way("relay", "?direct=off", 100.0).await
}

async fn way(name: &str, query: &str, p50_ms: f64) -> Result<()> {
    let mut relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let url = relay.url(&format!("/{query}"));
    let (ada, bob) = (one.open(&url).await?, two.open(&url).await?);
    first_visit(&ada, "Ada").await?;
    first_visit(&bob, "Bob").await?;
    follow(&bob, &profile_link(&ada).await?).await?;
    let links = if query.is_empty() { 2 } else { 1 };
    for page in [&ada, &bob] {
        linked(page, links).await?;
    }
    if query.is_empty() {
        relay.kill().await?;
    }
    ada.eval::<bool>(
        "(addEventListener('keydown', e => { if (e.key === 'Enter') window.pressed = performance.timeOrigin + performance.now(); }, true), true)",
    )
    .await?;
    let mut samples_ms = Vec::with_capacity(POSTS);
    for n in 0..POSTS {
        let text = format!("post number {n} of the bench");
        // On screen: shown, or counted by the pill that keeps the page from moving under the reader.
        bob.eval::<bool>(&format!(
            "(() => {{ window.seen = 0; const look = () => {{ \
               document.querySelector('[data-testid=new-posts-pill]')?.click(); \
               if (!window.seen && document.querySelector('main')?.textContent.includes('{text}')) \
                 window.seen = performance.timeOrigin + performance.now(); }}; \
             window.watch?.disconnect(); window.watch = new MutationObserver(look); \
             window.watch.observe(document.body, {{ childList: true, subtree: true, characterData: true }}); return true; }})()"
        ))
        .await?;
        ada.paste_into(&testid("composer-input"), &text).await?;
        ada.press_with("Enter", Modifiers::CTRL).await?;
        let arrived = bob.wait_for("window.seen > 0").await;
        if arrived.is_err() {
            // The reader's page is in the error; whether it was sent stands on the author's.
            let picture = std::env::temp_dir().join("delivery-author.png");
            ada.screenshot(&picture, false).await?;
            eprintln!("the author's page: {}", picture.display());
        }
        arrived.with_context(|| format!("post {n} of {POSTS}, {name}"))?;
        let seen: f64 = bob.eval("window.seen").await?;
        let pressed: f64 = ada.eval("window.pressed").await?;
        samples_ms.push(seen - pressed);
    }
    for (share, figure, target) in [(0.5, "p50", p50_ms), (0.99, "p99", 2_000.0)] {
        Figure::new(
            BENCH,
            &format!("{figure}_{name}"),
            percentile(&samples_ms, share),
            "ms",
        )
        .n(POSTS)
        .target(Target::AtMost(target))
        .print();
    }
    Ok(())
}
