use std::collections::{BTreeMap, BTreeSet};

use super::{Assignment, Worker, fair_share};
use proptest::prelude::*;
use protocol::{AccountId, PeerId};

fn key(kind: u8, n: u32) -> [u8; 32] {
    *blake3::hash(&[&[kind][..], &n.to_le_bytes()].concat()).as_bytes()
}

fn account(n: u32) -> AccountId {
    AccountId(key(1, n))
}

/// Workers by number, capacity and zone.
fn workers<'a>(of: &'a [(u32, u32, String)]) -> impl Iterator<Item = Worker<'a>> + Clone {
    of.iter().map(|(n, capacity, zone)| Worker {
        peer: PeerId(key(2, *n)),
        capacity: *capacity,
        zone,
    })
}

fn relays(n: u32, zones: u32) -> Vec<(u32, u32, String)> {
    (0..n).map(|n| (n, 100, format!("zone {}", n % zones))).collect()
}

#[test]
fn nobody_draws_everything_to_itself_by_a_large_number() {
    assert_eq!(fair_share([100, 100, u32::MAX]), 400);
    assert_eq!(fair_share([100, 50, 200]), 400);
    assert_eq!(fair_share([7]), 28);
    assert_eq!(fair_share([]), u32::MAX);
}

#[test]
fn no_worker_counts_for_more_than_its_fair_share() {
    let mut of = relays(5, 5);
    of[3].1 = u32::MAX;
    let fair = Assignment::fair(&workers(&of).collect::<Vec<_>>());
    of[3].1 = 400;
    let bounded = Assignment::new(workers(&of));
    for n in 0..200 {
        assert_eq!(fair.replicas(&account(n), 2), bounded.replicas(&account(n), 2));
    }
}

#[test]
fn shares_follow_capacities() {
    let mut of = relays(10, 10);
    for (n, relay) in of.iter_mut().enumerate() {
        relay.1 = 50 * (1 + n as u32 % 3);
    }
    let total: f64 = of.iter().map(|(_, capacity, _)| f64::from(*capacity)).sum();
    let assignment = Assignment::new(workers(&of));
    let mut primaries: BTreeMap<PeerId, u32> = BTreeMap::new();
    const ACCOUNTS: u32 = 50_000;
    for n in 0..ACCOUNTS {
        *primaries
            .entry(assignment.replicas(&account(n), 3)[0])
            .or_default() += 1;
    }
    for worker in workers(&of) {
        let share = f64::from(primaries[&worker.peer]) / f64::from(ACCOUNTS);
        let fair = f64::from(worker.capacity) / total;
        assert!((share / fair - 1.0).abs() < 0.06, "{share} instead of {fair}");
    }
}

#[test]
fn a_loss_moves_what_was_lost_and_nothing_else() {
    let of = relays(50, 5);
    let before = Assignment::new(workers(&of));
    let lost = PeerId(key(2, 7));
    let after = Assignment::new(workers(&of).filter(|worker| worker.peer != lost));
    let mut moved = 0;
    for n in 0..20_000 {
        let (old, new) = (before.replicas(&account(n), 3), after.replicas(&account(n), 3));
        let kept: Vec<_> = old.iter().filter(|peer| **peer != lost).collect();
        if kept.len() == old.len() {
            assert_eq!(old, new, "nothing of it was lost");
        } else {
            moved += 1;
            assert!(
                kept.iter().all(|peer| new.contains(peer)),
                "the others keep what they have"
            );
            assert!(!new.contains(&lost));
        }
    }
    // Three replicas over fifty workers: each has six in a hundred.
    assert!((1_100..1_300).contains(&moved), "{moved}");
}

#[test]
fn a_relay_without_capacity_gets_nothing_and_no_relays_are_no_error() {
    let mut of = relays(3, 3);
    of[1].1 = 0;
    let assignment = Assignment::new(workers(&of));
    assert_eq!(assignment.len(), 2);
    assert_eq!(
        assignment.replicas(&account(1), 3).len(),
        2,
        "fewer only where there are fewer"
    );
    assert_eq!(Assignment::new([]).replicas(&account(1), 3), []);
}

#[test]
fn the_answer_is_the_one_it_always_was() {
    let assignment = Assignment::new(workers(&relays(20, 4)));
    let answers: Vec<String> = (0..4)
        .map(|n| {
            let replicas = assignment.replicas(&account(n), 3);
            let numbers = replicas
                .iter()
                .map(|peer| (0..20).find(|n| PeerId(key(2, *n)) == *peer));
            format!("{:?}", numbers.map(Option::unwrap).collect::<Vec<u32>>())
        })
        .collect();
    assert_eq!(answers, GOLDEN);
}

/// Relays of all versions must agree.
const GOLDEN: [&str; 4] = ["[3, 12, 9]", "[11, 16, 17]", "[6, 16, 3]", "[5, 7, 6]"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn distinct_workers_in_distinct_zones_whatever_the_order(
        of in proptest::collection::vec((0..200_u32, 1..1_000_u32, 0..6_u8), 0..30),
        n in 0..6_usize,
        who in any::<u32>(),
    ) {
        let named: BTreeMap<u32, (u32, String)> = of
            .into_iter()
            .map(|(n, capacity, zone)| (n, (capacity, if zone == 0 { String::new() } else { zone.to_string() })))
            .collect();
        let of: Vec<_> = named.into_iter().map(|(n, (capacity, zone))| (n, capacity, zone)).collect();
        let replicas = Assignment::new(workers(&of)).replicas(&account(who), n);
        let backwards: Vec<_> = of.iter().rev().cloned().collect();
        prop_assert_eq!(&Assignment::new(workers(&backwards)).replicas(&account(who), n), &replicas);
        prop_assert_eq!(replicas.len(), n.min(of.len()));
        let distinct: BTreeSet<_> = replicas.iter().collect();
        prop_assert_eq!(distinct.len(), replicas.len());
        let zone = |peer: &PeerId| {
            let worker = workers(&of).find(|worker| worker.peer == *peer).unwrap();
            if worker.zone.is_empty() { peer.to_string() } else { worker.zone.to_owned() }
        };
        let zones: BTreeSet<String> = replicas.iter().map(zone).collect();
        let all: BTreeSet<String> = workers(&of).map(|worker| zone(&worker.peer)).collect();
        prop_assert_eq!(zones.len(), n.min(all.len()), "as many zones as there can be");
        // A subset's choice is a prefix: raising the number of replicas moves none while there are zones.
        if n > 0 && all.len() >= n {
            let fewer = Assignment::new(workers(&of)).replicas(&account(who), n - 1);
            prop_assert_eq!(&fewer[..], &replicas[..n - 1]);
        }
    }
}
