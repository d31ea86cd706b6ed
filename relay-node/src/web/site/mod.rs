//! The app's files over HTTP: types, compressed variants, caching, and the start page for links into the app.

mod assets;

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use protocol::pages::SERVICES;

use super::error::WebError;
use super::negotiate::Encoding;
use super::pages;
use super::policy::{APP_DEFAULT, Caching, Policy};
pub use assets::EmbeddedFiles;
use assets::{Asset, Assets};

/// What links into the app are answered with.
const START_PAGE: &str = "index.html";

/// Hexadecimal digits that make a name unmistakably one that changes with its content.
const NAME_HASH_DIGITS_MIN: usize = 12;

/// The app, ready to be served.
#[derive(Debug)]
pub struct App {
    assets: Assets,
}

/// Everything that no other route serves: the app's files and pages. `None`: the relay serves no app.
pub(crate) async fn serve(
    State(app): State<Option<Arc<App>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(WebError::ReadOnly);
    }
    let app = app.ok_or(WebError::NotFound(
        "this relay serves no app: it has not the role web",
    ))?;
    // Files are read here.
    tokio::task::spawn_blocking(move || app.respond(uri.path(), &headers))
        .await
        .unwrap_or(Err(WebError::Unexpected))
}

impl App {
    /// The app in `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            assets: Assets::in_folder(folder),
        }
    }

    /// The app in this program.
    #[must_use]
    pub fn embedded(files: EmbeddedFiles) -> Self {
        Self {
            assets: Assets::embedded(files),
        }
    }

    /// Whether there is an app at all.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.assets.get(START_PAGE).is_some()
    }

    /// The answer to `GET path`. May read files: not for async threads.
    fn respond(&self, path: &str, headers: &HeaderMap) -> Result<Response, WebError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut response = if let Some(asset) = self.assets.get(path) {
            file(&asset, is_hashed(path), headers)
        } else if is_page(path) && wants_page(headers) {
            match self.assets.get(START_PAGE) {
                Some(page) => file(&page, false, headers),
                None => return Ok(pages::not_built()),
            }
        } else {
            return Err(WebError::NotFound("there is no such file"));
        };
        response.extensions_mut().insert(Policy::App(self.policy()));
        Ok(response)
    }

    fn policy(&self) -> HeaderValue {
        let own = self.assets.policy();
        own.and_then(|policy| HeaderValue::from_str(&policy).ok())
            .unwrap_or(APP_DEFAULT)
    }
}

fn file(asset: &Asset, immutable: bool, headers: &HeaderMap) -> Response {
    let encoding = Encoding::choose(headers, |encoding| asset.body(encoding).is_some());
    let tag = match encoding.name() {
        Some(name) => format!("\"{}-{name}\"", asset.hash),
        None => format!("\"{}\"", asset.hash),
    };
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = asset.body(encoding).cloned().unwrap_or_default().into_response();
        set(response.headers_mut(), CONTENT_TYPE, &asset.mime);
        if let Some(name) = encoding.name() {
            set(response.headers_mut(), CONTENT_ENCODING, name);
        }
        response
    };
    set(response.headers_mut(), ETAG, &tag);
    if asset.varies() {
        set(response.headers_mut(), VARY, "accept-encoding");
    }
    let caching = if immutable {
        Caching::Immutable
    } else {
        Caching::Revalidate
    };
    (caching, response).into_response()
}

/// Whether the client has this representation (RFC 9110 section 13.1.2, by weak comparison).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// A value that is no header value is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether the app may have a page at this path: it is neither a file's, nor a hidden one's, nor one of the relay's own. Handles
/// have dots as names of files do.
fn is_page(path: &str) -> bool {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_handle = rest.is_empty() && (first.starts_with('@') || first.starts_with("%40"));
    !SERVICES.contains(&first) && (is_handle || !last.contains('.')) && !path.split('/').any(is_hidden)
}

/// A dot in front, spelled out or percent-encoded.
fn is_hidden(segment: &str) -> bool {
    let encoded = segment
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("%2e"));
    segment.starts_with('.') || encoded
}

