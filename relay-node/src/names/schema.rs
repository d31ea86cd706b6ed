//! The registry's rows: the owner of each name and slug, the name of each account, the slug of each post, and the
//! number of slugs of each account.
//!
//! | key | value |
//! |---|---|
//! | `n/` skeleton of a name, `s/` skeleton of a slug | [`Holding`]: the first of the names with this skeleton |
//! | the same, a zero byte, look of the name | [`Holding`] of a further name with this skeleton, which looks different |
//! | `a/` account, `p/` post | the key of its name's or slug's row |
//! | `c/` account | the number of rows under `s/` that belong to this account, including released ones that still rest |
//! | `l/` lock | its holder |
//! | `key`, `swept` | the secret key; the time of the last sweep and the relay that made it |
//! | `forgot` | empty: its revision is that of the last deletion of a row under `n/` or `s/` |
//!
//! Names with one look have at most one row: it is that of the skeleton, or, while that is about a name of another look, the
//! second one. A registry whose names were all claimed when names of one skeleton were one name has rows of the first
//! sort alone.
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

    /// The keys of the two rows of which one is about this name or slug, or one that looks like it.
    pub(super) fn keys(self, name: &str) -> [Key; 2] {
        let first = [self.prefix(), validation::skeleton(name).as_bytes()].concat();
        let second = [&first, b"\0".as_slice(), validation::look(name).as_bytes()].concat();
        [first, second]
    }
}

/// Where the row of a name is, or would be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    /// Of this name, or of one that looks like it.
    pub(super) row: Option<Row>,
    pub(super) holding: Option<Holding>,
    /// What must still hold when the row is written.
    pub(super) checks: Vec<Check>,
}

impl Place {
    /// The place of a name, from the rows of [`Space::keys`].
    pub(super) fn of(space: Space, name: &str, rows: [Option<Row>; 2]) -> Result<Self, TxnError> {
        let [first_key, second_key] = space.keys(name);
        let [first, second] = rows;
        let holding_of = |row: &Option<Row>| row.as_ref().map(Holding::from_row).transpose();
        let known = holding_of(&first)?.map(|(holding, _)| holding);
        let is_it = |holding: &Holding| validation::look(&holding.name) == validation::look(name);
        if let (Some(row), true) = (&first, known.as_ref().is_some_and(is_it)) {
            let checks = vec![Check::Unchanged(first_key.clone(), row.revision)];
            return Ok(Self {
                key: first_key,
                row: first,
                holding: known,
                checks,
            });
        }
        if let Some(row) = &second {
            let checks = vec![Check::Unchanged(second_key.clone(), row.revision)];
            let holding = holding_of(&second)?.map(|(holding, _)| holding);
            return Ok(Self {
                key: second_key,
                row: second,
                holding,
                checks,
            });
        }
        // Neither row may come to be about it meanwhile.
        let absent = Check::Absent(second_key.clone());
        let (key, check) = match first {
            Some(row) => (second_key, Check::Unchanged(first_key, row.revision)),
            None => (first_key.clone(), Check::Absent(first_key)),
        };
        Ok(Self {
            key,
            row: None,
            holding: None,
            checks: vec![check, absent],
        })
    }

    /// The holding and its revision.
    pub(super) fn known(&self) -> Option<(&Holding, u64)> {
        Some((self.holding.as_ref()?, self.row.as_ref()?.revision))
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
                if !space.keys(&holding.name).iter().any(|its| its.as_slice() == *key) {
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
