//! Links over WebSocket: one binary message per frame, for peers without UDP.
//!
//! The link runs over any [`Socket`], whichever library and side opened it; `dial` opens one to a relay. The handshake
//! is bound to the host the client dialled. Over TLS that is the name the certificate vouches for.

pub mod dial;

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use engine::api::Transport;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use protocol::link::frame;
use protocol::link::handshake::{Binding, Side};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::driver::{DriverHandle, Origin};
use crate::link::{FrameBatch, FrameSink, Outgoing, ToLink};

/// Longest message to read. Twice the limit of a frame: what is a little over the limit is refused by the engine with a
/// reason, and what is far over it is not read at all.
pub const MESSAGE_BYTES_MAX: usize = 2 * protocol::limits::FRAME_LEN_MAX;

/// Memory that each socket keeps for reading, in bytes: the largest frame. The library's own default, eight times as much,
/// would be most of what an idle link costs, and the allocator would not give it back.
pub const READ_BUFFER_BYTES: usize = protocol::limits::FRAME_LEN_MAX;

/// Time between pings: below the shortest idle timeouts of proxies, which are about a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// How long a peer may take to accept what is sent at once.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// How long a peer may be silent; a pong counts.
const SILENT_MAX: Duration = Duration::from_secs(80);
/// How long a peer may take to read why its link was closed.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// Pings and pongs accepted in one window. An honest peer sends one or two.
const CONTROL_MESSAGES_MAX: u32 = 20;
/// Length of that window.
const CONTROL_WINDOW: Duration = Duration::from_secs(20);
/// Frames written between two flushes.
const FRAMES_PER_FLUSH_MAX: usize = 64;
/// A control frame carries 125 bytes (RFC 6455 section 5.5), two of them the code.
const CLOSE_REASON_BYTES_MAX: usize = 123;

/// A message read from a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Frame(Bytes),
    /// A ping, which the library answers, or a pong.
    Control,
    /// A text message, which this protocol does not have.
    Text,
    /// The peer closes.
    Close,
}

/// A message to write to a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSend {
    Frame(Bytes),
    Ping,
    /// A close frame with code 1008 (policy violation) and this reason.
    Close(String),
}

/// Why a WebSocket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketError {
    /// A message exceeded [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// Anything else.
    Broken,
}

/// An open WebSocket.
pub trait Socket:
    Stream<Item = Result<Received, SocketError>> + Sink<ToSend, Error = SocketError> + Send + Unpin
{
}

impl<T> Socket for T where
    T: Stream<Item = Result<Received, SocketError>> + Sink<ToSend, Error = SocketError> + Send + Unpin
{
}

/// Accepts a link on a WebSocket this side did not open, and runs it until it ends. `address` is where it comes from (`None`:
/// this machine), `host` what the peer dialled.
/// `settle` is called once the peer is a neighbour. If `evicted` resolves before, the link is closed.
pub async fn accept(
    socket: impl Socket,
    driver: &DriverHandle,
    address: Option<IpAddr>,
    host: String,
    evicted: impl Future<Output = ()>,
    settle: impl FnOnce(),
) {
    let origin = Origin::Accepted(address);
    run(socket, driver, host, Side::Responder, origin, evicted, settle).await;
}

