//! `gossip-compare`: another protocol in the network of `gossip-sim`. The same scenario and seed are the same network
//! and the same faults; what is printed are the same figures.

mod iroh;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use gossip::membership::Config;
use gossip::sim::{Scenario, run_with};
use iroh::{IrohMember, Setup};

/// Plays a scenario with the protocol of iroh-gossip 0.101 and prints one JSON object, as `gossip-sim --json` does.
/// What the scenario expects is reported and no failure.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A scenario in TOML, such as those in gossip/scenarios/.
    #[arg(long, value_name = "FILE.toml")]
    scenario: PathBuf,
    /// The source of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long an announcement is waited for before its message is asked for; the library's default is 80.
    #[arg(long, default_value_t = 80)]
    graft_ms: u64,
}

fn main() -> ExitCode {
    let Arguments {
        scenario: path,
        seed,
        graft_ms,
    } = Arguments::parse();
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let scenario = read.and_then(|text| toml::from_str::<Scenario>(&text).map_err(|error| error.to_string()));
    let mut scenario = match scenario {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("gossip-compare: {}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    scenario.seed = seed;
    // Deaths are noticed by connections that fall silent, as soon as the other protocol notices them.
    let ours = Config::visitor();
    let setup = Setup::new(
        scenario.active,
        Duration::from_millis(graft_ms),
        ours.heartbeat_every,
        ours.heartbeat_every * ours.missed_max,
    );
    let noticed = ours.heartbeat_every * ours.missed_max + ours.heartbeat_every / 2;
    let began = Instant::now();
    let report = run_with::<IrohMember>(&scenario, setup, noticed);
    let mut json = serde_json::to_value(&report).unwrap_or_default();
    json["wall_s"] = began.elapsed().as_secs_f64().into();
    json["graft_ms"] = graft_ms.into();
    println!("{json}");
    ExitCode::SUCCESS
}
