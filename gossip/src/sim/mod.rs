//! A deterministic network of thousands of members in one thread: the same seed gives the same run.
//!
//! [`World`] is the network; [`Scenario`] says what happens in it and what is expected; [`run()`] gives a [`Report`].
//! Any protocol that fits [`Member`] can be put into it, to be compared on the same network with the same faults.

mod clock;
mod graph;
mod member;
mod network;
mod report;
mod run;
mod scenario;
mod world;

pub use clock::Agenda;
pub use graph::Graph;
pub use member::{BODY_LEN, Input, Label, Member, Output, SwarmMember};
pub use network::{Hostility, Network};
pub use report::{Report, Sent, Spread, TrafficReport};
pub use run::{LINGER, run, run_with};
pub use scenario::{Expect, Fault, Scenario, Senders, Traffic, TrafficExpect};
pub use world::{Counts, Published, World};
