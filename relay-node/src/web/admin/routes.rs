//! The routes of the admin page.
//!
//! - `/admin`: the overview; without a session, how to get one (401);
//! - `/admin/claim`: GET asks, POST makes the browser the admin: a program that only looks at an address, as previews
//!   of links do, uses no token up;
//! - `/admin/drain`: GET asks, POST has the relay hand its feeds over;
//! - `/admin/leave`: ends the session, or all others;
//! - `/admin/invite`, `/admin/adopt`, `/admin/expel`: the members of the network.
//!
//! Invariants: nothing is changed but by a POST from a page of this relay (`Origin`, `SameSite=Strict`, and a token in
//! the form that only pages made for the session have); what each address may try is limited per minute.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Form, FromRequestParts, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, any, get, post};
use engine::api::{self, QueryResult, RelayState};
use protocol::messages::directory::role;
use serde::Deserialize;
use signaling::{ConnectionGuard, GuardConfig};

use super::Setup;
use super::disk::Disk;
use super::keys::{self, Keys};
use super::members;
use super::overview::Overview;
use super::pages::{self, AdminError, STYLE_PATH};
use crate::drain::drain;
use crate::health::HealthMonitor;
use crate::web::control::members::MemberList;
use crate::web::control::requests::members_of;
use crate::web::policy::{Caching, Policy};
use crate::web::rate_limit::AddressRateLimiter;
use crate::web::{About, group};
use native::driver::DriverHandle;

/// Requests an address may make in a minute. A page and its style are two.
const PER_MINUTE: u32 = 120;
/// Requests of one address at a time.
const AT_ONCE_MAX: usize = 16;

const COOKIE_NAME: &str = "starling-admin";

/// Everything the page needs.
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) keys: Arc<Keys>,
    pub(super) driver: DriverHandle,
    health: HealthMonitor,
    about: About,
    pub(super) setup: Arc<Setup>,
    guard: ConnectionGuard,
    tries: Arc<AddressRateLimiter>,
}

impl Admin {
    /// For a relay that is reached as `guard` says.
    #[must_use]
    pub fn new(
        keys: Arc<Keys>,
        health: HealthMonitor,
        about: About,
        setup: Setup,
        guard: GuardConfig,
    ) -> Self {
        // Pages of other origins are refused here, even if they may open sockets.
        let guard = ConnectionGuard::new(GuardConfig {
            allowed_origins: Vec::new(),
            sockets_per_address_max: AT_ONCE_MAX,
            ..guard
        });
        Self {
            keys,
            driver: health.driver().clone(),
            health,
            about,
            setup: Arc::new(setup),
            guard,
            tries: Arc::new(AddressRateLimiter::new(PER_MINUTE)),
        }
    }
}

/// `/admin` and everything below it.
pub(crate) fn router(admin: Admin) -> Router {
    group(routes(), admin.clone(), Policy::Admin).layer(from_fn_with_state(admin, check))
}

