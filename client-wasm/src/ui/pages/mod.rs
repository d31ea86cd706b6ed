//! The places of the app, one module each.

pub mod explore;
pub mod home;
pub mod named;
pub mod network;
pub mod not_found;
pub mod profile;
pub mod thread;
pub mod welcome;
pub mod you;
