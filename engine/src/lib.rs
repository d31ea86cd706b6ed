//! The verbs of Starling: feeds, sync, views and social rules.
//!
//! Sans-I/O. One contract, stated in [`io`]: **one input, drain all outputs, then wait for the next deadline.**

pub mod api;
pub mod io;
pub mod store;

use std::collections::VecDeque;

pub use io::{AskId, Candidate, Config, Input, LinkId, Log, Now, Output, PeerKind};
use protocol::Instant;

/// A whole peer, without its sockets, disk and clock.
#[derive(Debug)]
pub struct Engine {
    outputs: VecDeque<Output>,
}

impl Engine {
    /// A peer whose randomness all comes from `seed` (32 bytes; from the operating system in a program, chosen in a
    /// test). Emits the loads that read its store.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> Self {
        let _ = (config, seed, now);
        Self {
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Afterwards drain [`Self::poll_output`] and look at [`Self::next_deadline`].
    pub fn handle(&mut self, now: Now, input: Input) {
        let _ = (now, input);
    }

    /// The next thing to do outside, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The key this peer proves on its links: a relay's own, or this device's once there is an account.
    #[must_use]
    pub fn key(&self) -> Option<&protocol::KeyPair> {
        None
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
