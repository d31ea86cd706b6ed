//! The JSON API. It only reads, and has nothing secret in it: apps and programs of any origin may use it.
//!
//! - `/api/relay`, `/api/network`, `/api/repair`: this relay and its network;
//! - `/api/replicas/ACCOUNT`: the relays that keep an account's feeds;
//! - `/api/names/NAME`: the account that has a name of the registry;
//! - `/api/profile/ACCOUNT`, `/api/timeline/…`, `/api/thread/ACCOUNT/ENTRY`: what this relay holds.
//!
//! Failures are problem documents (`error`). What makes the relay read its store or ask others is limited per client
//! address.

mod held;
mod names;
mod network;
mod relay;
mod replicas;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use engine::api::{self as engine_api, Query, QueryResult};
use protocol::AccountId;
use signaling::ConnectionGuard;

pub use held::{Feed, Post, Posts, Profile, Reference, ReplyTo, Thread};
pub use names::NameOwner;
pub(super) use network::state_name;
pub use network::{ListedRelay, Repair};
pub use relay::{About, Weights};
pub use replicas::{Replica, Replicas};

use super::error::WebError;
use super::rate_limit::{AddressRateLimiter, RateLimiter};
use native::driver::DriverHandle;

/// Names looked up in a minute, by all clients together: people look names up over their links, this is for operators.
const NAMES_PER_MINUTE: u32 = 120;
/// Requests that read the store, a minute and client address. A page of a timeline reads a hundred entries.
const READS_PER_MINUTE: u32 = 240;
/// Seconds after which a client that made too many requests may make another one.
const RETRY_AFTER_S: u32 = 1;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    about: About,
    driver: DriverHandle,
    guard: ConnectionGuard,
    names: Arc<RateLimiter>,
    reads: Arc<AddressRateLimiter>,
}

impl Api {
    pub(super) fn new(about: About, driver: DriverHandle, guard: ConnectionGuard) -> Self {
        Self {
            about,
            driver,
            guard,
            names: Arc::new(RateLimiter::new(NAMES_PER_MINUTE)),
            reads: Arc::new(AddressRateLimiter::new(READS_PER_MINUTE)),
        }
    }

    async fn query(&self, query: Query) -> Result<QueryResult, WebError> {
        match self.driver.request(engine_api::Request::Query(query)).await {
            Some(engine_api::Response::Result(reply)) => Ok(*reply),
            Some(engine_api::Response::Error(error)) => Err(WebError::Refused(error)),
            Some(engine_api::Response::Done(_)) => Err(WebError::Unexpected),
            None => Err(WebError::Stopping),
        }
    }
}

/// Routes that answer from memory or have a limit of their own.
pub(super) fn routes() -> [(&'static str, MethodRouter<Api>); 4] {
    [
        ("/api/relay", get(relay::relay)),
        ("/api/repair", get(network::repair)),
        ("/api/names/{name}", get(names::named)),
        (
            "/api/{*rest}",
            any(async || WebError::NotFound("the API has nothing at this address")),
        ),
    ]
}

/// Routes that have the engine work, read the store or ask other relays.
pub(super) fn held_routes() -> [(&'static str, MethodRouter<Api>); 6] {
    [
        ("/api/network", get(network::network)),
        ("/api/replicas/{account}", get(replicas::replicas)),
        ("/api/profile/{account}", get(held::profile)),
        ("/api/timeline/public", get(held::public_timeline)),
        ("/api/timeline/account/{account}", get(held::account_timeline)),
        ("/api/thread/{account}/{entry}", get(held::thread)),
    ]
}

/// Limits what each client address may request of these routes.
pub(super) fn limited(routes: Router, api: Api) -> Router {
    routes.layer(from_fn_with_state(api, limit))
}

async fn limit(
    State(api): State<Api>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, WebError> {
    // Programs on this machine are its operator's.
    let address = api.guard.client_address(remote.ip(), request.headers());
    if address.is_some() && !api.reads.take(address) {
        return Err(WebError::TooMany {
            what: "this address makes too many requests",
            retry_after_s: RETRY_AFTER_S,
        });
    }
    Ok(next.run(request).await)
}

fn account(text: &str) -> Result<AccountId, WebError> {
    text.parse()
        .map_err(|_| WebError::BadRequest("that is not the id of an account"))
}
