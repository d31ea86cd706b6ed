use super::*;
use crate::kinds::testing::Author;
use crate::person::testing::Device;
use crate::testing::{Node, Remote};

const REQUIRED: WorkRequired = WorkRequired {
    bits: 15,
    challenge: [3; 16],
};

fn answers(node: &mut Node, link: LinkId) -> Vec<WorkDone> {
    let sent = node.sent(link).into_iter();
    let done = sent.filter_map(|message| match message {
        Message::WorkDone(done) => Some(done),
        _ => None,
    });
    done.collect()
}

#[test]
fn work_for_a_known_relay_is_done_in_pieces_and_sent() {
    let (mut device, link) = Device::online();
    let (me, node) = (device.me(), &mut device.node);
    let relay = node.net.session(link).expect("linked").peer;
    device
        .person
        .on_work_required(&mut node.ctx, &node.net, link, REQUIRED);
    let mut pieces = 0;
    while device.person.is_busy() {
        assert_eq!(answers(&mut device.node, link), []);
        device.person.admission.on_timer(&mut device.node.ctx);
        pieces += 1;
        // What is asked for again is not begun again.
        let node = &mut device.node;
        if device.person.is_busy() {
            device
                .person
                .on_work_required(&mut node.ctx, &node.net, link, REQUIRED);
        }
    }
    assert!(pieces > 1, "{pieces}");
    let done = answers(&mut device.node, link);
    assert_eq!(done.len(), 1);
    let puzzle = Puzzle::new(&relay, &me, &REQUIRED.challenge, REQUIRED.bits);
    assert!(puzzle.is_solved_by(done[0].nonce));
    assert_eq!((done[0].bits, done[0].challenge), (15, [3; 16]));
}

#[test]
fn strangers_get_no_work_nor_does_a_relay_that_asks_for_too_much_or_is_gone() {
    let mut node = Node::new(&Author::new(1));
    let (stranger, relay) = (node.link(&Remote::relay(20)), node.link_known(&Remote::relay(21)));
    let mut work = AdmissionWork::default();
    work.on_required(&mut node.ctx, &node.net, stranger, REQUIRED);
    let much = WorkRequired {
        bits: WORK_BITS_MAX + 1,
        ..REQUIRED
    };
    work.on_required(&mut node.ctx, &node.net, relay, much);
    assert!(!work.is_busy());
    work.on_required(&mut node.ctx, &node.net, relay, REQUIRED);
    assert!(work.is_busy());
    work.on_session_down(relay);
    assert!(!work.is_busy());
}

#[test]
fn of_two_demands_of_a_relay_the_later_one_is_met() {
    let mut node = Node::new(&Author::new(1));
    let relay = node.link_known(&Remote::relay(21));
    let mut work = AdmissionWork::default();
    for bits in [WORK_BITS_MAX, 1] {
        let required = WorkRequired { bits, ..REQUIRED };
        work.on_required(&mut node.ctx, &node.net, relay, required);
    }
    work.on_timer(&mut node.ctx);
    let done = answers(&mut node, relay);
    assert_eq!(done.iter().map(|done| done.bits).collect::<Vec<_>>(), [1]);
    assert!(!work.is_busy());
}
