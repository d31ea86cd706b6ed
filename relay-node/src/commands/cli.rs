//! The command line of the program: its commands, and settings as flags.

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Flags, RelayKey};
use native::network::RelayUrl;

/// A relay of a Starling network: it stores people's posts while they are offline, and serves the app.
#[derive(Debug, Parser)]
#[command(name = "relay-node", version, after_help = PRECEDENCE)]
pub struct Cli {
    /// The command to run [default: run].
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings.
    #[command(flatten)]
    pub flags: Flags,
}

const PRECEDENCE: &str = "\
Every setting can also be given in a TOML file (--config FILE or STARLING_CONFIG; `udp_port = 3478`) or in the environment \
(STARLING_UDP_PORT=3478; lists are separated by commas). Flags override the environment, and the environment overrides the file.

Behind a reverse proxy that terminates TLS, forward /signal and /link as WebSockets and keep the Host header. UDP is not \
proxied: open the UDP port, and give the public address with --public-ip if this machine is behind NAT.";

/// A command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay (the default).
    Run,
    /// Check and print the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the state of a running relay and of its network. The exit code is 1 if the relay is not ready.
    Status {
        /// The URL of the relay [default: the relay that runs on --data-dir, or the address of --listen].
        #[arg(long, value_name = "URL")]
        at: Option<RelayUrl>,
    },
    /// Show which relays keep an account's feeds, and which relay answers fastest from here.
    Route {
        /// A name of the registry such as `@ada`, an account, or a profile link.
        user: String,
        /// Print the terms of each score.
        #[arg(long)]
        explain: bool,
        /// The URL of any relay of the network [default: the relay that runs on --data-dir, or the address of
        /// --listen].
        #[arg(long, value_name = "URL")]
        at: Option<RelayUrl>,
    },
    /// Print an invitation that makes another relay a member of this relay's network. It works once and within a day.
    Invite {
        /// Print only what the new relay needs after --join.
        #[arg(long)]
        short: bool,
    },
    /// List the members of the running relay's network, who invited each, and the relays that wait for an invitation.
    Members,
    /// Make relays members that joined the running relay without an invitation.
    Adopt {
        /// The keys of these relays, as `relay-node members` prints them [default: the one that waits, if it is one].
        #[arg(value_name = "KEY")]
        relays: Vec<RelayKey>,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Withdraw a relay's membership in the running relay's network. Prints first what that does to the copies of feeds.
    Expel {
        /// The key or the URL of the relay, as `relay-node members` prints it.
        #[arg(value_name = "KEY")]
        relay: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Print a new one-time URL; the browser that opens it becomes an admin of the running relay.
    AdminUrl,
    /// Hand the share of a running relay over to other relays and wait until they hold it. Use this before the relay
    /// is stopped for good.
    Drain,
    /// Write all entries and names of this relay, its key and that of its registry to a new file. The relay must not be
    /// running.
    Backup {
        /// The file to create; `-` is standard output. It will contain secret keys.
        file: PathBuf,
        /// Compress it with zstd. `restore` recognises that by itself.
        #[arg(long)]
        compress: bool,
    },
    /// Verify all of a backup, then add its entries and names to the data folder, which may be new. A new folder becomes that
    /// of the relay that was backed up.
    Restore {
        /// The backup file.
        file: PathBuf,
        /// Verify the file without changing the data folder.
        #[arg(long)]
        verify: bool,
        /// Take in what can be used of a damaged backup.
        #[arg(long)]
        partial: bool,
        /// Do not take the relay's key over: the folder becomes that of a new relay, which needs an invitation.
        #[arg(long)]
        new_key: bool,
    },
    /// Save what is whole in a damaged store: all entries that verify, and what the relay knows of its network. The damaged
    /// store is kept beside the new one. The relay must not be running.
    Repair,
    /// Check the settings, data folder, ports, clock and network, and print each problem with its remedy.
    Doctor,
    /// Write an example settings file to standard output.
    Init,
    /// Write all stored entries to standard output, one JSON object per line. The relay must not be running.
    Export,
}

/// A command about the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the settings as `run` would, report errors in them, and print them.
    Check,
}

/// Settings that matter for a command, beside those that all of them have; `None`: all do.
fn settings_of(command: &str) -> Option<&'static [&'static str]> {
    match command {
        "run" | "config" | "doctor" => None,
        "restore" | "repair" => Some(&["cache_mib"]),
        "invite" => Some(&["listen", "advertise", "allow_relay", "open"]),
        "route" => Some(&[
            "listen",
            "location",
            "routing_replication",
            "routing_response",
            "routing_distance",
            "routing_errors",
        ]),
        "status" | "members" | "adopt" | "expel" | "drain" => Some(&["listen"]),
        _ => Some(&[]),
    }
}

/// The command line with the settings in each command's help that matter for it. The others are accepted as well, so that a
/// command takes what its relay was started with.
fn command() -> clap::Command {
    let mut all = Cli::command();
    all.build();
    let names: Vec<String> = all
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let settings: Vec<clap::Id> = all.get_arguments().map(|arg| arg.get_id().clone()).collect();
    names.into_iter().fold(all, |all, name| {
        let Some(shown) = settings_of(&name) else {
            return all;
        };
        all.mut_subcommand(&name, |command| {
            command.mut_args(|arg| {
                let always = ["config", "data_dir", "help", "version"];
                let id = arg.get_id().as_str();
                let hidden = settings.contains(arg.get_id()) && !always.contains(&id) && !shown.contains(&id);
                arg.hide(hidden)
            })
        })
    })
}

/// Reads the command line of this process; ends it for `--help`, or if the command line is wrong.
#[must_use]
pub fn read() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

#[cfg(test)]
mod tests {
    use super::{Cli, command};
    use clap::FromArgMatches as _;

    #[test]
    fn the_help_of_a_command_shows_the_settings_that_matter_for_it() {
        let help = |name: &str| {
            let mut all = command();
            let found = all.find_subcommand_mut(name).unwrap();
            found.render_long_help().to_string()
        };
        for (name, shown, hidden) in [
            ("status", "--data-dir", "--replicas"),
            ("invite", "--advertise", "--cache-mib"),
            ("backup", "--data-dir", "--listen"),
            ("route", "--routing-errors", "--replicas"),
        ] {
            let help = help(name);
            assert!(help.contains(shown) && !help.contains(hidden), "{name}: {help}");
        }
        assert!(help("doctor").contains("--replicas"));

        let line = ["relay-node", "status", "--replicas", "2", "--data-dir", "d"];
        let matches = command().try_get_matches_from(line).unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        assert!(
            cli.flags.names_data_dir(),
            "what is not shown is accepted all the same"
        );
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }
}
