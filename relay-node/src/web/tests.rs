//! The routers as they are served: every route of every listener.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, IF_NONE_MATCH,
};
use axum::http::{Method, Request, Version};
use axum::response::Response;
use engine::api::Query;
use engine::io::Config;
use protocol::pages::{ROUTES, SERVICES};
use protocol::{AccountId, EntryId, KeyPair};
use signaling::{ConnectionGuard, GuardConfig};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::admin::{Admin, Setup, keys::Keys};
use super::error::Problem;
use super::policy::{APP_DEFAULT, Policy};
use super::site::App;
use super::{
    About, Control, Web, Weights, admin, api, control, health, metrics, metrics_router, without_signal,
};
use crate::config::{RegistryBackend, RelayRole};
use crate::health::HealthMonitor;
use crate::websocket;
use native::driver::{self, DriverHandle, DriverThread};
use native::network::AddressBook;
use native::store::Store;

/// A relay's routers over a running engine with an empty store.
struct Fixture {
    dir: TempDir,
    routes: Router,
    metrics: Router,
    /// Ends the engine when it is dropped.
    _thread: DriverThread,
}

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn engine_in(dir: &TempDir) -> (DriverHandle, DriverThread) {
    let store = Store::open(dir.path(), 1 << 20).unwrap();
    let (book, _dials) = AddressBook::open(Vec::new());
    let config = Config::relay(KeyPair::from_seed(&[1; 32]));
    let (driver, thread) = driver::start(driver::Options::new(config, [7; 32], store, book)).unwrap();
    // Answered when the store is read.
    driver
        .request(engine::api::Request::Query(Query::Network))
        .await
        .unwrap();
    (driver, thread)
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (driver, thread) = engine_in(&dir).await;
    let site = dir.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), "<p>the app</p>").unwrap();
    let about = About {
        peer: "abc".to_owned(),
        version: "1.0".to_owned(),
        name: "Relay".to_owned(),
        routing: Weights::default(),
    };
    let setup = Setup {
        data_dir: dir.path().to_owned(),
        roles: vec![RelayRole::Web],
        registry: RegistryBackend::Embedded,
        url: "http://localhost:1".parse().unwrap(),
        key: protocol::PeerId([9; 32]),
    };
    let keys = Arc::new(Keys::open(dir.path()).unwrap());
    let admin = || {
        let (keys, driver, about) = (Arc::clone(&keys), driver.clone(), about.clone());
        Admin::new(
            keys,
            HealthMonitor::new(driver, None, false),
            about,
            setup.clone(),
            GuardConfig::default(),
        )
    };
    let health = HealthMonitor::new(driver.clone(), None, false);
    health.ask().await;
    let sockets = websocket::router(driver.clone(), ConnectionGuard::new(GuardConfig::default()));
    let web = Web {
        about: about.clone(),
        driver: driver.clone(),
        health: health.clone(),
        app: Some(Arc::new(App::in_folder(&site))),
        admin: Some(admin()),
        control: Some(Control::open(driver.clone(), dir.path()).unwrap()),
        guard: ConnectionGuard::new(GuardConfig::default()),
    };
    Fixture {
        routes: web.router(sockets.merge(without_signal())),
        metrics: metrics_router(health, Some(admin()), signaling::sockets::SocketBudget::default()),
        dir,
        _thread: thread,
    }
}

fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, "relay.example");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let remote = SocketAddr::from(([127, 0, 0, 1], 50_000));
    request
        .extension(ConnectInfo(remote))
        .body(Body::empty())
        .unwrap()
}

async fn ask(router: &Router, method: &Method, path: &str, headers: &[(&str, &str)]) -> Response {
    router
        .clone()
        .oneshot(request(method, path, headers))
        .await
        .unwrap()
}

async fn get(router: &Router, path: &str) -> Response {
    ask(router, &Method::GET, path, &[]).await
}

