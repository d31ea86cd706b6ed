//! Broadcast: epidemic broadcast trees.
//!
//! After Plumtree (Leitão, Pereira, Rodrigues: "Epidemic Broadcast Trees", SRDS 2007). Items are pushed along the
//! *eager* links, which settle into a spanning tree, and announced on the others, the *lazy* ones. An item that was
//! announced and does not arrive is requested, and that link joins the tree (*graft*); a link that delivers duplicates
//! leaves it (*prune*). Where this departs from the paper, and why:
//!
//! - The state is per (neighbour, [`Tree`]): one shared trunk for quiet authors, a tree of its own for a busy author's
//!   bucket. One set of links for all authors lets their grafts and prunes fight.
//! - A fresh link is eager only while fewer than [`EAGER_START`] are and nothing has come yet: the first flood costs
//!   three copies per peer, not seven. A peer that loses the neighbour its items came from makes others eager at once
//!   and does not wait for the next item to be missing.
//! - Delivered items are not remembered. The store decides whether an item is new, so there is no window after which a
//!   replay floods again.
//! - An item is "log `key`, up to `upto`": a later announcement of a log replaces an earlier one, so a slow neighbour
//!   costs one row per log however much is written.
//! - The wait before a graft adapts to measured delays instead of a constant that is too short for distant neighbours.
//! - Payload is sent only against credit. A neighbour that grants none gets announcements and does not slow down
//!   others.
//! - A neighbour that announces and does not deliver is ignored for a while.
//!
//! No allocation happens for a duplicate.

mod graft;
mod missing;
mod neighbour;
mod shape;
mod tree;

use core::fmt::Debug;
use core::time::Duration;
use std::collections::VecDeque;

use ordered::Map;

use missing::MissingTable;
pub use missing::{MISSING_MAX, MISSING_PER_NEIGHBOUR};
use neighbour::Neighbour;
pub use tree::{AuthorActivity, Rank, TREES, Tree};

/// Eager links a peer starts with. Simulated: with 4 the first flood takes half as long again, with 6 it costs a copy
/// more.
pub const EAGER_START: usize = 5;
/// Links made eager by a peer that lost the one its news came by. With one it may be a peer whose news came from here.
const EAGER_AGAIN: usize = 2;
/// Copies in a row that came too late before a link is pruned.
const PRUNE_AFTER: u8 = 1;
/// A neighbour that pushes nevertheless is pruned again after this time.
const PRUNE_AGAIN: Duration = Duration::from_secs(1);
/// Time that announcements wait for others, to be sent together.
pub const ANNOUNCE_EVERY: Duration = Duration::from_millis(100);
/// Logs announced to one neighbour and not yet sent. Beyond it the neighbour gets a digest instead.
pub const ANNOUNCEMENTS_MAX: usize = 4_096;
/// Announcements in one message.
pub const ANNOUNCEMENTS_PER_MESSAGE: usize = 256;
/// A push travels no more links than this. A safety only: trees of ten thousand peers are about twenty deep.
pub const HOPS_MAX: u8 = 64;
/// Bounds of the wait between an announcement and the graft, and its first value. The least, simulated with ten
/// thousand peers on links of 20 to 150 ms: with 150 ms there are 0.21 redundant copies for each that is needed, with
/// 220 ms 0.12 to 0.15 and all is delivered as soon; with 280 ms the last peers wait longer.
const GRAFT_WAIT_MIN: Duration = Duration::from_millis(220);
const GRAFT_WAIT_MAX: Duration = Duration::from_secs(2);
const GRAFT_WAIT_FIRST: Duration = Duration::from_millis(500);
/// Bounds of the wait for the answer to a graft.
const ANSWER_WAIT_MIN: Duration = Duration::from_millis(100);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// Gain in delay for which an author's own tree is changed.
const SHORTCUT: Duration = Duration::from_millis(30);
/// A tree counts as in use for this long after an item.
const IN_USE: Duration = Duration::from_mins(1);
/// As [`SHORTCUT`], for the trunk: higher, because a shortcut for one author is a detour for another.
const SHORTCUT_TRUNK: Duration = Duration::from_millis(100);
/// Time for which a longer path is kept after a shorter one replaced it: a round trip, and what was in flight.
const OVERLAP: Duration = Duration::from_millis(500);
/// Longer paths kept at once; further ones are pruned when they deliver the next duplicate.
const RETIRING_MAX: usize = 256;
/// The trunk is shaped by the author of the lowest rank heard of within this time.
const ROOT_KEPT: Duration = Duration::from_secs(10);
/// Announcements in a row without delivery after which a neighbour's announcements are ignored for [`DISTRUST`].
const PROMISES_BROKEN_MAX: u8 = 3;
/// See [`PROMISES_BROKEN_MAX`].
const DISTRUST: Duration = Duration::from_secs(30);