pub(crate) fn routes() -> [(&'static str, MethodRouter<Admin>); 10] {
    [
        ("/admin", get(overview)),
        ("/admin/", get(async || Redirect::to("/admin"))),
        ("/admin/claim", get(ask_claim).post(claim)),
        ("/admin/drain", get(ask_drain).post(begin_drain)),
        ("/admin/leave", post(leave)),
        ("/admin/invite", post(members::invite)),
        ("/admin/adopt", post(members::adopt)),
        ("/admin/expel", get(members::ask_expel).post(members::expel)),
        (STYLE_PATH, get(style)),
        ("/admin/{*rest}", any(async || AdminError::NoSuchPage)),
    ]
}

/// Lets requests in by host, origin and address, and limits how many there are of each address.
async fn check(
    State(admin): State<Admin>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admin.guard.accept(remote, request.headers()) {
        Err(refused) => refused.into_response(),
        Ok(accepted) if !admin.tries.take(accepted.address) => AdminError::TooMany.into_response(),
        // Its place is taken until the answer is there.
        Ok(_accepted) => next.run(request).await,
    };
    response.extensions_mut().insert(Policy::Admin);
    response
}

/// The session of the browser that sends the request. Without one the answer is how to get one.
pub(super) struct Session(pub(super) String);

impl FromRequestParts<Admin> for Session {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, AdminError> {
        session(&parts.headers, &admin.keys)
            .map(Self)
            .ok_or(AdminError::NoSession)
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

/// The cookie goes over TLS alone if this page came over TLS. A proxy says so; and so does the browser, of its own
/// page.
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

/// Runs what writes to the disk on a thread that may block.
pub(super) async fn on_disk<T: Send + 'static>(
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

async fn ask_claim(
    State(admin): State<Admin>,
    Query(Claim { token }): Query<Claim>,
) -> Result<Response, AdminError> {
    let shown = token.clone();
    match on_disk(&admin.keys, move |keys| Ok(keys.is_claim(&token))).await? {
        true => Ok(pages::claim(&admin.about, &shown)),
        false => Err(AdminError::ClaimUsed),
    }
}

async fn claim(
    State(admin): State<Admin>,
    headers: HeaderMap,
    Form(Claim { token }): Form<Claim>,
) -> Result<Response, AdminError> {
    let session = on_disk(&admin.keys, move |keys| keys.claim(&token)).await?;
    let session = session.ok_or(AdminError::ClaimUsed)?;
    tracing::info!("admin session opened");
    let cookie = cookie(&headers, &session, keys::SESSION.as_secs());
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/admin")).into_response())
}

async fn overview(State(admin): State<Admin>, Session(session): Session) -> Response {
    let view = match admin.driver.ask(api::Query::Network).await {
        Some(QueryResult::Network(view)) => Some(view),
        _ => None,
    };
    let folder = admin.setup.data_dir.clone();
    let disk = tokio::task::spawn_blocking(move || Disk::of(&folder)).await;
    let members = members_of(&admin.driver, None).await.ok();
    let overview = Overview {
        members: members.map(MemberList::from),
        about: &admin.about,
        setup: &admin.setup,
        health: admin.health.report(),
        repair: admin.driver.repair(),
        // What this relay says of itself is newer in the view.
        relays: view
            .as_ref()
            .map_or_else(|| admin.driver.relays(), |view| view.relays.clone()),
        view,
        disk: disk.unwrap_or_default(),
        admins: admin.keys.count(),
        others: others(&admin.driver),
        form: keys::form_token(&session),
    };
    overview.render()
}

/// Relays that could take this one's feeds over.
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
    /// Refuses a form that is not from a page made for this session.
    fn check(&self, session: &str) -> Result<(), AdminError> {
        if keys::is_form_token(session, &self.form) {
            Ok(())
        } else {
            Err(AdminError::ForeignForm)
        }
    }
}

async fn ask_drain(State(admin): State<Admin>, Session(session): Session) -> Result<Response, AdminError> {
    match others(&admin.driver) {
        0 => Err(AdminError::NobodyToHandOverTo),
        n => Ok(pages::drain(&admin.about, n, &keys::form_token(&session))),
    }
}

async fn begin_drain(
    State(admin): State<Admin>,
    Session(session): Session,
    Form(act): Form<Act>,
) -> Result<Redirect, AdminError> {
    act.check(&session)?;
    if others(&admin.driver) == 0 {
        return Err(AdminError::NobodyToHandOverTo);
    }
    if admin.driver.repair().to_hand_over.is_none() {
        tracing::info!("drain requested on the admin page");
        let driver = admin.driver.clone();
        // Runs as long as it takes; a second request changes nothing.
        tokio::spawn(async move { drain(&driver).await });
    }
    Ok(Redirect::to("/admin"))
}

async fn leave(
    State(admin): State<Admin>,
    Session(session): Session,
    headers: HeaderMap,
    Form(act): Form<Act>,
) -> Result<Response, AdminError> {
    act.check(&session)?;
    let others = act.others;
    on_disk(&admin.keys, move |keys| keys.close(&session, others)).await?;
    if others {
        return Ok(Redirect::to("/admin").into_response());
    }
    let cookie = [(SET_COOKIE, cookie(&headers, "", 0))];
    Ok((cookie, pages::logged_out()).into_response())
}

async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8")];
    (Caching::Revalidate, headers, pages::STYLE)
}
