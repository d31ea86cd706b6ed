//! Opens a WebSocket to a relay's `/link`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::link::handshake::Side;
use protocol::reach::{Reach, reach};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::{MESSAGE_BYTES_MAX, READ_BUFFER_BYTES, Received, SocketError, ToSend};
use crate::driver::{DriverHandle, Origin};
use crate::network::RelayUrl;

/// Limit for name lookup, TCP, TLS and the upgrade together.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// A TCP connection that is being opened.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// How TCP connections are opened.
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(&RelayUrl) -> Connecting + Send + Sync>);

impl Connector {
    /// By the operating system's name lookup and routes.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|url| {
            let address = url.host_and_port();
            Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            })
        })
    }

    /// By the operating system, but never to an address of this machine or of a local network, unless the operator
    /// allows it: for the relays that the operator `named`, and for all if this relay is at such an address itself. The
    /// addresses that are dialled are those that other relays describe, and could be any in this network.
    #[must_use]
    pub fn careful(own: Option<RelayUrl>, named: Vec<RelayUrl>) -> Self {
        let allowed = Arc::new((own, named));
        Self::new(move |url| {
            let (url, allowed) = (url.clone(), Arc::clone(&allowed));
            Box::pin(async move {
                let (own, named) = &*allowed;
                let mut addresses = resolved(&url).await?;
                let is_allowed = named.contains(&url)
                    || addresses.iter().all(is_public)
                    || match own {
                        Some(own) => {
                            let own = resolved(own).await.unwrap_or_default();
                            own.iter().any(|address| !is_public(address))
                        }
                        None => false,
                    };
                if !is_allowed {
                    addresses.retain(is_public);
                }
                if addresses.is_empty() {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "a relay says it is at an address of a local network; --join with that address allows it",
                    ));
                }
                let stream = TcpStream::connect(&addresses[..]).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            })
        })
    }

    /// By a function of one's own, such as one that connects from another network namespace or through a proxy.
    #[must_use]
    pub fn new(connect: impl Fn(&RelayUrl) -> Connecting + Send + Sync + 'static) -> Self {
        Self(Arc::new(connect))
    }
}

async fn resolved(url: &RelayUrl) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(url.host_and_port()).await?.collect())
}

fn is_public(address: &SocketAddr) -> bool {
    reach(address.ip()) == Reach::Internet
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Why a relay could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no answer in time.
    #[error("no answer within {} s", OPENS_WITHIN.as_secs())]
    Timeout,
    /// It does not open.
    #[error(transparent)]
    Refused(#[from] tungstenite::Error),
}

/// An open WebSocket to a relay.
#[derive(Debug)]
pub struct Dialled {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: RelayUrl,
}

/// Opens a WebSocket to the relay at `url`.
///
/// # Errors
/// [`DialError`].
pub async fn open(url: &RelayUrl, connector: &Connector) -> Result<Dialled, DialError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let opening = async {
        let stream = (connector.0)(url).await.map_err(tungstenite::Error::Io)?;
        let upgraded = client_async_tls_with_config(url.link(), stream, Some(config), None).await;
        upgraded.map(|(socket, _)| socket)
    };
    let socket = timeout(OPENS_WITHIN, opening)
        .await
        .map_err(|_| DialError::Timeout)??;
    Ok(Dialled {
        socket,
        url: url.clone(),
    })
}

/// Checks that a browser with the page of the relay at `url` could open a WebSocket there: the upgrade has the page's
/// `Origin`, and is closed at once.
///
/// # Errors
/// [`DialError`].
pub async fn check_as_page(url: &RelayUrl, connector: &Connector) -> Result<(), DialError> {
    let opening = async {
        let mut request = url.link().into_client_request()?;
        let origin = HeaderValue::from_str(&url.to_string()).map_err(tungstenite::http::Error::from)?;
        request.headers_mut().insert(ORIGIN, origin);
        let stream = (connector.0)(url).await.map_err(tungstenite::Error::Io)?;
        let (mut socket, _) = client_async_tls_with_config(request, stream, None, None).await?;
        socket.close(None).await
    };
    timeout(OPENS_WITHIN, opening)
        .await
        .map_err(|_| DialError::Timeout)??;
    Ok(())
}

impl DialError {
    /// The status and body of the response with which the relay refused, if it sent one.
    #[must_use]
    pub fn response(&self) -> Option<(u16, String)> {
        let Self::Refused(tungstenite::Error::Http(response)) = self else {
            return None;
        };
        let body = response.body().as_deref().unwrap_or_default();
        Some((
            response.status().as_u16(),
            String::from_utf8_lossy(body).into_owned(),
        ))
    }
}

impl Dialled {
    /// Makes it a link of the driver, and runs it until it ends.
    pub async fn run(self, driver: &DriverHandle) {
        let host = self.url.host().to_owned();
        let socket = self
            .socket
            .map(|message| message.map(received).map_err(socket_error))
            .sink_map_err(socket_error)
            .with(async |message| Ok::<_, SocketError>(to_send(message)));
        let never = std::future::pending();
        super::run(
            Box::pin(socket),
            driver,
            host,
            Side::Initiator,
            Origin::Dialled(Some(self.url)),
            never,
            || {},
        )
        .await;
    }
}

fn received(message: Message) -> Received {
    match message {
        Message::Binary(bytes) => Received::Frame(bytes),
        Message::Ping(_) | Message::Pong(_) => Received::Control,
        // Raw frames are never read.
        Message::Text(_) | Message::Frame(_) => Received::Text,
        Message::Close(_) => Received::Close,
    }
}

fn to_send(message: ToSend) -> Message {
    match message {
        ToSend::Frame(bytes) => Message::Binary(bytes),
        ToSend::Ping => Message::Ping(Bytes::new()),
        ToSend::Close(reason) => Message::Close(Some(CloseFrame {
            code: CloseCode::Policy,
            reason: reason.into(),
        })),
    }
}

fn socket_error(error: tungstenite::Error) -> SocketError {
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => SocketError::TooLong,
        _ => SocketError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::{Connector, DialError, open};
    use crate::network::RelayUrl;

    #[tokio::test]
    async fn addresses_of_local_networks_are_dialled_only_if_the_operator_allows_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: RelayUrl = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let opens = async |own: Option<&str>, named: Vec<RelayUrl>| {
            let own = own.map(|own| own.parse().unwrap());
            let connector = Connector::careful(own, named);
            let opened = (connector.0)(&url).await;
            opened.map(|_| ()).map_err(|error| error.kind())
        };
        let refused = Err(std::io::ErrorKind::PermissionDenied);
        assert_eq!(opens(None, vec![]).await, refused);
        assert_eq!(opens(Some("http://203.0.113.1"), vec![]).await, refused);
        assert_eq!(
            opens(Some("http://10.0.0.1"), vec![]).await,
            Ok(()),
            "it is in such a network itself"
        );
        assert_eq!(
            opens(None, vec![url.clone()]).await,
            Ok(()),
            "the operator named it"
        );
    }

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
        let refused = open(&url, &Connector::system()).await;
        assert!(matches!(refused, Err(DialError::Refused(_))), "{refused:?}");
        // The content type of a TLS handshake record (RFC 8446 section 5.1).
        assert_eq!(server.await.unwrap(), 22);
    }
}
