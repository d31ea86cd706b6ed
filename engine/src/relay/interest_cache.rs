//! What browsers wanted whose links ended, so that one that comes back need not say it again.
//!
//! Invariant: the accounts remembered of all browsers together stay within [`ACCOUNTS_MAX`].

use std::collections::VecDeque;

use ordered::Map;
use protocol::PeerId;

use crate::sync::Remembered;
use crate::sync::interests::RESUME_MIN;

/// Accounts remembered, 8 or 32 bytes each. Policy when full: the browser that left first is forgotten.
pub(crate) const ACCOUNTS_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct InterestCache {
    of: Map<PeerId, Remembered>,
    /// The one that left first is first.
    order: VecDeque<PeerId>,
    accounts: usize,
}

impl InterestCache {
    /// A browser left.
    pub(crate) fn remember(&mut self, peer: PeerId, wanted: Remembered) {
        self.take(&peer);
        if !(RESUME_MIN..=ACCOUNTS_MAX).contains(&wanted.salted.len()) {
            return;
        }
        self.accounts += wanted.salted.len() + wanted.named.len();
        self.of.insert(peer, wanted);
        self.order.push_back(peer);
        while self.accounts > ACCOUNTS_MAX {
            let Some(first) = self.order.front().copied() else {
                return;
            };
            self.take(&first);
        }
    }

    /// What a browser wanted when it left.
    pub(crate) fn take(&mut self, peer: &PeerId) -> Option<Remembered> {
        let wanted = self.of.remove(peer)?;
        self.accounts -= wanted.salted.len() + wanted.named.len();
        self.order.retain(|other| other != peer);
        Some(wanted)
    }
}

#[cfg(test)]
#[path = "interest_cache_tests.rs"]
mod tests;
