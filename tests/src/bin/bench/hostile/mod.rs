//! Attacks by a peer written by hand against one real relay that holds many feeds, one after the other: what each costs
//! the relay, what it keeps of it, and what honest peers notice.
//!
//! `STARLING_BENCH_FEEDS=n` fills the relay with n feeds, `STARLING_BENCH_ATTACKS=pings,wants` runs these attacks alone.

mod attacker;
mod feeds;
mod floods;
mod honest;
mod names;
mod sockets;
mod victim;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use starling_tests::figures::{Figure, Target, percentile};
use starling_tests::wait::eventually;
use starling_tests::{Relay, RelayOptions, network};

use crate::authors;
use attacker::{Assault, Attacker, lock};
use honest::Peer;
use victim::Victim;

/// Feeds unless `STARLING_BENCH_FEEDS` says how many, and entries of each.
const FEEDS: usize = 100_000;
const ENTRIES: u64 = 4;
/// How long the relay is watched before an attack, and how long an attack lasts.
const QUIET: Duration = Duration::from_secs(5);
const ATTACKED: Duration = Duration::from_secs(10);
/// Newcomers while an attack runs.
const NEWCOMERS: u32 = 40;
const SHORT_SOCKETS: usize = 4_000;
/// A member that is gone had been linked within this time.
const MEMBER_WITHIN: Duration = Duration::from_secs(20);

const BENCH: &str = "hostile";

/// Whether newcomers come from the attacker's address.
#[derive(Clone, Copy, PartialEq)]
enum Newcomers {
    Elsewhere,
    /// Half of them.
    Beside,
}

/// Figures of which the worst is said at the end.
const WORST: [(&str, &str, Target); 4] = [
    ("cpu_ms_per_attacker_kb", "ms/kB", Target::AtMost(20.0)),
    ("memory_kept_per_link_mib", "MiB", Target::AtMost(4.0)),
    ("honest_p99_ratio", "", Target::AtMost(1.5)),
    ("newcomers_served", "", Target::AtLeast(40.0)),
];

/// The relay, the honest peers beside it, and what was measured.
struct Stage {
    victim: Victim,
    posts: Peer,
    pings: Peer,
    /// Attacks so far.
    attacks: u32,
    /// Attacks to run; all if there is none.
    only: Vec<String>,
    worst: [Option<(f64, String)>; WORST.len()],
}

/// What honest peers saw in one phase.
struct Seen {
    receipts_ms: Vec<f64>,
    pings_ms: Vec<f64>,
    newcomers: usize,
    took: Duration,
    cpu: Duration,
}

impl Seen {
    fn p99(&self) -> [f64; 2] {
        [&self.receipts_ms, &self.pings_ms].map(|samples| percentile(samples, 0.99))
    }
}

