//! The relay program as a process, met by native peers that speak the protocol frame by frame, and by clients of its
//! HTTP edge; and its store, killed in the middle of its work.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(unreachable_pub, reason = "what the modules share is no one else's")]

mod admin;
mod api;
mod crash;
mod doctor;
mod export;
mod hostile;
mod http;
#[path = "../offerer/mod.rs"]
mod offerer;
mod operator;
mod peer;
mod process;

mod webrtc;
