//! An HTTP/1.1 server for a router, with limits on connections.
//!
//! Invariants: at most [`ServeLimits::connections_max`] connections are served, the next ones wait in the kernel's
//! backlog; the head of a request must arrive within [`ServeLimits::head_within`], also on an idle connection, and its
//! body within [`ServeLimits::body_within`]; a client takes some of its response within [`ServeLimits::take_within`]; no
//! connection is served for longer than [`ServeLimits::lifetime`]. Upgraded connections do not count here: their
//! handler limits them.
//!
//! When an address or the server has the most connections allowed, the one that was used least recently gives way: its
//! last request came, or its client last took more of a response, before that of every other connection. So
//! connections that are only held open, or that read slowly, keep nobody out. Without a response under way it is closed
//! at once, else when the response is finished ([`ServeLimits::finish_within`]). The loop that accepts connections waits
//! for no client.
//!
//! When the process has as many sockets as [`SocketBudget`] allows, upgraded ones included, a newcomer is served only to
//! be answered: its requests have the extension [`OutOfSockets`].

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::activity::{Activity, ResponseBody, request_body};
use crate::places::{Place, Places};
use crate::sockets::{OutOfSockets, SocketBudget, Stream};

/// Limits of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections served at a time.
    pub connections_max: usize,
    /// Connections served at a time to one address (IPv6: one /64). Loopback is not limited.
    pub connections_per_address_max: usize,
    /// Time in which the head of a request must arrive; also the time a connection may idle.
    pub head_within: Duration,
    /// Time in which the body of a request must arrive.
    pub body_within: Duration,
    /// Time in which the kernel must take more of a response from the server. It does once the client has read about
    /// 32 KiB, so the slowest client reads 1 KiB in a second.
    pub take_within: Duration,
    /// Time after which a connection is closed, once its current response is finished.
    pub lifetime: Duration,
    /// Time that a response under way gets to finish when the server stops, or when its connection reaches its lifetime
    /// or gives way to another.
    pub finish_within: Duration,
}

/// Connections that are served beyond the [`SocketBudget`]; the oldest one gives way to the next.
pub const SPARE_CONNECTIONS_MAX: usize = 16;
/// Of the connections that are served at a time, the part that may finish a response beside them after they gave way.
/// Policy when full: a connection that gives way is closed at once.
const FINISHING_SHARE: usize = 8;
/// How long the loop that accepts connections waits for one that gives way before it has the next one give way.
const TURN_WITHIN: Duration = Duration::from_millis(50);
/// How long a connection beyond the budget waits for a socket that gives way to it.
const SOCKET_WITHIN: Duration = Duration::from_millis(250);
/// Time in which such a connection must send its request, and have the response taken.
const SPARE_LIFETIME: Duration = Duration::from_secs(3);

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            connections_per_address_max: 256,
            head_within: Duration::from_secs(20),
            body_within: Duration::from_secs(10),
            take_within: Duration::from_secs(30),
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
    sockets: SocketBudget,
    stop: impl Future<Output = ()>,
) {
    let all = Arc::new(Semaphore::new(limits.connections_max));
    let places = Places::new(limits.connections_per_address_max);
    sockets.register(places.clone());
    let spare = Arc::new(Semaphore::new(SPARE_CONNECTIONS_MAX));
    let spare_places = Places::new(SPARE_CONNECTIONS_MAX);
    let (stopping, stopped) = watch::channel(false);
    let server = Server {
        router,
        limits,
        stopped,
        finishing: Arc::new(Semaphore::new((limits.connections_max / FINISHING_SHARE).max(1))),
    };
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let (stream, remote) = listener.accept().await?;
            let socket = sockets.acquire();
            let (places, turns) = match socket {
                Some(_) => (&places, &all),
                None => (&spare_places, &spare),
            };
            let turn = turn(turns, places).await;
            Ok::<_, std::io::Error>((stream, remote, socket, places.acquire(client(remote)), turn))
        };
        let (stream, remote, socket, place, turn) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => match accepted {
                Ok((stream, remote, socket, Some(place), turn)) => (stream, remote, socket, place, turn),
                // Every connection is unproven, so there is a place unless the limit is 0.
                Ok(_) => continue,
                // A connection that was reset before it was accepted, or no file descriptors left: the listener goes on.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let server = server.clone();
        let Some(socket) = socket else {
            let (places, sockets, all) = (places.clone(), sockets.clone(), Arc::clone(&all));
            tokio::spawn(async move {
                let room = async { (sockets.wait().await, all.acquire_owned().await) };
                let room = match sockets.make_room() {
                    true => tokio::select! {
                        room = timeout(SOCKET_WITHIN, room) => room.ok(),
                        () = place.evicted() => return,
                    },
                    false => None,
                };
                match room {
                    Some((socket, Ok(its_turn))) => {
                        drop((place, turn));
                        if let Some(place) = places.acquire(client(remote)) {
                            server
                                .connection(stream, remote, place, its_turn, Some(socket))
                                .await;
                        }
                    }
                    _ => server.connection(stream, remote, place, turn, None).await,
                }
            });
            continue;
        };
        tokio::spawn(async move {
            server.connection(stream, remote, place, turn, Some(socket)).await;
        });
    }
    drop(listener);
    let _ = stopping.send(true);
    let connections_max = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    let _ = timeout(limits.finish_within, all.acquire_many(connections_max)).await;
}

