//! What comes again and again costs no memory: a duplicate and a heartbeat allocate nothing.

#[path = "../examples/cost/feed.rs"]
#[allow(dead_code, reason = "what only the example measures")]
mod feed;

use feed::{Fed, heartbeat, news};

fn allocations(mut of: impl FnMut(u64)) -> u64 {
    allocation_counter::measure(|| (1..=1_000).for_each(&mut of)).count_total
}

#[test]
fn duplicates_and_heartbeats_allocate_nothing() {
    let mut fed = Fed::new();
    let fresh = allocations(|n| fed.take(1, news(n)));
    assert!(fresh > 0, "news is kept somewhere: the counter counts");
    // The first copies too many are answered, with a prune.
    for n in 1..=64 {
        fed.take(1 + (n % 8) as u32, news(n));
    }
    assert_eq!(allocations(|n| fed.take(1 + (n % 8) as u32, news(n))), 0);
    assert_eq!(allocations(|n| fed.take(1 + (n % 8) as u32, heartbeat(n))), 0);
}
