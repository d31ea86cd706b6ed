//! The limit of open files: raised at the start, and divided between the store and sockets.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the store keeps open where the limit allows it.
const STORE_FILES_MAX: usize = 256;
/// Fewest files that the store keeps open; with fewer it would open one for most reads.
const STORE_FILES_MIN: usize = 32;
/// Descriptors for everything but accepted sockets and the tables of the store: journals, compaction, the log, the
/// runtime, listeners, connections for health checks and metrics, and links that this peer dials.
const OTHER_FILES: usize = 96;
/// What stands for a limit that is none.
const UNLIMITED: usize = 1 << 20;

/// The limits of open files of this process, in descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// In effect.
    pub soft: usize,
    /// To which the process may raise it.
    pub hard: usize,
}

impl FileLimits {
    /// Those in effect now.
    #[must_use]
    pub fn now() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let number =
            |limit: Option<u64>| limit.map_or(UNLIMITED, |limit| usize::try_from(limit).unwrap_or(UNLIMITED));
        Self {
            soft: number(limit.current),
            hard: number(limit.maximum),
        }
    }

    /// Raises the soft limit to the hard one. Returns the limits in effect afterwards.
    ///
    /// # Errors
    /// If the system refuses; then the soft limit is as before.
    pub fn raise() -> io::Result<Self> {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
        Ok(Self::now())
    }

    /// Files that the store may keep open.
    #[must_use]
    pub fn store_files(&self) -> usize {
        (self.soft / 4).clamp(STORE_FILES_MIN, STORE_FILES_MAX)
    }

    /// Sockets that may be accepted, so that there are always descriptors for the store and health checks.
    #[must_use]
    pub fn sockets_max(&self) -> usize {
        let others = self.store_files() + OTHER_FILES;
        self.soft.saturating_sub(others).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::FileLimits;

    #[test]
    fn sockets_and_the_store_share_the_limit() {
        let check = |soft, store, sockets| {
            let limits = FileLimits { soft, hard: soft };
            assert_eq!(
                (limits.store_files(), limits.sockets_max()),
                (store, sockets),
                "{soft}"
            );
        };
        check(64, 32, 1);
        check(256, 64, 96);
        check(1_024, 256, 672);
        check(1 << 20, 256, (1 << 20) - 352);
    }
}
