//! Repairs the end of fjall's journal before fjall reads it.
//!
//! When the power fails during a commit, any part of the bytes it wrote may be missing. fjall 3.1 ignores a truncated
//! end, but refuses to open a journal with bytes missing inside a value; and it silently drops everything after
//! damage, where it should refuse. So the journal is checked here first:
//!
//! - if no complete commit follows an incomplete one, the incomplete one was in progress and was never acknowledged:
//!   it is truncated;
//! - if a complete commit follows, the incomplete one was complete once, since each commit is synced before the next
//!   is written: the disk lost data, and opening fails with an error.
//!
//! Users choose part of the bytes in a commit: a post could contain what looks like a complete commit, and an
//! interrupted commit that contains it would count as damage. So each folder has a random mark that never leaves the
//! machine, and each commit begins with the deletion of a row whose key is the mark and that never exists.
//!
//! A journal is a sequence of commits, numbers in little-endian:
//!
//! ```text
//! commit = 1, u32 items, u64 number │ item × items │ 3, u64 XXH3 of the items, "FJL", 3
//! item   = 2, u8 what, u8 compression, u64 keyspace, u16 key, u32 value, u32 stored value │ key │ stored value
//! ```
//!
//! The first item's key is the mark.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::disk::DiskError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
/// What an item is that sets a value.
const PUT: u8 = 0;
const TRAILER: &[u8] = b"FJL\x03";
const EXTENSION: &str = "jnl";
/// Upper limit of the bytes in a commit. A longer incomplete end is not a commit of this store, and opening fails.
const COMMIT_MAX: usize = 64 << 20;

/// The file that contains the mark.
const MARK_FILE: &str = "mark";
/// First byte of the mark: above the number of every table and every key of the registry, so that no read of a range
/// meets it.
const MARK_FIRST: u8 = 0xff;
const MARK_BYTES: usize = 17;

/// The first key of each commit in a folder: random, so that no user can guess it.
pub type Mark = [u8; MARK_BYTES];

