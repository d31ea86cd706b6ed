//! A live tab whose server has been taken over: whatever it sends, the tab closes the link and says why, keeps and
//! shows nothing of it, and goes on with everybody else.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::entry::Position;
use protocol::kinds::Body;
use protocol::kinds::Certificate;
use protocol::link::frame::{self, FrameError};
use protocol::link::handshake::{
    Binding, Handshake, HandshakeError, Hello, MAGIC, Side, Step, VERSION_MAX, VERSION_MIN, feature,
};
use protocol::messages::overlay::Accept;
use protocol::messages::{Message, Push};
use protocol::{AccountId, DeviceId, KeyPair, PeerId, Timestamp, VerifiedEntry, limits};
use starling_tests::{Browser, Relay};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use starling_tests::user_steps::{first_visit, follow, linked, post, profile_link, sees, texts};

/// A tab tries a relay again after twenty seconds at the most.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the taken-over server does to the next tab that links with it.
enum Attack {
    /// Says something before the handshake.
    Early,
    /// Proves a key it has not.
    ForgedProof,
    /// Proves its key for another host: a stranger in between.
    OtherHost,
    /// Repeats the tab's own words.
    Replay,
    /// A proper handshake, then these frames.
    Then(Vec<Vec<u8>>),
}

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}

fn hello(key: &KeyPair, nonce: u8) -> Hello {
    Hello {
        magic: MAGIC,
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: feature::RELAY,
        peer: PeerId(key.public()),
        nonce: [nonce; 32],
        certificate: None,
        wall: Timestamp(1_780_000_000_000),
    }
}

type Socket = WebSocketStream<TcpStream>;

/// The next tab's link, whatever else asks for a connection.
async fn next_link(server: &TcpListener) -> Result<Socket> {
    loop {
        let (stream, _) = server.accept().await?;
        let mut path = String::new();
        #[expect(clippy::result_large_err, reason = "the library's own type")]
        let note = |request: &Request, response: Response| {
            path = request.uri().path().to_owned();
            Ok(response)
        };
        // What is no WebSocket is some other request; the page has all it needs.
        if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, note).await
            && path == "/link"
        {
            return Ok(socket);
        }
    }
}

async fn send(socket: &mut Socket, frame: Vec<u8>) {
    // The tab may have closed in the middle of what it is sent.
    let _ = socket.send(Ws::Binary(frame.into())).await;
}

/// Attacks, and returns why the tab closed the link.
async fn attack(socket: &mut Socket, host: &str, seed: u8, attack: Attack) -> Result<String> {
    let key = key(seed);
    let host = match attack {
        Attack::OtherHost => "elsewhere.example".to_owned(),
        _ => host.to_owned(),
    };
    let binding = Binding::WebSocket { host };
    let mut ours = Handshake::new(Side::Responder, binding, key.clone(), &hello(&key, seed));
    let mut then = Vec::new();
    match attack {
        Attack::Early => {
            let frames: Vec<_> = frame::fragment(&Message::Push(forged()).encode()).collect();
            for frame in frames {
                send(socket, frame).await;
            }
        }
        Attack::ForgedProof => {
            let bytes = protocol::codec::encode(&hello(&key, seed));
            send(socket, frame::join(frame::HELLO, &bytes)).await;
            let signature = key.sign(protocol::key::Domain::Link, &[b"something else"]);
            let proof = protocol::codec::encode(&signature);
            send(socket, frame::join(frame::PROOF, &proof)).await;
        }
        Attack::Replay => {}
        Attack::OtherHost => {
            for frame in ours.frames() {
                send(socket, frame).await;
            }
        }
        Attack::Then(ref frames) => {
            then.clone_from(frames);
            for frame in ours.frames() {
                send(socket, frame).await;
            }
        }
    }
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next())
            .await
            .context("the tab says nothing")?
            .context("the tab closed without a reason")??;
        let Ws::Binary(bytes) = message else { continue };
        let (kind, payload) = frame::split(&bytes)?;
        if kind == frame::CLOSE {
            return Ok(String::from_utf8(payload.to_vec())?);
        }
        if matches!(attack, Attack::Replay) {
            send(socket, bytes.to_vec()).await;
            continue;
        }
        if kind > frame::PROOF || matches!(attack, Attack::Early | Attack::ForgedProof) {
            continue;
        }
        // For the wrong host the tab's proof does not hold either; what is tested is what the tab says to ours.
        match ours.on_frame(kind, payload) {
            Ok(Step::Send(frame)) => send(socket, frame).await,
            Ok(Step::Done(_)) => {
                let accept = Message::Accept(Accept {
                    heartbeat: 1,
                    degree: 1,
                    peers: Vec::new(),
                });
                for frame in frame::fragment(&accept.encode()).chain(core::mem::take(&mut then)) {
                    send(socket, frame).await;
                }
            }
            Ok(Step::Wait) | Err(_) => {}
        }
    }
}

