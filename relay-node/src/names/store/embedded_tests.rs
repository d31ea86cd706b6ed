use std::time::Duration;

use native::clock::{ManualClock, Monotonic};
use native::store::faulty_disk::{BROKEN, FULL, Fault, Faults, FaultyDisk};
use tempfile::TempDir;

use super::super::TxnStore;
use super::{Change, Check, Embedded, FOLDER, LeaseId, RETRY_FIRST, RETRY_MAX, Txn, TxnError, TxnResult};

const TTL: Duration = Duration::from_secs(10);

/// A store on a disk that can fail, with a clock that the test moves.
struct Fixture {
    dir: TempDir,
    faults: Faults,
    clock: ManualClock,
    store: TxnStore,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (faults, clock) = (Faults::default(), ManualClock::new());
        let store = TxnStore::Embedded(open(&dir, &faults, &clock));
        Self {
            dir,
            faults,
            clock,
            store,
        }
    }

    async fn has(&self, key: &[u8]) -> bool {
        let rows = self.store.read(vec![key.to_vec()]).await.unwrap();
        rows[0].is_some()
    }

    /// Closes the store and opens it again.
    async fn reopen(self) -> Self {
        let TxnStore::Embedded(embedded) = self.store else {
            unreachable!("it is embedded");
        };
        embedded.close().await;
        let store = TxnStore::Embedded(open(&self.dir, &self.faults, &self.clock));
        Self { store, ..self }
    }
}

fn open(dir: &TempDir, faults: &Faults, clock: &ManualClock) -> Embedded {
    let opener = FaultyDisk::opener(dir.path().join(FOLDER), faults);
    Embedded::open_with(opener, Monotonic::Manual(clock.clone())).unwrap()
}

fn put(key: &[u8]) -> Txn {
    Txn {
        checks: vec![Check::Absent(key.to_vec())],
        changes: vec![Change::Put {
            key: key.to_vec(),
            value: b"value".to_vec(),
            lease: None,
        }],
        otherwise: vec![key.to_vec()],
    }
}

fn lock(lease: LeaseId) -> Txn {
    Txn {
        checks: vec![Check::Absent(b"l/lock".to_vec())],
        changes: vec![Change::Put {
            key: b"l/lock".to_vec(),
            value: b"me".to_vec(),
            lease: Some(lease),
        }],
        otherwise: Vec::new(),
    }
}

