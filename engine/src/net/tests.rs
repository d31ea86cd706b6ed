use core::time::Duration;

use protocol::PeerId;
use protocol::link::frame;
use protocol::link::handshake::Side;
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Heads, Message, Ping};

use super::Net;
use super::known::KnownRelays;
use crate::facts::Fact;
use crate::io::{Candidate, LinkId, Output};
use crate::kinds::testing::Author;
use crate::store::Table;
use crate::testing::{Node, Remote};

fn node() -> Node {
    Node::new(&Author::new(1))
}

/// A peer whose key is above, or below, that of the node.
fn remote(node: &Node, above: bool) -> Remote {
    let own = node.ctx.peer().expect("a key");
    let remote = (10..60)
        .map(Remote::peer)
        .find(|remote| (remote.id() > own) == above);
    remote.expect("keys on both sides")
}

fn closed(node: &mut Node) -> Vec<LinkId> {
    let outputs = node.outputs().into_iter();
    let closed = outputs.filter_map(|output| match output {
        Output::Close { link, .. } => Some(link),
        _ => None,
    });
    closed.collect()
}

fn dialled(node: &mut Node) -> Vec<(PeerId, bool, String)> {
    let outputs = node.outputs().into_iter();
    let dialled = outputs.filter_map(|output| match output {
        Output::Dial { peer, relay, url } => Some((peer, relay, url)),
        _ => None,
    });
    dialled.collect()
}