impl Stage {
    fn runs(&self, attack: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == attack)
    }

    fn figure<'a>(&self, name: &'a str, attack: &'a str, value: f64, unit: &'a str) -> Figure<'a> {
        let figure = Figure::new(BENCH, name, value, unit);
        figure.attack(attack).feeds(self.victim.feeds)
    }

    /// Honest peers for this time, and what the relay computes meanwhile.
    async fn honest(&mut self, time: Duration, newcomers: Newcomers, attacker: IpAddr) -> Result<Seen> {
        let at = self.victim.at();
        let (before, began) = (self.victim.cpu()?, Instant::now());
        let share = time.as_secs_f64() / ATTACKED.as_secs_f64();
        let count = (f64::from(NEWCOMERS) * share) as u32;
        let first = 1_000 + 1_000 * self.attacks + if time == QUIET { 500 } else { 0 };
        let address = move |n| match newcomers {
            Newcomers::Beside if n % 2 == 0 => attacker,
            _ => honest::address(50 + n),
        };
        let (receipts_ms, pings_ms, newcomers) = tokio::join!(
            self.posts.run(&at, time),
            self.pings.run(&at, time),
            honest::newcomers(&at, count, first, time, address),
        );
        Ok(Seen {
            receipts_ms: receipts_ms?,
            pings_ms: pings_ms?,
            newcomers,
            took: began.elapsed(),
            cpu: self.victim.cpu()?.saturating_sub(before),
        })
    }

    /// Runs one attack beside honest peers, after a quiet phase.
    async fn attack<F, A>(&mut self, name: &str, newcomers: Newcomers, attack: A) -> Result<()>
    where
        A: FnOnce(Arc<Attacker>) -> F + Send + 'static,
        F: Future<Output = Result<()>>,
    {
        self.attacks += 1;
        let number = self.attacks;
        let from = attacker::address(number);
        self.victim.calm().await?;
        eprintln!("{name}: quiet");
        let quiet = self.honest(QUIET, Newcomers::Elsewhere, from).await?;
        let cpu_rate = quiet.cpu.as_secs_f64() / quiet.took.as_secs_f64();
        let memory = self.victim.memory_mib()?;
        let written = self.victim.written_kib()?;
        let cpu = self.victim.cpu()?;
        eprintln!("{name}: attacked");
        let attacker = Attacker::new(self.victim.at(), number, ATTACKED);
        let mut assault = Assault::start(Arc::clone(&attacker), attack)?;
        let attacked = self.honest(ATTACKED, newcomers, from).await?;
        assault.over().await?;
        self.victim.calm().await?;
        let cpu = self.victim.cpu()?.saturating_sub(cpu).as_secs_f64();
        let cpu_ms = (cpu - cpu_rate * attacked.took.as_secs_f64()).max(0.0) * 1_000.0;
        let grown = (self.victim.memory_mib()? - memory).max(0.0);
        let written = self.victim.written_kib()? - written;
        let sent_kb = attacker.sent.load(std::sync::atomic::Ordering::Relaxed) as f64 / 1_000.0;
        let (kept, (opened, closed)) = (attacker.kept(), attacker.links());
        assault.end()?;
        eprintln!("{name}: {opened} links opened, {closed} closed by the relay, {kept} open at the end");
        for (reason, links) in lock(&attacker.reasons).iter() {
            eprintln!("  {links}: {reason}");
        }

        let [quiet_receipt, quiet_ping] = quiet.p99();
        let [receipt, ping] = attacked.p99();
        let values = [
            cpu_ms / sent_kb.max(0.001),
            grown / kept.max(1) as f64,
            receipt / quiet_receipt.max(0.001),
            attacked.newcomers as f64,
        ];
        for (at, ((figure, unit, target), value)) in WORST.into_iter().zip(values).enumerate() {
            self.figure(figure, name, value, unit).target(target).print();
            let worse = |than: f64| match target {
                Target::AtLeast(_) => value < than,
                _ => value > than,
            };
            if self.worst[at].as_ref().is_none_or(|(worst, _)| worse(*worst)) {
                self.worst[at] = Some((value, name.to_owned()));
            }
        }
        for (figure, of, value) in [
            ("honest_p99_ms", "receipts, quiet", quiet_receipt),
            ("honest_p99_ms", "receipts, attacked", receipt),
            ("honest_p99_ms", "pings, quiet", quiet_ping),
            ("honest_p99_ms", "pings, attacked", ping),
        ] {
            self.figure(figure, name, value, "ms").of(of).print();
        }
        let lost = std::mem::take(&mut self.posts.lost) + std::mem::take(&mut self.pings.lost);
        for (figure, value, unit) in [
            ("attacker_kb", sent_kb, "kB"),
            ("cpu_ms", cpu_ms, "ms"),
            ("memory_grown_mib", grown, "MiB"),
            ("written_kib", written, "KiB"),
            ("links_opened", opened as f64, ""),
            ("links_closed_by_relay", closed as f64, ""),
            ("honest_links_lost", lost as f64, ""),
        ] {
            self.figure(figure, name, value, unit).print();
        }
        Ok(())
    }

    async fn short_sockets(&mut self) -> Result<()> {
        self.victim.calm().await?;
        let before = self.victim.memory_mib()?;
        sockets::many_short(self.victim.at(), SHORT_SOCKETS).await?;
        let ratio = self.victim.memory_mib()? / before;
        self.figure("memory_after_4000_sockets_ratio", "short_sockets", ratio, "")
            .n(SHORT_SOCKETS)
            .target(Target::AtMost(1.2))
            .print();
        Ok(())
    }

    async fn stale_claims(&mut self) -> Result<()> {
        let at = self.victim.at();
        let claimed = Arc::new(feeds::Claimed::prepare(&at).await?);
        let theirs = Arc::clone(&claimed);
        let until = Instant::now() + QUIET + ATTACKED + Duration::from_mins(2);
        let (ours, from) = (Arc::clone(&claimed), honest::address(201));
        let attack = move |attacker: Arc<Attacker>| async move {
            // The honest peer is no part of the attack, but comes and goes with it.
            let serving = feeds::serve(attacker.at.clone(), ours, from, until);
            tokio::select! {
                served = serving => served,
                attacked = feeds::stale_claims(Arc::clone(&attacker), theirs) => attacked,
            }
        };
        self.attack("stale_claims", Newcomers::Elsewhere, attack).await?;
        let fetched = claimed.fetched(&at).await?;
        self.figure("claimed_feeds_fetched", "stale_claims", fetched as f64, "")
            .n(feeds::CLAIMED as usize)
            .target(Target::AtLeast(f64::from(feeds::CLAIMED)))
            .print();
        Ok(())
    }

    async fn name_claims(&mut self) -> Result<()> {
        let at = self.victim.at();
        let honest = tokio::spawn(async move {
            // In the middle of the attack, which follows the quiet phase.
            let begin = Instant::now() + QUIET + ATTACKED / 2;
            tokio::time::sleep_until(begin.into()).await;
            names::honest_claims(&at, begin + ATTACKED).await
        });
        self.attack("name_claims", Newcomers::Elsewhere, names::claims)
            .await?;
        let served = honest.await?;
        self.figure("honest_claims_served", "name_claims", served as f64, "")
            .target(Target::AtLeast(f64::from(names::CLAIMING)))
            .print();
        Ok(())
    }

    async fn stranger_relays(&mut self) -> Result<()> {
        let at = self.victim.at();
        let receipted = Arc::new(feeds::Receipted::prepare(&at).await?);
        let theirs = Arc::clone(&receipted);
        let attack = |attacker| feeds::stranger_relays(attacker, theirs);
        self.attack("stranger_relays", Newcomers::Elsewhere, attack)
            .await?;
        let lost = receipted.lost(&at).await?;
        self.figure("receipted_feeds_lost", "stranger_relays", lost as f64, "")
            .n(feeds::RECEIPTED as usize)
            .target(Target::AtMost(0.0))
            .print();
        Ok(())
    }

    async fn all(&mut self) -> Result<()> {
        use Newcomers::{Beside, Elsewhere};
        macro_rules! attacks {
            ($($name:literal from $newcomers:ident: $attack:expr;)*) => {
                $(if self.runs($name) {
                    self.attack($name, $newcomers, $attack).await?;
                })*
            };
        }
        let feeds = self.victim.feeds;
        if self.runs("short_sockets") {
            self.short_sockets().await?;
        }
        attacks! {
            "pings" from Elsewhere: floods::pings;
            "lookups" from Elsewhere: floods::lookups;
            "wants" from Elsewhere: move |attacker| floods::wants(attacker, feeds);
            "signal_lists" from Elsewhere: sockets::lists;
            "sketches" from Elsewhere: floods::sketches;
            "sketch_bursts" from Elsewhere: floods::sketch_bursts;
            "interests" from Elsewhere: floods::interests;
            "interest_bursts" from Elsewhere: floods::interest_bursts;
            "absent_heads" from Elsewhere: floods::absent_heads;
            "silent_sockets" from Beside: sockets::silent;
            "garbage_proofs" from Beside: sockets::garbage_proofs;
            "requests" from Elsewhere: move |attacker| sockets::requests(attacker, feeds);
        }
        if self.runs("stale_claims") {
            self.stale_claims().await?;
        }
        if self.runs("fork_proofs") {
            let proofs = feeds::prepare_proofs(&self.victim.at()).await?;
            let attack = |attacker| feeds::fork_proofs(attacker, proofs);
            self.attack("fork_proofs", Elsewhere, attack).await?;
        }
        if self.runs("name_claims") {
            self.name_claims().await?;
        }
        if self.runs("fresh_keys") {
            let pushes = floods::new_accounts(6_000_000);
            let attack = |attacker| floods::fresh_keys(attacker, pushes);
            self.attack("fresh_keys", Elsewhere, attack).await?;
        }
        if self.runs("stranger_relays") {
            self.stranger_relays().await?;
        }
        for (at, (figure, unit, target)) in WORST.into_iter().enumerate() {
            if let Some((value, attack)) = &self.worst[at] {
                let worst = self.figure(figure, "worst", *value, unit);
                worst.of(attack).target(target).print();
            }
        }
        Ok(())
    }
}

