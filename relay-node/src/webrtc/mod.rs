//! The relay's WebRTC endpoint: data-channel links to any number of browsers over **one UDP port**.
//!
//! A browser offers, [`RtcEndpoint::accept`] answers at once with every candidate, and the link opens when the
//! browser's checks and handshake have gone through. The endpoint is an ICE-lite agent (RFC 8445 section 2.5) in
//! the DTLS client's role; each link carries one data channel, negotiated with id 0, ordered and reliable.
//!
//! It is built on the sans-I/O DTLS and SCTP of the `webrtc` crate's own stack, not on its peer connections: those
//! want a socket and a driver each, keep a 256 KiB buffer each, and never follow a peer that moves.
//!
//! ```text
//! socket ── reader ── routes ──► link task: session (ICE-lite ► DTLS ► SCTP) ◄──► RtcLink
//!    ▲                                │
//!    └──────── segmented sends ◄──────┘
//! ```
//!
//! - `socket`: the UDP socket, batched; `routes`: which link a datagram is for, and all limits on links;
//! - `addresses`: what answers offer; `stun`, `sdp`, `packet_filter`: the three places where a stranger's bytes are read, each strict;
//! - `session`: one link's protocols without I/O; `link`: the task that runs it.
//!
//! Invariant: every table, queue and wait has a bound and a policy for when it is reached, named in the module
//! that keeps it; a link leaves every table when its task ends, however it ends.

pub mod addresses;
mod answer;
mod link;
mod packet_filter;
mod routes;
pub mod sdp;
mod session;
mod socket;
pub mod stun;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use data_encoding::BASE64_NOPAD;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use addresses::Addresses;
pub use answer::answer_offers;
use link::{Driver, Wire};
pub use link::{RtcLink, RtcReceiver, RtcSender};
use routes::{RegisterError, Routes};
use sdp::{Answer, Offer};
pub use sdp::{Fingerprint, OFFER_BYTES_MAX, SdpError};
use session::{Session, Stack};
use socket::Socket;
use stun::{Credentials, UFRAG_BYTES, Ufrag};

/// Longest message either end may send, in bytes, its header included: what every browser takes unfragmented.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// How long a shutdown waits for links to say goodbye.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// How an endpoint is set up. [`RtcConfig::new`] has defaults for all but the address.
#[derive(Debug, Clone)]
pub struct RtcConfig {
    /// Where the one UDP socket is bound.
    pub bind: SocketAddr,
    /// Addresses browsers reach this relay at, when they are not those of its interfaces (behind a NAT that
    /// forwards the same port). Empty: the bound address, or for a wildcard every interface's address.
    pub public_ips: Vec<IpAddr>,
    /// Maximum number of simultaneous links, half-open ones included. Beyond it, offers are refused.
    pub links_max: usize,
    /// Links answered and not yet open. Beyond it, one that never spoke gives way.
    pub half_open_max: usize,
    /// How long a link may take to open.
    pub open_timeout: Duration,
    /// Bytes a link may hold that were sent and not yet acknowledged by the peer; then senders wait.
    pub send_buffer_bytes: usize,
    /// Of those, bytes handed to SCTP at a time. Bounds the bursts a lossless path sees, and speed to this per
    /// round trip: 1 MiB is 20 MB/s at 50 ms.
    pub in_flight_bytes: usize,
    /// Bytes a peer may have on the way to us or unread here. 512 KiB carries 10 MB/s at 50 ms; a link only holds
    /// them while its owner does not read.
    pub receive_window_bytes: u32,
}

impl RtcConfig {
    /// A relay's defaults.
    #[must_use]
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            public_ips: Vec::new(),
            links_max: 1024,
            half_open_max: 128,
            open_timeout: Duration::from_secs(10),
            send_buffer_bytes: 1 << 20,
            in_flight_bytes: 1 << 20,
            receive_window_bytes: 512 << 10,
        }
    }
}

