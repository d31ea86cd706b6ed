//! The store on this relay's disk: enough for a network with one index relay.
//!
//! One thread owns the disk. It executes all queued transactions in order, commits them together, and then answers:
//! simultaneous claims share one commit. Reads see the last commit. Leases live in memory; rows under leases of an
//! earlier run are deleted at the start.
//!
//! When the disk is full or fails, writes are refused and nothing is acknowledged. Committed rows can still be read,
//! and the disk is reopened once it has space, since it accepts no writes after a failure. Writes are tried again
//! after a pause, which doubles until one succeeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use protocol::codec;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use native::clock::Monotonic;
use native::store::{self, Changes, Disk, DiskError, FjallDisk, Merged, Opener};

use super::{Change, Check, Key, LeaseId, Row, Txn, TxnError, TxnResult};

/// The store's folder in the data folder.
pub const FOLDER: &str = "names";
/// The folder of earlier versions, whose format this version cannot read.
const OLD_FILE: &str = "registry.redb";
/// Size of the block cache in bytes.
const CACHE_BYTES: usize = 8 << 20;
/// The key under which the revision of the last change is stored; no row of the registry has it.
const REVISION: &[u8] = b"revision";
/// Length of the queue of transactions. Policy when full: further ones are refused.
const WAITING_MAX: usize = 4_096;
/// Largest number of transactions in one commit.
const GROUP_MAX: usize = 1_024;
/// Interval between two checks for expired leases while the store is idle.
const LEASES_EVERY: Duration = Duration::from_millis(250);
/// First pause between two attempts to write to a failing disk: short, because most temporary failures end quickly.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Longest time that [`Embedded::watch`] waits.
const WATCH_MAX: Duration = Duration::from_secs(5);
/// Rows copied at once by a backup.
const COPIED_AT_ONCE: usize = 1_000;
/// By how much a restore raises the revision: more changes than there can be between a backup and the loss of the data.
const LOST_MAX: u64 = 1 << 32;

/// A handle to the thread. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Embedded {
    commands: SyncSender<Command>,
    revision: watch::Receiver<u64>,
}

/// What a store holds, for a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// All rows except locks, in order.
    pub rows: Vec<(Key, Row)>,
    /// The revision of the last change.
    pub revision: u64,
}

type Reply<T> = oneshot::Sender<Result<T, TxnError>>;

#[derive(Debug)]
enum Command {
    Txn(Txn, Reply<TxnResult>),
    Scan {
        prefix: Key,
        after: Option<Key>,
        limit: usize,
        reply: Reply<Vec<(Key, Row)>>,
    },
    Lease(Duration, Reply<LeaseId>),
    KeepAlive(LeaseId, Reply<bool>),
    EndLease(LeaseId, Reply<()>),
    Restore(Copied, Reply<()>),
}

/// A row as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    value: Vec<u8>,
    created: u64,
    revision: u64,
    lease: Option<i64>,
}

impl From<Stored> for Row {
    fn from(stored: Stored) -> Self {
        Self {
            value: stored.value,
            created: stored.created,
            revision: stored.revision,
        }
    }
}

impl Embedded {
    /// Opens the store in this folder, or creates it.
    ///
    /// # Errors
    /// When it cannot be opened, or is no store.
    pub fn open(folder: &Path) -> Result<Self, TxnError> {
        let old = folder.join(OLD_FILE);
        if old.exists() {
            return Err(TxnError::Damaged(format!(
                "{} holds names in the format of an older version; to keep them, run that version's `relay-node backup FILE`, move it away and run `relay-node restore FILE`",
                old.display()
            )));
        }
        let path = folder.join(FOLDER);
        let opener: Opener = Box::new(move || Ok(Box::new(FjallDisk::open(&path, CACHE_BYTES)?)));
        Self::open_with(opener, Monotonic::System)
    }

