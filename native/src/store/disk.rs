//! The engine's tables on disk: one fjall keyspace, keys led by the number of their table.
//!
//! One keyspace for all tables bounds memory and journals once: with one per table, a table that is seldom written
//! would keep the journals of all others alive. One thread of ours uses fjall; its own two flush and compact.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::store::{Op, Read, Row, Table, first_of_each};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::journal::{self, Mark};
use crate::descriptors::FileLimits;

/// Size of a memtable. It bounds how much journal is replayed at a start after a crash; memory is up to four times
/// this.
const MEMORY_TABLE_BYTES: u64 = 16 << 20;
/// Size of all journals together: the minimum that fjall allows.
const JOURNALS_BYTES: u64 = 64 << 20;
/// fjall's threads that flush and compact.
const THREADS: usize = 2;
/// Sealed memtables at which a commit waits for fjall's threads. fjall itself would wait later and without checking
/// whether they still run.
const SEALED_MEMTABLES_MAX: usize = 2;
/// Tables of the first level at which a commit waits, for the same reason.
const FIRST_LEVEL_TABLES_MAX: usize = 20;
/// Time between two checks while a commit waits.
const CHECK_EVERY: Duration = Duration::from_millis(1);
/// Free bytes below which a failing disk counts as full.
const FREE_MIN: u64 = 64 << 20;
/// The file that a complete fjall folder has.
const MARKER: &str = "version";

/// Why the disk could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another program has it open.
    #[error("another program has it open")]
    Locked,
    /// There is no space.
    #[error("the disk is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The stored bytes are not those that were written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error(transparent)]
    Failing(Box<dyn std::error::Error + Send + Sync>),
}

impl From<io::Error> for DiskError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(Box::new(error))
            }
            _ => Self::Failing(Box::new(error)),
        }
    }
}

/// Changes of one commit by key, collected with [`add_change`]; `None` deletes.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows of a range, in its order.
pub type RowIter<'d> = Box<dyn Iterator<Item = Result<Row, DiskError>> + 'd>;

/// What the store's thread needs of a disk.
pub trait Disk {
    /// Commits durably and atomically. After an error it is unknown whether it took effect: reopen the disk.
    ///
    /// # Errors
    /// [`DiskError`].
    fn commit(&self, changes: &Changes) -> Result<(), DiskError>;

    /// Whether there is enough space to reopen it after a failure.
    fn has_room(&self) -> bool;

    /// The value of a key.
    ///
    /// # Errors
    /// [`DiskError`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError>;

    /// The rows from `start` to before `end`, or from the end backwards.
    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_>;
}

/// A table's key on the disk.
fn key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}

pub fn add_change(changes: &mut Changes, op: &Op) {
    match op {
        Op::Put {
            table,
            key: short,
            value,
            ..
        } => changes.insert(key(*table, short), Some(value.clone())),
        Op::Delete { table, key: short } => changes.insert(key(*table, short), None),
    };
}

/// The rows of a read, as if `changes` were on the disk already.
///
/// # Errors
/// [`DiskError`].
pub fn rows(disk: &dyn Disk, changes: &Changes, read: &Read) -> Result<Vec<Row>, DiskError> {
    match read {
        Read::Get { table, key: short } => {
            let value = value(disk, changes, &key(*table, short))?;
            Ok(value.map(|value| (short.clone(), value)).into_iter().collect())
        }
        Read::Range {
            table,
            start,
            end,
            limit,
            bytes_max,
            reverse,
        } => {
            let (start, end) = (key(*table, start), key(*table, end));
            let (mut rows, mut bytes) = (Vec::new(), 0);
            let mut merged = Merged::new(disk, changes, start, end, *reverse)?;
            while rows.len() < *limit && (rows.is_empty() || bytes < *bytes_max) {
                let Some((mut key, value)) = merged.next_row()? else {
                    break;
                };
                key.remove(0);
                bytes += value.len();
                rows.push((key, value));
            }
            Ok(rows)
        }
        Read::FirstOfEach { table, .. } => first_of_each(read, |start, end| {
            let (start, end) = (key(*table, start), key(*table, end));
            let row = Merged::new(disk, changes, start, end, false)?.next_row()?;
            Ok(row.map(|(mut key, value)| {
                key.remove(0);
                (key, value)
            }))
        }),
    }
}

/// The value of a key, as if `changes` were on the disk already.
///
/// # Errors
/// [`DiskError`].
pub fn value(disk: &dyn Disk, changes: &Changes, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
    match changes.get(key) {
        Some(changed) => Ok(changed.clone()),
        None => disk.get(key),
    }
}

/// An iterator over a range as if some changes were on the disk already.
pub struct Merged<'d> {
    changed: Changed<'d>,
    stored: RowIter<'d>,
    reverse: bool,
    left: Option<(&'d Vec<u8>, &'d Option<Vec<u8>>)>,
    right: Option<Row>,
}

type Changed<'d> = std::collections::btree_map::Range<'d, Vec<u8>, Option<Vec<u8>>>;

impl std::fmt::Debug for Merged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged")
            .field("reverse", &self.reverse)
            .finish_non_exhaustive()
    }
}

