//! Own entries on their way to the disk.
//!
//! Invariant: no neighbour hears of an own entry (by a push, an announcement, a digest, a sketch or an answer) before the
//! batch that carries it was reported as persisted. The disk may lose what it did not confirm; this device would then sign
//! another entry with the same number, and the two are proof of a fork. [`super::feeds::Feed::shareable`] is the part of this rule
//! for everything that is said of a feed; the pushes wait here.

use std::collections::VecDeque;

use gossip::broadcast::Route;
use protocol::{DeviceId, VerifiedEntry, codec};

use crate::{Engine, clock};

/// Entries that wait for their push: a disk confirms one within milliseconds, so more than a few only wait while it refuses. Policy
/// when full: the oldest is not pushed; the push of the next one shows the neighbours that they lack it, and they fetch it.
const UNSAVED_MAX: usize = 64;

/// Own entries that are not on disk yet, in the order they were signed.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    entries: VecDeque<VerifiedEntry>,
}

impl Unsaved {
    fn push(&mut self, entry: VerifiedEntry) {
        self.entries.push_back(entry);
        if self.entries.len() > UNSAVED_MAX {
            self.entries.pop_front();
        }
    }

    /// The next entry of `device` whose number is below `durable`.
    fn pop_saved(&mut self, device: &DeviceId, durable: u64) -> Option<VerifiedEntry> {
        let header = self.entries.front()?.header();
        let saved = header.device == *device && header.seq < durable;
        self.entries.pop_front_if(|_| saved)
    }

    /// The device writes another feed from now on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl Engine {
    /// An own entry was appended: it is spread once it is on disk.
    pub(crate) fn hold_back(&mut self, entry: VerifiedEntry) {
        self.unsaved.push(entry);
    }

    /// The own feed is on disk up to its `durable` number.
    pub(crate) fn spread_saved(&mut self, device: DeviceId) {
        let Some(durable) = self.feeds.get(&device).map(|feed| feed.durable) else {
            return;
        };
        while let Some(entry) = self.unsaved.pop_saved(&device, durable) {
            let (now, len) = (self.now, codec::encode(entry.entry()).len());
            let tree = self.pace.tree(&device, clock(now));
            self.routes.wrote(entry.header().seq + 1, now.instant);
            self.spread(&entry, len, None, Route { tree, hops: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::entry::{Position, Profile};
    use protocol::{AccountId, Body, EntryId, KeyPair, Timestamp};

    use super::*;

    fn entry(key: &KeyPair, seq: u64) -> VerifiedEntry {
        let at = Position {
            seq,
            prev: EntryId([1; 32]),
            lamport: seq + 1,
        };
        let body = Body::Profile(Profile {
            name: "Ada".into(),
            bio: String::new(),
        });
        VerifiedEntry::create(key, at, AccountId([2; 32]), Timestamp(seq), &body)
    }

    fn saved(unsaved: &mut Unsaved, device: &DeviceId, durable: u64) -> Vec<u64> {
        core::iter::from_fn(|| unsaved.pop_saved(device, durable))
            .map(|entry| entry.header().seq)
            .collect()
    }

    #[test]
    fn entries_leave_in_order_and_only_once_they_are_on_disk() {
        let key = KeyPair::from_seed(&[3; 32]);
        let device = DeviceId(key.public());
        let mut unsaved = Unsaved::default();
        for seq in 1..=4 {
            unsaved.push(entry(&key, seq));
        }
        assert_eq!(saved(&mut unsaved, &device, 1), Vec::<u64>::new());
        assert_eq!(saved(&mut unsaved, &device, 3), [1, 2]);
        let other = DeviceId(KeyPair::from_seed(&[4; 32]).public());
        assert_eq!(saved(&mut unsaved, &other, 9), Vec::<u64>::new());
        assert_eq!(saved(&mut unsaved, &device, 9), [3, 4]);
    }

    #[test]
    fn a_disk_that_refuses_for_long_costs_the_oldest_their_push() {
        let key = KeyPair::from_seed(&[3; 32]);
        let mut unsaved = Unsaved::default();
        for seq in 1..=UNSAVED_MAX as u64 + 2 {
            unsaved.push(entry(&key, seq));
        }
        let left = saved(&mut unsaved, &DeviceId(key.public()), u64::MAX);
        assert_eq!(left, (3..=UNSAVED_MAX as u64 + 2).collect::<Vec<_>>());
    }
}
