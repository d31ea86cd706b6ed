//! Whether the relay is well: one list of conditions, which `/readyz`, `relay-node status`, the admin page, the metrics and the log
//! all show.
//!
//! ```text
//! monitor: asks the engine, once a second ─► Observed ─► conditions() ─► Health (since when) ─► everything that shows it
//! ```
//!
//! A condition is something that an operator may have to act on: what it is, since when, why, and what to do. One that
//! makes the relay not ready means that people are better sent to another relay; the others are warnings.
//!
//! Invariant: nothing else decides whether the relay is ready.

mod monitor;

use std::time::Duration;

use engine::api::{RepairView, StoreState};
use protocol::Timestamp;
use serde::{Deserialize, Serialize};

pub use monitor::HealthMonitor;

/// The store's queue is full for this long before people are sent elsewhere. A disk under load may take seconds for a
/// commit.
const STORE_STANDS_MAX: Duration = Duration::from_secs(10);
/// A warning holds for this long before it is shown: in the first seconds after a start a relay knows few others.
const WARNING_AFTER: Duration = Duration::from_secs(15);
/// A clock that is this far behind the last write to the data folder was set back.
const SET_BACK_MIN: Duration = Duration::from_secs(60);

/// The kinds of conditions. The order is that in which they are listed: what stands in the way of the others comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The disk takes nothing more.
    StoreStands,
    /// The engine reads its store.
    Starting,
    /// Writes fail.
    StoreFails,
    /// Another relay expelled this one.
    Expelled,
    /// No member invites this relay.
    NoMember,
    /// This relay runs the registry and cannot reach it.
    RegistryUnreachable,
    /// Others have entries that this relay should hold.
    CatchingUp,
    /// There is no space.
    StoreFull,
    /// This clock differs from those of other relays, or was set back.
    Clock,
    /// Too many relays fell silent at once.
    PartitionSuspected,
    /// Too few relays live for the wanted number of replicas.
    FewReplicas,
    /// No relay of the network runs a registry.
    NoRegistry,
    /// It hands its share over, or has done so.
    Leaving,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::StoreStands,
        Self::Starting,
        Self::StoreFails,
        Self::Expelled,
        Self::NoMember,
        Self::RegistryUnreachable,
        Self::CatchingUp,
        Self::StoreFull,
        Self::Clock,
        Self::PartitionSuspected,
        Self::FewReplicas,
        Self::NoRegistry,
        Self::Leaving,
    ];

    /// Its name in metrics and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreStands => "store-stands",
            Self::Starting => "starting",
            Self::StoreFails => "store-fails",
            Self::Expelled => "expelled",
            Self::NoMember => "no-member",
            Self::RegistryUnreachable => "registry-unreachable",
            Self::CatchingUp => "catching-up",
            Self::StoreFull => "store-full",
            Self::Clock => "clock",
            Self::PartitionSuspected => "partition-suspected",
            Self::FewReplicas => "few-replicas",
            Self::NoRegistry => "no-registry",
            Self::Leaving => "leaving",
        }
    }

    /// Whether people are better sent to another relay meanwhile. A full disk is no reason, since reading goes on.
    #[must_use]
    pub const fn is_unready(self) -> bool {
        matches!(
            self,
            Self::StoreStands
                | Self::Starting
                | Self::StoreFails
                | Self::Expelled
                | Self::NoMember
                | Self::RegistryUnreachable
                | Self::CatchingUp
        )
    }

    /// What the operator can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::StoreStands => "check the disk and the load of this machine",
            Self::Starting => "wait; with a large store this takes seconds",
            Self::StoreFails => "check the disk",
            Self::Expelled => {
                "ask an operator of the network for an invitation, and start this relay with it (--join)"
            }
            Self::NoMember => {
                "ask an operator of the network to run `relay-node adopt` at a relay that this one joins, or for an invitation"
            }
            Self::RegistryUnreachable => "check the registry; claims of names wait until it answers",
            Self::CatchingUp => "wait; /api/repair says how much is missing",
            Self::StoreFull => "make room: nothing new is stored until there is",
            Self::Clock => "set this machine's clock, for example by NTP",
            Self::PartitionSuspected => "check the network between this relay and the others",
            Self::FewReplicas => "start further relays, or check those that are silent (`relay-node status`)",
            Self::NoRegistry => {
                "one relay keeps names: start it without --join, or give several the role index and a shared --registry"
            }
            Self::Leaving => "once everything is handed over, stop this relay; to keep it, start it again",
        }
    }

    /// For how long it holds before it is shown.
    const fn shown_after(self) -> Duration {
        match self {
            Self::FewReplicas | Self::NoRegistry | Self::Clock => WARNING_AFTER,
            _ => Duration::ZERO,
        }
    }
}