/// What can go wrong. No variant leaves anything of a link behind, except [`Self::SendBufferFull`],
/// [`Self::EmptyMessage`] and [`Self::MessageTooLong`], which leave an open link as it was.
#[derive(Debug, thiserror::Error)]
pub enum RtcError {
    /// The socket could not be bound, or the interfaces not be read.
    #[error("the WebRTC port cannot be used")]
    Socket(#[from] io::Error),
    /// Nothing to put into an answer: bound to a wildcard on a machine that has no address now.
    #[error("this machine has no address to offer at the moment")]
    NoAddress,
    /// The certificate or other key material could not be made.
    #[error("key material could not be made: {0}")]
    Crypto(String),
    /// The browser's offer was refused.
    #[error("the offer was refused")]
    Offer(#[from] SdpError),
    /// As many links as configured.
    #[error("the relay has as many links as it takes")]
    Full,
    /// As many handshakes at a time as configured, all of them alive.
    #[error("too many links are opening at once; try again")]
    Busy,
    /// The endpoint was shut down.
    #[error("the endpoint was shut down")]
    ShutDown,
    /// The link did not open in time.
    #[error("the link did not open in time")]
    Timeout,
    /// The link gave way to a newer one, or to a shutdown, before it opened.
    #[error("the link gave way before it opened")]
    Evicted,
    /// The link failed before it opened.
    #[error("the link did not open: {0}")]
    Handshake(String),
    /// The link is gone.
    #[error("the link is closed")]
    Closed,
    /// No room in the send buffer now.
    #[error("the send buffer is full")]
    SendBufferFull,
    /// A data channel message has at least one byte.
    #[error("a message must not be empty")]
    EmptyMessage,
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("a message of {0} bytes is longer than {MESSAGE_BYTES_MAX}")]
    MessageTooLong(usize),
}

/// A snapshot of an endpoint: the sizes of its tables, and counts since it was bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RtcStats {
    /// Links now, half-open ones included.
    pub links: usize,
    /// Of those, links not yet open.
    pub half_open: usize,
    /// Peer addresses datagrams are routed by.
    pub addresses: usize,
    /// Links that opened.
    pub opened: u64,
    /// Offers refused because a limit was reached.
    pub offers_refused: u64,
    /// Half-open links that gave way to newer ones.
    pub half_open_evicted: u64,
    /// Half-open links that ran out of time.
    pub half_open_expired: u64,
    /// Bursts of datagrams dropped because they belong to no link.
    pub unknown_dropped: u64,
    /// Bursts of datagrams dropped because their link's inbox was full.
    pub inbox_full: u64,
    /// Datagrams the kernel would not send.
    pub send_failed: u64,
}

/// The relay's end of every WebRTC link. Dropping it ends them all.
pub struct RtcEndpoint {
    socket: Arc<Socket>,
    routes: Arc<Routes>,
    stack: Arc<Stack>,
    config: RtcConfig,
    addresses: Arc<Addresses>,
    reader: JoinHandle<()>,
    following: JoinHandle<()>,
}

impl std::fmt::Debug for RtcEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtcEndpoint")
            .field("local_addr", &self.local_addr())
            .finish_non_exhaustive()
    }
}

/// A link that was answered.
#[derive(Debug)]
pub struct Accepted {
    /// To be given to the browser as its remote description.
    pub answer_sdp: String,
    /// Becomes the link. Dropping it gives the link up.
    pub pending: PendingLink,
}

/// A link whose answer is on its way to the browser.
#[derive(Debug)]
pub struct PendingLink {
    opened: oneshot::Receiver<Result<RtcLink, RtcError>>,
}

impl PendingLink {
    /// Resolves when the data channel is open, or with an error at the latest after [`RtcConfig::open_timeout`].
    pub async fn open(self) -> Result<RtcLink, RtcError> {
        self.opened.await.map_err(|_| RtcError::ShutDown)?
    }
}

