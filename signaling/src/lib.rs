//! Introduces peers to each other, so that they can open a direct channel, and then gets out of the way.
//!
//! - [`rooms`]: who is where and who may say what to whom, without I/O;
//! - [`rate`]: token buckets;
//! - [`door`]: who may open a socket at all (origin, host, connections per address);
//! - [`hub`]: the rooms with queues around them, shared by all sockets; a relay enters as a local member;
//! - [`mod@router`]: the WebSocket endpoint `/signal`;
//! - [`serve`]: an HTTP server with a bound on connections and on how long a request may take to arrive.
//!
//! Invariants: no message is passed on before its sender proved its key; payloads are never read; everything a
//! stranger can make grow has a bound; and nothing here knows of links, so links outlive this server.

pub mod door;
pub mod hub;
pub mod rate;
pub mod rooms;
pub mod router;
pub mod serve;

pub use door::{Door, DoorConfig};
pub use hub::{Hub, LocalReceiver, LocalSender};
pub use rooms::Limits;
pub use router::router;
