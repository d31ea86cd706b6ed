//! Locks, and what a leader who lost its lock can still do: nothing.

use std::time::Duration;

use native::clock::{ManualClock, Monotonic};
use starling_relay_node::names::{Change, LeaderPeriods, RegistryError, Settings, Space, lead};
use tokio::time::timeout;

use crate::people::{Person, TODAY, days, open_by, open_with};

const TTL: Duration = Duration::from_millis(600);

fn note() -> Vec<Change> {
    vec![Change::Put {
        key: b"note".to_vec(),
        value: b"x".to_vec(),
        lease: None,
    }]
}

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_lease() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let (registry, _) = open_by(dir.path(), &clock).await;
    let first = registry.lock("leader", "a", TTL).await.unwrap().unwrap();
    assert_eq!(registry.lock("leader", "b", TTL).await.unwrap(), None);
    clock.advance(TTL / 2);
    assert!(registry.keep_alive(&first).await.unwrap());
    assert!(registry.write_as(&first, note(), Vec::new()).await.unwrap());
    let (by, since) = registry.holder("leader").await.unwrap().unwrap();
    assert_eq!((by.as_str(), since), ("a", first.fence));
    clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(
        registry.lock("leader", "b", TTL).await.unwrap(),
        None,
        "kept alive"
    );
    // Not kept alive any more: it ends, and a relay that waits for the lock wakes up.
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move {
            loop {
                registry.watch_lock("leader", since).await.unwrap();
                if let Some(lock) = registry.lock("leader", "b", TTL).await.unwrap() {
                    return lock;
                }
            }
        }
    });
    clock.advance(Duration::from_millis(1));
    let second = timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert!(second.fence > first.fence);
    assert!(!registry.keep_alive(&first).await.unwrap());
    let stale = registry.write_as(&first, note(), Vec::new()).await;
    assert_eq!(stale, Err(RegistryError::Fenced));
    assert!(registry.write_as(&second, note(), Vec::new()).await.unwrap());
    registry.unlock(&second).await.unwrap();
    assert_eq!(registry.holder("leader").await.unwrap(), None);
    let after = registry.write_as(&second, note(), Vec::new()).await;
    assert_eq!(after, Err(RegistryError::Fenced));
}

#[tokio::test]
async fn a_lock_does_not_outlive_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let (registry, store) = open_by(dir.path(), &clock).await;
    registry
        .lock("leader", "a", Duration::from_hours(1))
        .await
        .unwrap()
        .unwrap();
    drop(registry);
    store.close().await;
    let (registry, _) = open_by(dir.path(), &clock).await;
    assert_eq!(registry.holder("leader").await.unwrap(), None);
}

#[tokio::test]
async fn a_leader_keeps_its_lease_alive_and_another_leads_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let (registry, _) = open_by(dir.path(), &clock).await;
    let periods = LeaderPeriods {
        ttl: TTL,
        sweep_every: Duration::from_hours(1),
    };
    let start = |name: &str| {
        let time = Monotonic::Manual(clock.clone());
        tokio::spawn(lead(registry.clone(), name.to_owned(), periods, time, || TODAY))
    };
    let leader = || async { Some(registry.holder("leader").await.unwrap()?.0) };
    // A hundredth of the lease passes in each step, and a leader gets as many turns as this test.
    let until = async |wanted: &str| {
        let waiting = async {
            while leader().await.as_deref() != Some(wanted) {
                clock.advance(TTL / 100);
            }
        };
        timeout(Duration::from_secs(30), waiting).await.unwrap();
    };
    let first = start("a");
    until("a").await;
    let second = start("b");
    // Five times the lease.
    for _ in 0..500 {
        clock.advance(TTL / 100);
        assert_eq!(leader().await.as_deref(), Some("a"));
    }
    first.abort();
    until("b").await;
    second.abort();
}

#[tokio::test]
async fn names_that_rested_are_forgotten_by_the_leader() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        rest: Duration::from_hours(24),
        ..Settings::default()
    };
    let registry = open_with(dir.path(), settings).await;
    for (n, name) in ["ada", "bob", "eve"].into_iter().enumerate() {
        let person = Person::new(u32::try_from(n).unwrap());
        person.claim(&registry, name, TODAY).await;
        if name != "bob" {
            let at = if name == "ada" { TODAY } else { days(5) };
            person.release(&registry, name, at).await;
        }
    }
    let periods = LeaderPeriods {
        ttl: TTL,
        sweep_every: Duration::from_millis(50),
    };
    let leading = tokio::spawn(lead(
        registry.clone(),
        "a".to_owned(),
        periods,
        Monotonic::System,
        || days(5),
    ));
    let swept = async {
        loop {
            let names = registry.names(Space::Names, None, 10).await.unwrap();
            let names: Vec<&str> = names
                .iter()
                .map(|(_, holding, _)| holding.name.as_str())
                .collect();
            if names == ["bob", "eve"] {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), swept).await.unwrap();
    leading.abort();
}
