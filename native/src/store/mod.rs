//! The engine's tables on disk: fjall, driven by one thread of its own.
//!
//! ```text
//! driver ── Command (bounded) ──► writer thread ── Input (bounded) ──► driver
//!                                    │  takes what waits, gathers its changes in order,
//!                                    ▼  answers loads on the way, commits, then reports
//!                                  fjall: journal ─► memory ─► sorted tables
//! ```
//!
//! Invariants:
//! - commands are executed in order: a load sees every batch given before it, and no batch is on disk without all
//!   earlier ones;
//! - a batch is reported as persisted only after a commit that reached the disk; many share one (group commit: what
//!   arrives during a commit goes into the next, so a lone batch does not wait and a flood needs few commits);
//! - a batch is never dropped: when a write fails, the engine learns that the store is full or failing, the database is
//!   reopened (fjall refuses everything after an I/O error), and everything not yet reported is applied again in order;
//! - meanwhile loads go on: they are answered from the disk and from the changes that wait for the next commit, which
//!   are kept in memory.
//!
//! `docs/storage.md` has the measurements by which fjall was chosen over redb.
//!
//! Relaxed batches are committed like all others, because a relay gives receipts for everything.

mod disk;
#[cfg(any(test, feature = "testing"))]
pub mod faulty_disk;
pub mod journal;
mod memory_disk;
mod salvage;
mod worker;

use std::path::{Path, PathBuf};

use engine::io::Input;
use engine::store::{Batch, Load};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Payer;

pub use disk::{Changes, Disk, DiskError, FjallDisk, Merged, RowIter, add_change, rows, value};
pub use memory_disk::MemoryDisk;
pub use salvage::{Damage, salvage};
use worker::Worker;

/// The store's folder in the data folder.
pub const STORE_FOLDER: &str = "posts";
/// The folder of earlier versions, whose format this version cannot read.
const OLD_FILE: &str = "starling.redb";

/// Commands given to the thread and not yet taken by it. When full, the driver takes no more inputs until it is not.
pub const COMMANDS_MAX: usize = 1_024;

/// One thing for the store to do.
#[derive(Debug)]
pub enum Command {
    /// Execute a batch, answered by an [`Input::Persisted`] for it or a later one.
    Persist(Batch),
    /// Execute a load, answered by [`Input::Loaded`] or [`Input::LoadFailed`]. Its time is debited to the payer, if there
    /// is one.
    Load(Load, Option<Payer>),
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("another program has the store {} open; stop it first", .0.display())]
    Locked(PathBuf),
    /// An older version kept posts here.
    #[error(
        "{} holds posts in the format of an older version, which this one cannot read; to keep them, run that version's `relay-node backup FILE`, then move {OLD_FILE} away and run `relay-node restore FILE`; without that, the relay starts empty once it is moved away and is filled again by its peers",
        .0.display()
    )]
    Old(PathBuf),
    /// It could not be opened.
    #[error("the store {} cannot be opened; {}", path.display(), advice(source))]
    Open { path: PathBuf, source: DiskError },
    /// The thread could not be started.
    #[error("the store's thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// What to do about a store that cannot be opened.
fn advice(source: &DiskError) -> &'static str {
    match source {
        DiskError::Locked => "stop the program that has it open",
        DiskError::Full(_) => "make room on the disk",
        DiskError::Damaged(_) => {
            "`relay-node repair` saves what is whole; or move the folder away, and the relay starts empty and is filled again by its peers"
        }
        DiskError::Failing(error) => {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            match kind {
                Some(std::io::ErrorKind::PermissionDenied) => {
                    "this user may not read and write all of it: run this as its owner, or give the folder to the relay's user (`chown -R USER DIR`)"
                }
                _ => "check the disk; what is stored may be whole, so keep the folder",
            }
        }
    }
}

/// Opens the disk, at the start and again after each failure.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Disk + Send>, DiskError> + Send>;

/// An open store. Give it commands, take its answers from the receiver that came with it.
#[derive(Debug)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    finished: oneshot::Receiver<bool>,
}

/// The folder of the posts in a data folder.
///
/// # Errors
/// If an older version kept them in a way this one cannot read.
pub fn store_folder(data_dir: &Path) -> Result<PathBuf, StoreError> {
    let old = data_dir.join(OLD_FILE);
    match old.exists() {
        true => Err(StoreError::Old(old)),
        false => Ok(data_dir.join(STORE_FOLDER)),
    }
}

impl Store {
    /// Opens the store in `data_dir` and starts its thread.
    ///
    /// # Errors
    /// [`StoreError`], saying what to do.
    pub fn open(data_dir: &Path, cache_bytes: usize) -> Result<(Self, mpsc::Receiver<Input>), StoreError> {
        let folder = store_folder(data_dir)?;
        let opened = folder.clone();
        let opener = Box::new(move || -> Result<Box<dyn Disk + Send>, DiskError> {
            Ok(Box::new(FjallDisk::open(&opened, cache_bytes)?))
        });
        Self::open_with(opener, &folder)
    }

    /// A store whose rows are lost when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Thread`].
    pub fn in_memory() -> Result<(Self, mpsc::Receiver<Input>), StoreError> {
        let opener =
            Box::new(|| -> Result<Box<dyn Disk + Send>, DiskError> { Ok(Box::new(MemoryDisk::default())) });
        Self::open_with(opener, Path::new("(memory)"))
    }

    /// As [`Self::open`], with the disk that `opener` opens; `path` is for error messages.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_with(mut opener: Opener, path: &Path) -> Result<(Self, mpsc::Receiver<Input>), StoreError> {
        let path = path.to_owned();
        let disk = opener().map_err(|error| match error {
            DiskError::Locked => StoreError::Locked(path),
            source => StoreError::Open { path, source },
        })?;
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        // One answer for each command, and at most one change of state for each round of many.
        let (results, answers) = mpsc::channel(COMMANDS_MAX);
        let (finish, finished) = oneshot::channel();
        let worker = Worker::new(opener, disk, queue, results);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let _ = finish.send(worker.run());
            })?;
        Ok((Self { commands, finished }, answers))
    }

    /// The queue of commands to the store's thread.
    #[must_use]
    pub fn commands(&self) -> &mpsc::Sender<Command> {
        &self.commands
    }

    /// Executes all commands given so far and closes the disk. The answers have to be received meanwhile.
    ///
    /// Returns whether everything is on disk. It is not if the disk fails now.
    pub async fn close(self) -> bool {
        drop(self.commands);
        self.finished.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