impl RtcEndpoint {
    /// Binds the port, makes the endpoint's certificate and starts reading. Must be called within a Tokio runtime,
    /// on which all links will run.
    pub async fn bind(config: RtcConfig) -> Result<Self, RtcError> {
        let socket = Arc::new(Socket::bind(config.bind)?);
        let addresses = Arc::new(Addresses::new(socket.local_addr(), config.public_ips.clone())?);
        let stack = Stack::new(config.receive_window_bytes, MESSAGE_BYTES_MAX)
            .map_err(|error| RtcError::Crypto(error.to_string()))?;
        let routes = Arc::new(Routes::new(config.links_max, config.half_open_max));
        let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&routes)));
        let following = tokio::spawn(Arc::clone(&addresses).follow(addresses::READ_EVERY));
        Ok(Self {
            socket,
            routes,
            stack: Arc::new(stack),
            config,
            addresses,
            reader,
            following,
        })
    }

    /// The address of the one socket.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// SHA-256 of the certificate all links of this endpoint use.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.stack.fingerprint
    }

    /// Answers a browser's offer. The answer holds all candidates; the browser's own are not needed.
    /// `from`: the address that the offer came from, if it is known.
    pub async fn accept(&self, offer_sdp: &str, from: Option<IpAddr>) -> Result<Accepted, RtcError> {
        let offer = Offer::parse(offer_sdp, MESSAGE_BYTES_MAX)?;
        let candidates = self.addresses.offered();
        if candidates.is_empty() {
            return Err(RtcError::NoAddress);
        }
        let ufrag = self.random_text::<9>()?;
        let password = self.random_text::<18>()?;
        let mut session_id = [0; 8];
        self.fill_random(&mut session_id)?;
        let key: Ufrag = ufrag
            .as_bytes()
            .try_into()
            .map_err(|_| RtcError::Crypto(format!("a user name fragment is not {UFRAG_BYTES} bytes")))?;
        let (registration, bursts) = self.routes.register(key, from).map_err(|error| {
            self.routes
                .counters
                .offers_refused
                .fetch_add(1, Ordering::Relaxed);
            match error {
                RegisterError::Full => RtcError::Full,
                RegisterError::Busy => RtcError::Busy,
                RegisterError::Ended => RtcError::ShutDown,
            }
        })?;
        let answer_sdp = Answer {
            offer: &offer,
            session_id: u64::from_le_bytes(session_id),
            ufrag: &ufrag,
            password: &password,
            fingerprint: &self.stack.fingerprint,
            candidates: &candidates,
            message_bytes_max: MESSAGE_BYTES_MAX,
        }
        .to_sdp();
        let credentials = Credentials {
            local_ufrag: key,
            local_password: password,
            remote_ufrag: offer.ufrag,
        };
        let driver = Driver {
            session: Session::new(
                Instant::now(),
                Arc::clone(&self.stack),
                credentials,
                offer.fingerprint,
            ),
            registration,
            bursts,
            wire: Wire::new(Arc::clone(&self.socket), Arc::clone(&self.routes)),
            local_fingerprint: self.stack.fingerprint,
            remote_fingerprint: offer.fingerprint,
            open_timeout: self.config.open_timeout,
            send_buffer_bytes: self.config.send_buffer_bytes,
            in_flight_bytes: self.config.in_flight_bytes,
        };
        let (sender, opened) = oneshot::channel();
        tokio::spawn(driver.run(sender));
        Ok(Accepted {
            answer_sdp,
            pending: PendingLink { opened },
        })
    }

    /// How the endpoint is doing.
    #[must_use]
    pub fn stats(&self) -> RtcStats {
        let sizes = self.routes.sizes();
        let counters = &self.routes.counters;
        RtcStats {
            links: sizes.links,
            half_open: sizes.half_open,
            addresses: sizes.addresses,
            opened: counters.opened.load(Ordering::Relaxed),
            offers_refused: counters.offers_refused.load(Ordering::Relaxed),
            half_open_evicted: counters.half_open_evicted.load(Ordering::Relaxed),
            half_open_expired: counters.half_open_expired.load(Ordering::Relaxed),
            unknown_dropped: counters.unknown_dropped.load(Ordering::Relaxed),
            inbox_full: counters.inbox_full.load(Ordering::Relaxed),
            send_failed: counters.send_failed.load(Ordering::Relaxed),
        }
    }

    /// Ends every link with a goodbye to its peer and frees the port. Offers from now on get [`RtcError::ShutDown`].
    pub async fn shutdown(&self) {
        self.routes.end();
        let give_up = Instant::now() + SHUTDOWN_MAX;
        while self.routes.sizes().links > 0 && Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.reader.abort();
        self.following.abort();
    }

    /// `BYTES` random bytes as text; a multiple of three has no padding to cut.
    fn random_text<const BYTES: usize>(&self) -> Result<String, RtcError> {
        let mut bytes = [0; BYTES];
        self.fill_random(&mut bytes)?;
        Ok(BASE64_NOPAD.encode(&bytes))
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RtcError> {
        self.stack
            .crypto
            .random()
            .fill(bytes)
            .map_err(|error| RtcError::Crypto(error.to_string()))
    }
}

impl Drop for RtcEndpoint {
    fn drop(&mut self) {
        self.routes.end();
        self.reader.abort();
        self.following.abort();
    }
}

/// Reads the socket for as long as the endpoint lives.
async fn read(socket: Arc<Socket>, routes: Arc<Routes>) {
    let mut buffers = socket.receive_buffers();
    let mut bursts = Vec::new();
    loop {
        match socket.receive(&mut buffers, |burst| bursts.push(burst)).await {
            Ok(()) => routes.deliver(&mut bursts),
            // One peer's unreachable port is reported on the socket all links share; the socket itself is well.
            Err(error) => {
                tracing::debug!(%error, "receive failed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
