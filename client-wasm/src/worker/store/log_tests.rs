//! The log against a model: an ordered map per table, batches that become durable in order, crashes anywhere.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::store::{Batch, BatchId, Op, Read, Row, Strictness, Table};

use super::log::{Due, Log, Write};
use super::segment::{SegmentBytes, SegmentNumber};

type Disk = BTreeMap<SegmentNumber, SegmentBytes>;
type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

const TABLES: [Table; 3] = [Table::Feeds, Table::ByTime, Table::Meta];

/// A small generator of its own: the seed printed on failure brings the run back.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn boot(disk: &Disk) -> Log {
    let mut log = Log::default();
    for (number, bytes) in disk {
        log.replay(*number, bytes).expect("the disk holds whole segments");
    }
    log
}

fn commit(log: &mut Log, disk: &mut Disk) -> Option<(Write, Vec<BatchId>)> {
    let write = log.next_write(true)?;
    execute(&write, disk);
    let durable = log.written(&write);
    Some((write, durable))
}

fn execute(write: &Write, disk: &mut Disk) {
    for number in &write.remove {
        assert!(disk.remove(number).is_some(), "a merge removes what is there");
    }
    for (number, bytes) in &write.add {
        assert!(
            disk.insert(*number, Rc::clone(bytes)).is_none(),
            "a number is used once"
        );
    }
}

fn rows(log: &mut Log, disk: &Disk, read: Read) -> Vec<Row> {
    let mut lookup = log.lookup(&[read]);
    for number in lookup.missing() {
        let bytes = log.check(number, disk[&number].to_vec()).expect("whole");
        lookup.provide(number, &bytes);
    }
    lookup.into_rows().remove(0)
}

fn merge(log: &mut Log, disk: &Disk) -> bool {
    let Some(plan) = log.merge_plan() else {
        return false;
    };
    let mut sources = log.merge_sources(&plan);
    for number in sources.missing().to_vec() {
        let bytes = log.check(number, disk[&number].to_vec()).expect("whole");
        sources.add(number, bytes);
    }
    log.merge(&sources)
}

fn whole_range(table: Table) -> Read {
    Read::Range {
        table,
        start: vec![],
        end: vec![0xff; 8],
        limit: usize::MAX,
        bytes_max: usize::MAX,
        reverse: false,
    }
}

fn check(log: &mut Log, disk: &Disk, model: &Model, what: &str) {
    for table in TABLES {
        let expected: Vec<Row> = model
            .iter()
            .filter(|((t, _), _)| *t == table)
            .map(|((_, k), v)| (k.clone(), v.clone()))
            .collect();
        assert_eq!(
            rows(log, disk, whole_range(table)),
            expected,
            "{what}: {}",
            table.name()
        );
    }
}

fn apply(model: &mut Model, batch: &Batch) {
    for op in &batch.ops {
        match op {
            Op::Put { table, key, value } => model.insert((*table, key.clone()), value.clone()),
            Op::Delete { table, key } => model.remove(&(*table, key.clone())),
        };
    }
}

fn random_batch(dice: &mut Dice, id: u64, value_len_max: u64) -> Batch {
    let ops = (0..dice.roll(6))
        .map(|_| {
            let table = TABLES[dice.roll(3) as usize];
            let key = vec![dice.roll(8) as u8; 1 + dice.roll(3) as usize];
            if dice.roll(4) == 0 {
                Op::Delete { table, key }
            } else {
                Op::Put {
                    table,
                    key,
                    value: vec![id as u8; dice.roll(value_len_max) as usize],
                }
            }
        })
        .collect();
    let strictness = if dice.roll(5) == 0 {
        Strictness::Strict
    } else {
        Strictness::Relaxed
    };
    Batch {
        id: BatchId(id),
        strictness,
        ops,
    }
}

fn put(id: u64, key: &[u8], value: Vec<u8>) -> Batch {
    let op = Op::Put {
        table: Table::Ids,
        key: key.to_vec(),
        value,
    };
    Batch {
        id: BatchId(id),
        strictness: Strictness::Relaxed,
        ops: vec![op],
    }
}

#[test]
fn after_any_crash_the_disk_holds_a_prefix_of_all_batches() {
    for seed in 1..60u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut disk = Disk::new();
        let mut log = Log::default();
        let mut emitted = Model::new();
        let mut durable = Model::new();
        let mut waiting: Vec<Batch> = Vec::new();
        let (mut merges, mut crashes) = (0, 0);
        for id in 1..1_500 {
            let value_len_max = if seed % 2 == 0 { 20 } else { 6_000 };
            let batch = random_batch(&mut dice, id, value_len_max);
            apply(&mut emitted, &batch);
            log.append(&batch);
            waiting.push(batch);
            if dice.roll(3) == 0
                && let Some((_, done)) = commit(&mut log, &mut disk)
            {
                for id in done {
                    let first = waiting.remove(0);
                    assert_eq!(first.id, id, "seed {seed}: batches become durable in order");
                    apply(&mut durable, &first);
                }
            }
            merges += u32::from(dice.roll(10) == 0 && merge(&mut log, &disk));
            if dice.roll(100) == 0 {
                check(
                    &mut log,
                    &disk,
                    &emitted,
                    &format!("seed {seed}, before batch {id}"),
                );
            }
            if dice.roll(200) == 0 {
                crashes += 1;
                log = boot(&disk);
                waiting.clear();
                emitted = durable.clone();
                check(
                    &mut log,
                    &disk,
                    &emitted,
                    &format!("seed {seed}, after a crash at batch {id}"),
                );
            }
        }
        assert!(crashes > 0, "seed {seed}: crashes happened");
        assert!(merges > 0, "seed {seed}: merges happened");
    }
}

