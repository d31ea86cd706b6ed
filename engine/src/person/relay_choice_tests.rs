use core::time::Duration;

use protocol::PeerId;
use protocol::messages::Relays;
use protocol::messages::directory::{Description, role};

use super::{BETTER_FOR, CHOSEN_MAX, EVERY, LINKED_WITHIN, MOVES_EVERY, RelayChoice};
use crate::io::Output;
use crate::kinds::testing::Author;
use crate::relays::directory::Sender;
use crate::relays::{REPAIR, directory::Own};
use crate::testing::{Node, Remote};

/// The relay that the address book names.
const NAMED: u8 = 200;

struct Device {
    node: Node,
    choice: RelayChoice,
    heartbeat: u64,
}

impl Device {
    /// A device that wants `target` links with relays, and is linked with the one its address book names.
    fn new(target: usize) -> Self {
        let mut node = Node::new(&Author::new(1));
        node.ctx.config.relays_target = target;
        node.link_known(&Remote::relay(NAMED));
        let mut device = Self {
            node,
            choice: RelayChoice::default(),
            heartbeat: 0,
        };
        device.describe(NAMED, 100);
        device
    }

    fn hear(&mut self, n: u8, anchor: bool, description: Description) {
        self.heartbeat += 1;
        let description = Description {
            heartbeat: self.heartbeat,
            ..description
        };
        let relays = vec![description.sign(&Remote::relay(n).key)];
        let by = Remote::relay(if anchor { NAMED } else { 250 }).id();
        let link = crate::io::LinkId(if anchor { 1 } else { 77 });
        let from = Sender {
            link,
            peer: by,
            anchor,
        };
        let Node { ctx, directory, .. } = &mut self.node;
        directory.on_relays(ctx, from, Relays { relays }, |_| false, |_| false);
        directory.refill();
    }

    /// The named relay lists relay `n`, which answers within `response_ms`.
    fn describe(&mut self, n: u8, response_ms: u32) {
        self.hear(n, true, worker(n, response_ms));
    }

    /// The device knows relay `n`, which it chose from the directory, and is linked with it.
    fn choose(&mut self, n: u8, response_ms: u32) {
        self.describe(n, response_ms);
        let url = worker(n, 0).url;
        self.node.net.know_relay(&mut self.node.ctx, id(n), url);
        self.node.link(&Remote::relay(n));
    }

    /// Lets time pass, in which the choice is looked at as often as it wants. Whether a move was under way at any time.
    fn pass(&mut self, time: Duration) -> bool {
        let (mut passed, mut moved) = (Duration::ZERO, false);
        while passed < time {
            self.node.pass(EVERY);
            passed += EVERY;
            let Node {
                ctx, net, directory, ..
            } = &mut self.node;
            self.choice.on_timer(ctx, net, directory);
            moved |= self.choice.moving.is_some();
        }
        moved
    }

    fn knows(&self, n: u8) -> bool {
        self.node.net.known.contains(&id(n))
    }
}

fn id(n: u8) -> PeerId {
    Remote::relay(n).id()
}

fn worker(n: u8, response_ms: u32) -> Description {
    Description {
        url: format!("https://{n}.example"),
        roles: role::WORKER,
        capacity: 100,
        response_us: response_ms * 1_000,
        ..Description::default()
    }
}

/// A device with a chosen relay (1) and a spare one (2) it is not linked with; how fast each answers, in milliseconds.
fn with_spare(chosen: u32, spare: u32) -> Device {
    let mut device = Device::new(2);
    device.choose(1, chosen);
    device.describe(2, spare);
    device.pass(EVERY);
    assert!(device.knows(2), "one more than are linked");
    device
}

#[test]
fn the_best_relays_are_chosen_until_there_is_one_to_spare() {
    let mut device = Device::new(2);
    for (n, response) in [(1, 900), (2, 300), (3, 500)] {
        device.describe(n, response);
    }
    device.pass(EVERY);
    assert!(device.knows(2));
    device.pass(EVERY);
    device.pass(EVERY);
    assert!(device.knows(3) && !device.knows(1));
    assert_eq!(device.node.net.known.len(), 3);
}

#[test]
fn no_relay_is_chosen_that_no_known_relay_lists_or_that_cannot_serve() {
    let mut device = Device::new(2);
    device.hear(1, false, worker(1, 1));
    let unfit = [
        Description {
            url: String::new(),
            ..worker(2, 1)
        },
        Description {
            roles: role::WEB,
            ..worker(3, 1)
        },
        Description {
            capacity: 0,
            ..worker(4, 1)
        },
    ];
    for (n, unfit) in (2..).zip(unfit) {
        device.hear(n, true, unfit);
    }
    device.pass(EVERY * 3);
    assert_eq!(device.node.net.known.len(), 1);
    device.describe(1, 1);
    device.pass(EVERY);
    assert!(device.knows(1));
}

#[test]
fn a_relay_that_is_more_than_twice_as_good_takes_the_place_of_a_chosen_one_after_a_minute() {
    let mut device = with_spare(500, 100);
    assert!(!device.pass(BETTER_FOR), "not for long enough");
    device.pass(EVERY);
    let way = device.choice.moving.map(|(way, _)| (way.from, way.to));
    assert_eq!(way, Some((id(1), id(2))));
    assert!(device.knows(1), "it stays until the other one is linked");
    device.node.link(&Remote::relay(2));
    device.pass(EVERY);
    assert!(!device.knows(1) && device.knows(2));
    device.node.pump();
    assert!(!device.node.net.is_neighbour(&id(1)));
}

