//! A disk for tests that can be full.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};

use super::embedded::Opener;

/// A disk that has no space left as long as it is told so.
#[derive(Debug)]
pub(crate) struct Disk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// Opens the database in a file on such a disk.
    pub(crate) fn opener(path: PathBuf, full: &Arc<AtomicBool>) -> Opener {
        let full = Arc::clone(full);
        Box::new(move || {
            let file = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            let file = FileBackend::new(file)?;
            let full = Arc::clone(&full);
            Database::builder().create_with_backend(Self { file, full })
        })
    }

    fn space(&self) -> Result<(), io::Error> {
        if self.full.load(Ordering::SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.space()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.space()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.space()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}
