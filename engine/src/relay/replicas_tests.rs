use core::time::Duration;

use protocol::{DeviceId, Instant, PeerId};

use super::{COPIES_MAX, FEEDS_MAX, REPAIR, Replicas};

const FEED: DeviceId = DeviceId([1; 32]);
const RELAY: PeerId = PeerId([2; 32]);
const START: Instant = Instant(0);

fn at(ms: u64) -> Instant {
    START + Duration::from_millis(ms)
}

fn device(n: u32) -> DeviceId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    DeviceId(id)
}

#[test]
fn the_delay_is_the_time_from_entry_to_receipt() {
    let mut replicas = Replicas::default();
    replicas.record_written(FEED, 5, at(1_000));
    assert_eq!(replicas.delay(&RELAY, &[FEED]), None);
    replicas.record_signed(RELAY, &FEED, 5, START, at(1_040));
    assert_eq!(replicas.delay(&RELAY, &[FEED]), Some(40));
    assert_eq!(replicas.delays(), [(RELAY, 40)]);
    // A repeated receipt changes nothing.
    replicas.record_signed(RELAY, &FEED, 5, START, at(9_000));
    assert_eq!(replicas.delay(&RELAY, &[FEED]), Some(40));
}

#[test]
fn receipts_for_other_entries_are_not_measured() {
    let mut replicas = Replicas::default();
    replicas.record_signed(RELAY, &FEED, 5, START, at(10));
    replicas.record_written(FEED, 5, at(1_000));
    replicas.record_signed(RELAY, &FEED, 4, START, at(1_010));
    replicas.record_signed(RELAY, &FEED, 6, START, at(1_020));
    assert_eq!(replicas.delays(), []);
}

#[test]
fn what_came_before_the_link_or_took_too_long_is_repair() {
    let mut replicas = Replicas::default();
    replicas.record_written(FEED, 1, at(1_000));
    replicas.record_signed(RELAY, &FEED, 1, at(1_001), at(1_010));
    assert_eq!(replicas.delay(&RELAY, &[FEED]), None, "linked later");
    replicas.record_signed(RELAY, &FEED, 1, at(1_000), at(1_000) + REPAIR);
    assert_eq!(replicas.delay(&RELAY, &[FEED]), None, "too long");
    replicas.record_signed(RELAY, &FEED, 1, at(1_000), at(1_010));
    assert_eq!(replicas.delay(&RELAY, &[FEED]), Some(10));
}

#[test]
fn the_longest_of_several_feeds_counts_and_else_the_mean() {
    let mut replicas = Replicas::default();
    for (feed, delay) in [(device(1), 80), (device(2), 16)] {
        replicas.record_written(feed, 1, at(1_000));
        replicas.record_signed(RELAY, &feed, 1, START, at(1_000 + delay));
    }
    assert_eq!(replicas.delay(&RELAY, &[device(1), device(2)]), Some(80));
    assert_eq!(replicas.delay(&RELAY, &[device(2)]), Some(16));
    // 80, then an eighth of the way to 16.
    assert_eq!(replicas.delay(&RELAY, &[device(3)]), Some(72));
    assert_eq!(replicas.delay(&PeerId([3; 32]), &[device(1)]), None);
}

#[test]
fn the_feed_written_first_goes_when_full() {
    let mut replicas = Replicas::default();
    let most = FEEDS_MAX as u32;
    for n in 0..most {
        replicas.record_written(device(n), 1, at(1));
    }
    replicas.record_written(device(0), 2, at(2));
    replicas.record_written(device(most), 1, at(3));
    assert_eq!(replicas.feeds.len(), FEEDS_MAX);
    assert_eq!(replicas.order.len(), FEEDS_MAX);
    replicas.record_signed(RELAY, &device(0), 2, START, at(10));
    assert_eq!(replicas.delays(), [], "the first feed is not measured any more");
    replicas.record_signed(RELAY, &device(most), 1, START, at(10));
    assert_eq!(replicas.delays(), [(RELAY, 7)]);
}

#[test]
fn copies_of_a_feed_are_bounded() {
    let mut replicas = Replicas::default();
    replicas.record_written(FEED, 1, at(1));
    for n in 0..2 * COPIES_MAX as u8 {
        replicas.record_signed(PeerId([n; 32]), &FEED, 1, START, at(5));
    }
    assert_eq!(replicas.delays().len(), COPIES_MAX);
    // The next entry replaces the delays of the same relays.
    replicas.record_written(FEED, 2, at(100));
    replicas.record_signed(PeerId([0; 32]), &FEED, 2, START, at(120));
    assert_eq!(replicas.delay(&PeerId([0; 32]), &[FEED]), Some(20));
}
