//! The registry: whose a name is, and which post's a slug, decided in one place and signed.
//!
//! ```text
//! driver ── RegistryQueue ──► service ──► registry: who may claim what ──► store::TxnStore ─┬─ embedded: a disk, one relay
//!                                │        validation: what a name may be                    └─ etcd: several relays
//!                                └──────► leader: what one relay at a time does; schema: the rows
//! ```
//!
//! Invariants:
//! - a name and the account's own row, a slug and the post's own row and the account's count of slugs change in one
//!   transaction that compares all of them, so nothing can be had twice, and no more than is allowed;
//! - nothing is answered before the store has it durably; when it is unknown whether a transaction took effect, the row is read
//!   again, and the nonce that it would have written settles it;
//! - a request does nothing if the name or slug changed after what it knew of, so whoever repeats an old one changes nothing;
//! - names are kept apart by their skeleton, so two that look alike are one name to the registry;
//! - every write of a leader compares its lock's creation, so that one who lost it without knowing changes nothing.

mod leader;
mod registry;
mod schema;
mod service;
pub mod store;
mod validation;

pub use leader::{Pace, lead};
pub use registry::{Lock, Registry, RegistryError, SLUGS_MAX, Settings};
pub use schema::{Holding, Space};
pub use service::serve;
pub use store::{
    Change, Check, Copied, Credentials, EMBEDDED_FOLDER, Embedded, Etcd, EtcdAddress, Key, LeaseId, Outcome,
    Row, Txn, TxnError, TxnStore,
};
pub use validation::{canonical, check, skeleton};
