//! Locks, and what a leader who lost its lock can still do: nothing.

use std::time::{Duration, Instant};

use starling_relay_node::names::{Change, Pace, RegistryError, Settings, Space, lead};

use crate::people::{Person, TODAY, days, open, open_with};

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
    let registry = open(dir.path()).await;
    let first = registry.lock("leader", "a", TTL).await.unwrap().unwrap();
    assert_eq!(registry.lock("leader", "b", TTL).await.unwrap(), None);
    assert!(registry.keep_alive(&first).await.unwrap());
    assert!(registry.write_as(&first, note(), Vec::new()).await.unwrap());
    let (by, since) = registry.holder("leader").await.unwrap().unwrap();
    assert_eq!((by.as_str(), since), ("a", first.fence));
    // Not kept alive: it ends, and whoever waits is told.
    let began = Instant::now();
    let second = loop {
        registry.watch_lock("leader", since).await.unwrap();
        if let Some(lock) = registry.lock("leader", "b", TTL).await.unwrap() {
            break lock;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the lock never went");
    };
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
    let registry = open(dir.path()).await;
    registry
        .lock("leader", "a", Duration::from_hours(1))
        .await
        .unwrap()
        .unwrap();
    drop(registry);
    let registry = reopen(dir.path()).await;
    assert_eq!(registry.holder("leader").await.unwrap(), None);
}

/// Its thread lets go of the file when the last handle is gone, a moment later.
async fn reopen(folder: &std::path::Path) -> starling_relay_node::names::Registry {
    use starling_relay_node::names::{Embedded, Registry, TxnStore};
    loop {
        if let Ok(store) = Embedded::open(folder) {
            return Registry::open(TxnStore::Embedded(store), Settings::default(), [8; 32])
                .await
                .unwrap();
        }
        tokio::task::yield_now().await;
    }
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
    let pace = Pace {
        ttl: TTL,
        sweep_every: Duration::from_millis(50),
    };
    let leading = tokio::spawn(lead(registry.clone(), "a".to_owned(), pace, || days(5)));
    let began = Instant::now();
    loop {
        let names = registry.names(Space::Names, None, 10).await.unwrap();
        let names: Vec<&str> = names
            .iter()
            .map(|(_, holding, _)| holding.name.as_str())
            .collect();
        if names == ["bob", "eve"] {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{names:?}");
        tokio::task::yield_now().await;
    }
    leading.abort();
}
