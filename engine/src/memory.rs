//! The store contract executed in memory: for simulations, tests, and peers that live for a moment.
//!
//! A clone is what a disk would hold at that moment.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::store::{Batch, Load, Op, Read, Row, Rows, Table};

/// An ordered map per table.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// Executes a batch.
    pub fn apply(&mut self, batch: &Batch) {
        for op in &batch.ops {
            match op {
                Op::Put { table, key, value } => {
                    self.tables
                        .entry(*table)
                        .or_default()
                        .insert(key.clone(), value.clone());
                }
                Op::Delete { table, key } => {
                    self.tables.entry(*table).or_default().remove(key);
                }
            }
        }
    }

    /// Forgets a table: what a damaged disk does.
    pub fn clear(&mut self, table: Table) {
        self.tables.remove(&table);
    }

    /// Executes a load.
    #[must_use]
    pub fn load(&self, load: &Load) -> Rows {
        load.reads.iter().map(|read| self.read(read)).collect()
    }

    fn read(&self, read: &Read) -> Vec<Row> {
        match read {
            Read::Get { table, key } => {
                let value = self.tables.get(table).and_then(|rows| rows.get(key));
                value
                    .map(|value| (key.clone(), value.clone()))
                    .into_iter()
                    .collect()
            }
            Read::Range {
                table,
                start,
                end,
                limit,
                bytes_max,
                reverse,
            } => {
                let Some(rows) = self.tables.get(table).filter(|_| start < end) else {
                    return Vec::new();
                };
                let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
                let range = rows.range::<[u8], _>(bounds);
                if *reverse {
                    take(range.rev(), *limit, *bytes_max)
                } else {
                    take(range, *limit, *bytes_max)
                }
            }
        }
    }

    /// The rows of a table.
    #[must_use]
    pub fn rows(&self, table: Table) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.tables.get(&table).cloned().unwrap_or_default()
    }

    /// How many rows a table has.
    #[must_use]
    pub fn len(&self, table: Table) -> usize {
        self.tables.get(&table).map_or(0, BTreeMap::len)
    }

    /// Whether a table has no rows.
    #[must_use]
    pub fn is_empty(&self, table: Table) -> bool {
        self.len(table) == 0
    }
}

fn take<'a>(
    rows: impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
    limit: usize,
    bytes_max: usize,
) -> Vec<Row> {
    let mut taken: Vec<Row> = Vec::new();
    let mut bytes = 0;
    for (key, value) in rows.take(limit) {
        bytes += value.len();
        if !taken.is_empty() && bytes > bytes_max {
            break;
        }
        taken.push((key.clone(), value.clone()));
    }
    taken
}
