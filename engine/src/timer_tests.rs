use protocol::messages::{Message, NameAnswered};
use protocol::names::NameAnswer;

use super::*;
use crate::api::{Command, Query, QueryResult, Response};
use crate::io::{LinkId, Output};
use crate::kinds::testing::Author;
use crate::role::testing::Peer;
use crate::testing::Remote;

fn run(peer: &mut Peer) {
    let Peer { ctx, role, parts, .. } = peer;
    handle_timeout(ctx, role, parts);
}

/// When the timers run next, from now.
fn next(peer: &Peer) -> Duration {
    peer.ctx.next_timeout.since(peer.ctx.now.instant)
}

/// Whether a digest was sent on the link.
fn compared(peer: &mut Peer, link: LinkId) -> bool {
    let sent = peer.sent(link);
    sent.iter().any(|message| matches!(message, Message::Digest(_)))
}

#[test]
fn timers_run_once_a_second() {
    let mut peer = Peer::person();
    run(&mut peer);
    assert_eq!(next(&peer), INTERVAL);
}

#[test]
fn timers_run_more_often_during_a_handshake() {
    let mut peer = Peer::person();
    peer.open();
    run(&mut peer);
    assert_eq!(next(&peer), INTERVAL_BUSY);
}

#[test]
fn a_handshake_that_stalls_ends() {
    let mut peer = Peer::person();
    let link = peer.open();
    peer.pass(Duration::from_secs(60));
    run(&mut peer);
    let closed = |output: &Output| matches!(output, Output::Close { link: of, .. } if *of == link);
    assert!(peer.outputs().iter().any(closed));
    assert_eq!(next(&peer), INTERVAL, "none is under way");
}

#[test]
fn a_role_that_is_busy_goes_on_at_once() {
    let mut peer = Peer::person();
    let id = protocol::names::RegistryId([3; 32]);
    peer.parts.kinds.learn_registry(&mut peer.ctx, id, true);
    let link = peer.link_known(&Remote::relay(20));
    let name = "ada".to_owned();
    peer.command(Command::ClaimName { name });
    let request = peer.claim_request(link);
    let answer = NameAnswer::Work { bits: 20 };
    peer.receive(link, Message::NameAnswer(NameAnswered { request, answer }));
    assert!(peer.role.is_busy(), "the work for a claim is done in steps");
    run(&mut peer);
    assert_eq!(next(&peer), Duration::ZERO);
}

#[test]
fn a_neighbour_is_compared_with_when_it_is_time() {
    let mut peer = Peer::person();
    let link = peer.link_known(&Remote::relay(20));
    let account = peer.ctx.me().expect("an account");
    peer.parts.sync.match_accounts(link, [account]);
    let every = peer.ctx.config.anti_entropy;
    peer.parts.next_anti_entropy = peer.ctx.now.instant + Duration::from_secs(1);
    peer.pass(Duration::from_millis(999));
    run(&mut peer);
    assert!(!compared(&mut peer, link), "it is not time yet");
    peer.pass(Duration::from_millis(1));
    run(&mut peer);
    assert!(compared(&mut peer, link));
    assert_eq!(peer.parts.next_anti_entropy, peer.ctx.now.instant + every);
    run(&mut peer);
    assert!(!compared(&mut peer, link), "once");
}

#[test]
fn the_parts_that_both_roles_share_get_their_timer() {
    let mut peer = Peer::person();
    let name = "ada".to_owned();
    assert_eq!(peer.query(Query::Name { name }), None);
    peer.pass(Duration::from_secs(60));
    run(&mut peer);
    let given_up = peer.outputs().into_iter().any(|output| {
        let Output::Response { response: answer, .. } = output else {
            return false;
        };
        matches!(answer, Response::Result(result) if matches!(*result, QueryResult::Name(_)))
    });
    assert!(given_up, "a lookup has an end");
}

#[test]
fn the_role_gets_its_timer() {
    let mut peer = Peer::person();
    let account = Author::new(2).account();
    peer.query(Query::Profile { account });
    peer.ctx.changed = Default::default();
    peer.pass(Duration::from_secs(60));
    run(&mut peer);
    assert!(
        peer.ctx.changed.profiles.contains(&account),
        "nobody has found it"
    );
}
