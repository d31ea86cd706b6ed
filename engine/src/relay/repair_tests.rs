use core::time::Duration;

use protocol::Instant;

use super::{COMPARES_WITHIN, MANY_FEEDS, MANY_FEEDS_INTERVAL, Missing, PATIENCE, Repair, STUCK};
use crate::io::{Config, LinkId};
use crate::relay::testing::{relay_key, relay_peer};

const START: Instant = Instant(5_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn repair(joins: bool) -> Repair {
    let config = Config {
        joins,
        ..Config::relay(relay_key(0))
    };
    Repair::new(&config, START)
}

fn missing(n: u16, feeds: u64) -> Missing {
    Missing {
        link: LinkId(u64::from(n)),
        peer: relay_peer(n),
        feeds,
        requested: 0,
        entries: feeds * 3,
        overflowed: false,
    }
}

#[test]
fn a_relay_whose_members_were_all_dialled_in_vain_waits_for_nobody() {
    let mut repair = repair(true);
    assert!(!repair.assess(&[], START + SECOND).caught_up);
    repair.set_alone(true);
    assert!(repair.assess(&[], START + SECOND).caught_up);
}

#[test]
fn a_relay_alone_has_caught_up_at_once() {
    assert!(repair(false).assess(&[], START).caught_up);
}

#[test]
fn a_relay_that_joins_waits_for_a_first_neighbour_but_not_forever() {
    let mut repair = repair(true);
    assert!(!repair.assess(&[], START + SECOND).caught_up);
    assert!(repair.assess(&[], START + PATIENCE).caught_up);
}

#[test]
fn a_relay_whose_helper_lost_its_link_waits_until_it_compared_or_is_stuck() {
    let mut repair = repair(true);
    repair.assess(&[missing(1, 0)], START);
    // Its link ends and comes back again and again, and what it sends is of use.
    let late = START + 2 * PATIENCE;
    repair.on_helped(&relay_peer(1), false, late);
    assert!(!repair.assess(&[], late).caught_up, "it was here a moment ago");
    let mut overflowed = missing(1, 0);
    overflowed.overflowed = true;
    repair.on_compared(LinkId(1));
    assert!(
        !repair.assess(&[overflowed], late).caught_up,
        "it named more than was remembered"
    );
    assert!(repair.assess(&[], late + STUCK).caught_up);
}

#[test]
fn a_relay_that_was_one_of_several_waits_after_its_restart() {
    let mut repair = repair(false);
    repair.restore_networked();
    assert!(!repair.set_networked(), "known already");
    assert!(!repair.assess(&[], START + SECOND).caught_up);
}

#[test]
fn it_catches_up_once_all_neighbours_compared_and_nothing_is_missing() {
    let mut repair = repair(true);
    let view = repair.assess(&[missing(1, 4), missing(2, 0)], START);
    assert_eq!((view.feeds, view.entries, view.caught_up), (4, 12, false));
    assert_eq!(view.from, [relay_peer(1)]);
    repair.on_compared(LinkId(1));
    assert!(!repair.assess(&[missing(1, 0), missing(2, 0)], START).caught_up);
    repair.on_compared(LinkId(2));
    let mut requested = missing(2, 0);
    requested.requested = 1;
    assert!(!repair.assess(&[missing(1, 0), requested], START).caught_up);
    assert!(repair.assess(&[missing(1, 0), missing(2, 0)], START).caught_up);
    // It remains so.
    assert!(repair.assess(&[missing(1, 9)], START).caught_up);
}

#[test]
fn interests_sent_again_or_a_new_link_must_be_answered_again() {
    let mut repair = repair(true);
    repair.on_compared(LinkId(1));
    repair.on_interests_sent(LinkId(1));
    assert!(!repair.assess(&[missing(1, 0)], START).caught_up);
    repair.on_compared(LinkId(1));
    repair.on_session_down(LinkId(1));
    assert!(!repair.assess(&[missing(1, 0)], START).caught_up);
}

#[test]
fn a_neighbour_that_sends_nothing_useful_is_not_waited_for() {
    let mut repair = repair(true);
    repair.on_compared(LinkId(2));
    let both = [missing(1, 5), missing(2, 0)];
    assert!(!repair.assess(&both, START).caught_up);
    let late = START + STUCK - SECOND;
    repair.on_helped(&relay_peer(2), false, late);
    assert!(!repair.assess(&both, late).caught_up);
    assert!(repair.assess(&both, START + STUCK).caught_up);
}

#[test]
fn a_relay_that_links_again_is_not_waited_for_again() {
    let mut repair = repair(true);
    repair.on_compared(LinkId(2));
    repair.assess(&[missing(1, 5), missing(2, 0)], START);
    let mut now = START;
    // Relay 1 comes with a new link each time, and never sends anything.
    for link in 3..100 {
        now = now + SECOND;
        repair.on_helped(&relay_peer(2), true, now);
        let again = Missing {
            link: LinkId(link),
            ..missing(1, 5)
        };
        if repair.assess(&[again, missing(2, 0)], now).caught_up {
            assert_eq!(now, START + STUCK);
            return;
        }
    }
    panic!("it waited for a relay that never helped");
}

#[test]
fn comparing_alone_does_not_keep_a_relay_waiting() {
    let mut repair = repair(true);
    repair.assess(&[missing(1, 5)], START);
    let mut now = START;
    while now.since(START) < COMPARES_WITHIN + STUCK {
        now = now + SECOND;
        repair.on_helped(&relay_peer(1), false, now);
        // Another relay has compared, so that this one waits for relay 1 alone.
        repair.on_helped(&relay_peer(2), true, now);
        repair.on_compared(LinkId(2));
        if repair.assess(&[missing(1, 5), missing(2, 0)], now).caught_up {
            let waited = now.since(START);
            assert!(waited >= COMPARES_WITHIN + STUCK - 2 * SECOND, "{waited:?}");
            return;
        }
    }
    panic!("it still waits");
}

#[test]
fn a_view_of_many_missing_feeds_is_rare_and_emitted_when_it_changed() {
    let mut repair = repair(true);
    assert!(repair.is_due(START));
    let view = repair.assess(&[missing(1, MANY_FEEDS + 1)], START);
    assert!(!repair.is_due(START + SECOND));
    assert!(repair.is_due(START + MANY_FEEDS_INTERVAL));
    assert_eq!(repair.changed(view.clone()), Some(view.clone()));
    assert_eq!(repair.changed(view), None);
}

#[test]
fn too_few_copies_are_judged_once_the_others_are_known() {
    let mut repair = repair(false);
    assert!(!repair.judge_copies(3, 1, START));
    let later = START + PATIENCE;
    assert!(repair.judge_copies(3, 1, later));
    assert!(!repair.judge_copies(3, 2, later), "still short");
    assert!(repair.judge_copies(3, 3, later));
}
