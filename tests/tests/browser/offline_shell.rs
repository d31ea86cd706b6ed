//! The build's last step and the service worker, on an app of a few lines: it opens with no network on any route,
//! obeys its own policy, and a new build takes over when the page says so.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use starling_tests::{Browser, Page, workspace_root};
use tempfile::TempDir;

/// What Trunk leaves in its staging folder, in small: a hashed loader, and a module instead of real wasm.
fn stage(folder: &Path, hash: &str) -> Result<()> {
    let html = format!(
        "<!doctype html><html lang=en><head><title>App</title><base href='/'><link rel=icon href='data:,'><link rel=\"stylesheet\" href=\"/style.css\"></head>
        <body><p id=app></p><script type=\"module\">
import init from '/starling-client-{hash}.js';
const wasm = await init({{ module_or_path: '/starling-client-{hash}_bg.wasm' }});
</script></body></html>"
    );
    let js = "export default async ({ module_or_path }) => {
        const bytes = await (await fetch(module_or_path)).arrayBuffer();
        const { instance } = await WebAssembly.instantiate(bytes);
        if (self.document) {
            document.querySelector('#app').textContent = location.pathname;
            navigator.serviceWorker.register('/sw.js');
        } else self.onmessage = () => postMessage('worker runs');
        return instance;
    };";
    std::fs::write(folder.join("index.html"), html)?;
    std::fs::write(folder.join(format!("starling-client-{hash}.js")), js)?;
    std::fs::write(
        folder.join(format!("starling-client-{hash}_bg.wasm")),
        b"\0asm\x01\0\0\0",
    )?;
    let done = Command::new(workspace_root().join("scripts/app/post-build"))
        .env("TRUNK_STAGING_DIR", folder)
        .output()
        .context("running post-build")?;
    ensure!(
        done.status.success(),
        "post-build: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// Serves a folder the way the relay does: its policy on everything, and the shell for every route of the app.
async fn file(State(root): State<std::path::PathBuf>, request: Request) -> (StatusCode, HeaderMap, Vec<u8>) {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let mut headers = HeaderMap::new();
    if path.starts_with("api/") {
        return (StatusCode::OK, headers, b"live".to_vec());
    }
    let name = if root.join(&path).is_file() {
        path
    } else {
        "index.html".to_owned()
    };
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("css") => "text/css",
        _ => "text/html",
    };
    headers.insert(CONTENT_TYPE, kind.parse().expect("a content type"));
    let policy = std::fs::read_to_string(root.join("csp.txt")).unwrap_or_default();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        policy.trim().parse().expect("a policy of one line"),
    );
    (
        StatusCode::OK,
        headers,
        std::fs::read(root.join(name)).unwrap_or_default(),
    )
}

async fn serve(folder: &Path) -> Result<String> {
    let app = Router::new().fallback(file).with_state(folder.to_owned());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(origin)
}

async fn build_in_use(page: &Page) -> Result<Vec<String>> {
    page.eval("caches.keys()").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_opens_without_a_network_on_any_route() -> Result<()> {
    let folder = TempDir::new()?;
    stage(folder.path(), "0123456789abcdef")?;
    let origin = serve(folder.path()).await?;
    let browser = Browser::launch().await?;
    let context = browser.new_context().await?.cuttable();
    let page = context.open(&format!("{origin}/")).await?;
    page.wait_text("#app", "/").await?;
    page.wait_for("!!navigator.serviceWorker.controller").await?;
    assert!(page.errors().is_empty(), "{:?}", page.errors());

    context.set_offline(true).await?;
    page.goto(&format!("{origin}/ada/a-long-title/")).await?;
    page.wait_text("#app", "/ada/a-long-title/").await?;
    let spoke = "new Promise(done => {
        const worker = new Worker('/worker.js', { type: 'module' });
        worker.onmessage = event => done(event.data);
        worker.onerror = () => done('worker failed');
        const ask = setInterval(() => worker.postMessage(0), 20);
        setTimeout(() => { clearInterval(ask); done('silence'); }, 5000);
    })";
    assert_eq!(page.eval::<String>(spoke).await?, "worker runs");
    let live = page
        .eval::<String>("fetch('/api/x').then(r => r.text(), () => 'no network')")
        .await?;
    assert_eq!(
        live, "no network",
        "what only a relay can answer is never made up"
    );

    context.set_offline(false).await?;
    assert_eq!(
        page.eval::<String>("fetch('/api/x').then(r => r.text())").await?,
        "live"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_build_waits_for_the_page_and_leaves_nothing_of_the_old() -> Result<()> {
    let folder = TempDir::new()?;
    stage(folder.path(), "aaaaaaaaaaaaaaaa")?;
    let origin = serve(folder.path()).await?;
    let browser = Browser::launch().await?;
    let page = browser.new_context().await?.open(&format!("{origin}/")).await?;
    page.wait_for("!!navigator.serviceWorker.controller").await?;
    let old = build_in_use(&page).await?;
    assert_eq!(old.len(), 1);

    for name in [
        "starling-client-aaaaaaaaaaaaaaaa.js",
        "starling-client-aaaaaaaaaaaaaaaa_bg.wasm",
    ] {
        std::fs::remove_file(folder.path().join(name))?;
    }
    stage(folder.path(), "bbbbbbbbbbbbbbbb")?;
    page.eval::<u8>("navigator.serviceWorker.ready.then(r => r.update()).then(() => 0)")
        .await?;
    page.wait_for("navigator.serviceWorker.ready.then(r => r.waiting?.state === 'installed')")
        .await?;
    assert_eq!(
        build_in_use(&page).await?.len(),
        2,
        "the old build stays while a page uses it"
    );

    page.eval::<u8>("navigator.serviceWorker.ready.then(r => r.waiting.postMessage({ type: 'skip-waiting' })).then(() => 0)")
        .await?;
    page.wait_for("caches.keys().then(keys => keys.length === 1)")
        .await?;
    assert_ne!(build_in_use(&page).await?, old);
    page.reload().await?;
    page.wait_for("document.scripts[0].textContent.includes('bbbbbbbbbbbbbbbb')")
        .await?;
    page.wait_text("#app", "/").await?;
    assert!(page.errors().is_empty(), "{:?}", page.errors());
    Ok(())
}
