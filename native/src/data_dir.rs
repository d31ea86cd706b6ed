//! The data folder: created if missing, and locked so that one process at a time uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown,
};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use engine::store::FORMAT;
use protocol::Timestamp;

/// The file whose lock is the lock of the folder. It holds the id of the process.
const LOCK_FILE: &str = "lock";
/// The file that holds the version of the folder's format, a decimal number.
const FORMAT_FILE: &str = "format";
/// The version of a folder without that file: relays wrote none until the second version was thought of.
const FORMAT_UNWRITTEN: u32 = 1;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be created or written.
    #[error("the data folder {} cannot be written: {}", path.display(), advice(source))]
    Io { path: PathBuf, source: io::Error },
    /// Another process uses it.
    #[error("another process ({holder}) uses the data folder {}; stop it, or choose another folder with --data-dir", path.display())]
    Locked {
        path: PathBuf,
        /// The id of the other process, as it wrote it into the lock file.
        holder: String,
    },
    /// A later version of the relay wrote it.
    #[error(
        "the data folder {} has format {found}, written by a later version of relay-node; this version reads formats up to {FORMAT}; install the later version again, or restore a backup made with this version into another folder",
        path.display()
    )]
    Newer {
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file with the version does not hold a number.
    #[error(
        "{}: `{found}` is not a format number; the file is damaged: restore it from a backup of the folder, or, if no later version of relay-node ran here, write {FORMAT} into it",
        path.display()
    )]
    Format { path: PathBuf, found: String },
}

/// What to do about a folder that cannot be used.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "this user may not write there; run this as the owner of the folder, give it to the relay's user (`chown -R USER DIR`), or choose another with --data-dir"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full; make room",
        io::ErrorKind::ReadOnlyFilesystem => "its disk is mounted read-only; choose another with --data-dir",
        _ => "choose another with --data-dir",
    }
}

/// The id of the process that uses a folder, if one does.
#[must_use]
pub fn holder(path: &Path) -> Option<u32> {
    let lock = File::open(path.join(LOCK_FILE)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    fs::read_to_string(path.join(LOCK_FILE)).ok()?.trim().parse().ok()
}

/// Who uses a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The process with this id.
    By(u32),
    /// Nobody.
    Unused,
    /// This user may not look into it.
    Unknown,
}

/// Who uses a folder.
#[must_use]
pub fn usage(path: &Path) -> Use {
    match File::open(path.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Use::Unknown,
        _ => holder(path).map_or(Use::Unused, Use::By),
    }
}

/// The bits of a mode that let others than the owner in.
const OF_OTHERS: u32 = 0o077;

/// What in a data folder others than its owner may read or enter: the folder itself, and what is directly in it.
#[must_use]
pub fn open_to_others(path: &Path) -> Vec<PathBuf> {
    let within = fs::read_dir(path).into_iter().flatten().flatten();
    let all = std::iter::once(path.to_owned()).chain(within.map(|entry| entry.path()));
    let is_open = |path: &PathBuf| {
        fs::symlink_metadata(path)
            .is_ok_and(|found| !found.is_symlink() && found.permissions().mode() & OF_OTHERS != 0)
    };
    all.filter(is_open).collect()
}

/// Takes all rights of others on a data folder away, whatever made it: it holds secret keys.
fn close_to_others(path: &Path) {
    for found in open_to_others(path) {
        let restricted = fs::metadata(&found).and_then(|metadata| {
            let mode = metadata.permissions().mode() & !OF_OTHERS;
            fs::set_permissions(&found, Permissions::from_mode(mode))
        });
        if let Err(error) = restricted {
            tracing::warn!(
                path = %found.display(), %error,
                "other users of this machine may read the data folder, which holds secret keys; its permissions cannot be changed"
            );
        }
    }
}

/// When something was last written in a data folder; `None`: never, or it cannot be read.
#[must_use]
pub fn last_write(path: &Path) -> Option<Timestamp> {
    let in_folder = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let deeper = in_folder(path).flat_map(|entry| in_folder(&entry.path()));
    let times = in_folder(path).chain(deeper).filter_map(|entry| {
        let modified = entry.metadata().ok()?.modified().ok()?;
        Some(Timestamp::default().plus(modified.duration_since(UNIX_EPOCH).ok()?))
    });
    times.max()
}