/// What this relay is to its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// A member.
    #[default]
    Member,
    /// It is to join a network, and no relay of that was reached so far.
    Alone,
    /// No member invites it. `refused`: a relay refused its invitation.
    NotInvited { refused: bool },
    /// Expelled by the relay with this address or key.
    Expelled(String),
}

/// What is known of the relay at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The engine has not read its store yet. Then the other fields about feeds and relays say nothing.
    pub starting: bool,
    /// For how long the store has taken nothing of what waits for it.
    pub store_stands: Duration,
    /// The store after its last write.
    pub store: StoreState,
    /// This relay runs the registry and cannot reach it.
    pub registry_unreachable: bool,
    pub membership: Membership,
    pub repair: RepairView,
    /// This clock less those of other relays, in minutes; 0: they agree, or it is not known.
    pub clock_ahead_min: i32,
    /// How far this clock is behind the last write of the data folder before the start.
    pub set_back: Duration,
    /// Relays of the directory with the role index, this one included.
    pub index_relays: usize,
}

impl Default for Observed {
    /// A relay that is well.
    fn default() -> Self {
        let repair = RepairView {
            caught_up: true,
            ..RepairView::default()
        };
        Self {
            starting: false,
            store_stands: Duration::ZERO,
            store: StoreState::Ok,
            registry_unreachable: false,
            membership: Membership::Member,
            repair,
            clock_ahead_min: 0,
            set_back: Duration::ZERO,
            index_relays: 1,
        }
    }
}

/// The conditions that hold, each with its reason.
#[must_use]
pub fn conditions(seen: &Observed) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let mut add = |kind, holds: bool, why: String| {
        if holds {
            found.push((kind, why));
        }
    };
    let repair = &seen.repair;
    let knows = !seen.starting;
    add(
        Kind::StoreStands,
        seen.store_stands >= STORE_STANDS_MAX,
        format!(
            "the store has taken nothing more for {} s: the disk does not answer, or this machine is overloaded",
            seen.store_stands.as_secs()
        ),
    );
    add(
        Kind::Starting,
        seen.starting,
        "the store is being read".to_owned(),
    );
    add(
        Kind::StoreFails,
        seen.store == StoreState::Failing,
        "the store fails: the log says why".to_owned(),
    );
    match &seen.membership {
        Membership::Member => {}
        Membership::Expelled(by) => add(
            Kind::Expelled,
            knows,
            format!("the relay {by} expelled this one: it is no member of the network any more"),
        ),
        Membership::Alone => add(
            Kind::NoMember,
            knows,
            "no relay at an address of --join was reached so far".to_owned(),
        ),
        Membership::NotInvited { refused: true } => add(
            Kind::NoMember,
            knows,
            "the invitation of this relay was refused: it was used, or it has expired".to_owned(),
        ),
        Membership::NotInvited { refused: false } => add(
            Kind::NoMember,
            knows,
            "no member of the network invites this relay: it is given no feeds to keep".to_owned(),
        ),
    }
    add(
        Kind::RegistryUnreachable,
        seen.registry_unreachable && knows,
        "the registry cannot be reached: the log says why".to_owned(),
    );
    add(
        Kind::CatchingUp,
        knows && !repair.caught_up,
        match repair.feeds {
            0 => "catching up with the other relays: not all of them have said so far what they hold"
                .to_owned(),
            feeds => format!(
                "catching up with the other relays: {} entries of {feeds} feeds are missing",
                repair.entries
            ),
        },
    );
    add(
        Kind::StoreFull,
        seen.store == StoreState::Full,
        "the disk is full".to_owned(),
    );
    let clock = match (seen.clock_ahead_min, seen.set_back) {
        (ahead, _) if ahead > 0 => Some(format!(
            "this clock is {ahead} minutes ahead of those of other relays"
        )),
        (ahead, _) if ahead < 0 => {
            let behind = ahead.unsigned_abs();
            Some(format!(
                "this clock is {behind} minutes behind those of other relays"
            ))
        }
        (_, back) if back >= SET_BACK_MIN => Some(format!(
            "this clock is {} minutes behind the last write to the data folder: it was set back",
            back.as_secs() / 60
        )),
        _ => None,
    };
    add(Kind::Clock, clock.is_some(), clock.unwrap_or_default());
    add(
        Kind::PartitionSuspected,
        knows && repair.suspects_partition,
        "many relays fell silent at once, so this relay is probably cut off from them; assignments stay as they are".to_owned(),
    );
    add(
        Kind::FewReplicas,
        knows && seen.membership == Membership::Member && repair.living < repair.wanted,
        format!(
            "living relays that can keep feeds: {}; each feed should be kept by {}",
            repair.living, repair.wanted
        ),
    );
    add(
        Kind::NoRegistry,
        knows && seen.index_relays == 0,
        "no relay of this network has the role index: nobody can claim a name or look one up".to_owned(),
    );
    add(
        Kind::Leaving,
        repair.to_hand_over.is_some(),
        match repair.to_hand_over {
            Some(0) => "it has handed its share over; the others still list it as alive until it is stopped"
                .to_owned(),
            left => format!("it hands its share over: {} feeds are left", left.unwrap_or(0)),
        },
    );
    found
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is.
    pub condition: Kind,
    /// Whether the relay is ready in spite of it.
    pub ready: bool,
    /// When it began, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why.
    pub reason: String,
    /// What the operator can do.
    pub remedy: String,
}

