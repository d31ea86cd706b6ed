//! The app's files over HTTP: types, compression, caching, security headers, and the start page for links into the app.

mod assets;
mod compress;

use std::path::Path;
use std::sync::Arc;

use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

pub use assets::EmbeddedFiles;
use assets::{Asset, Assets};
use compress::{Encoding, Variants};

/// When the app names no policy: nothing but itself, its WebSockets, and images made on the spot.
const DEFAULT_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where links into the app are answered from.
const START_PAGE: &str = "index.html";

/// Hexadecimal digits that make a name unmistakably one that changes with its content.
const NAME_HASH_DIGITS_MIN: usize = 12;

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Starling relay</title>
<h1>This relay runs, but it has no app to serve</h1>
<p>Build the app and restart: <code>scripts/run</code> does both. Or name a folder with a built app: <code>relay-node \
--app-dir dist</code>.</p>
<p>Apps served elsewhere can use this relay all the same, if their origin is allowed (<code>--allowed-origin</code>).</p>
</html>
";

/// The app, ready to be served.
#[derive(Debug)]
pub struct App {
    assets: Assets,
    variants: Variants,
}

impl App {
    /// The app in `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self::new(Assets::in_folder(folder))
    }

    /// The app in this program.
    #[must_use]
    pub fn embedded(files: EmbeddedFiles) -> Self {
        Self::new(Assets::embedded(files))
    }

    fn new(assets: Assets) -> Self {
        let variants = Variants::default();
        Self { assets, variants }
    }

    /// Compresses all files as well as possible, largest first. Takes seconds.
    pub fn prepare(&self) {
        let mut assets: Vec<_> = self
            .assets
            .paths()
            .iter()
            .filter_map(|path| self.assets.get(path))
            .collect();
        assets.sort_by_key(|asset| std::cmp::Reverse(asset.bytes.len()));
        for asset in assets {
            self.variants.prepare(&asset);
        }
    }

    /// Whether there is an app at all.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.assets.get(START_PAGE).is_some()
    }

    /// The answer to `GET path`. May read files and compress: not for async threads.
    #[must_use]
    pub fn respond(&self, path: &str, headers: &HeaderMap) -> Response {
        let path = path.strip_prefix('/').unwrap_or(path);
        let asset = match self.assets.get(path) {
            Some(asset) => Some((asset, is_hashed(path))),
            None if is_navigation(path, headers) => self.assets.get(START_PAGE).map(|page| (page, false)),
            None => return (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
        };
        let mut response = match asset {
            Some((asset, immutable)) => self.file(&asset, immutable, headers),
            None => not_built(),
        };
        self.secure(response.headers_mut());
        response
    }

    fn file(&self, asset: &Arc<Asset>, immutable: bool, headers: &HeaderMap) -> Response {
        let (bytes, encoding) = self.variants.of(asset, Encoding::accepted(headers));
        let tag = match encoding.name() {
            Some(name) => format!("\"{}-{name}\"", asset.hash),
            None => format!("\"{}\"", asset.hash),
        };
        let unchanged = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| known.trim() == "*" || known.trim().trim_start_matches("W/") == tag);
        let mut response = if unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = bytes.into_response();
            set(response.headers_mut(), CONTENT_TYPE, &asset.mime);
            if let Some(name) = encoding.name() {
                set(response.headers_mut(), CONTENT_ENCODING, name);
            }
            response
        };
        let caching = if immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        set(response.headers_mut(), CACHE_CONTROL, caching);
        set(response.headers_mut(), ETAG, &tag);
        set(response.headers_mut(), VARY, "accept-encoding");
        response
    }

    fn secure(&self, headers: &mut HeaderMap) {
        let own = self.assets.policy();
        set(
            headers,
            CONTENT_SECURITY_POLICY,
            own.as_deref().unwrap_or(DEFAULT_POLICY),
        );
        // Who reads which post is nobody else's business.
        set(headers, REFERRER_POLICY, "no-referrer");
        set(
            headers,
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        );
        set(
            headers,
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        );
    }
}

fn not_built() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, NOT_BUILT).into_response()
}

/// A value that is no header value is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Somebody opens a place in the app, rather than a program asking for a file.
fn is_navigation(path: &str, headers: &HeaderMap) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let accepted = headers
        .get(ACCEPT)
        .map(|value| value.to_str().unwrap_or_default());
    let by_browser = headers
        .get("sec-fetch-mode")
        .map(|mode| mode.as_bytes() == b"navigate");
    // A service worker that passes a navigation on asks in mode `same-origin`; it still accepts what a page is.
    let html = accepted.is_some_and(|types| types.contains("text/html"));
    let wants_page = by_browser
        .map(|navigates| navigates || html)
        .unwrap_or_else(|| accepted.is_none_or(|types| types.contains("text/html") || types.contains("*/*")));
    !last.contains('.') && wants_page
}