/// Writes a file in a data folder, atomically and durably, readable by its owner only. The owner of the folder becomes
/// the owner of the file, so that a relay can read what root wrote.
///
/// # Errors
/// If it cannot be written; the previous content is unchanged then.
pub fn write_durably(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) && own.uid() == 0 {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Makes a folder that this process created belong to the owner of the data folder it is in, if root runs this.
///
/// # Errors
/// If that is not possible.
pub fn give_to_owner_of(data_dir: &Path, folder: &Path) -> io::Result<()> {
    let (owner, own) = (fs::metadata(data_dir)?, fs::metadata(folder)?);
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) && own.uid() == 0 {
        chown(folder, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The lock of a data folder, until dropped or until the process ends in any way.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the folder, creating it if it is missing.
    ///
    /// # Errors
    /// [`DataDirError`], saying what to do.
    pub fn take(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let path = fs::canonicalize(path).map_err(failed)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim().to_owned();
                return Err(DataDirError::Locked { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        lock.set_len(0).map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        close_to_others(&path);
        settle_format(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The version of the format of what is in a folder.
///
/// # Errors
/// [`DataDirError`] if this program cannot use it, saying what to do.
pub fn format(path: &Path) -> Result<u32, DataDirError> {
    Ok(written_format(path)?.unwrap_or(FORMAT_UNWRITTEN))
}

fn written_format(path: &Path) -> Result<Option<u32>, DataDirError> {
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DataDirError::Io { path: file, source }),
    };
    match text.trim().parse() {
        Ok(found) if found > FORMAT => Err(DataDirError::Newer {
            path: path.to_owned(),
            found,
        }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(DataDirError::Format {
            path: file,
            found: text.trim().chars().take(20).collect(),
        }),
    }
}

/// Checks the format of a folder that this process has locked, and writes it down where it is missing. Migrations of
/// earlier formats belong here, before the number is written.
fn settle_format(path: &Path) -> Result<(), DataDirError> {
    if written_format(path)?.is_none() {
        let text = format!("{FORMAT_UNWRITTEN}\n");
        // A full disk does not keep the relay from reading what it has.
        if let Err(error) = write_durably(path, FORMAT_FILE, &text) {
            tracing::warn!(%error, folder = %path.display(), "cannot write the format version");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::{DataDir, DataDirError, FORMAT, FORMAT_FILE, Use, format, last_write, open_to_others, usage};

    #[test]
    fn a_folder_that_others_may_read_is_closed_to_them_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir(path.join("names")).unwrap();
        fs::write(path.join("key"), "secret").unwrap();
        for (name, mode) in [("", 0o755), ("names", 0o777), ("key", 0o644)] {
            fs::set_permissions(path.join(name), Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(open_to_others(path).len(), 3);
        drop(DataDir::take(path).unwrap());
        assert!(open_to_others(path).is_empty());
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(""), mode("names"), mode("key")], [0o700, 0o700, 0o600]);
    }

    #[test]
    fn who_uses_a_folder_is_seen_without_changing_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(usage(&dir.path().join("nothing")), Use::Unused);
        let taken = DataDir::take(dir.path()).unwrap();
        assert_eq!(usage(dir.path()), Use::By(std::process::id()));
        drop(taken);
        assert_eq!(usage(dir.path()), Use::Unused);
    }

    #[test]
    fn the_last_write_is_that_of_the_newest_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_write(dir.path()), None);
        let later = SystemTime::now() + Duration::from_hours(72);
        fs::create_dir(dir.path().join("posts")).unwrap();
        let file = fs::File::create(dir.path().join("posts/0.jnl")).unwrap();
        file.set_modified(later).unwrap();
        let ahead = last_write(dir.path()).unwrap().0 - crate::clock::wall().0;
        assert!(ahead > 71 * 3_600_000, "{ahead}");
    }

    #[test]
    fn a_folder_carries_its_format_and_a_later_one_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FORMAT_FILE);
        drop(DataDir::take(dir.path()).unwrap());
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "1\n",
            "written at the first start"
        );
        drop(DataDir::take(dir.path()).unwrap());
        assert_eq!(format(dir.path()).unwrap(), 1);

        let later = FORMAT + 1;
        std::fs::write(&file, format!("{later}\n")).unwrap();
        let error = DataDir::take(dir.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Newer { found, .. } if found == later));
        assert!(
            matches!(format(dir.path()), Err(DataDirError::Newer { .. })),
            "doctor says so, too"
        );
        let text = error.to_string();
        assert!(
            text.contains(&format!("has format {later}, written by a later version")),
            "{text}"
        );
        assert!(text.contains("install the later version"), "{text}");
        let kept = std::fs::read_to_string(&file).unwrap();
        assert_eq!(kept, format!("{later}\n"), "nothing was changed");

        std::fs::write(&file, "a page of something").unwrap();
        assert!(matches!(
            DataDir::take(dir.path()),
            Err(DataDirError::Format { .. })
        ));
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        let taken = DataDir::take(&path).unwrap();
        let Err(DataDirError::Locked { holder, .. }) = DataDir::take(&path) else {
            panic!("two locks on one folder");
        };
        assert_eq!(holder, std::process::id().to_string());
        drop(taken);
        DataDir::take(&path).unwrap();
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(DataDir::take(file.path()), Err(DataDirError::Io { .. })));
    }
}
