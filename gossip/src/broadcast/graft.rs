//! Asking for what was announced and did not come.

use core::fmt::Debug;
use core::time::Duration;

use super::missing::ANNOUNCERS_MAX;
use super::{
    ANSWER_WAIT_MAX, ANSWER_WAIT_MIN, Announcement, Broadcast, DISTRUST, GRAFT_WAIT_FIRST, GRAFT_WAIT_MAX,
    GRAFT_WAIT_MIN, Item, MISSING_MAX, MISSING_PER_NEIGHBOUR, Output, PROMISES_BROKEN_MAX,
};

impl<P: Copy + Ord + Debug, K: Copy + Ord + Debug> Broadcast<P, K> {
    /// An item is here: nobody needs to be asked for it. Returns who announced it.
    pub(super) fn resolve(&mut self, item: Item<K>, from: Option<P>, now: Duration) -> Vec<(P, Duration)> {
        match self.missing.get_mut(&item.key) {
            Some(missing) if missing.upto <= item.upto => {}
            _ => return Vec::new(),
        }
        let Some(missing) = self.missing.remove(&item.key) else {
            return Vec::new();
        };
        if missing.asked.is_none() && from.is_some() {
            let lag = now.saturating_sub(missing.announced);
            // The peak, slowly forgotten: a wait too long delays a repair, one too short costs a copy and a prune.
            let faded = self.lag.unwrap_or_default() * 63 / 64;
            self.lag = Some(lag.max(faded));
        }
        for (announcer, _) in &missing.announcers {
            if let Some(neighbour) = self.neighbours.get_mut(announcer) {
                neighbour.missing = neighbour.missing.saturating_sub(1);
            }
        }
        missing.announcers
    }

    pub(super) fn record_missing(&mut self, from: P, announced: &Announcement<K>, now: Duration) {
        let Item { key, upto } = announced.item;
        let wait = if self.last[announced.tree.index()].is_some() {
            self.graft_wait()
        } else {
            GRAFT_WAIT_MIN
        };
        if let Some(missing) = self.missing.get_mut(&key) {
            missing.upto = missing.upto.max(upto);
            if missing.announcers.len() < ANNOUNCERS_MAX
                && missing.asked != Some(from)
                && missing.announcers.iter().all(|(announcer, _)| *announcer != from)
            {
                missing.announcers.push((from, announced.could_come(now)));
                if let Some(neighbour) = self.neighbours.get_mut(&from) {
                    neighbour.missing += 1;
                }
            }
            return;
        }
        let Some(neighbour) = self.neighbours.get_mut(&from) else {
            return;
        };
        if neighbour.missing >= MISSING_PER_NEIGHBOUR || self.missing.len() >= MISSING_MAX {
            self.counters.ignored += 1;
            return;
        }
        neighbour.missing += 1;
        let due = now + wait;
        let announcer = (from, announced.could_come(now));
        self.missing
            .insert(key, upto, announced.tree, announcer, now, due);
    }

    pub(super) fn graft_wait(&self) -> Duration {
        self.lag
            .map_or(GRAFT_WAIT_FIRST, |lag| lag)
            .clamp(GRAFT_WAIT_MIN, GRAFT_WAIT_MAX)
    }

    /// The time for an item has come: asks the next neighbour that announced it.
    pub(super) fn ask(&mut self, key: K, now: Duration) {
        let Some(missing) = self.missing.get_mut(&key) else {
            return;
        };
        let broken = missing.asked.take();
        let next = (!missing.announcers.is_empty()).then(|| missing.announcers.remove(0));
        let (item, tree) = (
            Item {
                key,
                upto: missing.upto,
            },
            missing.tree,
        );
        missing.asked = next.map(|(peer, _)| peer);
        if let Some(neighbour) = broken.and_then(|peer| self.neighbours.get_mut(&peer)) {
            neighbour.set_lazy(tree);
            neighbour.promises_broken = neighbour.promises_broken.saturating_add(1);
            if neighbour.promises_broken >= PROMISES_BROKEN_MAX {
                neighbour.distrusted_until = now + DISTRUST;
                neighbour.promises_broken = 0;
            }
        }
        let Some((peer, _)) = next else {
            self.missing.remove(&key);
            self.counters.given_up += 1;
            return;
        };
        self.begin(tree, now);
        let mut wait = ANSWER_WAIT_MIN;
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.missing = neighbour.missing.saturating_sub(1);
            neighbour.set_mending(tree);
            wait = neighbour
                .rtt
                .map_or(GRAFT_WAIT_FIRST, |rtt| rtt * 3)
                .clamp(ANSWER_WAIT_MIN, ANSWER_WAIT_MAX);
        }
        self.missing.put_off(key, now + wait);
        self.counters.grafts += 1;
        self.outputs.push_back(Output::Graft {
            to: peer,
            item: Some(item),
            tree,
        });
    }
}
