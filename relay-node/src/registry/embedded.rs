//! The ledger in a file of this relay: enough for a network with one index relay.
//!
//! One thread owns the file. It takes whatever waits, does it in order within one redb transaction, commits, and only then
//! answers: many claims at once cost one commit. What changes nothing is read from the last commit. Leases live in memory; the
//! rows under those of the last run go when it starts.
//!
//! When the disk refuses (full, or worse), changes are refused and nothing is acknowledged; the file is opened anew, since redb
//! takes nothing after a failure, and reading goes on. Changes are tried again after a pause, and the first that succeeds
//! ends it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use protocol::codec;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase as _, ReadableTable, Table, TableDefinition,
    TableError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::ledger::{Change, Check, Key, LeaseId, LedgerError, Outcome, Row, Txn};

/// Opens the database, at the start and again after each failure.
pub(super) type Opener = Box<dyn FnMut() -> Result<Database, redb::DatabaseError> + Send>;

/// The file, in the data folder.
pub const FILE: &str = "registry.redb";
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const COUNTS: TableDefinition<'static, &str, u64> = TableDefinition::new("counts");
const REVISION: &str = "revision";
/// Transactions waiting; more are refused.
const WAITING_MAX: usize = 4_096;
/// Transactions in one commit.
const GROUP_MAX: usize = 1_024;
/// How often leases are looked at when nothing else happens.
const LEASES_EVERY: Duration = Duration::from_millis(250);
/// Between two attempts to change something on a disk that refuses: short at first, since most failures that pass do so
/// quickly.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long [`Embedded::watch`] waits at most.
const WATCH_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Debug)]
pub struct Embedded {
    orders: SyncSender<Order>,
    revision: watch::Receiver<u64>,
}

type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

