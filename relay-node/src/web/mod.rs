//! What a relay says over HTTP: the app, who it is, how it is, and the two WebSocket endpoints.
//!
//! - `/api/relay`: its key, version and name, and how its browsers are to rank relays;
//! - `/api/network`: the relays it knows of, and how they seem to do;
//! - `/api/repair`: how far it is with what it should hold;
//! - `/api/replicas/ACCOUNT`: the relays that keep somebody's feeds;
//! - `/api/names/NAME`: whose a name of the registry is;
//! - `/healthz`: the process lives; `/readyz`: it serves (store open and read and not failing, UDP port bound, registry
//!   reached if it keeps one, caught up with the other relays);
//! - everything else: the app ([`site`]), with links into it answered by its start page.

pub mod admin;
mod api;
pub mod metrics;
pub(crate) mod rate_limit;
pub mod site;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use engine::api::{Query, RelayState, RelayView, RepairView, Reply, StoreState};
use engine::io::Routing;
use protocol::directory::role;
use protocol::limits;
use protocol::name::NameAnswer;
use serde::{Deserialize, Serialize};

pub use api::replicas::{Replica, Replicas};
use native::driver::Availability;
use native::driver::DriverHandle;
use rate_limit::RateLimiter;
use site::App;

/// Names looked up over HTTP, by everybody together: people ask over links, this is for operators.
const NAMES_PER_MINUTE: u32 = 120;

/// What `/api/relay` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// The relay's key, in text form.
    pub peer: String,
    /// The program's version.
    pub version: String,
    /// What its operator calls it.
    pub name: String,
    /// How its browsers rank relays.
    #[serde(default)]
    pub routing: Weights,
}

/// What the terms of a relay's score count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// A millisecond until an entry is there.
    pub replication: f32,
    /// A millisecond of response time.
    pub response: f32,
    /// A kilometre.
    pub distance: f32,
    /// All requests failing.
    pub errors: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self::from(&Routing::default())
    }
}

impl From<&Routing> for Weights {
    fn from(routing: &Routing) -> Self {
        let [replication, response, distance, errors] = routing.weights();
        Self {
            replication,
            response,
            distance,
            errors,
        }
    }
}

impl Weights {
    /// To rank by; `None` if that cannot be done with them.
    #[must_use]
    pub fn routing(&self) -> Option<Routing> {
        Routing::weighing([self.replication, self.response, self.distance, self.errors])
    }
}

/// A relay as `/api/network` lists it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its key, in text form.
    pub peer: String,
    /// `alive`, `suspect` or `dead`.
    pub state: String,
    /// It is the one that answers.
    pub this: bool,
    /// Where it says it is.
    pub url: String,
    /// Its zone.
    pub zone: String,
    /// What it does.
    pub roles: Vec<String>,
    /// Its share of the data.
    pub capacity: u32,
    /// Entries it holds.
    pub entries: u64,
    /// Where it stands: hundredths of degrees north and east.
    pub location: Option<[i16; 2]>,
    /// How busy it is, in thousandths.
    pub load: u16,
    /// Mean time from an entry's arrival to its commit, in microseconds.
    pub response_us: u32,
    /// Links it refuses for want of room, in millionths.
    pub errors_ppm: u32,
}

impl From<RelayView> for Member {
    fn from(view: RelayView) -> Self {
        let RelayView {
            description,
            state,
            this,
        } = view;
        let roles = [
            (role::WORKER, "worker"),
            (role::WEB, "web"),
            (role::INDEX, "index"),
            (role::SIGNAL, "signal"),
        ];
        let roles = roles.into_iter().filter(|(bit, _)| description.roles & bit != 0);
        Self {
            peer: description.relay.to_string(),
            state: state_name(state).to_owned(),
            this,
            roles: roles.map(|(_, name)| name.to_owned()).collect(),
            url: description.url,
            zone: description.zone,
            capacity: description.capacity,
            entries: description.revision,
            location: description
                .location
                .map(|place| [place.latitude, place.longitude]),
            load: description.load,
            response_us: description.response_us,
            errors_ppm: description.errors_ppm,
        }
    }
}

fn state_name(state: RelayState) -> &'static str {
    match state {
        RelayState::Alive => "alive",
        RelayState::Suspect => "suspect",
        RelayState::Dead => "dead",
    }
}

#[derive(Clone)]
struct Shared {
    about: About,
    driver: DriverHandle,
    /// None: the relay serves no app.
    app: Option<Arc<App>>,
    names_asked: Arc<RateLimiter>,
}

/// Everything but the WebSocket endpoints.
pub fn router(about: About, driver: DriverHandle, app: Option<Arc<App>>) -> Router {
    Router::new()
        .route("/api/relay", get(relay))
        .route("/api/network", get(network))
        .route("/api/repair", get(repair))
        .route("/api/replicas/{account}", get(api::replicas::replicas))
        .route("/api/names/{name}", get(named))
        .route("/api/{*rest}", any(async || StatusCode::NOT_FOUND))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(asset)
        .with_state(Shared {
            about,
            driver,
            app,
            names_asked: Arc::new(RateLimiter::new(NAMES_PER_MINUTE)),
        })
        .layer(axum::middleware::from_fn(no_sniffing))
}

