//! A disk for tests with which something can be wrong.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Changes, Disk, DiskError, FjallDisk, Opener, RowIter};

const CACHE_BYTES: usize = 8 << 20;

/// No space is left.
pub(crate) const FULL: io::ErrorKind = io::ErrorKind::StorageFull;
/// It breaks, or it was pulled out (EIO has no kind of its own).
pub(crate) const BROKEN: io::ErrorKind = io::ErrorKind::Other;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Writes(io::ErrorKind),
    /// Nothing is written or read.
    All(io::ErrorKind),
    /// The next commit is on the disk, and nobody is told; then all is well.
    Answer(io::ErrorKind),
}

/// Puts faults in and takes them out again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    pub(crate) fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault() = fault.into();
    }

    /// What is wrong now.
    pub(crate) fn now(&self) -> Option<Fault> {
        *self.fault()
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Result<(), DiskError> {
        match self.now() {
            Some(Fault::All(kind)) => Err(io::Error::from(kind).into()),
            _ => Ok(()),
        }
    }
}

/// One that does what it is told to.
pub(crate) struct FaultyDisk {
    disk: FjallDisk,
    faults: Faults,
}

impl FaultyDisk {
    /// Opens the store in a folder on such a disk.
    pub(crate) fn opener(path: PathBuf, faults: &Faults) -> Opener {
        let faults = faults.clone();
        Box::new(move || {
            let disk = FjallDisk::open(&path, CACHE_BYTES)?;
            let faults = faults.clone();
            Ok(Box::new(Self { disk, faults }))
        })
    }
}

impl Disk for FaultyDisk {
    fn commit(&self, changes: &Changes) -> Result<(), DiskError> {
        match self.faults.now() {
            Some(Fault::Writes(kind) | Fault::All(kind)) => return Err(io::Error::from(kind).into()),
            Some(Fault::Answer(kind)) => {
                self.disk.commit(changes)?;
                self.faults.set(None);
                return Err(io::Error::from(kind).into());
            }
            None => {}
        }
        self.disk.commit(changes)
    }

    fn has_room(&self) -> bool {
        !matches!(self.faults.now(), Some(Fault::Writes(FULL) | Fault::All(FULL)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        self.faults.reading()?;
        self.disk.get(key)
    }

    fn range(&self, start: Vec<u8>, end: Vec<u8>, reverse: bool) -> RowIter<'_> {
        match self.faults.reading() {
            Ok(()) => self.disk.range(start, end, reverse),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}
