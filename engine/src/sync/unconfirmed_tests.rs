use protocol::messages::Message;
use protocol::{DeviceId, Instant};

use super::{CONFIRMED_AT_ONCE, Unconfirmed};
use crate::kinds::testing::Author;
use crate::role::testing::Peer;
use crate::testing::Remote;

fn feed(n: usize) -> DeviceId {
    let mut device = [0; 32];
    device[..8].copy_from_slice(&n.to_be_bytes());
    DeviceId(device)
}

#[test]
fn feeds_are_confirmed_in_order_and_once() {
    let mut unconfirmed = Unconfirmed::default();
    for n in [3, 1, 2, 1, 3] {
        unconfirmed.add(feed(n));
    }
    let order: Vec<DeviceId> = std::iter::from_fn(|| unconfirmed.next()).collect();
    assert_eq!(order, [feed(3), feed(1), feed(2)]);
    assert!(unconfirmed.is_empty() && unconfirmed.feeds.is_empty());
    unconfirmed.add(feed(3));
    assert_eq!(unconfirmed.next(), Some(feed(3)), "it has more on disk again");
}

#[test]
fn one_input_signs_a_bounded_number_of_receipts_and_the_next_is_due_at_once() {
    let mut relay = Peer::relay();
    let link = relay.link_known(&Remote::relay(7));
    let feeds = 2 * CONFIRMED_AT_ONCE + 5;
    let devices = (0..feeds).map(|n| {
        let mut author = Author::with_device((n / 4) as u8, (n % 4) as u8);
        relay.hold(&[author.begin()]);
        author.device()
    });
    for device in devices.collect::<Vec<_>>() {
        let feed = relay.parts.log.feeds.get_mut(&device).expect("a feed");
        feed.source = Some(link);
        relay.parts.sync.confirm_later(device);
    }
    relay.sent(link);
    for signed in [CONFIRMED_AT_ONCE, CONFIRMED_AT_ONCE, 5] {
        assert_eq!(relay.parts.next_deadline(), Instant(0));
        let Peer { ctx, parts, .. } = &mut relay;
        parts.tick(ctx);
        let sent = relay.sent(link);
        let receipts = sent
            .iter()
            .filter(|message| matches!(message, Message::Receipt(_)));
        assert_eq!(receipts.count(), signed);
    }
    assert!(relay.parts.next_deadline() > Instant(0));
}
