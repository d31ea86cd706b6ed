//! The harness keeps its promises: what the scenarios rely on is tried on a page made for that.

use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, Response};
use axum::routing::get;
use starling_tests::console::Level;
use starling_tests::keys::Modifiers;
use starling_tests::{Browser, Context, Page, Profile, Scheme, axe, testid};

const PAGE: &str = include_str!("harness.html");

/// Answers with the script the page loads it as: a dedicated worker and a service worker.
const WORKERS: [(&str, &str); 2] = [
    (
        "/worker.js",
"console.log('worker up');
        const socket = new WebSocket(`ws://${location.host}/socket`);
        socket.onmessage = e => postMessage('echo ' + e.data);
        const opened = new Promise(done => { socket.onopen = done; });
        onmessage = async e => {
            if (e.data === 'throw') throw new Error('worker trouble');
            if (e.data === 'fetch') postMessage(
                await fetch('/ping', { cache: 'no-store' }).then(r => r.text(), () => 'no network'));
            else { await opened; socket.send(e.data); }
        };",
    ),
    (
        "/sw.js",
        "oninstall = e => e.waitUntil(caches.open('v1').then(c => c.addAll(['/', '/worker.js'])).then(() => skipWaiting()));
        onactivate = e => e.waitUntil(clients.claim());
        onfetch = e => { if (!e.request.url.endsWith('/ping'))
            e.respondWith(fetch(e.request).catch(() => caches.match(e.request))); };",
    ),
];

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn serve() -> Result<String> {
    let mut app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/ping", get(|| async { "pong" }))
        .route("/socket", get(socket));
    for (path, script) in WORKERS {
        app = app.route(
            path,
            get(move || async move { ([(CONTENT_TYPE, "text/javascript")], script) }),
        );
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://localhost:{}/", listener.local_addr()?.port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn ask_worker(page: &Page, message: &str) -> Result<String> {
    page.eval(&format!("askWorker({message:?})")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_clicks_arrive_as_a_persons() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    println!("{}", browser.version().await?);
    let page = browser.open(&url).await?;

    page.type_into(&testid("name"), "Ada, 1 ü!").await?;
    page.press("Enter").await?;
    page.wait_text(&testid("said"), "Ada, 1 ü!").await?;
    assert!(
        page.eval::<bool>("window.allTrusted").await?,
        "synthetic events would not be trusted"
    );

    page.press("Tab").await?;
    page.wait_for("document.activeElement.dataset.testid === 'late'")
        .await?;
    page.press_with("Enter", Modifiers::CTRL).await?;
    page.wait_text(&testid("said"), "ctrl+enter").await?;

    // It is disabled and then covered at first: a person would wait, so does the harness.
    page.eval::<u8>("holdBack(150); 0").await?;
    page.click(&testid("late")).await?;
    page.wait_text(&testid("said"), "late button").await?;
    assert_eq!(page.count("li").await?, 3);
    page.paste_into(&testid("name"), "pasted").await?;
    page.wait_for("document.querySelector('[data-testid=name]').value === 'pasted'")
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_never_holds_fails_with_the_console() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&url).await?;
    page.eval::<u8>("console.error('the telling line'); 0").await?;
    let error = page
        .wait_for_within("document.title === 'never'", Duration::from_millis(300))
        .await
        .unwrap_err();
    let words = format!("{error:#}");
    assert!(
        words.contains("never") && words.contains("the telling line"),
        "{words}"
    );
    assert!(
        page.wait_for("(").await.is_err(),
        "nonsense must not be waited for"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles_of_pages_and_workers_are_heard() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&url).await?;
    let other = browser.open(&url).await?;
    assert_eq!(ask_worker(&page, "fetch").await?, "pong");
    page.eval::<u8>("setTimeout(() => { throw new Error('page trouble') }); worker.postMessage('throw'); 0")
        .await?;
    starling_tests::wait::eventually("both exceptions", Duration::from_secs(5), || async {
        let errors = page.errors();
        let said = |speaker: &str, text: &str| {
            errors
                .iter()
                .any(|l| l.level == Level::Exception && l.speaker == speaker && l.text.contains(text))
        };
        (said("page", "page trouble") && said("worker", "worker trouble")).then_some(())
    })
    .await?;
    assert!(
        page.console()
            .iter()
            .any(|l| l.speaker == "worker" && l.text == "worker up"),
        "{:?}",
        page.console()
    );
    assert!(
        other.errors().is_empty(),
        "another page's errors are not this one's: {:?}",
        other.errors()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_reaches_pages_workers_and_service_workers() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let (away, here) = (
        browser.new_context().await?.cuttable(),
        browser.new_context().await?,
    );
    let page = away.open(&url).await?;
    let witness = here.open(&url).await?;
    page.eval::<u8>("registerServiceWorker().then(() => 0)").await?;
    assert_eq!(ask_worker(&page, "fetch").await?, "pong");

    assert!(here.set_offline(true).await.is_err(), "not made cuttable");
    assert_eq!(ask_worker(&page, "one").await?, "echo one");
    away.set_offline(true).await?;
    let silent = page
        .eval::<String>("Promise.race([askWorker('two'), after(500, 'silence')])")
        .await?;
    assert_eq!(silent, "silence", "a socket that was open is cut as well");
    page.wait_for("!navigator.onLine").await?;
    assert_eq!(ask_worker(&page, "fetch").await?, "no network");
    page.reload().await?;
    page.wait_for("!!navigator.serviceWorker.controller").await?;
    assert_eq!(
        ask_worker(&page, "fetch").await?,
        "no network",
        "a worker started offline is offline"
    );
    assert_eq!(
        ask_worker(&witness, "fetch").await?,
        "pong",
        "other contexts keep their network"
    );

    away.set_offline(false).await?;
    page.wait_for("navigator.onLine").await?;
    assert_eq!(ask_worker(&page, "fetch").await?, "pong");
    Ok(())
}

async fn remember(page: &Page, value: &str) -> Result<()> {
    page.eval::<u8>(&format!("remember({value:?})")).await.map(|_| ())
}

async fn recalled(page: &Page) -> Result<Option<String>> {
    page.eval("recall()").await
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_share_nothing_and_profiles_outlive_their_browser() -> Result<()> {
    let url = serve().await?;
    let profile = Profile::new()?;
    let browser = Browser::launch_in(&profile).await?;
    let ada = browser.open(&url).await?;
    let bob = browser.new_context().await?.open(&url).await?;
    remember(&ada, "ada was here").await?;
    assert_eq!(recalled(&bob).await?, None);
    drop(bob);
    browser.kill().await?;
    assert!(
        ada.eval::<u8>("0").await.is_err(),
        "a killed browser answers nothing"
    );

    let browser = Browser::launch_in(&profile).await?;
    let ada = browser.open(&url).await?;
    assert_eq!(
        recalled(&ada).await?.as_deref(),
        Some("ada was here"),
        "strictly committed data survives kill -9"
    );
    ada.clear_site_data().await?;
    ada.reload().await?;
    assert_eq!(recalled(&ada).await?, None);
    browser.close().await
}

/// Two contexts of one browser connect over WebRTC, on this machine, with what Chromium does by default.
async fn data_channel(offerer: &Page, answerer: &Page) -> Result<()> {
    let offer: String = offerer.eval("rtc.offer()").await?;
    let answer: String = answerer
        .eval(&format!("rtc.answer({})", serde_json::to_string(&offer)?))
        .await?;
    offerer
        .eval::<u8>(&format!("rtc.accept({})", serde_json::to_string(&answer)?))
        .await?;
    offerer.wait_for("rtc.channel?.readyState === 'open'").await?;
    answerer.wait_for("rtc.channel?.readyState === 'open'").await?;
    Ok(())
}

async fn pages(browser: &Browser, url: &str) -> Result<(Context, Page, Page)> {
    let ada = browser.new_context().await?.cuttable();
    let bob = browser.new_context().await?;
    let (ada_page, bob_page) = (ada.open(url).await?, bob.open(url).await?);
    Ok((ada, ada_page, bob_page))
}

#[tokio::test(flavor = "multi_thread")]
async fn webrtc_connects_falls_silent_offline_and_can_be_taken_away() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let (context, ada, bob) = pages(&browser, &url).await?;
    data_channel(&ada, &bob).await?;
    ada.eval::<u8>("rtc.channel.send('one'); 0").await?;
    bob.wait_for("rtc.heard.includes('one')").await?;

    context.set_offline(true).await?;
    ada.eval::<u8>("rtc.channel.send('two'); 0").await?;
    assert!(
        bob.wait_for_within("rtc.heard.includes('two')", Duration::from_secs(1))
            .await
            .is_err()
    );
    context.set_offline(false).await?;
    bob.wait_for("rtc.heard.includes('two')").await?;

    context.without_webrtc();
    let without = context.open(&url).await?;
    assert_eq!(
        without.eval::<String>("typeof RTCPeerConnection").await?,
        "undefined"
    );
    assert_eq!(ada.eval::<String>("typeof RTCPeerConnection").await?, "function");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_preferences_are_taken() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&url).await?;
    page.set_viewport(390, 844, true).await?;
    page.set_preferences(Scheme::Dark, true).await?;
    assert_eq!(page.eval::<u32>("innerWidth").await?, 390);
    assert!(
        page.eval::<bool>("matchMedia('(prefers-color-scheme: dark)').matches")
            .await?
    );
    assert!(
        page.eval::<bool>("matchMedia('(prefers-reduced-motion: reduce)').matches")
            .await?
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shots/phone.png");
    page.screenshot(&file, true).await?;
    let picture = std::fs::read(&file)?;
    assert!(picture.starts_with(b"\x89PNG"));
    let width = u32::from_be_bytes([picture[16], picture[17], picture[18], picture[19]]);
    assert_eq!(width, 780, "two device pixels for each of 390");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_what_is_wrong_and_only_that() -> Result<()> {
    let url = serve().await?;
    let browser = Browser::launch().await?;
    let page = browser.open(&url).await?;
    let found = axe::serious_violations(&page).await?;
    assert!(found.is_empty(), "{found:#?}");
    page.eval::<u8>("document.body.append(Object.assign(new Image(), { src: 'data:,' })); 0")
        .await?;
    let found = axe::serious_violations(&page).await?;
    assert!(found.iter().any(|v| v.id == "image-alt"), "{found:#?}");
    Ok(())
}
