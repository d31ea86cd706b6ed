//! Overlay membership and epidemic broadcast for leaderless systems, in browsers and on servers.
//!
//! Thousands of peers, none of them in charge, each linked with a handful of others: how does everybody hear what anybody
//! says, soon, once, and although peers come and go? This crate is two answers and what they need around them. The core
//! holds no socket, clock, thread or random source: time is a [`core::time::Duration`] since any fixed start, chance an
//! [`rand_core::Rng`], and what is to be done comes out of `poll`. So the same code runs in a tab, on a server, and ten
//! thousand times over in one simulated network, where a seed repeats a run exactly.
//!
//! # Whom to be linked with
//!
//! [`membership`] follows **HyParView** (Leitão, Pereira, Rodrigues, DSN 2007). Knowing everybody does not scale; knowing
//! a random few is enough, if the few are well kept. Each peer has a small *active view*, its neighbours, linked both
//! ways, and a larger *passive view*, peers it could link with. Newcomers are announced on random walks, so that they end
//! up anywhere; acquaintances are exchanged on random walks, so that passive views stay fresh; who fails is replaced from
//! the passive view. Because links go both ways, the view of one is in the views of others, and failures are felt by those
//! who can mend them. The paper's striking result holds here too: after nine tenths of the peers die at once, the rest
//! find together again.
//!
//! # How news travels
//!
//! [`broadcast`] follows **Plumtree** (Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", SRDS 2007). Flooding is
//! robust and wasteful, a tree is thrifty and fragile; so a tree is laid over the flood. A message is pushed whole along
//! *eager* links and announced on *lazy* ones. Who gets a second copy *prunes* the link it came by: what remains eager is
//! a spanning tree. Who hears an announcement and not the message asks for it and *grafts* that link to the tree: so the
//! tree mends where it broke, and only there.
//!
//! Both modules say at their head where they depart from the papers, and why.
//!
//! # What to use
//!
//! Programs that need no simulator turn the default features off.
//!
//! - [`swarm::Swarm`] is one member: overlay, broadcast, and a bounded history for deduplication and for those who were
//!   away. For programs whose messages live nowhere else.
//! - [`membership::Membership`] and [`broadcast::Broadcast`] by themselves, for programs with a store of their own: whether
//!   something is news is asked of the store, so there is no window after which a replay floods again.
//! - [`detector::Detector`], who lives and who does not, from heartbeats that are passed on.
#![cfg_attr(
    feature = "node",
    doc = "- [`node::Node`], a member as a handle to await on, with [`typed`] messages, over TCP or any other transport. (Features `node`; `native` with TCP; `wire` is the bytes alone.)"
)]
#![cfg_attr(
    feature = "sim",
    doc = "- [`sim`], the simulator, and its program `gossip-sim`; scenarios are in `gossip/scenarios/`."
)]

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
