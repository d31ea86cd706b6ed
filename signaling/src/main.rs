//! `starling-signaling`: the signaling server on its own, without a relay.

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use starling_signaling::proxies::ProxyNetwork;
use starling_signaling::serve::{ServeLimits, serve};
use starling_signaling::sockets::{SocketBudget, listen};
use starling_signaling::{ConnectionGuard, GuardConfig, Limits, SignalingServer, router};
use tokio::signal::unix::{SignalKind, signal};

/// Introduces Starling peers to each other. Keeps nothing on disk and reads no payloads.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "STARLING_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// A name of this server, with the port unless it is the default one; may be repeated. Other names are refused.
    /// Without it any name is accepted.
    #[arg(long, env = "STARLING_HOST", value_delimiter = ',')]
    host: Vec<String>,
    /// An origin besides the server's own whose pages may connect, such as https://app.example; may be repeated; `*`
    /// allows all.
    #[arg(long, env = "STARLING_ALLOWED_ORIGIN", value_delimiter = ',')]
    allowed_origin: Vec<String>,
    /// The address of a reverse proxy on another machine, or a network of such addresses (172.18.0.0/16);
    /// X-Forwarded-For headers from it are trusted; may be repeated.
    #[arg(long, env = "STARLING_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Vec<ProxyNetwork>,
    /// Log filter, such as `info` or `starling_signaling=debug`.
    #[arg(long, env = "STARLING_LOG", default_value = "info")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(&arguments.log)
        .with_writer(std::io::stderr)
        .init();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("cannot read the system's random source: {error}"))?;
    let server = SignalingServer::new(Limits::default(), seed);
    let guard = ConnectionGuard::new(GuardConfig {
        allowed_origins: arguments.allowed_origin,
        hosts: arguments.host,
        trusted_proxies: arguments.trusted_proxy,
        ..GuardConfig::default()
    });
    let listener = listen(arguments.listen)
        .with_context(|| format!("cannot listen on {}; choose another --listen", arguments.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let stopped_server = server.clone();
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        stopped_server.stop();
    };
    let sockets = SocketBudget::default();
    sockets.register(guard.places().clone());
    serve(
        listener,
        router(server, guard),
        ServeLimits::default(),
        sockets,
        stop,
    )
    .await;
    tracing::info!("stopped");
    Ok(())
}
