//! Simulates a swarm of thousands of members and prints what came of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gossip::sim::{Expect, Fault, Network, Report, Scenario, Senders, Traffic, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates a swarm and prints what came of it. The same arguments print the same, but for `wall_s` and
/// `peak_rss_mib`.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// A scenario in TOML; the other flags, but for --seed and --json, are ignored.
    #[arg(long, value_name = "FILE.toml")]
    scenario: Option<PathBuf>,
    /// Members.
    #[arg(long, default_value_t = 1_000)]
    nodes: u32,
    /// Neighbours each member aims at.
    #[arg(long, default_value_t = 8)]
    active: usize,
    /// Who broadcasts.
    #[arg(long, value_enum, default_value = "many")]
    senders: SendersArg,
    /// Broadcasts before a --kill; as many follow it.
    #[arg(long, default_value_t = 100)]
    messages: u32,
    /// Milliseconds between broadcasts.
    #[arg(long, default_value_t = 1_000)]
    every_ms: u64,
    /// Shortest and longest time from one member to another.
    #[arg(long, value_name = "MIN..MAX", default_value = "20..150", value_parser = range)]
    latency_ms: (u64, u64),
    /// Share of messages lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Share of members killed at once after the broadcasts.
    #[arg(long)]
    kill: Option<f64>,
    /// The source of all chance.
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SendersArg {
    One,
    Many,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (min, max) = text
        .split_once("..")
        .ok_or("expected MIN..MAX, such as 20..150")?;
    let number = |text: &str| text.trim().parse().map_err(|error| format!("{text:?}: {error}"));
    match (number(min)?, number(max)?) {
        (min, max) if min <= max => Ok((min, max)),
        (min, max) => Err(format!("{min} is more than {max}")),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let scenario = match scenario(&args) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("gossip-sim: {error}");
            return ExitCode::from(2);
        }
    };
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "how long the simulation itself takes"
    )]
    let began = std::time::Instant::now();
    let report = run(&scenario);
    let wall_s = began.elapsed().as_secs_f64();
    if args.json {
        let mut json = serde_json::to_value(&report).unwrap_or_default();
        json["wall_s"] = wall_s.into();
        json["peak_rss_mib"] = peak_rss_mib().into();
        println!("{json}");
    } else {
        print(&scenario, &report, wall_s);
    }
    if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        for failed in &report.failed {
            eprintln!("gossip-sim: {failed}");
        }
        ExitCode::FAILURE
    }
}

fn scenario(args: &Args) -> Result<Scenario, String> {
    let mut scenario = match &args.scenario {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => from_flags(args),
    };
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    Ok(scenario)
}

fn from_flags(args: &Args) -> Scenario {
    let senders = match args.senders {
        SendersArg::One => Senders::One,
        SendersArg::Many => Senders::Many,
    };
    let block = |at_s| Traffic {
        at_s,
        messages: args.messages,
        every_ms: args.every_ms,
        senders,
        expect: Default::default(),
    };
    // Time for the last broadcast to arrive, and after a death, to be noticed and repaired.
    let lasts_s = f64::from(args.messages) * args.every_ms as f64 / 1e3 + 10.0;
    let mut traffic = vec![block(0.0)];
    let mut fault = Vec::new();
    let mut end_s = lasts_s;
    if let Some(share) = args.kill {
        fault.push(Fault::Kill { at_s: lasts_s, share });
        traffic.push(block(lasts_s + 30.0));
        end_s = lasts_s + 30.0 + lasts_s;
    }
    Scenario {
        about: String::new(),
        nodes: args.nodes,
        active: args.active,
        seed: 1,
        join_per_s: 500,
        one_contact: false,
        settle_s: 30.0,
        end_s,
        hostile: 0.0,
        hostility: Vec::new(),
        network: Network {
            latency_ms: args.latency_ms,
            loss: args.loss,
            ..Network::default()
        },
        traffic,
        fault,
        expect: Expect::default(),
    }
}

fn print(scenario: &Scenario, report: &Report, wall_s: f64) {
    if !scenario.about.is_empty() {
        println!("{}", scenario.about);
    }
    let (min, mean, max) = report.degree;
    println!(
        "{} members, seed {}: {} components, {} isolated, {} articulation points, {min}–{max} neighbours (mean {mean:.1}, \
         never more than {})",
        report.nodes,
        report.seed,
        report.components,
        report.isolated_nodes,
        report.articulation_points,
        report.degree_max
    );
    for block in &report.traffic {
        let full = block.full_delivery_ms;
        println!(
            "{} broadcasts: {:.4} % delivered, rmr {:.3}, at most {} links, everywhere after {:.0} ms (p50), {:.0} ms \
             (p99), {:.0} ms (max)",
            block.messages,
            block.delivered_fraction * 100.0,
            block.rmr,
            block.ldh_max,
            full.p50,
            full.p99,
            full.max
        );
        if !scenario.fault.is_empty() {
            println!(
                "  everywhere {:.0} ms after the last fault was noticed",
                block.late_ms
            );
        }
    }
    if let Some(whole) = report.whole_after_s {
        println!(
            "faults struck {:?} members; at most {} components seen; whole {whole:.0} s after the last",
            report.struck, report.components_seen
        );
    }
    for (kind, sent) in &report.sent {
        println!(
            "  {kind:13} {:>10} messages {:>12} bytes",
            sent.messages, sent.bytes
        );
    }
    println!(
        "{} events in {:.1} s of simulated time took {wall_s:.1} s",
        report.events, report.simulated_s
    );
}

/// The most memory this process had, as the kernel says; nothing where it does not say.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}
