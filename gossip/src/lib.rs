//! Overlay and dissemination for leaderless systems.
#![allow(missing_docs)]
pub mod broadcast;
pub mod membership;
#[cfg(feature = "sim")]
pub mod sim;
pub mod swarm;
