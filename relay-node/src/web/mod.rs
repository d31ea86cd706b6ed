//! Everything a relay serves over HTTP.
//!
//! ```text
//! server (Host, limits) ─► error (problem documents, error pages) ─► policy (headers)   around all of:
//!   health   /healthz, /readyz, /api/health                 metrics   /metrics, on a listener of its own
//!   pace (processor time of an address)        around the others of this listener:
//!     api      the relay, its network, accounts, timelines, names, as JSON
//!     control  for commands of this machine
//!     admin    the operator's page             site      the app: files, and its start page for links into it
//!     /link and /signal: WebSocket endpoints of other modules
//! ```
//!
//! Routes are tables (`routes()` of each module), so that a test can request each of them.
//!
//! Invariants:
//! - only POST to the admin page, and to `/admin/control` with the token of this start, changes anything;
//! - a handler waits for an answer of the engine and never for a timer. The one exception is `/api/replicas/ACCOUNT`,
//!   which waits at most 250 ms for the answers of other relays.

pub mod admin;
pub mod api;
pub mod control;
mod error;
mod health;
mod metrics;
mod negotiate;
mod pace;
mod pages;
mod policy;
mod rate_limit;
pub mod server;
pub mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::header::ALLOW;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use axum::{Extension, Router};
use signaling::ConnectionGuard;
use signaling::sockets::{SocketBudget, refuse_without_socket};

pub use api::{About, ListedRelay, NameOwner, Repair, Replica, Replicas, Weights};
pub use control::Control;
pub use error::Problem;

use crate::health::HealthMonitor;
use admin::Admin;
use api::Api;
use error::WebError;
use native::driver::DriverHandle;
use policy::Policy;
use site::App;

/// What the listener for people and other relays serves.
#[derive(Debug)]
pub struct Web {
    /// What `/api/relay` says.
    pub about: About,
    /// The engine.
    pub driver: DriverHandle,
    /// How the relay is.
    pub health: HealthMonitor,
    /// The app, if the relay has the role `web`.
    pub app: Option<Arc<App>>,
    /// The admin page, if it is on this listener.
    pub admin: Option<Admin>,
    /// What commands on this machine have the relay do.
    pub control: Option<Control>,
    /// Tells clients behind proxies apart.
    pub guard: ConnectionGuard,
}

impl Web {
    /// All routes. `sockets`: the WebSocket endpoints.
    pub fn router(self, sockets: Router) -> Router {
        let paced = from_fn_with_state((self.driver.clone(), self.guard.clone()), pace::pace);
        let api = Api::new(self.about, self.driver.clone(), self.guard);
        let held = group(api::held_routes(), api.clone(), Policy::Api);
        let mut routes = Router::new()
            .fallback(site::serve)
            .with_state(self.app)
            .merge(group(api::routes(), api.clone(), Policy::Api))
            .merge(api::limited(held, api))
            .merge(sockets.layer(map_response(opened_by_get)));
        if let Some(admin) = self.admin {
            routes = routes.merge(admin::router(admin));
        }
        if let Some(control) = self.control {
            routes = routes.merge(control::router(control));
        }
        // Health is answered even when the process has as many sockets as it may, and to addresses in debt.
        let health = group(health::routes(), self.health, Policy::Plain);
        let routes = routes.layer(from_fn(refuse_without_socket)).layer(paced);
        server::harden(routes.merge(health))
    }
}

/// The routes of the listener for metrics: the metrics, and the admin page of a relay that does not serve the app.
///
/// `sockets`: the budget of the other listener, which is measured.
pub fn metrics_router(health: HealthMonitor, admin: Option<Admin>, sockets: SocketBudget) -> Router {
    let nothing = async || WebError::NotFound("there is nothing at this address");
    let measured = group(metrics::routes(), health, Policy::Plain).layer(Extension(sockets));
    let mut routes = measured.fallback(nothing);
    if let Some(admin) = admin {
        routes = routes.merge(admin::router(admin));
    }
    server::harden(routes)
}

/// Where browsers would be introduced, at a relay that has not the role `signal`.
pub fn without_signal() -> Router {
    let refused = async || WebError::NotFound("this relay introduces nobody: it has not the role signal");
    Router::new().route("/signal", any(refused))
}

/// A WebSocket endpoint takes any method and refuses all but GET without saying which it allows.
async fn opened_by_get(mut response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let get = HeaderValue::from_static("GET");
        response.headers_mut().entry(ALLOW).or_insert(get);
    }
    response
}

/// A router of routes that share a state and a policy.
fn group<S: Clone + Send + Sync + 'static>(
    routes: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
    state: S,
    policy: Policy,
) -> Router {
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods.layer(map_response(policy::with(policy.clone()))))
        })
        .with_state(state)
}
