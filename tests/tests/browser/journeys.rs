//! The whole system as people meet it: two people, a relay, things that break.

use anyhow::Result;
use starling_tests::{Browser, Profile, Relay, testid};

use starling_tests::user_steps::{
    all_at, first_visit, follow, linked, post, profile_link, restore, sees, texts, transports,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_post_reaches_a_follower_and_still_does_when_the_relay_is_killed() -> Result<()> {
    let mut relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let (ada, bob) = (one.open(&relay.url("/")).await?, two.open(&relay.url("/")).await?);
    first_visit(&ada, "Ada").await?;
    first_visit(&bob, "Bob").await?;
    let link = profile_link(&ada).await?;
    follow(&bob, &link).await?;
    linked(&ada, 2).await?;
    linked(&bob, 2).await?;
    post(&ada, "with the relay").await?;
    sees(&bob, "with the relay").await?;
    all_at(&ada, "relays").await?;
    // That it is all there is, Ada's signature says.
    bob.click("[data-testid=post] a[href^='/u/']").await?;
    let held = testid("profile-held");
    bob.wait_attr(&held, "data-complete", "true").await?;
    let said = bob.texts(&format!("{held} summary")).await?.concat();
    assert!(
        said.starts_with("The only post is present, as Ada signed on"),
        "{said}"
    );
    bob.click(&testid("nav-home")).await?;

    let direct = transports(&bob).await?;
    assert!(
        direct.contains(&("webrtc".into(), false)),
        "a direct channel is there: {direct:?}"
    );
    relay.kill().await?;
    assert!(!relay.is_running());
    post(&ada, "without the relay").await?;
    sees(&bob, "without the relay").await?;

    // Keys faster than the screen: text and Ctrl+Enter arrive before anything is drawn again.
    ada.eval::<bool>(&format!(
        "(() => {{ const area = document.querySelector('{}'); area.value = 'in a hurry'; \
         area.dispatchEvent(new InputEvent('input', {{ bubbles: true }})); \
         area.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter', ctrlKey: true, bubbles: true }})); \
         return true; }})()",
        testid("composer-input")
    ))
    .await?;
    sees(&bob, "in a hurry").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_written_with_nobody_there_arrive_in_order_by_themselves() -> Result<()> {
    let mut relay = Relay::start().await?;
    let profile = Profile::new()?;
    let one = Browser::launch_in(&profile).await?;
    let two = Browser::launch().await?;
    let bob = two.open(&relay.url("/?direct=off")).await?;
    {
        let ada = one.open(&relay.url("/?direct=off")).await?;
        first_visit(&ada, "Ada").await?;
        first_visit(&bob, "Bob").await?;
        let link = profile_link(&ada).await?;
        follow(&bob, &link).await?;
        linked(&ada, 1).await?;
        linked(&bob, 1).await?;
        post(&ada, "first").await?;
        sees(&bob, "first").await?;
        ada.wait_for("navigator.serviceWorker.ready.then(() => caches.keys()).then(k => k.length > 0)")
            .await?;
        relay.kill().await?;
        // The page is loaded again with no server anywhere: everything of one's own is there.
        ada.reload().await?;
        ada.wait_element(&testid("composer-input")).await?;
        sees(&ada, "first").await?;
        for text in ["offline one", "offline two", "offline three"] {
            post(&ada, text).await?;
        }
        ada.wait_for("+document.querySelector('[data-testid=status-chip]').dataset.waiting >= 3")
            .await?;
        // What is nowhere else is said, for as long as it is so.
        ada.click(&testid("nav-you")).await?;
        let summary = testid("unsafe-summary");
        ada.wait_attr(&summary, "data-level", "here").await?;
        ada.wait_for(&format!(
            "+document.querySelector('{summary}').dataset.waiting >= 3"
        ))
        .await?;
        relay.restart().await?;
        for text in ["offline one", "offline two", "offline three"] {
            sees(&bob, text).await?;
        }
        ada.wait_attr(&summary, "data-level", "safe").await?;
    }
    let order: Vec<String> = texts(&bob)
        .await?
        .into_iter()
        .filter(|text| text.contains("offline"))
        .collect();
    assert_eq!(order, ["offline three", "offline two", "offline one"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_one_leads_and_the_other_takes_over() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let first = browser.open(&relay.url("/")).await?;
    first_visit(&first, "Ada").await?;
    linked(&first, 1).await?;
    post(&first, "from the first tab").await?;
    let second = browser.open(&relay.url("/")).await?;
    sees(&second, "from the first tab").await?;
    assert!(first.eval::<bool>("starling.leader").await?);
    assert!(!second.eval::<bool>("starling.leader").await?);
    first.close().await?;
    second
        .wait_for_within("starling.leader", std::time::Duration::from_secs(2))
        .await?;
    post(&second, "from the second tab").await?;
    all_at(&second, "relays").await?;
    assert_eq!(
        texts(&second).await?,
        ["from the second tab", "from the first tab"],
        "nothing doubled or lost"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_bring_everything_back_as_a_second_device() -> Result<()> {
    let relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let phone = one.open(&relay.url("/")).await?;
    let words = first_visit(&phone, "Ada").await?;
    linked(&phone, 1).await?;
    post(&phone, "from the phone").await?;
    all_at(&phone, "relays").await?;
    let laptop = two.open(&relay.url("/")).await?;
    restore(&laptop, &words).await?;
    sees(&laptop, "from the phone").await?;
    post(&laptop, "from the laptop").await?;
    sees(&phone, "from the laptop").await?;
    let authors = laptop.texts(&testid("post-author")).await?;
    assert!(
        authors.iter().all(|author| author.contains("Ada")),
        "one person: {authors:?}"
    );
    assert_eq!(phone.count(&testid("profile-forked")).await?, 0);

    // The phone's browser forgets everything; the words are enough.
    phone.clear_site_data().await?;
    phone.goto(&relay.url("/")).await?;
    restore(&phone, &words).await?;
    sees(&phone, "from the phone").await?;
    sees(&phone, "from the laptop").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_where_webrtc_is_disabled() -> Result<()> {
    let relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let (one, two) = (one.context(), two.context());
    one.without_webrtc();
    two.without_webrtc();
    let (ada, bob) = (one.open(&relay.url("/")).await?, two.open(&relay.url("/")).await?);
    first_visit(&ada, "Ada").await?;
    first_visit(&bob, "Bob").await?;
    follow(&bob, &profile_link(&ada).await?).await?;
    linked(&ada, 1).await?;
    linked(&bob, 1).await?;
    post(&ada, "by websocket").await?;
    sees(&bob, "by websocket").await?;
    assert_eq!(transports(&bob).await?, [("websocket".to_owned(), true)]);
    Ok(())
}