/// Creates a folder's mark.
///
/// # Errors
/// If the disk fails, or there is no randomness.
pub(super) fn make_mark(folder: &Path) -> Result<(), DiskError> {
    let mut mark = [MARK_FIRST; MARK_BYTES];
    getrandom::fill(&mut mark[1..]).map_err(|error| io::Error::other(error.to_string()))?;
    let mut file = File::create_new(folder.join(MARK_FILE))?;
    file.write_all(&mark)?;
    file.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Reads a folder's mark.
///
/// # Errors
/// If there is none, or the disk fails.
pub(super) fn mark(folder: &Path) -> Result<Mark, DiskError> {
    let broken = || {
        DiskError::Damaged(format!(
            "{MARK_FILE} is missing in it, or is not what was written; if an older version made the folder, that one's `relay-node backup FILE` keeps what is in it"
        ))
    };
    match std::fs::read(folder.join(MARK_FILE)) {
        Ok(bytes) => bytes.try_into().map_err(|_| broken()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(broken()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file is a journal.
pub(super) fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
}

/// The journals of a folder, the oldest one first.
///
/// # Errors
/// If the disk fails.
pub(super) fn journals(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number: Option<u64> = path
            .file_stem()
            .filter(|_| is_journal(&path))
            .and_then(|stem| stem.to_str()?.parse().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Keys with their values, and offsets.
type Salvaged = (Vec<(Vec<u8>, Vec<u8>)>, Vec<usize>);

/// The rows that complete commits of a journal wrote, in order, and the offsets at which something else is.
pub(super) fn whole_commits(bytes: &[u8], mark: Option<&Mark>) -> Salvaged {
    let (mut rows, mut gaps, mut at, mut in_gap) = (Vec::new(), Vec::new(), 0, false);
    while at < bytes.len() {
        if let Some(end) = whole(bytes, at, mark) {
            rows.extend(written(&bytes[at..end]).unwrap_or_default());
            (at, in_gap) = (end, false);
            continue;
        }
        if !in_gap && bytes[at..].iter().any(|byte| *byte != 0) {
            gaps.push(at);
        }
        in_gap = true;
        let next = bytes[at + 1..].iter().position(|byte| *byte == START);
        at = next.map_or(bytes.len(), |next| at + 1 + next);
    }
    (rows, gaps)
}

/// The rows that a complete commit wrote, without those that it deleted.
fn written(commit: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut rest = Rest(commit);
    rest.tag(START)?;
    let items = u32::from_le_bytes(rest.take()?);
    rest.skip(8)?;
    let mut rows = Vec::new();
    for _ in 0..items {
        rest.tag(ITEM)?;
        let [what, _compression]: [u8; 2] = rest.take()?;
        rest.skip(8)?;
        let key = usize::from(u16::from_le_bytes(rest.take()?));
        rest.skip(4)?;
        let value = usize::try_from(u32::from_le_bytes(rest.take()?)).ok()?;
        let row = (
            rest.0.get(..key)?.to_vec(),
            rest.0.get(key..key + value)?.to_vec(),
        );
        rest.skip(key + value)?;
        if what == PUT {
            rows.push(row);
        }
    }
    Some(rows)
}

/// Truncates an incomplete commit at the end of the newest journal.
///
/// # Errors
/// If a journal is damaged elsewhere, or the disk fails.
pub(super) fn cut_torn_end(folder: &Path, mark: &Mark) -> Result<(), DiskError> {
    let mut journals = journals(folder)?;
    let newest = journals.pop();
    if newest.is_none() {
        // Each store has one from its first moment on; without it fjall would begin again with less than there was.
        return Err(DiskError::Damaged(format!(
            "its journal (*.{EXTENSION}) is missing"
        )));
    }
    for path in &journals {
        // An older journal was synced before the next one was begun, so it must be complete.
        let bytes = read(path)?;
        if let Some(at) = unfinished(&bytes, mark)? {
            return Err(damaged(path, at));
        }
    }
    let Some(path) = newest else { return Ok(()) };
    let bytes = read(&path)?;
    match unfinished(&bytes, mark) {
        Ok(None) => {}
        Ok(Some(at)) => {
            tracing::warn!(journal = %path.display(), at, "incomplete commit truncated");
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

/// Damage: bytes that were complete once are not any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage(pub usize);

impl From<Damage> for DiskError {
    fn from(Damage(at): Damage) -> Self {
        Self::Damaged(format!("its journal is not what was written, from byte {at}"))
    }
}

/// The offset of an incomplete commit at the end of this journal, if there is one.
///
/// # Errors
/// If a commit that was complete once is damaged.
pub fn unfinished(bytes: &[u8], mark: &Mark) -> Result<Option<usize>, Damage> {
    let mut at = 0;
    while let Some(end) = commit(bytes, at, mark) {
        at = end;
    }
    let Some(left) = bytes[at..].iter().position(|byte| *byte != 0) else {
        // The rest is preallocated space.
        return Ok(None);
    };
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
    // A commit that is complete except for its mark was written in another folder, or its mark is damaged: users
    // cannot choose where a commit begins.
    if last - at > COMMIT_MAX || whole(bytes, at, None).is_some() {
        return Err(Damage(at));
    }
    let mut search = at + left;
    while let Some(found) = bytes[search..].iter().position(|byte| *byte == START) {
        search += found;
        if commit(bytes, search, mark).is_some() {
            return Err(Damage(at));
        }
        search += 1;
    }
    Ok(Some(at))
}

/// The end of the commit that begins at `at`. `None`: there is no complete commit of this folder.
fn commit(bytes: &[u8], at: usize, mark: &Mark) -> Option<usize> {
    whole(bytes, at, Some(mark))
}

/// As above, with this mark, or (`None`) with any.
fn whole(bytes: &[u8], at: usize, mark: Option<&Mark>) -> Option<usize> {
    let mut rest = Rest(bytes.get(at..)?);
    rest.tag(START)?;
    let items = u32::from_le_bytes(rest.take()?);
    let _number: [u8; 8] = rest.take()?;
    let content = rest.0;
    for n in 0..items {
        rest.tag(ITEM)?;
        rest.skip(1 + 1 + 8)?;
        let key = u16::from_le_bytes(rest.take()?);
        rest.skip(4)?;
        let value = u32::from_le_bytes(rest.take()?);
        let differs = |mark: &Mark| usize::from(key) != MARK_BYTES || !rest.0.starts_with(mark);
        if n == 0 && mark.is_some_and(differs) {
            return None;
        }
        rest.skip(usize::from(key))?;
        rest.skip(usize::try_from(value).ok()?)?;
    }
    let content = &content[..content.len() - rest.0.len()];
    rest.tag(END)?;
    let sum = u64::from_le_bytes(rest.take()?);
    let trailer: [u8; 4] = rest.take()?;
    let whole = items > 0 && trailer == TRAILER && sum == xxh3_64(content);
    whole.then_some(bytes.len() - rest.0.len())
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

    const MARK: Mark = [0xff; MARK_BYTES];

    /// A commit of these items, as fjall 3.1 writes it.
    fn commit_of(number: u64, rows: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut items = Vec::new();
        for (key, value) in rows {
            items.extend([ITEM, 0, 0]);
            items.extend(1_u64.to_le_bytes());
            items.extend((key.len() as u16).to_le_bytes());
            items.extend((value.len() as u32).to_le_bytes());
            items.extend((value.len() as u32).to_le_bytes());
            items.extend([*key, *value].concat());
        }
        let mut bytes = vec![START];
        bytes.extend((rows.len() as u32).to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(&items);
        bytes.push(END);
        bytes.extend(xxh3_64(&items).to_le_bytes());
        bytes.extend(TRAILER);
        bytes
    }

    /// A commit with the mark and this value in it.
    fn one(number: u64, value: &[u8]) -> Vec<u8> {
        commit_of(number, &[(&MARK, &[]), (b"key", value)])
    }

    fn three() -> (Vec<u8>, usize) {
        let first = [one(1, &[7; 900]), one(2, &[8; 5_000])].concat();
        let last = first.len();
        ([first, one(3, &[9; 5_000]), vec![0; 4_096]].concat(), last)
    }

    #[test]
    fn a_whole_journal_is_left_as_it_is() {
        let (bytes, _) = three();
        assert_eq!(unfinished(&bytes, &MARK), Ok(None));
        assert_eq!(unfinished(&[], &MARK), Ok(None));
        assert_eq!(unfinished(&[0; 100], &MARK), Ok(None));
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
            assert_eq!(unfinished(&torn, &MARK), Ok(expected), "without {part:?}");
            assert_eq!(
                unfinished(&bytes[..lost], &MARK),
                Ok((lost > last).then_some(last))
            );
        }
    }

    #[test]
    fn the_rows_of_whole_commits_are_found_around_a_damaged_one() {
        let row = |n: u8| (vec![n], vec![n; 50]);
        let commit = |n: u8| commit_of(u64::from(n), &[(&MARK, &[]), (&[n], &[n; 50])]);
        let mut bytes = [commit(5), commit(6), commit(7), vec![0; 100]].concat();
        let of = |bytes: &[u8]| {
            let (mut rows, gaps) = whole_commits(bytes, Some(&MARK));
            rows.retain(|(key, _)| key != &MARK);
            (rows, gaps)
        };
        assert_eq!(of(&bytes), (vec![row(5), row(6), row(7)], Vec::new()));
        let second = commit(5).len();
        bytes[second + 60] ^= 1;
        assert_eq!(of(&bytes), (vec![row(5), row(7)], vec![second]));
        bytes.truncate(second + 9);
        assert_eq!(of(&bytes), (vec![row(5)], vec![second]));
        assert_eq!(of(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn an_earlier_commit_that_is_broken_is_damage() {
        let (bytes, last) = three();
        for flipped in (0..last).step_by(7) {
            let mut broken = bytes.clone();
            broken[flipped] ^= 0x10;
            let first = one(1, &[7; 900]).len();
            let begins = if flipped < first { 0 } else { first };
            // The keyspace's own number and what an item says of itself are covered by the sum; a commit's number
            // alone is not.
            let number = flipped - begins;
            if (5..13).contains(&number) {
                continue;
            }
            assert_eq!(unfinished(&broken, &MARK), Err(Damage(begins)), "byte {flipped}");
        }
    }

    #[test]
    fn commits_of_another_folder_are_damage_and_not_cut_off() {
        let (bytes, last) = three();
        let other = [0xfe; MARK_BYTES];
        assert_eq!(unfinished(&bytes, &other), Err(Damage(0)));
        let mut mixed = bytes[..last].to_vec();
        mixed.extend(commit_of(3, &[(&other, &[]), (b"key", b"value")]));
        assert_eq!(unfinished(&mixed, &MARK), Err(Damage(last)));
    }

    #[test]
    fn what_looks_like_a_commit_within_a_post_is_no_damage_when_that_is_torn() {
        let mark: Mark = [0xfe; MARK_BYTES];
        for planted in [
            commit_of(u64::MAX, &[]),
            commit_of(9, &[(b"key", b"value")]),
            // Correct except for the mark, which its author cannot know.
            commit_of(9, &[(&mark, &[]), (b"key", b"value")]),
        ] {
            // Adjacent commits, and commits with space between them, ending anywhere.
            let mut post = Vec::new();
            for space in (0..100).step_by(9) {
                post.extend(&planted);
                post.resize(post.len() + space, 0);
            }
            let before = one(1, b"before");
            let (bytes, last) = ([before.clone(), one(2, &post)].concat(), before.len());
            assert_eq!(unfinished(&bytes, &MARK), Ok(None));
            for lost in last..bytes.len() {
                let mut torn = bytes.clone();
                // Its end is missing, or a sector in the middle, or its beginning.
                torn[lost..].fill(0);
                assert_eq!(
                    unfinished(&torn, &MARK),
                    Ok((lost > last).then_some(last)),
                    "from {lost}"
                );
                let mut torn = bytes.clone();
                torn[lost..(lost + 512).min(bytes.len())].fill(0);
                assert_eq!(unfinished(&torn, &MARK), Ok(Some(last)), "without {lost}");
                let mut torn = bytes.clone();
                torn[last..lost].fill(0);
                let expected = (lost > last).then_some(last);
                assert_eq!(unfinished(&torn, &MARK), Ok(expected), "up to {lost}");
            }
        }
    }
}
