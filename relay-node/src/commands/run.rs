//! `relay-node run`: a relay until a signal stops it.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Flags, LogFormat, Settings};
use crate::drain::drain;
use crate::logging::Logging;
use crate::relay::Relay;
use crate::web::admin::{self, host};
use crate::web::site::EmbeddedFiles;
use native::descriptors::FileLimits;

/// Settings that SIGHUP changes in a running relay.
const RELOADED: [&str; 2] = ["allowed_origin", "log"];

/// Runs a relay until SIGTERM or SIGINT; SIGUSR1 drains it, and SIGHUP has it read its settings again.
///
/// # Errors
/// If it does not start, its store fails, or not everything is on the disk at the end.
pub fn run(flags: &Flags, settings: &Settings, files: EmbeddedFiles) -> anyhow::Result<()> {
    let logging = Logging::start(&settings.log, settings.log_format == LogFormat::Json)
        .map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            // Listened to from the beginning: a signal during the start ends it in order as well.
            let mut terminated = signal(SignalKind::terminate())?;
            let mut interrupted = signal(SignalKind::interrupt())?;
            let mut to_reload = signal(SignalKind::hangup())?;
            let mut relay = Relay::start(settings, files).await?;
            announce(&relay);
            let mut to_drain = signal(SignalKind::user_defined1())?;
            let mut now = settings.clone();
            loop {
                tokio::select! {
                    _ = terminated.recv() => break,
                    _ = interrupted.recv() => break,
                    _ = to_reload.recv() => reload(flags, &mut now, &logging, &relay),
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

/// Reads the settings again and takes over what can change in a running relay. Settings that cannot be read change nothing.
fn reload(flags: &Flags, now: &mut Settings, logging: &Logging, relay: &Relay) {
    let new = match Settings::load(flags) {
        Ok(new) => new,
        Err(error) => {
            return tracing::error!(%error, "settings not reloaded: they are not right, and those before stay in effect");
        }
    };
    let (changed, restart): (Vec<String>, Vec<String>) = changes(now, &new)
        .into_iter()
        .partition(|name| RELOADED.contains(&name.as_str()));
    if let Err(error) = logging.set(&new.log) {
        tracing::error!(error, "the log level was not changed");
    }
    relay.set_allowed_origins(&new.allowed_origin);
    now.log.clone_from(&new.log);
    now.allowed_origin.clone_from(&new.allowed_origin);
    tracing::info!(changed = changed.join(", "), "settings reloaded");
    if !restart.is_empty() {
        tracing::warn!(
            settings = restart.join(", "),
            "these settings changed and take effect at the next start"
        );
    }
}

/// The names of the settings in which these differ.
fn changes(one: &Settings, other: &Settings) -> Vec<String> {
    let fields = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (one_fields, other_fields) = (fields(one), fields(other));
    let names: std::collections::BTreeSet<&String> = one_fields.keys().chain(other_fields.keys()).collect();
    let differs = |name: &&String| one_fields.get(*name) != other_fields.get(*name);
    let mut names: Vec<String> = names.into_iter().filter(differs).cloned().collect();
    if one.registry_password != other.registry_password {
        names.push("registry_password".to_owned());
    }
    names
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

#[cfg(test)]
mod tests {
    use super::changes;
    use crate::config::Settings;

    #[test]
    fn what_changed_is_named_by_setting() {
        let one = Settings::default();
        let other = Settings {
            log: "debug".to_owned(),
            udp_port: Some(7),
            ..one.clone()
        };
        assert_eq!(changes(&one, &other), ["log", "udp_port"]);
        assert!(changes(&one, &one).is_empty());
    }
}
