//! How many sockets the process may have open, and what makes room when there are as many.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::activity::Activity;
use crate::places::{Place, Places};

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

/// Bytes of a connection that the kernel keeps before it sends them, about; it takes more once half of them were sent.
/// Bytes that were sent do not count, so fast connections are as fast as without a limit.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 64 * 1024;

/// Connections that the kernel accepts before the server does.
const BACKLOG: u32 = 1_024;

/// A listener at this address.
///
/// # Errors
/// If the address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // So that a server that was stopped can start at once, as with any listener.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// An accepted socket and its place in the budget, which is free once the socket is closed. While it is a connection's,
/// it records what the client takes.
pub(crate) struct Stream {
    tcp: TcpStream,
    activity: Activity,
    /// Refreshed when the client takes more of a response. The upgraded socket may outlive it.
    place: Weak<Place>,
    _socket: Option<OwnedSemaphorePermit>,
}

impl Stream {
    /// `socket`: its place in the budget; `None`: it is beyond the budget.
    pub(crate) fn new(
        tcp: TcpStream,
        socket: Option<OwnedSemaphorePermit>,
        place: &Arc<Place>,
        activity: Activity,
    ) -> Self {
        Self {
            tcp,
            activity,
            place: Arc::downgrade(place),
            _socket: socket,
        }
    }

    /// Small frames are sent at once, and what clients do not read fills little of the kernel's memory. A socket on
    /// which that fails is broken, which the next write shows.
    pub(crate) fn set_options(&self) {
        let _ = self.tcp.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.tcp).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    }

    fn record(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.activity.blocked(),
            Poll::Ready(Ok(_)) if self.activity.progressed() => {
                if let Some(place) = self.place.upgrade() {
                    place.refresh();
                }
            }
            Poll::Ready(_) => {}
        }
        written
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
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.flushed();
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
