//! A member with eight neighbours, and what it is fed.

use std::time::Duration;

use gossip::broadcast::{Announcement, Item, Route, Tree};
use gossip::membership::{self, Config};
use gossip::swarm::{Message, MessageId, Output, Swarm};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

/// Messages of each kind.
pub(crate) const MESSAGES: u64 = 200_000;
const NEIGHBOURS: u32 = 8;
const BODY_LEN: usize = 400;

/// A member that knows no other, and its clock, which stands still.
pub(crate) struct Fed {
    swarm: Swarm<u32, u32>,
    rng: ChaCha8Rng,
    now: Duration,
}

impl Fed {
    pub(crate) fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let config = Config {
            anchors_target: 0,
            ..Config::visitor()
        };
        let now = Duration::from_secs(1);
        let mut fed = Self {
            swarm: Swarm::new(0, config, 0, now, &mut rng),
            rng,
            now,
        };
        for peer in 1..=NEIGHBOURS {
            fed.swarm.on_connected(peer, false, now, &mut fed.rng);
            let request = membership::Message::Request {
                wish: membership::Wish::Fill,
                anchor: false,
                heartbeat: 1,
                peers: Vec::new(),
            };
            fed.take(peer, Message::Overlay(request));
        }
        assert_eq!(fed.swarm.membership().neighbours_len(), NEIGHBOURS as usize);
        fed
    }

    pub(crate) fn take(&mut self, from: u32, message: Message<u32, u32>) {
        // What it answers is dropped: a breach would close the connection, and the next message say so.
        let taken = self
            .swarm
            .on_message(from, message, |_| BODY_LEN, self.now, &mut self.rng);
        assert!(taken.is_ok(), "a well-behaved neighbour");
        while let Some(output) = self.swarm.poll() {
            if let Output::Send(peer, Message::News { .. }) = output {
                self.swarm.on_written(&peer, BODY_LEN);
            }
        }
    }
}

/// News of a stranger, whole.
pub(crate) fn news(seq: u64) -> Message<u32, u32> {
    Message::News {
        id: id(seq),
        route: Route {
            tree: Tree::TRUNK,
            hops: 3,
        },
        body: 0,
    }
}

/// A sign of life.
pub(crate) fn heartbeat(n: u64) -> Message<u32, u32> {
    Message::Overlay(membership::Message::Heartbeat {
        counter: 1 + n,
        degree: 8,
        echo: 0,
        held_ms: 0,
    })
}

const fn id(seq: u64) -> MessageId<u32> {
    MessageId { origin: 1_000, seq }
}

/// Nanoseconds per message of each kind. `clock`: milliseconds.
pub(crate) fn run(clock: impl Fn() -> f64) -> Vec<(&'static str, f64)> {
    let time = |of: &mut dyn FnMut(u64)| {
        let began = clock();
        for n in 1..=MESSAGES {
            of(n);
        }
        (clock() - began) * 1e6 / MESSAGES as f64
    };
    let mut fed = Fed::new();
    let fresh = time(&mut |n| fed.take(1, news(n)));
    // The first of many from each neighbour would be answered with a prune; these were.
    let duplicate = time(&mut |n| fed.take(1 + (n % 8) as u32, news(MESSAGES - n % 64)));
    let announced = time(&mut |n| {
        let held = Announcement {
            item: Item {
                key: id(MESSAGES - n % 64),
                upto: 1,
            },
            tree: Tree::TRUNK,
            hops: 3,
            waited_ms: 10,
        };
        fed.take(1 + (n % 8) as u32, Message::Announce(vec![held]));
    });
    let beats = time(&mut |n| fed.take(1 + (n % 8) as u32, heartbeat(n)));
    vec![
        ("news", fresh),
        ("duplicate", duplicate),
        ("announcement", announced),
        ("heartbeat", beats),
    ]
}
