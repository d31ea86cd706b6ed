//! The worker.
pub mod store;
