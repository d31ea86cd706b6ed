//! What this crate promises to its users, and to other implementations of the protocol.
//!
//! The golden vectors are also checked in WebAssembly, where `usize` has 32 bits:
//!
//! ```text
//! CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner \
//!     cargo test -p starling-protocol --target wasm32-unknown-unknown --test it
//! ```

extern crate starling_protocol as protocol;

mod by_hand;
mod cast;
mod golden;
mod vectors;

#[cfg(not(target_arch = "wasm32"))]
mod any;
#[cfg(not(target_arch = "wasm32"))]
mod document;
#[cfg(not(target_arch = "wasm32"))]
mod frames;
#[cfg(not(target_arch = "wasm32"))]
mod handshake;
#[cfg(not(target_arch = "wasm32"))]
mod hostile;
#[cfg(not(target_arch = "wasm32"))]
mod round_trips;
#[cfg(not(target_arch = "wasm32"))]
mod signatures;
#[cfg(not(target_arch = "wasm32"))]
mod texts;
