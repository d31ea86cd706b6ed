//! The native Starling peer, as a library for its own binary and tests.

pub mod config;
pub mod data_dir;
pub mod driver;
pub mod identity;
pub mod rtc;
pub mod store;
pub mod transport;
