//! Attacks by a peer written by hand against one real relay that holds many feeds, one after the other: what each costs
//! the relay, what it keeps of it, and what honest peers notice.
//!
//! Attackers, honest peers and the relay share one machine. Therefore attackers have a lower priority, and beside each
//! attack these are measured:
//! - `honest_p99_ratio` with the peer `idle sink`: the bytes and connections of the attack go to a thread that reads them
//!   and does nothing, while honest peers use the relay. What that costs them is the machine's doing.
//! - `waited_for_cpu_ms`: how long all threads of the relay together were ready to run and had no processor, in a second.
//! - `memory_grown_mib` of the attack `none`, a link that only asks to be a neighbour. That is what honest peers alone
//!   leave in the store's tables and in the allocator; it is taken off from what other attacks leave.
//!
//! What is attacked where: messages that cost the relay much, and new accounts, in `floods`; what neighbours claim to
//! hold, proofs of forks, and relays that nobody invited in `feeds`; sockets, handshakes, requests and signaling rooms in
//! `sockets`; claims of names in `names`; the restart of a relay whose only fellow member is gone in this file. Tests
//! hold the rest:
//! - forged descriptions of relays: `engine/src/relays/directory_tests.rs`, `engine/tests/it/{hostile,members}.rs`;
//! - full disks: `tests/tests/disk.rs`, `engine/tests/it/hardship.rs`;
//! - members that are silent or make no progress: `engine/tests/it/hostile/relays.rs`; neighbours that send single entries
//!   slowly: `engine/src/sync/tests.rs`;
//! - revoked devices: `tests/tests/revoked.rs`;
//! - clocks that are ahead or jump: `engine/tests/it/{members,hardship}.rs`;
//! - rooms that a tab is in, and floods of messages to it: `signaling/src/rooms_tests.rs`; a server that was taken over:
//!   `tests/tests/browser/hostile.rs`.
//!
//! `STARLING_BENCH_FEEDS=n` fills the relay with n feeds, `STARLING_BENCH_ATTACKS=pings,wants` runs these attacks alone.

mod attacker;
mod feeds;
mod floods;
mod honest;
mod names;
mod sink;
mod sockets;
mod victim;

use std::net::{IpAddr, SocketAddr};
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
/// How long the relay is watched before an attack, how long an attack lasts, and how long it is repeated on a sink.
const PHASE: Duration = Duration::from_secs(10);
/// Newcomers while an attack runs.
const NEWCOMERS: u32 = 40;
const SHORT_SOCKETS: usize = 4_000;
/// A member that is gone had been linked within this time.
const MEMBER_WITHIN: Duration = Duration::from_secs(20);

const BENCH: &str = "hostile";
/// The name of no attack, to compare with.
const NONE: &str = "none";

/// Whether newcomers come from the attacker's address.
#[derive(Clone, Copy, PartialEq)]
enum Newcomers {
    Elsewhere,
    /// Half of them.
    Beside,
}

