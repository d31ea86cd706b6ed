//! Many nodes in a network of function calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::tests::{ROUND, config, node, version};
use super::{Config, Node, Output};
use crate::peers::Failure;
use crate::wire::PeerId;

/// Nodes whose requests are answered at once, or fail if the other is down.
struct World {
    nodes: BTreeMap<PeerId, Node>,
    down: BTreeSet<PeerId>,
    /// Nodes on different sides cannot reach one another.
    side: fn(PeerId) -> bool,
    now: Duration,
}

impl World {
    fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self {
            nodes: nodes.into_iter().map(|node| (node.config().id, node)).collect(),
            down: BTreeSet::new(),
            side: |_| true,
            now: Duration::ZERO,
        }
    }

    fn reach(&mut self, from: PeerId, to: PeerId) -> Result<&mut Node, Failure> {
        let reachable = !self.down.contains(&to) && (self.side)(from) == (self.side)(to);
        self.nodes
            .get_mut(&to)
            .filter(|_| reachable)
            .ok_or(Failure::Unreachable)
    }

    fn settle(&mut self, id: PeerId) {
        let now = self.now;
        while let Some(output) = self.nodes.get_mut(&id).and_then(Node::poll) {
            match output {
                Output::Ask { peer } => {
                    let ids = |node: &mut Node| {
                        node.asked_for_peers(id, now)
                            .iter()
                            .map(ToString::to_string)
                            .collect()
                    };
                    let result = self.reach(id, peer).map(ids);
                    self.nodes
                        .get_mut(&id)
                        .expect("it asked")
                        .answered(peer, result, now);
                }
                Output::Tell { peer, messages } => {
                    let result = self.reach(id, peer).map(|node| node.receive(id, messages, now));
                    self.nodes.get_mut(&id).expect("it told").told(peer, result, now);
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Lets some rounds pass; versions never go back meanwhile.
    fn run(&mut self, rounds: u32) {
        let end = self.now + ROUND * rounds;
        loop {
            let up = self.nodes.iter().filter(|(id, _)| !self.down.contains(id));
            let Some((deadline, id)) = up.map(|(&id, node)| (node.deadline(), id)).min() else {
                return;
            };
            if deadline > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(deadline);
            let now = self.now;
            let before = self.versions();
            self.nodes.get_mut(&id).expect("it is up").wake(now);
            self.settle(id);
            for (node, books) in before {
                for (origin, version) in books {
                    assert!(self.nodes[&node].books()[&origin].version >= version);
                }
            }
        }
    }

    fn versions(&self) -> Vec<(PeerId, Vec<(PeerId, u64)>)> {
        let versions = |node: &Node| {
            node.books()
                .iter()
                .map(|(&id, known)| (id, known.version))
                .collect()
        };
        self.nodes
            .iter()
            .map(|(&id, node)| (id, versions(node)))
            .collect()
    }

    fn agree(&self) -> bool {
        let up: Vec<&Node> = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.down.contains(id))
            .map(|(_, node)| node)
            .collect();
        up.iter().all(|node| {
            up.iter().all(|other| {
                let id = other.config().id;
                node.books().get(&id).map(|known| (known.version, &known.book))
                    == other.books().get(&id).map(|known| (known.version, &known.book))
            })
        })
    }
}

#[test]
fn everybody_learns_everything_though_news_travels_one_hop_to_one_peer() {
    // Each node knows only the one before it.
    let nodes = (0..30).map(|number| {
        node(Config {
            seed: (number > 0).then(|| PeerId(8000 + number - 1)),
            infection_factor: 1,
            ttl: 1,
            ..config(8000 + number)
        })
    });
    let mut world = World::new(nodes);
    world.run(60);
    assert!(world.agree());
}

#[test]
fn half_the_network_dies_the_rest_goes_on_and_all_agree_when_it_is_back() {
    let start = |number: u16, first_version| {
        node(Config {
            seed: (number > 0).then_some(PeerId(8000)),
            first_version,
            ..config(8000 + number)
        })
    };
    let mut world = World::new((0..20).map(|number| start(number, 50)));
    world.run(20);
    assert!(world.agree());
    world.down = (10..20).map(|number| PeerId(8000 + number)).collect();
    world.run(20);
    for (id, node) in world.nodes.iter().filter(|(id, _)| !world.down.contains(id)) {
        let dead: Vec<_> = node
            .peers()
            .known()
            .filter(|(id, _)| world.down.contains(id))
            .collect();
        assert!(dead.is_empty(), "{id} still has {dead:?}");
    }
    // They come back with nothing but their seed, and versions far below their old ones.
    for id in std::mem::take(&mut world.down) {
        let mut node = start(id.0 - 8000, 1);
        node.gossip_at = world.now;
        world.nodes.insert(id, node);
    }
    world.run(40);
    assert!(world.agree());
    assert!(world.nodes.values().all(|node| version(node, 8015) > Some(50)));
}

#[test]
fn a_seed_that_forgot_everybody_is_found_again() {
    let mut world = World::new((0..4).map(|number| {
        node(Config {
            seed: (number > 0).then_some(PeerId(8000)),
            ..config(8000 + number)
        })
    }));
    world.run(10);
    world.down.insert(PeerId(8000));
    world.run(10);
    assert!(
        world.nodes[&PeerId(8001)]
            .peers()
            .known()
            .all(|(id, _)| id != PeerId(8000))
    );
    world.down.clear();
    let mut seed = node(Config {
        first_version: 9,
        ..config(8000)
    });
    seed.gossip_at = world.now;
    world.nodes.insert(PeerId(8000), seed);
    world.run(70);
    assert!(world.agree());
    assert_eq!(version(&world.nodes[&PeerId(8003)], 8000), Some(9));
}

#[test]
fn two_halves_that_lost_each_other_for_a_while_grow_together_again() {
    let mut world = World::new((0..12).map(|number| {
        node(Config {
            seed: (number > 0).then_some(PeerId(8000)),
            fickle_interval: Duration::from_secs(15),
            ..config(8000 + number)
        })
    }));
    world.run(10);
    world.side = |id| id.0 < 8006;
    world.run(40);
    for (id, node) in &world.nodes {
        let side = world.side;
        assert!(node.peers().known().all(|(peer, _)| side(peer) == side(*id)));
    }
    world.side = |_| true;
    for node in world.nodes.values_mut() {
        node.fickle_at = None;
    }
    world.run(80);
    assert!(world.agree());
}
