//! The engine's store on disk: redb, driven by one thread of its own.
//!
//! ```text
//! driver ── Command (bounded) ──► writer thread ── Input (bounded) ──► driver
//!                                    │  takes what waits, applies it in order in one transaction,
//!                                    ▼  answers loads on the way, commits, then reports
//!                                  redb file
//! ```
//!
//! Invariants:
//! - commands are executed in order: a load sees every batch given before it, and no batch is on disk without all
//!   earlier ones;
//! - a batch is reported as persisted only after a commit that reached the disk; many share one (group commit: what
//!   arrives while a commit is under way goes into the next, so a lone batch waits for nothing and a flood pays for few);
//! - a batch is never dropped: when a write fails, the engine is told that the store is full or failing, the database is
//!   opened anew (redb refuses everything after an I/O error) and everything not yet reported is applied again in order;
//! - meanwhile loads go on: they are answered from the last commit and what waits for the next, which is kept in memory.
//!
//! Every commit is two-phase, since strangers choose the data, and saves what redb needs to open without a walk over the
//! whole file after a crash (`quick_repair`). Measured on a file of 6 GB: a lone commit takes 1.3 ms instead of 0.7, and
//! opening after a kill 1 ms instead of 13 s (2 s per GB, all of it in memory already). The cost per commit grows with the
//! file (some bits for each page), and group commit spreads it: with 100 entries per commit the rate falls by less than a
//! third, with 4,000 by nothing that could be measured.
//!
//! Batches that may be relaxed are committed like all others: a relay gives receipts for everything.

mod overlay;
mod tables;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use engine::io::Input;
use engine::store::{Batch, Load};
use redb::{Database, DatabaseError};
use tokio::sync::{mpsc, oneshot};

pub use tables::Tables;
use worker::Worker;

/// The database file's name in the data folder.
pub const DATABASE_FILE: &str = "starling.redb";

/// Commands given to the thread and not yet taken by it. When full, the driver takes no more inputs until it is not.
pub const COMMANDS_MAX: usize = 1_024;

/// One thing for the store to do.
#[derive(Debug)]
pub enum Command {
    /// Execute a batch, answered by an [`Input::Persisted`] for it or a later one.
    Persist(Batch),
    /// Execute a load, answered by [`Input::Loaded`] or [`Input::LoadFailed`].
    Load(Load),
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("another program has the database {} open; stop it first", .0.display())]
    Locked(PathBuf),
    /// redb could not open it.
    #[error(
        "the database {} cannot be opened; if the disk is well, move the file away: the relay starts empty and is filled again by its peers",
        path.display()
    )]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The thread could not be started.
    #[error("the store's thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// Opens the database, at the start and again after each failure.
pub type Opener = Box<dyn FnMut() -> Result<Database, DatabaseError> + Send>;

/// An open store. Give it commands, take its answers from the receiver that came with it.
#[derive(Debug)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    finished: oneshot::Receiver<bool>,
}

/// The opener of the database file in a data folder.
#[must_use]
pub fn file_opener(data_dir: &Path, cache_bytes: usize) -> Opener {
    let path = data_dir.join(DATABASE_FILE);
    Box::new(move || {
        let shown = path.clone();
        let told = AtomicU32::new(0);
        Database::builder()
            .set_cache_size(cache_bytes)
            .set_repair_callback(move |session| {
                // Only without the state that `quick_repair` saves, which every commit of ours has.
                let percent = (session.progress() * 100.0) as u32;
                if percent >= told.load(Ordering::Relaxed) + 10 {
                    told.store(percent, Ordering::Relaxed);
                    tracing::warn!(path = %shown.display(), percent, "the database is being repaired");
                }
            })
            .create(&path)
    })
}

impl Store {
    /// Opens the database in `data_dir` and starts its thread.
    ///
    /// # Errors
    /// [`StoreError`], saying what to do.
    pub fn open(data_dir: &Path, cache_bytes: usize) -> Result<(Self, mpsc::Receiver<Input>), StoreError> {
        Self::open_with(file_opener(data_dir, cache_bytes), &data_dir.join(DATABASE_FILE))
    }

    /// As [`Self::open`], with whatever database `opener` opens; `path` is for error messages.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_with(mut opener: Opener, path: &Path) -> Result<(Self, mpsc::Receiver<Input>), StoreError> {
        let database = open_database(&mut opener).map_err(|error| match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::Locked(path.to_owned()),
            error => StoreError::Open {
                path: path.to_owned(),
                source: Box::new(error),
            },
        })?;
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        // One answer for each command, and at most one change of state for each round of many.
        let (results, answers) = mpsc::channel(COMMANDS_MAX);
        let (finish, finished) = oneshot::channel();
        let worker = Worker::new(opener, database, queue, results);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let _ = finish.send(worker.run());
            })?;
        Ok((Self { commands, finished }, answers))
    }

    /// Where commands go.
    #[must_use]
    pub fn commands(&self) -> &mpsc::Sender<Command> {
        &self.commands
    }

    /// Executes what was given, and closes the file. The answers must go on being taken meanwhile.
    ///
    /// Returns whether everything is on disk. It is not if the disk refuses it now.
    pub async fn close(self) -> bool {
        drop(self.commands);
        self.finished.await.unwrap_or(false)
    }
}

fn open_database(opener: &mut Opener) -> Result<Database, redb::Error> {
    let database = opener()?;
    tables::create_missing(&database)?;
    Ok(database)
}

#[cfg(test)]
pub(crate) mod disk;
#[cfg(test)]
mod tests;
