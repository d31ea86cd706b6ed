//! Links to other relays: their `/link`, opened from here.

use std::time::Duration;

use axum::extract::ws;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::handshake::Role;
use protocol::limits;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::websocket;
use crate::driver::DriverHandle;
use crate::network::RelayUrl;

/// Name lookup, TCP, TLS and the upgrade together.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// Why a relay could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answers in time.
    #[error("no answer within {} s", OPENS_WITHIN.as_secs())]
    Timeout,
    /// It does not open.
    #[error(transparent)]
    Refused(#[from] tungstenite::Error),
}

/// A WebSocket to another relay, open.
#[derive(Debug)]
pub struct Dialled {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: RelayUrl,
}

/// Opens a WebSocket to the relay at `url`.
///
/// # Errors
/// [`DialError`].
pub async fn open(url: &RelayUrl) -> Result<Dialled, DialError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(2 * limits::FRAME_LEN_MAX))
        .max_frame_size(Some(2 * limits::FRAME_LEN_MAX));
    let opening = connect_async_with_config(url.link(), Some(config), true);
    let (socket, _) = timeout(OPENS_WITHIN, opening)
        .await
        .map_err(|_| DialError::Timeout)??;
    Ok(Dialled {
        socket,
        url: url.clone(),
    })
}

impl Dialled {
    /// Makes it a link, until it ends.
    pub async fn run(self, driver: &DriverHandle) {
        let host = self.url.host().to_owned();
        let socket = self
            .socket
            .map(|read| read.map(read_as).map_err(axum::Error::new))
            .sink_map_err(axum::Error::new)
            .with(async |message| Ok::<_, axum::Error>(write_as(message)));
        let socket = Box::pin(socket);
        websocket::run_as(socket, driver, host, Role::Initiator, Some(self.url)).await;
    }
}

/// The server's library and the client's have a type each for the same thing.
fn read_as(message: Message) -> ws::Message {
    match message {
        Message::Binary(bytes) => ws::Message::Binary(bytes),
        Message::Ping(bytes) => ws::Message::Ping(bytes),
        Message::Pong(bytes) => ws::Message::Pong(bytes),
        // Not of this protocol, whatever it says; raw frames are never read.
        Message::Text(_) | Message::Frame(_) => ws::Message::Text(ws::Utf8Bytes::default()),
        Message::Close(_) => ws::Message::Close(None),
    }
}

fn write_as(message: ws::Message) -> Message {
    match message {
        ws::Message::Binary(bytes) => Message::Binary(bytes),
        ws::Message::Ping(bytes) => Message::Ping(bytes),
        ws::Message::Pong(bytes) => Message::Pong(bytes),
        ws::Message::Text(text) => Message::Binary(Bytes::copy_from_slice(text.as_bytes())),
        ws::Message::Close(frame) => Message::Close(frame.map(|frame| tungstenite::protocol::CloseFrame {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::{DialError, open};
    use crate::network::RelayUrl;

    #[tokio::test]
    async fn tls_is_spoken_where_the_address_says_so() {
        use tokio::io::AsyncReadExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: RelayUrl = format!("https://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; 1];
            stream.read_exact(&mut first).await.unwrap();
            first[0]
        });
        let refused = open(&url).await;
        assert!(matches!(refused, Err(DialError::Refused(_))), "{refused:?}");
        // The content type of a TLS handshake record (RFC 8446 section 5.1).
        assert_eq!(server.await.unwrap(), 22);
    }
}
