//! How a tree takes its shape: who is eager, who is pruned, which way is shorter.

use core::fmt::Debug;
use core::time::Duration;

use super::tree::{Rank, TREE_IDLE_MAX, Tree};
use super::{
    Broadcast, GRAFT_WAIT_FIRST, Item, OVERLAP, Output, RETIRING_MAX, ROOT_KEPT, Retiring, SHORTCUT,
    SHORTCUT_TRUNK,
};

impl<P: Copy + Ord + Debug, K: Copy + Ord + Debug> Broadcast<P, K> {
    /// A tree is used: gives it a state of its own if it has none.
    pub(super) fn begin(&mut self, tree: Tree, now: Duration) {
        let idle = now.saturating_sub(self.used[tree.index()]);
        self.used[tree.index()] = now;
        if tree == Tree::TRUNK || (self.started & tree.bit() != 0 && idle < TREE_IDLE_MAX) {
            return;
        }
        self.started |= tree.bit();
        self.last[tree.index()] = self.last[Tree::TRUNK.index()];
        for neighbour in self.neighbours.values_mut() {
            neighbour.copy_trunk(tree);
        }
    }

    /// Makes neighbours eager, the nearest first, until `wanted` are.
    pub(super) fn make_eager(&mut self, tree: Tree, wanted: usize) {
        let lacking = wanted.saturating_sub(self.eager_len(tree));
        for _ in 0..lacking {
            let nearest = self
                .neighbours
                .iter_mut()
                .filter(|(_, neighbour)| !neighbour.is_eager(tree))
                .min_by_key(|(peer, neighbour)| (neighbour.rtt.unwrap_or(GRAFT_WAIT_FIRST), **peer));
            let Some((peer, neighbour)) = nearest else {
                return;
            };
            neighbour.set_mending(tree);
            self.outputs.push_back(Output::Graft {
                to: *peer,
                item: None,
                tree,
            });
        }
    }

    /// Takes the shorter path (the paper's optimisation, by time where the paper counts hops): `from` could have
    /// delivered an item at `at`, earlier than the neighbour that did. The longer path is pruned a moment later, so
    /// that nothing in flight is lost.
    pub(super) fn consider_shortcut(
        &mut self,
        from: P,
        item: Item<K>,
        tree: Tree,
        at: Duration,
        now: Duration,
    ) {
        let Some(last) = &mut self.last[tree.index()] else {
            return;
        };
        let worth = if tree == Tree::TRUNK {
            SHORTCUT_TRUNK
        } else {
            SHORTCUT
        };
        if last.item != item || last.from == from || at + worth > last.at {
            return;
        }
        let old = last.from;
        (last.from, last.at) = (from, at);
        let Some(neighbour) = self.neighbours.get_mut(&from) else {
            return;
        };
        // It announced, so it does not push, whatever the link looks like from here.
        neighbour.set_eager(tree);
        self.counters.shortcuts += 1;
        self.outputs.push_back(Output::Graft {
            to: from,
            item: None,
            tree,
        });
        if self.retiring.len() < RETIRING_MAX {
            self.retiring.push_back(Retiring {
                at: now + OVERLAP,
                old,
                new: from,
                tree,
            });
        }
    }

    /// Whether an author's items may change the tree. An author's own tree is its own. The trunk is everybody's: were
    /// it pruned by what comes from several sides at once, a ring would be opened in two places. So one author at a
    /// time shapes it, the one of the lowest rank heard of lately, as bridges agree on a root (Perlman, "An algorithm
    /// for distributed computation of a spanning tree in an extended LAN", SIGCOMM 1985).
    pub(super) fn shapes(&mut self, tree: Tree, rank: Rank, now: Duration) -> bool {
        if tree != Tree::TRUNK {
            return true;
        }
        let shapes = self
            .root
            .is_none_or(|(root, heard)| rank <= root || now.saturating_sub(heard) >= ROOT_KEPT);
        if shapes {
            self.root = Some((rank, now));
        }
        shapes
    }

    pub(super) fn prune(&mut self, peer: P, tree: Tree, now: Duration) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.set_lazy(tree);
            neighbour.pruned_at = Some(now);
            self.counters.prunes += 1;
            self.outputs.push_back(Output::Prune { to: peer, tree });
        }
    }
}
