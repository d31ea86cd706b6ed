//! Whether the process lives (`/healthz`) and whether people should be sent here (`/readyz`). Both are judged by what the
//! engine's thread does, not by the listener that answers.

use std::time::Duration;

use axum::extract::State;
use axum::routing::{MethodRouter, get};
use engine::api::StoreState;

use super::error::WebError;
use native::driver::Availability;
use native::driver::DriverHandle;

/// The store's queue is full for this long before people are sent elsewhere. A disk under load may take seconds for a
/// commit.
const STORE_STANDS_MAX: Duration = Duration::from_secs(10);
/// The engine's thread finishes no input for this long before the process counts as dead: its supervisor may restart
/// it, which is of no use against a disk that does not answer.
const THREAD_STANDS_MAX: Duration = Duration::from_secs(60);

/// Why people are better sent to another relay. A full disk is no reason, since reading goes on; the UDP port is bound
/// and the store open before anything is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// The engine has not read its store yet.
    #[error("the store is being read")]
    Starting,
    /// Nobody is answered.
    #[error(
        "the store has taken nothing more for {0} s: the disk does not answer, or this machine is overloaded"
    )]
    Stalled(u64),
    /// Writes fail.
    #[error("the store fails: the log says why")]
    Store,
    /// This relay keeps names and cannot. Anybody may read this, and the error itself names files and addresses.
    #[error("the registry cannot be reached: the log says why")]
    Registry,
    /// Others have entries this one should hold.
    #[error("catching up with the other relays: {entries} entries of {feeds} feeds are missing")]
    CatchingUp {
        /// Entries missing.
        entries: u64,
        /// Feeds with missing entries.
        feeds: u64,
    },
}

/// Whether the relay serves.
pub(crate) fn readiness(driver: &DriverHandle) -> Result<(), NotReady> {
    let repair = driver.repair();
    let standing = driver.standstill().store;
    if standing >= STORE_STANDS_MAX {
        Err(NotReady::Stalled(standing.as_secs()))
    } else if !driver.is_ready() {
        Err(NotReady::Starting)
    } else if driver.store() == StoreState::Failing {
        Err(NotReady::Store)
    } else if driver.registry().and_then(Availability::problem).is_some() {
        Err(NotReady::Registry)
    } else if !repair.caught_up {
        Err(NotReady::CatchingUp {
            entries: repair.entries,
            feeds: repair.feeds,
        })
    } else {
        Ok(())
    }
}

pub(crate) fn routes() -> [(&'static str, MethodRouter<DriverHandle>); 2] {
    [("/healthz", get(alive)), ("/readyz", get(ready))]
}

async fn alive(State(driver): State<DriverHandle>) -> Result<&'static str, WebError> {
    let standing = driver.standstill().thread;
    if standing >= THREAD_STANDS_MAX {
        let reason = format!("the engine's thread has stood still for {} s", standing.as_secs());
        return Err(WebError::Unavailable(reason));
    }
    Ok("ok\n")
}

async fn ready(State(driver): State<DriverHandle>) -> Result<&'static str, WebError> {
    readiness(&driver)
        .map(|()| "ready\n")
        .map_err(|reason| WebError::Unavailable(reason.to_string()))
}
