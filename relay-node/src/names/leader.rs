//! What only one index relay at a time does: names and slugs that were given back and have rested are forgotten.
//!
//! Whoever holds the lock leads. A leader that was stopped and wakes up does not know that it leads no more; its writes
//! compare the lock's creation and come to nothing (Kleppmann, "How to do distributed locking", 2016: fencing).

use std::time::Duration;

use protocol::codec;
use serde::{Deserialize, Serialize};

use super::registry::{Lock, Registry, RegistryError};
use super::schema::Space;
use super::store::Change;

/// What is locked.
const LEAD: &str = "leader";
/// The row that says when names were last looked through, and by whom.
const SWEPT: &[u8] = b"swept";
/// Names read at a time.
const PART: usize = 256;

/// How often what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A leader that is silent for so long leads no more.
    pub ttl: Duration,
    /// How often all names are looked through.
    pub sweep_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            sweep_every: Duration::from_mins(10),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Swept {
    by: String,
    at: protocol::Timestamp,
}

/// Leads whenever nobody else does, as `me`. Ends only with its task.
pub async fn lead(registry: Registry, me: String, pace: Pace, now: impl Fn() -> protocol::Timestamp + Send) {
    loop {
        match registry.lock(LEAD, &me, pace.ttl).await {
            Ok(Some(lock)) => {
                tracing::info!(fence = lock.fence, "registry leadership acquired");
                let over = term(&registry, &lock, &me, pace, &now).await;
                tracing::warn!(fence = lock.fence, reason = %over, "registry leadership lost");
            }
            Ok(None) => {
                let since = registry
                    .holder(LEAD)
                    .await
                    .ok()
                    .flatten()
                    .map_or(0, |(_, since)| since);
                if registry.watch_lock(LEAD, since).await.is_err() {
                    tokio::time::sleep(pace.ttl / 4).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "whether somebody leads the registry is not known");
                tokio::time::sleep(pace.ttl / 4).await;
            }
        }
    }
}

/// From taking the lock to losing it; why.
async fn term(
    registry: &Registry,
    lock: &Lock,
    me: &str,
    pace: Pace,
    now: &(impl Fn() -> protocol::Timestamp + Send),
) -> RegistryError {
    let mut beats = tokio::time::interval(pace.ttl / 3);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sweeps = tokio::time::interval(pace.sweep_every);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // A sweep that is due goes first: after a long stop it is the fence that must hold, not the clock.
        let outcome = tokio::select! {
            biased;
            _ = sweeps.tick() => sweep(registry, lock, me, now()).await,
            _ = beats.tick() => match registry.keep_alive(lock).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(RegistryError::Fenced),
                Err(error) => Err(error.into()),
            },
        };
        match outcome {
            Ok(()) => {}
            Err(RegistryError::Fenced) => return RegistryError::Fenced,
            // The lease decides whether this is the end.
            Err(RegistryError::Store(error)) => {
                tracing::warn!(%error, "the leader does not reach the registry");
            }
        }
    }
}

/// Forgets names and slugs that were given back and have rested.
async fn sweep(
    registry: &Registry,
    lock: &Lock,
    me: &str,
    now: protocol::Timestamp,
) -> Result<(), RegistryError> {
    let mut forgotten = 0;
    for space in [Space::Names, Space::Slugs] {
        let mut after = None;
        loop {
            let part = registry.names(space, after.as_deref(), PART).await?;
            for (key, holding, revision) in &part {
                if holding.released && holding.at.plus(registry.rest()) <= now {
                    forgotten += u32::from(registry.forget(lock, key, holding, *revision).await?);
                }
            }
            if part.len() < PART {
                break;
            }
            // However long it takes, it is the leader who does it.
            if !registry.keep_alive(lock).await? {
                return Err(RegistryError::Fenced);
            }
            after = part.into_iter().next_back().map(|(key, ..)| key);
        }
    }
    let swept = Swept {
        by: me.to_owned(),
        at: now,
    };
    let value = codec::encode(&swept);
    let put = Change::Put {
        key: SWEPT.to_vec(),
        value,
        lease: None,
    };
    registry.write_as(lock, vec![put], Vec::new()).await?;
    tracing::info!(forgotten, fence = lock.fence, "expired names swept");
    Ok(())
}
