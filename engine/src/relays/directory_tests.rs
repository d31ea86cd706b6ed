use core::time::Duration;

use protocol::messages::directory::{Description, SignedDescription, role};
use protocol::messages::{Message, Relays};
use protocol::names::RegistryId;

use super::{CHECKS_PER_S, Directory, Own, Sender};
use crate::api::RelayState;
use crate::ctx::DirectoryMode;
use crate::facts::Fact;
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::testing::{Node, Remote, spoil};

/// A person's device, linked with a relay it knows.
struct Device {
    node: Node,
    from: Sender,
}

impl Device {
    fn new() -> Self {
        let mut node = Node::new(&Author::new(1));
        let relay = Remote::relay(200);
        let link = node.link_known(&relay);
        let from = Sender {
            link,
            peer: relay.id(),
            anchor: true,
        };
        Self { node, from }
    }

    fn hear(&mut self, from: Sender, relays: Vec<SignedDescription>) {
        let Node { ctx, directory, .. } = &mut self.node;
        directory.on_relays(
            ctx,
            from,
            Relays { relays },
            |peer| *peer == self.from.peer,
            |_| false,
        );
    }

    fn on_timer(&mut self) {
        let Node { ctx, directory, .. } = &mut self.node;
        let own = Own {
            revision: 0,
            registry: None,
        };
        directory.on_timer(ctx, own, &[(self.from.link, true)], true);
    }

    fn misbehaved(&mut self) -> bool {
        let facts = self.node.facts();
        facts.iter().any(|fact| matches!(fact, Fact::Misbehaved { .. }))
    }
}

/// Relay `n` describes itself.
fn described(n: u8, heartbeat: u64) -> SignedDescription {
    let description = Description {
        heartbeat,
        url: format!("https://{n}.example"),
        roles: role::WORKER,
        capacity: 100,
        ..Description::default()
    };
    description.sign(&Remote::relay(n).key)
}

/// How many of these messages list relays.
fn lists(messages: Vec<Message>) -> usize {
    let lists = messages
        .iter()
        .filter(|message| matches!(message, Message::Relays(_)));
    lists.count()
}

fn stranger(n: u8) -> Sender {
    Sender {
        link: LinkId(u64::from(n) + 1_000),
        peer: Remote::relay(n).id(),
        anchor: false,
    }
}

#[test]
fn a_description_with_a_wrong_signature_is_misbehaviour_and_not_listed() {
    let mut device = Device::new();
    let mut forged = described(10, 1);
    forged.description.capacity = 7;
    let mut spoiled = described(11, 1);
    spoil(&mut spoiled.signature);
    for (n, wrong) in [(10, forged), (11, spoiled)] {
        device.hear(device.from, vec![wrong]);
        assert!(device.misbehaved());
        assert!(!device.node.directory.lists(&Remote::relay(n).id()));
    }
}

#[test]
fn only_a_higher_heartbeat_replaces_a_description_and_is_checked() {
    let mut device = Device::new();
    device.hear(device.from, vec![described(10, 5)]);
    let peer = Remote::relay(10).id();
    let heartbeat = |device: &Device| device.node.directory.alive(&peer).map(|alive| alive.heartbeat);
    assert_eq!(heartbeat(&device), Some(5));
    // Were these checked, they would be misbehaviour.
    for old in [4, 5] {
        let mut wrong = described(10, old);
        spoil(&mut wrong.signature);
        device.hear(device.from, vec![wrong]);
    }
    assert!(!device.misbehaved());
    device.hear(device.from, vec![described(10, 6)]);
    assert_eq!(heartbeat(&device), Some(6));
}

#[test]
fn the_checks_that_a_neighbour_causes_per_second_are_bounded() {
    let mut device = Device::new();
    let heartbeats = |from: u64| (from..from + u64::from(CHECKS_PER_S) + 20).map(|beat| described(10, beat));
    let peer = Remote::relay(10).id();
    let heartbeat = |device: &Device| device.node.directory.alive(&peer).map(|alive| alive.heartbeat);
    device.hear(device.from, heartbeats(1).collect());
    assert_eq!(heartbeat(&device), Some(u64::from(CHECKS_PER_S)));
    assert!(!device.misbehaved());
    // Another neighbour has checks of its own.
    device.hear(stranger(11), vec![described(10, 1_000)]);
    assert_eq!(heartbeat(&device), Some(1_000));
    device.hear(device.from, vec![described(10, 1_001)]);
    assert_eq!(heartbeat(&device), Some(1_000));
    device.node.directory.refill();
    device.hear(device.from, vec![described(10, 1_001)]);
    assert_eq!(heartbeat(&device), Some(1_001));
}

#[test]
fn a_relay_is_listed_if_a_relay_this_peer_knows_lists_it_and_by_no_stranger() {
    let mut device = Device::new();
    let peer = Remote::relay(10).id();
    device.hear(stranger(11), vec![described(10, 1)]);
    let directory = &device.node.directory;
    assert!(!directory.lists(&peer));
    assert_eq!(directory.living_workers().count(), 0);
    device.hear(device.from, vec![described(10, 1)]);
    assert!(device.node.directory.lists(&peer));
    assert_eq!(device.node.directory.living_workers().count(), 1);
    device.hear(stranger(11), vec![described(10, 2)]);
    let alive = device.node.directory.alive(&peer).map(|alive| alive.heartbeat);
    assert_eq!(alive, Some(2), "strangers tell that it is alive");
}

