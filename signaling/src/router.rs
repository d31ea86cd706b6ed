//! The WebSocket endpoint `/signal`: one binary message per signal message.
//!
//! A connection ends when its peer leaves, breaks a rule (the reason is sent), does not answer several pings, or does
//! not read for too long.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use protocol::signal::{CloseReason, ToPeer};
use protocol::{codec, limits};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::connection_guard::{Accepted, ConnectionGuard};
use crate::places::Place;
use crate::rate::{Rate, TokenBucket};
use crate::rooms::SocketId;
use crate::server::{Outgoing, SignalingServer};

/// Interval of pings: below the shortest idle timeouts of proxies, which are about a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// A peer that sent nothing, not even a pong, for this long is gone.
const SILENT_MAX: Duration = Duration::from_secs(80);
/// Time a peer may take to accept a message.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Rate limit of pings and pongs, which the limits of the rooms do not cover.
const CONTROL: Rate = Rate { burst: 20, per_s: 1 };
/// Time a refused peer is given to read the reason. What it sends meanwhile is discarded.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// Memory that each socket keeps for reading, in bytes: a tab's burst of candidates.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// The same time for a peer whose socket gives way to a newer one, which waits for its place.
const GIVE_WAY_WITHIN: Duration = Duration::from_millis(50);

/// The endpoint. It needs [`ConnectInfo`] of a [`SocketAddr`], as [`crate::serve`] provides it.
pub fn router(server: SignalingServer, guard: ConnectionGuard) -> Router {
    Router::new()
        .route("/signal", any(upgrade))
        .with_state((server, guard))
}

async fn upgrade(
    State((server, guard)): State<(SignalingServer, ConnectionGuard)>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let accepted = match guard.admit(remote, &headers).await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%remote, %error, "signaling connection refused");
            return error.into_response();
        }
    };
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        // A message slightly over the limit is refused with a reason; one far over it is not read.
        .max_message_size(2 * limits::SIGNAL_LEN_MAX)
        .max_frame_size(2 * limits::SIGNAL_LEN_MAX)
        .on_upgrade(move |socket| run(socket, server, accepted))
        .into_response()
}

async fn run(mut socket: WebSocket, server: SignalingServer, accepted: Accepted) {
    let (reason, within) = match server.open(&accepted.host, accepted.address) {
        Err(reason) => (Some(reason), GOODBYE_WITHIN),
        Ok((id, mut queue)) => {
            let ended = tokio::select! {
                reason = pump(&mut socket, &server, id, &mut queue, &accepted.place) => (reason, GOODBYE_WITHIN),
                () = accepted.place.evicted() => (Some(CloseReason::TooSlow), GIVE_WAY_WITHIN),
            };
            server.close(id);
            ended
        }
    };
    if let Some(reason) = reason {
        tracing::debug!(address = ?accepted.address, %reason, "signaling connection closed");
        let _ = timeout(within, goodbye(&mut socket, reason)).await;
    }
}

/// Forwards messages both ways until one side closes; returns the reason if it is this side.
async fn pump(
    socket: &mut WebSocket,
    server: &SignalingServer,
    id: SocketId,
    queue: &mut tokio::sync::mpsc::Receiver<Outgoing>,
    place: &Place,
) -> Option<CloseReason> {
    let mut heard = Instant::now();
    let join_by = heard + server.join_within();
    let (mut join_checked, mut settled) = (false, false);
    let mut control = TokenBucket::new(CONTROL, server.now());
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            // Outgoing messages first: a decision to close comes before the peer's next message.
            biased;
            outgoing = queue.recv() => match outgoing? {
                Outgoing::Message(message) => Message::Binary(codec::encode(&message).into()),
                Outgoing::Close(reason) => return Some(reason),
            },
            () = sleep_until(join_by), if !join_checked => {
                join_checked = true;
                server.tick();
                continue;
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENT_MAX {
                    return None;
                }
                Message::Ping(bytes::Bytes::new())
            }
            incoming = socket.recv() => {
                heard = Instant::now();
                match incoming {
                    Some(Ok(Message::Binary(bytes))) => {
                        server.receive(id, &bytes);
                        if !settled && server.is_joined(id) {
                            settled = true;
                            place.settle();
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        if !control.take(CONTROL, server.now(), 1) {
                            return Some(CloseReason::TooFast);
                        }
                    }
                    Some(Ok(Message::Text(_))) => return Some(CloseReason::Malformed),
                    Some(Ok(Message::Close(_))) | None => return None,
                    // Too long, or not a WebSocket message.
                    Some(Err(_)) => return Some(CloseReason::Malformed),
                }
                continue;
            }
        };
        match timeout(SEND_WITHIN, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}

/// Sends the reason and waits until the peer closes: closing a TCP connection with unread input would reset it, and
/// the peer would lose the reason.
async fn goodbye(socket: &mut WebSocket, reason: CloseReason) {
    let close = CloseFrame {
        code: close_code::POLICY,
        reason: reason.to_string().into(),
    };
    let refused = codec::encode(&ToPeer::Refused { reason });
    let sent = socket.send(Message::Binary(refused.into())).await.is_ok()
        && socket.send(Message::Close(Some(close))).await.is_ok();
    if sent {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
