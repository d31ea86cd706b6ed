//! The engine's tables in redb: one redb table each, named alike, byte keys and byte values.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use engine::store::{Op, Read, Row, Table};
use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable, StorageError, TableDefinition,
    TableError, TableHandle as _, WriteTransaction,
};

use super::overlay::Overlay;

pub(super) type Bytes = &'static [u8];

fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

/// Makes the tables that are missing, so that reading never meets one.
pub(super) fn create_missing(database: &Database) -> Result<(), redb::Error> {
    let mut names = BTreeSet::new();
    for table in database.begin_read()?.list_tables()? {
        names.insert(table.name().to_owned());
    }
    if Table::ALL.iter().all(|table| names.contains(table.name())) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    for table in Table::ALL.iter().copied() {
        transaction.open_table(definition(table))?;
    }
    transaction.commit()?;
    Ok(())
}

/// The tables of one write transaction, opened as they are needed.
pub(super) struct WriteTables<'t> {
    transaction: &'t WriteTransaction,
    open: BTreeMap<Table, redb::Table<'t, Bytes, Bytes>>,
}

impl<'t> WriteTables<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
        let open = BTreeMap::new();
        Self { transaction, open }
    }

    fn table(&mut self, table: Table) -> Result<&mut redb::Table<'t, Bytes, Bytes>, redb::Error> {
        match self.open.entry(table) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(self.transaction.open_table(definition(table))?)),
        }
    }

    pub(super) fn apply(&mut self, op: &Op) -> Result<(), redb::Error> {
        match op {
            Op::Put { table, key, value } => {
                self.table(*table)?.insert(key.as_slice(), value.as_slice())?;
            }
            Op::Delete { table, key } => {
                self.table(*table)?.remove(key.as_slice())?;
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, read: &Read) -> Result<Vec<Row>, redb::Error> {
        let table = self.table(table_of(read))?;
        Ok(rows(table, read)?)
    }
}

/// The tables as of one commit.
pub struct Tables(ReadTransaction);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Tables {
    /// A view of what is committed.
    #[must_use]
    pub fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    /// The rows of one read.
    ///
    /// # Errors
    /// What redb says.
    pub fn read(&self, read: &Read) -> Result<Vec<Row>, redb::Error> {
        match self.0.open_table(definition(table_of(read))) {
            Ok(table) => Ok(rows(&table, read)?),
            // A database of an older version, read without ever having been opened for writing.
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Tables {
    /// The rows of one read, as they are when what waits to be written is.
    ///
    /// # Errors
    /// What redb says.
    pub(super) fn read_under(&self, overlay: &Overlay, read: &Read) -> Result<Vec<Row>, redb::Error> {
        let table = table_of(read);
        match self.0.open_table(definition(table)) {
            Ok(rows) => Ok(overlay.read(table, &rows, read)?),
            Err(error) => Err(error.into()),
        }
    }
}

fn table_of(read: &Read) -> Table {
    match read {
        Read::Get { table, .. } | Read::Range { table, .. } => *table,
    }
}

fn rows(table: &impl ReadableTable<Bytes, Bytes>, read: &Read) -> Result<Vec<Row>, StorageError> {
    match read {
        Read::Get { key, .. } => Ok(table
            .get(key.as_slice())?
            .map(|value| (key.clone(), value.value().to_vec()))
            .into_iter()
            .collect()),
        Read::Range {
            start,
            end,
            limit,
            bytes_max,
            reverse,
            ..
        } => {
            let mut rows = Vec::new();
            if start >= end {
                return Ok(rows);
            }
            let mut range = table.range(start.as_slice()..end.as_slice())?;
            let mut bytes = 0;
            while rows.len() < *limit && (rows.is_empty() || bytes < *bytes_max) {
                let next = if *reverse { range.next_back() } else { range.next() };
                let Some(next) = next else { break };
                let (key, value) = next?;
                bytes += value.value().len();
                rows.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(rows)
        }
    }
}