/// What happens while honest peers use the relay.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Quiet,
    Attacked,
    /// The attack is repeated on something else.
    Sink,
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
    sink: SocketAddr,
    /// MiB that the relay's memory grows by without an attack.
    grows_anyway: f64,
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
    /// See [`Victim::waited`].
    waited: Duration,
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

    /// Honest peers during a phase, and what the relay computes meanwhile.
    async fn honest(&mut self, phase: Phase, newcomers: Newcomers, attacker: IpAddr) -> Result<Seen> {
        let at = self.victim.at();
        let (before, waited, began) = (self.victim.cpu()?, self.victim.waited()?, Instant::now());
        let first = 1_000 + 1_000 * self.attacks + 300 * phase as u32;
        let address = move |n| match newcomers {
            Newcomers::Beside if n % 2 == 0 => attacker,
            _ => honest::address(50 + n),
        };
        let (receipts_ms, pings_ms, newcomers) = tokio::join!(
            self.posts.run(&at, PHASE),
            self.pings.run(&at, PHASE),
            honest::newcomers(&at, NEWCOMERS, first, PHASE, address),
        );
        Ok(Seen {
            receipts_ms: receipts_ms?,
            pings_ms: pings_ms?,
            newcomers,
            took: began.elapsed(),
            cpu: self.victim.cpu()?.saturating_sub(before),
            waited: self.victim.waited()?.saturating_sub(waited),
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
        let quiet = self.honest(Phase::Quiet, Newcomers::Elsewhere, from).await?;
        let cpu_rate = quiet.cpu.as_secs_f64() / quiet.took.as_secs_f64();
        let memory = self.victim.memory_mib()?;
        let written = self.victim.written_kib()?;
        let cpu = self.victim.cpu()?;
        eprintln!("{name}: attacked");
        let attacker = Attacker::new(self.victim.at(), number, PHASE);
        let mut assault = Assault::start(Arc::clone(&attacker), attack)?;
        let attacked = self.honest(Phase::Attacked, newcomers, from).await?;
        assault.over().await?;
        self.victim.calm().await?;
        let cpu = self.victim.cpu()?.saturating_sub(cpu).as_secs_f64();
        let cpu_ms = (cpu - cpu_rate * attacked.took.as_secs_f64()).max(0.0) * 1_000.0;
        let grown = (self.victim.memory_mib()? - memory).max(0.0);
        let written = self.victim.written_kib()? - written;
        let sent = attacker.sent.load(std::sync::atomic::Ordering::Relaxed);
        let sent_kb = sent as f64 / 1_000.0;
        let (kept, (opened, closed)) = (attacker.kept(), attacker.links());
        assault.end()?;
        eprintln!("{name}: {opened} links opened, {closed} closed by the relay, {kept} open at the end");
        for (reason, links) in lock(&attacker.reasons).iter() {
            eprintln!("  {links}: {reason}");
        }
        self.victim.calm().await?;
        let load = sink::Load {
            bytes: sent,
            links: opened,
            within: PHASE,
        };
        let beside = self.beside_sink(number, load).await?;
        if name == NONE {
            self.grows_anyway = grown;
        }

        let [quiet_receipt, quiet_ping] = quiet.p99();
        let [receipt, ping] = attacked.p99();
        let values = [
            cpu_ms / sent_kb.max(0.001),
            (grown - self.grows_anyway).max(0.0) / kept.max(1) as f64,
            receipt / quiet_receipt.max(0.001),
            attacked.newcomers as f64,
        ];
        for (at, ((figure, unit, target), value)) in WORST.into_iter().zip(values).enumerate() {
            if name == NONE {
                self.figure(figure, name, value, unit).print();
                continue;
            }
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
        let ratio = beside.p99()[0] / quiet_receipt.max(0.001);
        let of_sink = self.figure("honest_p99_ratio", name, ratio, "");
        of_sink.peer("idle sink").print();
        for (of, seen) in [("quiet", &quiet), ("attacked", &attacked), ("idle sink", &beside)] {
            let waited = seen.waited.as_secs_f64() * 1_000.0 / seen.took.as_secs_f64();
            let figure = self.figure("waited_for_cpu_ms", name, waited, "ms/s");
            figure.of(of).print();
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

    /// What honest peers see while the load of an attack goes to a sink.
    async fn beside_sink(&mut self, number: u32, load: sink::Load) -> Result<Seen> {
        let sink = self.sink;
        let attacker = Attacker::new(self.victim.at(), number, PHASE);
        let mut assault = Assault::start(attacker, move |attacker| sink::repeat(attacker, sink, load))?;
        let from = attacker::address(number);
        let seen = self.honest(Phase::Sink, Newcomers::Elsewhere, from).await?;
        assault.over().await?;
        assault.end()?;
        Ok(seen)
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
        let until = Instant::now() + 2 * PHASE + Duration::from_mins(2);
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
            let begin = Instant::now() + PHASE + PHASE / 2;
            tokio::time::sleep_until(begin.into()).await;
            names::honest_claims(&at, begin + PHASE).await
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
        if self.only != ["short_sockets"] && self.only != ["restart"] {
            // The first one fills what the relay and the allocator keep for the next ones.
            self.honest(Phase::Sink, Elsewhere, attacker::address(0)).await?;
            self.attack(NONE, Elsewhere, sockets::none).await?;
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
        sink: sink::start()?,
        grows_anyway: 0.0,
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
