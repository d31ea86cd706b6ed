//! Overlay and dissemination for leaderless systems.
#![allow(missing_docs)]
pub mod broadcast;
pub mod membership;
pub mod overlay;
#[cfg(feature = "sim")]
pub mod sim;
pub mod spread;
pub mod swarm;
