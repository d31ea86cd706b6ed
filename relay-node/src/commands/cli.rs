//! The command line of the program: its commands, and settings as flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// Write all entries and names of this relay to a new file. The relay must not be running.
    Backup {
        /// The file to create. It will contain the registry's secret key.
        file: PathBuf,
    },
    /// Verify every signature of a backup and add its entries and names to the data folder, which may be new.
    Restore {
        /// The backup file.
        file: PathBuf,
        /// Verify the file without changing the data folder.
        #[arg(long)]
        verify: bool,
    },
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }
}
