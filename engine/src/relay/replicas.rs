//! How soon other relays have the entries that people write here.
//!
//! The delay of a copy is the time from when this relay accepted an entry until the receipt of the other relay for it
//! arrived. It is measured at every relay the author is linked with, for each feed and copy, and for each relay over
//! all feeds.
//!
//! Invariant: nothing is measured of an entry that arrived before the link to the other relay: the time it takes then
//! is repair.

use core::time::Duration;
use std::collections::VecDeque;

use ordered::Map;
use protocol::{DeviceId, Instant, PeerId};

use crate::relays::{REPAIR, smooth};

/// Feeds of which delays are kept. Policy when full: the one that was first written to goes.
const FEEDS_MAX: usize = 4_096;
/// Copies of one feed of which the delay is kept. Policy when full: further ones are not measured.
const COPIES_MAX: usize = 8;
/// Relays of which the mean delay is kept. Policy when full: all are forgotten.
const RELAYS_MAX: usize = 1_024;
/// The last entry of a feed that was written here.
#[derive(Debug)]
struct Written {
    next_seq: u64,
    at: Instant,
    copies: Vec<Copied>,
}

/// How soon a relay had it.
#[derive(Debug)]
struct Copied {
    relay: PeerId,
    next_seq: u64,
    delay: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Replicas {
    feeds: Map<DeviceId, Written>,
    /// In the order in which they were first written to.
    order: VecDeque<DeviceId>,
    /// Smoothed, in milliseconds.
    relays: Map<PeerId, f32>,
}

impl Replicas {
    /// An entry arrived from its author, or over a browser.
    pub(crate) fn record_written(&mut self, device: DeviceId, next_seq: u64, at: Instant) {
        if let Some(written) = self.feeds.get_mut(&device) {
            (written.next_seq, written.at) = (next_seq, at);
            return;
        }
        if self.feeds.len() >= FEEDS_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.feeds.remove(&first);
        }
        self.order.push_back(device);
        let copies = Vec::new();
        self.feeds.insert(device, Written { next_seq, at, copies });
    }

    /// `relay`, which has been linked since `since`, signed for the entries of a feed below `next_seq`.
    pub(crate) fn record_signed(
        &mut self,
        relay: PeerId,
        device: &DeviceId,
        next_seq: u64,
        since: Instant,
        now: Instant,
    ) {
        let Some(written) = self.feeds.get_mut(device) else {
            return;
        };
        let delay = now.since(written.at);
        if next_seq != written.next_seq || since > written.at || delay >= REPAIR {
            return;
        }
        let known = written.copies.iter().position(|copied| copied.relay == relay);
        let copied = Copied {
            relay,
            next_seq,
            delay,
        };
        match known {
            Some(at) if written.copies[at].next_seq == next_seq => return,
            Some(at) => written.copies[at] = copied,
            None if written.copies.len() >= COPIES_MAX => return,
            None => written.copies.push(copied),
        }
        smooth(&mut self.relays, RELAYS_MAX, relay, delay);
    }

    /// The mean delay of each relay, in milliseconds.
    pub(crate) fn delays(&self) -> Vec<(PeerId, u32)> {
        let delays = self.relays.iter();
        delays
            .map(|(relay, delay)| (*relay, delay.ceil() as u32))
            .collect()
    }

    /// The longest of a relay's last delays for these feeds, or else its mean delay, in milliseconds.
    pub(crate) fn delay(&self, relay: &PeerId, devices: &[DeviceId]) -> Option<u32> {
        let written = devices.iter().filter_map(|device| self.feeds.get(device));
        let copies = written.flat_map(|written| &written.copies);
        let here = copies.filter(|copied| copied.relay == *relay);
        let longest = here.map(|copied| copied.delay.as_millis() as u32).max();
        let mean = self.relays.get(relay).map(|delay| delay.ceil() as u32);
        longest.or(mean)
    }
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
