//! Every page and every dialog: free of serious accessibility findings, in light and dark, on a phone and a desktop;
//! and pictures of all. What there is to visit is not kept here: addresses come from `protocol::pages`, sheets and
//! folds from the source of the interface, so that one which is added and not visited fails the test.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use protocol::pages::ROUTES;
use starling_tests::user_steps::{all_at, first_visit, follow, linked, post, profile_link, restore};
use starling_tests::{Browser, Page, Relay, Scheme, axe, shots_dir, testid, workspace_root};

use crate::old_copy::old_copy;

/// Ada's account, as far as its addresses need it.
struct Ada {
    profile: String,
    post: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_and_has_its_picture_taken() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    page.wait_element(&testid("welcome-name")).await?;
    look(&page, "welcome").await?;
    page.click(&testid("restore-open")).await?;
    page.wait_element(&testid("restore-phrase")).await?;
    look(&page, "restore").await?;
    page.click(&testid("restore-back")).await?;
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
    let ada = Ada {
        post: page
            .eval("'/p/' + document.querySelector('[data-testid=post]').dataset.postId")
            .await?,
        profile: page
            .eval("new URL(document.querySelector('[data-testid=post-author]').href).pathname")
            .await?,
    };
    claim_names(&page, &relay, &ada).await?;

    for route in ROUTES {
        let (name, path, shown) = visit(route, &ada)?;
        page.goto(&relay.url(&path)).await?;
        page.wait_element(&shown)
            .await
            .with_context(|| format!("{route} shows {shown}"))?;
        look(&page, name).await?;
    }
    // An address that leads nowhere, and names that nobody has.
    for (name, path, shown) in [
        ("not-found", "/nowhere/at/all", "not-found"),
        ("slug-not-found", "/nobody-has-this", "not-found"),
        ("handle-not-found", "/@nobody", "named"),
    ] {
        page.goto(&relay.url(path)).await?;
        page.wait_element(&testid(shown)).await?;
        look(&page, name).await?;
    }
    Ok(())
}

/// Ada's handle. It has a dot, as names of files have.
const HANDLE: &str = "ada.l";

/// Ada has her handle, and her newest post the slug `flocks`.
async fn claim_names(page: &Page, relay: &Relay, ada: &Ada) -> Result<()> {
    page.click(&testid("nav-you")).await?;
    page.type_into(&testid("handle-input"), HANDLE).await?;
    page.click(&testid("handle-claim")).await?;
    page.wait_attr(&testid("handle"), "data-handle", HANDLE).await?;
    page.goto(&relay.url(&ada.post)).await?;
    page.click(&testid("slug-open")).await?;
    page.type_into(&testid("slug-input"), "flocks").await?;
    page.click(&testid("slug-claim")).await?;
    page.wait_attr(&testid("slug"), "data-slug", "flocks").await
}

