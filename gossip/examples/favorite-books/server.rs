//! The node's side that others talk to: the two routes of the wire format, the status page, and bounds on what callers
//! can hold open.
//!
//! Invariants: at most [`CONNECTIONS_MAX`] connections are served, the next ones wait in the kernel's backlog; at most
//! [`READERS_MAX`] request bodies are in memory; every request is answered within [`REQUEST_WITHIN`], if only by a
//! refusal; every answer to `POST /gossip` is a status in JSON.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::driver::Driver;
use crate::page;
use crate::wire::{self, Gossip, PeerId, REQUEST_LEN_MAX, Status};

/// Connections served at a time.
const CONNECTIONS_MAX: usize = 128;
/// Request bodies read at a time.
const READERS_MAX: usize = 4;
/// How long a request's head may take to arrive, and a connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a request may take, from its head to the answer.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection is served.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// What is too long is read up to this multiple of the limit and thrown away, so that the caller hears the answer
/// instead of a broken connection.
const PATIENCE: usize = 2;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

#[derive(Clone)]
struct Shared {
    driver: Arc<Driver>,
    readers: Arc<Semaphore>,
}

pub(crate) fn router(driver: Arc<Driver>) -> Router {
    let shared = Shared {
        driver,
        readers: Arc::new(Semaphore::new(READERS_MAX)),
    };
    Router::new()
        .route("/", get(status_page))
        .route("/peers", get(known_peers))
        .route("/peers/", get(known_peers))
        .route("/peers/{client_id}", get(peers))
        .route("/peers/{client_id}/", get(peers))
        .route("/gossip", post(gossip))
        .route("/gossip/", post(gossip))
        .fallback(|| async { (StatusCode::NOT_FOUND, status(wire::ERROR)) })
        .with_state(shared)
}

fn status(status: &str) -> Json<Status> {
    Json(Status {
        status: status.to_owned(),
    })
}

async fn status_page(State(shared): State<Shared>) -> Response {
    let html = shared.driver.with(|node, now| page::render(node, now));
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn peers(State(shared): State<Shared>, Path(caller): Path<String>) -> Response {
    let Ok(caller) = caller.parse::<PeerId>() else {
        shared.driver.with(|node, _| node.refused());
        return (StatusCode::BAD_REQUEST, status(wire::ERROR)).into_response();
    };
    let peers = shared.driver.with(|node, now| node.asked_for_peers(caller, now));
    Json(peers.iter().map(ToString::to_string).collect::<Vec<_>>()).into_response()
}

/// Without the id of the caller, who does not become a peer.
async fn known_peers(State(shared): State<Shared>) -> Response {
    let peers = shared.driver.with(|node, _| node.met_peers());
    Json(peers.iter().map(ToString::to_string).collect::<Vec<_>>()).into_response()
}

/// Whatever the content type: some clients do not say that what they send is JSON.
async fn gossip(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let Ok(_place) = shared.readers.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (code, why) = match read(request.into_body()).await {
        // What cannot be understood is refused in the words of the wire format, not in those of HTTP.
        Ok(body) => match understand(&body) {
            Ok((sender, gossip)) => {
                shared.driver.with(|node, now| {
                    node.left_out(gossip.odd);
                    node.receive(sender, gossip.messages, now);
                });
                return status(wire::OK).into_response();
            }
            Err(why) => (StatusCode::OK, why),
        },
        Err(Unread::TooLong) => (StatusCode::PAYLOAD_TOO_LARGE, "it is too long".to_owned()),
        Err(Unread::Broken) => (StatusCode::BAD_REQUEST, "it broke off".to_owned()),
    };
    shared.driver.with(|node, _| node.refused());
    tracing::warn!(%why, "gossip was refused");
    (code, status(wire::ERROR)).into_response()
}

fn understand(body: &[u8]) -> Result<(PeerId, Gossip), String> {
    let gossip = Gossip::read(body).map_err(|error| error.to_string())?;
    let Ok(sender) = gossip.client_id.parse() else {
        return Err("its client_id is no port".to_owned());
    };
    Ok((sender, gossip))
}

enum Unread {
    TooLong,
    Broken,
}

async fn read(mut body: Body) -> Result<Bytes, Unread> {
    let mut bytes = Vec::new();
    let mut len = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        len = len.saturating_add(data.len());
        if len <= REQUEST_LEN_MAX {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
        if len > PATIENCE * REQUEST_LEN_MAX {
            break;
        }
    }
    if len > REQUEST_LEN_MAX {
        return Err(Unread::TooLong);
    }
    Ok(bytes.into())
}

/// Serves on all listeners for as long as it is polled.
pub(crate) async fn serve(listeners: Vec<TcpListener>, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, router.clone(), Arc::clone(&places)));
    }
    accepting.join_all().await;
}

async fn accept(listener: TcpListener, router: Router, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    connection(stream, router).await;
                    drop(place);
                });
            }
            // Out of descriptors, or a connection that broke before it was accepted. Neither is the listener's end.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(20)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            match timeout(REQUEST_WITHIN, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok((StatusCode::REQUEST_TIMEOUT, status(wire::ERROR)).into_response()),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(LIFETIME, pin!(connection)).await {
        tracing::trace!(%error, "a connection ended");
    }
}
