//! A disk for tests that can be full.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Changes, Disk, DiskError, FjallDisk, Opener, RowIter};

const CACHE_BYTES: usize = 8 << 20;

/// One that has no space left as long as it is told so.
pub(crate) struct FullDisk {
    disk: FjallDisk,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    /// Opens the store in a folder on such a disk.
    pub(crate) fn opener(path: PathBuf, full: &Arc<AtomicBool>) -> Opener {
        let full = Arc::clone(full);
        Box::new(move || {
            let disk = FjallDisk::open(&path, CACHE_BYTES)?;
            let full = Arc::clone(&full);
            Ok(Box::new(Self { disk, full }))
        })
    }

    fn space(&self) -> Result<(), DiskError> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull).into()),
            false => Ok(()),
        }
    }
}

impl Disk for FullDisk {
    fn commit(&self, changes: &Changes) -> Result<(), DiskError> {
        self.space()?;
        self.disk.commit(changes)
    }

    fn has_room(&self) -> bool {
        self.space().is_ok()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        self.disk.get(key)
    }

    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_> {
        self.disk.range(start, end, reverse)
    }
}
