//! The registry: whose a name is, and which post's a slug, decided in one place and signed.
//!
//! ```text
//! desk ── questions ──► Registry (names.rs: what may be claimed, by whom; rows.rs) ──► Ledger ─┬─ embedded.rs: a disk, one relay
//!                        leader.rs: what only one relay at a time does                └─ etcd.rs: several relays
//! ```
//!
//! Invariants:
//! - a name and the account's own row, a slug and the post's own row and the account's count of slugs change in one
//!   transaction that compares all of them, so nothing can be had twice, and no more than is allowed;
//! - nothing is answered before the ledger has it durably; when it is unknown whether a transaction took effect, the row is read
//!   again, and the nonce that it would have written settles it;
//! - a request does nothing if the name or slug changed after what it knew of, so whoever repeats an old one changes nothing;
//! - names are kept apart by their skeleton, so two that look alike are one name to the registry;
//! - every write of a leader compares its lock's creation, so that one who lost it without knowing changes nothing.

mod desk;
mod embedded;
mod etcd;
mod leader;
mod ledger;
mod names;
mod rows;
mod rules;

pub use desk::{Desk, Questions, Reach, serve};
pub use embedded::{Copied, Embedded, FOLDER as EMBEDDED_FOLDER};
pub use etcd::{Credentials, Etcd, EtcdAddress};
pub use leader::{Pace, lead};
pub use ledger::{Change, Check, Key, LeaseId, Ledger, LedgerError, Outcome, Row, Txn};
pub use names::{Lock, Registry, RegistryError, SLUGS_MAX, Settings};
pub use rows::{Holding, Space};
pub use rules::{canonical, check, skeleton};
