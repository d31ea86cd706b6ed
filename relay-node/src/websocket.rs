//! The endpoint `/link`: WebSockets that peers open to this relay become links.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ws::{self, WebSocket, close_code};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use native::driver::DriverHandle;
use native::websocket::{
    MESSAGE_BYTES_MAX, READ_BUFFER_BYTES, Received, Socket, SocketError, ToSend, accept,
};
use signaling::{ConnectionGuard, network};

/// The endpoint. It needs `ConnectInfo<SocketAddr>`.
pub fn router(driver: DriverHandle, guard: ConnectionGuard) -> Router {
    Router::new()
        .route("/link", any(upgrade))
        .with_state((driver, guard))
}

async fn upgrade(
    State((driver, guard)): State<(DriverHandle, ConnectionGuard)>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let accepted = match guard.admit(remote, &headers).await {
        Ok(accepted) => accepted,
        Err(error) => {
            // Strangers can cause as many of these as they like.
            tracing::debug!(%remote, %error, "WebSocket link refused");
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
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(async move |socket| {
            let (host, place) = (accepted.host, accepted.place);
            let address = accepted.address.map(network);
            accept(adapt(socket), &driver, address, host, place.evicted(), || {
                place.settle();
            })
            .await;
        })
        .into_response()
}

/// The server library's WebSocket as the link's.
fn adapt(socket: WebSocket) -> impl Socket + use<> {
    let socket = socket
        .map(|message| message.map(received).map_err(socket_error))
        .sink_map_err(socket_error)
        .with(async |message| Ok::<_, SocketError>(to_send(message)));
    Box::pin(socket)
}

fn received(message: ws::Message) -> Received {
    match message {
        ws::Message::Binary(bytes) => Received::Frame(bytes),
        ws::Message::Ping(_) | ws::Message::Pong(_) => Received::Control,
        ws::Message::Text(_) => Received::Text,
        ws::Message::Close(_) => Received::Close,
    }
}

fn to_send(message: ToSend) -> ws::Message {
    match message {
        ToSend::Frame(bytes) => ws::Message::Binary(bytes),
        ToSend::Ping => ws::Message::Ping(Bytes::new()),
        ToSend::Close(reason) => ws::Message::Close(Some(ws::CloseFrame {
            code: close_code::POLICY,
            reason: reason.into(),
        })),
    }
}

fn socket_error(error: axum::Error) -> SocketError {
    use std::error::Error as _;
    // axum passes its WebSocket library's error on without naming its type.
    let too_long = error
        .source()
        .is_some_and(|source| source.to_string().contains("too long"));
    match too_long {
        true => SocketError::TooLong,
        false => SocketError::Broken,
    }
}