/// Something that can be held: log `key`, all of it below `upto`. For single messages `upto` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item<K> {
    /// Which log, or which message.
    pub key: K,
    /// Up to where, exclusive.
    pub upto: u64,
}

/// How an item travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Along which tree.
    pub tree: Tree,
    /// Links travelled so far.
    pub hops: u8,
}

/// What a neighbour says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement<K> {
    /// The item.
    pub item: Item<K>,
    /// The tree it came along.
    pub tree: Tree,
    /// Links it had travelled.
    pub hops: u8,
    /// Milliseconds since the neighbour got it: by so much sooner its payload would have been here.
    pub waited_ms: u16,
}

/// Work for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P, K> {
    /// Send the payload of an item.
    Push {
        /// The receiver.
        to: P,
        /// The items.
        item: Item<K>,
        /// Its route header.
        route: Route,
    },
    /// Announce items that are held here.
    Announce {
        /// The receiver.
        to: P,
        /// The items.
        items: Vec<Announcement<K>>,
    },
    /// Reconcile with this neighbour: there is too much to announce.
    Reconcile {
        /// The neighbour.
        with: P,
    },
    /// Request an announced item (or none, if only the tree changes) and further pushes on this tree.
    Graft {
        /// The receiver.
        to: P,
        /// The item.
        item: Option<Item<K>>,
        /// The tree.
        tree: Tree,
    },
    /// Request no further pushes on this tree.
    Prune {
        /// The receiver.
        to: P,
        /// The tree.
        tree: Tree,
    },
}

impl<K> Announcement<K> {
    /// When the payload would have been here, had it been sent at once.
    fn could_come(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(u64::from(self.waited_ms)))
    }
}

/// What happened, in numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// First copies.
    pub news: u64,
    /// Further copies.
    pub duplicates: u64,
    /// Items asked for after an announcement.
    pub grafts: u64,
    /// Links grafted because they are shorter.
    pub shortcuts: u64,
    /// Links pruned by us.
    pub prunes: u64,
    /// Announcements nobody made good.
    pub given_up: u64,
    /// Announcements that found no place, or came from a neighbour that is not believed.
    pub ignored: u64,
}

/// The last item that came along a tree, for shortcuts.
#[derive(Clone, Copy, Debug)]
struct Last<P, K> {
    item: Item<K>,
    from: P,
    at: Duration,
    /// It had to be asked for.
    grafted: bool,
}

/// A link that is to leave a tree, since another took its place.
#[derive(Clone, Copy, Debug)]
struct Retiring<P> {
    at: Duration,
    old: P,
    new: P,
    tree: Tree,
}

/// One peer's part in spreading news. `P` names neighbours, `K` logs. See the module.
#[derive(Debug)]
pub struct Broadcast<P, K> {
    neighbours: Map<P, Neighbour<K>>,
    missing: MissingTable<P, K>,
    last: [Option<Last<P, K>>; TREES],
    used: [Duration; TREES],
    /// Trees that have a state of their own here.
    started: u64,
    /// Who shapes the trunk, and when it was last heard of.
    root: Option<(Rank, Duration)>,
    /// Links that a shorter way has replaced, and when they go.
    retiring: VecDeque<Retiring<P>>,
    outputs: VecDeque<Output<P, K>>,
    next_flush: Option<Duration>,
    /// The longest an eager copy lately lagged behind an announcement.
    lag: Option<Duration>,
    config: Config,
    counters: Counters,
}

/// How a peer spreads news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of payload a fresh link may carry before the first grant.
    pub credit_window: u32,
    /// Fresh links are eager while fewer than this are and nothing has come yet. `None`, as in the paper: every fresh
    /// link is, and what is too much is pruned. Right where neighbours want different logs, so that a link with nothing
    /// to do in one tree is the only one in another.
    pub eager_start: Option<usize>,
}

