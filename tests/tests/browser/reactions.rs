//! Reactions, as people give them by keyboard, by mouse and by touch, change them, take them back, and give them without a
//! network.

use std::time::Duration;

use anyhow::{Context as _, Result};
use starling_tests::user_steps::{first_visit, follow, linked, post, profile_link, sees, without_relay};
use starling_tests::{Browser, Page, Relay, Scheme, axe, shots_dir, testid};

const PICKER: &str = "[data-testid=reaction-picker]";
const CHIP: &str = "[data-testid=reactions] [data-emoji]";
/// The post whose reactions are looked at.
const POST: &str = "[data-testid=post]:has([data-testid=reactions])";

/// Waits until a post shows just these reactions: emoji, count, and whether it is the reader's.
async fn shows(page: &Page, reactions: &[(&str, u32, bool)]) -> Result<()> {
    let mut expected: Vec<String> = reactions
        .iter()
        .map(|(emoji, count, mine)| format!("{emoji} {count} {mine}"))
        .collect();
    expected.sort();
    let expected = serde_json::to_string(&expected)?;
    page.wait_for(&format!(
        "JSON.stringify([...document.querySelectorAll('[data-testid=reactions] [data-emoji]')].map(it => \
         `${{it.dataset.emoji}} ${{it.dataset.count}} ${{it.ariaPressed}}`).sort()) === '{expected}'"
    ))
    .await?;
    Ok(())
}

/// A part of the page is accessible and has its picture taken: in both schemes, on a desktop and on the narrowest
/// phone.
async fn look(page: &Page, name: &str, part: &str) -> Result<()> {
    let folder = shots_dir().join("reactions");
    std::fs::create_dir_all(&folder)?;
    page.wait_gone(".toast__text").await?;
    for (device, width, height) in [("desktop", 1280, 800), ("phone", 320, 640)] {
        page.set_viewport(width, height, device == "phone").await?;
        page.wait_for(&format!(
            "(part => {{ part.scrollIntoView({{ block: 'center' }}); const at = part.getBoundingClientRect(); \
             const found = document.elementFromPoint(at.left + 9, at.bottom - 3); \
             if (!part.contains(found)) throw new Error('covered by ' + found?.outerHTML.slice(0, 200)); return true }})\
             (document.querySelector('{part}'))"
        ))
        .await
        .with_context(|| format!("{name}, {device}: all of it can be reached"))?;
        for (scheme, suffix) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            page.set_preferences(scheme, true).await?;
            let found = axe::serious_violations(page).await?;
            assert!(found.is_empty(), "{name}, {device}, {suffix}: {found:#?}");
            let wider: bool = page
                .eval("document.documentElement.scrollWidth > document.documentElement.clientWidth")
                .await?;
            assert!(!wider, "{name}, {device}: nothing scrolls sideways");
            page.screenshot(&folder.join(format!("{name}-{device}-{suffix}.png")), false)
                .await?;
        }
    }
    page.set_viewport(1280, 800, false).await
}

