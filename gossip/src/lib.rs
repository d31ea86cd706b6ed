//! Overlay membership and epidemic broadcast for leaderless systems, in browsers and on servers.
//!
//! A message of one peer reaches thousands of others, soon and once, although each peer is linked with only a few and
//! peers come and go. The core holds no socket, clock, thread or random source: time is a [`core::time::Duration`]
//! since any fixed start, randomness an [`rand_core::Rng`], and the work for the caller comes out of `poll`. So the
//! same code runs in a tab, on a server, and ten thousand times in one simulated network, where a seed repeats a run
//! exactly.
//!
//! # Membership
//!
//! [`membership`] follows **HyParView** (Leitão, Pereira, Rodrigues, DSN 2007). A complete list of members does not
//! scale; a small random sample is enough if it is maintained. Each peer has a small *active view*, its neighbours,
//! with links in both directions, and a larger *passive view*, peers it could link with. New peers are announced on
//! random walks, so that they get random neighbours; samples of views are exchanged on random walks, so that passive
//! views stay fresh; a failed neighbour is replaced from the passive view. Because links are symmetric, the peers that
//! notice a failure are those that can repair it. The paper's result holds here, too: after nine tenths of the peers
//! die at once, the rest connects again.
//!
//! # Broadcast
//!
//! [`broadcast`] follows **Plumtree** (Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", SRDS 2007). Flooding is
//! robust and wasteful, a tree is efficient and fragile, so both are combined. A message is pushed along *eager* links
//! and announced on *lazy* ones. A peer that gets a second copy *prunes* the link it came by; the eager links that
//! remain form a spanning tree. A peer that gets an announcement but not the message requests it and *grafts* that
//! link to the tree, so the tree is repaired where it broke, and only there.
//!
//! The documentation of both modules lists where they depart from the papers, and why.
//!
//! # What to use
//!
//! Programs that do not need the simulator turn the default features off.
//!
//! - [`swarm::Swarm`] is one member: overlay, broadcast, and a bounded history for deduplication and for peers that
//!   were away. For programs that do not store messages themselves.
//! - [`membership::Membership`] and [`broadcast::Broadcast`] by themselves, for programs with a store of their own:
//!   the store decides whether something is new, so there is no window after which a replay floods again.
//! - [`detector::Detector`], failure detection by forwarded heartbeats.
#![cfg_attr(
    feature = "node",
    doc = "- [`node::Node`], a member as a handle to await on, with [`typed`] messages, over TCP or any other transport. (Features `node`; `native` with TCP; `wire` is the bytes alone.)"
)]
#![cfg_attr(
    feature = "sim",
    doc = "- [`sim`], the simulator, and its program `gossip-sim`; scenarios are in `gossip/scenarios/`."
)]
#![warn(missing_docs)]

pub mod broadcast;
#[cfg(feature = "wire")]
mod codec;
pub mod detector;
pub mod membership;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "sim")]
pub mod sim;
pub mod swarm;
#[cfg(feature = "wire")]
pub mod typed;
#[cfg(feature = "wire")]
pub mod wire;
