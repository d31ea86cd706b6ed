//! What is asked of the admin page, and what is done about it.
//!
//! - `/admin`: how the relay is; without a session, how to get one (401);
//! - `/admin/claim`: asks, by GET, and makes the browser the admin, by POST: whoever only looks at an address, as previews of
//!   links do, uses no token up;
//! - `/admin/drain`: asks, and has the relay hand its share over;
//! - `/admin/leave`: ends the session, or all others.
//!
//! Invariants: nothing is changed but by a POST from a page of this relay (`Origin`, `SameSite=Strict`, and a token in the form
//! that only pages made for the session have); what each address may try is bounded per minute.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, FromRequestParts, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use engine::api::{Query as Ask, RelayState, Reply};
use protocol::directory::role;
use serde::Deserialize;
use signaling::{Door, DoorConfig};

use super::keys::{self, Keys};
use super::{Setup, page};
use crate::commands::drain::drain;
use crate::web::About;
use crate::web::rate_limit::AddressRateLimiter;
use native::driver::DriverHandle;

/// Longest form taken; the longest there is has 150 bytes.
const FORM_BYTES_MAX: usize = 4_096;
/// Requests an address may make in a minute. A page and its style are two.
const PER_MINUTE: u32 = 120;
/// Requests of one address at a time.
const AT_ONCE_MAX: usize = 16;

const COOKIE_NAME: &str = "starling-admin";

/// No script, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Everything the page needs.
#[derive(Clone, Debug)]
pub struct Admin {
    keys: Arc<Keys>,
    driver: DriverHandle,
    about: About,
    setup: Arc<Setup>,
    door: Door,
    tries: Arc<AddressRateLimiter>,
}

impl Admin {
    /// For a relay that is reached as `door` says.
    #[must_use]
    pub fn new(keys: Arc<Keys>, driver: DriverHandle, about: About, setup: Setup, door: DoorConfig) -> Self {
        // Pages of other origins have no part in this, whoever else may open sockets.
        let door = Door::new(DoorConfig {
            allowed_origins: Vec::new(),
            sockets_per_address_max: AT_ONCE_MAX,
            ..door
        });
        Self {
            keys,
            driver,
            about,
            setup: Arc::new(setup),
            door,
            tries: Arc::new(AddressRateLimiter::new(PER_MINUTE)),
        }
    }
}

/// `/admin` and everything below it.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/admin", get(overview))
        .route("/admin/", get(async || to("/admin")))
        .route("/admin/claim", get(ask_claim).post(claim))
        .route("/admin/drain", get(ask_drain).post(begin_drain))
        .route("/admin/leave", post(leave))
        .route("/admin/style.css", get(style))
        .route("/admin/{*rest}", any(async || page::missing()))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(admin.clone(), guard))
        .with_state(admin)
}

/// At the door: the host it was asked by, the page it was asked from, and how often.
async fn guard(
    State(admin): State<Admin>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admin.door.admit(remote, request.headers()) {
        Err(refused) => refused.into_response(),
        Ok(admitted) if !admin.tries.take(admitted.address) => page::sorry(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests",
            "Wait a minute, then try again.",
        ),
        // The place is kept until the answer is there.
        Ok(_admitted) => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        // Not to others; and forms need an origin, which "no-referrer" would take from them.
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The session of whoever asks. Without one the answer is how to get one.
struct Session(String);

impl FromRequestParts<Admin> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Response> {
        session(&parts.headers, &admin.keys)
            .map(Self)
            .ok_or_else(page::stranger)
    }
}

/// The admin's session among the cookies of a request.
#[must_use]
pub fn session(headers: &HeaderMap, keys: &Keys) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
        .find(|token| keys.is_session(token))
        .map(str::to_owned)
}

/// The cookie goes over TLS alone if this page came over TLS. A proxy says so; and so does the browser, of its own page.
fn is_secure(headers: &HeaderMap) -> bool {
    let starts = |name: &str, with: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(with))
    };
    starts(ORIGIN.as_str(), "https://") || starts("x-forwarded-proto", "https")
}

fn cookie(headers: &HeaderMap, value: &str, seconds: u64) -> String {
    let secure = if is_secure(headers) { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/admin; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn to(place: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

fn failed(error: &std::io::Error) -> Response {
    tracing::error!(%error, "what the admin asked for is not on the disk");
    let text = "The disk did not take it; the relay's log says why. Nothing was changed, except that a one-time address may be used \
        up: relay-node admin-url makes another.";
    page::sorry(StatusCode::INTERNAL_SERVER_ERROR, "That did not work", text)
}

/// What writes to the disk waits for it, away from everybody else.
async fn on_disk<T: Send + 'static>(
    keys: &Arc<Keys>,
    work: impl FnOnce(&Keys) -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let keys = Arc::clone(keys);
    let done = tokio::task::spawn_blocking(move || work(&keys)).await;
    done.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)))
}