/// Presses a key until this holds, a few times at most.
async fn press_until(page: &Page, key: &str, holds: &str) -> Result<()> {
    for _ in 0..12 {
        if page.eval::<bool>(holds).await? {
            return Ok(());
        }
        page.press(key).await?;
    }
    anyhow::bail!("{key} does not lead to {holds}")
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_given_changed_and_taken_back_and_those_of_offline_times_arrive() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let (hers, his) = (
        browser.new_context().await?,
        browser.new_context().await?.cuttable(),
    );
    let (ada, bob) = (
        hers.open(&relay.url("/")).await?,
        his.open(&relay.url("/")).await?,
    );
    first_visit(&ada, "Ada Lovelace").await?;
    first_visit(&bob, "Bob").await?;
    let (of_ada, of_bob) = (profile_link(&ada).await?, profile_link(&bob).await?);
    follow(&bob, &of_ada).await?;
    follow(&ada, &of_bob).await?;
    linked(&ada, 1).await?;
    linked(&bob, 1).await?;
    for text in ["An older post, to have one below", "Seven neighbours each"] {
        post(&ada, text).await?;
        sees(&bob, text).await?;
    }

    // By keyboard alone: to the newest post, to its button, along the emoji.
    bob.press("j").await?;
    press_until(&bob, "Tab", "document.activeElement.dataset.action === 'react'").await?;
    let below =
        "[...document.querySelectorAll('[data-testid=post]')].map(it => it.getBoundingClientRect().top)";
    let before: Vec<f64> = bob.eval(below).await?;
    bob.press("Enter").await?;
    bob.wait_for(&format!(
        "document.activeElement === document.querySelector('{PICKER} button')"
    ))
    .await?;
    assert_eq!(
        bob.eval::<Vec<f64>>(below).await?,
        before,
        "the picker moves nothing"
    );
    look(&bob, "picker", PICKER).await?;
    bob.press("Escape").await?;
    bob.wait_gone(PICKER).await?;
    let on_button = "document.activeElement.dataset.action === 'react'";
    assert!(bob.eval::<bool>(on_button).await?, "the focus is back");
    bob.press("e").await?;
    bob.wait_element(PICKER).await?;
    press_until(&bob, "ArrowRight", "document.activeElement.textContent === '❤️'").await?;
    bob.press("Enter").await?;
    bob.wait_gone(PICKER).await?;
    assert!(bob.eval::<bool>(on_button).await?, "the focus is back");
    shows(&bob, &[("❤️", 1, true)]).await?;
    bob.wait_attr(CHIP, "aria-label", "❤️, 1 person, you too").await?;

    // She sees it, and who it was.
    shows(&ada, &[("❤️", 1, false)]).await?;
    ada.click(&testid("reaction-who")).await?;
    ada.wait_text(&testid("reaction-people"), "Bob").await?;
    look(&ada, "who", "[data-testid=reaction-people]").await?;

    // He changes his mind; a word is no reaction.
    bob.press("e").await?;
    bob.paste_into(&testid("reaction-input"), "owl").await?;
    bob.press("Enter").await?;
    bob.wait_text("[data-testid=form-error]", "That is not one emoji.")
        .await?;
    bob.paste_into(&testid("reaction-input"), "🦉").await?;
    bob.press("Enter").await?;
    shows(&bob, &[("🦉", 1, true)]).await?;
    shows(&ada, &[("🦉", 1, false)]).await?;
    ada.wait_text(&testid("reaction-people"), "🦉").await?;
    // She joins him with a click, and stays when he takes his back.
    ada.click(CHIP).await?;
    shows(&ada, &[("🦉", 2, true)]).await?;
    shows(&bob, &[("🦉", 2, true)]).await?;
    bob.click(CHIP).await?;
    shows(&bob, &[("🦉", 1, false)]).await?;
    shows(&ada, &[("🦉", 1, true)]).await?;

    // Without a network it shows at once, also after a reload, and arrives later.
    his.set_offline(true).await?;
    without_relay(&bob, Duration::from_secs(60)).await?;
    bob.click(&format!("{POST} [data-action=react]")).await?;
    bob.click(&format!("{PICKER} button:nth-of-type(4)")).await?;
    let at_his = [("🦉", 1, false), ("🎉", 1, true)];
    shows(&bob, &at_his).await?;
    bob.reload().await?;
    shows(&bob, &at_his).await?;
    look(&bob, "offline", "[data-testid=reactions]").await?;
    shows(&ada, &[("🦉", 1, true)]).await?;
    his.set_offline(false).await?;
    linked(&bob, 1).await?;
    shows(&ada, &[("🦉", 1, true), ("🎉", 1, false)]).await?;

    // On the post's own page it is the same.
    ada.click(&format!("{POST} .post__time")).await?;
    ada.wait_element(".post--focus [data-testid=reactions]").await?;
    ada.click(".post--focus [data-action=react]").await?;
    ada.wait_element(PICKER).await?;
    look(&ada, "page", PICKER).await?;
    // A click elsewhere closes the picker.
    ada.click(".post--focus .post__text").await?;
    ada.wait_gone(PICKER).await?;
    let errors = ada.errors();
    assert!(errors.is_empty(), "{errors:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_given_and_taken_back_with_a_finger() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let context = browser.new_context().await?;
    let page = context.open(&relay.url("/")).await?;
    first_visit(&page, "Ada Lovelace").await?;
    post(&page, "A post to react to").await?;
    page.set_viewport(390, 844, true).await?;
    page.set_touch().await?;
    page.wait_gone(".toast__text").await?;

    // A tap on the button opens the picker, another one closes it.
    let button = "[data-action=react]";
    page.tap(button).await?;
    page.wait_element(PICKER).await?;
    page.wait_attr(button, "aria-expanded", "true").await?;
    page.tap(button).await?;
    page.wait_gone(PICKER).await?;

    // A tap elsewhere closes it, too.
    page.tap(button).await?;
    page.wait_element(PICKER).await?;
    page.tap(&testid("composer-input")).await?;
    page.wait_gone(PICKER).await?;

    // A tap on an emoji gives the reaction; what is tapped is as large as a finger.
    page.tap(button).await?;
    page.wait_element(PICKER).await?;
    let fits = |selector: &str| {
        format!(
            "[...document.querySelectorAll('{selector}')].every(it => {{ const at = it.getBoundingClientRect(); \
             return at.width >= 44 && at.height >= 44 }})"
        )
    };
    assert!(page.eval::<bool>(&fits(&format!("{PICKER} > button"))).await?);
    page.tap(&format!("{PICKER} button:nth-of-type(2)")).await?;
    page.wait_gone(PICKER).await?;
    shows(&page, &[("❤️", 1, true)]).await?;

    // A tap on the chip takes it back.
    assert!(page.eval::<bool>(&fits(CHIP)).await?);
    page.tap(CHIP).await?;
    shows(&page, &[]).await?;
    let errors = page.errors();
    assert!(errors.is_empty(), "{errors:#?}");
    Ok(())
}
