//! The WebSocket endpoint `/signal`: one binary message per signal message.
//!
//! A connection ends when its peer leaves, breaks a rule (it is told which), says nothing to several pings, or takes
//! nothing for too long.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use protocol::signal::{Refusal, ToPeer};
use protocol::{codec, limits};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::door::{Admitted, Door};
use crate::hub::{Hub, Outgoing};
use crate::rate::{Bucket, Rate};
use crate::rooms::SocketId;

/// How often a silent peer is pinged: below the shortest idle timeouts of proxies, which are about a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Without a word (a pong is one) for as long as this, a peer is gone.
const SILENT_MAX: Duration = Duration::from_secs(80);
/// How long a peer may take to accept a message.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Pings and pongs a peer may send; each costs work and none is paid for in the rooms.
const CONTROL: Rate = Rate { burst: 20, per_s: 1 };
/// How long a refused peer is given to read why: what it still sends meanwhile is thrown away.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// The endpoint. It needs [`ConnectInfo`] of a [`SocketAddr`], as [`crate::serve`] provides it.
pub fn router(hub: Hub, door: Door) -> Router {
    Router::new()
        .route("/signal", any(upgrade))
        .with_state((hub, door))
}

async fn upgrade(
    State((hub, door)): State<(Hub, Door)>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let admitted = match door.admit(remote, &headers) {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::debug!(%remote, %error, "a signaling socket was refused");
            return error.into_response();
        }
    };
    upgrade
        // A little over the limit is refused by name, far over it is not even read.
        .max_message_size(2 * limits::SIGNAL_LEN_MAX)
        .max_frame_size(2 * limits::SIGNAL_LEN_MAX)
        .on_upgrade(move |socket| run(socket, hub, admitted))
        .into_response()
}

async fn run(mut socket: WebSocket, hub: Hub, admitted: Admitted) {
    let reason = match hub.open(&admitted.host) {
        Err(reason) => Some(reason),
        Ok((id, mut queue)) => {
            let reason = pump(&mut socket, &hub, id, &mut queue).await;
            hub.close(id);
            reason
        }
    };
    if let Some(reason) = reason {
        tracing::debug!(address = ?admitted.address, %reason, "a signaling socket was closed");
        let _ = timeout(GOODBYE_WITHIN, goodbye(&mut socket, reason)).await;
    }
}

/// Carries messages both ways until one side ends it; the reason, if it is this one.
async fn pump(
    socket: &mut WebSocket,
    hub: &Hub,
    id: SocketId,
    queue: &mut tokio::sync::mpsc::Receiver<Outgoing>,
) -> Option<Refusal> {
    let mut heard = Instant::now();
    let join_by = heard + hub.join_within();
    let mut join_checked = false;
    let mut control = Bucket::new(CONTROL, hub.now());
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            // What the rooms decided comes before what the peer says next.
            biased;
            outgoing = queue.recv() => match outgoing? {
                Outgoing::Message(message) => Message::Binary(codec::encode(&message).into()),
                Outgoing::Close(reason) => return Some(reason),
            },
            () = sleep_until(join_by), if !join_checked => {
                join_checked = true;
                hub.tick();
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
                    Some(Ok(Message::Binary(bytes))) => hub.receive(id, &bytes),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        if !control.take(CONTROL, hub.now(), 1) {
                            return Some(Refusal::TooFast);
                        }
                    }
                    Some(Ok(Message::Text(_))) => return Some(Refusal::Malformed),
                    Some(Ok(Message::Close(_))) | None => return None,
                    // Too long, or no WebSocket at all. Whoever is still there is told.
                    Some(Err(_)) => return Some(Refusal::Malformed),
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

/// Says why, and waits for the peer to have read it: closing over unread bytes would make its side forget ours.
async fn goodbye(socket: &mut WebSocket, reason: Refusal) {
    let close = CloseFrame {
        code: close_code::POLICY,
        reason: reason.to_string().into(),
    };
    let refused = codec::encode(&ToPeer::Refused { reason });
    let told = socket.send(Message::Binary(refused.into())).await.is_ok()
        && socket.send(Message::Close(Some(close))).await.is_ok();
    if told {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
