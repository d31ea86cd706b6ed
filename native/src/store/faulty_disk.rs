//! A disk for tests that fails, or does not answer, when a test says so.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Changes, Disk, DiskError, FjallDisk, Opener, RowIter};

const CACHE_BYTES: usize = 8 << 20;

/// No space is left.
pub const FULL: io::ErrorKind = io::ErrorKind::StorageFull;
/// The device fails (EIO has no kind of its own).
pub const BROKEN: io::ErrorKind = io::ErrorKind::Other;

/// Time between two looks at whether a slow commit may end.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written.
    Writes(io::ErrorKind),
    /// Nothing is written or read.
    All(io::ErrorKind),
    /// The next commit reaches the disk and fails all the same; then the disk works again.
    Answer(io::ErrorKind),
    /// A commit takes until this is cleared.
    Slow,
}

/// Sets and clears the fault of a disk.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Sets the fault, or clears it with `None`.
    pub fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault() = fault.into();
    }

    pub fn now(&self) -> Option<Fault> {
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

/// A [`FjallDisk`] with such a fault.
#[derive(Debug)]
pub struct FaultyDisk {
    disk: FjallDisk,
    faults: Faults,
}

impl FaultyDisk {
    /// Opens the store in a folder on such a disk.
    pub fn opener(path: PathBuf, faults: &Faults) -> Opener {
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
            Some(Fault::Slow) => {
                while self.faults.now() == Some(Fault::Slow) {
                    std::thread::sleep(LOOK_EVERY);
                }
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
