use protocol::messages::Quota;

use super::*;
use crate::kinds::testing::Author;
use crate::testing::{Node, Remote};

const EXCEEDED: QuotaExceeded = QuotaExceeded {
    quota: Quota::AccountEntries,
    per_hour: 3_600,
    wait_s: 20,
};

#[test]
fn a_known_relays_quota_is_shown_until_it_allows_more() {
    let mut node = Node::new(&Author::new(1));
    let relay = node.link_known(&Remote::relay(20));
    let mut note = QuotaNote::default();
    note.on_exceeded(&node.ctx, &node.net, relay, &EXCEEDED);
    let view = note.view().expect("it is shown");
    assert_eq!((view.quota, view.per_hour), (Quota::AccountEntries, 3_600));
    node.pass(Duration::from_secs(19));
    note.on_timer(&node.ctx);
    assert!(note.view().is_some());
    node.pass(Duration::from_secs(1));
    note.on_timer(&node.ctx);
    assert_eq!(note.view(), None);
}

#[test]
fn others_are_not_believed_nor_is_a_wait_without_end() {
    let mut node = Node::new(&Author::new(1));
    let stranger = node.link(&Remote::relay(20));
    let mut note = QuotaNote::default();
    note.on_exceeded(&node.ctx, &node.net, stranger, &EXCEEDED);
    assert_eq!(note.view(), None);
    let relay = node.link_known(&Remote::relay(21));
    let endless = QuotaExceeded {
        wait_s: u32::MAX,
        ..EXCEEDED
    };
    note.on_exceeded(&node.ctx, &node.net, relay, &endless);
    let until = note.view().expect("it is shown").until;
    assert_eq!(until, node.ctx.now.wall.plus(WAIT_MAX));
}
