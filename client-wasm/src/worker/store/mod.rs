//! The engine's tables in the browser: a log of packed segments ([`log`], pure) on IndexedDB ([`disk`]).
//!
//! Invariants: batches become durable in the order they were given, and are reported only then; a batch is never
//! dropped: when the disk refuses, the same write is tried again until it succeeds, and the engine learns what is
//! wrong. One write is under way at a time, so that whatever is appended meanwhile travels together in the next.
//!
//! The backlog in memory is bounded by the engine: it learns of a full or failing disk and stops taking in what can
//! be fetched again.

mod cache;
#[cfg(target_arch = "wasm32")]
mod database;
mod directory;
#[cfg(target_arch = "wasm32")]
mod disk;
mod log;
#[cfg(test)]
mod log_tests;
mod segment;

#[cfg(target_arch = "wasm32")]
pub use database::{Store, StoreEvent};
#[cfg(target_arch = "wasm32")]
pub use disk::{DiskError, DiskEvent, erase};
