//! What the data folder takes of its disk, and what is left.

use std::fs;
use std::path::Path;

/// Files looked at in the data folder; it has a dozen.
const FILES_MAX: usize = 10_000;

/// The disk the relay writes to.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Bytes of the files in the data folder.
    pub(super) used: u64,
    /// Free bytes of its file system, if known.
    pub(super) free: Option<u64>,
}

impl Disk {
    /// Reads the sizes of the files in `folder`. Not for async threads.
    pub(super) fn of(folder: &Path) -> Self {
        let mut folders = vec![folder.to_owned()];
        let (mut used, mut left) = (0, FILES_MAX);
        while let Some(folder) = folders.pop() {
            // A file that vanishes meanwhile takes no space.
            for file in fs::read_dir(folder).into_iter().flatten().flatten().take(left) {
                left -= 1;
                match file.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(file.path()),
                    Ok(metadata) => used += metadata.len(),
                    Err(_) => {}
                }
            }
        }
        let disk = rustix::fs::statvfs(folder).ok();
        Self {
            used,
            free: disk.map(|disk| disk.f_bavail * disk.f_frsize),
        }
    }
}

/// A size for people, in decimal units.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, bytes};

    #[test]
    fn sizes_are_read_at_a_glance() {
        let shown = [0, 999, 1_000, 12_345, 99_949, 123_456, 7_000_000_000].map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "99.9 kB", "123 kB", "7.0 GB"]
        );
    }

    #[test]
    fn files_in_folders_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("posts")).unwrap();
        std::fs::write(dir.path().join("key"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("posts/1"), [0; 100]).unwrap();
        let disk = Disk::of(dir.path());
        assert_eq!(disk.used, 110);
        assert!(disk.free.is_some_and(|free| free > 0));
    }
}
