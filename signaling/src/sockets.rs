//! How many sockets the process may have open, and what makes room when there are as many.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::places::Places;

/// A bound on accepted sockets of all listeners, whatever protocol they speak by now. Clones share it.
#[derive(Clone, Debug)]
pub struct SocketBudget {
    free: Arc<Semaphore>,
    max: usize,
    /// Whose oldest unproven connection is closed when a socket is needed, in this order.
    give_way: Arc<Mutex<Vec<Places>>>,
}

/// In the extensions of a request whose connection is beyond the budget: it may be answered, and nothing that lasts may
/// come of it.
#[derive(Clone, Copy, Debug)]
pub struct OutOfSockets;

impl SocketBudget {
    /// At most `max` sockets.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(max)),
            max,
            give_way: Arc::default(),
        }
    }

    /// The oldest unproven connection of these places is closed when a socket is needed and those registered later have none.
    pub fn register(&self, places: Places) {
        let mut give_way = self.give_way.lock().unwrap_or_else(PoisonError::into_inner);
        give_way.insert(0, places);
    }

    /// Sockets open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.max - self.free.available_permits()
    }

    /// Most sockets.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Room for one more socket.
    pub(crate) fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Closes the oldest unproven connection, so that there is room soon. `false`: there is none.
    pub(crate) fn make_room(&self) -> bool {
        let give_way = self.give_way.lock().unwrap_or_else(PoisonError::into_inner);
        give_way.iter().any(Places::evict_oldest)
    }

    /// Waits for room.
    pub(crate) async fn wait(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.free).acquire_owned().await {
            Ok(socket) => socket,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Default for SocketBudget {
    fn default() -> Self {
        Self::new(Semaphore::MAX_PERMITS)
    }
}

/// Refuses requests that came when the process had as many sockets as it may have open.
pub async fn refuse_without_socket(request: Request, next: Next) -> Response {
    if request.extensions().get::<OutOfSockets>().is_some() {
        let retry = [(RETRY_AFTER, "10")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, OUT_OF_SOCKETS).into_response();
    }
    next.run(request).await
}

/// What a refused client reads.
pub const OUT_OF_SOCKETS: &str =
    "this server has as many connections as its limit of open files allows; try again later";

/// An accepted socket and its place in the budget, which is free once the socket is closed.
pub(crate) struct Stream {
    tcp: TcpStream,
    _socket: Option<OwnedSemaphorePermit>,
}

impl Stream {
    pub(crate) fn new(tcp: TcpStream, socket: OwnedSemaphorePermit) -> Self {
        Self {
            tcp,
            _socket: Some(socket),
        }
    }

    /// A socket beyond the budget.
    pub(crate) fn spare(tcp: TcpStream) -> Self {
        Self { tcp, _socket: None }
    }

    /// Small frames are sent at once. A socket on which that fails is broken, which the next write shows.
    pub(crate) fn set_nodelay(&self) {
        let _ = self.tcp.set_nodelay(true);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
