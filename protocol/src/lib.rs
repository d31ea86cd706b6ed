//! The nouns that cross a wire or a disk.
//!
//! Everything two Starling peers must agree on lives here and nothing else does: identity, entries, link handshake,
//! peer messages, signal messages, their canonical [postcard](https://postcard.jamesmunns.com/wire-format) bytes and
//! the limits on all of them. `docs/protocol.md` is the byte-level description of the same.
//!
//! Invariants:
//! - decoding never panics and never allocates more than the input justifies;
//! - whatever is signed is signed over a domain tag, so that a signature made for one purpose is worthless for another;
//! - an [`entry::VerifiedEntry`] can only be made by checking a signature.
//!
//! This crate is sans-I/O: no clock, no sockets, no global random source.

pub mod codec;
pub mod directory;
pub mod entry;
pub mod frame;
pub mod handshake;
pub mod id;
pub mod identity;
pub mod introduction;
pub mod key;
pub mod limits;
pub mod message;
pub mod name;
pub mod overlay;
pub mod pages;
pub mod phrase;
pub mod receipt;
pub mod signal;
pub mod time;

pub use entry::{Body, Entry, Header, Kind, SignedHeader, VerifiedEntry};
pub use id::{AccountId, DeviceId, EntryId, EntryRef, PeerId};
pub use key::{KeyPair, Signature};
pub use time::{Instant, Timestamp};
