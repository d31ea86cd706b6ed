//! The gossip library on a simulated network, beside the protocol of iroh-gossip on the same one: the same scenarios,
//! faults and seeds. And what a received message costs, on this machine and in a browser.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use serde_json::Value;
use starling_tests::figures::{Figure, Target};
use starling_tests::{Browser, workspace_root};

use crate::beside;

const BENCH: &str = "gossip";
const PEER: &str = "iroh-gossip 0.101";
/// Its graft timeout with which it wastes least; its own default is 80.
const PEER_GRAFT_MS: &str = "1000";
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
/// Mebibytes and seconds a simulation of 10,000 members may take.
const MEMORY_MAX_MIB: f64 = 2_048.0;
const WALL_MAX_S: f64 = 20.0;

/// One figure of a scenario: its name, where it is in the report, its unit and what it should be.
struct Wanted(&'static str, fn(&Value) -> Option<f64>, &'static str, Target);

fn at(report: &Value, path: &str) -> Option<f64> {
    report.pointer(path)?.as_f64()
}

/// The share of members that have everything, of a block of broadcasts.
fn delivered<const BLOCK: usize>(report: &Value) -> Option<f64> {
    at(report, &format!("/traffic/{BLOCK}/delivered_fraction"))
}

const MANY: &[Wanted] = &[
    Wanted("rmr", |r| at(r, "/rmr"), "copies", Target::AtMost(0.2)),
    Wanted("delivered", delivered::<0>, "share", Target::AtLeast(1.0)),
    Wanted(
        "p99",
        |r| at(r, "/full_delivery_ms/p99"),
        "ms",
        Target::AtMost(1_500.0),
    ),
    Wanted("last_hop", |r| at(r, "/ldh_max"), "links", Target::None),
    Wanted(
        "articulation_points",
        |r| at(r, "/articulation_points"),
        "members",
        Target::AtMost(0.0),
    ),
];
const ONE: &[Wanted] = &[
    Wanted("rmr", |r| at(r, "/rmr"), "copies", Target::AtMost(0.05)),
    Wanted("delivered", delivered::<0>, "share", Target::AtLeast(1.0)),
    Wanted("p99", |r| at(r, "/full_delivery_ms/p99"), "ms", Target::None),
    Wanted("last_hop", |r| at(r, "/ldh_max"), "links", Target::AtMost(15.0)),
];
const KILL_50: &[Wanted] = &[
    Wanted("delivered_at_once", delivered::<1>, "share", Target::AtLeast(1.0)),
    Wanted(
        "late",
        |r| at(r, "/traffic/1/late_ms"),
        "ms",
        Target::AtMost(1_000.0),
    ),
    Wanted(
        "isolated",
        |r| at(r, "/isolated_nodes"),
        "members",
        Target::AtMost(0.0),
    ),
];
const KILL_90: &[Wanted] = &[
    Wanted("delivered_at_once", delivered::<1>, "share", Target::None),
    Wanted("delivered_after", delivered::<2>, "share", Target::AtLeast(1.0)),
    Wanted(
        "isolated",
        |r| at(r, "/isolated_nodes"),
        "members",
        Target::AtMost(0.0),
    ),
    Wanted(
        "whole_after",
        |r| at(r, "/whole_after_s"),
        "s",
        Target::AtMost(30.0),
    ),
];
const HALVES: &[Wanted] = &[
    Wanted(
        "components",
        |r| at(r, "/components"),
        "components",
        Target::AtMost(1.0),
    ),
    Wanted(
        "whole_after",
        |r| at(r, "/whole_after_s"),
        "s",
        Target::AtMost(60.0),
    ),
    Wanted("delivered", delivered::<1>, "share", Target::AtLeast(1.0)),
];
const STORM: &[Wanted] = &[
    Wanted(
        "whole_after",
        |r| at(r, "/whole_after_s"),
        "s",
        Target::AtMost(30.0),
    ),
    Wanted(
        "degree_max",
        |r| at(r, "/degree_max"),
        "links",
        Target::AtMost(16.0),
    ),
    Wanted("delivered", delivered::<0>, "share", Target::AtLeast(1.0)),
];
const LOSS: &[Wanted] = &[Wanted("delivered", delivered::<0>, "share", Target::AtLeast(1.0))];
const HOSTILE: &[Wanted] = &[
    Wanted("delivered", delivered::<1>, "share", Target::AtLeast(1.0)),
    Wanted(
        "slowest",
        |r| at(r, "/traffic/1/full_delivery_ms/max"),
        "ms",
        Target::AtMost(5_000.0),
    ),
];

