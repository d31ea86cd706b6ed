//! The engine under simulation: many peers, one seed.

mod feeds;
mod hostile;
mod network;
mod random;
mod scenarios;
