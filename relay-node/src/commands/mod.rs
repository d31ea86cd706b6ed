//! The commands of the `relay-node` program: one file for each that is more than a line.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context as _, bail};

use crate::config::{Flags, Settings};
use crate::relay::LISTEN_FILE;
use crate::web::admin;
use crate::web::site::EmbeddedFiles;
use native::data_dir::{self, Use};
use native::network::RelayUrl;

/// How long a command waits for a relay that is starting to say where it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

pub mod backup;
pub mod cli;
pub mod doctor;
pub mod drain;
pub mod export;
pub mod members;
pub mod repair;
pub mod route;
pub mod run;
pub mod status;

use cli::{Cli, Command, ConfigCommand};

/// Reads the settings and executes the command.
///
/// # Errors
/// If the settings are refused or the command fails; the message says what to do.
pub fn execute(cli: Cli, files: EmbeddedFiles) -> anyhow::Result<()> {
    // Everything that this program makes is its user's alone: data folders and backups hold secret keys.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let settings = Settings::load(&cli.flags)?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(&cli.flags, &settings, files),
        Command::Status { at } => status::print(&url_or_local(at, &cli.flags, &settings)?),
        Command::Route { user, explain, at } => {
            let url = url_or_local(at, &cli.flags, &settings)?;
            print(&route::route(&settings, &url, &user, explain)?)
        }
        Command::Backup { file, compress } => backup::backup(&settings.data_dir, &file, compress),
        Command::Restore {
            file,
            verify,
            partial,
            new_key,
        } => {
            let options = backup::RestoreOptions { partial, new_key };
            restore(&settings, &file, verify, options)
        }
        Command::Repair => repair::repair(&settings),
        Command::Doctor => doctor::examine(&settings),
        Command::Init => print(doctor::first_settings()),
        Command::AdminUrl => print(&admin::new_url(&settings)?),
        Command::Drain => drain::ask(&settings, &local_url(&cli.flags, &settings)?),
        Command::Invite { short } => print(&members::invite(
            &settings,
            &last_url(&cli.flags, &settings)?,
            short,
        )?),
        Command::Members => print(&members::list(&settings, &local_url(&cli.flags, &settings)?)?),
        Command::Adopt { relays, yes } => {
            let keys: Vec<_> = relays.iter().map(|key| key.0).collect();
            members::adopt(&settings, &local_url(&cli.flags, &settings)?, &keys, yes)
        }
        Command::Expel { relay, yes } => {
            members::expel(&settings, &local_url(&cli.flags, &settings)?, &relay, yes)
        }
        Command::Config(ConfigCommand::Check) => print(&settings.to_shown_toml()),
        Command::Export => {
            let out = std::io::BufWriter::new(std::io::stdout().lock());
            match export::export(&settings.data_dir, out) {
                // The reader ended first: `export | head`.
                Err(export::ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                result => result.map(|_| ()).context("the export is not complete"),
            }
        }
    }
}

fn restore(
    settings: &Settings,
    file: &Path,
    verify: bool,
    options: backup::RestoreOptions,
) -> anyhow::Result<()> {
    let report = match verify {
        true => backup::verify(file)?,
        false => backup::restore(settings, file, options)?,
    };
    print(&report.text())?;
    anyhow::ensure!(
        report.is_complete(),
        "not all of {} could be used",
        file.display()
    );
    Ok(())
}

/// Writes to standard output. A reader that has gone is an error and no panic.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("the output could not be written")
}

fn url_or_local(url: Option<RelayUrl>, flags: &Flags, settings: &Settings) -> anyhow::Result<RelayUrl> {
    url.map_or_else(|| local_url(flags, settings), Ok)
}

/// Where the relay with these settings listens, or listened last if it is stopped: an invitation is made in its folder.
fn last_url(flags: &Flags, settings: &Settings) -> anyhow::Result<RelayUrl> {
    let folder = &settings.data_dir;
    if data_dir::usage(folder) != Use::Unused {
        return local_url(flags, settings);
    }
    let written = fs::read_to_string(folder.join(LISTEN_FILE)).ok();
    let written = written.and_then(|address| address.trim().parse().ok());
    let address = match written {
        Some(address) if !flags.names_listen() => address,
        _ => settings.listen,
    };
    let _ = writeln!(
        io::stderr(),
        "the relay with the data folder {} is stopped; start it before the one that is invited",
        folder.display()
    );
    Ok(format!("http://{}", admin::here(address)).parse()?)
}

/// The address on this machine of the relay with these settings: where the one that uses the data folder listens,
/// whatever flags it was started with; else where `--listen` says.
///
/// # Errors
/// If the relay of that folder is stopped, and no flag names an address.
fn local_url(flags: &Flags, settings: &Settings) -> anyhow::Result<RelayUrl> {
    let folder = &settings.data_dir;
    let written = || {
        fs::read_to_string(folder.join(LISTEN_FILE))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let asked = Instant::now();
    let address = loop {
        match data_dir::usage(folder) {
            Use::Unused if flags.names_listen() => break settings.listen,
            Use::Unused if flags.names_data_dir() || folder.exists() => bail!(
                "the relay with the data folder {} is stopped; start it, or name another folder with --data-dir",
                folder.display()
            ),
            // The folder is another user's, or this is no machine of a relay.
            Use::Unused | Use::Unknown => break settings.listen,
            Use::By(_) => {}
        }
        match written() {
            Some(address) => break address,
            None if asked.elapsed() >= STARTS_WITHIN => break settings.listen,
            // It has just been started.
            None => thread::sleep(Duration::from_millis(50)),
        }
    };
    Ok(format!("http://{}", admin::here(address)).parse()?)
}
