//! Links between peers: the handshake that opens one, and the frames that travel on it.

pub mod frame;
pub mod handshake;
