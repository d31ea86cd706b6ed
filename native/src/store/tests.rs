use std::path::Path;
use std::time::Duration;

use engine::api::StoreState;
use engine::io::Input;
use engine::store::{Batch, BatchId, Load, LoadId, Op, Read, Row, Strictness, Table};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::faulty_disk::{BROKEN, FULL, Fault, Faults, FaultyDisk};
use super::{Command, DiskError, Store, StoreError};

const CACHE: usize = 8 << 20;
const DEADLINE: Duration = Duration::from_secs(20);

fn put(key: &[u8], value: &[u8]) -> Op {
    Op::Put {
        table: Table::Meta,
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn persist(id: u64, ops: Vec<Op>) -> Command {
    Command::Persist(Batch {
        id: BatchId(id),
        strictness: Strictness::Strict,
        ops,
    })
}

fn all(limit: usize, bytes_max: usize, reverse: bool) -> Read {
    Read::Range {
        table: Table::Meta,
        start: vec![],
        end: vec![0xff; 8],
        limit,
        bytes_max,
        reverse,
    }
}

fn load(id: u64, reads: Vec<Read>) -> Command {
    let id = LoadId(id);
    Command::Load(Load { id, reads }, None)
}

struct Fixture {
    store: Store,
    answers: mpsc::Receiver<Input>,
}

impl Fixture {
    fn new(opened: Result<(Store, mpsc::Receiver<Input>), StoreError>) -> Self {
        let (store, answers) = opened.unwrap();
        Self { store, answers }
    }

    /// On a disk with an injectable fault.
    fn faulty(dir: &Path) -> (Self, Faults) {
        let (path, faults) = (dir.join("disk"), Faults::default());
        let opener = FaultyDisk::opener(path.clone(), &faults);
        (Self::new(Store::open_with(opener, &path)), faults)
    }

    fn open(dir: &Path) -> Self {
        Self::new(Store::open(dir, CACHE))
    }

    async fn give(&self, command: Command) {
        self.store.commands().send(command).await.unwrap();
    }

    async fn next(&mut self) -> Input {
        timeout(DEADLINE, self.answers.recv()).await.unwrap().unwrap()
    }

    async fn rows(&mut self, read: Read) -> Vec<Row> {
        self.give(load(99, vec![read])).await;
        match self.next().await {
            Input::Loaded { mut rows, .. } => rows.remove(0),
            other => panic!("expected rows, got {other:?}"),
        }
    }

    /// All batches after `persisted` up to `last` are on the disk, in order, and the store is reported as healthy
    /// again.
    async fn is_well_again_with(&mut self, mut persisted: u64, last: u64) {
        let mut well_again = false;
        while persisted < last || !well_again {
            match self.next().await {
                Input::Persisted { id } => {
                    assert!(id.0 > persisted, "in order");
                    persisted = id.0;
                }
                Input::Store(state) => {
                    assert_eq!(state, StoreState::Ok);
                    well_again = true;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(persisted, last);
    }

    async fn persisted(&mut self, id: u64) {
        match self.next().await {
            Input::Persisted { id: got } => assert_eq!(got, BatchId(id)),
            other => panic!("expected batch {id} to be persisted, got {other:?}"),
        }
    }
}

fn row(key: &[u8], value: &[u8]) -> Row {
    (key.to_vec(), value.to_vec())
}

#[tokio::test]
async fn what_was_reported_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Fixture::open(dir.path());
    store
        .give(persist(1, vec![put(b"a", b"1"), put(b"b", b"2")]))
        .await;
    store.persisted(1).await;
    let delete = Op::Delete {
        table: Table::Meta,
        key: b"a".to_vec(),
    };
    store
        .give(persist(2, vec![delete.clone(), delete, put(b"b", b"3")]))
        .await;
    store.persisted(2).await;
    assert!(store.store.close().await);
    let mut store = Fixture::open(dir.path());
    assert_eq!(store.rows(all(9, usize::MAX, false)).await, [row(b"b", b"3")]);
}

#[tokio::test]
async fn a_load_sees_every_batch_before_it_and_none_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Fixture::open(dir.path());
    let commands = store.store.commands().clone();
    // All at once, so that they share a commit.
    for n in 0..100u64 {
        commands
            .try_send(persist(n + 1, vec![put(b"n", &n.to_be_bytes())]))
            .unwrap();
        let read = Read::Get {
            table: Table::Meta,
            key: b"n".to_vec(),
        };
        commands.try_send(load(n, vec![read])).unwrap();
    }
    let (mut loaded, mut persisted) = (0, 0);
    while loaded < 100 || persisted < 100 {
        match store.next().await {
            Input::Loaded { id, rows } => {
                assert_eq!(id, LoadId(loaded));
                assert_eq!(rows, [[row(b"n", &loaded.to_be_bytes())]]);
                loaded += 1;
            }
            Input::Persisted { id } => {
                assert!(id.0 > persisted, "in order");
                persisted = id.0;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn ranges_keep_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Fixture::open(dir.path());
    let rows: Vec<_> = (0..10u8).map(|n| row(&[n], &[n; 10])).collect();
    let puts = rows.iter().map(|(key, value)| put(key, value)).collect();
    store.give(persist(1, puts)).await;
    store.persisted(1).await;
    assert_eq!(store.rows(all(99, usize::MAX, false)).await, rows);
    assert_eq!(store.rows(all(3, usize::MAX, false)).await, rows[..3]);
    assert_eq!(store.rows(all(99, 25, false)).await, rows[..3]);
    assert_eq!(store.rows(all(99, 0, false)).await, rows[..1], "at least one");
    assert_eq!(store.rows(all(0, 99, false)).await, []);
    let backwards: Vec<_> = rows.iter().rev().take(2).cloned().collect();
    assert_eq!(store.rows(all(2, usize::MAX, true)).await, backwards);
    let range = |start: &[u8], end: &[u8]| Read::Range {
        table: Table::Meta,
        start: start.to_vec(),
        end: end.to_vec(),
        limit: 99,
        bytes_max: usize::MAX,
        reverse: false,
    };
    assert_eq!(store.rows(range(&[3], &[5])).await, rows[3..5]);
    assert_eq!(store.rows(range(&[5], &[3])).await, []);
    assert_eq!(store.rows(Read::prefix(Table::Feeds, &[], usize::MAX)).await, []);
}

#[tokio::test]
async fn the_first_row_of_each_group_is_read_from_the_disk_and_from_what_is_not_committed_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Fixture::open(dir.path());
    let keys = [[1, 5], [1, 6], [2, 0], [2, 1], [4, 0]];
    let puts = keys.iter().map(|key| put(key, key)).collect();
    store.give(persist(1, puts)).await;
    store.persisted(1).await;
    let firsts = |limit| Read::FirstOfEach {
        table: Table::Meta,
        prefix: Vec::new(),
        group: 1,
        bare: 0,
        enough: limit,
        limit,
    };
    let expected = |keys: &[[u8; 2]]| keys.iter().map(|key| row(key, key)).collect::<Vec<_>>();
    assert_eq!(store.rows(firsts(99)).await, expected(&[[1, 5], [2, 0], [4, 0]]));
    assert_eq!(store.rows(firsts(2)).await, expected(&[[1, 5], [2, 0]]));
    let delete = |key: [u8; 2]| Op::Delete {
        table: Table::Meta,
        key: key.to_vec(),
    };
    let ops = vec![put(&[1, 4], &[1, 4]), delete([2, 0]), delete([4, 0])];
    store.give(persist(2, ops)).await;
    assert_eq!(store.rows(firsts(99)).await, expected(&[[1, 4], [2, 1]]));
    store.persisted(2).await;
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Fixture::open(dir.path());
    let second = Store::open(dir.path(), CACHE);
    assert!(matches!(second, Err(StoreError::Locked(_))), "{second:?}");
}

#[tokio::test]
async fn garbage_is_not_opened_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(super::STORE_FOLDER);
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("0.jnl");
    std::fs::write(&path, b"this is no database").unwrap();
    let opened = Store::open(dir.path(), CACHE);
    assert!(matches!(opened, Err(StoreError::Open { .. })), "{opened:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"this is no database");
}

#[tokio::test]
async fn posts_of_an_older_version_are_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("starling.redb"), b"posts").unwrap();
    let opened = Store::open(dir.path(), CACHE);
    assert!(matches!(opened, Err(StoreError::Old(_))), "{opened:?}");
    assert!(!dir.path().join(super::STORE_FOLDER).exists());
}

/// A store with ten commits of one batch each, closed; and its journal.
async fn ten_commits(dir: &Path) -> std::path::PathBuf {
    let mut store = Fixture::open(dir);
    for n in 1..=10 {
        store
            .give(persist(n, vec![put(&[n as u8], &[n as u8; 2_000])]))
            .await;
        store.persisted(n).await;
    }
    assert!(store.store.close().await);
    dir.join(super::STORE_FOLDER).join("0.jnl")
}

fn data_len(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

#[tokio::test]
async fn a_commit_that_was_torn_is_left_out_and_all_before_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let journal = ten_commits(dir.path()).await;
    let mut bytes = std::fs::read(&journal).unwrap();
    // A sector in the middle of the last value did not arrive.
    let end = data_len(&bytes);
    bytes[end - 1_200..end - 688].fill(0);
    std::fs::write(&journal, &bytes).unwrap();
    let mut store = Fixture::open(dir.path());
    let rows = store.rows(all(99, usize::MAX, false)).await;
    let expected: Vec<_> = (1..=9).map(|n| row(&[n], &[n; 2_000])).collect();
    assert_eq!(rows, expected);
    store.give(persist(1, vec![put(&[10], b"again")])).await;
    store.persisted(1).await;
    assert!(store.store.close().await);
    let mut store = Fixture::open(dir.path());
    assert_eq!(
        store.rows(all(99, usize::MAX, true)).await[0],
        row(&[10], b"again")
    );
}

#[tokio::test]
async fn damage_before_the_end_is_said_and_nothing_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let journal = ten_commits(dir.path()).await;
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = data_len(&bytes) / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, &bytes).unwrap();
    let opened = Store::open(dir.path(), CACHE);
    let damaged = matches!(
        opened,
        Err(StoreError::Open {
            source: DiskError::Damaged(_),
            ..
        })
    );
    assert!(damaged, "it was opened");
    assert!(std::fs::read(&journal).unwrap() == bytes, "left as it was");
}

/// A disk that takes no writes for a while, for this reason, which is reported to the engine as this state.
async fn nothing_is_lost_while_writing_fails(kind: std::io::ErrorKind, state: StoreState) {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, faults) = Fixture::faulty(dir.path());
    store.give(persist(1, vec![put(b"a", b"1")])).await;
    store.persisted(1).await;
    faults.set(Fault::Writes(kind));
    for n in 2..=5 {
        store.give(persist(n, vec![put(b"b", &[n as u8])])).await;
    }
    match store.next().await {
        Input::Store(told) => assert_eq!(told, state),
        other => panic!("expected a store that is {state:?}, got {other:?}"),
    }
    // Meanwhile what waits is read as if it were on the disk.
    let rows = store.rows(all(9, usize::MAX, false)).await;
    assert_eq!(rows, [row(b"a", b"1"), row(b"b", &[5])]);
    faults.set(None);
    store.is_well_again_with(1, 5).await;
    let rows = store.rows(all(9, usize::MAX, false)).await;
    assert_eq!(rows, [row(b"a", b"1"), row(b"b", &[5])]);
    assert!(store.store.close().await);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_told() {
    nothing_is_lost_while_writing_fails(FULL, StoreState::Full).await;
}

#[tokio::test]
async fn a_broken_disk_loses_nothing_and_is_told() {
    nothing_is_lost_while_writing_fails(BROKEN, StoreState::Failing).await;
}

#[tokio::test]
async fn a_disk_that_cannot_even_be_read_is_told_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, faults) = Fixture::faulty(dir.path());
    store.give(persist(1, vec![put(b"a", b"1")])).await;
    store.persisted(1).await;
    faults.set(Fault::All(BROKEN));
    store.give(persist(2, vec![put(b"b", b"2")])).await;
    match store.next().await {
        Input::Store(told) => assert_eq!(told, StoreState::Failing),
        other => panic!("expected a failing store, got {other:?}"),
    }
    store.give(load(7, vec![all(9, usize::MAX, false)])).await;
    match store.next().await {
        Input::LoadFailed { id } => assert_eq!(id.0, 7),
        other => panic!("expected a load that failed, got {other:?}"),
    }
    faults.set(None);
    store.is_well_again_with(1, 2).await;
    let rows = store.rows(all(9, usize::MAX, false)).await;
    assert_eq!(rows, [row(b"a", b"1"), row(b"b", b"2")]);
    assert!(store.store.close().await);
}

