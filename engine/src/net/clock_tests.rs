use protocol::messages::Message;
use protocol::messages::introduction::Introduction;

use super::*;
use crate::io::Output;
use crate::kinds::testing::Author;
use crate::testing::{Node, Remote};

/// A peer linked with known relays, whose clocks differ from its own by these numbers of minutes.
fn node(relays: &[i64]) -> Node {
    let mut node = Node::new(&Author::new(1));
    for (n, ahead_min) in (30..).zip(relays) {
        let link = node.link_known(&Remote::relay(n));
        let session = node.net.session_mut(link).expect("a session");
        session.clock_ahead_ms = ahead_min * MINUTE_MS;
    }
    compare(&mut node);
    node
}

fn compare(node: &mut Node) {
    let Node {
        ctx, net, directory, ..
    } = node;
    net.compare_clocks(ctx, directory);
}

fn logged(node: &mut Node) -> Vec<i32> {
    let outputs = node.outputs().into_iter();
    let minutes = outputs.filter_map(|output| match output {
        Output::Log(Log::Clock { ahead_min }) => Some(ahead_min),
        _ => None,
    });
    minutes.collect()
}

#[test]
fn the_middle_of_the_relays_clocks_counts() {
    assert_eq!(node(&[]).net.clock_ahead_min(), 0);
    assert_eq!(node(&[1]).net.clock_ahead_min(), 0, "tolerated");
    assert_eq!(node(&[180]).net.clock_ahead_min(), 180);
    assert_eq!(node(&[-5]).net.clock_ahead_min(), -5);
    assert_eq!(node(&[0, 0, 900]).net.clock_ahead_min(), 0, "one relay is wrong");
}

#[test]
fn strangers_clocks_do_not_count() {
    let mut node = Node::new(&Author::new(1));
    let link = node.link(&Remote::relay(40));
    node.net.session_mut(link).expect("a session").clock_ahead_ms = 900 * MINUTE_MS;
    compare(&mut node);
    assert_eq!(node.net.clock_ahead_min(), 0);
}

#[test]
fn a_wrong_clock_is_logged_once_and_again_when_it_is_right() {
    let mut node = node(&[180]);
    compare(&mut node);
    assert_eq!(logged(&mut node), [180]);
    for link in node.net.neighbour_links() {
        node.net.session_mut(link).expect("a session").clock_ahead_ms = 0;
    }
    compare(&mut node);
    compare(&mut node);
    assert_eq!(logged(&mut node), [0]);
}

#[test]
fn a_handshake_tells_what_the_other_clock_shows() {
    let mut node = Node::new(&Author::new(1));
    let remote = Remote {
        clock_behind_ms: 5 * MINUTE_MS as u64,
        ..Remote::relay(30)
    };
    let link = node.link_known(&remote);
    let ahead = node.net.session(link).expect("a session").clock_ahead_ms;
    assert_eq!(ahead, 5 * MINUTE_MS);
}

#[test]
fn whether_an_introduction_is_fresh_is_judged_by_the_relays_time() {
    for (relays, introduced) in [(vec![180], true), (vec![], false)] {
        let mut node = node(&relays);
        let me = node.ctx.peer().expect("a key");
        let link = node.link(&Remote::peer(20));
        let theirs = Timestamp(node.ctx.now.wall.0 - 180 * MINUTE_MS as u64);
        let from = Remote::peer(21);
        let introduction = Introduction::issue(&from.key, me, theirs, vec![1], 1);
        node.outputs();
        node.receive(link, &Message::Introduction(introduction));
        let arrived = node
            .outputs()
            .iter()
            .any(|output| matches!(output, Output::Introduced { .. }));
        assert_eq!(arrived, introduced, "{relays:?}");
    }
}