/// Trunk's names: `client-0123456789abcdef.js`, `client-0123456789abcdef_bg.wasm`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split(['-', '_', '.']).skip(1).any(|part| {
        part.len() >= NAME_HASH_DIGITS_MIN
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            && part.bytes().any(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::{App, DEFAULT_POLICY, is_hashed};
    use axum::body::to_bytes;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use axum::response::Response;

    struct Fixture {
        dir: tempfile::TempDir,
        app: App,
    }

    const SCRIPT: &str = "client-0123456789abcdef.js";

    fn built() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("index.html", &"<p>the app</p>".repeat(100));
        write("sw.js", "//");
        write(SCRIPT, &"go();".repeat(1_000));
        write("csp.txt", "default-src 'self';\n  script-src 'self'\n");
        let app = App::in_folder(dir.path());
        Fixture { dir, app }
    }

    impl Fixture {
        fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Response {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect();
            self.app.respond(path, &headers)
        }
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.into()).unwrap()
    }

    #[tokio::test]
    async fn links_into_the_app_open_its_start_page() {
        let app = built();
        for path in [
            "/",
            "/u/abc",
            "/p/abc/def",
            "/settings",
            "/@ada.l/",
            "/why-they-flock/",
        ] {
            let response = app.get(path, &[("accept", "text/html,*/*;q=0.8")]);
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
            assert_eq!(header(&response, "cache-control"), "no-cache");
            assert!(text(response).await.contains("the app"));
        }
        assert_eq!(app.get("/u/abc", &[("sec-fetch-mode", "cors")]).status(), 404);
        assert_eq!(app.get("/u/abc", &[("accept", "application/json")]).status(), 404);
        assert_eq!(app.get("/missing.js", &[]).status(), 404);
        assert_eq!(app.get("/../secret.txt", &[]).status(), 404);
    }

    #[test]
    fn every_answer_is_secured() {
        let app = built();
        let response = app.get("/", &[]);
        assert_eq!(
            header(&response, "content-security-policy"),
            "default-src 'self'; script-src 'self'"
        );
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        assert_eq!(app.get("/csp.txt", &[]).status(), 404);
        std::fs::remove_file(app.dir.path().join("csp.txt")).unwrap();
        assert_eq!(
            header(&app.get("/", &[]), "content-security-policy"),
            DEFAULT_POLICY
        );
    }

    #[test]
    fn hashed_names_are_kept_for_ever_and_others_asked_for_again() {
        let app = built();
        let script = app.get(&format!("/{SCRIPT}"), &[]);
        assert_eq!(
            header(&script, "cache-control"),
            "public, max-age=31536000, immutable"
        );
        let worker = app.get("/sw.js", &[]);
        assert_eq!(header(&worker, "cache-control"), "no-cache");
        let tag = header(&worker, "etag").to_owned();
        let again = app.get("/sw.js", &[("if-none-match", &tag)]);
        assert_eq!(again.status(), 304);
        assert_eq!(header(&again, "etag"), tag);
        std::fs::write(app.dir.path().join("sw.js"), "// new").unwrap();
        assert_eq!(app.get("/sw.js", &[("if-none-match", &tag)]).status(), 200);
        assert!(is_hashed("client-0123456789abcdef_bg.wasm"));
        assert!(!is_hashed("build.json") && !is_hashed("icons/icon-512.png") && !is_hashed("worker.js"));
    }

    #[tokio::test]
    async fn compression_is_agreed_on() {
        let app = built();
        let plain = app.get(&format!("/{SCRIPT}"), &[]);
        assert_eq!(header(&plain, "content-encoding"), "");
        let brotli = app.get(&format!("/{SCRIPT}"), &[("accept-encoding", "gzip, br")]);
        assert_eq!(header(&brotli, "content-encoding"), "br");
        assert_eq!(header(&brotli, "vary"), "accept-encoding");
        assert_ne!(header(&brotli, "etag"), header(&plain, "etag"));
        let small = to_bytes(brotli.into_body(), usize::MAX).await.unwrap();
        assert!(small.len() < 200);
        let gzip = app.get(&format!("/{SCRIPT}"), &[("accept-encoding", "gzip")]);
        assert_eq!(header(&gzip, "content-encoding"), "gzip");
        let tiny = app.get("/sw.js", &[("accept-encoding", "br")]);
        assert_eq!(header(&tiny, "content-encoding"), "", "not worth it");
        // Compressed when it was built.
        std::fs::write(app.dir.path().join("made.js"), " ".repeat(1_000)).unwrap();
        std::fs::write(app.dir.path().join("made.js.br"), "made before").unwrap();
        let made = app.get("/made.js", &[("accept-encoding", "br")]);
        assert_eq!(header(&made, "content-encoding"), "br");
        assert_eq!(text(made).await, "made before");
    }

    #[test]
    fn prepared_files_are_compressed_as_well_as_possible() {
        let app = built();
        std::fs::create_dir(app.dir.path().join("icons")).unwrap();
        std::fs::write(app.dir.path().join("icons/a.svg"), "<svg/>".repeat(500)).unwrap();
        app.app.prepare();
        let icon = app.get("/icons/a.svg", &[("accept-encoding", "br")]);
        assert_eq!(header(&icon, "content-encoding"), "br");
    }

    #[tokio::test]
    async fn without_an_app_it_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::in_folder(dir.path());
        assert!(!app.is_built());
        let page = app.respond("/", &HeaderMap::new());
        assert_eq!(page.status(), 200);
        assert_eq!(header(&page, "content-security-policy"), DEFAULT_POLICY);
        assert!(text(page).await.contains("scripts/run"));
    }
}