#[test]
fn merging_ends_and_leaves_few_segments() {
    let mut disk = Disk::new();
    let mut log = Log::default();
    for id in 1..3_000u64 {
        log.append(&put(id, &(id % 500).to_be_bytes(), vec![id as u8; 700]));
        commit(&mut log, &mut disk);
        if merge(&mut log, &disk) {
            commit(&mut log, &mut disk);
        }
    }
    let mut steps = 0;
    while merge(&mut log, &disk) {
        commit(&mut log, &mut disk);
        steps += 1;
        assert!(steps < 100, "merging goes round in circles");
    }
    let stats = log.stats();
    assert!(stats.segments <= 70, "{stats:?}");
    assert!(stats.total_bytes < stats.live_bytes * 2 + 200_000, "{stats:?}");
    assert_eq!(stats.keys, 500);
    assert_eq!(boot(&disk).stats().keys, 500);
    assert_eq!(boot(&disk).stats().live_bytes, stats.live_bytes);
}

#[test]
fn a_broken_segment_is_skipped_and_counted() {
    let mut disk = Disk::new();
    let mut log = Log::default();
    for id in 1..=3u64 {
        log.append(&put(id, &[id as u8], vec![id as u8; 100]));
        commit(&mut log, &mut disk);
    }
    let mut bytes = disk[&2].to_vec();
    bytes[80] ^= 1;
    disk.insert(2, Rc::new(bytes));
    let mut log = Log::default();
    let broken = disk
        .iter()
        .filter(|(number, bytes)| log.replay(**number, bytes).is_err())
        .count();
    assert_eq!((broken, log.stats().broken), (1, 1));
    let keys: Vec<Vec<u8>> = rows(&mut log, &disk, whole_range(Table::Ids))
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, vec![vec![1], vec![3]]);
    log.append(&put(4, &[4], vec![]));
    let (write, _) = commit(&mut log, &mut disk).expect("something to write");
    assert_eq!(write.add[0].0, 4, "the broken one's number is not used again");
}

#[test]
fn several_batches_travel_in_one_record_and_a_strict_one_does_not_wait() {
    let mut log = Log::default();
    assert_eq!(log.due(), Due::Nothing);
    for id in 1..=10 {
        log.append(&put(id, &[id as u8], vec![0; 10]));
    }
    assert_eq!(log.due(), Due::Soon);
    let mut strict = put(11, &[11], vec![0; 10]);
    strict.strictness = Strictness::Strict;
    log.append(&strict);
    assert_eq!(log.due(), Due::Now);
    let write = log.next_write(true).expect("due");
    assert_eq!(write.add.len(), 1);
    assert!(write.strict);
    assert_eq!(log.written(&write).len(), 11);
    assert_eq!((log.due(), log.backlog_bytes()), (Due::Nothing, 0));
}

#[test]
fn an_empty_value_is_read_without_its_segment() {
    let mut disk = Disk::new();
    let mut log = Log::default();
    log.append(&put(1, &[1], Vec::new()));
    log.append(&put(2, &[2], vec![7]));
    commit(&mut log, &mut disk);
    // What comes later takes its place in memory.
    for id in 3..30 {
        log.append(&put(id, &[9], vec![0; 1 << 20]));
        commit(&mut log, &mut disk);
    }
    let read = Read::prefix(Table::Ids, &[1], 9);
    assert_eq!(log.lookup(&[read]).into_rows(), [vec![(vec![1], Vec::new())]]);
    let read = Read::prefix(Table::Ids, &[2], 9);
    assert_eq!(log.lookup(&[read]).missing().len(), 1);
}

#[test]
fn the_first_row_of_each_group_is_read_wherever_it_is_stored() {
    let mut disk = Disk::new();
    let mut log = Log::default();
    for (id, key) in (1..).zip([[1, 5], [2, 0], [2, 1], [1, 4], [4, 0]]) {
        log.append(&put(id, &key, vec![key[1]; 100]));
        if id == 3 {
            commit(&mut log, &mut disk);
        }
    }
    let mut firsts = |limit| {
        let read = Read::FirstOfEach {
            table: Table::Ids,
            prefix: Vec::new(),
            group: 1,
            bare: 0,
            enough: limit,
            limit,
        };
        let rows = rows(&mut log, &disk, read).into_iter();
        rows.map(|(key, value)| (key, value[0])).collect::<Vec<_>>()
    };
    let expected = [(vec![1, 4], 4), (vec![2, 0], 0), (vec![4, 0], 0)];
    assert_eq!(firsts(9), expected);
    assert_eq!(firsts(2), expected[..2]);
}

#[test]
fn ranges_keep_their_limits_in_both_directions() {
    let mut disk = Disk::new();
    let mut log = Log::default();
    for id in 1..=9u64 {
        log.append(&put(id, &[id as u8], vec![0; 100]));
        if id == 5 {
            commit(&mut log, &mut disk);
        }
    }
    let mut keys = |start: u8, end: u8, limit: usize, bytes_max: usize, reverse: bool| -> Vec<u8> {
        let read = Read::Range {
            table: Table::Ids,
            start: vec![start],
            end: vec![end],
            limit,
            bytes_max,
            reverse,
        };
        rows(&mut log, &disk, read)
            .into_iter()
            .map(|(key, _)| key[0])
            .collect()
    };
    assert_eq!(keys(2, 5, 10, usize::MAX, false), [2, 3, 4]);
    assert_eq!(keys(2, 9, 2, usize::MAX, true), [8, 7]);
    assert_eq!(keys(1, 9, 10, 250, false), [1, 2, 3]);
    assert_eq!(keys(1, 9, 10, 0, true), [8], "at least one row");
    assert_eq!(
        keys(5, 2, 10, usize::MAX, false),
        [0u8; 0],
        "an empty range is no panic"
    );
}
