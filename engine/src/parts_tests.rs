use protocol::messages::directory::{Description, role};
use protocol::messages::{Message, Relays};

use std::time::Duration;

use super::*;
use crate::api::Query;
use crate::kinds::testing::{Author, registry};
use crate::role::testing::Peer;
use crate::testing::Remote;

/// Whether a question to the registry was sent on the link.
fn asked(peer: &mut Peer, link: LinkId) -> bool {
    let sent = peer.sent(link);
    sent.iter()
        .any(|message| matches!(message, Message::NameQuestion(_)))
}

/// Relay `n` describes itself, as passed on by the neighbour.
fn describe(peer: &mut Peer, n: u8, link: LinkId) {
    let description = Description {
        roles: role::WORKER,
        capacity: 100,
        heartbeat: 5,
        ..Description::default()
    };
    let relays = vec![description.sign(&Remote::relay(n).key)];
    peer.parts.on_relays(&mut peer.ctx, link, Relays { relays });
}

#[test]
fn questions_about_names_go_to_the_first_known_relay_that_becomes_a_neighbour() {
    let mut peer = Peer::person();
    let name = "ada".to_owned();
    assert_eq!(peer.query(Query::Name { name }), None);
    let stranger = peer.neighbour(&Remote::relay(20));
    peer.parts.on_neighbour_up(&mut peer.ctx, stranger);
    assert!(!asked(&mut peer, stranger), "this peer does not know that relay");
    let link = peer.link_known(&Remote::relay(21));
    peer.parts.on_neighbour_up(&mut peer.ctx, link);
    assert!(asked(&mut peer, link));
}

#[test]
fn a_new_neighbour_is_pinged() {
    let mut peer = Peer::person();
    let link = peer.neighbour(&Remote::peer(20));
    peer.parts.on_neighbour_up(&mut peer.ctx, link);
    let sent = peer.sent(link);
    assert!(
        sent.iter().any(|message| matches!(message, Message::Ping(_))),
        "{sent:?}"
    );
    peer.parts.on_neighbour_up(&mut peer.ctx, LinkId(99));
}

#[test]
fn a_relay_is_listed_if_a_relay_that_this_device_knows_describes_it() {
    let mut peer = Peer::person();
    let known = peer.link_known(&Remote::relay(20));
    describe(&mut peer, 21, known);
    assert!(peer.parts.directory.lists(&Remote::relay(21).id()));
    let stranger = peer.neighbour(&Remote::peer(22));
    describe(&mut peer, 23, stranger);
    assert!(!peer.parts.directory.lists(&Remote::relay(23).id()));
}

#[test]
fn the_own_description_says_what_is_held_and_which_registry_counts() {
    let mut peer = Peer::person();
    let own = peer.parts.own_description();
    assert_eq!(
        (own.revision, own.registry),
        (2, None),
        "a certificate and a profile"
    );
    let mut bob = Author::new(2);
    peer.hold(&[bob.begin(), bob.post("one")]);
    let id = protocol::names::RegistryId(registry(0).public());
    peer.parts.kinds.learn_registry(&mut peer.ctx, id, true);
    let own = peer.parts.own_description();
    assert_eq!((own.revision, own.registry), (4, Some(id)));
}

#[test]
fn the_deadline_is_the_first_of_all_parts() {
    let mut peer = Peer::person();
    peer.link_known(&Remote::relay(20));
    let micros = |at: Option<Duration>| at.map(|at| at.as_micros());
    let parts = |peer: &Peer| {
        let Parts {
            net, sync, directory, ..
        } = &peer.parts;
        let directory = Duration::from_micros(directory.next_deadline().0);
        [net.next_deadline(), sync.spread.next_deadline(), Some(directory)].map(micros)
    };
    let first = |peer: &Peer| Some(u128::from(peer.parts.next_deadline().0));
    let [net, _, directory] = parts(&peer);
    assert!(directory < net, "relays are judged first");
    assert_eq!(first(&peer), directory);
    peer.pass(Duration::from_secs(5));
    peer.parts.on_directory_timer(&mut peer.ctx);
    let [net, _, directory] = parts(&peer);
    assert!(net < directory, "neighbours are looked after next");
    assert_eq!(first(&peer), net);
}

#[test]
fn what_is_appended_is_indexed_and_can_be_indexed_again() {
    let mut peer = Peer::person();
    let mut bob = Author::new(2);
    peer.hold(&[bob.begin(), bob.call("Bob")]);
    assert_eq!(peer.parts.kinds.name_of(&bob.account()), "Bob");
    assert!(!peer.parts.views.is_reindexing());
    peer.parts.reindex(&mut peer.ctx, bob.account());
    assert!(peer.parts.views.is_reindexing());
}

#[test]
fn a_rebuild_is_of_all_accounts() {
    let mut peer = Peer::person();
    peer.parts.rebuild(&mut peer.ctx);
    assert!(peer.parts.views.is_reindexing());
}
