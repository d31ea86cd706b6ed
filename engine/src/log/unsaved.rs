//! Own entries on their way to the disk.
//!
//! Invariant: no neighbour learns of an own entry (by a push, an announcement, a digest, a sketch or an answer) before
//! the batch that carries it was reported as persisted. The disk may lose what it did not confirm; this device would
//! then sign another entry with the same number, and the two are proof of a fork. [`super::feeds::Feed::shared`] is
//! the part of this rule for everything that is said of a feed; the pushes wait here.

use std::collections::VecDeque;

use protocol::{DeviceId, VerifiedEntry};

/// Entries that wait for their push: a disk confirms one within milliseconds, so more than a few wait only while it
/// refuses. Policy when full: the oldest is not pushed; the push of the next one shows the neighbours that they lack
/// it, and they fetch it.
const UNSAVED_MAX: usize = 64;

/// Own entries that are not on disk yet, in the order they were signed.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    entries: VecDeque<(VerifiedEntry, usize)>,
}

impl Unsaved {
    /// `len`: encoded length in bytes.
    pub(super) fn push(&mut self, entry: VerifiedEntry, len: usize) {
        self.entries.push_back((entry, len));
        if self.entries.len() > UNSAVED_MAX {
            self.entries.pop_front();
        }
    }

    /// The next entry of `device` whose number is below `durable`.
    pub(super) fn pop_saved(&mut self, device: &DeviceId, durable: u64) -> Option<(VerifiedEntry, usize)> {
        let header = self.entries.front()?.0.header();
        let saved = header.device == *device && header.seq < durable;
        self.entries.pop_front_if(|_| saved)
    }

    /// The device writes another feed from now on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use protocol::entry::Position;
    use protocol::kinds::Profile;
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
            .map(|(entry, _)| entry.header().seq)
            .collect()
    }

    #[test]
    fn entries_leave_in_order_and_only_once_they_are_on_disk() {
        let key = KeyPair::from_seed(&[3; 32]);
        let device = DeviceId(key.public());
        let mut unsaved = Unsaved::default();
        for seq in 1..=4 {
            unsaved.push(entry(&key, seq), 1);
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
            unsaved.push(entry(&key, seq), 1);
        }
        let left = saved(&mut unsaved, &DeviceId(key.public()), u64::MAX);
        assert_eq!(left, (3..=UNSAVED_MAX as u64 + 2).collect::<Vec<_>>());
    }
}
