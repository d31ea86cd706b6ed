//! Rates, sizes and times of both stores, each in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use engine::store::{Read, Table, prefix_end};

use crate::disks::{Disk, Failure};
use crate::workload::{self, Batches, Numbers, SEED};

pub(crate) const CACHE_BYTES: usize = 128 << 20;
const PEERS: [&str; 2] = ["redb", "fjall"];
/// Rows of an index read at once, posts of a page, and answers counted: as the engine reads a page.
const INDEX_ROWS: usize = 200;
const PAGE: usize = 50;
const COUNTED: usize = 100;
const PAGES: usize = 200;

/// One figure on standard output.
pub(crate) fn print(peer: &str, figure: &str, value: f64, unit: &str, n: usize) {
    let value = (value * 1000.0).round() / 1000.0;
    println!(
        "{}",
        serde_json::json!({"bench": "storage", "figure": figure, "peer": peer, "value": value, "unit": unit, "n": n, "seed": SEED})
    );
}

/// Prints all figures for this many entries.
pub(crate) fn measure(entries: usize, place: &Path) -> Result<(), Failure> {
    let file = place.join("batches");
    let raw = workload::write(&file, entries)?;
    print(
        "engine",
        "raw_per_entry",
        raw as f64 / entries as f64,
        "B",
        entries,
    );
    print(
        "engine",
        "rows_per_entry",
        rows_bytes(&file) as f64 / entries as f64,
        "B",
        entries,
    );
    for peer in PEERS {
        for group in [1, 10, 100, 1_000] {
            let folder = place.join(format!("{peer}-{group}"));
            std::fs::create_dir_all(&folder)?;
            // Few commits are enough to know the rate of many.
            let batches = entries.min(if group == 1_000 { entries } else { group * 2_000 });
            let mut child = child(
                &["fill", peer, &group.to_string(), &batches.to_string()],
                &file,
                &folder,
            )?;
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let took: f64 = number(&mut lines)?;
            let name = |what: &str| format!("{what}_per_s_groups_of_{group}");
            print(
                peer,
                &name("batches"),
                batches as f64 / group as f64 / took,
                "1/s",
                batches,
            );
            print(peer, &name("entries"), batches as f64 / took, "1/s", batches);
            if group == 1_000 {
                let settled: f64 = number(&mut lines)?;
                print(peer, "settled_after", settled, "s", batches);
                let resident = resident_kib(child.id()).unwrap_or_default();
                print(
                    peer,
                    "memory_after_writing",
                    resident as f64 / 1024.0,
                    "MiB",
                    batches,
                );
                child.kill()?;
                child.wait()?;
                let disk = folder_bytes(&folder)?;
                print(peer, "disk_to_raw", disk.0 as f64 / raw as f64, "ratio", batches);
                print(
                    peer,
                    "disk_blocks_to_raw",
                    disk.1 as f64 / raw as f64,
                    "ratio",
                    batches,
                );
                reads(peer, &file, &folder, batches)?;
            } else {
                child.kill()?;
                child.wait()?;
            }
            std::fs::remove_dir_all(&folder)?;
        }
    }
    std::fs::remove_file(file)?;
    Ok(())
}

