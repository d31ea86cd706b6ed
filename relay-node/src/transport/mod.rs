//! Channels to peers. Transports carry frames and know nothing of what is in them.

pub mod dial;
pub mod websocket;
