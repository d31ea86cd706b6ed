//! The registry's rows: the owner of each name and slug, the name of each account, the slug of each post, and the
//! number of slugs of each account.
//!
//! | key | value |
//! |---|---|
//! | `n/` skeleton of a name, `s/` skeleton of a slug | [`Holding`] |
//! | `a/` account, `p/` post | the key of its name's or slug's row |
//! | `c/` account | the number of rows under `s/` that belong to this account, including released ones that still rest |
//! | `l/` lock | its holder |
//! | `key`, `swept` | the secret key; the time of the last sweep and the relay that made it |
//! | `forgot` | empty: its revision is that of the last deletion of a row under `n/` or `s/` |
//!
//! Invariants: a row under `n/` or `s/` that is not released and its owner's row under `a/` or `p/` name each other;
//! the count is right after every transaction, and a count of 0 has no row.

use std::collections::BTreeMap;

use protocol::names::NameRequest;
use protocol::{AccountId, EntryId, Timestamp, codec};
use serde::{Deserialize, Serialize};

use super::store::{Change, Check, Key, Row, Txn, TxnError};
use super::validation;

const ACCOUNTS: &[u8] = b"a/";
const POSTS: &[u8] = b"p/";
const COUNTS: &[u8] = b"c/";
/// Prefix of locks.
pub(super) const LOCKS: &[u8] = b"l/";
/// The first key after all locks.
pub(super) const LOCKS_END: &[u8] = b"l0";
/// The secret key that signs receipts.
pub(super) const KEY: &[u8] = b"key";
/// Marks the last deletion of a name or slug: for a deleted one there is no other revision to compare an old request
/// with.
pub(super) const FORGOT: &[u8] = b"forgot";

/// The two namespaces.
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

    /// The key of a name's or slug's row. Names that look alike share it.
    pub(super) fn key(self, name: &str) -> Key {
        [self.prefix(), validation::skeleton(name).as_bytes()].concat()
    }
}

/// The row of a name or slug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The name or slug, in canonical form.
    pub name: String,
    /// Its owner; of a released one, the last owner.
    pub account: AccountId,
    /// The post of a slug.
    pub post: Option<EntryId>,
    /// Nonce of the request that changed it last.
    pub nonce: [u8; 16],
    /// Time of that change.
    pub at: Timestamp,
    /// The account that may claim it besides its owner.
    pub offered: Option<AccountId>,
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
        let holding = codec::decode(&row.value)
            .map_err(|_| TxnError::Damaged("a name's row is malformed".to_owned()))?;
        Ok((holding, row.revision))
    }
}

/// The owner of a name or slug: an account, or one of its posts.
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

    /// The key of the row that names its name or slug.
    pub(super) fn key(&self) -> Key {
        match &self.post {
            None => [ACCOUNTS, &self.account.0].concat(),
            Some(post) => [POSTS, &post.0].concat(),
        }
    }
}

/// The number of slugs of an account.
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
            slugs: slugs.map_err(|_| TxnError::Damaged("a count of slugs is malformed".to_owned()))?,
        })
    }

    /// Adds the change of the count to a transaction, on condition that it is still the one that was read.
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

/// Checks the rows of a whole registry, as a backup has them. An error names the first that cannot be, in words for
/// people.
///
/// # Errors
/// If the secret key is missing, a row is malformed, or an owner's row names a row that is not there.
pub fn check_rows(rows: &[(Key, Row)]) -> Result<(), String> {
    let all: BTreeMap<&[u8], &Row> = rows.iter().map(|(key, row)| (key.as_slice(), row)).collect();
    let key = all
        .get(KEY)
        .ok_or("the secret key of the registry is missing: names given out could not be proven any more")?;
    if key.value.len() != 32 {
        return Err("the secret key of the registry is malformed".into());
    }
    for (key, row) in &all {
        let shown = || String::from_utf8_lossy(key).into_owned();
        for space in [Space::Names, Space::Slugs] {
            if key.starts_with(space.prefix()) {
                let (holding, _) = Holding::from_row(row).map_err(|error| format!("{}: {error}", shown()))?;
                if space.key(&holding.name) != *key {
                    return Err(format!(
                        "the row {} is about another name, {}",
                        shown(),
                        holding.name
                    ));
                }
            }
        }
        if (key.starts_with(ACCOUNTS) || key.starts_with(POSTS)) && !all.contains_key(row.value.as_slice()) {
            let named = String::from_utf8_lossy(&row.value);
            return Err(format!("an owner's row names {named}, which is missing"));
        }
        if key.starts_with(COUNTS) && codec::decode::<u32>(&row.value).is_err() {
            return Err("a count of slugs is malformed".into());
        }
    }
    Ok(())
}

pub(super) fn put(key: Key, value: Vec<u8>) -> Change {
    Change::Put {
        key,
        value,
        lease: None,
    }
}
