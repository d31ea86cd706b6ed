//! One request to a peer: a connection of its own, an answer of bounded size, all of it within a given time.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::peers::Failure;
use crate::wire::{self, Gossip, Message, PeerId, Status};

/// Sends requests in the name of one node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) me: PeerId,
    /// How long a request may take, from the connection to the end of the answer.
    pub(crate) within: Duration,
}

impl Client {
    /// `GET /peers/{me}`.
    pub(crate) async fn ask(self, peer: PeerId) -> Result<Vec<String>, Failure> {
        let path = format!("/peers/{}", self.me);
        let answer = self.request(peer, Method::GET, &path, Bytes::new()).await?;
        serde_json::from_slice(&answer).map_err(|_| Failure::Rubbish)
    }

    /// `POST /gossip`.
    pub(crate) async fn tell(self, peer: PeerId, messages: Vec<Message>) -> Result<(), Failure> {
        let gossip = Gossip {
            client_id: self.me.to_string(),
            messages,
            odd: 0,
        };
        let body = serde_json::to_vec(&gossip).map_err(|_| Failure::Unwilling)?;
        let answer = self.request(peer, Method::POST, "/gossip", body.into()).await?;
        let answer: Status = serde_json::from_slice(&answer).map_err(|_| Failure::Rubbish)?;
        if answer.status == wire::OK {
            Ok(())
        } else {
            Err(Failure::Unwilling)
        }
    }

    async fn request(self, peer: PeerId, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        timeout(self.within, exchange(peer, method, path, body))
            .await
            .unwrap_or(Err(Failure::Silent))
    }
}

async fn exchange(peer: PeerId, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
    // Peers live at "localhost", which some take for the one and some for the other.
    let addresses: [SocketAddr; 2] = [
        (Ipv4Addr::LOCALHOST, peer.0).into(),
        (Ipv6Addr::LOCALHOST, peer.0).into(),
    ];
    let stream = TcpStream::connect(&addresses[..])
        .await
        .map_err(|_| Failure::Unreachable)?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failure(&error))?;
    // Dropped, and the connection closed, as soon as this function is left.
    let mut carrier = JoinSet::new();
    carrier.spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("localhost:{peer}"))
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|_| Failure::Unwilling)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| failure(&error))?;
    if !response.status().is_success() {
        return Err(Failure::Unwilling);
    }
    match Limited::new(response.into_body(), wire::ANSWER_LEN_MAX)
        .collect()
        .await
    {
        Ok(answer) => Ok(answer.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::Rubbish),
        Err(error) => Err(error
            .downcast_ref::<hyper::Error>()
            .map_or(Failure::Closed, failure)),
    }
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_user() {
        Failure::Rubbish
    } else {
        Failure::Closed
    }
}
