//! What every native Starling peer needs, as a library for the relay, for programs of people, and for tests.
//!
//! ```text
//!  transports ── link::LinkEnd ──►┌────────┐──► store: one thread writes fjall (or memory)
//!  websocket (here), WebRTC (the  │ driver │
//!  relay's), memory (tests)       │ engine │──► network: address book, dials other relays
//!                                 └────────┘──► events, for interfaces and logs
//! ```
//!
//! - [`driver`]: the thread that runs the engine, and the handle to it;
//! - [`link`]: the bounded queues between the driver and a transport;
//! - [`websocket`]: a link over any stream of WebSocket messages, and opening one to a relay;
//! - [`network`]: which relay is where, and dialling it;
//! - [`store`]: the engine's tables on disk;
//! - [`data_dir`]: the data folder and its lock;
//! - [`descriptors`]: the limit of open files and what it is divided between;
//! - [`clock`]: the operating system's clocks as the engine's.
//!
//! Invariant: nothing here decides what is stored, shown or forwarded; that is the engine's.

pub mod clock;
pub mod data_dir;
pub mod descriptors;
pub mod driver;
pub mod link;
pub mod network;
pub mod store;
pub mod websocket;
