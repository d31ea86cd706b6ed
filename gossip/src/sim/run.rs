//! Runs a [`Scenario`].

use core::time::Duration;

use super::member::{Member, SwarmMember};
use super::report::{Report, Sent, Spread, TrafficReport};
use super::scenario::{Expect, Fault, Scenario, Senders, Traffic};
use super::world::{Published, World};
use crate::membership::{Config, pick};

/// A link that one side gave up is given up by the other within this: a silence is noticed, a request times out.
pub const LINGER: Duration = Duration::from_secs(15);
/// Members a newcomer hears of.
const CONTACTS: usize = 3;

/// What happens at a moment of the script.
#[derive(Clone, Copy, Debug)]
enum Act {
    Join,
    Publish(usize),
    Strike(usize),
    EndCut,
    /// One death and one return of a churn.
    Turnover(usize),
    Look,
}

/// Runs a scenario with this crate's own protocol.
#[must_use]
pub fn run(scenario: &Scenario) -> Report {
    let config = Config {
        // There are no anchors in these networks.
        anchors_target: 0,
        ..Config::visitor().with_active(scenario.active)
    };
    let noticed = config.heartbeat_every * config.missed_max + config.heartbeat_every / 2;
    Runner::<SwarmMember>::new(scenario, config, noticed).run()
}

/// Runs a scenario with any protocol. `noticed`: how long it takes until a silent death is noticed.
#[must_use]
pub fn run_with<M: Member>(scenario: &Scenario, setup: M::Setup, noticed: Duration) -> Report {
    Runner::<M>::new(scenario, setup, noticed).run()
}

struct Runner<'a, M: Member> {
    scenario: &'a Scenario,
    world: World<M>,
    noticed: Duration,
    /// Second 0 of the script.
    zero: Duration,
    next_to_join: u32,
    struck: Vec<u32>,
    dead: Vec<u32>,
    /// Per block of broadcasts, the numbers of its first message and of the next block's.
    blocks: Vec<Option<(usize, usize)>>,
    /// Bodies that had come and were news when each block began.
    before: Vec<(u64, u64)>,
    components_seen: usize,
    /// When the graph was last seen not to be whole.
    broken_at: Option<Duration>,
}

impl<'a, M: Member> Runner<'a, M> {
    fn new(scenario: &'a Scenario, setup: M::Setup, noticed: Duration) -> Self {
        let joining_s = f64::from(scenario.nodes) / f64::from(scenario.join_per_s.max(1));
        Self {
            world: World::new(scenario.nodes, scenario.network.clone(), setup, scenario.seed),
            noticed,
            zero: Duration::from_secs_f64(joining_s + scenario.settle_s),
            next_to_join: 0,
            struck: vec![0; scenario.fault.len()],
            dead: Vec::new(),
            blocks: vec![None; scenario.traffic.len()],
            before: vec![(0, 0); scenario.traffic.len()],
            components_seen: 0,
            broken_at: None,
            scenario,
        }
    }

    fn run(mut self) -> Report {
        for (at, act) in self.script() {
            self.world.run_until(at);
            self.act(act);
        }
        let end = self.zero + Duration::from_secs_f64(self.scenario.end_s);
        self.world.run_until(end);
        self.look();
        let mut report = self.report();
        if self.scenario.expect.one_sided_max.is_some() {
            let one_sided = self.world.one_sided();
            self.world.run_until(end + LINGER);
            let still = self.world.one_sided();
            report.one_sided = Some(still.intersection(&one_sided).count());
        }
        report.failed = failed(self.scenario, &report);
        report
    }

