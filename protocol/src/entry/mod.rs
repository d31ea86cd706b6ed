//! Entries: the links of a device's append-only signed log (its feed).
//!
//! A feed is the sequence of entries of one device, numbered from 0 without gaps; each names the id of its
//! predecessor. Header and body are separate: a body can be dropped, the header stays verifiable. Invariant: a
//! [`VerifiedEntry`] exists only for an entry whose signature, hashes, lengths and, for the first entry, certificate
//! were checked.

mod header;
mod verify;

pub use header::{ENTRY_VERSION, Entry, Header, Position, SignedHeader};
pub use verify::{EntryError, VerifiedEntry};
