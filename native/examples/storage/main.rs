//! redb and fjall as the store of a relay's posts, beside each other: measured, then crashed. One JSON object per line.
//!
//! ```text
//! cargo run --release -p starling-native --example storage                  both, as scripts/bench does
//! cargo run --release -p starling-native --example storage bench ENTRIES
//! cargo run --release -p starling-native --example storage crash ROUNDS [KIND]
//! ```
//!
//! Files go beside the program, for a moment. Power cuts and full disks need root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that fails is none"
)]

mod bench;
mod crash;
mod disks;
mod workload;

use std::path::Path;

use disks::{Failure, Fjall, FjallAlone, Redb};

/// Entries stored, when nobody says otherwise.
const ENTRIES: usize = 100_000;
/// Crashes of each kind.
const ROUNDS: u64 = 20;

/// A folder on the disk that the program is on.
fn place() -> Result<tempfile::TempDir, Failure> {
    let program = std::env::current_exe()?;
    Ok(tempfile::tempdir_in(program.parent().unwrap_or(Path::new(".")))?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["child", what, peer, group, batches, file, folder] => {
            let run = if peer == "redb" {
                bench::child_main::<Redb>
            } else {
                bench::child_main::<Fjall>
            };
            run(
                what,
                group.parse()?,
                batches.parse()?,
                Path::new(file),
                Path::new(folder),
            )
        }
        ["check", "redb", folder] => crash::check::<Redb>(Path::new(folder)),
        ["check", "fjall-alone", folder] => crash::check::<FjallAlone>(Path::new(folder)),
        ["check", _, folder] => crash::check::<Fjall>(Path::new(folder)),
        ["flood", "redb", seed, folder] => crash::flood::<Redb>(Path::new(folder), seed.parse()?),
        ["flood", _, seed, folder] => crash::flood::<Fjall>(Path::new(folder), seed.parse()?),
        ["crash", rounds] => crash::run(rounds.parse()?, None),
        ["crash", rounds, kind] => crash::run(rounds.parse()?, Some(kind)),
        ["bench", entries] => bench::measure(entries.parse()?, place()?.path()),
        [] => {
            bench::measure(ENTRIES, place()?.path())?;
            crash::run(ROUNDS, None)
        }
        _ => Err("storage [bench ENTRIES | crash ROUNDS [KIND]]".into()),
    }
}
