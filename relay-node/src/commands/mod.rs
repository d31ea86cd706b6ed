//! The commands of the `relay-node` program: one file for each that is more than a line.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::Context as _;

use crate::config::Settings;
use crate::relay::LISTEN_FILE;
use crate::web::admin;
use crate::web::site::EmbeddedFiles;
use native::data_dir;
use native::network::RelayUrl;

/// How long a command waits for a relay that is starting to say where it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

pub mod backup;
pub mod cli;
pub mod doctor;
pub mod drain;
pub mod export;
pub mod members;
pub mod route;
pub mod run;
pub mod status;

use cli::{Cli, Command, ConfigCommand};

/// Reads the settings and executes the command.
///
/// # Errors
/// If the settings are refused or the command fails; the message says what to do.
pub fn execute(cli: Cli, files: EmbeddedFiles) -> anyhow::Result<()> {
    let settings = Settings::load(&cli.flags)?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run::run(&settings, files),
        Command::Status { at } => status::print(&url_or_local(at, &settings)?),
        Command::Route { user, explain, at } => {
            print!(
                "{}",
                route::route(&settings, &url_or_local(at, &settings)?, &user, explain)?
            );
            Ok(())
        }
        Command::Backup { file } => backup::backup(&settings.data_dir, &file),
        Command::Restore { file, verify } => restore(&settings, &file, verify),
        Command::Doctor => doctor::examine(&settings),
        Command::Init => {
            print!("{}", doctor::first_settings());
            Ok(())
        }
        Command::AdminUrl => {
            print!("{}", admin::new_url(&settings)?);
            Ok(())
        }
        Command::Drain => drain::ask(&settings, &local_url(&settings)?),
        Command::Invite { short } => {
            print!("{}", members::invite(&settings, &local_url(&settings)?, short)?);
            Ok(())
        }
        Command::Members => {
            print!("{}", members::list(&settings, &local_url(&settings)?)?);
            Ok(())
        }
        Command::Adopt { relays, yes } => {
            let keys: Vec<_> = relays.iter().map(|key| key.0).collect();
            members::adopt(&settings, &local_url(&settings)?, &keys, yes)
        }
        Command::Expel { relay, yes } => members::expel(&settings, &local_url(&settings)?, &relay, yes),
        Command::Config(ConfigCommand::Check) => {
            print!("{}", settings.to_toml());
            Ok(())
        }
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

fn restore(settings: &Settings, file: &Path, verify: bool) -> anyhow::Result<()> {
    let report = match verify {
        true => backup::verify(file)?,
        false => backup::restore(settings, file)?,
    };
    print!("{}", report.text());
    anyhow::ensure!(
        report.is_complete(),
        "not all of {} could be used",
        file.display()
    );
    Ok(())
}

fn url_or_local(url: Option<RelayUrl>, settings: &Settings) -> anyhow::Result<RelayUrl> {
    url.map_or_else(|| local_url(settings), Ok)
}

/// The address on this machine of the relay with these settings: where the one that uses the data folder listens,
/// whatever flags it was started with; else where `--listen` says.
fn local_url(settings: &Settings) -> anyhow::Result<RelayUrl> {
    let folder = &settings.data_dir;
    let written = || {
        fs::read_to_string(folder.join(LISTEN_FILE))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let asked = Instant::now();
    let running = loop {
        let running = data_dir::holder(folder).map(|_| written());
        if running != Some(None) || asked.elapsed() >= STARTS_WITHIN {
            break running.flatten();
        }
        // It has just been started.
        thread::sleep(Duration::from_millis(50));
    };
    let address = admin::here(running.unwrap_or(settings.listen));
    Ok(format!("http://{address}").parse()?)
}