const SCENARIOS: &[(&str, &[Wanted])] = &[
    ("many_senders", MANY),
    ("one_sender", ONE),
    ("kill_50", KILL_50),
    ("kill_90", KILL_90),
    ("halves", HALVES),
    ("storm", STORM),
    ("loss_and_freeze", LOSS),
    ("hostile", HOSTILE),
];

/// Prints all figures of the library.
pub(crate) async fn measure() -> Result<()> {
    cost().await?;
    for (scenario, wanted) in SCENARIOS {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for seed in SEEDS {
            eprintln!("{scenario}, seed {seed}");
            // One processor each.
            let (one, other) = tokio::try_join!(
                simulate("gossip-sim", scenario, seed, &["--json"]),
                simulate("gossip-compare", scenario, seed, &["--graft-ms", PEER_GRAFT_MS]),
            )?;
            ours.push(one);
            theirs.push(other);
        }
        for wanted in *wanted {
            print(scenario, wanted, &ours, None)?;
            print(scenario, wanted, &theirs, Some(PEER))?;
        }
        if *scenario == "many_senders" {
            let wall = Wanted(
                "simulator_wall",
                |r| at(r, "/wall_s"),
                "s",
                Target::AtMost(WALL_MAX_S),
            );
            print(scenario, &wall, &ours, None)?;
            print(scenario, &wall, &theirs, Some(PEER))?;
            let memory = Target::AtMost(MEMORY_MAX_MIB);
            let memory = Wanted("simulator_memory", |r| at(r, "/peak_rss_mib"), "MiB", memory);
            print(scenario, &memory, &ours, None)?;
        }
    }
    Ok(())
}

/// Runs a simulator that `scripts/bench` built next to this program, and reads its report.
async fn simulate(program: &str, scenario: &str, seed: u64, arguments: &[&str]) -> Result<Value> {
    let file = workspace_root().join(format!("gossip/scenarios/{scenario}.toml"));
    let output = beside::command(program)?
        .arg("--scenario")
        .arg(&file)
        .args(["--seed", &seed.to_string()])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .await?;
    // A failed expectation is a figure here, and no reason to stop.
    let report = serde_json::from_slice(&output.stdout);
    report.with_context(|| format!("{program} {}: {}", file.display(), output.status))
}

fn print(scenario: &str, wanted: &Wanted, reports: &[Value], peer: Option<&'static str>) -> Result<()> {
    let Wanted(name, get, unit, target) = wanted;
    let values: Option<Vec<f64>> = reports.iter().map(get).collect();
    let values = values.with_context(|| format!("{scenario}: a report without {name}"))?;
    let worst = match target {
        Target::AtLeast(_) => values.iter().copied().fold(f64::INFINITY, f64::min),
        Target::AtMost(_) | Target::None => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    for (of, value) in [("mean", mean), ("worst", worst)] {
        let name = format!("{scenario}_{name}_{of}");
        let figure = Figure::new(BENCH, &name, value, unit)
            .n(values.len())
            .seeds(&SEEDS);
        match peer {
            Some(peer) => figure.peer(peer).print(),
            None => figure.target(*target).print(),
        }
    }
    Ok(())
}

/// What one received message costs the state machine.
async fn cost() -> Result<()> {
    let native = beside::command("examples/cost")?
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("running the example `cost`")?;
    ensure!(native.status.success(), "cost: {}", native.status);
    for line in String::from_utf8(native.stdout)?.lines() {
        let measured: Value = serde_json::from_str(line)?;
        let what = measured["figure"].as_str().context("a name")?;
        print_cost("native", what, measured["value"].as_f64().context("a number")?);
    }

    let page = |name: &str| -> Result<Vec<u8>> {
        let path: PathBuf = workspace_root().join("target/examples/cost").join(name);
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    let (script, wasm) = (page("cost.js")?, page("cost_bg.wasm")?);
    let browser = Browser::launch().await?;
    let tab = browser.open("about:blank").await?;
    let run = format!(
        "(async () => {{
            const bytes = Uint8Array.from(atob('{}'), c => c.charCodeAt(0));
            const page = await import('data:text/javascript;base64,{}');
            await page.default({{ module_or_path: bytes }});
            return figures;
        }})()",
        BASE64.encode(&wasm),
        BASE64.encode(&script)
    );
    let figures: BTreeMap<String, f64> = tab.eval(&run).await?;
    ensure!(!figures.is_empty(), "the page measured nothing");
    for (what, ns) in figures {
        print_cost("wasm", &what, ns);
    }
    Ok(())
}

fn print_cost(platform: &str, what: &str, ns: f64) {
    Figure::new(BENCH, &format!("cost_{what}_{platform}"), ns, "ns").print();
}
