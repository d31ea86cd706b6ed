//! The registry of names: one authority decides which account has a name and which post has a slug, and signs it.
//!
//! ```text
//! driver ── RegistryQueue ──► service ──► registry: who may claim what ──► store::TxnStore ─┬─ embedded: a disk, one relay
//!                                │        validation: what a name may be                    └─ etcd: several relays
//!                                └──────► leader: what one relay at a time does; schema: the rows
//! ```
//!
//! Invariants:
//! - a name and the account's own row, a slug and the post's own row and the account's count of slugs change in one
//!   transaction that compares all of them, so nothing has two owners, and no account exceeds its limit;
//! - a request is answered after the store has committed it durably; when the outcome of a transaction is unknown, the
//!   row is read again, and the nonce in it tells;
//! - a request names the last revision its signer knew of the name or slug, and has no effect after a later one, so
//!   replaying an old request changes nothing;
//! - names are compared by their look, so two that look alike have one owner;
//! - every write of a leader compares its lock's creation (a fencing token), so a leader that lost the lock changes
//!   nothing.

mod leader;
mod registry;
mod schema;
mod service;
pub mod store;
mod validation;

pub use leader::{LeaderPeriods, lead};
pub use registry::{Lock, Registry, RegistryError, SLUGS_MAX, Settings};
pub use schema::{Holding, Space, check_rows};
pub use service::serve;
pub use store::{
    Change, Check, Copied, Credentials, EMBEDDED_FOLDER, Embedded, Etcd, EtcdAddress, Key, LeaseId, Row, Txn,
    TxnError, TxnResult, TxnStore,
};
pub use validation::{canonical, check, skeleton};
