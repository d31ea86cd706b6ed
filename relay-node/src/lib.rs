//! The native Starling peer, as a library for its own binary and tests.

pub mod rtc;
