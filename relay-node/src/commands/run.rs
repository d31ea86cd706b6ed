//! `relay-node run`: a relay until a signal stops it.

use std::io::{IsTerminal as _, Write as _};

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{LogFormat, Settings};
use crate::drain::drain;
use crate::relay::Relay;
use crate::web::admin::{self, host};
use crate::web::site::EmbeddedFiles;
use native::descriptors::FileLimits;

/// Runs a relay until SIGTERM or SIGINT; SIGUSR1 drains it.
///
/// # Errors
/// If it does not start, its store fails, or not everything is on the disk at the end.
pub fn run(settings: &Settings, files: EmbeddedFiles) -> anyhow::Result<()> {
    // The store's library reports each of its steps; who wants to see them names it.
    let log = format!("fjall=warn,lsm_tree=warn,{}", settings.log);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // Listened to from the beginning: a signal during the start ends it in order as well.
            let mut terminated = signal(SignalKind::terminate())?;
            let mut interrupted = signal(SignalKind::interrupt())?;
            let mut relay = Relay::start(settings, files).await?;
            announce(&relay);
            let mut to_drain = signal(SignalKind::user_defined1())?;
            loop {
                tokio::select! {
                    _ = terminated.recv() => break,
                    _ = interrupted.recv() => break,
                    _ = to_drain.recv() => {
                        let driver = relay.driver().clone();
                        tokio::spawn(async move { drain(&driver).await });
                    }
                    () = relay.failed() => {
                        anyhow::bail!("the store's thread ended by itself; the log says why")
                    }
                }
            }
            if !relay.stop().await {
                anyhow::bail!("stopped, but the disk did not take everything; peers keep what it lacks");
            }
            tracing::info!("stopped");
            Ok(())
        })
}

fn raise_file_limit() {
    let before = FileLimits::now();
    let limits = FileLimits::raise().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files could not be raised");
        before
    });
    tracing::info!(
        open_files_max = limits.soft,
        before = before.soft,
        sockets_max = limits.sockets_max(),
        "limit of open files"
    );
}

/// One line for people who started it by hand, one for the log.
fn announce(relay: &Relay) {
    let host = host(relay.http_addr());
    let app = if relay.app_built() {
        ""
    } else {
        " (no app is built)"
    };
    // Nobody may be reading: that is no reason to stop.
    let _ = writeln!(
        std::io::stdout(),
        "Starling is at http://{host}{app}; its data is in {}",
        relay.data_dir().display()
    );
    // Not in the log, which others may read.
    if let Some(url) = relay.claim_url() {
        let _ = writeln!(
            std::io::stdout(),
            "This relay has no admin yet. To become it, open\n\n  {url}\n\n{}",
            admin::ONCE
        );
    }
    tracing::info!(
        http = %relay.http_addr(),
        udp = %relay.udp_addr(),
        peer = %relay.peer(),
        data_dir = %relay.data_dir().display(),
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );
}
