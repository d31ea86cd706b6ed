//! The ledger in a file of this relay: enough for a network with one index relay.
//!
//! One thread owns the file. It takes whatever waits, does it in order within one redb transaction, commits, and only then
//! answers: many claims at once cost one commit. Leases live in memory; the rows under them go when it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use protocol::codec;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::ledger::{Change, Check, Key, LeaseId, LedgerError, Outcome, Row, Txn};

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
        let database = Database::create(folder.join(FILE)).map_err(damaged)?;
        let (mut shelf, revision) = Shelf::new(database)?;
        shelf.drop_leased().map_err(damaged)?;
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

fn damaged(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Damaged(error.to_string())
}

struct Lease {
    ttl: Duration,
    until: Instant,
}

/// The file, on its thread.
struct Shelf {
    database: Database,
    leases: BTreeMap<i64, Lease>,
    last_lease: i64,
    tell: watch::Sender<u64>,
}

/// What a transaction of the file does.
struct Open<'t> {
    rows: Table<'t, &'static [u8], &'static [u8]>,
    revision: u64,
    changed: bool,
}

impl Shelf {
    fn new(database: Database) -> Result<(Self, watch::Receiver<u64>), LedgerError> {
        let read = || -> Result<u64, redb::Error> {
            let transaction = database.begin_write()?;
            let revision = {
                transaction.open_table(ROWS)?;
                let counts = transaction.open_table(COUNTS)?;
                counts.get(REVISION)?.map_or(0, |revision| revision.value())
            };
            transaction.commit()?;
            Ok(revision)
        };
        let (tell, revision) = watch::channel(read().map_err(damaged)?);
        let shelf = Self {
            database,
            leases: BTreeMap::new(),
            last_lease: 0,
            tell,
        };
        Ok((shelf, revision))
    }

    /// The leases of the last run are over.
    fn drop_leased(&mut self) -> Result<(), redb::Error> {
        self.drop_rows(|_| true)
    }

    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            let first = match inbox.recv_timeout(LEASES_EVERY) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(error) = self.end_leases() {
                tracing::error!(%error, "leases of the registry could not be ended");
            }
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
                Order::Txn(txn, reply) => txns.push((txn, reply)),
                Order::Scan {
                    prefix,
                    after,
                    limit,
                    reply,
                } => {
                    let rows = self.scan(&prefix, after.as_deref(), limit);
                    let _ = reply.send(rows.map_err(|error| LedgerError::Unavailable(error.to_string())));
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
                    self.leases.remove(&id);
                    let ended = self.drop_rows(|lease| lease == id);
                    let _ = reply.send(ended.map_err(|error| LedgerError::Unknown(error.to_string())));
                }
            }
        }
        if txns.is_empty() {
            return;
        }
        match self.commit(&txns) {
            Ok(outcomes) => {
                for ((_, reply), outcome) in txns.into_iter().zip(outcomes) {
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the registry's file takes no changes");
                for (_, reply) in txns {
                    let _ = reply.send(Err(LedgerError::Unknown(error.to_string())));
                }
            }
        }
    }

    /// Does all of them in order, each seeing what those before it did.
    fn commit(&self, txns: &[(Txn, Reply<Outcome>)]) -> Result<Vec<Outcome>, redb::Error> {
        self.write(|open| {
            let mut outcomes = Vec::with_capacity(txns.len());
            for (txn, _) in txns {
                outcomes.push(open.txn(txn, &self.leases)?);
            }
            Ok(outcomes)
        })
    }

    fn write<T>(&self, act: impl FnOnce(&mut Open<'_>) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let mut transaction = self.database.begin_write()?;
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
            let done = act(&mut open)?;
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

    fn end_leases(&mut self) -> Result<(), redb::Error> {
        let now = Instant::now();
        let over: Vec<i64> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.until <= now)
            .map(|(id, _)| *id)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        self.drop_rows(|lease| over.contains(&lease))?;
        self.leases.retain(|id, _| !over.contains(id));
        Ok(())
    }

    fn drop_rows(&self, of: impl Fn(i64) -> bool) -> Result<(), redb::Error> {
        self.write(|open| {
            let mut keys = Vec::new();
            // Only locks have leases, and they begin alike.
            for row in open.rows.range(super::rows::LOCKS..super::rows::LOCKS_END)? {
                let (key, value) = row?;
                let stored: Option<Stored> = codec::decode(value.value()).ok();
                if stored.and_then(|stored| stored.lease).is_some_and(&of) {
                    keys.push(key.value().to_vec());
                }
            }
            for key in keys {
                open.revision += 1;
                open.changed = true;
                open.rows.remove(key.as_slice())?;
            }
            Ok(())
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, redb::Error> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
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
    }
}

impl Open<'_> {
    fn row(&self, key: &[u8]) -> Result<Option<Stored>, redb::Error> {
        let value = self.rows.get(key)?;
        // What cannot be read is in nobody's way; it is replaced by the next who claims it.
        Ok(value.and_then(|value| codec::decode(value.value()).ok()))
    }

    fn holds(&self, check: &Check) -> Result<bool, redb::Error> {
        Ok(match check {
            Check::Absent(key) => self.row(key)?.is_none(),
            Check::Unchanged(key, revision) => self.row(key)?.is_some_and(|row| row.revision == *revision),
            Check::Created(key, revision) => self.row(key)?.is_some_and(|row| row.created == *revision),
        })
    }

    fn txn(&mut self, txn: &Txn, leases: &BTreeMap<i64, Lease>) -> Result<Outcome, redb::Error> {
        // A lease that is over writes nothing that would have to go again.
        let over = |change: &Change| match change {
            Change::Put { lease, .. } => lease.is_some_and(|LeaseId(id)| !leases.contains_key(&id)),
            Change::Delete(_) => false,
        };
        let mut holds = !txn.changes.iter().any(over);
        for check in &txn.checks {
            holds = holds && self.holds(check)?;
        }
        if !holds {
            let rows = txn.otherwise.iter().map(|key| self.row(key));
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
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
                    let created = self.row(key)?.map_or(self.revision, |row| row.created);
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
