//! Attacks by sockets rather than by messages: silent ones, short ones, forged handshakes, requests of pages, lists of
//! a signaling room.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::link::frame;
use protocol::signal::{RoomId, SIGNAL_VERSION, ToPeer, ToServer, decode, sign_join};
use protocol::{AccountId, PeerId, codec};
use starling_tests::lan::At;
use starling_tests::link::{Identity, Link, Person, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::attacker::{Attacker, UPGRADE_BYTES};
use super::floods::Chance;
use crate::authors::Author;

/// Sockets of one address that a relay admits by default.
const SILENT: usize = 64;
/// Tasks that open sockets at a time.
const AT_ONCE: usize = 16;
/// Short sockets of one address.
const PER_ADDRESS: u32 = 8;
/// Accounts that are asked for in turn.
const ACCOUNTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);
/// A relay that does not end a forged handshake in this time is left.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// No attack: one link that asks to be a neighbour, and nothing else.
pub(super) async fn none(attacker: Arc<Attacker>) -> Result<()> {
    if let Ok(link) = attacker.link().await {
        attacker.keep(link);
    }
    sleep_until(attacker.until.into()).await;
    Ok(())
}

/// Holds all places of an address by sockets that say nothing; those that are closed are opened again. Half of them
/// prove a key before.
pub(super) async fn silent(attacker: Arc<Attacker>) -> Result<()> {
    let holders = (0..SILENT).map(|n| {
        let attacker = &attacker;
        async move {
            while !attacker.is_over() {
                attacker.count(UPGRADE_BYTES);
                let Ok(mut socket) = connect(attacker.at.clone(), Some(attacker.address())).await else {
                    sleep(PAUSE).await;
                    continue;
                };
                attacker.count_opened();
                if n % 2 == 0 && prove(attacker, &mut socket).await.is_err() {
                    attacker.count_closed();
                    continue;
                }
                let closed = async { while let Some(Ok(_)) = socket.next().await {} };
                if timeout_at(attacker.until.into(), closed).await.is_err() {
                    attacker.keep(socket);
                    return;
                }
                attacker.count_closed();
            }
        }
    });
    join_all(holders).await;
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A handshake, and nothing after it.
async fn prove(attacker: &Attacker, socket: &mut Socket) -> Result<()> {
    let identity = Identity::from(&Person::new(attacker.number()));
    let mut handshake = identity.handshake(attacker.at.address().to_string());
    let mut frames = handshake.frames();
    loop {
        for frame in frames.drain(..) {
            attacker.count(frame.len());
            socket.send(Ws::binary(frame)).await?;
        }
        let Ws::Binary(frame) = socket.next().await.context("closed")?? else {
            continue;
        };
        let (kind, payload) = frame::split(&frame)?;
        match handshake.on_frame(kind, payload)? {
            protocol::link::handshake::Step::Wait => {}
            protocol::link::handshake::Step::Send(frame) => frames.push(frame),
            protocol::link::handshake::Step::Done(_) => return Ok(()),
        }
    }
}

/// Handshakes with a proof that proves nothing, again and again under fresh keys.
pub(super) async fn garbage_proofs(attacker: Arc<Attacker>) -> Result<()> {
    let host = attacker.at.address().to_string();
    let forgers = (0..AT_ONCE).map(|n| {
        let (attacker, host) = (&attacker, &host);
        async move {
            let mut chance = Chance(n as u64);
            while !attacker.is_over() {
                attacker.count(UPGRADE_BYTES);
                let Ok(mut socket) = connect(attacker.at.clone(), Some(attacker.address())).await else {
                    sleep(PAUSE).await;
                    continue;
                };
                attacker.count_opened();
                let identity = Identity::from(&Person::new(attacker.number()));
                let mut frames = identity.handshake(host.clone()).frames();
                frames.push(frame::join(frame::PROOF, &chance.bytes::<64>()));
                for frame in frames {
                    attacker.count(frame.len());
                    let _ = socket.send(Ws::binary(frame)).await;
                }
                let closed = async { while let Some(Ok(_)) = socket.next().await {} };
                let _ = timeout(ENDED_WITHIN, closed).await;
                attacker.count_closed();
            }
        }
    });
    join_all(forgers).await;
    Ok(())
}

/// Opens sockets and closes them at once: TCP alone, a WebSocket, and one with a handshake, in turn; a few from each
/// address, so that no limit of an address keeps any of them out.
pub(super) async fn short(attacker: Arc<Attacker>, count: usize) -> Result<()> {
    let openers = (0..AT_ONCE).map(|first| {
        let attacker = &attacker;
        async move {
            for n in (first..count).step_by(AT_ONCE) {
                let number = attacker.number();
                let from = Ipv4Addr::from(0xc612_0000 + number % 0x1_0000 / PER_ADDRESS);
                let (at, from) = (attacker.at.clone(), Some(from.into()));
                match n % 3 {
                    0 => drop(attacker.at.connect().await),
                    1 => drop(connect(at, from).await),
                    _ => drop(Link::open_from(at, &Person::new(number), from).await),
                }
            }
        }
    });
    join_all(openers).await;
    Ok(())
}

/// Requests of the public API and of pages, over connections that stay open, without waiting for answers.
pub(super) async fn requests(attacker: Arc<Attacker>, feeds: usize) -> Result<()> {
    let accounts: Vec<AccountId> = (0..feeds.min(ACCOUNTS)).map(|n| Author::new(n).account).collect();
    let paths = accounts.iter().flat_map(|account| {
        [
            format!("/api/replicas/{account}"),
            format!("/api/timeline/account/{account}"),
            format!("/api/profile/{account}"),
            "/api/timeline/public".to_owned(),
            "/".to_owned(),
        ]
    });
    let host = attacker.at.address();
    let from = attacker.address();
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {from}\r\n\r\n");
    let requests: Vec<_> = paths.map(request).collect();
    let clients = (0..AT_ONCE).map(|_| async {
        while !attacker.is_over() {
            if ask(&attacker, &requests).await.is_err() {
                attacker.count_closed();
                sleep(PAUSE).await;
            }
        }
    });
    join_all(clients).await;
    Ok(())
}

async fn ask(attacker: &Attacker, requests: &[String]) -> Result<()> {
    let stream = attacker.at.connect().await?;
    attacker.count_opened();
    let (mut reader, mut writer) = stream.into_split();
    let read = async {
        let mut answer = vec![0; 64 << 10];
        while reader.read(&mut answer).await? > 0 {}
        anyhow::Ok(())
    };
    let write = async {
        for request in requests.iter().cycle() {
            writer.write_all(request.as_bytes()).await?;
            attacker.count(request.len());
        }
        anyhow::Ok(())
    };
    let both = async {
        tokio::select! {
            read = read => read,
            written = write => written,
        }
    };
    match timeout_at(attacker.until.into(), both).await {
        Ok(ended) => ended.and_then(|()| Err(anyhow::anyhow!("closed"))),
        Err(_) => Ok(()),
    }
}

/// Asks a signaling server for the members of the lobby without end.
pub(super) async fn lists(attacker: Arc<Attacker>) -> Result<()> {
    while !attacker.is_over() {
        if let Ok(Err(_)) = timeout_at(attacker.until.into(), list(&attacker)).await {
            attacker.count_closed();
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn list(attacker: &Attacker) -> Result<()> {
    let host = attacker.at.address().to_string();
    let mut request = format!("ws://{host}/signal").into_client_request()?;
    let from = HeaderValue::from_str(&attacker.address().to_string())?;
    request.headers_mut().insert("x-forwarded-for", from);
    attacker.count(UPGRADE_BYTES);
    let (mut socket, _) = client_async(request, attacker.at.connect().await?).await?;
    attacker.count_opened();
    let challenge = socket.next().await.context("closed")??.into_data();
    let ToPeer::Challenge { nonce, .. } = decode(&challenge)? else {
        anyhow::bail!("no challenge");
    };
    let key = Person::new(attacker.number()).device;
    let room = RoomId::lobby();
    let join = ToServer::Join {
        version: SIGNAL_VERSION,
        peer: PeerId(key.public()),
        room,
        signature: sign_join(&key, &nonce, &room, &host),
    };
    let (mut sink, mut stream) = socket.split();
    let send = async {
        sink.send(Ws::binary(codec::encode(&join))).await?;
        loop {
            let list = codec::encode(&ToServer::List);
            attacker.count(list.len());
            sink.send(Ws::binary(list)).await?;
        }
    };
    let read = async {
        while let Some(message) = stream.next().await {
            message?;
        }
        anyhow::bail!("closed")
    };
    tokio::select! {
        sent = send => sent,
        read = read => read,
    }
}

/// 4,000 sockets, then a minute of silence; the relay's memory is looked at by the caller.
pub(super) async fn many_short(at: At, count: usize) -> Result<()> {
    let attacker = Attacker::new(at, 0, Duration::from_secs(120));
    let opened = Instant::now();
    let parts = (0..4).map(|_| short(Arc::clone(&attacker), count / 4));
    try_join_all(parts).await?;
    eprintln!("{count} short sockets in {:?}", opened.elapsed());
    sleep_until((Instant::now() + Duration::from_mins(1)).into()).await;
    Ok(())
}
