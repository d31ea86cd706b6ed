//! Links over WebSocket, at `/link`: one binary message per frame, for peers without UDP.
//!
//! The handshake is bound to the host the client dialled. Over TLS that is the name the certificate vouches for.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use engine::api::Transport;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use protocol::handshake::{Binding, Role};
use protocol::{frame, limits};
use signaling::Door;
use signaling::rate::{Bucket, Rate};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::driver::{DriverHandle, FrameSink, Handful, Outgoing, ToLink};
use crate::network::RelayUrl;

/// How often a peer is pinged: below the shortest idle timeouts of proxies, which are about a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// How long a peer may take to accept what is sent at once.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// How long a peer may be silent (a pong is a word).
const SILENT_MAX: Duration = Duration::from_secs(80);
/// How long a peer is given to read why its link was closed.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// Pings and pongs a peer may send.
const CONTROL: Rate = Rate { burst: 20, per_s: 1 };
/// Frames written between two flushes.
const FRAMES_PER_FLUSH_MAX: usize = 64;

/// The endpoint. It needs `ConnectInfo<SocketAddr>`.
pub fn router(driver: DriverHandle, door: Door) -> Router {
    Router::new()
        .route("/link", any(upgrade))
        .with_state((driver, door))
}

async fn upgrade(
    State((driver, door)): State<(DriverHandle, Door)>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let admitted = match door.admit(remote, &headers) {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::info!(%remote, %error, "a WebSocket link was refused");
            return error.into_response();
        }
    };
    if !driver.is_ready() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the relay is starting; try again",
        )
            .into_response();
    }
    upgrade
        // A little over the limit is refused by the engine, by name; far over it is not even read.
        .max_message_size(2 * limits::FRAME_LEN_MAX)
        .max_frame_size(2 * limits::FRAME_LEN_MAX)
        .on_upgrade(async move |socket| {
            let host = admitted.host.clone();
            run(socket, &driver, host).await;
            drop(admitted);
        })
        .into_response()
}

/// An open WebSocket, whichever side opened it.
pub(super) trait Socket:
    Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send + Unpin
{
}

impl<T> Socket for T where
    T: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send + Unpin
{
}

async fn run(socket: WebSocket, driver: &DriverHandle, host: String) {
    run_as(socket, driver, host, Role::Responder, None).await;
}

/// A link over an open WebSocket, until it ends. `dialled`: where, if this side opened it.
pub(super) async fn run_as(
    socket: impl Socket,
    driver: &DriverHandle,
    host: String,
    role: Role,
    dialled: Option<RelayUrl>,
) {
    let (mut sender, receiver) = socket.split();
    let binding = Binding::WebSocket { host };
    let end = match driver.attach(role, binding, Transport::WebSocket, dialled).await {
        Ok(end) => end,
        Err(error) => {
            let goodbye = goodbye(&mut sender, receiver, error.to_string(), true);
            let _ = timeout(GOODBYE_WITHIN, goodbye).await;
            return;
        }
    };
    let (sink, mut outgoing) = (end.sink, end.outgoing);
    let abandoned = outgoing.abandoned();
    let mut incoming = Incoming::new(receiver);
    // Whichever direction ends, ends the link. Neither waits for the other.
    let (reason, told) = tokio::select! {
        reason = write(&mut sender, &mut outgoing) => (reason, true),
        reason = incoming.read(&sink) => (reason, false),
        () = abandoned => (None, true),
    };
    drop((sink, outgoing));
    if let Some(reason) = reason {
        // What the engine says in its last frames was sent; what this transport has to say was not.
        let goodbye = goodbye(&mut sender, incoming.receiver, reason, !told);
        let _ = timeout(GOODBYE_WITHIN, goodbye).await;
    }
}

/// Sends what is queued until the engine closes the link (the reason) or the channel breaks.
async fn write<S: Socket>(sender: &mut SplitSink<S, Message>, outgoing: &mut Outgoing) -> Option<String> {
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
                    sender.feed(Message::Ping(Bytes::new())).await?;
                    None
                }
            };
            let mut fed = 0;
            let closed = loop {
                match next {
                    Some(ToLink::Frame(bytes)) => sender.feed(Message::Binary(bytes)).await?,
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
            Ok::<_, axum::Error>(closed)
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
    control: Bucket,
    start: Instant,
}

impl<S: Socket> Incoming<S> {
    fn new(receiver: SplitStream<S>) -> Self {
        Self {
            receiver,
            control: Bucket::new(CONTROL, protocol::Instant::default()),
            start: Instant::now(),
        }
    }

    /// Hands frames on until the peer leaves, or breaks a rule (the reason).
    async fn read(&mut self, sink: &FrameSink) -> Option<String> {
        loop {
            let Ok(first) = timeout(SILENT_MAX, self.receiver.next()).await else {
                return Some("nothing was heard for too long".to_owned());
            };
            // And what else is here already.
            let (mut handful, mut next) = (Handful::default(), Some(first));
            let end = loop {
                let Some(message) = next else { break None };
                match self.sort(message) {
                    Incomes::Frame(bytes) => handful.put(bytes),
                    Incomes::Nothing => {}
                    Incomes::End(reason) => break Some(reason),
                }
                next = match handful.has_room() {
                    true => self.receiver.next().now_or_never(),
                    false => None,
                };
            };
            if !handful.is_empty() && !sink.frames(handful).await {
                return None;
            }
            if let Some(reason) = end {
                return reason;
            }
        }
    }

    /// What a message of the socket means.
    fn sort(&mut self, message: Option<Result<Message, axum::Error>>) -> Incomes {
        match message {
            Some(Ok(Message::Binary(bytes))) => Incomes::Frame(bytes.into()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                let now = protocol::Instant::default() + self.start.elapsed();
                match self.control.take(CONTROL, now, 1) {
                    true => Incomes::Nothing,
                    false => Incomes::End(Some("too many pings".to_owned())),
                }
            }
            Some(Ok(Message::Text(_))) => Incomes::End(Some("frames are binary messages".to_owned())),
            Some(Err(error)) if is_too_long(&error) => {
                Incomes::End(Some(frame::FrameError::TooLong.to_string()))
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => Incomes::End(None),
        }
    }
}

/// What comes in over a socket.
enum Incomes {
    Frame(Vec<u8>),
    Nothing,
    /// The peer left, or broke a rule (the reason).
    End(Option<String>),
}

fn is_too_long(error: &axum::Error) -> bool {
    use std::error::Error as _;
    // axum passes its WebSocket library's error on without naming its type.
    error
        .source()
        .is_some_and(|source| source.to_string().contains("too long"))
}

/// Says why, and waits for the peer to have read it: closing over unread bytes would make its side forget ours.
async fn goodbye<S: Socket>(
    sender: &mut SplitSink<S, Message>,
    mut receiver: SplitStream<S>,
    reason: String,
    say_in_frame: bool,
) {
    if say_in_frame {
        let _ = sender.send(Message::Binary(frame::close(&reason).into())).await;
    }
    let mut cut = reason.len().min(CLOSE_REASON_BYTES_MAX);
    while !reason.is_char_boundary(cut) {
        cut -= 1;
    }
    let close = CloseFrame {
        code: close_code::POLICY,
        reason: reason[..cut].into(),
    };
    if sender.send(Message::Close(Some(close))).await.is_ok() {
        while let Some(Ok(_)) = receiver.next().await {}
    }
}

/// A control frame carries 125 bytes (RFC 6455 section 5.5), two of them the code.
const CLOSE_REASON_BYTES_MAX: usize = 123;
