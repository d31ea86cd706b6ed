//! The data types that two peers exchange or that are stored on disk.
//!
//! Everything two Starling peers must agree on is defined here and nothing else is: identity, entries, link handshake,
//! peer messages, signal messages, what addresses are of the internet, their canonical [postcard](https://postcard.jamesmunns.com/wire-format) bytes and
//! the limits on all of them. `docs/protocol.md` is the byte-level description of the same.
//!
//! Invariants:
//! - decoding never panics and never allocates more than the input justifies;
//! - every signature covers a domain tag, so a signature made for one purpose is worthless for another;
//! - an [`entry::VerifiedEntry`] can only be made by checking a signature.
//!
//! This crate is sans-I/O: no clock, no sockets, no global random source.

pub mod codec;
pub mod entry;
pub mod id;
pub mod key;
pub mod kinds;
pub mod limits;
pub mod link;
pub mod messages;
pub mod names;
pub mod pages;
pub mod phrase;
pub mod reach;
pub mod signal;
pub mod time;
pub mod work;

pub use entry::{Entry, Header, SignedHeader, VerifiedEntry};
pub use id::{AccountId, DeviceId, EntryId, EntryRef, PeerId};
pub use key::{KeyPair, Signature};
pub use kinds::{Body, Kind};
pub use time::{Instant, Timestamp};
