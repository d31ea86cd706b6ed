//! The native Starling peer, as a library for its own binary and tests.
//!
//! ```text
//! commands ── what an operator calls: to run the relay, and to ask and change a running one
//! relay ── starts and stops all of the following, by config; its key is in identity
//!   │
//!   ├─ `native` (a crate): the engine's thread, the store, links, dialling other relays
//!   ├─ websocket, webrtc: where peers open links to this relay
//!   ├─ names: the registry of unique names, on disk or in etcd
//!   └─ web: the app, the JSON API, health, metrics and the operator's page
//! ```
//!
//! Invariant: nothing here decides what is stored, shown or forwarded; that is the engine's.

pub mod commands;
pub mod config;
mod drain;
pub mod health;
pub mod identity;
pub mod invitations;
pub mod logging;
pub mod names;
pub mod relay;
mod secrets;
mod text;
pub mod web;
pub mod webrtc;
pub mod websocket;
