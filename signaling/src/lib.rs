//! Signaling: introduces peers to each other, so that they can open a direct WebRTC channel.
//!
//! - [`rooms`]: members of rooms and the messages between them, without I/O;
//! - [`rate`]: token buckets;
//! - [`connection_guard`]: which sockets are accepted (origin, host, connections per address);
//! - [`server`]: the rooms with queues, shared by all sockets; a relay joins as a local member;
//! - [`mod@router`]: the WebSocket endpoint `/signal`;
//! - `arrivals`: how fast new sockets of one address are let in;
//! - [`places`]: the places of one address, and which connection gives way when they are full;
//! - [`proxies`]: reverse proxies in front of the server;
//! - [`sockets`]: how many sockets the process may have open;
//! - [`serve`]: an HTTP server that limits connections, open sockets and the time a request may take to arrive.
//!
//! Invariants: no message is forwarded before its sender proved its key; payloads are never read; everything that a
//! stranger can make grow has a limit; and nothing here knows about links, so links survive a failure of this server.

mod activity;
mod arrivals;
pub mod connection_guard;
pub mod places;
pub mod proxies;
pub mod rate;
pub mod rooms;
pub mod router;
pub mod serve;
pub mod server;
pub mod sockets;

pub use connection_guard::{ConnectionGuard, GuardConfig};
pub use places::network;
pub use rooms::Limits;
pub use router::router;
pub use server::{LocalCall, LocalReceiver, LocalSender, SignalingServer};
