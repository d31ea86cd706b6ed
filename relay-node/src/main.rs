//! `relay-node`: the native Starling peer.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use starling_relay_node::admin::{self, here, host};
use starling_relay_node::cli::{Cli, Command, ConfigCommand};
use starling_relay_node::config::{LogFormat, Settings};
use starling_relay_node::export::export;
use starling_relay_node::network::RelayUrl;
use starling_relay_node::relay::Relay;
use starling_relay_node::status::Status;
use starling_relay_node::{backup, doctor, drain, route};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Settings::load(&cli.flags)
        .map_err(anyhow::Error::from)
        .and_then(|settings| match cli.command.unwrap_or(Command::Run) {
            Command::Run => run(&settings),
            Command::Status { at } => status(&settings, at),
            Command::Route { user, explain, at } => {
                let url = at.map_or_else(|| here_url(&settings), Ok)?;
                print!("{}", route::route(&settings, &url, &user, explain)?);
                Ok(())
            }
            Command::Backup { file } => backup::backup(&settings.data_dir, &file),
            Command::Restore { file, verify } => {
                let report = match verify {
                    true => backup::verify(&file)?,
                    false => backup::restore(&settings, &file)?,
                };
                print!("{}", report.text());
                anyhow::ensure!(report.refused == 0, "not all of {} could be used", file.display());
                Ok(())
            }
            Command::Doctor => doctor::examine(&settings),
            Command::Init => {
                print!("{}", doctor::first_settings());
                Ok(())
            }
            Command::AdminUrl => {
                print!("{}", admin::new_url(&settings)?);
                Ok(())
            }
            Command::Drain => drain::ask(&settings, &here_url(&settings)?),
            Command::Config(ConfigCommand::Check) => {
                print!("{}", settings.to_toml());
                Ok(())
            }
            Command::Export => {
                let out = std::io::BufWriter::new(std::io::stdout().lock());
                export(&settings.data_dir, out).context("the export is not complete")
            }
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn status(settings: &Settings, at: Option<RelayUrl>) -> anyhow::Result<()> {
    let url = match at {
        Some(url) => url,
        None => here_url(settings)?,
    };
    let status = Status::ask(&url)?;
    print!("{}", status.text());
    anyhow::ensure!(status.is_ready(), "the relay does not serve yet");
    Ok(())
}

/// Where the relay of these settings is reached on this machine.
fn here_url(settings: &Settings) -> anyhow::Result<RelayUrl> {
    Ok(format!("http://{}", here(settings.listen)).parse()?)
}

fn run(settings: &Settings) -> anyhow::Result<()> {
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
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // Listened to from the beginning: a signal during the start ends it in order as well.
            let mut terminated = signal(SignalKind::terminate())?;
            let mut interrupted = signal(SignalKind::interrupt())?;
            let mut relay = Relay::start(settings).await?;
            announce(&relay);
            let mut to_drain = signal(SignalKind::user_defined1())?;
            loop {
                tokio::select! {
                    _ = terminated.recv() => break,
                    _ = interrupted.recv() => break,
                    _ = to_drain.recv() => {
                        let driver = relay.driver().clone();
                        tokio::spawn(async move { drain::drain(&driver).await });
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
    // Not in the log: whoever reads that may be somebody else.
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