impl<P: Copy + Ord + Debug, K: Copy + Ord + Debug> Broadcast<P, K> {
    /// A peer without neighbours.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            neighbours: Map::new(),
            missing: MissingTable::new(),
            last: [None; TREES],
            used: [Duration::ZERO; TREES],
            started: Tree::TRUNK.bit(),
            root: None,
            retiring: VecDeque::new(),
            outputs: VecDeque::new(),
            next_flush: None,
            lag: None,
            config,
            counters: Counters::default(),
        }
    }

    /// The next thing to be done. Drain it after every call.
    pub fn poll(&mut self) -> Option<Output<P, K>> {
        self.outputs.pop_front()
    }

    /// A neighbour was won.
    pub fn on_up(&mut self, peer: P) {
        let mut lazy = 0;
        if let Some(start) = self.config.eager_start {
            for tree in self.trees() {
                // In a tree that works nobody needs to be sent more.
                if self.last[tree.index()].is_some() || self.eager_len(tree) >= start {
                    lazy |= tree.bit();
                }
            }
        }
        let neighbour = Neighbour::new(lazy, i64::from(self.config.credit_window));
        self.neighbours.insert(peer, neighbour);
    }

    /// A neighbour was lost.
    pub fn on_down(&mut self, peer: &P, now: Duration) {
        let Some(lost) = self.neighbours.remove(peer) else {
            return;
        };
        for tree in self.trees() {
            if !lost.is_eager(tree) {
                continue;
            }
            match self.last[tree.index()] {
                // What came from it comes from others now. Where others came by it, they see to themselves.
                Some(last) if last.from == *peer => {
                    self.last[tree.index()] = None;
                    self.make_eager(tree, self.eager_len(tree) + EAGER_AGAIN);
                }
                Some(_) => {}
                None => self.make_eager(tree, EAGER_START),
            }
        }
        self.missing.forget(peer, now);
    }

    /// Something new is here from outside the overlay: written here, or fetched by reconciliation. `len`: bytes of its
    /// payload. `wants` tells which neighbours care for it.
    pub fn publish(
        &mut self,
        item: Item<K>,
        tree: Tree,
        len: usize,
        now: Duration,
        wants: impl Fn(&P) -> bool,
    ) {
        self.begin(tree, now);
        let heard = self.resolve(item, None, now);
        self.spread(
            item,
            Route { tree, hops: 0 },
            len,
            None,
            &heard,
            false,
            now,
            wants,
        );
    }

    /// Handles an item that arrived by reconciliation: it is no longer requested. The caller announces it to others
    /// with [`Broadcast::announce`].
    pub fn on_fetched(&mut self, item: Item<K>, now: Duration) {
        self.resolve(item, None, now);
    }

    /// A copy of an item came from a neighbour and its owner, asked first, had it already. `rank`: of its author.
    pub fn on_duplicate(&mut self, from: P, item: Item<K>, tree: Tree, rank: Rank, now: Duration) {
        self.counters.duplicates += 1;
        let shapes = self.shapes(tree, rank, now);
        let grafted = self.last[tree.index()].filter(|last| last.grafted && last.item == item);
        let Some(neighbour) = self.neighbours.get_mut(&from) else {
            return;
        };
        neighbour.holds(item);
        if let Some(Last { from: grafted, .. }) = grafted.filter(|last| last.from != from) {
            // The tree was whole after all, only slow: the link that was grafted in haste goes again.
            neighbour.set_eager(tree);
            if let Some(last) = &mut self.last[tree.index()] {
                last.grafted = false;
            }
            return self.prune(grafted, tree, now);
        }
        if now < neighbour.kept_until {
            return;
        }
        let again = neighbour
            .pruned_at
            .is_none_or(|at| now.saturating_sub(at) >= PRUNE_AGAIN);
        // A link grafted for repair may be pruned at any duplicate once the tree is whole.
        let may = shapes || neighbour.is_mending(tree);
        if may && neighbour.count_duplicate(tree) >= PRUNE_AFTER && (neighbour.is_eager(tree) || again) {
            self.prune(from, tree, now);
        }
    }

    /// A copy of an item came from a neighbour, and it was news; its owner has verified and taken it. `rank`: of its
    /// author.
    #[expect(
        clippy::too_many_arguments,
        reason = "one item that came, and what decides where it goes"
    )]
    pub fn on_news(
        &mut self,
        from: P,
        item: Item<K>,
        route: Route,
        rank: Rank,
        len: usize,
        now: Duration,
        wants: impl Fn(&P) -> bool,
    ) {
        self.counters.news += 1;
        let Route { tree, hops } = route;
        self.begin(tree, now);
        if let Some(neighbour) = self.neighbours.get_mut(&from) {
            neighbour.set_eager(tree);
            neighbour.promises_broken = 0;
            neighbour.holds(item);
        }
        let grafted = self
            .missing
            .get_mut(&item.key)
            .is_some_and(|missing| missing.asked == Some(from));
        self.last[tree.index()] = Some(Last {
            item,
            from,
            at: now,
            grafted,
        });
        let heard = self.resolve(item, Some(from), now);
        let shapes = self.shapes(tree, rank, now);
        if shapes && let Some((announcer, at)) = heard.iter().copied().min_by_key(|(_, at)| *at) {
            self.consider_shortcut(announcer, item, tree, at, now);
        }
        let hops = hops.saturating_add(1);
        self.spread(
            item,
            Route { tree, hops },
            len,
            Some(from),
            &heard,
            shapes,
            now,
            wants,
        );
    }

    /// A neighbour says what it holds. `has` asks the owner, `rank` tells that of an item's author. Returns how much of
    /// it was news.
    pub fn on_announce(
        &mut self,
        from: P,
        announcements: &[Announcement<K>],
        now: Duration,
        has: impl Fn(&Item<K>) -> bool,
        rank: impl Fn(&K) -> Rank,
    ) -> u32 {
        let mut news = 0;
        for announced in announcements {
            let Some(neighbour) = self.neighbours.get_mut(&from) else {
                return news;
            };
            neighbour.holds(announced.item);
            if has(&announced.item) {
                let Announcement { item, tree, .. } = *announced;
                if self.shapes(tree, rank(&item.key), now) {
                    self.consider_shortcut(from, item, tree, announced.could_come(now), now);
                }
            } else if now < neighbour.distrusted_until {
                self.counters.ignored += 1;
            } else {
                news += 1;
                self.record_missing(from, announced, now);
            }
        }
        news
    }

    /// A neighbour wants to be sent more on `tree`. What it asked for is the caller's to send.
    pub fn on_graft(&mut self, from: &P, tree: Tree, now: Duration) {
        self.begin(tree, now);
        if let Some(neighbour) = self.neighbours.get_mut(from) {
            neighbour.set_eager(tree);
            // Until it has left its former place, both ways are open and copies come from it: no reason to undo this.
            neighbour.kept_until = now + OVERLAP * 2;
        }
    }

    /// A neighbour wants to be sent no more on `tree`.
    pub fn on_prune(&mut self, from: &P, tree: Tree, now: Duration) {
        self.begin(tree, now);
        if let Some(neighbour) = self.neighbours.get_mut(from) {
            neighbour.set_lazy(tree);
        }
    }

    /// The measured round trip to a neighbour.
    pub fn set_rtt(&mut self, peer: &P, rtt: Duration) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.rtt = Some(rtt);
        }
    }

    /// Notes that an item is to be announced to a neighbour, apart from any push.
    pub fn announce(&mut self, to: &P, item: Item<K>, tree: Tree, now: Duration) {
        if let Some(neighbour) = self.neighbours.get_mut(to) {
            neighbour.announce(item, tree, 0, now);
            self.next_flush.get_or_insert(now + ANNOUNCE_EVERY);
        }
    }

    /// Bytes of payload that may be sent to a neighbour now.
    #[must_use]
    pub fn credit(&self, peer: &P) -> i64 {
        self.neighbours.get(peer).map_or(0, |neighbour| neighbour.credit)
    }

    /// Payload was sent that is not of this layer, such as the answer to a graft.
    pub fn spend(&mut self, peer: &P, len: usize) {
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.credit -= len as i64;
        }
    }

    /// A neighbour consumed payload and grants as much again; never more than the window.
    pub fn grant(&mut self, peer: &P, bytes: u32) {
        let window = i64::from(self.config.credit_window);
        if let Some(neighbour) = self.neighbours.get_mut(peer) {
            neighbour.credit = (neighbour.credit + i64::from(bytes)).min(window);
        }
    }

    /// Time passed. Call it at [`Broadcast::next_deadline`] at the latest.
    pub fn tick(&mut self, now: Duration) {
        while let Some(key) = self.missing.due(now) {
            self.ask(key, now);
        }
        while let Some(retiring) = self.retiring.front().copied().filter(|link| link.at <= now) {
            self.retiring.pop_front();
            if self.is_eager(&retiring.new, retiring.tree) && self.is_eager(&retiring.old, retiring.tree) {
                self.prune(retiring.old, retiring.tree, now);
            }
        }
        if self.next_flush.is_some_and(|at| at <= now) {
            self.next_flush = None;
            self.flush(now);
        }
    }

    /// When [`Broadcast::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let retire = self.retiring.front().map(|link| link.at);
        [self.missing.next_due(), self.next_flush, retire]
            .into_iter()
            .flatten()
            .min()
    }

    /// What happened since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether payload is sent to `peer` along `tree`.
    #[must_use]
    pub fn is_eager(&self, peer: &P, tree: Tree) -> bool {
        let tree = if self.started & tree.bit() == 0 {
            Tree::TRUNK
        } else {
            tree
        };
        self.neighbours
            .get(peer)
            .is_some_and(|neighbour| neighbour.is_eager(tree))
    }

    /// Whether payload travelled to or from `peer` lately, along any tree.
    #[must_use]
    pub fn carries(&self, peer: &P, now: Duration) -> bool {
        let Some(neighbour) = self.neighbours.get(peer) else {
            return false;
        };
        self.trees().any(|tree| {
            let used = self.used[tree.index()];
            neighbour.is_eager(tree) && used > Duration::ZERO && now.saturating_sub(used) < IN_USE
        })
    }

    /// Whether an item of this log was announced and is waited for.
    #[must_use]
    pub fn waits_for(&self, key: &K) -> bool {
        self.missing.contains(key)
    }

    /// Items announced and not here.
    #[must_use]
    pub fn missing_len(&self) -> usize {
        self.missing.len()
    }

    fn trees(&self) -> impl Iterator<Item = Tree> + use<P, K> {
        let started = self.started;
        Tree::all().filter(move |tree| started & tree.bit() != 0)
    }

    fn eager_len(&self, tree: Tree) -> usize {
        self.neighbours
            .values()
            .filter(|neighbour| neighbour.is_eager(tree))
            .count()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one item on its way, and what decides where it goes"
    )]
    fn spread(
        &mut self,
        item: Item<K>,
        route: Route,
        len: usize,
        from: Option<P>,
        heard: &[(P, Duration)],
        shapes: bool,
        now: Duration,
        wants: impl Fn(&P) -> bool,
    ) {
        let feeds_us = self.last[route.tree.index()].map(|last| last.from);
        for (peer, neighbour) in self.neighbours.iter_mut() {
            // A neighbour that sent or announced it has it.
            if Some(*peer) == from || !wants(peer) {
                continue;
            }
            if heard.iter().any(|(announcer, _)| announcer == peer) {
                if shapes && feeds_us != Some(*peer) {
                    // It would have been a copy too many: no need to send it to find out.
                    neighbour.set_lazy(route.tree);
                }
                continue;
            }
            // Nothing overtakes an announcement of its log.
            let waits = neighbour.announcements.contains_key(&item.key);
            if neighbour.is_eager(route.tree) && route.hops < HOPS_MAX && neighbour.credit > 0 && !waits {
                neighbour.credit -= len as i64;
                self.outputs.push_back(Output::Push {
                    to: *peer,
                    item,
                    route,
                });
            } else {
                neighbour.announce(item, route.tree, route.hops, now);
                self.next_flush.get_or_insert(now + ANNOUNCE_EVERY);
            }
        }
    }

    fn flush(&mut self, now: Duration) {
        for (peer, neighbour) in self.neighbours.iter_mut() {
            if core::mem::take(&mut neighbour.overflowed) {
                self.outputs.push_back(Output::Reconcile { with: *peer });
            }
            if neighbour.announcements.is_empty() {
                continue;
            }
            if neighbour.credit <= 0 {
                // It takes nothing at the moment: announcements to it wait, one row per log.
                self.next_flush = Some(now + ANNOUNCE_EVERY);
                continue;
            }
            let items = neighbour.take(ANNOUNCEMENTS_PER_MESSAGE, now);
            if !neighbour.announcements.is_empty() {
                self.next_flush = Some(now + ANNOUNCE_EVERY);
            }
            self.outputs.push_back(Output::Announce { to: *peer, items });
        }
    }
}