#[derive(Debug, Deserialize)]
struct Claim {
    #[serde(default)]
    token: String,
}

async fn ask_claim(State(admin): State<Admin>, Query(Claim { token }): Query<Claim>) -> Response {
    let shown = token.clone();
    match on_disk(&admin.keys, move |keys| Ok(keys.is_claim(&token))).await {
        Ok(true) => page::claim(&admin.about, &shown),
        Ok(false) => page::used_up(),
        Err(error) => failed(&error),
    }
}

async fn claim(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Form(Claim { token }): Form<Claim>,
) -> Response {
    match on_disk(&admin.keys, move |keys| keys.claim(&token)).await {
        Ok(Some(session)) => {
            tracing::info!("a browser became the admin of this relay");
            let cookie = cookie(&headers, &session, keys::SESSION.as_secs());
            ([(SET_COOKIE, cookie)], to("/admin")).into_response()
        }
        Ok(None) => page::used_up(),
        Err(error) => failed(&error),
    }
}

async fn overview(State(admin): State<Admin>, Session(session): Session) -> Response {
    let view = match admin.driver.ask(Ask::Network).await {
        Some(Reply::Network(view)) => Some(view),
        _ => None,
    };
    let folder = admin.setup.data_dir.clone();
    let disk = tokio::task::spawn_blocking(move || page::Disk::of(&folder)).await;
    let whole = page::Overview {
        about: &admin.about,
        setup: &admin.setup,
        ready: admin.driver.is_ready(),
        repair: admin.driver.repair(),
        relays: admin.driver.relays(),
        view,
        disk: disk.unwrap_or_default(),
        admins: admin.keys.count(),
        others: others(&admin.driver),
        form: keys::form_token(&session),
    };
    whole.render()
}

/// Relays that could take this one's share.
fn others(driver: &DriverHandle) -> usize {
    let relays = driver.relays();
    let can = relays.iter().filter(|relay| {
        let does = &relay.description;
        !relay.this && relay.state == RelayState::Alive && does.roles & role::WORKER != 0 && does.capacity > 0
    });
    can.count()
}

/// What a form of the page carries.
#[derive(Debug, Deserialize)]
struct Act {
    #[serde(default)]
    form: String,
    #[serde(default)]
    others: bool,
}

impl Act {
    /// Whether the form is from a page made for this session.
    fn is_from(&self, session: &str) -> bool {
        keys::is_form_token(session, &self.form)
    }
}

async fn ask_drain(State(admin): State<Admin>, Session(session): Session) -> Response {
    match others(&admin.driver) {
        0 => nobody_takes_it(),
        n => page::drain(&admin.about, n, &keys::form_token(&session)),
    }
}

async fn begin_drain(
    State(admin): State<Admin>,
    Session(session): Session,
    Form(act): Form<Act>,
) -> Response {
    if !act.is_from(&session) {
        return foreign();
    }
    if others(&admin.driver) == 0 {
        return nobody_takes_it();
    }
    if admin.driver.repair().to_hand_over.is_none() {
        tracing::info!("the admin has this relay give its share to others");
        let driver = admin.driver.clone();
        // Goes on however long it takes; asking a second time changes nothing.
        tokio::spawn(async move { drain(&driver).await });
    }
    to("/admin")
}

fn foreign() -> Response {
    let text =
        "This form is not from a page of yours. Open the page anew and try again; nothing was changed.";
    page::sorry(StatusCode::FORBIDDEN, "That was not done", text)
}

fn nobody_takes_it() -> Response {
    let text = "No other relay is there to take what this one holds. Start one that joins this one first.";
    page::sorry(StatusCode::CONFLICT, "There is nobody to hand over to", text)
}

async fn leave(
    State(admin): State<Admin>,
    Session(session): Session,
    headers: HeaderMap,
    Form(act): Form<Act>,
) -> Response {
    if !act.is_from(&session) {
        return foreign();
    }
    let others = act.others;
    match on_disk(&admin.keys, move |keys| keys.close(&session, others)).await {
        Ok(()) if others => to("/admin"),
        Ok(()) => ([(SET_COOKIE, cookie(&headers, "", 0))], page::gone()).into_response(),
        Err(error) => failed(&error),
    }
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, page::STYLE)
}