async fn problem(response: Response) -> Problem {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// An address of a route.
fn example(route: &str) -> String {
    route
        .replace("{account}", &AccountId([1; 32]).to_string())
        .replace("{entry}", &EntryId([2; 32]).to_string())
        // Longer than any name: a lookup would wait for a registry.
        .replace("{name}", &"a".repeat(1_000))
        .replace("{*rest}", "nothing/here")
}

/// Addresses with the policy they must have.
type Routes = Vec<(String, Policy)>;

/// Every route of the two listeners.
fn all_routes() -> (Routes, Routes) {
    let of = |paths: Vec<&'static str>, policy: &Policy| -> Routes {
        paths
            .into_iter()
            .map(|path| (example(path), policy.clone()))
            .collect()
    };
    let admin = || {
        of(
            admin::routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Admin,
        )
    };
    let app = Policy::App(APP_DEFAULT);
    let routes = [
        of(
            api::routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Api,
        ),
        of(
            api::held_routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Api,
        ),
        of(
            health::routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Plain,
        ),
        of(
            control::routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Plain,
        ),
        admin(),
        of(
            vec!["/link", "/signal", "/missing.js", "/.git/config"],
            &Policy::Plain,
        ),
        of(vec!["/", "/explore", "/@ada", "/index.html"], &app),
    ];
    let metrics = [
        of(
            metrics::routes().into_iter().map(|(path, _)| path).collect(),
            &Policy::Plain,
        ),
        admin(),
        of(vec!["/", "/explore"], &Policy::Plain),
    ];
    (routes.concat(), metrics.concat())
}

fn check_headers(what: &str, response: &Response, policy: &Policy) {
    let headers = response.headers();
    for (name, value) in policy.headers() {
        let all: Vec<_> = headers.get_all(&name).iter().collect();
        assert_eq!(all, [&value], "{what}: {name}");
    }
    if *policy != Policy::Api {
        assert!(!headers.contains_key("access-control-allow-origin"), "{what}");
    }
    assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1, "{what}");
}