#[derive(Debug)]
enum Order {
    Txn(Txn, Reply<Outcome>),
    Scan {
        prefix: Key,
        after: Option<Key>,
        limit: usize,
        reply: Reply<Vec<(Key, Row)>>,
    },
    Lease(Duration, Reply<LeaseId>),
    KeepAlive(LeaseId, Reply<bool>),
    EndLease(LeaseId, Reply<()>),
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
    /// Opens the ledger in this folder, or makes it.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no ledger.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join(FILE);
        Self::open_with(Box::new(move || Database::create(&path)))
    }

    /// As [`Self::open`], with whatever database `opener` opens, at the start and again after each failure.
    ///
    /// # Errors
    /// When it cannot be opened, or is no ledger.
    pub fn open_with(opener: Opener) -> Result<Self, LedgerError> {
        let (shelf, revision) = Shelf::open(opener).map_err(broken)?;
        let (orders, inbox) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || shelf.run(&inbox))
            .map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        Ok(Self { orders, revision })
    }

    async fn order<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(order(reply)).map_err(|error| match error {
            TrySendError::Full(_) => LedgerError::Unavailable("too much waits for the disk".to_owned()),
            TrySendError::Disconnected(_) => LedgerError::Unavailable("its thread ended".to_owned()),
        })?;
        let gone = |_| Err(LedgerError::Unknown("its thread ended".to_owned()));
        answer.await.unwrap_or_else(gone)
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<Outcome, LedgerError> {
        self.order(|reply| Order::Txn(txn, reply)).await
    }

    /// Sets rows of a backup that are not there yet.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn fill(&self, rows: Vec<(Key, Vec<u8>)>) -> Result<(), LedgerError> {
        for (key, value) in rows {
            let put = Change::Put {
                key: key.clone(),
                value,
                lease: None,
            };
            let txn = Txn {
                checks: vec![Check::Absent(key)],
                changes: vec![put],
                otherwise: Vec::new(),
            };
            self.txn(txn).await?;
        }
        Ok(())
    }

    /// See [`super::Ledger::scan`].
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, LedgerError> {
        let (prefix, after) = (prefix.to_vec(), after.map(<[u8]>::to_vec));
        self.order(|reply| Order::Scan {
            prefix,
            after,
            limit,
            reply,
        })
        .await
    }

    pub(super) async fn lease(&self, ttl: Duration) -> Result<LeaseId, LedgerError> {
        self.order(|reply| Order::Lease(ttl, reply)).await
    }

    pub(super) async fn keep_alive(&self, lease: LeaseId) -> Result<bool, LedgerError> {
        self.order(|reply| Order::KeepAlive(lease, reply)).await
    }

    pub(super) async fn end_lease(&self, lease: LeaseId) -> Result<(), LedgerError> {
        self.order(|reply| Order::EndLease(lease, reply)).await
    }

    /// Any change wakes: there is one file, and whoever waits looks again.
    pub(super) async fn watch(&self, _key: &[u8], after: u64) -> Result<(), LedgerError> {
        let mut revision = self.revision.clone();
        let changed = revision.wait_for(|revision| *revision > after);
        match tokio::time::timeout(WATCH_MAX, changed).await {
            Ok(Err(_)) => Err(LedgerError::Unavailable("its thread ended".to_owned())),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

/// The disk may come back; a file that is none of ours does not.
fn broken(error: redb::Error) -> LedgerError {
    match error {
        redb::Error::Io(error) => LedgerError::Unavailable(error.to_string()),
        error => LedgerError::Damaged(error.to_string()),
    }
}

fn unavailable(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}

struct Lease {
    ttl: Duration,
    until: Instant,
}

/// The file, on its thread.
struct Shelf {
    opener: Opener,
    /// `None`: it failed, and is opened anew at the next need.
    database: Option<Database>,
    leases: BTreeMap<i64, Lease>,
    last_lease: i64,
    /// Rows of leases that are over may be there.
    leftovers: bool,
    /// Since the last change failed: why, and when changes are tried again.
    refuses: Option<(String, Instant)>,
    retry: Duration,
    tell: watch::Sender<u64>,
}

/// What a transaction of the file does.
struct Open<'t> {
    rows: Table<'t, &'static [u8], &'static [u8]>,
    revision: u64,
    changed: bool,
}

impl Shelf {
    fn open(mut opener: Opener) -> Result<(Self, watch::Receiver<u64>), redb::Error> {
        let database = opener()?;
        let before = {
            let read = database.begin_read()?;
            let counts = match read.open_table(COUNTS) {
                Ok(counts) => Some((counts, read.open_table(ROWS)?)),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            };
            match counts {
                Some((counts, rows)) => {
                    let revision = counts.get(REVISION)?.map_or(0, |revision| revision.value());
                    Some((revision, leased(&rows)?))
                }
                None => None,
            }
        };
        if before.is_none() {
            let write = database.begin_write()?;
            write.open_table(ROWS)?;
            write.open_table(COUNTS)?;
            write.commit()?;
        }
        let (revision, leased) = before.unwrap_or_default();
        let (tell, told) = watch::channel(revision);
        let shelf = Self {
            opener,
            database: Some(database),
            leases: BTreeMap::new(),
            // Those of the last run are other ones.
            last_lease: leased.iter().map(|(_, lease)| *lease).max().unwrap_or(0),
            leftovers: !leased.is_empty(),
            refuses: None,
            retry: RETRY_FIRST,
            tell,
        };
        Ok((shelf, told))
    }

    /// The file, opened anew if it failed.
    fn database(&mut self) -> Result<&Database, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)()?,
        };
        Ok(self.database.insert(database))
    }

    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            let first = match inbox.recv_timeout(LEASES_EVERY) {
                Ok(order) => Some(order),
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

    fn execute(&mut self, group: Vec<Order>) {
        let mut txns = Vec::new();
        for order in group {
            match order {
                Order::Txn(txn, reply) if txn.changes.is_empty() => {
                    let _ = reply.send(self.look(&txn).map_err(unavailable));
                }
                Order::Txn(txn, reply) => txns.push((txn, reply)),
                Order::Scan {
                    prefix,
                    after,
                    limit,
                    reply,
                } => {
                    let rows = self.scan(&prefix, after.as_deref(), limit);
                    let _ = reply.send(rows.map_err(unavailable));
                }
                Order::Lease(ttl, reply) => {
                    self.last_lease += 1;
                    let until = Instant::now() + ttl;
                    self.leases.insert(self.last_lease, Lease { ttl, until });
                    let _ = reply.send(Ok(LeaseId(self.last_lease)));
                }
                Order::KeepAlive(LeaseId(id), reply) => {
                    let lease = self.leases.get_mut(&id);
                    let lives = lease.is_some();
                    if let Some(lease) = lease {
                        lease.until = Instant::now() + lease.ttl;
                    }
                    let _ = reply.send(Ok(lives));
                }
                Order::EndLease(LeaseId(id), reply) => {
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
            Ok(outcomes) => {
                for ((_, reply), outcome) in txns.into_iter().zip(outcomes) {
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                for (_, reply) in txns {
                    let _ = reply.send(Err(LedgerError::Unknown(error.to_string())));
                }
            }
        }
    }

    /// Why nothing is changed for the moment.
    fn refuses_now(&self) -> Option<String> {
        let (why, until) = self.refuses.as_ref()?;
        (Instant::now() < *until).then(|| why.clone())
    }

    /// What a transaction that changes nothing sees.
    fn look(&mut self, txn: &Txn) -> Result<Outcome, redb::Error> {
        self.read(|rows| {
            for check in &txn.checks {
                if !holds(rows, check)? {
                    let rows = txn.otherwise.iter().map(|key| row(rows, key));
                    let rows = rows.collect::<Result<Vec<_>, redb::Error>>()?;
                    let rows = rows.into_iter().map(|row| row.map(Row::from)).collect();
                    return Ok(Outcome::Refused(rows));
                }
            }
            Ok(Outcome::Done(0))
        })
    }

    /// Does all of them in order, each seeing what those before it did.
    fn commit(&mut self, txns: &[(Txn, Reply<Outcome>)]) -> Result<Vec<Outcome>, redb::Error> {
        self.write(|open, leases| {
            let mut outcomes = Vec::with_capacity(txns.len());
            for (txn, _) in txns {
                outcomes.push(open.txn(txn, leases)?);
            }
            Ok(outcomes)
        })
    }

    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut Open<'_>, &BTreeMap<i64, Lease>) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let written = self.try_write(act);
        match &written {
            Ok(_) => {
                self.retry = RETRY_FIRST;
                if self.refuses.take().is_some() {
                    tracing::info!("the registry's file takes changes again");
                }
            }
            Err(error) => {
                self.database = None;
                if self.refuses.is_none() {
                    tracing::error!(%error, "the registry's file takes no changes; it is tried again");
                }
                self.refuses = Some((error.to_string(), Instant::now() + self.retry));
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
        }
        written
    }

    fn try_write<T>(
        &mut self,
        act: impl FnOnce(&mut Open<'_>, &BTreeMap<i64, Lease>) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let mut transaction = self.database()?.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        let (done, changed, revision) = {
            let mut counts = transaction.open_table(COUNTS)?;
            let revision = counts.get(REVISION)?.map_or(0, |revision| revision.value());
            let mut open = Open {
                rows: transaction.open_table(ROWS)?,
                revision,
                changed: false,
            };
            let done = act(&mut open, &self.leases)?;
            let (changed, revision) = (open.changed, open.revision);
            drop(open);
            if changed {
                counts.insert(REVISION, revision)?;
            }
            (done, changed, revision)
        };
        if changed {
            transaction.commit()?;
            self.tell.send_replace(revision);
        } else {
            transaction.abort()?;
        }
        Ok(done)
    }

    /// Ends leases that were not kept alive, and drops the rows under those that are over. If the disk refuses, later.
    fn end_leases(&mut self) {
        let now = Instant::now();
        let before = self.leases.len();
        self.leases.retain(|_, lease| lease.until > now);
        self.leftovers |= self.leases.len() < before;
        if self.leftovers && self.refuses_now().is_none() {
            self.leftovers = self.drop_leftovers().is_err();
        }
    }

    fn drop_leftovers(&mut self) -> Result<(), redb::Error> {
        self.write(|open, leases| {
            for (key, lease) in leased(&open.rows)? {
                if !leases.contains_key(&lease) {
                    open.revision += 1;
                    open.changed = true;
                    open.rows.remove(key.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Reads what was last committed; of a file that failed meanwhile, once more after opening it anew.
    fn read<T>(
        &mut self,
        act: impl Fn(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let read = |database: &Database| act(&database.begin_read()?.open_table(ROWS)?);
        let seen = read(self.database()?);
        if seen.is_ok() {
            return seen;
        }
        self.database = None;
        read(self.database()?)
    }

    fn scan(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, redb::Error> {
        self.read(|rows| {
            let mut found = Vec::new();
            for row in rows.range(after.unwrap_or(prefix)..)? {
                let (key, value) = row?;
                if !key.value().starts_with(prefix) || found.len() >= limit {
                    break;
                }
                if Some(key.value()) != after
                    && let Ok(stored) = codec::decode::<Stored>(value.value())
                {
                    found.push((key.value().to_vec(), stored.into()));
                }
            }
            Ok(found)
        })
    }
}

fn row(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Stored>, redb::Error> {
    let value = rows.get(key)?;
    // What cannot be read is in nobody's way; it is replaced by the next who claims it.
    Ok(value.and_then(|value| codec::decode(value.value()).ok()))
}

fn holds(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    check: &Check,
) -> Result<bool, redb::Error> {
    Ok(match check {
        Check::Absent(key) => row(rows, key)?.is_none(),
        Check::Unchanged(key, revision) => row(rows, key)?.is_some_and(|row| row.revision == *revision),
        Check::Created(key, revision) => row(rows, key)?.is_some_and(|row| row.created == *revision),
    })
}

/// Rows that go with a lease. Only locks have leases, and they begin alike.
fn leased(rows: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Vec<(Key, i64)>, redb::Error> {
    let mut found = Vec::new();
    for row in rows.range(super::rows::LOCKS..super::rows::LOCKS_END)? {
        let (key, value) = row?;
        let stored: Option<Stored> = codec::decode(value.value()).ok();
        if let Some(lease) = stored.and_then(|stored| stored.lease) {
            found.push((key.value().to_vec(), lease));
        }
    }
    Ok(found)
}

impl Open<'_> {
    fn txn(&mut self, txn: &Txn, leases: &BTreeMap<i64, Lease>) -> Result<Outcome, redb::Error> {
        // A lease that is over writes nothing that would have to go again.
        let over = |change: &Change| match change {
            Change::Put { lease, .. } => lease.is_some_and(|LeaseId(id)| !leases.contains_key(&id)),
            Change::Delete(_) => false,
        };
        let mut holds = !txn.changes.iter().any(over);
        for check in &txn.checks {
            holds = holds && self::holds(&self.rows, check)?;
        }
        if !holds {
            let rows = txn.otherwise.iter().map(|key| row(&self.rows, key));
            let rows = rows.collect::<Result<Vec<_>, redb::Error>>()?;
            return Ok(Outcome::Refused(
                rows.into_iter().map(|row| row.map(Row::from)).collect(),
            ));
        }
        self.revision += 1;
        self.changed = true;
        for change in &txn.changes {
            match change {
                Change::Delete(key) => drop(self.rows.remove(key.as_slice())?),
                Change::Put { key, value, lease } => {
                    let created = row(&self.rows, key)?.map_or(self.revision, |row| row.created);
                    let stored = Stored {
                        value: value.clone(),
                        created,
                        revision: self.revision,
                        lease: lease.map(|LeaseId(id)| id),
                    };
                    self.rows
                        .insert(key.as_slice(), codec::encode(&stored).as_slice())?;
                }
            }
        }
        Ok(Outcome::Done(self.revision))
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
