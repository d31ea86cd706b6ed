use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::TxnStore;
use super::{Change, Check, Embedded, FOLDER, Outcome, Txn, TxnError};
use native::store::faulty_disk::{BROKEN, FULL, Fault, Faults, FaultyDisk};

const DEADLINE: Duration = Duration::from_secs(20);

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

async fn has(store: &TxnStore, key: &[u8]) -> bool {
    let rows = store.read(vec![key.to_vec()]).await.unwrap();
    rows[0].is_some()
}

/// Tries until the disk takes it.
async fn put_in_the_end(store: &TxnStore, key: &[u8]) -> Outcome {
    let trying = async {
        loop {
            match store.txn(put(key)).await {
                Ok(outcome) => return outcome,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(DEADLINE, trying).await.unwrap()
}

async fn what_was_refused_is_done_when_the_disk_is_well(kind: std::io::ErrorKind) {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let opener = FaultyDisk::opener(dir.path().join(FOLDER), &faults);
    let store = TxnStore::Embedded(Embedded::open_with(opener).unwrap());
    assert!(matches!(store.txn(put(b"a")).await, Ok(Outcome::Done(_))));
    for round in 0..2_u8 {
        faults.set(Fault::Writes(kind));
        for n in 0..5_u8 {
            let refused = store.txn(put(&[b'b', round, n])).await;
            let first = (round, n) == (0, 0);
            match refused {
                // Whether a commit that failed took effect is not known.
                Err(TxnError::Unknown(_)) => {}
                Err(TxnError::Unavailable(_)) if !first => {}
                other => panic!("{other:?}"),
            }
        }
        faults.set(None);
        assert!(has(&store, b"a").await, "read before anything is written");
        for n in 0..5_u8 {
            put_in_the_end(&store, &[b'b', round, n]).await;
            assert!(has(&store, &[b'b', round, n]).await);
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_what_it_refused_is_done_when_there_is_room_again() {
    what_was_refused_is_done_when_the_disk_is_well(FULL).await;
}

#[tokio::test]
async fn what_a_broken_disk_refused_is_done_when_it_is_whole_again() {
    what_was_refused_is_done_when_the_disk_is_well(BROKEN).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_said_so_and_no_row_is_taken_for_absent() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let opener = FaultyDisk::opener(dir.path().join(FOLDER), &faults);
    let store = TxnStore::Embedded(Embedded::open_with(opener).unwrap());
    assert!(matches!(store.txn(put(b"a")).await, Ok(Outcome::Done(_))));
    faults.set(Fault::All(BROKEN));
    let read = store.read(vec![b"a".to_vec()]).await;
    assert!(matches!(read, Err(TxnError::Unavailable(_))), "{read:?}");
    let scanned = store.scan(b"", None, 9).await;
    assert!(matches!(scanned, Err(TxnError::Unavailable(_))), "{scanned:?}");
    assert!(store.txn(put(b"a")).await.is_err());
    faults.set(None);
    assert!(has(&store, b"a").await);
    let again = put_in_the_end(&store, b"a").await;
    assert!(matches!(again, Outcome::Refused(_)), "{again:?}");
}

#[tokio::test]
async fn a_lease_that_ends_on_a_full_disk_leaves_nothing_behind_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let opener = FaultyDisk::opener(dir.path().join(FOLDER), &faults);
    let store = TxnStore::Embedded(Embedded::open_with(opener).unwrap());
    let lease = store.lease(Duration::from_millis(300)).await.unwrap();
    let lock = Change::Put {
        key: b"l/lock".to_vec(),
        value: b"me".to_vec(),
        lease: Some(lease),
    };
    let txn = Txn {
        changes: vec![lock],
        ..Txn::default()
    };
    store.txn(txn).await.unwrap();
    faults.set(Fault::Writes(FULL));
    let over = async {
        while store.keep_alive(lease).await.unwrap() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(DEADLINE, over).await.unwrap();
    faults.set(None);
    let gone = async {
        while has(&store, b"l/lock").await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, gone).await.unwrap();
}

#[tokio::test]
async fn the_locks_of_the_last_run_go_also_if_the_disk_is_full_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let lock = |lease| Txn {
        checks: vec![Check::Absent(b"l/lock".to_vec())],
        changes: vec![Change::Put {
            key: b"l/lock".to_vec(),
            value: b"me".to_vec(),
            lease: Some(lease),
        }],
        otherwise: Vec::new(),
    };
    let embedded = Embedded::open(dir.path()).unwrap();
    let store = TxnStore::Embedded(embedded);
    let lease = store.lease(DEADLINE).await.unwrap();
    store.txn(lock(lease)).await.unwrap();
    assert!(has(&store, b"l/lock").await);
    drop(store);
    let again = async {
        loop {
            // Its thread may take a moment to end.
            let opener = FaultyDisk::opener(dir.path().join(FOLDER), &faults);
            match Embedded::open_with(opener) {
                Ok(embedded) => break TxnStore::Embedded(embedded),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let store = timeout(DEADLINE, again).await.unwrap();
    faults.set(Fault::Writes(FULL));
    // The same number is given to nobody else while its row is there.
    let other = store.lease(DEADLINE).await.unwrap();
    assert_ne!(other, lease);
    faults.set(None);
    let taken = async {
        while !matches!(store.txn(lock(other)).await, Ok(Outcome::Done(_))) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, taken).await.unwrap();
    assert!(has(&store, b"l/lock").await);
}