fn received(node: &mut Node) -> usize {
    let facts = node.facts();
    let received = facts.iter().filter(|fact| matches!(fact, Fact::Received { .. }));
    received.count()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Which of two links stays, when the node dialled with the first side and the second one followed after `pause`.
fn staying(above: bool, first: Side, second: Side, pause: Duration) -> usize {
    let mut node = node();
    let remote = remote(&node, above);
    let older = node.prove(first, &remote);
    node.pass(pause);
    let newer = node.prove(second, &remote);
    let closed = closed(&mut node);
    let [gone] = closed.as_slice() else {
        panic!("one of them goes: {closed:?}");
    };
    assert!(*gone == older || *gone == newer);
    let stays = if *gone == older { newer } else { older };
    assert_eq!(node.net.link_to(&remote.id()), Some(stays));
    assert!(node.net.session(*gone).is_none() && node.net.session(stays).is_some());
    usize::from(*gone == older)
}

#[test]
fn when_both_dial_at_once_the_link_that_the_lower_key_dialled_stays() {
    let (first, second) = (Side::Initiator, Side::Responder);
    // The peer's key is above: the one that this node dialled stays, in whichever order.
    assert_eq!(staying(true, first, second, seconds(1)), 0);
    assert_eq!(staying(true, second, first, seconds(1)), 1);
    assert_eq!(staying(false, first, second, seconds(1)), 1);
    assert_eq!(staying(false, second, first, seconds(1)), 0);
}

#[test]
fn a_later_link_to_the_same_peer_replaces_the_older_one() {
    let (first, second) = (Side::Initiator, Side::Responder);
    assert_eq!(staying(true, first, second, seconds(60)), 1, "not at once");
    assert_eq!(
        staying(true, first, first, seconds(1)),
        1,
        "dialled from one side"
    );
}

#[test]
fn messages_of_a_peer_that_is_no_neighbour_are_dropped() {
    let mut node = node();
    let link = node.prove(Side::Responder, &Remote::peer(20));
    node.sent(link);
    node.receive(link, &Message::Have(Heads::default()));
    node.receive(link, &Message::Ping(Ping { token: 3 }));
    assert_eq!(received(&mut node), 0);
    assert_eq!(node.sent(link), Vec::<Message>::new());
    assert!(closed(&mut node).is_empty(), "it may not know yet");
    node.receive(link, &Message::Request(Request::alone(Wish::Join)));
    node.pump();
    node.sent(link);
    node.receive(link, &Message::Have(Heads::default()));
    node.receive(link, &Message::Ping(Ping { token: 3 }));
    assert_eq!(received(&mut node), 1);
    assert_eq!(node.sent(link), [Message::Pong(Ping { token: 3 })]);
}

#[test]
fn nothing_but_a_handshake_is_accepted_before_the_peer_has_proven_its_key() {
    let mut node = node();
    let link = node.open(Side::Responder);
    node.receive(link, &Message::Request(Request::alone(Wish::Join)));
    assert_eq!(closed(&mut node), [link]);
    assert_eq!(node.ctx.totals.refused, 1);
    assert!(node.net.session(link).is_none());
}

#[test]
fn a_peer_that_breaks_the_protocol_loses_its_link_and_is_not_linked_with_again() {
    let mut node = node();
    let bad = Remote::peer(20);
    let link = node.link(&bad);
    node.outputs();
    node.net.on_misbehaved(&mut node.ctx, link, "it lies");
    assert_eq!(closed(&mut node), [link]);
    let facts = node.facts();
    assert!(
        facts
            .iter()
            .any(|fact| matches!(fact, Fact::SessionDown(ended) if ended.peer == bad.id())),
        "{facts:?}"
    );
    node.pump();
    let again = node.prove(Side::Responder, &bad);
    node.receive(again, &Message::Request(Request::alone(Wish::Join)));
    node.pump();
    assert!(!node.net.is_neighbour(&bad.id()));
    // It may come back after the ban.
    node.pass(Duration::from_mins(11));
    node.link(&bad);
}

#[test]
fn a_known_relay_that_breaks_the_protocol_is_not_banned() {
    let mut node = node();
    let relay = Remote::relay(20);
    let link = node.link_known(&relay);
    node.net.on_misbehaved(&mut node.ctx, link, "it is out of date");
    assert_eq!(closed(&mut node), [link]);
    node.pump();
    node.link(&relay);
}

#[test]
fn a_link_ends_once_and_only_for_those_that_were_told_of_it() {
    let mut node = node();
    let link = node.prove(Side::Responder, &Remote::peer(20));
    node.facts();
    node.net.end(&mut node.ctx, link, "the channel closed");
    node.net.end(&mut node.ctx, link, "the channel closed");
    assert_eq!(node.facts().len(), 1);
    let unproven = node.open(Side::Responder);
    node.net.end(&mut node.ctx, unproven, "the channel closed");
    assert!(node.facts().is_empty(), "its peer was never known");
}

#[test]
fn a_peer_that_closes_gives_its_reason_and_is_not_answered() {
    let mut node = node();
    let link = node.link(&Remote::peer(20));
    let frame = frame::close("leaving");
    node.net.on_frame(&mut node.ctx, &node.directory, link, &frame);
    assert_eq!(node.ctx.totals.refused, 0, "that is no fault");
    assert_eq!(closed(&mut node), [link]);
    assert!(node.net.session(link).is_none());
}

#[test]
fn known_relays_are_known_again_after_a_restart() {
    let mut node = node();
    let (named, chosen, left) = (
        Remote::relay(20).id(),
        Remote::relay(21).id(),
        Remote::relay(22).id(),
    );
    node.net.know_relay(&mut node.ctx, named, String::new());
    node.net
        .know_relay(&mut node.ctx, chosen, "https://chosen.example".into());
    node.net
        .know_relay(&mut node.ctx, left, "https://left.example".into());
    node.net.forget_relay(&mut node.ctx, &left);
    node.flush();
    let mut known = KnownRelays::default();
    for (key, row) in node.store.rows(Table::Relays) {
        known.restore(PeerId(key.as_slice().try_into().expect("a key")), &row);
    }
    assert_eq!(known.is_chosen(&named), Some(false));
    assert_eq!(known.is_chosen(&chosen), Some(true));
    assert_eq!(
        known.url(&chosen).map(String::as_str),
        Some("https://chosen.example")
    );
    assert_eq!((known.is_chosen(&left), known.len()), (None, 2));
}

#[test]
fn relays_of_before_membership_are_read_and_those_that_are_no_members_are_not_dialled() {
    let mut node = node();
    let [old, first, gone] = [20, 21, 22].map(|n| Remote::relay(n).id());
    let mut known = KnownRelays::default();
    let at = node.ctx.now.wall;
    known.restore(old, &protocol::codec::encode(&(at, "https://old.example")));
    known.restore(first, &protocol::codec::encode(&at));
    let (is_chosen, contains) = (known.is_chosen(&old), known.contains(&old));
    assert_eq!((is_chosen, contains), (Some(true), true));
    assert_eq!(known.is_chosen(&first), Some(false));
    let url = "https://gone.example".to_owned();
    node.net.know_relay(&mut node.ctx, gone, url);
    assert!(node.net.set_member(&mut node.ctx, gone, false));
    assert!(!node.net.set_member(&mut node.ctx, gone, false), "no news");
    node.flush();
    let row = node.store.rows(Table::Relays).remove(gone.0.as_slice());
    known.restore(gone, &row.expect("a row"));
    assert!(!known.contains(&gone));
    let dialled: Vec<PeerId> = known.take_early().iter().map(|early| early.peer).collect();
    assert_eq!(dialled, [old, first]);
    assert_eq!(known.peers().count(), 2);
}

#[test]
fn relays_of_the_last_run_are_dialled_once_there_is_a_key() {
    let mut node = node();
    let relay = Remote::relay(20).id();
    node.net
        .know_relay(&mut node.ctx, relay, "https://relay.example".into());
    node.flush();
    let row = node.store.rows(Table::Relays).remove(relay.0.as_slice());
    node.net = Net::new();
    node.net.known.restore(relay, &row.expect("a row"));
    node.net.begin_overlay(&mut node.ctx);
    node.pass(seconds(5));
    node.net.tick(&mut node.ctx, |_| false);
    node.pump();
    assert_eq!(
        dialled(&mut node),
        [(relay, true, "https://relay.example".to_owned())]
    );
}

#[test]
fn candidates_of_before_there_is_an_account_are_bounded_and_kept() {
    let mut node = node();
    node.net = Net::new();
    let candidate = |n: u16| Candidate {
        peer: PeerId(core::array::from_fn(|at| n.to_be_bytes()[at % 2])),
        relay: false,
    };
    let many: Vec<_> = (1..=1_000).map(candidate).collect();
    node.net.on_candidates(&mut node.ctx, &many);
    assert_eq!(node.net.known.take_early(), many[..256]);
    assert!(node.flush().is_empty(), "no relay is among them");
}

#[test]
fn a_candidate_that_is_a_relay_is_known_from_then_on_and_a_chosen_one_gets_named() {
    let mut node = node();
    let (own, relay) = (node.ctx.peer().expect("a key"), Remote::relay(20).id());
    node.net
        .know_relay(&mut node.ctx, relay, "https://relay.example".into());
    let candidates = [own, relay].map(|peer| Candidate { peer, relay: true });
    node.net.on_candidates(&mut node.ctx, &candidates);
    assert_eq!(node.net.known.is_chosen(&relay), Some(false), "it stays now");
    assert!(!node.net.known.contains(&own));
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let mut node = node();
    let link = node.open(Side::Initiator);
    assert!(node.net.is_handshaking());
    node.outputs();
    node.pass(seconds(9));
    node.net.on_timer(&mut node.ctx, &node.directory);
    assert!(closed(&mut node).is_empty());
    node.pass(seconds(1));
    node.net.on_timer(&mut node.ctx, &node.directory);
    assert_eq!(closed(&mut node), [link]);
    assert!(!node.net.is_handshaking());
}

#[test]
fn a_neighbour_is_pinged_and_its_silence_ends_the_link() {
    let mut node = node();
    let link = node.link(&Remote::peer(20));
    node.outputs();
    node.pass(seconds(10));
    node.net.on_timer(&mut node.ctx, &node.directory);
    let sent = node.sent(link);
    let pings = sent.iter().filter(|message| matches!(message, Message::Ping(_)));
    assert_eq!(pings.count(), 1, "{sent:?}");
    // Anything it says shows that it is there.
    node.receive(link, &Message::Have(Heads::default()));
    node.pass(seconds(24));
    node.net.on_timer(&mut node.ctx, &node.directory);
    assert!(closed(&mut node).is_empty());
    node.pass(seconds(1));
    node.net.on_timer(&mut node.ctx, &node.directory);
    assert_eq!(closed(&mut node), [link]);
}

#[test]
fn only_the_answer_to_the_last_ping_measures_the_round_trip() {
    let mut node = node();
    let remote = Remote::peer(20);
    let link = node.link(&remote);
    node.net.ping(&mut node.ctx, link);
    let sent = node.sent(link);
    let [Message::Ping(ping)] = sent.as_slice() else {
        panic!("a ping: {sent:?}");
    };
    node.pass(Duration::from_millis(40));
    node.receive(link, &Message::Pong(Ping { token: !ping.token }));
    assert_eq!(node.net.rtt_of(&remote.id()), None);
    node.receive(link, &Message::Pong(*ping));
    node.pass(seconds(1));
    node.receive(link, &Message::Pong(*ping));
    assert_eq!(node.net.rtt_of(&remote.id()), Some(Duration::from_millis(40)));
}

#[test]
fn no_link_opens_before_the_store_is_read() {
    let mut node = node();
    node.ctx.ready = false;
    let link = node.open(Side::Responder);
    assert_eq!(closed(&mut node), [link]);
    assert!(!node.net.is_handshaking());
}
