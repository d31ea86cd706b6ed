//! What is whole in a damaged store: rows of its tables, and of complete commits in its journals, wherever damage is between
//! them. The sums of tables and commits are checked; what the rows say is for the caller to verify.

use std::fs;
use std::path::{Path, PathBuf};

use engine::store::Row;

use super::disk::{Disk, DiskError, FjallDisk};
use super::journal;

/// Memory for the cache: everything is read once.
const CACHE_BYTES: usize = 16 << 20;

/// What was found to be damaged, for people.
#[derive(Debug, Default)]
pub struct Damage {
    /// One sentence each.
    pub found: Vec<String>,
}

/// Reads what is whole in the store `folder` and gives it to `take`: rows of tables in their order, then those of the
/// journals in the order in which they were written. `scratch` is a folder for a copy without journals; it is
/// removed afterwards. Nothing in `folder` is changed.
///
/// # Errors
/// If the folder cannot be read or the copy not be written.
pub fn salvage(
    folder: &Path,
    scratch: &Path,
    take: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> Result<(), DiskError>,
) -> Result<Damage, DiskError> {
    let mut damage = Damage::default();
    if scratch.try_exists()? {
        fs::remove_dir_all(scratch)?;
    }
    copy_without_journals(folder, scratch)?;
    match FjallDisk::open_unchecked(scratch, CACHE_BYTES) {
        Ok(disk) => {
            // From both ends: of what is between two damaged places nothing can be read.
            for reverse in [false, true] {
                let whole = take_rows(&disk, reverse, take)?;
                if whole {
                    break;
                }
                if reverse {
                    damage.found.push("some of its tables cannot be read".to_owned());
                }
            }
        }
        Err(error) => damage.found.push(format!("its tables cannot be opened: {error}")),
    }
    fs::remove_dir_all(scratch)?;

    let mark = journal::mark(folder).ok();
    if mark.is_none() {
        damage.found.push("the file `mark` is missing".to_owned());
    }
    let journals = journal::journals(folder)?;
    if journals.is_empty() {
        let text = "its journal is missing: what was written last is lost";
        damage.found.push(text.to_owned());
    }
    for path in journals {
        let bytes = fs::read(&path)?;
        let (rows, gaps) = journal::whole_commits(&bytes, mark.as_ref());
        if !gaps.is_empty() {
            let places: Vec<String> = gaps.iter().take(5).map(ToString::to_string).collect();
            damage.found.push(format!(
                "{} is not what was written, from byte {}",
                path.display(),
                places.join(", ")
            ));
        }
        for (key, value) in rows {
            take(key, value)?;
        }
    }
    Ok(damage)
}

/// Whether all of it could be read.
fn take_rows(
    disk: &FjallDisk,
    reverse: bool,
    take: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> Result<(), DiskError>,
) -> Result<bool, DiskError> {
    for row in disk.range(Vec::new(), vec![0xff; 64], reverse) {
        let Ok((key, value)): Result<Row, DiskError> = row else {
            return Ok(false);
        };
        take(key, value)?;
    }
    Ok(true)
}

fn copy_without_journals(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_without_journals(&path, &target)?;
        } else if !journal::is_journal(&path) {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
