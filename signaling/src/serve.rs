//! An HTTP/1.1 server for a router, with limits on connections.
//!
//! Invariants: at most [`ServeLimits::connections_max`] connections are served, the next ones wait in the kernel's
//! backlog; the head of a request must arrive within [`ServeLimits::head_within`], also on an idle connection; no
//! connection is served for longer than [`ServeLimits::lifetime`]. Upgraded connections no longer count here: their
//! handler limits them.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::connection_guard::ConnectionCounts;

/// Limits of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections served at a time.
    pub connections_max: usize,
    /// Connections served at a time to one address (IPv6: one /64). Further ones are closed at once. Loopback is not
    /// limited.
    pub connections_per_address_max: usize,
    /// Time in which the head of a request must arrive; also the time a connection may idle.
    pub head_within: Duration,
    /// Time after which a connection is closed, once its current response is finished.
    pub lifetime: Duration,
    /// Time that responses under way get to finish when the server stops or a connection reaches its lifetime.
    pub finish_within: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            connections_per_address_max: 256,
            head_within: Duration::from_secs(20),
            lifetime: Duration::from_secs(10 * 60),
            finish_within: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop` resolves, then finishes the responses under way and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let counts = ConnectionCounts::new(limits.connections_per_address_max);
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream, remote) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => match accepted {
                (Ok(place), Ok((stream, remote))) => (place, stream, remote),
                // No file descriptors left, or a connection that was reset before it was accepted: the listener goes
                // on.
                (_, Err(error)) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
                (Err(_), _) => break,
            },
        };
        let address = remote.ip().to_canonical();
        let counted = if address.is_loopback() {
            None
        } else if let Some(counted) = counts.acquire(address) {
            Some(counted)
        } else {
            continue;
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, remote, router, limits, stopped).await;
            drop((place, counted));
        });
    }
    drop(listener);
    let _ = stopping.send(true);
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    let _ = timeout(limits.finish_within, places.acquire_many(all)).await;
}

/// The router writes `Content-Length: 0` to responses without a body. For 304 that would be the length of the
/// representation the client keeps, and 204 has none (RFC 9110 section 8.6).
fn without_false_length(mut response: Response) -> Response {
    if matches!(
        response.status(),
        StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT
    ) {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    router: Router,
    limits: ServeLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(remote));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await.map(without_false_length) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = async {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = sleep(limits.lifetime) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.finish_within, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%remote, %error, "connection ended");
    }
}
