//! The native Starling peer, as a library for its own binary and tests.
//!
//! ```text
//! relay ── puts together ──► data_dir, identity, config
//!   │
//!   ├─ driver: one thread runs the engine ◄──► store: one thread writes fjall
//!   ├─ transport: WebSockets and WebRTC channels (rtc) as links of the driver
//!   ├─ registry: whose a name is, on disk or in etcd
//!   ├─ http: the app, who and how the relay is; beside it the signaling router
//!   └─ admin: the operator's page
//! ```
//!
//! Invariant: nothing here decides what is stored, shown or forwarded; that is the engine's.

pub mod admin;
pub mod commands;
pub mod config;
pub mod data_dir;
pub mod driver;
pub mod http;
pub mod identity;
pub mod names;
pub mod network;
pub mod relay;
pub mod store;
pub mod transport;
pub mod webrtc;