    /// As [`Self::open`], with the disk that `opener` opens, at the start and again after each failure, and the clock
    /// by which leases end and a failing disk is tried again.
    ///
    /// # Errors
    /// When it cannot be opened, or is no store.
    pub fn open_with(opener: Opener, clock: Monotonic) -> Result<Self, TxnError> {
        let (shelf, revision) = Shelf::open(opener, clock).map_err(broken)?;
        let (commands, inbox) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || shelf.run(&inbox))
            .map_err(|error| TxnError::Unavailable(error.to_string()))?;
        Ok(Self { commands, revision })
    }

    /// Resolves once the disk is closed, which it is when all clones of this are gone.
    pub async fn close(self) {
        let Self {
            commands,
            mut revision,
        } = self;
        drop(commands);
        // The thread drops its end last.
        while revision.changed().await.is_ok() {}
    }

    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, TxnError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .try_send(command(reply))
            .map_err(|error| match error {
                TrySendError::Full(_) => TxnError::Unavailable("the queue of the disk is full".to_owned()),
                TrySendError::Disconnected(_) => {
                    TxnError::Unavailable("the store's thread has ended".to_owned())
                }
            })?;
        let gone = |_| Err(TxnError::Unknown("the store's thread has ended".to_owned()));
        answer.await.unwrap_or_else(gone)
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<TxnResult, TxnError> {
        self.command(|reply| Command::Txn(txn, reply)).await
    }

    /// A copy of the store for a backup, without locks, which end with the process.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn copy(&self) -> Result<Copied, TxnError> {
        let mut rows: Vec<(Key, Row)> = Vec::new();
        loop {
            let after = rows.last().map(|(key, _)| key.clone());
            let part = self.scan(b"", after.as_deref(), COPIED_AT_ONCE).await?;
            if part.is_empty() {
                break;
            }
            rows.extend(part);
        }
        rows.retain(|(key, _)| !key.starts_with(super::super::schema::LOCKS));
        // A change whose answer was lost is seen by its rows first.
        let seen = rows.iter().map(|(_, row)| row.revision).max();
        let revision = seen.unwrap_or(0).max(*self.revision.borrow());
        Ok(Copied { rows, revision })
    }

    /// Restores a copy into an empty store. Later changes get higher revisions than any that was made after the copy
    /// and is lost.
    ///
    /// # Errors
    /// [`TxnError`]; then nothing is set, unless the result is unknown.
    pub async fn restore(&self, copied: Copied) -> Result<(), TxnError> {
        self.command(|reply| Command::Restore(copied, reply)).await
    }

    /// See [`super::TxnStore::scan`].
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, TxnError> {
        let (prefix, after) = (prefix.to_vec(), after.map(<[u8]>::to_vec));
        self.command(|reply| Command::Scan {
            prefix,
            after,
            limit,
            reply,
        })
        .await
    }

    pub(super) async fn lease(&self, ttl: Duration) -> Result<LeaseId, TxnError> {
        self.command(|reply| Command::Lease(ttl, reply)).await
    }

    pub(super) async fn keep_alive(&self, lease: LeaseId) -> Result<bool, TxnError> {
        self.command(|reply| Command::KeepAlive(lease, reply)).await
    }

    pub(super) async fn end_lease(&self, lease: LeaseId) -> Result<(), TxnError> {
        self.command(|reply| Command::EndLease(lease, reply)).await
    }

    /// Every change wakes all watchers, which then read their row again.
    pub(super) async fn watch(&self, _key: &[u8], after: u64) -> Result<(), TxnError> {
        let mut revision = self.revision.clone();
        let changed = revision.wait_for(|revision| *revision > after);
        match tokio::time::timeout(WATCH_MAX, changed).await {
            Ok(Err(_)) => Err(TxnError::Unavailable("the store's thread has ended".to_owned())),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

/// The disk may come back; a folder that is none of ours does not.
fn broken(error: DiskError) -> TxnError {
    match error {
        DiskError::Damaged(why) => TxnError::Damaged(why),
        error => TxnError::Unavailable(error.to_string()),
    }
}

fn unavailable(error: impl std::fmt::Display) -> TxnError {
    TxnError::Unavailable(error.to_string())
}

struct Lease {
    ttl: Duration,
    until: Instant,
}

/// The disk, on its thread.
struct Shelf {
    clock: Monotonic,
    opener: Opener,
    /// `None`: it could not be opened; the next access tries again.
    disk: Option<Box<dyn Disk + Send>>,
    /// It refuses writes: it is only read until it can be reopened.
    broken: bool,
    /// The revision of the last change.
    revision: u64,
    leases: BTreeMap<i64, Lease>,
    last_lease: i64,
    /// The store may hold rows of leases that have ended.
    leftovers: bool,
    /// After a failed change: the reason, and when changes are tried again.
    refuses: Option<(String, Instant)>,
    retry: Duration,
    /// Dropped last, after the disk: [`Embedded::close`] waits for it.
    tell: watch::Sender<u64>,
}

/// What a group of transactions sees and changes.
struct Open<'d> {
    disk: &'d dyn Disk,
    changes: Changes,
    revision: u64,
}

impl Shelf {
    fn open(mut opener: Opener, clock: Monotonic) -> Result<(Self, watch::Receiver<u64>), DiskError> {
        let disk = opener()?;
        let revision = revision(disk.as_ref())?;
        let leased = leased(disk.as_ref(), &Changes::new())?;
        let (tell, told) = watch::channel(revision);
        let shelf = Self {
            clock,
            opener,
            disk: Some(disk),
            broken: false,
            revision,
            leases: BTreeMap::new(),
            // The ids of leases of earlier runs are not reused.
            last_lease: leased.iter().map(|(_, lease)| *lease).max().unwrap_or(0),
            leftovers: !leased.is_empty(),
            refuses: None,
            retry: RETRY_FIRST,
            tell,
        };
        Ok((shelf, told))
    }

    /// The disk for writing, reopened after a failure.
    fn writable(&mut self) -> Result<Box<dyn Disk + Send>, DiskError> {
        match self.disk.take() {
            Some(disk) if !self.broken => return Ok(disk),
            Some(disk) if !disk.has_room() => {
                // Reopening needs free space; until then the disk can at least be read.
                self.disk = Some(disk);
                return Err(DiskError::Full("it still is".into()));
            }
            // Close it first: the disk can be open only once.
            before => drop(before),
        }
        self.reopen()
    }

    fn reopen(&mut self) -> Result<Box<dyn Disk + Send>, DiskError> {
        let disk = (self.opener)()?;
        // The failed commit may have taken effect.
        self.revision = revision(disk.as_ref())?;
        self.tell.send_replace(self.revision);
        self.broken = false;
        Ok(disk)
    }

    /// The disk for reading: its last committed state.
    fn readable(&mut self) -> Result<&dyn Disk, DiskError> {
        let disk = match self.disk.take() {
            Some(disk) => disk,
            None => self.reopen()?,
        };
        Ok(&**self.disk.insert(disk))
    }

    fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let first = match inbox.recv_timeout(LEASES_EVERY) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.end_leases();
            let Some(first) = first else { continue };
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                let Ok(next) = inbox.try_recv() else { break };
                group.push(next);
            }
            self.execute(group);
        }
    }

    fn execute(&mut self, group: Vec<Command>) {
        let mut txns = Vec::new();
        for command in group {
            match command {
                Command::Txn(txn, reply) if txn.changes.is_empty() => {
                    let _ = reply.send(self.look(&txn).map_err(unavailable));
                }
                Command::Txn(txn, reply) => txns.push((txn, reply)),
                Command::Scan {
                    prefix,
                    after,
                    limit,
                    reply,
                } => {
                    let rows = self.scan(&prefix, after.as_deref(), limit);
                    let _ = reply.send(rows.map_err(unavailable));
                }
                Command::Restore(copied, reply) => {
                    let _ = reply.send(self.restore(copied).map_err(unavailable));
                }
                Command::Lease(ttl, reply) => {
                    self.last_lease += 1;
                    let until = self.clock.now() + ttl;
                    self.leases.insert(self.last_lease, Lease { ttl, until });
                    let _ = reply.send(Ok(LeaseId(self.last_lease)));
                }
                Command::KeepAlive(LeaseId(id), reply) => {
                    let lease = self.leases.get_mut(&id);
                    let lives = lease.is_some();
                    if let Some(lease) = lease {
                        lease.until = self.clock.now() + lease.ttl;
                    }
                    let _ = reply.send(Ok(lives));
                }
                Command::EndLease(LeaseId(id), reply) => {
                    self.leftovers |= self.leases.remove(&id).is_some();
                    self.end_leases();
                    let _ = reply.send(match (&self.refuses, self.leftovers) {
                        (Some((why, _)), true) => Err(unavailable(why)),
                        _ => Ok(()),
                    });
                }
            }
        }
        if txns.is_empty() {
            return;
        }
        if let Some(why) = self.refuses_now() {
            for (_, reply) in txns {
                let _ = reply.send(Err(unavailable(&why)));
            }
            return;
        }
        match self.commit(&txns) {
            Ok(results) => {
                for ((_, reply), result) in txns.into_iter().zip(results) {
                    let _ = reply.send(Ok(result));
                }
            }
            Err(error) => {
                for (_, reply) in txns {
                    let _ = reply.send(Err(TxnError::Unknown(error.to_string())));
                }
            }
        }
    }

    /// Why changes are refused at the moment, if they are.
    fn refuses_now(&self) -> Option<String> {
        let (why, until) = self.refuses.as_ref()?;
        (self.clock.now() < *until).then(|| why.clone())
    }

    /// What a transaction that changes nothing sees.
    fn look(&mut self, txn: &Txn) -> Result<TxnResult, DiskError> {
        let open = Open {
            revision: 0,
            changes: Changes::new(),
            disk: self.readable()?,
        };
        match open.holds(&txn.checks)? {
            true => Ok(TxnResult::Done(0)),
            false => open.refused(txn),
        }
    }

    /// Executes all transactions in order; each sees the changes of those before it.
    fn commit(&mut self, txns: &[(Txn, Reply<TxnResult>)]) -> Result<Vec<TxnResult>, DiskError> {
        self.write(|open, leases| {
            let mut results = Vec::with_capacity(txns.len());
            for (txn, _) in txns {
                results.push(open.txn(txn, leases)?);
            }
            Ok(results)
        })
    }

    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut Open<'_>, &BTreeMap<i64, Lease>) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let written = self.try_write(act);
        match &written {
            Ok(_) => {
                self.retry = RETRY_FIRST;
                if self.refuses.take().is_some() {
                    tracing::info!("registry store writable again");
                }
            }
            Err(error) => {
                self.broken = true;
                if self.refuses.is_none() {
                    tracing::error!(%error, "registry store not writable; retrying");
                }
                self.refuses = Some((error.to_string(), self.clock.now() + self.retry));
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
        }
        written
    }

    fn try_write<T>(
        &mut self,
        act: impl FnOnce(&mut Open<'_>, &BTreeMap<i64, Lease>) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let disk = self.writable()?;
        let mut open = Open {
            disk: disk.as_ref(),
            changes: Changes::new(),
            revision: self.revision,
        };
        let done = act(&mut open, &self.leases);
        let Open {
            mut changes,
            revision,
            ..
        } = open;
        let committed = match &done {
            Ok(_) if !changes.is_empty() => {
                changes.insert(REVISION.to_vec(), Some(codec::encode(&revision)));
                disk.commit(&changes).map(|()| true)
            }
            _ => Ok(false),
        };
        self.disk = Some(disk);
        if committed? {
            self.revision = revision;
            self.tell.send_replace(revision);
        }
        done
    }

    /// Ends leases that were not kept alive and deletes their rows. If the disk refuses, a later call tries again.
    fn end_leases(&mut self) {
        let now = self.clock.now();
        let before = self.leases.len();
        self.leases.retain(|_, lease| lease.until > now);
        self.leftovers |= self.leases.len() < before;
        if self.leftovers && self.refuses_now().is_none() {
            self.leftovers = self.drop_leftovers().is_err();
        }
    }

    fn drop_leftovers(&mut self) -> Result<(), DiskError> {
        self.write(|open, leases| {
            for (key, lease) in leased(open.disk, &open.changes)? {
                if !leases.contains_key(&lease) {
                    open.revision += 1;
                    open.changes.insert(key, None);
                }
            }
            Ok(())
        })
    }

    fn restore(&mut self, copied: Copied) -> Result<(), DiskError> {
        if !self.scan(b"", None, 1)?.is_empty() {
            return Err(DiskError::Damaged("the store is not empty".to_owned()));
        }
        self.write(|open, _| {
            open.revision = copied.revision;
            for (key, row) in copied.rows {
                open.revision = open.revision.max(row.revision);
                let stored = Stored {
                    value: row.value,
                    created: row.created,
                    revision: row.revision,
                    lease: None,
                };
                open.changes.insert(key, Some(codec::encode(&stored)));
            }
            open.revision = open.revision.saturating_add(LOST_MAX);
            Ok(())
        })
    }

    fn scan(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, DiskError> {
        let none = Changes::new();
        let start = after.unwrap_or(prefix).to_vec();
        let mut rows = Merged::new(self.readable()?, &none, start, after_all(prefix), false)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((key, value)) = rows.next_row()?
        {
            if Some(key.as_slice()) != after
                && let Ok(stored) = codec::decode::<Stored>(&value)
            {
                found.push((key, stored.into()));
            }
        }
        Ok(found)
    }
}

/// The first key after all that begin with `prefix`, whose last byte is not the highest.
fn after_all(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    end
}

/// Reads the revision of the last change from a disk.
fn revision(disk: &dyn Disk) -> Result<u64, DiskError> {
    let Some(stored) = disk.get(REVISION)? else {
        return Ok(0);
    };
    codec::decode(&stored).map_err(|_| DiskError::Damaged("the stored revision is malformed".to_owned()))
}

/// The rows that are deleted with a lease. Only locks have leases, and all locks have the same prefix.
fn leased(disk: &dyn Disk, changes: &Changes) -> Result<Vec<(Key, i64)>, DiskError> {
    let (start, end) = (
        super::super::schema::LOCKS.to_vec(),
        super::super::schema::LOCKS_END.to_vec(),
    );
    let mut rows = Merged::new(disk, changes, start, end, false)?;
    let mut found = Vec::new();
    while let Some((key, value)) = rows.next_row()? {
        let stored: Option<Stored> = codec::decode(&value).ok();
        if let Some(lease) = stored.and_then(|stored| stored.lease) {
            found.push((key, lease));
        }
    }
    Ok(found)
}

impl Open<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<Stored>, DiskError> {
        let value = store::value(self.disk, &self.changes, key)?;
        // A malformed lock does not block others; the next claim replaces it.
        Ok(value.and_then(|value| codec::decode(&value).ok()))
    }

    fn holds(&self, checks: &[Check]) -> Result<bool, DiskError> {
        for check in checks {
            let holds = match check {
                Check::Absent(key) => self.row(key)?.is_none(),
                Check::Unchanged(key, revision) => {
                    self.row(key)?.is_some_and(|row| row.revision == *revision)
                }
                Check::Created(key, revision) => self.row(key)?.is_some_and(|row| row.created == *revision),
                Check::NotAfter(key, revision) => self.row(key)?.is_none_or(|row| row.revision <= *revision),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn refused(&self, txn: &Txn) -> Result<TxnResult, DiskError> {
        let rows = txn.otherwise.iter().map(|key| self.row(key));
        let rows = rows.map(|row| row.map(|row| row.map(Row::from)));
        Ok(TxnResult::Refused(rows.collect::<Result<_, _>>()?))
    }

    fn txn(&mut self, txn: &Txn, leases: &BTreeMap<i64, Lease>) -> Result<TxnResult, DiskError> {
        // A write under an ended lease is refused: its row would have to be deleted at once.
        let over = |change: &Change| match change {
            Change::Put { lease, .. } => lease.is_some_and(|LeaseId(id)| !leases.contains_key(&id)),
            Change::Delete(_) => false,
        };
        if txn.changes.iter().any(over) || !self.holds(&txn.checks)? {
            return self.refused(txn);
        }
        self.revision += 1;
        for change in &txn.changes {
            match change {
                Change::Delete(key) => drop(self.changes.insert(key.clone(), None)),
                Change::Put { key, value, lease } => {
                    let created = self.row(key)?.map_or(self.revision, |row| row.created);
                    let stored = Stored {
                        value: value.clone(),
                        created,
                        revision: self.revision,
                        lease: lease.map(|LeaseId(id)| id),
                    };
                    self.changes.insert(key.clone(), Some(codec::encode(&stored)));
                }
            }
        }
        Ok(TxnResult::Done(self.revision))
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
