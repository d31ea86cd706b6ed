//! Which links carry payload: one bit per (neighbour, tree).
//!
//! [`Tree::TRUNK`] is one spanning tree that all quiet authors share: all traffic maintains it, so an author who posts
//! seldom causes no tree to be built. An author who posts often has a tree of its own among the other
//! [`TREES`] − 1, by bucket, which starts as a copy of the trunk and is then shaped towards that author. So the prunes
//! and grafts of many authors do not fight over one set of links.

use core::hash::{Hash, Hasher};
use core::time::Duration;

/// Number of broadcast trees: the trunk, and those of busy authors.
pub const TREES: usize = 64;
/// A tree unused for so long is forgotten, and starts as a copy of the trunk again.
pub(super) const TREE_IDLE_MAX: Duration = Duration::from_mins(5);

/// The name of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tree(u8);

impl Tree {
    /// The tree of all quiet authors.
    pub const TRUNK: Self = Self(0);

    /// The tree of the bucket an author falls into. The same on every peer of the same version.
    #[must_use]
    pub fn of_author(author: &impl Hash) -> Self {
        Self(1 + (digest(author) % (TREES as u64 - 1)) as u8)
    }

    /// From a byte off the wire; names beyond the last are the trunk.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(if (byte as usize) < TREES { byte } else { 0 })
    }

    /// As a byte for the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    pub(super) const fn bit(self) -> u64 {
        1 << self.0
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every tree.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..TREES as u8).map(Self)
    }
}

/// An author's place in the order in which authors get to shape the trunk. The same on every peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u64);

impl Rank {
    /// Of an author.
    #[must_use]
    pub fn of(author: &impl Hash) -> Self {
        Self(digest(author))
    }
}

fn digest(author: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    author.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a, so that the bucket does not depend on a library's version.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        // The low bits of FNV are weak: fold.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Tells whether an author is quiet or busy, from its own last messages. The author alone decides; everybody else
/// follows what the message says.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthorActivity {
    last: [Option<Duration>; BUSY - 1],
}

/// Messages within [`BUSY_WITHIN`] that make an author busy.
const BUSY: usize = 4;
/// See [`BUSY`]. Guess: in a tree of its own an author's news arrives sooner, but only if the tree is warm.
const BUSY_WITHIN: Duration = Duration::from_mins(1);

impl AuthorActivity {
    /// The author says something now: the tree to send it along.
    pub fn tree(&mut self, author: &impl Hash, now: Duration) -> Tree {
        let oldest = self.last[0];
        self.last.rotate_left(1);
        self.last[BUSY - 2] = Some(now);
        match oldest {
            Some(at) if now.saturating_sub(at) <= BUSY_WITHIN => Tree::of_author(author),
            _ => Tree::TRUNK,
        }
    }
}