/// How a page of [`ROUTES`] is visited: its name in pictures, its path, and what is there once it is drawn.
fn visit(route: &str, ada: &Ada) -> Result<(&'static str, String, String)> {
    let nav = |place: &str| format!("[data-testid={place}][aria-current=page]");
    Ok(match route {
        "/" => ("home", "/".into(), testid("post")),
        "/explore" => ("explore", route.into(), nav("nav-explore")),
        "/activity" => ("activity", route.into(), nav("nav-activity")),
        "/you" => ("you", route.into(), testid("handle")),
        "/you/phrase" => ("phrase", route.into(), testid("phrase-words")),
        "/you/following" => ("following", route.into(), testid("empty-following")),
        "/network" => ("network", route.into(), testid("link")),
        "/u/{account}" => (
            "profile",
            ada.profile.clone(),
            "[data-testid=profile-held][data-complete=true]".into(),
        ),
        "/p/{account}/{entry}" => ("thread", ada.post.clone(), ".post--focus".into()),
        "/@{handle}" => (
            "handle",
            format!("/@{HANDLE}"),
            "[data-testid=profile-held][data-complete=true]".into(),
        ),
        "/{slug}/" => ("slug", "/flocks/".into(), ".post--focus".into()),
        other => bail!("{other} is a page of the app that this test does not visit"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialog_is_accessible_and_has_its_picture_taken() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    let words = first_visit(&page, "Ada Lovelace").await?;
    linked(&page, 1).await?;
    post(&page, "Seven neighbours each").await?;
    all_at(&page, "relays").await?;
    // A second device, so that one can be withdrawn.
    let other = browser.new_context().await?;
    let phone = other.open(&relay.url("/")).await?;
    restore(&phone, &words).await?;

    let mut seen = BTreeSet::new();
    page.click("[data-testid=nav-post]").await?;
    sheet(&page, "compose", &mut seen).await?;
    page.click("[data-testid=post] [data-action=reply]").await?;
    sheet(&page, "reply", &mut seen).await?;
    page.click("[data-testid=post] .durability").await?;
    page.wait_element("[data-testid=post-holders] li").await?;
    look_twice(&page, "holders").await?;

    page.click(&testid("nav-you")).await?;
    page.click(&testid("open-keys")).await?;
    sheet(&page, "keys", &mut seen).await?;
    page.click(&testid("erase-open")).await?;
    sheet(&page, "erase", &mut seen).await?;
    page.click("[data-testid=device] button").await?;
    sheet(&page, "withdraw", &mut seen).await?;
    page.type_into(&testid("handle-input"), "ada").await?;
    page.click(&testid("handle-claim")).await?;
    fold(&page, "offer", &mut seen).await?;

    page.click("main a[href='/you/phrase']").await?;
    page.click(&testid("phrase-confirm")).await?;
    page.wait_element(&testid("phrase-option")).await?;
    look_twice(&page, "quiz").await?;

    page.click(&testid("nav-you")).await?;
    page.click("main a[href^='/u/']").await?;
    fold(&page, "profile-held", &mut seen).await?;
    page.click(&testid("profile-edit")).await?;
    sheet(&page, "profile-edit", &mut seen).await?;

    let copied = old_copy(&relay, &browser, "Grace Hopper", true).await?;
    copied
        .copy
        .click(&format!(
            "{} {}",
            testid("old-copy-note"),
            testid("notice-action")
        ))
        .await?;
    sheet(&copied.copy, "old-copy", &mut seen).await?;

    assert_eq!(seen, named_in_source()?, "each of these is opened here");
    Ok(())
}

/// An open sheet is looked at, and closed as a person closes it.
async fn sheet(page: &Page, name: &str, seen: &mut BTreeSet<String>) -> Result<()> {
    let selector = format!("dialog[open][data-sheet={name}]");
    page.wait_element(&selector).await?;
    look_twice(page, &format!("sheet-{name}")).await?;
    page.press("Escape").await?;
    page.wait_gone(&selector).await?;
    seen.insert(name.to_owned());
    Ok(())
}

/// A fold is opened and looked at.
async fn fold(page: &Page, name: &str, seen: &mut BTreeSet<String>) -> Result<()> {
    page.click(&format!("[data-testid={name}] summary")).await?;
    page.wait_element(&format!("[data-testid={name}][open]")).await?;
    look_twice(page, &format!("fold-{name}")).await?;
    seen.insert(name.to_owned());
    Ok(())
}

/// The sheets and folds of the interface, by their names in its source.
fn named_in_source() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    read_names(&workspace_root().join("client-wasm/src/ui"), &mut names)?;
    anyhow::ensure!(names.contains("keys"), "the source of the interface was read");
    Ok(names)
}

fn read_names(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_names(&path, names)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let source = std::fs::read_to_string(&path)?;
            for (tag, attribute, ends) in [("<Sheet", "name=", "title"), ("<details", "data-testid=", "\n")] {
                for (at, _) in source.match_indices(tag) {
                    let rest = &source[at..];
                    let from = rest
                        .find(attribute)
                        .with_context(|| format!("{}: {tag} without {attribute}", path.display()))?;
                    let value = rest[from..].split(ends).next().unwrap_or_default();
                    // Every quoted word: one of several where an `if` chooses.
                    names.extend(value.split('"').skip(1).step_by(2).map(str::to_owned));
                }
            }
        }
    }
    Ok(())
}

/// Checks what is on the screen with each device in each scheme.
pub(crate) async fn look(page: &Page, name: &str) -> Result<()> {
    let (light, dark) = ((Scheme::Light, "light"), (Scheme::Dark, "dark"));
    for (device, width, height) in [DESKTOP, PHONE] {
        page.set_viewport(width, height, device == "phone").await?;
        for scheme in [light, dark] {
            look_in(page, name, device, scheme).await?;
        }
    }
    page.set_viewport(1280, 800, false).await
}

