//! The messages a member holds: for deduplication, for requests, and for members that were away.
//!
//! Invariants: a message is taken once, however often and however late it is repeated: of every origin a floor is kept
//! below which all was had; bodies held are at most [`MESSAGES_MAX`] and [`BYTES_MAX`]. Policies when full: the body
//! that came first goes first and raises its origin's floor; of more than [`ORIGINS_MAX`] origins the one silent for
//! longest is forgotten.

use std::collections::{BTreeMap, VecDeque};

use super::message::{Held, MessageId};

/// Bodies held.
pub const MESSAGES_MAX: usize = 4_096;
/// Bytes of bodies held.
pub const BYTES_MAX: usize = 16 << 20;
/// Origins remembered.
pub const ORIGINS_MAX: usize = 65_536;
/// Origins in one digest; with more, each digest covers another part.
pub const DIGEST_MAX: usize = 1_024;
/// Messages a digest lists one by one. What finds no place is announced by the neighbour, and known here.
pub const DIGEST_SEQS_MAX: usize = 8_192;
/// Messages of one origin beyond its floor that may be had out of order.
const AHEAD_MAX: usize = 1_024;

#[derive(Debug)]
struct Origin<B> {
    /// All below this was had.
    floor: u64,
    /// Had, at or above the floor, with the body while it is held.
    had: BTreeMap<u64, Option<Stored<B>>>,
}

/// A message held.
#[derive(Clone, Debug)]
pub struct Stored<B> {
    /// What it says.
    pub body: B,
    /// Bytes.
    pub len: usize,
    /// Links it had travelled to get here.
    pub hops: u8,
}

/// The store. See the module.
#[derive(Debug)]
pub struct History<P, B> {
    origins: BTreeMap<P, Origin<B>>,
    /// What is held, oldest first.
    order: VecDeque<MessageId<P>>,
    bytes: usize,
    digest_from: Option<P>,
}

impl<P: Copy + Ord, B> Default for History<P, B> {
    fn default() -> Self {
        Self {
            origins: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            digest_from: None,
        }
    }
}

impl<P: Copy + Ord, B: Clone> History<P, B> {
    /// Whether a message was had, be it held or not.
    #[must_use]
    pub fn has(&self, id: &MessageId<P>) -> bool {
        self.origins
            .get(&id.origin)
            .is_some_and(|origin| id.seq < origin.floor || origin.had.contains_key(&id.seq))
    }

    /// A message, if its body is held.
    #[must_use]
    pub fn get(&self, id: &MessageId<P>) -> Option<&Stored<B>> {
        self.origins.get(&id.origin)?.had.get(&id.seq)?.as_ref()
    }

    /// Takes a message. False: it was had, or is too far ahead of its origin's others.
    pub fn insert(&mut self, id: MessageId<P>, stored: Stored<B>) -> bool {
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&id.origin) {
            self.forget_one_origin();
        }
        let origin = self.origins.entry(id.origin).or_insert_with(|| Origin {
            floor: 1,
            had: BTreeMap::new(),
        });
        if id.seq < origin.floor || origin.had.contains_key(&id.seq) {
            return false;
        }
        self.bytes += stored.len;
        origin.had.insert(id.seq, Some(stored));
        if origin.had.len() > AHEAD_MAX
            && let Some((seq, _)) = origin.had.first_key_value()
        {
            // A gap that was never filled is given up.
            origin.floor = origin.floor.max(seq + 1);
        }
        self.order.push_back(id);
        self.trim();
        true
    }

    /// A digest of the messages held, or of a part of them; the next call covers the next part.
    pub fn digest(&mut self) -> Vec<Held<P>> {
        let all = self.origins.len() <= DIGEST_MAX;
        let from = self.digest_from.filter(|_| !all);
        let mut held: Vec<_> = self
            .origins
            .iter()
            .filter(|(peer, _)| from.is_none_or(|from| **peer > from))
            .take(DIGEST_MAX)
            .map(|(peer, origin)| origin.held(*peer))
            .collect();
        let mut room = DIGEST_SEQS_MAX;
        for held in &mut held {
            held.also.truncate(room);
            room -= held.also.len();
        }
        self.digest_from = held
            .last()
            .map(|held| held.origin)
            .filter(|_| held.len() == DIGEST_MAX);
        held
    }

    /// Messages held here and not there. A full digest covers only the origins between its first and its last.
    #[must_use]
    pub fn lacking(&self, digest: &[Held<P>], limit: usize) -> Vec<MessageId<P>> {
        let there: BTreeMap<P, &Held<P>> = digest.iter().map(|held| (held.origin, held)).collect();
        let partial = digest.len() >= DIGEST_MAX;
        let bounds = digest.first().zip(digest.last()).filter(|_| partial);
        let mut lacking = Vec::new();
        for (peer, origin) in &self.origins {
            if bounds.is_some_and(|(first, last)| *peer < first.origin || *peer > last.origin) {
                continue;
            }
            let held = there.get(peer);
            for (seq, stored) in &origin.had {
                let had_there = held.is_some_and(|held| *seq < held.below || held.also.contains(seq));
                if stored.is_some() && !had_there {
                    if lacking.len() >= limit {
                        return lacking;
                    }
                    lacking.push(MessageId {
                        origin: *peer,
                        seq: *seq,
                    });
                }
            }
        }
        lacking
    }

    /// Messages whose bodies are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn trim(&mut self) {
        while self.order.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let Some(id) = self.order.pop_front() else {
                return;
            };
            let Some(origin) = self.origins.get_mut(&id.origin) else {
                continue;
            };
            if let Some(body) = origin.had.get_mut(&id.seq)
                && let Some(stored) = body.take()
            {
                self.bytes -= stored.len;
            }
            origin.raise_floor();
        }
    }

    fn forget_one_origin(&mut self) {
        let held: Option<P> = self
            .origins
            .iter()
            .min_by_key(|(_, origin)| origin.had.values().flatten().count())
            .map(|(peer, _)| *peer);
        if let Some(origin) = held.and_then(|peer| self.origins.remove(&peer)) {
            self.bytes -= origin
                .had
                .values()
                .flatten()
                .map(|stored| stored.len)
                .sum::<usize>();
        }
    }
}

impl<B> Origin<B> {
    /// What was had and is held no more is said by the floor. Older messages that never came are given up with it.
    fn raise_floor(&mut self) {
        while let Some(entry) = self.had.first_entry() {
            if entry.get().is_some() {
                return;
            }
            self.floor = self.floor.max(entry.key() + 1);
            entry.remove();
        }
    }

    fn held<P>(&self, origin: P) -> Held<P> {
        let mut below = self.floor;
        let mut also = Vec::new();
        for seq in self.had.keys() {
            if *seq == below {
                below += 1;
            } else {
                also.push(*seq);
            }
        }
        Held { origin, below, also }
    }
}