async fn refused_changes_are_done_when_the_disk_works_again(kind: std::io::ErrorKind) {
    let f = Fixture::new();
    assert!(matches!(f.store.txn(put(b"a")).await, Ok(TxnResult::Done(_))));
    for round in 0..2_u8 {
        f.faults.set(Fault::Writes(kind));
        for n in 0..5_u8 {
            let refused = f.store.txn(put(&[b'b', round, n])).await;
            match (n, refused) {
                // Whether a commit that failed took effect is not known.
                (0, Err(TxnError::Unknown(_))) => {}
                // The others are refused during the pause, without being tried.
                (1.., Err(TxnError::Unavailable(_))) => {}
                other => panic!("{other:?}"),
            }
        }
        f.faults.set(None);
        assert!(f.has(b"a").await, "read before anything is written");
        let early = f.store.txn(put(&[b'b', round, 0])).await;
        assert!(matches!(early, Err(TxnError::Unavailable(_))), "{early:?}");
        f.clock.advance(RETRY_FIRST);
        for n in 0..5_u8 {
            let done = f.store.txn(put(&[b'b', round, n])).await;
            assert!(matches!(done, Ok(TxnResult::Done(_))), "{done:?}");
            assert!(f.has(&[b'b', round, n]).await);
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_refused_changes_are_done_when_there_is_room_again() {
    refused_changes_are_done_when_the_disk_works_again(FULL).await;
}

#[tokio::test]
async fn a_broken_disk_is_reported_and_refused_changes_are_done_when_it_works_again() {
    refused_changes_are_done_when_the_disk_works_again(BROKEN).await;
}

#[tokio::test]
async fn pauses_between_attempts_double_up_to_a_limit() {
    let f = Fixture::new();
    f.faults.set(Fault::Writes(FULL));
    let mut pause = RETRY_FIRST;
    for attempt in 0..10 {
        let failed = f.store.txn(put(b"a")).await;
        assert!(
            matches!(failed, Err(TxnError::Unknown(_))),
            "{attempt}: {failed:?}"
        );
        f.clock.advance(pause - Duration::from_millis(1));
        let refused = f.store.txn(put(b"a")).await;
        assert!(
            matches!(refused, Err(TxnError::Unavailable(_))),
            "{attempt}: {refused:?}"
        );
        f.clock.advance(Duration::from_millis(1));
        pause = (pause * 2).min(RETRY_MAX);
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_reported_and_no_row_is_taken_for_absent() {
    let f = Fixture::new();
    assert!(matches!(f.store.txn(put(b"a")).await, Ok(TxnResult::Done(_))));
    f.faults.set(Fault::All(BROKEN));
    let read = f.store.read(vec![b"a".to_vec()]).await;
    assert!(matches!(read, Err(TxnError::Unavailable(_))), "{read:?}");
    let scanned = f.store.scan(b"", None, 9).await;
    assert!(matches!(scanned, Err(TxnError::Unavailable(_))), "{scanned:?}");
    assert!(f.store.txn(put(b"a")).await.is_err());
    f.faults.set(None);
    f.clock.advance(RETRY_MAX);
    assert!(f.has(b"a").await);
    let again = f.store.txn(put(b"a")).await;
    assert!(matches!(again, Ok(TxnResult::Refused(_))), "{again:?}");
}

#[tokio::test]
async fn a_lease_ends_after_its_time_unless_it_is_kept_alive() {
    let f = Fixture::new();
    let lease = f.store.lease(TTL).await.unwrap();
    f.store.txn(lock(lease)).await.unwrap();
    let moment = Duration::from_millis(1);
    f.clock.advance(TTL - moment);
    assert!(f.store.keep_alive(lease).await.unwrap());
    f.clock.advance(TTL - moment);
    assert!(f.has(b"l/lock").await, "it was kept alive");
    f.clock.advance(moment);
    assert!(!f.has(b"l/lock").await);
    assert!(!f.store.keep_alive(lease).await.unwrap());
}

#[tokio::test]
async fn a_lease_that_ends_on_a_full_disk_leaves_no_row_once_there_is_room() {
    let f = Fixture::new();
    let lease = f.store.lease(TTL).await.unwrap();
    f.store.txn(lock(lease)).await.unwrap();
    f.faults.set(Fault::Writes(FULL));
    f.clock.advance(TTL);
    assert!(
        !f.store.keep_alive(lease).await.unwrap(),
        "it is over all the same"
    );
    assert!(f.has(b"l/lock").await, "the row cannot be deleted yet");
    f.faults.set(None);
    f.clock.advance(RETRY_MAX);
    assert!(!f.has(b"l/lock").await);
}

#[tokio::test]
async fn locks_of_the_last_run_go_even_if_the_disk_is_full_at_the_start() {
    let f = Fixture::new();
    let lease = f.store.lease(TTL).await.unwrap();
    f.store.txn(lock(lease)).await.unwrap();
    assert!(f.has(b"l/lock").await);
    let f = f.reopen().await;
    f.faults.set(Fault::Writes(FULL));
    // While the row is there, its lease's number is not given to another lease.
    let other = f.store.lease(TTL).await.unwrap();
    assert_ne!(other, lease);
    f.faults.set(None);
    f.clock.advance(RETRY_MAX);
    let taken = f.store.txn(lock(other)).await;
    assert!(matches!(taken, Ok(TxnResult::Done(_))), "{taken:?}");
    assert!(f.has(b"l/lock").await);
}