    /// Everything that is to happen, in order.
    fn script(&self) -> Vec<(Duration, Act)> {
        let at = |s: f64| self.zero + Duration::from_secs_f64(s);
        let mut script = Vec::new();
        let waiting: u32 = self
            .scenario
            .fault
            .iter()
            .map(|fault| match fault {
                Fault::Storm { nodes, .. } => *nodes,
                _ => 0,
            })
            .sum();
        let per_s = f64::from(self.scenario.join_per_s.max(1));
        for node in 0..self.scenario.nodes.saturating_sub(waiting) {
            script.push((Duration::from_secs_f64(f64::from(node) / per_s), Act::Join));
        }
        for (block, traffic) in self.scenario.traffic.iter().enumerate() {
            for n in 0..traffic.messages {
                let after = Duration::from_millis(traffic.every_ms * u64::from(n));
                script.push((at(traffic.at_s) + after, Act::Publish(block)));
            }
        }
        for (number, fault) in self.scenario.fault.iter().enumerate() {
            match fault {
                Fault::Cut { .. } => {
                    script.push((at(fault.at_s()), Act::Strike(number)));
                    script.push((at(fault.over_s()), Act::EndCut));
                }
                Fault::Churn { for_s, per_s, .. } => {
                    for n in 0..(for_s * per_s) as u32 {
                        script.push((at(fault.at_s() + f64::from(n) / per_s), Act::Turnover(number)));
                    }
                }
                Fault::Storm { nodes, .. } => {
                    for n in 0..*nodes {
                        let after = f64::from(n) / f64::from(*nodes);
                        script.push((at(fault.at_s() + after), Act::Join));
                    }
                }
                Fault::Kill { .. } | Fault::Freeze { .. } => {
                    script.push((at(fault.at_s()), Act::Strike(number)));
                }
            }
        }
        // The graph is looked at once a second while faults are about.
        if let Some(first) = self.scenario.fault.iter().map(Fault::at_s).reduce(f64::min) {
            let mut second = first.max(0.0);
            while second < self.scenario.end_s {
                second += 1.0;
                script.push((at(second.min(self.scenario.end_s)), Act::Look));
            }
        }
        script.sort_by_key(|(at, _)| *at);
        script
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Join => self.join(),
            Act::Publish(block) => self.publish(block),
            Act::Strike(number) => self.strike(number),
            Act::EndCut => self.world.heal(),
            Act::Turnover(number) => self.turn_over(number),
            Act::Look => self.look(),
        }
    }

    fn join(&mut self) {
        let node = self.next_to_join;
        self.next_to_join += 1;
        let via = match node {
            0 => Vec::new(),
            _ if self.scenario.one_contact => vec![0],
            _ => self.contacts(node),
        };
        // The first is everybody's contact, and honest.
        let hostile = node > 0 && pick(1_000_000, self.world.rng()) < (self.scenario.hostile * 1e6) as usize;
        if hostile && !self.scenario.hostility.is_empty() {
            let how = self.scenario.hostility[node as usize % self.scenario.hostility.len()];
            self.world.turn(node, how);
        }
        self.world.join(node, &via);
    }

    /// Members a newcomer hears of: some it can reach, and at least one of them honest. Who knows none such cannot
    /// join.
    fn contacts(&mut self, newcomer: u32) -> Vec<u32> {
        let honest: Vec<u32> = self.world.awake().collect();
        let mut contacts = Vec::new();
        for _ in 0..CONTACTS * 16 {
            let contact = if contacts.is_empty() {
                honest[pick(honest.len(), self.world.rng())]
            } else {
                pick(self.next_to_join as usize, self.world.rng()) as u32
            };
            if contact != newcomer && self.world.can_dial(newcomer, contact) {
                contacts.push(contact);
            }
            if contacts.len() == CONTACTS {
                break;
            }
        }
        contacts
    }

    fn publish(&mut self, block: usize) {
        let number = self.world.published().len();
        if self.blocks[block].is_none() {
            let counts = self.world.counts();
            self.before[block] = (counts.payloads, counts.delivered);
        }
        let (first, _) = *self.blocks[block].get_or_insert((number, number));
        self.blocks[block] = Some((first, number + 1));
        let honest: Vec<u32> = self.world.awake().collect();
        let Some(last) = honest.len().checked_sub(1) else {
            return;
        };
        let sender = match self.scenario.traffic[block].senders {
            Senders::One => honest[last / 2],
            Senders::Many => honest[pick(honest.len(), self.world.rng())],
        };
        self.world.publish(sender);
    }

    /// A share of the honest, by chance.
    fn some(&mut self, share: f64) -> Vec<u32> {
        let mut nodes: Vec<u32> = self.world.honest().collect();
        let n = (nodes.len() as f64 * share).round() as usize;
        for at in 0..n.min(nodes.len()) {
            let other = at + pick(nodes.len() - at, self.world.rng());
            nodes.swap(at, other);
        }
        nodes.truncate(n);
        nodes
    }

    fn strike(&mut self, number: usize) {
        let now = self.world.now();
        match self.scenario.fault[number].clone() {
            Fault::Kill { share, .. } => {
                for node in self.some(share) {
                    self.world.kill(node);
                    self.struck[number] += 1;
                }
            }
            Fault::Freeze { share, for_s, .. } => {
                for node in self.some(share) {
                    self.world.freeze(node, now + Duration::from_secs_f64(for_s));
                    self.struck[number] += 1;
                }
            }
            Fault::Cut { share, .. } => {
                let split = (f64::from(self.scenario.nodes) * share) as u32;
                self.world.cut(|node| u8::from(node < split));
                self.struck[number] = split;
            }
            Fault::Churn { .. } | Fault::Storm { .. } => {}
        }
    }

    fn turn_over(&mut self, number: usize) {
        let honest: Vec<u32> = self.world.honest().collect();
        if honest.len() < 2 {
            return;
        }
        // The dead return after ten others died.
        let victim = honest[pick(honest.len(), self.world.rng())];
        self.world.kill(victim);
        self.dead.push(victim);
        self.struck[number] += 1;
        if self.dead.len() > 10 {
            let node = self.dead.remove(0);
            let via = self.contacts(node);
            self.world.join(node, &via);
        }
    }

    fn look(&mut self) {
        let graph = self.world.graph();
        let components = graph.components();
        self.components_seen = self.components_seen.max(components);
        if components > 1 {
            self.broken_at = Some(self.world.now());
        }
    }

    fn report(&self) -> Report {
        let graph = self.world.graph();
        let counts = self.world.counts();
        let honest: Vec<u32> = self.world.honest().collect();
        let traffic: Vec<TrafficReport> = (0..self.blocks.len())
            .map(|block| self.traffic(block, &honest))
            .collect();
        let first = traffic.first();
        let over = self
            .scenario
            .fault
            .iter()
            .map(Fault::over_s)
            .fold(None, |most: Option<f64>, s| {
                Some(most.map_or(s, |most| most.max(s)))
            });
        let whole_after_s = over.map(|over| {
            let over = self.zero + Duration::from_secs_f64(over);
            self.broken_at
                .map_or(0.0, |at| at.saturating_sub(over).as_secs_f64())
        });
        let messages: f64 = traffic.iter().map(|block| f64::from(block.messages)).sum();
        let delivered: f64 = traffic
            .iter()
            .map(|block| block.delivered_fraction * f64::from(block.messages))
            .sum();
        Report {
            nodes: self.scenario.nodes,
            active: self.scenario.active,
            seed: self.scenario.seed,
            rmr: first.map_or(0.0, |block| block.rmr),
            ldh_max: first.map_or(0, |block| block.ldh_max),
            delivered_fraction: if messages > 0.0 { delivered / messages } else { 1.0 },
            full_delivery_ms: first.map(|block| block.full_delivery_ms).unwrap_or_default(),
            isolated_nodes: graph.isolated(),
            components: graph.components(),
            components_seen: self.components_seen,
            articulation_points: graph.articulation_points(),
            one_sided: None,
            degree: graph.degrees(),
            degree_max: counts.degree_max,
            whole_after_s,
            lost: counts.lost,
            dials_failed: counts.dials_failed,
            simulated_s: self.world.now().as_secs_f64(),
            events: counts.events,
            sent: counts
                .sent
                .iter()
                .map(|(kind, (messages, bytes))| {
                    let (messages, bytes) = (*messages, *bytes);
                    ((*kind).to_owned(), Sent { messages, bytes })
                })
                .collect(),
            struck: self.struck.clone(),
            tampered: counts.tampered.clone(),
            traffic,
            failed: Vec::new(),
        }
    }

    fn traffic(&self, block: usize, honest: &[u32]) -> TrafficReport {
        let counts = self.world.counts();
        let (first, end) = self.blocks[block].unwrap_or_default();
        let messages = &self.world.published()[first..end];
        let before = self.before[block];
        let after = self
            .before
            .get(block + 1)
            .copied()
            .filter(|_| self.blocks.get(block + 1).is_some_and(Option::is_some))
            .unwrap_or((counts.payloads, counts.delivered));
        let (payloads, delivered) = (after.0 - before.0, after.1 - before.1);
        let held: usize = messages
            .iter()
            .map(|message| honest.iter().filter(|node| message.held_by(**node)).count())
            .sum();
        let nobody = |message: &&Published| !honest.iter().any(|node| message.held_by(*node));
        let vanished = messages.iter().filter(nobody).count() as u32;
        let at = |s: f64| self.zero + Duration::from_secs_f64(s);
        let late_ms = messages
            .iter()
            .filter_map(|message| {
                let fault = self
                    .scenario
                    .fault
                    .iter()
                    .filter(|fault| at(fault.at_s()) <= message.last)
                    .map(|fault| match fault {
                        // A death has to be noticed; everything else ends by itself.
                        Fault::Kill { .. } => at(fault.at_s()) + self.noticed,
                        _ => at(fault.over_s()),
                    })
                    .max()?;
                Some(message.last.saturating_sub(fault.max(message.at)).as_secs_f64() * 1e3)
            })
            .fold(0.0, f64::max);
        let full = messages
            .iter()
            .map(|message| (message.last - message.at).as_secs_f64() * 1e3);
        TrafficReport {
            messages: messages.len() as u32,
            rmr: (payloads - delivered) as f64 / delivered.max(1) as f64,
            ldh_max: messages
                .iter()
                .map(|message| message.hops_max)
                .max()
                .unwrap_or_default(),
            delivered_fraction: held as f64 / (honest.len() * messages.len()).max(1) as f64,
            vanished,
            full_delivery_ms: Spread::of(full.collect()),
            late_ms,
        }
    }
}

