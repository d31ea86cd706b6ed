//! The commands of the `relay-node` program: one file for each that is more than a line.

use std::path::Path;

use anyhow::Context as _;

use crate::config::Settings;
use crate::web::admin;
use crate::web::site::EmbeddedFiles;
use native::network::RelayUrl;

pub mod backup;
pub mod cli;
pub mod doctor;
pub mod drain;
pub mod export;
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
        Command::Config(ConfigCommand::Check) => {
            print!("{}", settings.to_toml());
            Ok(())
        }
        Command::Export => {
            let out = std::io::BufWriter::new(std::io::stdout().lock());
            export::export(&settings.data_dir, out).context("the export is not complete")
        }
    }
}

fn restore(settings: &Settings, file: &Path, verify: bool) -> anyhow::Result<()> {
    let report = match verify {
        true => backup::verify(file)?,
        false => backup::restore(settings, file)?,
    };
    print!("{}", report.text());
    anyhow::ensure!(report.refused == 0, "not all of {} could be used", file.display());
    Ok(())
}

fn url_or_local(url: Option<RelayUrl>, settings: &Settings) -> anyhow::Result<RelayUrl> {
    url.map_or_else(|| local_url(settings), Ok)
}

/// The address on this machine of the relay with these settings.
fn local_url(settings: &Settings) -> anyhow::Result<RelayUrl> {
    Ok(format!("http://{}", admin::here(settings.listen)).parse()?)
}
