//! How much of the processor the requests of one address may use. What a request costs is debited to its address; while
//! an address is in debt, its requests wait, so that its connections are read more slowly and nobody else's are.
//!
//! The accounts are those that links use as well: one for the engine's thread, one for all others.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use native::driver::DriverHandle;
use signaling::{ConnectionGuard, network};

/// What a request costs beside its handler: reading it, routing it, and writing the response.
const REQUEST_COST: Duration = Duration::from_micros(100);
/// What 1,024 bytes of a body cost.
const KIB_COST: Duration = Duration::from_micros(1);

/// What has the accounts, and what tells addresses behind proxies apart.
pub(super) type Pace = (DriverHandle, ConnectionGuard);

/// Answers a request once its address is not in debt. Programs on this machine never are.
pub(super) async fn pace(
    State((driver, guard)): State<Pace>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let address = guard.client_address(remote.ip(), request.headers());
    let payer = driver.payer(address.map(network));
    payer.ready().await;
    payer.spend_beside(REQUEST_COST);
    let mut answer = pin!(payer.pays_for(next.run(request)));
    let response = poll_fn(|context| {
        let began = Instant::now();
        let polled = answer.as_mut().poll(context);
        payer.spend_beside(began.elapsed());
        polled
    });
    let response = response.await;
    let bytes = response.body().size_hint().lower();
    payer.spend_beside(KIB_COST * u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use engine::io::Config;
    use native::driver::{self, Options};
    use native::network::AddressBook;
    use native::store::Store;
    use protocol::KeyPair;
    use signaling::GuardConfig;
    use tower::ServiceExt as _;

    use super::*;

    /// Requests one after the other, and how long they waited.
    async fn requests(router: &Router, from: &str, path: &str, count: u32) -> Duration {
        let began = tokio::time::Instant::now();
        for _ in 0..count {
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            let remote: SocketAddr = format!("{from}:1").parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(remote));
            router.clone().oneshot(request).await.unwrap();
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_an_address_wait_while_it_has_used_more_than_its_share() {
        let guard = ConnectionGuard::new(GuardConfig::default());
        let (book, _dials) = AddressBook::open(Vec::new());
        let config = Config::relay(KeyPair::from_seed(&[1; 32]));
        let options = Options {
            percent_per_address: 25,
            ..Options::new(config, [7; 32], Store::in_memory().unwrap(), book)
        };
        let (driver, _thread) = driver::start(options).unwrap();
        let router = Router::new()
            .route("/", get(async || "short"))
            .route("/file", get(async || vec![0; 10 << 20]))
            .layer(from_fn_with_state((driver, guard), pace));
        // A quarter of a second at once, and a quarter of each second after that.
        let waited = requests(&router, "203.0.113.1", "/", 7_500).await;
        assert!(waited >= Duration::from_secs(2), "{waited:?}");
        assert_eq!(requests(&router, "203.0.113.2", "/", 1_000).await, Duration::ZERO);
        assert_eq!(requests(&router, "127.0.0.1", "/", 10_000).await, Duration::ZERO);
        let waited = requests(&router, "203.0.113.3", "/file", 100).await;
        assert!(waited >= Duration::from_secs(3), "a gigabyte: {waited:?}");
    }
}
