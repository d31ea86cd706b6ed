//! The work of the leader, which one index relay at a time is: deleting released names and slugs whose rest is over.
//!
//! The holder of the lock leads. A leader that was suspended and wakes up does not know that it lost the lock; its
//! writes compare the lock's creation and have no effect (Kleppmann, "How to do distributed locking", 2016: fencing).

use std::time::Duration;

use native::clock::Monotonic;
use protocol::codec;
use serde::{Deserialize, Serialize};

use super::registry::{Lock, Registry, RegistryError};
use super::schema::Space;
use super::store::Change;

/// The name of the lock.
const LEAD: &str = "leader";
/// The row with the time of the last sweep and the relay that made it.
const SWEPT: &[u8] = b"swept";
/// Names read at once during a sweep.
const PART: usize = 256;

/// The periods of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderPeriods {
    /// Lifetime of its lease: a leader that is silent for longer loses the lock.
    pub ttl: Duration,
    /// Period of the sweep over all names and slugs.
    pub sweep_every: Duration,
}

impl Default for LeaderPeriods {
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

/// Becomes the leader, as `me`, whenever no other relay is. Ends only with its task. `clock` measures the lease and
/// the periods; `now` is the time of day, by which the rest of names is over.
pub async fn lead(
    registry: Registry,
    me: String,
    periods: LeaderPeriods,
    clock: Monotonic,
    now: impl Fn() -> protocol::Timestamp + Send,
) {
    loop {
        match registry.lock(LEAD, &me, periods.ttl).await {
            Ok(Some(lock)) => {
                tracing::info!(fence = lock.fence, "registry leadership acquired");
                let over = term(&registry, &lock, &me, periods, (&clock, &now)).await;
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
                    clock.sleep(periods.ttl / 4).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "registry leader unknown: the registry does not answer");
                clock.sleep(periods.ttl / 4).await;
            }
        }
    }
}

/// One term of leadership. Returns the reason for its end.
async fn term(
    registry: &Registry,
    lock: &Lock,
    me: &str,
    periods: LeaderPeriods,
    (clock, now): (&Monotonic, &(impl Fn() -> protocol::Timestamp + Send)),
) -> RegistryError {
    let (mut beat_at, mut sweep_at) = (clock.now(), clock.now());
    loop {
        // A sweep that is due is made before the lease is checked: after a long suspension the fencing token must
        // protect the rows, not the clock.
        let result = tokio::select! {
            biased;
            () = clock.sleep_until(sweep_at) => {
                sweep_at = clock.now() + periods.sweep_every;
                sweep(registry, lock, me, now()).await
            }
            () = clock.sleep_until(beat_at) => {
                beat_at = clock.now() + periods.ttl / 3;
                match registry.keep_alive(lock).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(RegistryError::Fenced),
                    Err(error) => Err(error.into()),
                }
            }
        };
        match result {
            Ok(()) => {}
            Err(RegistryError::Fenced) => return RegistryError::Fenced,
            // Whether the term is over depends on the lease.
            Err(RegistryError::Store(error)) => {
                tracing::warn!(%error, "registry leader cannot reach the store");
            }
        }
    }
}

/// Deletes released names and slugs whose rest is over.
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
            // The lease has to outlive a long sweep.
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
