//! `favorite-books`: a node that gossips with its peers about everybody's favourite book, over HTTP and JSON.
//!
//! The wire format is described in `README.md` beside this file. [`node`] holds all the rules and does no I/O;
//! [`driver`], [`client`] and [`server`] connect it to the network, [`page`] shows it to people.

mod client;
mod driver;
mod node;
mod page;
mod peers;
mod seen;
mod server;
mod shelf;
mod wire;

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use client::Client;
use driver::Driver;
use node::{Config, Node};
use wire::PeerId;

/// Gossips about favourite books with peers on this machine. The node's page is at http://localhost:PORT/.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The port to listen on, which is also the node's id; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The port of a node to ask for peers; without it the node waits to be found.
    #[arg(long)]
    seed: Option<NonZeroU16>,
    /// Peers that get the news in a round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=128))]
    infection_factor: u16,
    /// How many nodes may pass this node's news on, one after the other.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i64).range(1..=wire::TTL_MAX))]
    ttl: i64,
    /// Seconds between rounds of gossip.
    #[arg(long, default_value = "10", value_parser = interval)]
    gossip_interval: Duration,
    /// Seconds between changes of mind; 0 sticks to the first book.
    #[arg(long, default_value = "15", value_parser = interval_or_zero)]
    fickle_interval: Duration,
    /// A file with one title per line to choose from, instead of the built-in list of classics.
    #[arg(long)]
    payloads_file: Option<PathBuf>,
    /// Makes the node choose the same books and peers each time.
    #[arg(long)]
    random_seed: Option<u64>,
    /// What to log, such as `info` or `debug`.
    #[arg(long, env = "FAVORITE_BOOKS_LOG", default_value = "info")]
    log: String,
}

/// Longer than anybody waits for gossip.
const INTERVAL_MAX_S: f64 = 86_400.0;

/// Shorter ones would keep a processor busy.
const INTERVAL_MIN_S: f64 = 0.01;

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(INTERVAL_MIN_S..=INTERVAL_MAX_S).contains(&seconds) {
        return Err(format!("not between {INTERVAL_MIN_S} and {INTERVAL_MAX_S}"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn interval_or_zero(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) {
        return Ok(Duration::ZERO);
    }
    interval(text)
}

/// Listens wherever "localhost" may lead: on 127.0.0.1, and on ::1 where this machine has it.
async fn listen(port: u16) -> anyhow::Result<(PeerId, Vec<TcpListener>)> {
    use std::io::ErrorKind::AddrInUse;
    /// A port that is free on one address may be taken on the other.
    const ATTEMPTS: u32 = 16;
    for _ in 0..ATTEMPTS {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{port}; choose another --port"))?;
        let bound = v4.local_addr()?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)).await {
            Ok(v6) => return Ok((PeerId(bound), vec![v4, v6])),
            Err(error) if error.kind() == AddrInUse && port == 0 => {}
            // Some peers would reach that other program instead.
            Err(error) if error.kind() == AddrInUse => {
                return Err(error)
                    .with_context(|| format!("cannot listen on [::1]:{port}; choose another --port"));
            }
            Err(error) => {
                tracing::info!(%error, "listening on 127.0.0.1 only");
                return Ok((PeerId(bound), vec![v4]));
            }
        }
    }
    bail!("found no port that is free on both 127.0.0.1 and ::1")
}

/// Seconds since 1970: above all versions of an earlier run, unless that one changed its mind every second.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the edge to the outside world, read once"
)]
fn first_version() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .clamp(1, wire::VERSION_MAX / 2)
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness from the system: {error}"))?;
    Ok(seed)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(&arguments.log)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let titles = shelf::titles(arguments.payloads_file.as_deref())?;
    let (id, listeners) = listen(arguments.port).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let choices = match arguments.random_seed {
        None => random()?,
        Some(seed) => {
            // Nodes that share a seed do not share their choices.
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            bytes[8..10].copy_from_slice(&id.0.to_le_bytes());
            bytes
        }
    };
    let config = Config {
        id,
        // A node that is its own seed is the first one.
        seed: arguments
            .seed
            .map(|seed| PeerId(seed.get()))
            .filter(|&seed| seed != id),
        infection_factor: arguments.infection_factor.into(),
        ttl: arguments.ttl,
        gossip_interval: arguments.gossip_interval,
        fickle_interval: arguments.fickle_interval,
        first_version: first_version(),
        titles,
    };
    let client = Client {
        me: id,
        within: (2 * arguments.gossip_interval).clamp(Duration::from_secs(2), Duration::from_secs(5)),
    };
    let driver = Arc::new(Driver::new(Node::new(config, choices, random()?)));
    tracing::info!(port = id.0, page = %format_args!("http://localhost:{id}/"), "listening");
    let router = server::router(Arc::clone(&driver));
    tokio::select! {
        () = server::serve(listeners, router) => {}
        () = driver.run(client) => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("stopped");
    Ok(())
}