#[test]
fn relays_that_are_no_members_are_not_listed() {
    let mut device = Device::new();
    let allowed = vec![Remote::relay(10).id()];
    let members = Some(allowed.into_iter().collect());
    device.node.directory.set_members(&mut device.node.ctx, members);
    device.hear(device.from, vec![described(11, 1), described(10, 1)]);
    assert!(device.node.directory.lists(&Remote::relay(10).id()));
    assert!(!device.node.directory.lists(&Remote::relay(11).id()));
}

#[test]
fn a_relay_that_falls_silent_is_dead_and_alive_again_with_its_next_heartbeat() {
    let mut device = Device::new();
    let beat = device.node.ctx.config.relays_beat_every;
    let peer = Remote::relay(10).id();
    for n in 1..=5 {
        device.hear(device.from, vec![described(10, n)]);
        device.node.pass(beat);
        device.on_timer();
        assert_eq!(device.node.directory.state(&peer), Some(RelayState::Alive));
    }
    for _ in 0..20 {
        device.node.pass(beat);
        device.on_timer();
    }
    assert_eq!(device.node.directory.state(&peer), Some(RelayState::Dead));
    assert!(device.node.directory.alive(&peer).is_none());
    assert!(
        device
            .node
            .directory
            .dead_for(&peer, device.node.ctx.clock())
            .is_some()
    );
    device.hear(device.from, vec![described(10, 6)]);
    assert_eq!(device.node.directory.state(&peer), Some(RelayState::Alive));
}

#[test]
fn a_registry_is_taken_from_a_known_relay_alone() {
    let mut device = Device::new();
    let registry = RegistryId([9; 32]);
    let naming = |n: u8| {
        let description = Description {
            registry: Some(registry),
            ..described(n, 1).description
        };
        description.sign(&Remote::relay(n).key)
    };
    let named = |device: &mut Device| {
        let facts = device.node.facts();
        facts
            .iter()
            .any(|fact| matches!(fact, Fact::RegistryNamed(it) if *it == registry))
    };
    device.hear(device.from, vec![naming(10)]);
    assert!(!named(&mut device), "a relay that a known one lists");
    device.hear(device.from, vec![naming(200)]);
    assert!(named(&mut device));
}

/// A relay that lists others.
fn list_as_relay(node: &mut Node) {
    node.directory = Directory::new(&node.ctx.config, node.ctx.now.instant, DirectoryMode::Relay);
}

#[test]
fn a_relay_lists_the_peers_it_is_linked_with_and_what_those_describe() {
    let mut device = Device::new();
    list_as_relay(&mut device.node);
    let hear = |device: &mut Device, from: u8, of: u8, beat| {
        device.hear(stranger(from), vec![described(of, beat)]);
        device.node.directory.lists(&Remote::relay(of).id())
    };
    assert!(
        !hear(&mut device, 10, 11, 1),
        "hearsay of a peer that is not listed"
    );
    assert!(hear(&mut device, 10, 10, 1), "itself");
    assert!(hear(&mut device, 10, 11, 1), "what a listed relay describes");
    let found = device.node.facts();
    let found = found.iter().filter(|fact| matches!(fact, Fact::RelayFound(_)));
    assert_eq!(found.count(), 2);
}

#[test]
fn a_relay_beats_with_rising_numbers_and_its_neighbours_hear_of_it() {
    let mut device = Device::new();
    list_as_relay(&mut device.node);
    let link = device.from.link;
    let Node { ctx, directory, .. } = &mut device.node;
    directory.describe(ctx, described(10, 0).description);
    let mut beats = Vec::new();
    for _ in 0..3 {
        device.on_timer();
        for message in device.node.sent(link) {
            let Message::Relays(Relays { relays }) = message else {
                continue;
            };
            for signed in relays {
                assert!(signed.verify().is_ok());
                beats.push(signed.description.heartbeat);
            }
        }
        device.node.pass(device.node.ctx.config.relays_beat_every);
    }
    assert!(
        beats.len() == 3 && beats.is_sorted_by(|one, next| one < next),
        "{beats:?}"
    );
}

#[test]
fn what_is_new_is_not_sent_back_to_where_it_came_from() {
    let mut device = Device::new();
    list_as_relay(&mut device.node);
    let other = device.node.link(&Remote::relay(201));
    let link = device.from.link;
    device.hear(device.from, vec![described(10, 1)]);
    device.node.pass(Duration::from_secs(2));
    let Node { ctx, directory, .. } = &mut device.node;
    let own = Own {
        revision: 0,
        registry: None,
    };
    directory.on_timer(ctx, own, &[(link, true), (other, true)], true);
    assert_eq!(lists(device.node.sent(link)), 0);
    assert_eq!(lists(device.node.sent(other)), 1);
}

#[test]
fn a_device_sends_relays_no_descriptions() {
    let mut device = Device::new();
    device.hear(device.from, vec![described(10, 1)]);
    let person = device.node.link(&Remote::peer(30));
    let (relay, Node { ctx, directory, .. }) = (device.from.link, &mut device.node);
    directory.send_living(ctx, relay, &Remote::relay(50).id(), true);
    directory.send_living(ctx, person, &Remote::relay(51).id(), false);
    assert_eq!(lists(device.node.sent(relay)), 0);
    assert_eq!(lists(device.node.sent(person)), 1);
}