/// Runs a link until it ends.
async fn run(
    socket: impl Socket,
    driver: &DriverHandle,
    host: String,
    side: Side,
    origin: Origin,
    evicted: impl Future<Output = ()>,
    settle: impl FnOnce(),
) {
    let (mut sender, receiver) = socket.split();
    let binding = Binding::WebSocket { host };
    let mut evicted = pin!(evicted);
    let attached = tokio::select! {
        biased;
        // It waits while its address has used more than its share.
        () = evicted.as_mut() => return,
        attached = driver.attach(side, binding, Transport::WebSocket, origin) => attached,
    };
    let end = match attached {
        Ok(end) => end,
        Err(error) => {
            let goodbye = goodbye(&mut sender, receiver, error.to_string(), true);
            let _ = timeout(GOODBYE_WITHIN, goodbye).await;
            return;
        }
    };
    let (sink, mut outgoing) = (end.sink, end.outgoing);
    let abandoned = outgoing.abandoned();
    let settled = outgoing.settled();
    let gave_way = async {
        tokio::select! {
            biased;
            () = evicted => {}
            () = settled => {
                settle();
                std::future::pending::<()>().await;
            }
        }
    };
    let mut incoming = Incoming::new(receiver);
    // The link ends when either direction ends. Neither waits for the other. A peer that was answered as a neighbour has
    // its place: that comes first.
    let run = async {
        tokio::select! {
            biased;
            () = gave_way => (None, true),
            () = abandoned => (None, true),
            reason = write(&mut sender, &mut outgoing) => (reason, true),
            reason = incoming.read(&sink) => (reason, false),
        }
    };
    let (reason, sent) = sink.payer().metered(run).await;
    drop((sink, outgoing));
    if let Some(reason) = reason {
        // The engine's reason was its last frame; this transport's reason is not sent yet.
        let goodbye = goodbye(&mut sender, incoming.receiver, reason, !sent);
        let _ = timeout(GOODBYE_WITHIN, goodbye).await;
    }
}