/// Where browsers would be introduced, at a relay that does not.
pub fn without_signal() -> Router {
    let text = "this relay introduces nobody: it has not the role signal\n";
    Router::new().route("/signal", any(async move || (StatusCode::NOT_FOUND, text)))
}

async fn relay(State(shared): State<Shared>) -> impl IntoResponse {
    // Apps that are served elsewhere may ask as well; there is nothing secret in it.
    let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-cache")];
    (headers, Json(shared.about))
}

async fn network(State(shared): State<Shared>) -> impl IntoResponse {
    let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
    let relays: Vec<Member> = shared.driver.relays().into_iter().map(Member::from).collect();
    (headers, Json(relays))
}

/// What `/api/repair` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repair {
    /// It has had everything the others had of its share, since it was started.
    pub caught_up: bool,
    /// Feeds it lacks a part of.
    pub feeds: u64,
    /// Entries it lacks.
    pub entries: u64,
    /// The relays it has them from.
    pub from: Vec<String>,
    /// Relays with a share.
    pub relays: u32,
    /// How many of them keep each account's feeds.
    pub replicas: u32,
    /// How many should, if there are so many.
    pub wanted: u32,
    /// How many of the relays with a share live.
    pub living: u32,
    /// Accounts held beside its share.
    pub cached: u64,
    /// So many relays fell silent at once that this one is probably cut off, and gives nobody's share away.
    pub doubts: bool,
    /// It is to end, and hands over what it has: feeds that others lack a part of.
    pub to_hand_over: Option<u64>,
}

impl From<RepairView> for Repair {
    fn from(view: RepairView) -> Self {
        Self {
            caught_up: view.caught_up,
            feeds: view.feeds,
            entries: view.entries,
            from: view.from.iter().map(ToString::to_string).collect(),
            relays: view.relays,
            replicas: view.replicas,
            wanted: view.wanted,
            living: view.living,
            cached: view.cached,
            doubts: view.doubts,
            to_hand_over: view.to_hand_over,
        }
    }
}

async fn repair(State(shared): State<Shared>) -> impl IntoResponse {
    let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
    (headers, Json(Repair::from(shared.driver.repair())))
}

/// What `/api/names/NAME` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named {
    /// The name, as the registry writes it.
    pub name: String,
    /// Whose it is, in text form.
    pub account: String,
}

async fn named(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let said = |status, text: &'static str| (status, [(CACHE_CONTROL, "no-store")], text).into_response();
    if name.len() > limits::UNIQUE_NAME_LEN_MAX {
        return said(StatusCode::BAD_REQUEST, "that is too long for a name\n");
    }
    if !shared.names_asked.take() {
        let text = "this relay is asked about too many names; ask again in a minute\n";
        return said(StatusCode::TOO_MANY_REQUESTS, text);
    }
    match shared.driver.ask(Query::Name { name }).await {
        Some(Reply::Name(NameAnswer::Held(receipt))) => {
            let headers = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (CACHE_CONTROL, "no-store")];
            let (name, account) = (receipt.name, receipt.account.to_string());
            (headers, Json(Named { name, account })).into_response()
        }
        Some(Reply::Name(NameAnswer::Fault(_))) => said(StatusCode::NOT_FOUND, "that cannot be a name\n"),
        Some(Reply::Name(NameAnswer::Unavailable | NameAnswer::TooFast)) | None => {
            let text = "the registry of names does not answer this relay now; try again later\n";
            said(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Some(_) => said(StatusCode::NOT_FOUND, "nobody has that name\n"),
    }
}

/// Why people are better sent elsewhere; `None`: they are served here. The UDP port is bound and the store open before
/// anything is served at all. With a full disk reading goes on, so that is no reason.
fn unready(driver: &DriverHandle) -> Option<String> {
    let repair = driver.repair();
    if !driver.is_ready() {
        return Some("the store is being read".to_owned());
    }
    if driver.store() == StoreState::Failing {
        return Some("the store fails: the log says why".to_owned());
    }
    // Whoever asks may be anybody: errors name files and addresses.
    if driver.registry().and_then(Availability::problem).is_some() {
        return Some("the registry cannot be reached: the log says why".to_owned());
    }
    if !repair.caught_up {
        let (entries, feeds) = (repair.entries, repair.feeds);
        return Some(format!(
            "catching up with the other relays: {entries} entries of {feeds} feeds are missing"
        ));
    }
    None
}

async fn ready(State(shared): State<Shared>) -> Response {
    let (status, text) = match unready(&shared.driver) {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        None => (StatusCode::OK, "ready\n".to_owned()),
    };
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

async fn asset(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some(app) = shared.app else {
        let text = "this relay serves no app: it has not the role web\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let path = uri.path().to_owned();
    // Files are read and compressed here.
    tokio::task::spawn_blocking(move || app.respond(&path, &headers))
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn no_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
