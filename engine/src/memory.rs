//! The store contract executed in memory: for simulations, tests, and peers that live for a moment.
//!
//! A clone is what a disk would hold at that moment.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use crate::store::{Batch, Load, Op, Read, Row, Rows, Table, first_of_each};

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
            Read::FirstOfEach { table, .. } => {
                let Some(rows) = self.tables.get(table) else {
                    return Vec::new();
                };
                let Ok(firsts) = first_of_each(read, |start, end| {
                    let bounds = (Bound::Included(start), Bound::Excluded(end));
                    let first = rows.range::<[u8], _>(bounds).next();
                    Ok::<_, Infallible>(first.map(|(key, value)| (key.clone(), value.clone())))
                });
                firsts
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BatchId, Strictness};

    fn store(keys: &[&[u8]]) -> MemoryStore {
        let put = |key: &&[u8]| Op::Put {
            table: Table::Ids,
            key: key.to_vec(),
            value: key.to_vec(),
        };
        let mut store = MemoryStore::default();
        store.apply(&Batch {
            id: BatchId(1),
            strictness: Strictness::Relaxed,
            ops: keys.iter().map(put).collect(),
        });
        store
    }

    fn firsts(store: &MemoryStore, prefix: &[u8], group: usize, limit: usize) -> Vec<Vec<u8>> {
        let rows = store.read(&Read::FirstOfEach {
            table: Table::Ids,
            prefix: prefix.to_vec(),
            group,
            bare: 0,
            enough: limit,
            limit,
        });
        rows.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn the_first_row_of_each_group_is_read_and_the_others_are_skipped() {
        let store = store(&[
            &[1, 0, 0],
            &[2, 1, 7],
            &[2, 1, 8],
            &[2, 0xff, 1],
            &[2, 0xff, 0xff],
            &[3, 0, 0],
        ]);
        assert_eq!(firsts(&store, &[2], 1, 9), [[2, 1, 7], [2, 0xff, 1]]);
        assert_eq!(firsts(&store, &[2], 1, 1), [[2, 1, 7]]);
        assert_eq!(firsts(&store, &[2], 2, 9).len(), 4, "each row is a group");
        assert_eq!(firsts(&store, &[], 1, 9), [[1, 0, 0], [2, 1, 7], [3, 0, 0]]);
        assert_eq!(firsts(&store, &[2], 0, 9), [[2, 1, 7]], "one group");
        assert_eq!(firsts(&store, &[4], 1, 9), [[0; 0]; 0]);
        assert_eq!(firsts(&store, &[2], 1, 0), [[0; 0]; 0]);
    }

    #[test]
    fn groups_that_have_nothing_are_read_up_to_the_limit_and_do_not_count_as_enough() {
        let store = store(&[&[1], &[2], &[2, 1], &[3, 0], &[4], &[5, 0], &[6, 0]]);
        let firsts = |enough, limit| {
            let rows = store.read(&Read::FirstOfEach {
                table: Table::Ids,
                prefix: Vec::new(),
                group: 1,
                bare: 1,
                enough,
                limit,
            });
            rows.into_iter().map(|(key, _)| key[0]).collect::<Vec<_>>()
        };
        assert_eq!(firsts(1, 9), [1, 2, 3]);
        assert_eq!(firsts(2, 9), [1, 2, 3, 4, 5]);
        assert_eq!(firsts(2, 4), [1, 2, 3, 4]);
        assert_eq!(firsts(0, 9), [0; 0]);
    }

    #[test]
    fn groups_at_the_end_of_all_keys_are_read_and_end_the_read() {
        let store = store(&[&[0xff, 0xff, 0], &[0xff, 0xff, 1]]);
        assert_eq!(firsts(&store, &[0xff], 1, 9), [[0xff, 0xff, 0]]);
        assert_eq!(firsts(&store, &[], 2, 9), [[0xff, 0xff, 0]]);
    }

    #[test]
    fn keys_shorter_than_a_group_are_read_once() {
        let store = store(&[&[2], &[2, 1], &[3]]);
        assert_eq!(firsts(&store, &[], 2, 9), [vec![2], vec![3]]);
    }
}
