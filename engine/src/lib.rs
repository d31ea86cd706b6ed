//! The verbs of Starling: feeds, sync, views and social rules.
//!
//! Sans-I/O. One contract: **one input, drain all outputs, then wait for the next deadline.**

pub mod api;
pub mod store;
