//! `relay-node`: the native Starling peer.

use std::process::ExitCode;

use clap::Parser as _;
use starling_relay_node::commands::{self, cli::Cli};

fn main() -> ExitCode {
    match commands::execute(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}
