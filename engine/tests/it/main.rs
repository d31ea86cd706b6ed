//! The engine under simulation: many peers, one seed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail loudly, and read their seed"
)]

mod cache;
mod compare;
mod completeness;
mod crashes;
mod directory;
mod disk;
mod feeds;
mod hardship;
mod hostile;
mod many;
mod members;
mod mesh;
mod model;
mod names;
mod names_offer;
mod network;
mod newcomers;
mod people;
mod placement;
mod random;
mod reactions;
mod registry;
mod replicas;
mod routing;
mod scenarios;
mod slugs;
mod withdrawals;
