//! The native Starling peer, as a library for its own binary and tests.
//!
//! ```text
//! relay ── puts together ──► data_dir, identity, config
//!   │
//!   ├─ driver: one thread runs the engine ◄──► store: one thread writes fjall
//!   ├─ transport, webrtc: WebSockets and WebRTC channels as links of the driver
//!   ├─ names: the registry of unique names, on disk or in etcd
//!   └─ web: the app, the JSON API, health, metrics and the operator's page
//! ```
//!
//! Invariant: nothing here decides what is stored, shown or forwarded; that is the engine's.

pub mod commands;
pub mod config;
pub mod data_dir;
pub mod driver;
pub mod identity;
pub mod names;
pub mod network;
pub mod relay;
pub mod store;
pub mod transport;
pub mod web;
pub mod webrtc;
