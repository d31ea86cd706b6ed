//! The registry's store: rows that change in compare-and-write transactions.

use std::time::Duration;

mod embedded;
mod etcd;

pub use embedded::{Copied, Embedded, FOLDER as EMBEDDED_FOLDER};
pub use etcd::{Credentials, Etcd, EtcdAddress};

/// A row's key.
pub type Key = Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub value: Vec<u8>,
    /// The revision that created the key.
    pub created: u64,
    /// The revision of its last change.
    pub revision: u64,
}

/// The id of a lease. Rows written under it are deleted when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId(pub i64);

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The row does not exist.
    Absent(Key),
    /// The row's last change has this revision.
    Unchanged(Key, u64),
    /// The row was created by this revision: the fencing token of a lock.
    Created(Key, u64),
    /// The row does not exist, or its last change has this revision or a lower one.
    NotAfter(Key, u64),
}

/// A write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a row.
    Put {
        key: Key,
        /// The new value.
        value: Vec<u8>,
        /// The lease that the row belongs to, if any.
        lease: Option<LeaseId>,
    },
    /// Deletes a row, if it exists.
    Delete(Key),
}

/// A transaction: it takes effect as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// The conditions.
    pub checks: Vec<Check>,
    /// Writes to make if all conditions hold.
    pub changes: Vec<Change>,
    /// Rows to read in the same snapshot if one does not hold.
    pub otherwise: Vec<Key>,
}

/// The outcome of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// Committed durably at this revision.
    Done(u64),
    /// A condition did not hold. The rows of [`Txn::otherwise`].
    Refused(Vec<Option<Row>>),
}

/// Why a request to the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// The request had no effect.
    #[error("the registry cannot be reached: {0}")]
    Unavailable(String),
    /// The request may have taken effect.
    #[error("the registry's answer is lost: {0}")]
    Unknown(String),
    /// The stored data is malformed.
    #[error("the registry's data is damaged: {0}")]
    Damaged(String),
}

/// A store of either kind.
#[derive(Clone, Debug)]
pub enum TxnStore {
    /// On the disk of this relay.
    Embedded(Embedded),
    Etcd(Etcd),
}

impl TxnStore {
    /// Executes a transaction.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn txn(&self, txn: Txn) -> Result<TxnResult, TxnError> {
        match self {
            Self::Embedded(store) => store.txn(txn).await,
            Self::Etcd(store) => store.txn(txn).await,
        }
    }

    /// Reads rows from one snapshot.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn read(&self, keys: Vec<Key>) -> Result<Vec<Option<Row>>, TxnError> {
        // A check that never holds, since no row is created by revision 0: the rows of `otherwise` are returned.
        let never = Check::Created(b"never".to_vec(), u64::MAX);
        let txn = Txn {
            checks: vec![never],
            changes: Vec::new(),
            otherwise: keys,
        };
        match self.txn(txn).await? {
            TxnResult::Refused(rows) => Ok(rows),
            TxnResult::Done(_) => Err(TxnError::Damaged("a check that cannot hold did".to_owned())),
        }
    }

    /// Rows whose key begins with `prefix` and comes after `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Row)>, TxnError> {
        match self {
            Self::Embedded(store) => store.scan(prefix, after, limit).await,
            Self::Etcd(store) => store.scan(prefix, after, limit).await,
        }
    }

    /// Grants a lease that ends when it is not kept alive for this long.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn lease(&self, ttl: Duration) -> Result<LeaseId, TxnError> {
        match self {
            Self::Embedded(store) => store.lease(ttl).await,
            Self::Etcd(store) => store.lease(ttl).await,
        }
    }

    /// Keeps a lease alive. Returns whether it still exists.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<bool, TxnError> {
        match self {
            Self::Embedded(store) => store.keep_alive(lease).await,
            Self::Etcd(store) => store.keep_alive(lease).await,
        }
    }

    /// Ends a lease, which deletes its rows.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn end_lease(&self, lease: LeaseId) -> Result<(), TxnError> {
        match self {
            Self::Embedded(store) => store.end_lease(lease).await,
            Self::Etcd(store) => store.end_lease(lease).await,
        }
    }

    /// Waits until the row changes after this revision, or for some seconds. It may wake early: read the row
    /// afterwards.
    ///
    /// # Errors
    /// [`TxnError`].
    pub async fn watch(&self, key: &[u8], after: u64) -> Result<(), TxnError> {
        match self {
            Self::Embedded(store) => store.watch(key, after).await,
            Self::Etcd(store) => store.watch(key, after).await,
        }
    }
}