fn reads(peer: &str, file: &Path, folder: &Path, n: usize) -> Result<(), Failure> {
    let mut child = child(&["read", peer, "0", "0"], file, folder)?;
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    print(peer, "open_after_kill", number(&mut lines)?, "ms", n);
    print(
        peer,
        "memory_after_open",
        resident_kib(child.id()).unwrap_or_default() as f64 / 1024.0,
        "MiB",
        n,
    );
    for figure in ["page_newest", "page_anywhere_p50", "page_anywhere_p99"] {
        print(peer, figure, number(&mut lines)?, "ms", PAGES);
    }
    print(
        peer,
        "memory_after_reading",
        resident_kib(child.id()).unwrap_or_default() as f64 / 1024.0,
        "MiB",
        n,
    );
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn child(args: &[&str], file: &Path, folder: &Path) -> Result<std::process::Child, Failure> {
    Ok(Command::new(std::env::current_exe()?)
        .arg("child")
        .args(args)
        .args([file, folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?)
}

fn number(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Result<f64, Failure> {
    Ok(lines.next().ok_or("the child ended by itself")??.parse()?)
}

/// What the process that is measured does: `fill` or `read`, then waits to be killed.
pub(crate) fn child_main<D: Disk>(
    what: &str,
    group: usize,
    batches: usize,
    file: &Path,
    folder: &Path,
) -> Result<(), Failure> {
    let opening = Instant::now();
    let mut disk = D::open(folder, CACHE_BYTES)?;
    if what == "fill" {
        let mut source = Batches::open(file)?;
        let mut took = 0.0;
        let mut left = batches;
        while left > 0 {
            let part: Vec<_> = source.by_ref().take(group.min(left)).collect();
            if part.is_empty() {
                break;
            }
            left -= part.len();
            let began = Instant::now();
            disk.commit(&part)?;
            took += began.elapsed().as_secs_f64();
        }
        println!("{took}");
        if group == 1_000 {
            println!("{}", settle(folder)?);
        }
    } else {
        println!("{}", opening.elapsed().as_secs_f64() * 1000.0);
        let first = page(&disk, &[0; 8])?;
        println!("{}", first.1);
        let all = disk.read(&Read::prefix(Table::ByTime, &[], usize::MAX))?;
        let mut numbers = Numbers(SEED);
        let mut took = Vec::new();
        for _ in 0..PAGES {
            let (key, _) = &all[numbers.below(all.len() as u64) as usize];
            took.push(page(&disk, key)?.1);
        }
        took.sort_by(f64::total_cmp);
        println!("{}", took[took.len() / 2]);
        println!("{}", took[took.len() * 99 / 100]);
    }
    // Until it is killed.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// A page of the home timeline, read as the engine reads it, and how long it took in milliseconds.
fn page<D: Disk>(disk: &D, from: &[u8]) -> Result<(usize, f64), Failure> {
    let began = Instant::now();
    let index = disk.read(&Read::Range {
        table: Table::ByTime,
        start: from.to_vec(),
        end: prefix_end(&[]),
        limit: INDEX_ROWS,
        bytes_max: usize::MAX,
        reverse: false,
    })?;
    let mut found = 0;
    for (key, value) in index.iter().take(PAGE) {
        let (feed, seq): (u32, u64) = protocol::codec::decode(value)?;
        let entry = [&feed.to_be_bytes()[..], &seq.to_be_bytes()].concat();
        found += disk
            .read(&Read::Get {
                table: Table::Entries,
                key: entry,
            })?
            .len();
        // Its answers, which there are none of; any id serves.
        disk.read(&Read::prefix(Table::ByParent, key, COUNTED))?;
    }
    assert_eq!(found, index.len().min(PAGE), "every place has its entry");
    Ok((found, began.elapsed().as_secs_f64() * 1000.0))
}

/// Waits until nothing in the folder changes any more: what the store does behind one's back is done.
fn settle(folder: &Path) -> Result<f64, Failure> {
    let began = Instant::now();
    let mut last = folder_bytes(folder)?;
    let mut same = 0;
    while same < 10 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = folder_bytes(folder)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    Ok(began.elapsed().as_secs_f64() - 1.0)
}

/// Length of all files, and the space they take.
fn folder_bytes(folder: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut length, mut blocks) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Gone since it was listed: the store tidied up.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let below = folder_bytes(&entry.path())?;
            length += below.0;
            blocks += below.1;
        } else {
            length += metadata.len();
            blocks += metadata.blocks() * 512;
        }
    }
    Ok((length, blocks))
}

fn rows_bytes(file: &Path) -> u64 {
    let bytes = |op: &engine::store::Op| match op {
        engine::store::Op::Put { key, value, .. } => key.len() + value.len(),
        engine::store::Op::Delete { key, .. } => key.len(),
    };
    Batches::open(file).map_or(0, |batches| batches.flatten().map(|op| bytes(&op) as u64).sum())
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
