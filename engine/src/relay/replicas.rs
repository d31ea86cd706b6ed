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
use crate::api::{Answer, Outcome, RelayState, ReplicaView, ReplicasView};
use crate::io::{AskId, LinkId};
use crate::person::relay_choice::{REPAIR, smooth};

/// Feeds of which it is known how soon the others have them. Policy when full: the one that was first written to goes.
const FEEDS_MAX: usize = 4_096;
/// Copies of one feed of which that is known; more are not looked at.
const COPIES_MAX: usize = 8;
/// Relays of which it is known over all feeds. Policy when full: all are forgotten.
const RELAYS_MAX: usize = 1_024;

/// Checks under way ([`crate::api::Command::CheckReplicas`]). Policy when full: the next one is answered from what is known.
const CHECKS_MAX: usize = 64;

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
    checks: Vec<Check>,
}

/// A check that waits for the answers of neighbours.
#[derive(Debug)]
struct Check {
    ask: AskId,
    links: Vec<LinkId>,
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

    /// The checks that waited for nothing but this neighbour's answer; they are over.
    fn checks_ended_by(&mut self, link: LinkId) -> Vec<AskId> {
        for check in &mut self.checks {
            check.links.retain(|other| *other != link);
        }
        let ended = self.checks.extract_if(.., |check| check.links.is_empty());
        ended.map(|check| check.ask).collect()
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

    /// Asks neighbours that seem to lack entries of an account whether they still do: a relay that got an entry from another
    /// does not announce it here. `None`: the answer is given when all of them have answered.
    pub(crate) fn check_replicas(&mut self, ask: AskId, account: &AccountId) -> Option<Outcome> {
        if !self.is_relay() || self.replicas.checks.len() >= CHECKS_MAX {
            return Some(Outcome::Ok);
        }
        let devices = self.feeds.devices(account).to_vec();
        let mut links = Vec::new();
        for relay in self.replicas_of(account) {
            let Some(link) = self.peers.links.get(&relay).copied() else {
                continue;
            };
            if let Some((device, held, _)) = self.behind(link, &devices).first() {
                self.ask_whether_held(link, *device, held - 1);
                links.push(link);
            }
        }
        if links.is_empty() {
            return Some(Outcome::Ok);
        }
        self.replicas.checks.push(Check { ask, links });
        None
    }

    /// A neighbour has answered the question it was asked, or its link has ended.
    pub(crate) fn end_checks(&mut self, link: LinkId) {
        for ask in self.replicas.checks_ended_by(link) {
            self.answer(ask, Answer::Done(Outcome::Ok));
        }
    }

    /// Who keeps an account's feeds: living relays first, otherwise in the order of the assignment.
    pub(crate) fn replicas_view(&self, account: &AccountId) -> ReplicasView {
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
