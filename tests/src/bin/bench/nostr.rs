//! How many events a second `nostr-rs-relay` accepts on this machine, as a measure of ours: the same clients, the same
//! texts, as many under way.
//!
//! Its "OK" promises less than our receipt: it writes to SQLite in WAL mode with `synchronous = NORMAL`, so that what
//! it accepted last may be gone when the machine loses power. Like ours it checks each signature (Schnorr on
//! secp256k1).

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::HEXLOWER;
use futures_util::future::try_join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use secp256k1::{Keypair, schnorr};
use sha2::{Digest as _, Sha256};
use starling_tests::figures::Figure;
use starling_tests::wait::eventually;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const BENCH: &str = "relay";
const PEER: &str = "nostr-rs-relay";
/// Names the program, if it is not in the PATH.
const PROGRAM: &str = "STARLING_NOSTR_RELAY_BIN";
/// As for our relay (`durable.rs`).
const IN_FLIGHT: usize = 64;
const TEXT_BYTES: usize = 200;
/// Events of all clients together.
const EVENTS: usize = 16_000;
/// It makes its tables first.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Prints the rate at 1, 8 and 64 clients, or a note if the program is not installed.
pub(crate) async fn measure() -> Result<()> {
    let program = std::env::var(PROGRAM).unwrap_or_else(|_| PEER.to_owned());
    let version = Command::new(&program).arg("--version").output().await;
    match version {
        Ok(output) if output.status.success() => {
            eprintln!("beside {}", String::from_utf8_lossy(&output.stdout).trim());
        }
        _ => {
            eprintln!(
                "{PEER} is not installed: not measured beside ours (STARLING_BENCH_PEERS=1 installs it)"
            );
            return Ok(());
        }
    }
    for clients in [1, 8, 64] {
        let rate = rate(&program, clients).await?;
        let figure = format!("accepted_events_per_s_{clients}");
        Figure::new(BENCH, &figure, rate, "1/s")
            .n(EVENTS)
            .in_flight(IN_FLIGHT)
            .peer(PEER)
            .print();
    }
    Ok(())
}

async fn rate(program: &str, clients: usize) -> Result<f64> {
    let relay = Relay::start(program).await?;
    let mut all = Vec::new();
    for n in 0..clients {
        all.push(Client::connect(relay.port, n, EVENTS / clients).await?);
    }
    let began = Instant::now();
    try_join_all(all.iter_mut().map(Client::write_all)).await?;
    Ok(EVENTS as f64 / began.elapsed().as_secs_f64())
}

/// The program with a folder of its own; it dies with its handle.
struct Relay {
    port: u16,
    _child: Child,
    _data: TempDir,
}

impl Relay {
    async fn start(program: &str) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("starling-nostr-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = data.path().join("config.toml");
        std::fs::write(
            &config,
            format!("[network]\naddress = \"127.0.0.1\"\nport = {port}\n"),
        )?;
        let child = Command::new(program)
            .arg("--config")
            .arg(&config)
            .arg("--db")
            .arg(data.path())
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let up = || async { TcpStream::connect(("127.0.0.1", port)).await.ok() };
        eventually("nostr-rs-relay to listen", READY_WITHIN, up).await?;
        Ok(Self {
            port,
            _child: child,
            _data: data,
        })
    }
}

/// One connection, and events signed beforehand.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: Vec<String>,
}

impl Client {
    async fn connect(port: u16, n: usize, events: usize) -> Result<Self> {
        let mut secret = [1; 32];
        secret[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
        let key = Keypair::from_secret_bytes(secret)?;
        let text = "x".repeat(TEXT_BYTES);
        let events = (0..events).map(|n| event(&key, &format!("{n}: {text}")));
        let events = events.collect();
        let (socket, _) = connect_async(format!("ws://127.0.0.1:{port}/")).await?;
        Ok(Self { socket, events })
    }

    /// Sends everything, and waits until all of it is accepted.
    async fn write_all(&mut self) -> Result<()> {
        let (mut sent, mut accepted) = (0, 0);
        while accepted < self.events.len() {
            while sent < self.events.len() && sent - accepted < IN_FLIGHT {
                self.socket
                    .feed(Message::text(self.events[sent].as_str()))
                    .await?;
                sent += 1;
            }
            self.socket.flush().await?;
            let answer = tokio::time::timeout(ANSWER_WITHIN, self.socket.next()).await;
            let answer = answer.context("no answer")?.context("the connection ended")??;
            if let Message::Text(text) = answer {
                let said: serde_json::Value = serde_json::from_str(&text)?;
                match said[0].as_str() {
                    Some("OK") => {
                        ensure!(said[2] == true, "an event was refused: {text}");
                        accepted += 1;
                    }
                    Some("NOTICE") => bail!("{text}"),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// A text note (kind 1), as NIP-01 has it, ready to be sent.
fn event(key: &Keypair, text: &str) -> String {
    let author = HEXLOWER.encode(&key.x_only_public_key().0.to_byte_array());
    let at = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let signed = serde_json::json!([0, author, at, 1, [], text]).to_string();
    let id: [u8; 32] = Sha256::digest(signed.as_bytes()).into();
    let signature = schnorr::sign_no_aux_rand(&id, key);
    serde_json::json!(["EVENT", {
        "id": HEXLOWER.encode(&id),
        "pubkey": author,
        "created_at": at,
        "kind": 1,
        "tags": [],
        "content": text,
        "sig": HEXLOWER.encode(&signature.to_byte_array()),
    }])
    .to_string()
}
