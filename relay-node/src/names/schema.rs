//! The registry's rows: whose a name or slug is, what an account or a post has, how many slugs an account has.
//!
//! | key | value |
//! |---|---|
//! | `n/` skeleton of a name, `s/` skeleton of a slug | [`Holding`] |
//! | `a/` account, `p/` post | the key of its name's or slug's row |
//! | `c/` account | how many rows under `s/` are this account's, those that rest among them |
//! | `l/` lock | who holds it |
//! | `key`, `swept` | the secret key; when and by whom rows were last looked through |
//! | `forgot` | nothing: its revision is that of the last time a row under `n/` or `s/` was forgotten |
//!
//! Invariants: a row under `n/` or `s/` that is not released and its owner's row under `a/` or `p/` name each other; the count
//! is right after every transaction, and 0 is no row.

use protocol::names::NameRequest;
use protocol::{AccountId, EntryId, Timestamp, codec};
use serde::{Deserialize, Serialize};

use super::store::{Change, Check, Key, Row, Txn, TxnError};
use super::validation;

const ACCOUNTS: &[u8] = b"a/";
const POSTS: &[u8] = b"p/";
const COUNTS: &[u8] = b"c/";
/// Locks: `l/` and what is locked.
pub(super) const LOCKS: &[u8] = b"l/";
/// The first key after them.
pub(super) const LOCKS_END: &[u8] = b"l0";
/// The secret key receipts are signed with.
pub(super) const KEY: &[u8] = b"key";
/// When a name or slug was last forgotten: of those nothing else is left to compare an old request with.
pub(super) const FORGOT: &[u8] = b"forgot";

/// What is given away once: names to accounts, slugs to posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Names of accounts.
    Names,
    /// Slugs of posts.
    Slugs,
}

impl Space {
    pub(super) fn prefix(self) -> &'static [u8] {
        match self {
            Self::Names => b"n/",
            Self::Slugs => b"s/",
        }
    }

    /// The row of a name or slug, and of all that look like it.
    pub(super) fn key(self, name: &str) -> Key {
        [self.prefix(), validation::skeleton(name).as_bytes()].concat()
    }
}

/// A name's or slug's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// As it is written.
    pub name: String,
    /// Whose it is, or was.
    pub account: AccountId,
    /// The post it is the slug of.
    pub post: Option<EntryId>,
    /// Of the request that made it so.
    pub nonce: [u8; 16],
    /// When it became so.
    pub at: Timestamp,
    /// Who may claim it besides.
    pub offered: Option<AccountId>,
    /// It was given back.
    pub released: bool,
}

impl Holding {
    pub(super) fn owner(&self) -> Owner {
        Owner {
            account: self.account,
            post: self.post,
        }
    }

    pub(super) fn from_row(row: &Row) -> Result<(Self, u64), TxnError> {
        let holding =
            codec::decode(&row.value).map_err(|_| TxnError::Damaged("a name's row is not one".to_owned()))?;
        Ok((holding, row.revision))
    }
}

/// Who has a name or slug: an account, or one post of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) account: AccountId,
    pub(super) post: Option<EntryId>,
}

impl Owner {
    pub(super) fn asking(request: &NameRequest) -> Self {
        Self {
            account: request.certificate.account,
            post: request.post_id(),
        }
    }

    pub(super) fn space(&self) -> Space {
        match self.post {
            None => Space::Names,
            Some(_) => Space::Slugs,
        }
    }

    /// The row that says what it has.
    pub(super) fn key(&self) -> Key {
        match &self.post {
            None => [ACCOUNTS, &self.account.0].concat(),
            Some(post) => [POSTS, &post.0].concat(),
        }
    }
}

/// How many slugs an account has.
#[derive(Debug)]
pub(super) struct Count {
    key: Key,
    row: Option<Row>,
    pub(super) slugs: u32,
}

impl Count {
    pub(super) fn key(account: &AccountId) -> Key {
        [COUNTS, &account.0].concat()
    }

    pub(super) fn new(account: &AccountId, row: Option<Row>) -> Result<Self, TxnError> {
        let slugs = row.as_ref().map_or(Ok(0), |row| codec::decode(&row.value));
        Ok(Self {
            key: Self::key(account),
            row,
            slugs: slugs.map_err(|_| TxnError::Damaged("a count is not one".to_owned()))?,
        })
    }

    /// Makes it so many, if it is still what was read.
    pub(super) fn change_to(self, slugs: u32, txn: &mut Txn) {
        txn.checks.push(match self.row {
            Some(row) => Check::Unchanged(self.key.clone(), row.revision),
            None => Check::Absent(self.key.clone()),
        });
        txn.changes.push(match slugs {
            0 => Change::Delete(self.key),
            _ => put(self.key, codec::encode(&slugs)),
        });
    }
}

pub(super) fn put(key: Key, value: Vec<u8>) -> Change {
    Change::Put {
        key,
        value,
        lease: None,
    }
}
