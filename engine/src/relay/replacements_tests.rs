use core::time::Duration;

use protocol::messages::receipt::Receipt;
use protocol::{Instant, Timestamp};

use super::{ASK_AGAIN, CANDIDATES_MAX, PROVEN_WITHIN, Replacements};
use crate::io::LinkId;
use crate::relay::testing::{World, account, device, feed, relay_key};

const ONE: LinkId = LinkId(1);
const TWO: LinkId = LinkId(2);
const START: Instant = Instant(1_000);

fn receipt(n: u16, next_seq: u64) -> Receipt {
    let head = feed(n, next_seq)[next_seq as usize - 1].id();
    Receipt::issue(&relay_key(1), device(n), next_seq, head, Timestamp(5))
}

fn examined() -> (World, Replacements) {
    let mut world = World::default();
    world.hold(1, 3);
    let mut replacements = Replacements::default();
    replacements.examine(&world.log.feeds, &account(1), &[ONE, TWO], START);
    (world, replacements)
}

fn is_proven(world: &World, replacements: &Replacements, link: LinkId) -> bool {
    let feed = world.log.feeds.get(&device(1)).expect("held");
    replacements.is_proven(link, &device(1), feed)
}

#[test]
fn each_relay_is_asked_once_and_proves_for_itself() {
    let (world, mut replacements) = examined();
    replacements.examine(&world.log.feeds, &account(1), &[ONE, TWO], START);
    assert_eq!(replacements.links(), [ONE, TWO]);
    assert_eq!(replacements.next_question(ONE), Some(device(1)));
    assert_eq!(replacements.next_question(ONE), None);
    assert_eq!(replacements.next_question(TWO), Some(device(1)));
    replacements.on_receipt(ONE, &receipt(1, 3));
    assert!(!is_proven(&world, &replacements, ONE));
    replacements.on_shown(ONE, &device(1));
    replacements.on_shown(ONE, &device(1));
    assert!(is_proven(&world, &replacements, ONE) && !is_proven(&world, &replacements, TWO));
    assert_eq!(replacements.take_news(), [account(1)]);
    let later = START + ASK_AGAIN;
    replacements.examine(&world.log.feeds, &account(1), &[ONE, TWO], later);
    assert_eq!(replacements.next_question(ONE), None, "it is proven");
    assert_eq!(replacements.next_question(TWO), Some(device(1)));
    replacements.examine(&world.log.feeds, &account(1), &[TWO], later);
    assert_eq!(replacements.next_question(TWO), None, "a moment ago");
    replacements.examine(&world.log.feeds, &account(1), &[TWO], later + ASK_AGAIN);
    assert_eq!(replacements.next_question(TWO), Some(device(1)), "no answer");
}

#[test]
fn what_is_shown_before_the_receipt_or_retracted_after_it_proves_nothing() {
    let (world, mut replacements) = examined();
    replacements.on_shown(ONE, &device(1));
    replacements.on_receipt(ONE, &receipt(1, 3));
    assert!(!is_proven(&world, &replacements, ONE));
    replacements.on_shown(ONE, &device(1));
    replacements.on_receipt(ONE, &receipt(1, 3));
    assert!(is_proven(&world, &replacements, ONE), "the same receipt again");
    replacements.retract(ONE, &device(1));
    assert!(!is_proven(&world, &replacements, ONE));
    replacements.on_receipt(ONE, &receipt(1, 2));
    replacements.on_shown(ONE, &device(1));
    assert!(!is_proven(&world, &replacements, ONE), "less than is held here");
    replacements.on_receipt(ONE, &receipt(1, 3));
    assert!(
        !is_proven(&world, &replacements, ONE),
        "nothing was shown since this one"
    );
}

#[test]
fn nothing_is_kept_of_a_link_that_ended_and_of_feeds_that_are_not_examined() {
    let (world, mut replacements) = examined();
    replacements.on_receipt(ONE, &receipt(1, 3));
    replacements.on_shown(ONE, &device(1));
    replacements.on_session_down(ONE);
    assert!(!is_proven(&world, &replacements, ONE));
    replacements.on_receipt(LinkId(3), &receipt(1, 3));
    replacements.on_shown(LinkId(3), &device(1));
    assert!(
        !is_proven(&world, &replacements, LinkId(3)),
        "a relay that was not asked"
    );
    replacements.on_feed_dropped(&device(1));
    assert_eq!(replacements.next_question(TWO), None);
}

#[test]
fn a_feed_that_is_not_proven_makes_room() {
    let (world, mut replacements) = examined();
    assert_eq!(replacements.room(), CANDIDATES_MAX - 1);
    replacements.on_timer(START + PROVEN_WITHIN - Duration::from_secs(1));
    assert_eq!(replacements.room(), CANDIDATES_MAX - 1);
    replacements.on_timer(START + PROVEN_WITHIN);
    assert_eq!(replacements.room(), CANDIDATES_MAX);
    assert_eq!(replacements.links(), []);
    replacements.examine(&world.log.feeds, &account(1), &[ONE], START);
    assert_eq!(replacements.next_question(ONE), Some(device(1)));
}
