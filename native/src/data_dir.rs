//! The data folder: created if missing, and locked so that one process at a time uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown, fchown};
use std::path::{Path, PathBuf};

use engine::store::FORMAT;

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
    #[error("the data folder {} cannot be written; choose another with --data-dir, or give this user the right to", path.display())]
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
    use super::{DataDir, DataDirError, FORMAT, FORMAT_FILE, format};

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
