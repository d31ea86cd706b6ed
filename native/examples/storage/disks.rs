//! The two stores behind one edge, as small as it can be.

use std::path::Path;

use engine::store::{Op, Read, Row, Table};
use fjall::{Keyspace, KeyspaceCreateOptions};
use redb::{Durability, ReadableDatabase as _, StorageBackend, TableDefinition};
use starling_native::store::{self, Changes, FjallDisk, STORE_FOLDER};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A store. Opened in a folder of its own.
pub(crate) trait Disk: Sized {
    /// Makes what is missing.
    fn open(folder: &Path, cache_bytes: usize) -> Result<Self, Failure>;
    /// All of it is on the disk, in order, once this returns.
    fn commit(&mut self, batches: &[Vec<Op>]) -> Result<(), Failure>;
    fn read(&self, read: &Read) -> Result<Vec<Row>, Failure>;
}

/// As the relay had it: two-phase commits that save what opening needs.
pub(crate) struct Redb(pub redb::Database);

const FILE: &str = "starling.redb";

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

impl Redb {
    pub(crate) fn with_backend(backend: impl StorageBackend, cache_bytes: usize) -> Result<Self, Failure> {
        let database = redb::Database::builder()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend)?;
        Self::with(database)
    }

    fn with(database: redb::Database) -> Result<Self, Failure> {
        let transaction = database.begin_write()?;
        for table in Table::ALL.iter().copied() {
            transaction.open_table(definition(table))?;
        }
        transaction.commit()?;
        Ok(Self(database))
    }
}

impl Disk for Redb {
    fn open(folder: &Path, cache_bytes: usize) -> Result<Self, Failure> {
        let database = redb::Database::builder()
            .set_cache_size(cache_bytes)
            .create(folder.join(FILE))?;
        Self::with(database)
    }

    fn commit(&mut self, batches: &[Vec<Op>]) -> Result<(), Failure> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        {
            let mut tables = std::collections::BTreeMap::new();
            for op in batches.iter().flatten() {
                let (Op::Put { table, .. } | Op::Delete { table, .. }) = op;
                if !tables.contains_key(table) {
                    tables.insert(*table, transaction.open_table(definition(*table))?);
                }
                let table = tables.get_mut(table).expect("just opened");
                match op {
                    Op::Put { key, value, .. } => drop(table.insert(key.as_slice(), value.as_slice())?),
                    Op::Delete { key, .. } => drop(table.remove(key.as_slice())?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self, read: &Read) -> Result<Vec<Row>, Failure> {
        let transaction = self.0.begin_read()?;
        let mut rows = Vec::new();
        match read {
            Read::Get { table, key } => {
                let table = transaction.open_table(definition(*table))?;
                rows.extend(
                    table
                        .get(key.as_slice())?
                        .map(|value| (key.clone(), value.value().to_vec())),
                );
            }
            Read::Range {
                table,
                start,
                end,
                limit,
                ..
            } => {
                let table = transaction.open_table(definition(*table))?;
                for row in table.range(start.as_slice()..end.as_slice())?.take(*limit) {
                    let (key, value) = row?;
                    rows.push((key.value().to_vec(), value.value().to_vec()));
                }
            }
            // The workload has none.
            Read::FirstOfEach { .. } => return Err("redb does not read the first rows of groups here".into()),
        }
        Ok(rows)
    }
}

/// As the relay has it: its own store.
pub(crate) struct Fjall(FjallDisk);

impl Disk for Fjall {
    fn open(folder: &Path, cache_bytes: usize) -> Result<Self, Failure> {
        Ok(Self(FjallDisk::open(&folder.join(STORE_FOLDER), cache_bytes)?))
    }

    fn commit(&mut self, batches: &[Vec<Op>]) -> Result<(), Failure> {
        let mut changes = Changes::new();
        for op in batches.iter().flatten() {
            store::add_change(&mut changes, op);
        }
        Ok(store::Disk::commit(&self.0, &changes)?)
    }

    fn read(&self, read: &Read) -> Result<Vec<Row>, Failure> {
        Ok(store::rows(&self.0, &Changes::new(), read)?)
    }
}

/// What the relay wrote, opened without its mending of the journal: to see what that is for.
pub(crate) struct FjallAlone(Keyspace);

impl Disk for FjallAlone {
    fn open(folder: &Path, cache_bytes: usize) -> Result<Self, Failure> {
        let database = fjall::Database::builder(folder.join(STORE_FOLDER))
            .cache_size(cache_bytes as u64)
            .open()?;
        Ok(Self(database.keyspace("rows", KeyspaceCreateOptions::default)?))
    }

    fn commit(&mut self, _: &[Vec<Op>]) -> Result<(), Failure> {
        Err("only read".into())
    }

    fn read(&self, read: &Read) -> Result<Vec<Row>, Failure> {
        let Read::Range { table, .. } = read else {
            return Err("only ranges".into());
        };
        let rows = self.0.prefix([*table as u8]).map(|row| {
            let (key, value) = row.into_inner()?;
            Ok((key[1..].to_vec(), value.to_vec()))
        });
        rows.collect()
    }
}
