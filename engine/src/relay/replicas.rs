//! What a relay knows of the copies of somebody's feeds: who keeps them, how far each is behind, and how long an entry took
//! to get there.
//!
//! The delay of a copy is the time from when this relay took an entry in until the other's receipt for it came. It is
//! measured on whichever relay the author is linked with, for every feed and copy, and for each relay over all feeds.
//!
//! Invariant: nothing is measured of an entry that came before the link to the other relay: what it takes then to be
//! copied is repair.

use std::collections::VecDeque;
use std::time::Duration;

use ordered::Map;
use protocol::receipt::Receipt;
use protocol::{AccountId, DeviceId, Instant, PeerId};

use crate::Engine;
use crate::api::{RelayState, ReplicaView, ReplicasView};
use crate::io::LinkId;
use crate::person::relay_choice::{REPAIR, smooth};

/// Feeds of which it is known how soon the others have them. Policy when full: the one that was first written to goes.
const FEEDS_MAX: usize = 4_096;
/// Copies of one feed of which that is known; more are not looked at.
const COPIES_MAX: usize = 8;
/// Relays of which it is known over all feeds. Policy when full: all are forgotten.
const RELAYS_MAX: usize = 1_024;

/// The last entry of a feed, written here.
#[derive(Debug)]
struct Written {
    next_seq: u64,
    at: Instant,
    copies: Vec<Copied>,
}

/// How soon a relay had an entry.
#[derive(Debug)]
struct Copied {
    relay: PeerId,
    next_seq: u64,
    delay: Duration,
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    feeds: Map<DeviceId, Written>,
    order: VecDeque<DeviceId>,
    /// Smoothed, in milliseconds.
    relays: Map<PeerId, f32>,
}

impl Replicas {
    /// An entry came from its author, or by a browser.
    pub(crate) fn written(&mut self, device: DeviceId, next_seq: u64, at: Instant) {
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

    /// `relay` signed for a feed, and has been linked since then.
    fn signed(&mut self, relay: PeerId, receipt: &Receipt, since: Instant, now: Instant) {
        let Some(written) = self.feeds.get_mut(&receipt.device) else {
            return;
        };
        let delay = now.since(written.at);
        if receipt.next_seq != written.next_seq || since > written.at || delay >= REPAIR {
            return;
        }
        let next_seq = written.next_seq;
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

    /// Of each relay, how soon it has what is written here, in milliseconds.
    pub(crate) fn delays(&self) -> Vec<(PeerId, u32)> {
        let delays = self.relays.iter();
        delays
            .map(|(relay, delay)| (*relay, delay.ceil() as u32))
            .collect()
    }

    fn delay(&self, relay: &PeerId, devices: &[DeviceId]) -> Option<u32> {
        let copies = devices.iter().filter_map(|device| self.feeds.get(device));
        let copies = copies.flat_map(|written| &written.copies);
        let here = copies.filter(|copied| copied.relay == *relay);
        let longest = here.map(|copied| copied.delay.as_millis() as u32).max();
        let usual = self.relays.get(relay).map(|delay| delay.ceil() as u32);
        longest.or(usual)
    }
}

impl Engine {
    /// An entry was taken in from somebody who is no relay.
    pub(crate) fn note_written(&mut self, device: DeviceId, next_seq: u64) {
        if self.is_relay() {
            self.replicas.written(device, next_seq, self.now.instant);
        }
    }

    /// A relay signed for a feed; the receipt is verified, and may have come over others.
    pub(crate) fn note_signed(&mut self, receipt: &Receipt) {
        let link = self.peers.links.get(&receipt.relay).copied();
        let Some(link) = link.filter(|_| self.is_relay() && self.is_anchor(&receipt.relay)) else {
            return;
        };
        let Some(since) = self.links.get(&link).map(|link| link.origin().1) else {
            return;
        };
        self.note_has(link, &receipt.device, receipt.next_seq);
        self.replicas
            .signed(receipt.relay, receipt, since, self.now.instant);
    }

    /// Who keeps an account's feeds: whoever lives comes first, otherwise in the order of the assignment. Those that seem to
    /// be behind are asked whether they still are: who was told by others does not say so by itself.
    pub(crate) fn replicas_view(&mut self, account: &AccountId) -> ReplicasView {
        if !self.is_relay() {
            return ReplicasView::default();
        }
        let devices = self.feeds.devices(account).to_vec();
        let mut replicas = Vec::new();
        for relay in self.replicas_of(account) {
            let this = self.own_peer() == Some(relay);
            let link = self.peers.links.get(&relay).copied();
            let behind = link.map_or_else(Vec::new, |link| self.behind(link, &devices));
            let up = link.and_then(|link| self.up(link));
            let mut feeds = devices.iter().filter_map(|device| self.feeds.get(device));
            let said = up.is_some_and(|up| feeds.any(|feed| up.has.contains_key(&feed.number)));
            replicas.push(ReplicaView {
                relay,
                state: self.relay_state(&relay).unwrap_or(RelayState::Dead),
                lag: (this || said).then(|| behind.iter().map(|(_, held, has)| held - has).sum()),
                delay_ms: match this {
                    true => Some(0),
                    false => self.replicas.delay(&relay, &devices),
                },
            });
            if let Some((link, (device, held, _))) = link.zip(behind.first()) {
                self.ask_whether_held(link, *device, held - 1);
            }
        }
        replicas.sort_by_key(|replica| replica.state);
        ReplicasView {
            replicas,
            served_by: self.served_by(account),
        }
    }

    /// Feeds of which a neighbour said less than is held here: how much is, and how much it said.
    fn behind(&self, link: LinkId, devices: &[DeviceId]) -> Vec<(DeviceId, u64, u64)> {
        let Some(up) = self.up(link) else {
            return Vec::new();
        };
        let feeds = devices
            .iter()
            .filter_map(|device| Some((*device, self.feeds.get(device)?)));
        let feeds = feeds.map(|(device, feed)| {
            let has = up.has.get(&feed.number).copied();
            (device, feed.next_seq, has.unwrap_or(0))
        });
        feeds.filter(|(_, held, has)| has < held).collect()
    }
}
