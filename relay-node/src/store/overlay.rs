//! Changes that wait for a failing disk, laid over what is on it: so that reading goes on, and sees what was given before.

use std::collections::BTreeMap;

use engine::store::{Op, Read, Row, Table};
use redb::{ReadableTable, StorageError};

use super::tables::Bytes;

/// A key's value to be; `None`: it is to go.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    tables: BTreeMap<Table, Changes>,
    bytes: usize,
}

impl Overlay {
    /// Bytes that wait, at most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One change more.
    pub(super) fn apply(&mut self, op: &Op) {
        let (table, key, value) = match op {
            Op::Put { table, key, value } => (table, key, Some(value.clone())),
            Op::Delete { table, key } => (table, key, None),
        };
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.tables.entry(*table).or_default().insert(key.clone(), value);
    }

    /// The rows of one read of `table`, which has `rows` on the disk.
    pub(super) fn read(
        &self,
        table: Table,
        rows: &impl ReadableTable<Bytes, Bytes>,
        read: &Read,
    ) -> Result<Vec<Row>, StorageError> {
        let none = Changes::new();
        let changes = self.tables.get(&table).unwrap_or(&none);
        match read {
            Read::Get { key, .. } => {
                let value = match changes.get(key) {
                    Some(change) => change.clone(),
                    None => rows.get(key.as_slice())?.map(|value| value.value().to_vec()),
                };
                Ok(value.map(|value| (key.clone(), value)).into_iter().collect())
            }
            Read::Range {
                start,
                end,
                limit,
                bytes_max,
                reverse,
                ..
            } => {
                if start >= end {
                    return Ok(Vec::new());
                }
                let mut on_disk = rows.range(start.as_slice()..end.as_slice())?;
                let mut on_disk = std::iter::from_fn(|| {
                    let next = if *reverse {
                        on_disk.next_back()
                    } else {
                        on_disk.next()
                    };
                    let owned =
                        |(key, value): (redb::AccessGuard<'_, Bytes>, redb::AccessGuard<'_, Bytes>)| {
                            (key.value().to_vec(), value.value().to_vec())
                        };
                    next.map(|row| row.map(owned))
                })
                .peekable();
                let mut waiting = changes.range(start.clone()..end.clone());
                let mut waiting = std::iter::from_fn(|| {
                    if *reverse {
                        waiting.next_back()
                    } else {
                        waiting.next()
                    }
                })
                .peekable();
                let mut found: Vec<Row> = Vec::new();
                let mut bytes = 0;
                while found.len() < *limit && (found.is_empty() || bytes < *bytes_max) {
                    let first = match (on_disk.peek(), waiting.peek()) {
                        (Some(Err(_)), _) | (Some(_), None) => false,
                        (None, Some(_)) => true,
                        (None, None) => break,
                        (Some(Ok((on_disk, _))), Some((waiting, _))) if *reverse => *waiting >= on_disk,
                        (Some(Ok((on_disk, _))), Some((waiting, _))) => *waiting <= on_disk,
                    };
                    let row = if first {
                        let Some((key, value)) = waiting.next() else { break };
                        // What is to be replaced or to go is not there any more.
                        on_disk.next_if(|row| row.as_ref().is_ok_and(|(on_disk, _)| on_disk == key));
                        value.clone().map(|value| (key.clone(), value))
                    } else {
                        on_disk.next().transpose()?
                    };
                    if let Some((key, value)) = row {
                        bytes += value.len();
                        found.push((key, value));
                    }
                }
                Ok(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::store::{Op, Read, Table};
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _};

    use super::Overlay;
    use crate::store::tables::{Tables, WriteTables, create_missing};

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let table = prop_oneof![Just(Table::Meta), Just(Table::Feeds)];
        let key = proptest::collection::vec(0..4_u8, 0..3);
        let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4));
        let op = (table, key, value).prop_map(|(table, key, value)| match value {
            Some(value) => Op::Put { table, key, value },
            None => Op::Delete { table, key },
        });
        proptest::collection::vec(op, 0..24)
    }

    fn read() -> impl Strategy<Value = Read> {
        let key = || proptest::collection::vec(0..4_u8, 0..3);
        let range = (key(), key(), 0..9_usize, 0..12_usize, any::<bool>());
        let table = Table::Meta;
        prop_oneof![
            key().prop_map(move |key| Read::Get { table, key }),
            range.prop_map(move |(start, end, limit, bytes_max, reverse)| Read::Range {
                table,
                start,
                end,
                limit,
                bytes_max,
                reverse
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What is read under changes is what is read after them.
        #[test]
        fn changes_are_seen_before_they_are_made(
            before in ops(),
            changes in ops(),
            reads in proptest::collection::vec(read(), 1..16),
        ) {
            let backend = InMemoryBackend::new();
            let database = Database::builder().create_with_backend(backend).unwrap();
            create_missing(&database).unwrap();
            let write = database.begin_write().unwrap();
            {
                let mut tables = WriteTables::new(&write);
                for op in &before {
                    tables.apply(op).unwrap();
                }
            }
            write.commit().unwrap();
            let mut overlay = Overlay::default();
            for op in &changes {
                overlay.apply(op);
            }
            let tables = Tables::new(database.begin_read().unwrap());
            let write = database.begin_write().unwrap();
            let mut made = WriteTables::new(&write);
            for op in &changes {
                made.apply(op).unwrap();
            }
            for read in &reads {
                prop_assert_eq!(tables.read_under(&overlay, read).unwrap(), made.read(read).unwrap());
            }
        }
    }
}
