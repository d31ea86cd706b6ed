//! Storage as an effect: what the engine asks of a disk.
//!
//! The store is an ordered map per [`Table`] from key bytes to value bytes, keys compared as unsigned bytes. The
//! engine emits [`Batch`]es (atomic: after a crash either all of a batch is there or nothing of it, and no batch is
//! there without all earlier ones) and [`Load`] requests. Adapters (fjall, IndexedDB, memory) execute them and decide
//! nothing.
//!
//! A load sees every batch emitted before it, whether or not that batch is durable yet: the adapter executes both in
//! order.

use protocol::codec;
use serde::{Deserialize, Serialize};

/// Version of the rows in all tables: their keys, values and meaning.
///
/// Every store keeps this number beside the rows. A store with a higher number was written by a later version of the
/// program and is refused; one with a lower number is migrated before the engine reads it. Raise it together with the
/// migrations whenever an earlier version of the engine could not use the rows.
pub const FORMAT: u32 = 1;

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A named ordered map. The numbers are stored: never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Table {
            $($(#[$doc])* $name = $number,)*
        }

        impl Table {
            /// All tables, in numeric order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The table with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// A stable name for people and for stores that name their tables.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

tables! {
    /// Singletons: identity, preferences, work to resume.
    Meta = 0, "meta";
    /// device → feed record (account, local number, next seq, head …). Read whole at start.
    Feeds = 1, "feeds";
    /// local feed number, seq → entry.
    Entries = 2, "entries";
    /// post id → place (local feed number, seq).
    Ids = 3, "ids";
    /// account → profile record. Read whole at start.
    Profiles = 4, "profiles";
    /// followed account → follow record. Read whole at start.
    Follows = 5, "follows";
    /// time (newest first), id → place. Every post.
    ByTime = 6, "by_time";
    /// account, time (newest first), id → place.
    ByAccount = 7, "by_account";
    /// parent post id, time (oldest first), id → place.
    ByParent = 8, "by_parent";
    /// time (newest first), id → place. Answers to own posts.
    Activity = 9, "activity";
    /// own device, peer → what that peer confirmed to hold. Read whole at start.
    Holders = 10, "holders";
    /// device → fork proof. Read whole at start.
    Forks = 11, "forks";
    /// account, device → revocation. Read whole at start.
    Revocations = 12, "revocations";
    /// publish token → number and id of the post it made; the newest few. Read whole at start.
    Tokens = 13, "tokens";
    /// relay → when it was last linked (the address book). Read whole at start.
    Relays = 14, "relays";
    /// account → name record. Read whole at start.
    Names = 15, "names";
    /// account, post id, precedence (greatest first) → the registry's word on the post's slug, or that there is none.
    Slugs = 16, "slugs";
    /// registry, slug, revision (highest first), account, post id → nothing.
    BySlug = 17, "by_slug";
    /// account, post id, account that reacted, precedence (greatest first), emoji or none → nothing.
    Reactions = 18, "reactions";
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Set a key.
    Put {
        table: Table,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    /// Remove a key; removing what is not there is fine.
    Delete { table: Table, key: Vec<u8> },
}

/// How much a batch may lose when the machine dies right after it was reported as persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strictness {
    /// Can be fetched again from peers: may be reported once handed to the operating system.
    Relaxed,
    /// Identity, own posts, and everything a receipt is given for: reported only once on the disk.
    Strict,
}

/// Names a batch: counts up from 1 within one run of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId(pub u64);

/// Atomic changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its name, to report back.
    pub id: BatchId,
    /// Durability wanted.
    pub strictness: Strictness,
    /// In order; a later one wins.
    pub ops: Vec<Op>,
}

/// Names a load within one run of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadId(pub u64);

/// Reads, answered together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its name, to report back.
    pub id: LoadId,
    /// Answered in this order.
    pub reads: Vec<Read>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// One key: zero or one row.
    Get { table: Table, key: Vec<u8> },
    /// The rows with `start <= key < end`, in key order.
    Range {
        table: Table,
        /// First key, included.
        start: Vec<u8>,
        /// Last key, excluded.
        end: Vec<u8>,
        /// At most this many rows.
        limit: usize,
        /// Stop once the values add up to this many bytes (at least one row is returned).
        bytes_max: usize,
        /// From the end backwards.
        reverse: bool,
    },
    /// Of the rows whose key starts with `prefix`, the first of each group, in key order. Rows are in one group if
    /// they agree in the `group` bytes after the prefix as well. The other rows of a group are skipped unread, however
    /// many they are.
    FirstOfEach {
        table: Table,
        /// What the keys start with.
        prefix: Vec<u8>,
        /// Bytes after the prefix that tell one group from another.
        group: usize,
        /// A row whose key is no longer than this says that its group has nothing: it does not count as `enough`.
        bare: usize,
        /// Ends after this many rows with longer keys.
        enough: usize,
        /// At most this many rows.
        limit: usize,
    },
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The rows of each read of a [`Load`], in its order.
pub type Rows = Vec<Vec<Row>>;

/// The smallest key greater than every key that starts with `prefix`: the end of a prefix range. A prefix of nothing
/// but `0xff` bytes has none; then a longer run of `0xff` than any key serves.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; 256]
}

/// Executes [`Read::FirstOfEach`] for an adapter, and no other read; `first` finds the first row with `start <= key < end`.
///
/// # Errors
/// Those of `first`.
pub fn first_of_each<K: AsRef<[u8]>, V, E>(
    read: &Read,
    mut first: impl FnMut(&[u8], &[u8]) -> Result<Option<(K, V)>, E>,
) -> Result<Vec<(K, V)>, E> {
    let Read::FirstOfEach {
        prefix,
        group,
        bare,
        enough,
        limit,
        ..
    } = read
    else {
        return Ok(Vec::new());
    };
    let (mut start, end) = (prefix.clone(), prefix_end(prefix));
    let (mut rows, mut full) = (Vec::new(), 0);
    while rows.len() < *limit && full < *enough && start < end {
        let Some((key, value)) = first(&start, &end)? else {
            break;
        };
        let bytes = key.as_ref();
        start = prefix_end(&bytes[..bytes.len().min(prefix.len() + group)]);
        full += usize::from(bytes.len() > *bare);
        rows.push((key, value));
    }
    Ok(rows)
}

impl Read {
    /// All rows whose key starts with `prefix`.
    #[must_use]
    pub fn prefix(table: Table, prefix: &[u8], limit: usize) -> Self {
        Self::Range {
            table,
            start: prefix.to_vec(),
            end: prefix_end(prefix),
            limit,
            bytes_max: usize::MAX,
            reverse: false,
        }
    }
}

impl Op {
    /// Bytes of its key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key, .. } => key.len(),
        }
    }

    /// Sets `key` to the postcard bytes of `value`.
    #[must_use]
    pub fn put<T: Serialize>(table: Table, key: Vec<u8>, value: &T) -> Self {
        Self::Put {
            table,
            key,
            value: codec::encode(value),
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
