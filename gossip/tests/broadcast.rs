//! Whatever neighbours say, in whatever order: tables stay within their bounds, nobody is sent what it gave or holds,
//! and what was announced is asked for or counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gossip::broadcast::{
    ANNOUNCEMENTS_PER_MESSAGE, Announcement, Broadcast, Config, EAGER_START, HOPS_MAX, Item, MISSING_MAX,
    Output, Rank, Route, Tree,
};
use proptest::prelude::*;

const LEN: usize = 100;
const WINDOW: u32 = 1_000;

#[derive(Clone, Debug)]
enum Event {
    Up(u8),
    Down(u8),
    Publish(Item<u8>, u8),
    News(u8, Item<u8>, Route),
    Announced(u8, Vec<Announcement<u8>>),
    Grafted(u8, u8),
    Pruned(u8, u8),
    Fetched(Item<u8>),
    Granted(u8, u32),
    Rtt(u8, u64),
    Passes(u64),
}

fn item() -> impl Strategy<Value = Item<u8>> {
    (0..6_u8, 1..5_u64).prop_map(|(key, upto)| Item { key, upto })
}

fn announcement() -> impl Strategy<Value = Announcement<u8>> {
    (item(), any::<u8>(), any::<u8>(), any::<u16>()).prop_map(|(item, number, hops, waited_ms)| {
        Announcement {
            item,
            tree: Tree::from_byte(number),
            hops,
            waited_ms,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..10_u8;
    let route = (any::<u8>(), prop_oneof![0..8_u8, any::<u8>()]).prop_map(|(number, hops)| Route {
        tree: Tree::from_byte(number),
        hops,
    });
    prop_oneof![
        2 => peer.clone().prop_map(Event::Up),
        1 => peer.clone().prop_map(Event::Down),
        2 => (item(), any::<u8>()).prop_map(|(item, tree)| Event::Publish(item, tree)),
        6 => (peer.clone(), item(), route).prop_map(|(peer, item, route)| Event::News(peer, item, route)),
        4 => (peer.clone(), proptest::collection::vec(announcement(), 0..8))
            .prop_map(|(peer, items)| Event::Announced(peer, items)),
        1 => (peer.clone(), any::<u8>()).prop_map(|(peer, tree)| Event::Grafted(peer, tree)),
        1 => (peer.clone(), any::<u8>()).prop_map(|(peer, tree)| Event::Pruned(peer, tree)),
        1 => item().prop_map(Event::Fetched),
        1 => (peer.clone(), any::<u32>()).prop_map(|(peer, bytes)| Event::Granted(peer, bytes)),
        1 => (peer, 0..3_000_u64).prop_map(|(peer, ms)| Event::Rtt(peer, ms)),
        3 => (0..3_000_u64).prop_map(Event::Passes),
    ]
}

/// The owner of the logs, and the neighbours as they are outside.
#[derive(Default)]
struct Owner {
    held: BTreeMap<u8, u64>,
    up: BTreeSet<u8>,
    /// What each neighbour gave, or was sent.
    theirs: BTreeSet<(u8, u8, u64)>,
}

impl Owner {
    fn has(&self, item: &Item<u8>) -> bool {
        self.held.get(&item.key).is_some_and(|upto| *upto >= item.upto)
    }

    fn take(&mut self, item: Item<u8>) {
        let upto = self.held.entry(item.key).or_default();
        *upto = item.upto.max(*upto);
    }

    fn drain(&mut self, broadcast: &mut Broadcast<u8, u8>) {
        while let Some(output) = broadcast.poll() {
            let to = match output {
                Output::Push { to, item, route } => {
                    assert!(self.has(&item), "a push of what is not here");
                    assert!(route.hops <= HOPS_MAX);
                    assert!(
                        self.theirs.insert((to, item.key, item.upto)),
                        "sent to one who gave it, or twice"
                    );
                    to
                }
                Output::Announce { to, items } => {
                    assert!((1..=ANNOUNCEMENTS_PER_MESSAGE).contains(&items.len()));
                    assert!(items.iter().all(|told| self.has(&told.item)));
                    to
                }
                Output::Graft { to, item, .. } => {
                    assert!(item.is_none_or(|item| !self.has(&item)), "asked for what is here");
                    to
                }
                Output::Reconcile { with } => with,
                Output::Prune { to, .. } => to,
            };
            assert!(
                self.up.contains(&to),
                "a message to a peer that is not a neighbour"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_neighbours_say(
        events in proptest::collection::vec(event(), 0..200),
        all_eager in any::<bool>(),
    ) {
        let mut broadcast = Broadcast::new(Config {
            credit_window: WINDOW,
            eager_start: (!all_eager).then_some(EAGER_START),
        });
        let mut owner = Owner::default();
        let mut now = Duration::from_secs(1);
        let mut news = 0;
        for event in events {
            match event {
                Event::Up(peer) => {
                    if owner.up.insert(peer) {
                        owner.theirs.retain(|(whose, ..)| *whose != peer);
                        broadcast.on_up(peer);
                    }
                }
                Event::Down(peer) => {
                    owner.up.remove(&peer);
                    broadcast.on_down(&peer, now);
                }
                Event::Publish(item, number) => {
                    if !owner.has(&item) {
                        owner.take(item);
                        broadcast.publish(item, Tree::from_byte(number), LEN, now, |_| true);
                    }
                }
                Event::News(peer, item, route) => {
                    if owner.up.contains(&peer) {
                        owner.theirs.insert((peer, item.key, item.upto));
                        if owner.has(&item) {
                            broadcast.on_duplicate(peer, item, route.tree, Rank::of(&item.key), now);
                        } else {
                            owner.take(item);
                            news += 1;
                            broadcast.on_news(peer, item, route, Rank::of(&item.key), LEN, now, |_| true);
                        }
                    }
                }
                Event::Announced(peer, items) => {
                    let before = broadcast.counters().ignored;
                    let known = items.iter().filter(|told| owner.has(&told.item)).count();
                    let taken = broadcast.on_announce(
                        peer, &items, now, |item| owner.has(item), Rank::of,
                    );
                    let ignored = (broadcast.counters().ignored - before) as usize;
                    if owner.up.contains(&peer) {
                        prop_assert!(known + taken as usize + ignored >= items.len(), "one was lost without a trace");
                    }
                }
                Event::Grafted(peer, number) => broadcast.on_graft(&peer, Tree::from_byte(number), now),
                Event::Pruned(peer, number) => broadcast.on_prune(&peer, Tree::from_byte(number), now),
                Event::Fetched(item) => {
                    owner.take(item);
                    broadcast.on_fetched(item, now);
                }
                Event::Granted(peer, bytes) => {
                    broadcast.grant(&peer, bytes);
                    prop_assert!(broadcast.credit(&peer) <= i64::from(WINDOW));
                }
                Event::Rtt(peer, ms) => broadcast.set_rtt(&peer, Duration::from_millis(ms)),
                Event::Passes(ms) => {
                    now += Duration::from_millis(ms);
                    broadcast.tick(now);
                }
            }
            owner.drain(&mut broadcast);
            prop_assert!(broadcast.missing_len() <= MISSING_MAX);
            prop_assert_eq!(broadcast.counters().news, news);
        }
        // Time alone brings what is awaited to an end: it is asked for, and given up when nobody gives it.
        for _ in 0..200 {
            let Some(due) = broadcast.next_deadline() else { break };
            now = now.max(due) + Duration::from_millis(1);
            broadcast.tick(now);
            owner.drain(&mut broadcast);
            // Every neighbour takes what it is sent.
            for peer in 0..10 {
                broadcast.grant(&peer, WINDOW);
            }
        }
        prop_assert_eq!(broadcast.next_deadline(), None, "something is awaited for ever");
        prop_assert_eq!(broadcast.missing_len(), 0);
    }
}
