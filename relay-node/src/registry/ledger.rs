//! What the registry is kept in: rows that change in transactions which compare before they write.

use std::time::Duration;

use super::{Embedded, Etcd};

/// A row's key.
pub type Key = Vec<u8>;

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its value.
    pub value: Vec<u8>,
    /// The revision of the change that made the key.
    pub created: u64,
    /// The revision of the last change to it.
    pub revision: u64,
}

/// Names a lease: rows written under it go when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId(pub i64);

/// What must be so for a transaction to take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// There is no such row.
    Absent(Key),
    /// The row was last changed by this revision.
    Unchanged(Key, u64),
    /// The row was made by this revision: the fence of a lock.
    Created(Key, u64),
    /// There is no such row, or it was last changed by this revision or an earlier one.
    NotAfter(Key, u64),
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a row.
    Put {
        /// Which.
        key: Key,
        /// To what.
        value: Vec<u8>,
        /// Under which lease, if any.
        lease: Option<LeaseId>,
    },
    /// Removes a row; there may be none.
    Delete(Key),
}

/// All or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All of these must hold.
    pub checks: Vec<Check>,
    /// Then all of this is done,
    pub changes: Vec<Change>,
    /// else these rows are read, in the same moment.
    pub otherwise: Vec<Key>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, durably, at this revision.
    Done(u64),
    /// A check did not hold; the rows asked for.
    Refused(Vec<Option<Row>>),
}

/// Why a ledger did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Nothing happened.
    #[error("the registry cannot be reached: {0}")]
    Unavailable(String),
    /// It is not known whether it happened.
    #[error("the registry's answer is lost: {0}")]
    Unknown(String),
    /// What is stored there is not what a registry writes.
    #[error("the registry's data is damaged: {0}")]
    Damaged(String),
}

/// A ledger of either kind.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// In a file of this relay.
    Embedded(Embedded),
    /// In etcd.
    Etcd(Etcd),
}

impl Ledger {
    /// Does a transaction.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn txn(&self, txn: Txn) -> Result<Outcome, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.txn(txn).await,
            Self::Etcd(ledger) => ledger.txn(txn).await,
        }
    }

    /// Reads rows, all in the same moment.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn read(&self, keys: Vec<Key>) -> Result<Vec<Option<Row>>, LedgerError> {
        // A check that never holds: no row is made by revision 0.
        let never = Check::Created(b"never".to_vec(), u64::MAX);
        let txn = Txn {
            checks: vec![never],
            changes: Vec::new(),
            otherwise: keys,
        };
        match self.txn(txn).await? {
            Outcome::Refused(rows) => Ok(rows),
            Outcome::Done(_) => Err(LedgerError::Damaged("a check that cannot hold did".to_owned())),
        }
    }

    /// Rows whose key begins with `prefix` and comes after `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.scan(prefix, after, limit).await,
            Self::Etcd(ledger) => ledger.scan(prefix, after, limit).await,
        }
    }

    /// A lease that ends when it is not kept alive for this long.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn lease(&self, ttl: Duration) -> Result<LeaseId, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.lease(ttl).await,
            Self::Etcd(ledger) => ledger.lease(ttl).await,
        }
    }

    /// Keeps a lease alive; whether it still lives.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<bool, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.keep_alive(lease).await,
            Self::Etcd(ledger) => ledger.keep_alive(lease).await,
        }
    }

    /// Ends a lease: its rows go.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn end_lease(&self, lease: LeaseId) -> Result<(), LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.end_lease(lease).await,
            Self::Etcd(ledger) => ledger.end_lease(lease).await,
        }
    }

    /// Waits until the row changes after this revision, or for a while. Whoever waits looks again afterwards.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn watch(&self, key: &[u8], after: u64) -> Result<(), LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.watch(key, after).await,
            Self::Etcd(ledger) => ledger.watch(key, after).await,
        }
    }
}