/// A turn to be served. While all are taken, the connections used least recently give way one after the other.
async fn turn(turns: &Arc<Semaphore>, places: &Places) -> OwnedSemaphorePermit {
    loop {
        if turns.available_permits() == 0 {
            let _ = places.evict_oldest();
        }
        if let Ok(Ok(turn)) = timeout(TURN_WITHIN, Arc::clone(turns).acquire_owned()).await {
            return turn;
        }
    }
}

/// Whose connections are counted together with this one's; `None`: this machine's.
fn client(remote: SocketAddr) -> Option<IpAddr> {
    Some(remote.ip().to_canonical()).filter(|address| !address.is_loopback())
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

/// What the connections of a server share.
#[derive(Clone)]
struct Server {
    router: Router,
    limits: ServeLimits,
    stopped: watch::Receiver<bool>,
    /// Turns of connections that gave way and finish a response.
    finishing: Arc<Semaphore>,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server stops, or the connection reached its lifetime.
    Due,
    /// It lost its place.
    Evicted,
    /// Its client takes nothing of a response.
    Stalled,
}

impl Server {
    /// Serves one connection until it ends. Without a socket of the budget it gets one response.
    async fn connection(
        mut self,
        stream: TcpStream,
        remote: SocketAddr,
        place: Place,
        turn: OwnedSemaphorePermit,
        socket: Option<OwnedSemaphorePermit>,
    ) {
        let spare = socket.is_none();
        let limits = match spare {
            true => ServeLimits {
                head_within: SPARE_LIFETIME,
                lifetime: SPARE_LIFETIME,
                finish_within: SPARE_LIFETIME,
                ..self.limits
            },
            false => self.limits,
        };
        let place = Arc::new(place);
        let activity = Activity::default();
        let stream = Stream::new(stream, socket, &place, activity.clone());
        stream.set_options();
        let (used, answers) = (Arc::clone(&place), activity.clone());
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            used.refresh();
            let answering = answers.begin();
            request.extensions_mut().insert(ConnectInfo(remote));
            if spare {
                request.extensions_mut().insert(OutOfSockets);
            }
            let request = request.map(|body| request_body(body, limits.body_within));
            let answer = router.clone().oneshot(request);
            async move {
                let response = without_false_length(answer.await?);
                Ok::<_, Infallible>(response.map(|body| ResponseBody {
                    body,
                    _answering: answering,
                }))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .keep_alive(!spare)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let end = tokio::select! {
            ended = &mut connection => return trace_end(remote, ended),
            _ = self.stopped.wait_for(|stopped| *stopped) => End::Due,
            () = sleep(limits.lifetime) => End::Due,
            () = place.evicted() => End::Evicted,
            () = activity.stalled(limits.take_within) => End::Stalled,
        };
        if end == End::Stalled || !activity.is_answering() {
            return;
        }
        let turn = match end {
            End::Evicted => match Arc::clone(&self.finishing).try_acquire_owned() {
                // The turn is free at once.
                Ok(finishing) => finishing,
                Err(_) => return,
            },
            _ => turn,
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => trace_end(remote, ended),
            () = sleep(limits.finish_within) => {}
            () = place.evicted() => {}
        }
        drop(turn);
    }
}

fn trace_end(remote: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::trace!(%remote, %error, "connection ended");
    }
}
