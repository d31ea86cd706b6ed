//! Asks the engine how the relay is, and writes what begins and ends into the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::api::{MembersView, Query, QueryResult, RelayView};
use native::clock::wall;
use native::driver::{Availability, DriverHandle};
use protocol::Timestamp;
use protocol::messages::directory::role;

use super::{Change, Health, HealthReport, Kind, Membership, Observed, conditions};

/// Interval between two looks, which bounds how late the log says that a condition began.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time that the engine has for an answer. One that takes longer is busy, and what it said before is used.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How the relay is. Clones are of the same relay.
#[derive(Clone, Debug)]
pub struct HealthMonitor {
    driver: DriverHandle,
    start: Instant,
    /// The last write to the data folder before the start.
    written: Option<Timestamp>,
    /// It is to join a network.
    joins: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    health: Health,
    /// `None`: the engine has not said so yet.
    membership: Option<Membership>,
    clock_ahead_min: i32,
    index_relays: Option<usize>,
}

impl HealthMonitor {
    /// Of the relay behind this handle. `written`: the last write to its data folder before the start. `joins`: it is to
    /// join a network.
    #[must_use]
    pub fn new(driver: DriverHandle, written: Option<Timestamp>, joins: bool) -> Self {
        Self {
            driver,
            start: Instant::now(),
            written,
            joins,
            state: Arc::default(),
        }
    }

    /// The engine behind it.
    pub(crate) fn driver(&self) -> &DriverHandle {
        &self.driver
    }

    /// How the relay is at this moment. Never waits.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = conditions(&self.observe(&state));
        for change in state.health.update(self.start.elapsed(), wall(), found) {
            log(&change);
        }
        state.health.report()
    }

    fn observe(&self, state: &State) -> Observed {
        let behind = self
            .written
            .map_or(0, |written| written.0.saturating_sub(wall().0));
        Observed {
            starting: !self.driver.is_ready() || state.membership.is_none(),
            store_stands: self.driver.standstill().store,
            store: self.driver.store(),
            registry_unreachable: self.driver.registry().and_then(Availability::problem).is_some(),
            membership: state.membership.clone().unwrap_or_default(),
            repair: self.driver.repair(),
            clock_ahead_min: state.clock_ahead_min,
            set_back: Duration::from_millis(behind),
            // Before the first answer of the engine nothing is known of other relays.
            index_relays: state.index_relays.unwrap_or(1),
        }
    }

    /// Asks the engine what its watches do not show.
    pub(crate) async fn ask(&self) {
        let ask = |query| async {
            let asked = tokio::time::timeout(ANSWERS_WITHIN, self.driver.ask(query)).await;
            asked.ok().flatten()
        };
        let members = ask(Query::Members { about: None }).await;
        let status = ask(Query::Status).await;
        let relays = self.driver.relays();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(QueryResult::Members(view)) = members {
            state.membership = Some(membership(&view, self.joins));
            state.index_relays = Some(index_relays(&relays));
        }
        if let Some(QueryResult::Status(status)) = status {
            state.clock_ahead_min = status.clock_ahead_min;
        }
    }

    /// Looks again and again, for as long as the relay runs.
    pub async fn run(self) {
        loop {
            self.ask().await;
            let _ = self.report();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What a relay is to its network, by what its engine knows of the members. `joins`: it is to join one.
fn membership(view: &MembersView, joins: bool) -> Membership {
    if view.open || view.listed {
        return Membership::Member;
    }
    match view.expelled_by {
        Some(by) => {
            let member = view.members.iter().find(|member| member.relay == by);
            let url = member.map(|member| member.url.clone());
            let url = url.filter(|url| !url.is_empty());
            Membership::Expelled(url.unwrap_or_else(|| by.to_string()))
        }
        None if !view.invited => Membership::NotInvited {
            refused: !view.refused.is_empty(),
        },
        None if joins && view.members.iter().all(|member| member.this) => Membership::Alone,
        None => Membership::Member,
    }
}

fn index_relays(relays: &[RelayView]) -> usize {
    let index = relays
        .iter()
        .filter(|relay| relay.description.roles & role::INDEX != 0);
    index.count()
}

fn log(change: &Change) {
    match change {
        // At each start, and so not worth a line.
        Change::Began(condition) if condition.condition == Kind::Starting => {}
        Change::Ended(Kind::Starting, _) => {}
        Change::Began(condition) => tracing::warn!(
            condition = condition.condition.name(),
            ready = condition.ready,
            reason = condition.reason,
            remedy = condition.remedy,
            "condition began"
        ),
        Change::Ended(kind, held) => {
            tracing::info!(
                condition = kind.name(),
                held_s = held.as_secs(),
                "condition ended"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Membership, membership};
    use engine::api::{MemberView, MembersView, RelayState};
    use protocol::PeerId;

    #[test]
    fn what_a_relay_is_to_its_network() {
        let mut view = MembersView {
            invited: true,
            ..MembersView::default()
        };
        assert_eq!(membership(&view, false), Membership::Member);
        assert_eq!(membership(&view, true), Membership::Alone);
        view.invited = false;
        assert_eq!(membership(&view, true), Membership::NotInvited { refused: false });
        view.refused = vec![PeerId([1; 32])];
        assert_eq!(membership(&view, true), Membership::NotInvited { refused: true });
        let by = PeerId([2; 32]);
        view.expelled_by = Some(by);
        assert_eq!(membership(&view, true), Membership::Expelled(by.to_string()));
        view.members = vec![MemberView {
            relay: by,
            url: "https://b.example".to_owned(),
            state: RelayState::Alive,
            this: false,
            invited_by: None,
            goes: Vec::new(),
            expels_everywhere: false,
            accounts: 0,
        }];
        assert_eq!(
            membership(&view, true),
            Membership::Expelled("https://b.example".to_owned())
        );
        view.open = true;
        assert_eq!(membership(&view, true), Membership::Member);
    }
}