async fn check_route(router: &Router, path: &str, policy: &Policy) {
    for method in [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::OPTIONS,
        Method::DELETE,
    ] {
        for accept in ["*/*", BROWSER] {
            let what = format!("{method} {path} for {accept}");
            let response = ask(router, &method, path, &[(ACCEPT.as_str(), accept)]).await;
            let status = response.status();
            let content_type = text(response.headers(), CONTENT_TYPE).to_owned();
            let failed = status.as_u16() >= 400;
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let page = content_type
                .starts_with("text/html")
                .then(|| String::from_utf8_lossy(&body).into_owned());
            let expected = match (&page, policy) {
                // A page with its style inside, whichever route it is for.
                (Some(page), _) if page.contains("<style>") => &Policy::Page,
                // Without a body the two cannot be distinguished.
                (Some(page), _) if page.is_empty() && accept == BROWSER && failed => continue,
                // The app's policy is for its files.
                (_, Policy::App(_)) if failed => &Policy::Plain,
                (_, policy) => policy,
            };
            let response = Response::from_parts(parts, Body::from(body));
            check_headers(&what, &response, expected);
            if status == 405 {
                assert!(!text(response.headers(), ALLOW).is_empty(), "{what}: no Allow");
            }
            if failed && page.is_none() {
                assert_eq!(content_type, "application/problem+json", "{what}");
                if method != Method::HEAD {
                    assert_eq!(problem(response).await.status, status.as_u16(), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_route_has_its_policy_and_fails_with_a_document_or_a_page() {
    let fixture = fixture().await;
    let (routes, metrics) = all_routes();
    assert!(routes.len() > 20 && metrics.len() > 8);
    for (path, policy) in routes {
        check_route(&fixture.routes, &path, &policy).await;
    }
    for (path, policy) in metrics {
        check_route(&fixture.metrics, &path, &policy).await;
    }
}

#[tokio::test]
async fn commands_of_this_machine_need_the_token_of_this_start() {
    let fixture = fixture().await;
    let with = |token: &str| format!("Bearer {token}");
    let token = control::token(fixture.dir.path()).unwrap();
    let members = "/admin/control/members";
    for (path, sent, status) in [
        (members, None, 401),
        (members, Some(with("")), 401),
        (members, Some(with(&token[1..])), 401),
        (members, Some(token.clone()), 401),
        (members, Some(with(&token)), 200),
    ] {
        let headers: Vec<(&str, &str)> = sent.iter().map(|sent| ("authorization", sent.as_str())).collect();
        let answer = ask(&fixture.routes, &Method::GET, path, &headers).await;
        assert_eq!(answer.status(), status, "{sent:?}");
    }
    let expel = "/admin/control/expel";
    let refused = ask(&fixture.routes, &Method::POST, expel, &[]).await;
    assert_eq!(refused.status(), 401);
    let bearer = with(&token);
    let no_key = ask(
        &fixture.routes,
        &Method::POST,
        expel,
        &[("authorization", &bearer)],
    )
    .await;
    assert_eq!(no_key.status(), 400, "the body is no key");
}

#[test]
fn no_slug_of_a_post_can_take_the_address_of_a_route() {
    let (routes, metrics) = all_routes();
    let app = Policy::App(APP_DEFAULT);
    let of_relay = routes.iter().filter(|(_, policy)| *policy != app);
    // The listener for metrics answers the app's addresses too: that they are not there.
    let of_metrics = metrics
        .iter()
        .filter(|(path, _)| !ROUTES.contains(&path.as_str()));
    for (path, _) in of_relay.chain(of_metrics) {
        let first = path.split('/').nth(1).unwrap();
        // A slug has no full stop, so it cannot be the name of a file.
        let reserved = first.contains('.') || SERVICES.contains(&first);
        assert!(
            reserved,
            "{path}: {first:?} is missing in protocol::pages::SERVICES"
        );
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let fixture = fixture().await;
    let (routes, metrics) = all_routes();
    let all = routes
        .iter()
        .map(|(path, _)| (&fixture.routes, path))
        .chain(metrics.iter().map(|(path, _)| (&fixture.metrics, path)));
    for (router, path) in all {
        if path == "/link" {
            // Opened by GET alone.
            continue;
        }
        let (get, head) = (
            get(router, path).await,
            ask(router, &Method::HEAD, path, &[]).await,
        );
        assert_eq!(head.status(), get.status(), "{path}");
        for name in [CONTENT_TYPE, CACHE_CONTROL] {
            assert_eq!(
                text(head.headers(), name.clone()),
                text(get.headers(), name),
                "{path}"
            );
        }
        // Metrics and the admin page change from one moment to the next.
        if !path.ends_with("metrics") && !path.starts_with("/admin") && get.status() == 200 {
            let length = |response: &Response| text(response.headers(), CONTENT_LENGTH).to_owned();
            assert_eq!(length(&head), length(&get), "{path}");
        }
        let body = to_bytes(head.into_body(), usize::MAX).await.unwrap();
        assert!(body.is_empty(), "{path}: {body:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let fixture = fixture().await;
    for path in [
        "/.git/config",
        "/.env",
        "/metrics",
        "/metrics/",
        "/api",
        "/api/",
        "/api/nothing",
        "/%2e%2e/etc/passwd",
        "/csp.txt",
        "/signal",
    ] {
        for accept in ["*/*", BROWSER] {
            let response = ask(&fixture.routes, &Method::GET, path, &[("accept", accept)]).await;
            assert_eq!(response.status(), 404, "{path} for {accept}");
        }
    }
    assert_eq!(get(&fixture.metrics, "/metrics").await.status(), 200);
    assert_eq!(get(&fixture.metrics, "/api/relay").await.status(), 404);
}

#[tokio::test]
async fn a_request_needs_exactly_one_host_unless_it_is_older_than_that() {
    let fixture = fixture().await;
    let check = async |version: Version, hosts: &[&str], status: u16| {
        let mut request = request(&Method::GET, "/healthz", &[]);
        *request.version_mut() = version;
        request.headers_mut().remove(HOST);
        for host in hosts {
            request.headers_mut().append(HOST, host.parse().unwrap());
        }
        let response = fixture.routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{version:?} {hosts:?}");
        if status == 400 {
            assert!(problem(response).await.detail.unwrap().contains("Host"));
        }
    };
    check(Version::HTTP_11, &["relay.example:8080"], 200).await;
    check(Version::HTTP_11, &[], 400).await;
    check(Version::HTTP_11, &["a.example", "b.example"], 400).await;
    check(Version::HTTP_11, &["a b"], 400).await;
    check(Version::HTTP_10, &[], 200).await;
}

#[tokio::test]
async fn only_reading_is_possible_and_the_answer_says_so() {
    let fixture = fixture().await;
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/missing.js", "GET, HEAD"),
        ("/api/relay", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
        ("/link", "GET"),
        ("/admin/claim", "GET,HEAD,POST"),
        ("/admin/leave", "POST"),
    ] {
        let response = ask(&fixture.routes, &Method::PUT, path, &[]).await;
        assert_eq!(
            (response.status().as_u16(), text(response.headers(), ALLOW)),
            (405, allowed),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_not_held_is_not_found_and_what_is_no_id_is_refused() {
    let fixture = fixture().await;
    let (account, entry) = (AccountId([1; 32]), EntryId([2; 32]));
    for (path, status, detail) in [
        (
            format!("/api/profile/{account}"),
            404,
            "holds nothing of this account",
        ),
        (
            format!("/api/timeline/account/{account}"),
            404,
            "holds nothing of this account",
        ),
        (
            format!("/api/thread/{account}/{entry}"),
            404,
            "does not hold this post",
        ),
        ("/api/profile/ada".to_owned(), 400, "not the id of an account"),
        ("/api/replicas/ada".to_owned(), 400, "not the id of an account"),
        (format!("/api/thread/{account}/1"), 400, "not the id of an entry"),
        ("/api/timeline/public?limit=0".to_owned(), 400, "from 1 to 100"),
        ("/api/timeline/public?limit=101".to_owned(), 400, "from 1 to 100"),
        (
            "/api/timeline/public?cursor=%2F".to_owned(),
            400,
            "not the cursor",
        ),
        (format!("/api/names/{}", "a".repeat(1_000)), 400, "too long"),
    ] {
        let response = get(&fixture.routes, &path).await;
        assert_eq!(response.status(), status, "{path}");
        let said = problem(response).await.detail.unwrap();
        assert!(said.contains(detail), "{path}: {said}");
    }
    let empty = get(&fixture.routes, "/api/timeline/public").await;
    assert_eq!(empty.status(), 200);
    let empty = to_bytes(empty.into_body(), usize::MAX).await.unwrap();
    assert_eq!(&empty[..], br#"{"posts":[],"next":null}"#);
    assert_eq!(
        get(&fixture.routes, "/api/timeline/public?limit=many")
            .await
            .status(),
        400
    );
}

#[tokio::test]
async fn a_client_that_requests_too_much_waits_and_no_other_does() {
    let fixture = fixture().await;
    let path = format!("/api/profile/{}", AccountId([1; 32]));
    let from = async |address: &str| {
        let headers = [("x-forwarded-for", address)];
        ask(&fixture.routes, &Method::GET, &path, &headers).await
    };
    let mut refused = None;
    for n in 0..1_000 {
        let response = from("203.0.113.9").await;
        if response.status() == 429 {
            assert!(response.headers().contains_key("retry-after"));
            refused = Some(n);
            break;
        }
    }
    assert!(refused.is_some_and(|n| n >= 200), "{refused:?}");
    assert_eq!(from("203.0.113.10").await.status(), 404);
    assert_eq!(
        get(&fixture.routes, &path).await.status(),
        404,
        "programs on this machine"
    );
}

#[tokio::test]
async fn a_file_that_is_known_is_not_sent_again() {
    let fixture = fixture().await;
    let first = get(&fixture.routes, "/index.html").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = [(IF_NONE_MATCH.as_str(), tag.as_str())];
    let again = ask(&fixture.routes, &Method::GET, "/index.html", &again).await;
    assert_eq!(again.status(), 304);
    check_headers("304", &again, &Policy::App(APP_DEFAULT));
    assert!(!again.headers().contains_key(CONTENT_TYPE));
    assert!(fixture.dir.path().join("site/index.html").exists());
}
