//! How news travels: eager push, lazy announcement, credit.
//!
//! News is a new entry of a log. Every link that wants the log gets it pushed at once (eager); where that may not be (the
//! link's credit is used up, or the news has travelled too far) the log is announced instead (lazy) and the neighbour
//! fetches what it lacks. Announcements are kept per link as "log → how far", so a slow neighbour costs one row per log
//! however much is written, and the others nothing. Policy when even that is full: the link is marked for a whole digest.
//!
//! The eager/lazy split per author bucket of Plumtree (Leitão et al., 2007) has its seat in [`Spread::route`]; in this
//! first cut every interested link is eager.

use std::collections::BTreeMap;

/// Logs announced to one neighbour and not yet sent. Beyond it the neighbour gets a digest instead.
pub const ANNOUNCEMENTS_MAX: usize = 4_096;

/// How to tell one neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Send the entry itself.
    Push,
    /// Say that there is one ([`Spread::announce`] was done).
    Announce,
}

#[derive(Debug)]
struct Neighbour<K> {
    /// Bytes that may be sent before the neighbour grants more; may go below zero by one message.
    credit: i64,
    announcements: BTreeMap<K, u64>,
    overflowed: bool,
}

/// Per-link spreading state. `L` names links, `K` logs.
#[derive(Debug)]
pub struct Spread<L, K> {
    neighbours: BTreeMap<L, Neighbour<K>>,
    credit_window: u32,
    hops_max: u8,
}

impl<L: Copy + Ord, K: Copy + Ord> Spread<L, K> {
    /// `credit_window`: bytes a fresh link may carry before the first grant. `hops_max`: links a push may travel.
    #[must_use]
    pub fn new(credit_window: u32, hops_max: u8) -> Self {
        Self {
            neighbours: BTreeMap::new(),
            credit_window,
            hops_max,
        }
    }

    /// A link was kept.
    pub fn on_link_up(&mut self, link: L) {
        let credit = i64::from(self.credit_window);
        self.neighbours.insert(
            link,
            Neighbour {
                credit,
                announcements: BTreeMap::new(),
                overflowed: false,
            },
        );
    }

    /// A link ended.
    pub fn on_link_down(&mut self, link: &L) {
        self.neighbours.remove(link);
    }

    /// Decides how to tell `link` of entry `seq` of `log`, of `len` bytes, that has travelled `hops` links so far.
    pub fn route(&mut self, link: &L, log: K, seq: u64, len: usize, hops: u8) -> Way {
        let Some(neighbour) = self.neighbours.get_mut(link) else {
            return Way::Announce;
        };
        if hops < self.hops_max && neighbour.credit > 0 && !neighbour.announcements.contains_key(&log) {
            neighbour.credit -= len as i64;
            return Way::Push;
        }
        self.announce(link, log, seq + 1);
        Way::Announce
    }

    /// Notes that `link` is to be told that `log` is held up to `next_seq`.
    pub fn announce(&mut self, link: &L, log: K, next_seq: u64) {
        let Some(neighbour) = self.neighbours.get_mut(link) else {
            return;
        };
        if neighbour.announcements.len() >= ANNOUNCEMENTS_MAX && !neighbour.announcements.contains_key(&log) {
            neighbour.announcements.clear();
            neighbour.overflowed = true;
        }
        if !neighbour.overflowed {
            let known = neighbour.announcements.entry(log).or_default();
            *known = next_seq.max(*known);
        }
    }

    /// Takes up to `limit` announcements waiting for `link`, and whether it must get a whole digest instead.
    pub fn take_announcements(&mut self, link: &L, limit: usize) -> (Vec<(K, u64)>, bool) {
        let Some(neighbour) = self.neighbours.get_mut(link) else {
            return (Vec::new(), false);
        };
        let overflowed = core::mem::take(&mut neighbour.overflowed);
        let mut taken = Vec::new();
        while taken.len() < limit {
            match neighbour.announcements.pop_first() {
                Some(announcement) => taken.push(announcement),
                None => break,
            }
        }
        (taken, overflowed)
    }

    /// The links that have something waiting to be announced.
    pub fn links_with_announcements(&self) -> Vec<L> {
        self.neighbours
            .iter()
            .filter(|(_, n)| n.overflowed || !n.announcements.is_empty())
            .map(|(link, _)| *link)
            .collect()
    }

    /// Bytes of bulk that may be sent now.
    #[must_use]
    pub fn credit(&self, link: &L) -> i64 {
        self.neighbours.get(link).map_or(0, |neighbour| neighbour.credit)
    }

    /// Bulk was sent.
    pub fn spend(&mut self, link: &L, len: usize) {
        if let Some(neighbour) = self.neighbours.get_mut(link) {
            neighbour.credit -= len as i64;
        }
    }

    /// The neighbour consumed bulk and grants as much again; never more than the window.
    pub fn grant(&mut self, link: &L, bytes: u32) {
        let window = i64::from(self.credit_window);
        if let Some(neighbour) = self.neighbours.get_mut(link) {
            neighbour.credit = (neighbour.credit + i64::from(bytes)).min(window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread() -> Spread<u32, u32> {
        let mut spread = Spread::new(1_000, 3);
        spread.on_link_up(1);
        spread.on_link_up(2);
        spread
    }

    #[test]
    fn a_slow_neighbour_gets_announcements_and_the_others_notice_nothing() {
        let mut spread = spread();
        assert_eq!(spread.route(&1, 7, 0, 1_000, 0), Way::Push);
        for seq in 1..100 {
            assert_eq!(spread.route(&1, 7, seq, 100, 0), Way::Announce);
        }
        assert_eq!(spread.route(&2, 7, 0, 100, 0), Way::Push);
        assert_eq!(spread.take_announcements(&1, 10), (vec![(7, 100)], false));
    }

    #[test]
    fn what_has_travelled_too_far_is_announced() {
        let mut spread = spread();
        assert_eq!(spread.route(&1, 7, 0, 10, 2), Way::Push);
        assert_eq!(spread.route(&1, 7, 1, 10, 3), Way::Announce);
    }

    #[test]
    fn nothing_overtakes_an_announcement_of_its_log() {
        let mut spread = spread();
        spread.announce(&1, 7, 5);
        assert_eq!(spread.route(&1, 7, 5, 10, 0), Way::Announce);
        assert_eq!(spread.route(&1, 8, 0, 10, 0), Way::Push);
        spread.take_announcements(&1, 10);
        assert_eq!(spread.route(&1, 7, 6, 10, 0), Way::Push);
    }

    #[test]
    fn too_many_announcements_become_a_digest() {
        let mut spread = spread();
        for log in 0..=ANNOUNCEMENTS_MAX as u32 {
            spread.announce(&1, log, 1);
        }
        assert_eq!(spread.take_announcements(&1, 10), (vec![], true));
        assert_eq!(spread.take_announcements(&1, 10), (vec![], false));
    }

    #[test]
    fn a_lying_grant_cannot_open_the_window_further() {
        let mut spread = spread();
        spread.grant(&1, u32::MAX);
        assert_eq!(spread.credit(&1), 1_000);
        spread.spend(&1, 1_500);
        spread.grant(&1, 600);
        assert_eq!(spread.credit(&1), 100);
    }
}
