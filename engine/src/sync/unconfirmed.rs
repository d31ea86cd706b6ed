//! Feeds of a relay that reached the disk and are not confirmed to their authors yet. One commit can carry more feeds
//! further than one input may sign receipts for.

use std::collections::VecDeque;

use ordered::Set;
use protocol::DeviceId;

use crate::ctx::Ctx;
use crate::log::Log;
use crate::net::Net;

use super::Sync;

/// Feeds that one input confirms. A signature takes some 20 µs, so this is below 2 ms; the next inputs, which are due at
/// once, confirm the others.
const CONFIRMED_AT_ONCE: usize = 64;

/// These feeds, in the order in which they reached the disk. There are no more than feeds that are held.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    order: VecDeque<DeviceId>,
    feeds: Set<DeviceId>,
}

impl Unconfirmed {
    fn add(&mut self, device: DeviceId) {
        if self.feeds.insert(device) {
            self.order.push_back(device);
        }
    }

    fn next(&mut self) -> Option<DeviceId> {
        let device = self.order.pop_front()?;
        self.feeds.remove(&device);
        Some(device)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Sync {
    /// A feed has more on disk: it is confirmed by this input or one of the next.
    pub(crate) fn confirm_later(&mut self, device: DeviceId) {
        self.unconfirmed.add(device);
    }

    /// Whether feeds are left for the next inputs.
    #[cfg(test)]
    pub(crate) fn has_unconfirmed(&self) -> bool {
        !self.unconfirmed.is_empty()
    }

    /// Confirms the next feeds that have more on disk.
    pub(crate) fn confirm_next(&mut self, ctx: &mut Ctx, net: &Net, log: &Log) {
        for _ in 0..CONFIRMED_AT_ONCE {
            let Some(device) = self.unconfirmed.next() else {
                return;
            };
            self.confirm_durable(ctx, net, log, &device);
        }
    }
}

#[cfg(test)]
#[path = "unconfirmed_tests.rs"]
mod tests;