/// The beginning of a stranger's feed.
fn forged() -> Push {
    let (account, device) = (key(91), key(92));
    let certificate = Certificate::issue(&account, DeviceId(device.public()), "d".into(), Timestamp(1));
    let account = AccountId(account.public());
    let first = VerifiedEntry::create(
        &device,
        Position::default(),
        account,
        Timestamp(1),
        &Body::Certificate(certificate),
    );
    Push {
        hops: 1,
        tree: 0,
        entry: first.entry().clone(),
    }
}

/// The beginning of a feed that claims to be of an account the tab follows, and is signed by another.
fn forged_by(victim: AccountId) -> Vec<Vec<u8>> {
    let mut push = forged();
    push.entry.signed.header.account = victim;
    frame::fragment(&Message::Push(push).encode()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_survives_a_server_that_was_taken_over() -> Result<()> {
    let mut relay = Relay::start().await?;
    let (one, two) = (Browser::launch().await?, Browser::launch().await?);
    let (ada, bob) = (one.open(&relay.url("/")).await?, two.open(&relay.url("/")).await?);
    first_visit(&ada, "Ada").await?;
    // Bob never asks the server again: he is the one who must notice nothing.
    first_visit(&bob, "Bob").await?;
    let link = profile_link(&bob).await?;
    follow(&ada, &link).await?;
    linked(&ada, 2).await?;
    linked(&bob, 2).await?;
    post(&bob, "before").await?;
    sees(&ada, "before").await?;
    let account: AccountId = link
        .rsplit('/')
        .next()
        .context("an account")?
        .parse()
        .map_err(|error| anyhow::anyhow!("{error}"))?;

    let (port, url) = (relay.port(), relay.url("/"));
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    relay.kill().await?;
    let server = TcpListener::bind(("127.0.0.1", port)).await?;
    let part = frame::join(frame::MORE, &vec![0; limits::FRAME_LEN_MAX - 1]);
    let parts = limits::MESSAGE_LEN_MAX / (limits::FRAME_LEN_MAX - 1) + 1;
    let attacks = [
        (Attack::Early, "before the handshake".to_owned()),
        (Attack::ForgedProof, HandshakeError::Proof.to_string()),
        (Attack::OtherHost, HandshakeError::Proof.to_string()),
        (Attack::Replay, String::new()),
        (
            Attack::Then(vec![frame::join(frame::LAST, &[3, 0xff, 0xff])]),
            "malformed message".to_owned(),
        ),
        (
            Attack::Then(vec![part; parts]),
            FrameError::MessageTooLong.to_string(),
        ),
        (Attack::Then(forged_by(account)), String::new()),
    ];
    for (n, (what, expected)) in attacks.into_iter().enumerate() {
        let mut socket = tokio::time::timeout(PATIENCE, next_link(&server))
            .await
            .context("no tab links any more")??;
        let reason = attack(&mut socket, &host, 100 + n as u8, what)
            .await
            .with_context(|| format!("attack {n}"))?;
        if reason.is_empty() || !reason.contains(&expected) {
            bail!("attack {n}: the tab says {reason:?}, expected {expected:?}");
        }
    }

    // Nothing of it is there, and the two go on as if nothing had been.
    post(&bob, "after").await?;
    sees(&ada, "after").await?;
    assert_eq!(texts(&ada).await?, ["after", "before"]);
    assert_eq!(texts(&bob).await?, ["after", "before"]);
    let feeds: u64 = ada
        .eval("starling.links().then(l => JSON.parse(l).filter(link => link.relay).length)")
        .await?;
    assert_eq!(feeds, 0, "no link with the taken-over server is left");
    Ok(())
}