#[tokio::test]
async fn a_batch_whose_commit_is_not_told_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, faults) = Fixture::faulty(dir.path());
    faults.set(Fault::Answer(BROKEN));
    store.give(persist(1, vec![put(b"a", b"1")])).await;
    match store.next().await {
        Input::Store(told) => assert_eq!(told, StoreState::Failing),
        other => panic!("expected a failing store, got {other:?}"),
    }
    store.is_well_again_with(0, 1).await;
    let rows = store.rows(all(9, usize::MAX, false)).await;
    assert_eq!(rows, [row(b"a", b"1")]);
    assert!(store.store.close().await);
}

#[tokio::test]
async fn a_range_read_before_the_commit_is_as_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Fixture::open(dir.path());
    let puts = (0..20u8).step_by(2).map(|n| put(&[n], b"old")).collect();
    store.give(persist(1, puts)).await;
    store.persisted(1).await;
    // Changed, added and removed, and read in the same breath; then read again.
    let mut ops: Vec<_> = (0..20u8).step_by(3).map(|n| put(&[n], b"new")).collect();
    ops.push(Op::Delete {
        table: Table::Meta,
        key: vec![4],
    });
    ops.push(Op::Delete {
        table: Table::Meta,
        key: vec![5],
    });
    let reads = vec![
        all(99, usize::MAX, false),
        all(99, usize::MAX, true),
        all(5, usize::MAX, true),
        all(99, 10, false),
    ];
    let commands = store.store.commands().clone();
    commands.try_send(persist(2, ops)).unwrap();
    commands.try_send(load(1, reads.clone())).unwrap();
    let mut before = None;
    let mut persisted = false;
    while before.is_none() || !persisted {
        match store.next().await {
            Input::Loaded { rows, .. } => before = Some(rows),
            Input::Persisted { .. } => persisted = true,
            other => panic!("{other:?}"),
        }
    }
    store.give(load(2, reads)).await;
    let Input::Loaded { rows, .. } = store.next().await else {
        panic!("no rows");
    };
    let expected: Vec<_> = (0..20u8)
        .filter(|n| (n % 2 == 0 || n % 3 == 0) && *n != 4)
        .map(|n| row(&[n], if n % 3 == 0 { b"new" } else { b"old" }))
        .collect();
    assert_eq!(rows[0], expected);
    assert!(rows[1].iter().eq(expected.iter().rev()));
    assert!(rows[2].iter().eq(expected.iter().rev().take(5)));
    assert_eq!(rows[3], expected[..4]);
    assert_eq!(before.unwrap(), rows);
}