/// Sends what is queued until the engine closes the link (the reason) or the channel breaks.
async fn write<S: Socket>(sender: &mut SplitSink<S, ToSend>, outgoing: &mut Outgoing) -> Option<String> {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let first = tokio::select! {
            next = outgoing.next() => Some(next?),
            _ = pings.tick() => None,
        };
        let flushed = async {
            let mut next = match first {
                Some(next) => Some(next),
                None => {
                    sender.feed(ToSend::Ping).await?;
                    None
                }
            };
            let mut fed = 0;
            let closed = loop {
                match next {
                    Some(ToLink::Frame(bytes)) => sender.feed(ToSend::Frame(bytes)).await?,
                    Some(ToLink::Close(reason)) => break Some(reason),
                    None => break None,
                }
                fed += 1;
                next = if fed < FRAMES_PER_FLUSH_MAX {
                    outgoing.try_next()
                } else {
                    None
                };
            };
            sender.flush().await?;
            Ok::<_, SocketError>(closed)
        };
        match timeout(SEND_WITHIN, flushed).await {
            Ok(Ok(None)) => {}
            Ok(Ok(reason)) => return reason,
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}

struct Incoming<S> {
    receiver: SplitStream<S>,
    control: ControlMessages,
}

impl<S: Socket> Incoming<S> {
    fn new(receiver: SplitStream<S>) -> Self {
        Self {
            receiver,
            control: ControlMessages::default(),
        }
    }

    /// Hands frames to the engine until the peer leaves, or breaks a rule (the reason).
    async fn read(&mut self, sink: &FrameSink) -> Option<String> {
        loop {
            let Ok(first) = timeout(SILENT_MAX, self.receiver.next()).await else {
                return Some("nothing was heard for too long".to_owned());
            };
            // Whatever has arrived already goes into the same batch.
            let (mut batch, mut next) = (FrameBatch::default(), Some(first));
            let end = loop {
                let Some(message) = next else { break None };
                match self.classify(message) {
                    Step::Frame(bytes) => batch.push(bytes.into()),
                    Step::Ignore => {}
                    Step::End(reason) => break Some(reason),
                }
                next = match batch.has_room() {
                    true => self.receiver.next().now_or_never(),
                    false => None,
                };
            };
            if !batch.is_empty() && !sink.frames(batch).await {
                return None;
            }
            if let Some(reason) = end {
                return reason;
            }
        }
    }

    fn classify(&mut self, message: Option<Result<Received, SocketError>>) -> Step {
        match message {
            Some(Ok(Received::Frame(bytes))) => Step::Frame(bytes),
            Some(Ok(Received::Control)) if self.control.allow(Instant::now()) => Step::Ignore,
            Some(Ok(Received::Control)) => Step::End(Some("too many pings".to_owned())),
            Some(Ok(Received::Text)) => Step::End(Some("frames are binary messages".to_owned())),
            Some(Err(SocketError::TooLong)) => Step::End(Some(frame::FrameError::TooLong.to_string())),
            Some(Ok(Received::Close) | Err(SocketError::Broken)) | None => Step::End(None),
        }
    }
}

/// What follows from a message of the peer.
enum Step {
    Frame(Bytes),
    Ignore,
    /// The peer left, or broke a rule (the reason).
    End(Option<String>),
}

/// Counts control messages in the current window.
#[derive(Debug, Default)]
struct ControlMessages {
    window: Option<Instant>,
    count: u32,
}

impl ControlMessages {
    fn allow(&mut self, now: Instant) -> bool {
        let began = *self.window.get_or_insert(now);
        if now.duration_since(began) >= CONTROL_WINDOW {
            (self.window, self.count) = (Some(now), 0);
        }
        self.count += 1;
        self.count <= CONTROL_MESSAGES_MAX
    }
}

/// Sends the reason and waits until the peer has read it: closing a connection with unread bytes makes its side drop
/// ours.
async fn goodbye<S: Socket>(
    sender: &mut SplitSink<S, ToSend>,
    mut receiver: SplitStream<S>,
    mut reason: String,
    in_frame: bool,
) {
    if in_frame {
        let _ = sender.send(ToSend::Frame(frame::close(&reason).into())).await;
    }
    reason.truncate(reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX));
    if sender.send(ToSend::Close(reason)).await.is_ok() {
        while let Some(Ok(_)) = receiver.next().await {}
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use engine::api::Query;
    use engine::io::Config;
    use protocol::KeyPair;

    use super::{
        CONTROL_MESSAGES_MAX, CONTROL_WINDOW, ControlMessages, Duration, Instant, Received, Sink,
        SocketError, Stream, ToSend, accept,
    };
    use crate::driver::{self, Options};
    use crate::network::AddressBook;
    use crate::store::Store;

    /// Takes some time to read each of a few pings, then ends.
    struct Costly(u32);

    impl Stream for Costly {
        type Item = Result<Received, SocketError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            std::thread::sleep(Duration::from_millis(50));
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or(0);
            Poll::Ready(left.map(|_| Ok(Received::Control)))
        }
    }

    impl Sink<ToSend> for Costly {
        type Error = SocketError;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(self: Pin<&mut Self>, _: ToSend) -> Result<(), SocketError> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_reading_a_socket_costs_is_paid_by_its_address() {
        let (book, _dials) = AddressBook::open(Vec::new());
        let config = Config::relay(KeyPair::from_seed(&[1; 32]));
        let options = Options {
            percent_per_address: 50,
            ..Options::new(config, [7; 32], Store::in_memory().unwrap(), book)
        };
        let (driver, _thread) = driver::start(options).unwrap();
        driver.ask(Query::Network).await.expect("the store is read");
        let address = Some([203, 0, 113, 1].into());
        let host = "relay.example".to_owned();
        accept(Costly(14), &driver, address, host, std::future::pending(), || {}).await;
        let began = Instant::now();
        driver.payer(address).ready().await;
        // Of 750 ms, 250 are free and the rest is waited for at half the rate, less what was paid meanwhile.
        let waited = began.elapsed();
        assert!(waited > Duration::from_millis(100), "{waited:?}");
    }

    #[test]
    fn control_messages_are_bounded_in_each_window() {
        let (mut control, start) = (ControlMessages::default(), Instant::now());
        for _ in 0..CONTROL_MESSAGES_MAX {
            assert!(control.allow(start));
        }
        assert!(!control.allow(start + CONTROL_WINDOW / 2));
        assert!(control.allow(start + CONTROL_WINDOW));
    }
}
