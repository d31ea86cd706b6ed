//! The catalogue of scenarios, played small: what each promises for ten thousand members holds for a few hundred.
//!
//! A failing run names its seed; `STARLING_SEED=n` plays it again.
#![allow(
    clippy::disallowed_methods,
    reason = "a test reads its scenarios and its seed"
)]

use std::path::Path;

use gossip::sim::{Expect, Fault, Network, Report, Scenario, Senders, Traffic, run};
use proptest::prelude::*;

/// Members in a small run.
const NODES: u32 = 300;

fn seed() -> u64 {
    let seed = std::env::var("STARLING_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

fn scenario(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("a scenario");
    let mut scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    for fault in &mut scenario.fault {
        if let Fault::Storm { nodes, .. } = fault {
            *nodes = *nodes * NODES / scenario.nodes;
        }
        if let Fault::Churn { per_s, .. } = fault {
            *per_s = *per_s * f64::from(NODES) / f64::from(scenario.nodes);
        }
    }
    scenario.expect.lost_min = scenario
        .expect
        .lost_min
        .map(|lost| lost * u64::from(NODES) / u64::from(scenario.nodes));
    scenario.nodes = NODES;
    scenario.seed = seed();
    scenario
}

fn holds(name: &str) -> Report {
    let report = run(&scenario(name));
    assert!(
        report.failed.is_empty(),
        "{name}, seed {}: {:#?}",
        report.seed,
        report.failed
    );
    report
}

#[test]
fn many_senders() {
    holds("many_senders");
}

#[test]
fn one_sender() {
    holds("one_sender");
}

#[test]
fn half_of_them_die() {
    let report = holds("kill_50");
    assert_eq!(report.struck, [NODES / 2]);
}

#[test]
fn nine_tenths_die() {
    let report = holds("kill_90");
    assert!(report.components_seen > 1, "it was torn, and mended");
}

#[test]
fn two_halves_find_each_other() {
    let report = holds("halves");
    assert!(report.components_seen >= 2);
}

#[test]
fn a_storm_of_joins() {
    holds("storm");
}

#[test]
fn loss_and_frozen_tabs() {
    holds("loss_and_freeze");
}

#[test]
fn hostile_members() {
    holds("hostile");
}

#[test]
fn coming_and_going() {
    holds("churn");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let print = |seed| {
        let mut scenario = scenario("kill_50");
        scenario.seed = seed;
        serde_json::to_string(&run(&scenario)).expect("JSON")
    };
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
}

#[test]
fn a_cut_that_does_not_happen_is_noticed() {
    let mut scenario = scenario("halves");
    scenario.fault.clear();
    let report = run(&scenario);
    assert!(!report.failed.is_empty(), "nothing was cut and nobody noticed");
}

/// Something goes wrong within half a minute. Half seconds, so that nobody dies in the moment it speaks.
fn fault() -> impl Strategy<Value = Fault> {
    (0..4_u8, 0..20_u8, 1..10_u8, 1..=3_u8).prop_map(|(kind, at, lasts, tenths)| {
        let at_s = f64::from(at) + 0.5;
        let for_s = f64::from(lasts);
        let share = f64::from(tenths) / 10.0;
        match kind {
            0 => Fault::Kill { at_s, share },
            1 => Fault::Freeze { at_s, share, for_s },
            2 => Fault::Cut { at_s, share, for_s },
            _ => Fault::Churn {
                at_s,
                for_s,
                per_s: 1.0,
            },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mix_of_faults_is_got_over(
        seed in any::<u64>(),
        nodes in 24..60_u32,
        fault in proptest::collection::vec(fault(), 0..4),
        losses in prop_oneof![Just(0.0), Just(0.05)],
        dial_failure in prop_oneof![Just(0.0), Just(0.3)],
    ) {
        let said = |at_s, messages| Traffic {
            at_s,
            messages,
            every_ms: 1_000,
            senders: Senders::Many,
            expect: Default::default(),
        };
        let report = run(&Scenario {
            about: String::new(),
            nodes,
            active: 4,
            seed,
            join_per_s: 100,
            one_contact: false,
            settle_s: 10.0,
            end_s: 200.0,
            hostile: 0.0,
            hostility: Vec::new(),
            network: Network { loss: losses, dial_failure, ..Network::default() },
            traffic: vec![said(0.0, 30), said(150.0, 5)],
            fault,
            expect: Expect { one_sided_max: Some(0), ..Expect::default() },
        });
        prop_assert_eq!((report.components, report.isolated_nodes), (1, 0));
        for said in &report.traffic {
            // What anybody still has, everybody has.
            let had = f64::from(said.messages - said.vanished) / f64::from(said.messages);
            prop_assert_eq!(said.delivered_fraction, had, "something never came");
        }
        prop_assert_eq!(report.traffic[1].vanished, 0, "nobody dies any more");
        prop_assert_eq!(report.one_sided, Some(0), "a link only one side knows of");
        prop_assert!(report.degree_max <= 16);
    }
}

#[test]
fn hostility_that_does_not_happen_is_noticed() {
    let mut scenario = scenario("hostile");
    scenario.hostile = 1e-9;
    let report = run(&scenario);
    let missing = report
        .failed
        .iter()
        .filter(|failed| failed.starts_with("no member was"));
    assert_eq!(missing.count(), 3, "{:?}", report.failed);
}