/// A browser opens a page, rather than a program requesting a file.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(ACCEPT)
        .map(|value| value.to_str().unwrap_or_default());
    let by_browser = headers
        .get("sec-fetch-mode")
        .map(|mode| mode.as_bytes() == b"navigate");
    // A service worker that passes a navigation on requests it in mode `same-origin`; it still accepts what a page is.
    let html = accepted.is_some_and(|types| types.contains("text/html"));
    by_browser
        .map(|navigates| navigates || html)
        .unwrap_or_else(|| accepted.is_none_or(|types| html || types.contains("*/*")))
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
    use super::{APP_DEFAULT, App, Policy, Response, WebError, is_hashed, is_page};
    use axum::body::to_bytes;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

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
        write(&format!("{SCRIPT}.br"), "by brotli");
        write(&format!("{SCRIPT}.gz"), "by gzip");
        write("csp.txt", "default-src 'self';\n  script-src 'self'\n");
        let app = App::in_folder(dir.path());
        Fixture { dir, app }
    }

    impl Fixture {
        fn ask(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Response, WebError> {
            let headers = headers.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            });
            self.app.respond(path, &headers.collect::<HeaderMap>())
        }

        fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Response {
            self.ask(path, headers)
                .unwrap_or_else(|error| panic!("{path}: {error}"))
        }

        fn is_missing(&self, path: &str, headers: &[(&'static str, &str)]) -> bool {
            matches!(self.ask(path, headers), Err(WebError::NotFound(_)))
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

    const BROWSER: &[(&str, &str)] = &[("accept", "text/html,*/*;q=0.8")];

    #[tokio::test]
    async fn links_into_the_app_open_its_start_page() {
        let app = built();
        for path in [
            "/",
            "/u/abc",
            "/p/abc/def",
            "/settings",
            "/@ada.l/",
            "/@ada.l",
            "/%40ada.l",
            "/why-they-flock/",
        ] {
            let response = app.get(path, BROWSER);
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
            assert_eq!(header(&response, "cache-control"), "no-cache");
            assert!(text(response).await.contains("the app"));
        }
        assert!(app.is_missing("/u/abc", &[("sec-fetch-mode", "cors")]));
        assert!(app.is_missing("/u/abc", &[("accept", "application/json")]));
        assert!(app.is_missing("/missing.js", &[]));
        assert!(app.is_missing("/../secret.txt", &[]));
    }

    #[test]
    fn hidden_paths_and_those_of_the_relay_are_no_pages() {
        let app = built();
        for path in [
            "/.git/config",
            "/.env",
            "/.well-known/security",
            "/a/.hidden/b",
            "/%2egit/config",
            "/%2Egit/",
            "/metrics",
            "/metrics/",
            "/api",
            "/signal/more",
            "/link/",
        ] {
            assert!(app.is_missing(path, BROWSER), "{path}");
        }
        assert!(!is_page("@a.b/c.js") && !is_page("a.b") && !is_page("u/@a.b"));
        assert!(is_page("@a.b/") && is_page("%40ada") && is_page("apis") && is_page(""));
    }

    #[test]
    fn the_policy_is_the_one_of_the_build() {
        let app = built();
        let policy = |response: &Response| response.extensions().get::<Policy>().cloned();
        let own = HeaderValue::from_static("default-src 'self'; script-src 'self'");
        assert_eq!(policy(&app.get("/", &[])), Some(Policy::App(own)));
        assert!(app.is_missing("/csp.txt", &[]));
        std::fs::remove_file(app.dir.path().join("csp.txt")).unwrap();
        assert_eq!(policy(&app.get("/", &[])), Some(Policy::App(APP_DEFAULT)));
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
        assert_eq!(header(&again, "cache-control"), "no-cache");
        let weak = format!("\"other\", W/{tag}");
        assert_eq!(app.get("/sw.js", &[("if-none-match", &weak)]).status(), 304);
        std::fs::write(app.dir.path().join("sw.js"), "// new").unwrap();
        assert_eq!(app.get("/sw.js", &[("if-none-match", &tag)]).status(), 200);
        assert!(is_hashed("client-0123456789abcdef_bg.wasm"));
        assert!(!is_hashed("build.json") && !is_hashed("icons/icon-512.png") && !is_hashed("worker.js"));
    }

    #[tokio::test]
    async fn the_variant_is_the_one_the_client_accepts_and_has_a_tag_of_its_own() {
        let app = built();
        let get = |accepts: &str| app.get(&format!("/{SCRIPT}"), &[("accept-encoding", accepts)]);
        let mut tags = Vec::new();
        for (accepts, encoding, body) in [
            ("identity", "", "go();"),
            ("gzip, br", "br", "by brotli"),
            ("gzip, br;q=0.5", "gzip", "by gzip"),
        ] {
            let response = get(accepts);
            assert_eq!(header(&response, "content-encoding"), encoding, "{accepts}");
            assert_eq!(header(&response, "vary"), "accept-encoding");
            assert_eq!(
                header(&response, "content-type"),
                "text/javascript; charset=utf-8"
            );
            tags.push(header(&response, "etag").to_owned());
            assert!(text(response).await.starts_with(body), "{accepts}");
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3);
        let plain = app.get("/sw.js", &[("accept-encoding", "br")]);
        assert_eq!(
            (header(&plain, "content-encoding"), header(&plain, "vary")),
            ("", "")
        );
        assert!(app.is_missing(&format!("/{SCRIPT}.br"), &[]));
    }

    #[tokio::test]
    async fn without_an_app_it_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::in_folder(dir.path());
        assert!(!app.is_built());
        let page = app.respond("/", &HeaderMap::new()).unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(page.extensions().get(), Some(&Policy::Page));
        assert!(text(page).await.contains("scripts/run"));
    }
}
