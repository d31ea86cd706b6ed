//! The end of fjall's journal, mended before fjall reads it.
//!
//! When the power fails in the middle of a commit, any part of what it wrote may be missing. fjall 3.1 leaves out an end that
//! breaks off, but refuses to open if parts are missing within a value; and it leaves out everything behind damage,
//! where it should refuse. So the journal is read here first:
//!
//! - nothing whole comes after a commit that is not: it was under way, nobody was told of it, and it is cut off;
//! - something does: commits are written one by one, each synced before the next, so what is broken was whole once. The
//!   disk lost it, and that is said.
//!
//! A journal is a row of commits, numbers in little-endian:
//!
//! ```text
//! commit = 1, u32 items, u64 number │ item × items │ 3, u64 XXH3 of the items, "FJL", 3
//! item   = 2, u8 what, u8 compression, u64 keyspace, u16 key, u32 value, u32 stored value │ key │ stored value
//! ```

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::disk::DiskError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8] = b"FJL\x03";
const EXTENSION: &str = "jnl";
/// More than any commit takes: what is longer was no commit under way, but something this does not understand.
const COMMIT_MAX: usize = 64 << 20;

/// Cuts a commit that was under way off the newest journal.
///
/// # Errors
/// If a journal is damaged elsewhere, or the disk fails.
pub(super) fn cut_torn_end(folder: &Path) -> Result<(), DiskError> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number: Option<u64> = path
            .file_stem()
            .filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION))
            .and_then(|stem| stem.to_str()?.parse().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    let newest = journals.pop();
    for (_, path) in &journals {
        // It was synced before the next was begun.
        let bytes = read(path)?;
        if let Some(at) = unfinished(&bytes)? {
            return Err(damaged(path, at));
        }
    }
    let Some((_, path)) = newest else { return Ok(()) };
    let bytes = read(&path)?;
    match unfinished(&bytes) {
        Ok(None) => {}
        Ok(Some(at)) => {
            tracing::warn!(journal = %path.display(), at, "what was being written when the relay was cut off is left out");
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(at as u64)?;
            file.sync_all()?;
        }
        Err(Damage(at)) => return Err(damaged(&path, at)),
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn damaged(path: &Path, at: usize) -> DiskError {
    DiskError::Damaged(format!(
        "{} is not what was written, from byte {at}",
        path.display()
    ))
}

/// Where something is broken that was whole once.
#[derive(Debug, PartialEq, Eq)]
struct Damage(usize);

impl From<Damage> for DiskError {
    fn from(Damage(at): Damage) -> Self {
        Self::Damaged(format!("its journal is not what was written, from byte {at}"))
    }
}

/// Where a commit begins that was never finished, if there is one.
fn unfinished(bytes: &[u8]) -> Result<Option<usize>, Damage> {
    let (mut at, mut number) = (0, 0);
    while let Some((end, found)) = commit(bytes, at) {
        (at, number) = (end, found);
    }
    let Some(left) = bytes[at..].iter().position(|byte| *byte != 0) else {
        // The rest is space that was set aside.
        return Ok(None);
    };
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
    if last - at > COMMIT_MAX {
        return Err(Damage(at));
    }
    let mut search = at + left;
    while let Some(found) = bytes[search..].iter().position(|byte| *byte == START) {
        search += found;
        // A later one, and not what happens to look like one.
        if commit(bytes, search).is_some_and(|(_, found)| found > number) {
            return Err(Damage(at));
        }
        search += 1;
    }
    Ok(Some(at))
}

/// Where the commit that begins at `at` ends, and its number; `None` if there is no whole one.
fn commit(bytes: &[u8], at: usize) -> Option<(usize, u64)> {
    let mut rest = Rest(bytes.get(at..)?);
    rest.tag(START)?;
    let items = u32::from_le_bytes(rest.take()?);
    let number = u64::from_le_bytes(rest.take()?);
    let content = rest.0;
    for _ in 0..items {
        rest.tag(ITEM)?;
        rest.skip(1 + 1 + 8)?;
        let key = u16::from_le_bytes(rest.take()?);
        rest.skip(4)?;
        let value = u32::from_le_bytes(rest.take()?);
        rest.skip(usize::from(key) + value as usize)?;
    }
    let content = &content[..content.len() - rest.0.len()];
    rest.tag(END)?;
    let sum = u64::from_le_bytes(rest.take()?);
    let trailer: [u8; 4] = rest.take()?;
    (trailer == TRAILER && sum == xxh3_64(content)).then_some((bytes.len() - rest.0.len(), number))
}

struct Rest<'b>(&'b [u8]);

impl Rest<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.0.first_chunk()?;
        self.skip(N)?;
        Some(taken)
    }

    fn tag(&mut self, tag: u8) -> Option<()> {
        (self.take()? == [tag]).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit of one item with this value, as fjall 3.1 writes it.
    fn one(number: u64, value: &[u8]) -> Vec<u8> {
        let mut item = vec![ITEM, 0, 0];
        item.extend(1_u64.to_le_bytes());
        item.extend(3_u16.to_le_bytes());
        item.extend((value.len() as u32).to_le_bytes());
        item.extend((value.len() as u32).to_le_bytes());
        item.extend(b"key");
        item.extend(value);
        let mut bytes = vec![START];
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(&item);
        bytes.push(END);
        bytes.extend(xxh3_64(&item).to_le_bytes());
        bytes.extend(TRAILER);
        bytes
    }

    fn three() -> (Vec<u8>, usize) {
        let first = [one(1, &[7; 900]), one(2, &[8; 5_000])].concat();
        let last = first.len();
        ([first, one(3, &[9; 5_000]), vec![0; 4_096]].concat(), last)
    }

    #[test]
    fn a_whole_journal_is_left_as_it_is() {
        let (bytes, _) = three();
        assert_eq!(unfinished(&bytes), Ok(None));
        assert_eq!(unfinished(&[]), Ok(None));
        assert_eq!(unfinished(&[0; 100]), Ok(None));
    }

    #[test]
    fn the_last_commit_is_cut_off_whatever_is_missing_of_it() {
        let (bytes, last) = three();
        let end = bytes.len() - 4_096;
        for lost in last..end {
            let mut torn = bytes.clone();
            let part = lost..(lost + 512).min(end);
            torn[part.clone()].fill(0);
            let expected = if torn[last..].iter().all(|byte| *byte == 0) {
                None
            } else {
                Some(last)
            };
            assert_eq!(unfinished(&torn), Ok(expected), "without {part:?}");
            assert_eq!(unfinished(&bytes[..lost]), Ok((lost > last).then_some(last)));
        }
    }

    #[test]
    fn an_earlier_commit_that_is_broken_is_damage() {
        let (bytes, last) = three();
        for flipped in (0..last).step_by(7) {
            let mut broken = bytes.clone();
            broken[flipped] ^= 0x10;
            let first = one(1, &[7; 900]).len();
            let begins = if flipped < first { 0 } else { first };
            // The keyspace's own number and what an item says of itself are covered by the sum; a commit's number alone is
            // not.
            let number = flipped - begins;
            if (5..13).contains(&number) {
                continue;
            }
            assert_eq!(unfinished(&broken), Err(Damage(begins)), "byte {flipped}");
        }
    }
}