/// Checks what is on the screen in both schemes, each with one device: for what is small.
async fn look_twice(page: &Page, name: &str) -> Result<()> {
    for ((device, width, height), scheme) in [
        (PHONE, (Scheme::Light, "light")),
        (DESKTOP, (Scheme::Dark, "dark")),
    ] {
        page.set_viewport(width, height, device == "phone").await?;
        look_in(page, name, device, scheme).await?;
    }
    Ok(())
}

const DESKTOP: (&str, u32, u32) = ("desktop", 1280, 800);
const PHONE: (&str, u32, u32) = ("phone", 360, 740);

async fn look_in(page: &Page, name: &str, device: &str, (scheme, suffix): (Scheme, &str)) -> Result<()> {
    let folder = shots_dir().join("pages");
    std::fs::create_dir_all(&folder)?;
    page.set_preferences(scheme, true).await?;
    let found = axe::serious_violations(page).await?;
    assert!(found.is_empty(), "{name}, {device}, {suffix}: {found:#?}");
    fits(page)
        .await
        .with_context(|| format!("{name}, {device}, {suffix}"))?;
    page.screenshot(&folder.join(format!("{name}-{device}-{suffix}.png")), false)
        .await
}

/// What reaches out of its column. What is within a box that scrolls or clips does not count.
const WIDER: &str = "(() => {
    const main = document.querySelector('main');
    if (!main) return [];
    const column = main.getBoundingClientRect();
    const kept = element => element !== main && (getComputedStyle(element).overflowX !== 'visible' || kept(element.parentElement));
    const names = element => `<${element.localName} class='${element.getAttribute('class') ?? ''}'> ${element.textContent.slice(0, 40)}`;
    const wider = [];
    for (const element of main.querySelectorAll('*')) {
        const at = element.getBoundingClientRect();
        if (!at.width || element.closest('svg, dialog') || kept(element.parentElement)) continue;
        if (at.left < column.left - 1 || at.right > column.right + 1) wider.push(names(element));
    }
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) wider.push('the document');
    return wider;
})()";

/// Nothing is wider than its column.
async fn fits(page: &Page) -> Result<()> {
    let wider: Vec<String> = page.eval(WIDER).await?;
    anyhow::ensure!(wider.is_empty(), "wider than its column: {wider:#?}");
    Ok(())
}

/// The names in the table of links that have a line break inside a word.
const BROKEN: &str = "[...document.querySelectorAll('[data-testid=link] th bdi')].flatMap(name => {
    const text = name.firstChild;
    return [...text.data.matchAll(/\\S+/g)].filter(({ 0: word, index }) => {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        return new Set([...range.getClientRects()].map(at => Math.round(at.top))).size > 1;
    }).map(found => found[0]);
})";

#[tokio::test(flavor = "multi_thread")]
async fn the_network_page_fits_its_column_at_every_width() -> Result<()> {
    let relay = Relay::start().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&relay.url("/")).await?;
    first_visit(&page, "Charles Babbage").await?;
    let of_charles = profile_link(&page).await?;
    let mut others = Vec::new();
    for name in ["Augusta Ada King-Noel, Countess of Lovelace", "Grace Hopper"] {
        let other = browser.new_context().await?.open(&relay.url("/")).await?;
        first_visit(&other, name).await?;
        follow(&other, &of_charles).await?;
        follow(&page, &profile_link(&other).await?).await?;
        others.push(other);
    }
    page.click(&testid("nav-network")).await?;
    let named = "document.querySelectorAll('[data-testid=link] th bdi').length === 2";
    page.wait_for(named).await?;
    page.wait_for("document.querySelector('[data-testid=links]').textContent.includes('Lovelace')")
        .await?;
    for width in [
        320, 360, 480, 559, 560, 600, 640, 680, 700, 760, 820, 1_000, 1_099, 1_100, 1_180, 1_280, 1_400,
    ] {
        page.set_viewport(width, 900, false).await?;
        fits(&page).await.with_context(|| format!("{width} pixels"))?;
        let broken: Vec<String> = page.eval(BROKEN).await?;
        assert!(broken.is_empty(), "{width} pixels: {broken:?}");
        if matches!(width, 320 | 560 | 700 | 1_100 | 1_400) {
            for (scheme, suffix) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
                look_in(&page, "network-links", &format!("{width}"), (scheme, suffix)).await?;
            }
        }
    }
    Ok(())
}