#[test]
fn a_relay_that_is_less_than_twice_as_good_does_not_take_its_place() {
    let mut device = with_spare(190, 100);
    assert!(!device.pass(BETTER_FOR * 3));
    assert!(device.knows(1));
}

#[test]
fn a_relay_that_is_better_with_interruptions_does_not_take_its_place() {
    let mut device = with_spare(500, 100);
    for _ in 0..4 {
        assert!(!device.pass(BETTER_FOR / 2));
        device.describe(1, 100);
        assert!(!device.pass(EVERY));
        device.describe(1, 500);
    }
}

#[test]
fn a_move_to_a_relay_that_does_not_accept_the_device_is_given_up() {
    let mut device = with_spare(500, 100);
    device.pass(BETTER_FOR + EVERY);
    assert!(device.choice.moving.is_some());
    device.pass(LINKED_WITHIN);
    assert_eq!(device.choice.moving, None);
    assert!(device.knows(1));
    let rest = MOVES_EVERY - LINKED_WITHIN - EVERY;
    assert!(!device.pass(rest), "the next move is far off");
    assert!(device.pass(EVERY * 2), "it is tried again");
}

#[test]
fn the_relay_that_the_address_book_names_is_not_left() {
    let mut device = Device::new(1);
    device.describe(NAMED, 2_000);
    device.describe(2, 100);
    assert!(!device.pass(BETTER_FOR * 3));
    assert!(device.knows(2), "to spare");
    assert!(device.knows(NAMED));
}

#[test]
fn a_dead_relay_gives_way_when_the_most_are_chosen() {
    let mut device = Device::new(2);
    for n in 120..120 + CHOSEN_MAX as u8 - 1 {
        let url = worker(n, 0).url;
        device.node.net.know_relay(&mut device.node.ctx, id(n), url);
    }
    assert_eq!(device.node.net.known.len(), CHOSEN_MAX);
    device.describe(1, 100);
    device.pass(EVERY);
    assert!(device.knows(1) && device.knows(NAMED));
    assert_eq!(device.node.net.known.len(), CHOSEN_MAX);
}

#[test]
fn no_further_relay_is_chosen_while_the_most_are_alive() {
    let mut device = Device::new(CHOSEN_MAX);
    for n in 120..120 + CHOSEN_MAX as u8 - 1 {
        device.choose(n, 100);
    }
    device.describe(1, 100);
    device.pass(EVERY * 2);
    assert!(!device.knows(1));
    assert_eq!(device.node.net.known.len(), CHOSEN_MAX);
}

#[test]
fn another_relay_is_chosen_each_minute_while_too_few_accept_the_device() {
    let mut device = Device::new(2);
    for n in 1..=4 {
        device.describe(n, 100 * u32::from(n));
    }
    device.pass(EVERY * 4);
    assert_eq!(device.node.net.known.len(), 3);
    device.pass(BETTER_FOR - EVERY * 4);
    assert_eq!(device.node.net.known.len(), 3);
    device.pass(EVERY * 4);
    assert_eq!(device.node.net.known.len(), 4);
}

#[test]
fn the_replication_delay_is_measured_from_the_entry_to_its_receipt() {
    let mut choice = RelayChoice::default();
    let at = Node::without_account().ctx.now.instant;
    let (later, before) = (at + Duration::from_millis(30), Some(at));
    choice.signed(id(1), 5, before, later);
    choice.wrote(5, at);
    choice.signed(id(1), 4, before, later);
    choice.signed(id(2), 5, Some(later), later);
    choice.signed(id(3), 5, None, later);
    choice.signed(id(4), 5, before, at + REPAIR);
    assert!(choice.replication.is_empty(), "{:?}", choice.replication);
    choice.signed(id(1), 5, before, later);
    assert_eq!(choice.replication.get(&id(1)), Some(&30.0));
}

#[test]
fn a_relay_that_is_not_alive_is_not_chosen() {
    let mut device = Device::new(2);
    device.describe(1, 100);
    for _ in 0..60 {
        device.node.pass(Duration::from_secs(5));
        device.describe(NAMED, 100);
        let own = Own {
            revision: 0,
            registry: None,
        };
        let Node { ctx, directory, .. } = &mut device.node;
        directory.on_timer(ctx, own, &[], true);
    }
    device.pass(EVERY * 2);
    assert!(!device.knows(1));
    device.describe(1, 100);
    device.pass(EVERY);
    assert!(device.knows(1));
}

#[test]
fn the_named_relay_is_dialled_although_chosen_ones_are_enough() {
    let mut device = Device::new(2);
    device.choose(1, 100);
    device.choose(2, 100);
    let Node { ctx, net, .. } = &mut device.node;
    let link = net.link_to(&id(NAMED)).expect("linked");
    net.end(ctx, link, "the tab was closed");
    device.node.pump();
    device.node.outputs();
    let mut dials = 0;
    for _ in 0..10 {
        device.describe(NAMED, 100);
        device.pass(EVERY);
        device.node.pump();
        let outputs = device.node.outputs();
        let is_dial = |output: &&Output| matches!(output, Output::Dial { peer, .. } if *peer == id(NAMED));
        dials += outputs.iter().filter(is_dial).count();
    }
    assert!((1..=2).contains(&dials), "{dials} in twenty seconds");
}
