//! The dedicated worker of one tab: the engine with its store and links, as long as this tab leads; otherwise it passes
//! messages on between its page and the leader's worker.
//!
//! What decides is pure and compiles natively, for tests: [`dialer`], [`outbox`], [`backoff`], [`sdp`], the store's
//! log.

mod backoff;
#[cfg(target_arch = "wasm32")]
mod channels;
mod dialer;
#[cfg(test)]
mod dialer_tests;
#[cfg(target_arch = "wasm32")]
mod driver;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod leader;
#[cfg(target_arch = "wasm32")]
mod links;
pub mod outbox;
pub mod port;
#[cfg(target_arch = "wasm32")]
mod relay;
mod sdp;
#[cfg(target_arch = "wasm32")]
mod signaling;
mod store;
#[cfg(target_arch = "wasm32")]
mod websocket;

#[cfg(target_arch = "wasm32")]
pub use host::run;
#[cfg(target_arch = "wasm32")]
pub use links::frame_of;