/// What was expected and did not come.
fn failed(scenario: &Scenario, report: &Report) -> Vec<String> {
    let mut failed = Vec::new();
    for (fault, struck) in scenario.fault.iter().zip(&report.struck) {
        if *struck == 0 && !matches!(fault, Fault::Storm { .. }) {
            failed.push(format!("the fault did not happen: {fault:?}"));
        }
    }
    for how in scenario.hostility.iter().filter(|_| scenario.hostile > 0.0) {
        if !report.tampered.contains_key(how) {
            failed.push(format!("no member was {how:?}"));
        }
    }
    for (Traffic { expect, .. }, got) in scenario.traffic.iter().zip(&report.traffic) {
        least(
            &mut failed,
            "delivered_fraction",
            expect.delivered_min,
            got.delivered_fraction,
        );
        most(&mut failed, "rmr", expect.rmr_max, got.rmr);
        most(
            &mut failed,
            "ldh_max",
            expect.ldh_max.map(f64::from),
            f64::from(got.ldh_max),
        );
        let p99 = got.full_delivery_ms.p99;
        most(&mut failed, "full_delivery_ms p99", expect.full_p99_ms_max, p99);
        most(&mut failed, "late_ms", expect.late_ms_max, got.late_ms);
    }
    let Expect {
        components_max,
        isolated_max,
        articulation_points_max,
        whole_after_s_max,
        degree_max,
        components_seen_min,
        lost_min,
        one_sided_max,
    } = &scenario.expect;
    let count = |n: Option<usize>| n.map(|n| n as f64);
    most(
        &mut failed,
        "components",
        count(*components_max),
        report.components as f64,
    );
    most(
        &mut failed,
        "isolated_nodes",
        count(*isolated_max),
        report.isolated_nodes as f64,
    );
    let cuts = report.articulation_points as f64;
    most(
        &mut failed,
        "articulation_points",
        count(*articulation_points_max),
        cuts,
    );
    most(
        &mut failed,
        "degree_max",
        count(*degree_max),
        report.degree_max as f64,
    );
    let seen = report.components_seen as f64;
    least(&mut failed, "components_seen", count(*components_seen_min), seen);
    least(
        &mut failed,
        "lost",
        lost_min.map(|n| n as f64),
        report.lost as f64,
    );
    let whole = report.whole_after_s.unwrap_or_default();
    most(&mut failed, "whole_after_s", *whole_after_s_max, whole);
    let one_sided = report.one_sided.unwrap_or_default() as f64;
    most(&mut failed, "one_sided", count(*one_sided_max), one_sided);
    failed
}

fn most(failed: &mut Vec<String>, name: &str, bound: Option<f64>, got: f64) {
    if let Some(bound) = bound.filter(|bound| got > *bound) {
        failed.push(format!("{name} is {got}, expected at most {bound}"));
    }
}

fn least(failed: &mut Vec<String>, name: &str, bound: Option<f64>, got: f64) {
    if let Some(bound) = bound.filter(|bound| got < *bound) {
        failed.push(format!("{name} is {got}, expected at least {bound}"));
    }
}