/// How long a relay takes to be ready again whose only fellow member is gone.
async fn restart(feeds: usize) -> Result<()> {
    let mut victim = Victim::with_feeds(feeds, ENTRIES).await?;
    let relay = &mut victim.relay;
    let options = RelayOptions {
        args: relay.join()?.to_vec(),
        ..RelayOptions::default()
    };
    let mut member = Relay::start_with(options).await?;
    let is_member = async || (network::states(relay).await.ok()?.len() == 2).then_some(());
    eventually("the other relay to be a member", MEMBER_WITHIN, is_member).await?;
    member.kill().await?;
    relay.kill().await?;
    let began = Instant::now();
    let ready = relay.restart().await;
    let took = began.elapsed().as_secs_f64();
    if let Err(error) = ready {
        eprintln!("the relay was not ready again: {error:#}");
    }
    Figure::new(BENCH, "start_to_ready_s", took, "s")
        .n(feeds * ENTRIES as usize)
        .target(Target::AtMost(4.0))
        .print();
    Ok(())
}

/// Prints all figures of attacks.
pub(crate) async fn measure() -> Result<()> {
    let feeds = authors::feeds(FEEDS)?;
    ensure!(feeds >= 10, "a relay with too few feeds to be attacked");
    let only = std::env::var("STARLING_BENCH_ATTACKS").unwrap_or_default();
    let only = only.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    let only: Vec<_> = only.collect();
    let mut stage = Stage {
        victim: Victim::with_feeds(feeds, ENTRIES).await?,
        posts: Peer::posts(1),
        pings: Peer::pings(2),
        attacks: 0,
        only,
        worst: Default::default(),
    };
    stage.all().await?;
    if stage.runs("restart") {
        drop(stage);
        // 200,000 entries of the usual 100,000 feeds.
        restart(feeds / 2).await?;
    }
    Ok(())
}
