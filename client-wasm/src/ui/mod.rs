//! The interface. It knows engine commands, queries and events, and nothing of networks or storage.
//!
//! - [`app`]: the root component.
//! - [`bridge`]: the only connection to the engine and the browser; the adapters are on its other side.
//! - [`route`]: addresses inside the app.
//! - [`state`]: what the interface knows.
//! - [`shell`], [`kit`], [`features`]: what is seen: around every page, on every page, and one folder a feature.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what one module offers another; a program exports nothing"
)]

pub mod app;
pub mod bridge;
pub mod dom;
pub mod features;
pub mod kit;
pub mod route;
pub mod shell;
pub mod state;