/// What `/api/health` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Whether people are served well here.
    pub ready: bool,
    /// Conditions that hold, in the order of their kinds.
    pub conditions: Vec<Condition>,
}

impl HealthReport {
    /// Whether it reads its store still.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.any(|condition| condition.condition == Kind::Starting)
    }

    /// The reasons why the relay is not ready, as a sentence.
    #[must_use]
    pub fn why_not_ready(&self) -> Option<String> {
        let reasons = self.conditions.iter().filter(|condition| !condition.ready);
        let reasons: Vec<&str> = reasons.map(|condition| condition.reason.as_str()).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Began(Condition),
    /// It held for this long.
    Ended(Kind, Duration),
}

/// The conditions and since when they hold.
#[derive(Clone, Debug, Default)]
pub struct Health {
    holding: Vec<Held>,
}

/// A condition, perhaps not shown yet.
#[derive(Clone, Debug)]
struct Held {
    kind: Kind,
    reason: String,
    since: Duration,
    since_wall: Timestamp,
    shown: bool,
}

impl Held {
    fn condition(&self) -> Condition {
        Condition {
            condition: self.kind,
            ready: !self.kind.is_unready(),
            since_ms: self.since_wall.0,
            reason: self.reason.clone(),
            remedy: self.kind.remedy().to_owned(),
        }
    }
}

impl Health {
    /// Takes in what holds at a moment: the time since a start, and the time of day. Returns what began and what ended.
    pub fn update(&mut self, now: Duration, wall: Timestamp, found: Vec<(Kind, String)>) -> Vec<Change> {
        let mut changes = Vec::new();
        self.holding.retain(|held| {
            let holds = found.iter().any(|(kind, _)| *kind == held.kind);
            if !holds && held.shown {
                changes.push(Change::Ended(held.kind, now.saturating_sub(held.since)));
            }
            holds
        });
        for (kind, reason) in found {
            let held = match self.holding.iter_mut().position(|held| held.kind == kind) {
                Some(at) => &mut self.holding[at],
                None => {
                    self.holding.push(Held {
                        kind,
                        reason: String::new(),
                        since: now,
                        since_wall: wall,
                        shown: false,
                    });
                    let last = self.holding.len() - 1;
                    &mut self.holding[last]
                }
            };
            held.reason = reason;
            if !held.shown && now.saturating_sub(held.since) >= kind.shown_after() {
                held.shown = true;
                changes.push(Change::Began(held.condition()));
            }
        }
        self.holding.sort_by_key(|held| held.kind);
        changes
    }

    /// What holds.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let shown = self.holding.iter().filter(|held| held.shown);
        let conditions: Vec<Condition> = shown.map(Held::condition).collect();
        HealthReport {
            ready: conditions.iter().all(|condition| condition.ready),
            conditions,
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
