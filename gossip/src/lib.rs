//! Overlay and dissemination for leaderless systems.
//!
//! Two state machines, both sans-I/O and generic over what a peer, a link and a log are:
//!
//! - [`overlay::Overlay`] decides *whom to be linked with*: how many links, which to dial next, which to refuse.
//! - [`spread::Spread`] decides *how news travels over the links*: pushed whole at once, or announced and fetched.
//!
//! They hold no payload and remember no message: whether something is news is asked of its owner (the store), so there is
//! no replay window and nothing to forget. Time is a [`core::time::Duration`] since any fixed start; randomness is passed in.

pub mod overlay;
pub mod spread;