impl<'d> Merged<'d> {
    /// Those from `start` to before `end`, or from the end backwards.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn new(
        disk: &'d dyn Disk,
        changes: &'d Changes,
        start: Vec<u8>,
        end: Vec<u8>,
        reverse: bool,
    ) -> Result<Self, DiskError> {
        let end = end.max(start.clone());
        let mut merged = Self {
            changed: changes.range(start.clone()..end.clone()),
            stored: disk.range(start, end, reverse),
            reverse,
            left: None,
            right: None,
        };
        merged.left = merged.next_changed();
        merged.right = merged.stored.next().transpose()?;
        Ok(merged)
    }

    fn next_changed(&mut self) -> Option<(&'d Vec<u8>, &'d Option<Vec<u8>>)> {
        if self.reverse {
            self.changed.next_back()
        } else {
            self.changed.next()
        }
    }

    /// The next row.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn next_row(&mut self) -> Result<Option<Row>, DiskError> {
        loop {
            // Of two rows with one key, the change is newer.
            let order = match (&self.left, &self.right) {
                (None, None) => return Ok(None),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((left, _)), Some((right, _))) if self.reverse => right.cmp(left),
                (Some((left, _)), Some((right, _))) => (*left).cmp(right),
            };
            if order.is_gt() {
                let next = self.stored.next().transpose()?;
                return Ok(std::mem::replace(&mut self.right, next));
            }
            if order.is_eq() {
                self.right = self.stored.next().transpose()?;
            }
            let changed = self.left.take();
            self.left = self.next_changed();
            if let Some((key, Some(value))) = changed {
                return Ok(Some((key.clone(), value.clone())));
            }
        }
    }
}

/// A database in a folder.
pub struct FjallDisk {
    folder: PathBuf,
    database: Database,
    rows: Keyspace,
    mark: Mark,
}

impl std::fmt::Debug for FjallDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallDisk").field("folder", &self.folder).finish()
    }
}

impl FjallDisk {
    /// Opens what is in `folder`, or makes it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(folder: &Path, cache_bytes: usize) -> Result<Self, DiskError> {
        if !folder.try_exists()? {
            make(folder)?;
        }
        // Without this file fjall would create a new database among the existing files.
        if !folder.join(MARKER).try_exists()? {
            return Err(DiskError::Damaged(format!("{MARKER} is missing in it")));
        }
        let mark = journal::mark(folder)?;
        journal::cut_torn_end(folder, &mark)?;
        let (database, rows) = Self::open_made(folder, cache_bytes)?;
        Ok(Self {
            folder: folder.to_owned(),
            database,
            rows,
            mark,
        })
    }

    /// Opens what is in `folder` without a look at its journals.
    pub(super) fn open_unchecked(folder: &Path, cache_bytes: usize) -> Result<Self, DiskError> {
        let (database, rows) = Self::open_made(folder, cache_bytes)?;
        Ok(Self {
            folder: folder.to_owned(),
            database,
            rows,
            mark: Mark::default(),
        })
    }

    fn open_made(folder: &Path, cache_bytes: usize) -> Result<(Database, Keyspace), DiskError> {
        let error = |error| explain(folder, error);
        let database = Database::builder(folder)
            .cache_size(cache_bytes as u64)
            .max_journaling_size(JOURNALS_BYTES)
            .max_cached_files(Some(FileLimits::now().store_files()))
            .manual_journal_persist(true)
            .journal_compression(CompressionType::None)
            .worker_threads(THREADS)
            .open()
            .map_err(error)?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMORY_TABLE_BYTES)
                .manual_journal_persist(true)
                .expect_point_read_hits(true)
        };
        let rows = database.keyspace("rows", options).map_err(error)?;
        Ok((database, rows))
    }

    fn failed(&self, error: fjall::Error) -> DiskError {
        explain(&self.folder, error)
    }

    /// Waits until fjall's threads have caught up. Fails if they ended, where fjall itself would wait for ever.
    fn wait_for_room(&self) -> Result<(), fjall::Error> {
        while self.rows.sealed_memtable_count() >= SEALED_MEMTABLES_MAX
            || self.rows.l0_table_count() >= FIRST_LEVEL_TABLES_MAX
        {
            self.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(CHECK_EVERY);
        }
        Ok(())
    }
}

/// Creates an empty database, under another name until it is complete: a partial one could never be opened.
fn make(folder: &Path) -> Result<(), DiskError> {
    let unfinished = folder.with_extension("new");
    if unfinished.try_exists()? {
        std::fs::remove_dir_all(&unfinished)?;
    }
    drop(FjallDisk::open_made(&unfinished, 0)?);
    journal::make_mark(&unfinished)?;
    std::fs::rename(&unfinished, folder)?;
    let parent = folder.parent().unwrap_or(folder);
    std::fs::File::open(parent)?.sync_all()?;
    Ok(())
}

fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FREE_MIN)
}

fn explain(folder: &Path, error: fjall::Error) -> DiskError {
    use fjall::{Error, LsmError};
    match error {
        Error::Locked => DiskError::Locked,
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => error.into(),
        // One of fjall's threads failed and does not say how.
        Error::Poisoned if is_full(folder) => DiskError::Full(Box::new(Error::Poisoned)),
        Error::Poisoned => DiskError::Failing(Box::new(Error::Poisoned)),
        error => DiskError::Damaged(error.to_string()),
    }
}

impl Disk for FjallDisk {
    fn commit(&self, changes: &Changes) -> Result<(), DiskError> {
        self.wait_for_room().map_err(|error| self.failed(error))?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        // The mark distinguishes a commit from user data that looks like one.
        batch.remove(&self.rows, self.mark);
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.rows, key.as_slice(), value.as_slice()),
                None => batch.remove(&self.rows, key.as_slice()),
            }
        }
        batch.commit().map_err(|error| self.failed(error))
    }

    fn has_room(&self) -> bool {
        !is_full(&self.folder)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let value = self.rows.get(key).map_err(|error| self.failed(error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_> {
        let row = |row: fjall::Guard| match row.into_inner() {
            Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
            Err(error) => Err(self.failed(error)),
        };
        let rows = self.rows.range(start..end);
        if reverse {
            Box::new(rows.rev().map(row))
        } else {
            Box::new(rows.map(row))
        }
    }
}
