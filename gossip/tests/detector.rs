//! Failure detection: each step once, in order, at its time; and no judgement over what is one's own doing.

use std::collections::BTreeMap;
use std::time::Duration;

use gossip::detector::{Change, Config, Detector, State};
use proptest::prelude::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn steps(detector: &mut Detector<u32>) -> Vec<(u32, Option<State>)> {
    std::iter::from_fn(|| detector.poll())
        .map(|change| (change.peer, change.to))
        .collect()
}

/// Time passes in steps of a second; those in `alive` beat every five.
fn pass(detector: &mut Detector<u32>, from: u64, to: u64, alive: &[u32]) {
    for at in from + 1..=to {
        if at.is_multiple_of(5) {
            for peer in alive {
                detector.heard(*peer, at, s(at));
            }
        }
        detector.tick(s(at));
    }
}

#[test]
fn a_silent_peer_is_suspected_dead_and_forgotten_in_that_order_and_comes_back() {
    let mut detector = Detector::new(Config::default(), s(0));
    pass(&mut detector, 0, 20, &[1, 2, 3, 4]);
    assert_eq!(steps(&mut detector).len(), 4, "four came to life");
    // The last heartbeat of 4 was at 20. Two and a half periods are 12.5 s.
    pass(&mut detector, 20, 32, &[1, 2, 3]);
    assert_eq!(steps(&mut detector), []);
    pass(&mut detector, 32, 33, &[1, 2, 3]);
    assert_eq!(steps(&mut detector), [(4, Some(State::Suspect))]);
    pass(&mut detector, 33, 50, &[1, 2, 3]);
    assert_eq!(steps(&mut detector), [(4, Some(State::Dead))]);
    assert!(!detector.suspects_partition(), "one of five died");
    pass(&mut detector, 50, 55, &[1, 2, 3, 4]);
    let back = detector.poll();
    let expected = Change {
        peer: 4,
        from: Some(State::Dead),
        to: Some(State::Alive),
        silent: s(35),
    };
    assert_eq!(back, Some(expected));
    pass(&mut detector, 55, 55 + 3_600, &[1, 2, 3]);
    let last = steps(&mut detector);
    assert_eq!(
        last,
        [(4, Some(State::Suspect)), (4, Some(State::Dead)), (4, None)]
    );
    assert_eq!(detector.state(&4), None);
}

#[test]
fn an_old_counter_is_no_sign_of_life() {
    let mut detector = Detector::new(Config::default(), s(0));
    assert!(detector.heard(1, 10, s(0)));
    for at in 1..=13 {
        assert!(!detector.heard(1, 10, s(at)), "nothing to pass on");
        detector.tick(s(at));
    }
    assert_eq!(detector.state(&1), Some(State::Suspect));
}

#[test]
fn what_the_gone_said_before_makes_them_alive_no_more() {
    let mut detector = Detector::new(Config::default(), s(0));
    assert!(detector.heard(1, 10, s(0)));
    pass(&mut detector, 0, 3_700, &[2]);
    assert_eq!(detector.state(&1), None, "gone");
    assert!(!detector.heard(1, 10, s(3_700)) && !detector.heard(1, 9, s(3_700)));
    assert_eq!(detector.state(&1), None);
    assert!(detector.heard(1, 11, s(3_700)), "this it says now");
    assert_eq!(detector.state(&1), Some(State::Alive));
}

#[test]
fn the_time_a_peer_is_dead_is_counted_from_the_judgement() {
    let mut detector = Detector::new(Config::default(), s(0));
    pass(&mut detector, 0, 5, &[1, 2, 3, 4]);
    pass(&mut detector, 5, 34, &[1, 2, 3]);
    assert_eq!(detector.dead_for(&4, s(34)), None, "a suspect");
    pass(&mut detector, 34, 45, &[1, 2, 3]);
    assert_eq!(detector.dead_for(&4, s(45)), Some(s(10)));
    assert_eq!(detector.dead_for(&1, s(45)), None);
    detector.left(&3, s(45));
    pass(&mut detector, 45, 50, &[1, 2]);
    assert_eq!(detector.dead_for(&3, s(50)), Some(s(5)), "it said so");
}

#[test]
fn a_peer_that_slept_judges_no_other_by_it() {
    let mut detector = Detector::new(Config::default(), s(0));
    pass(&mut detector, 0, 20, &[1, 2]);
    steps(&mut detector);
    detector.tick(s(10_000));
    assert_eq!(steps(&mut detector), []);
    // But silence after waking counts.
    for at in 10_001..=10_014 {
        detector.tick(s(at));
    }
    assert_eq!(steps(&mut detector).len(), 2);
}

#[test]
fn when_many_fall_silent_at_once_it_is_us() {
    let mut detector = Detector::new(Config::default(), s(0));
    let all: Vec<u32> = (1..=6).collect();
    pass(&mut detector, 0, 20, &all);
    // Two of seven may die.
    pass(&mut detector, 20, 60, &all[2..]);
    assert!(!detector.suspects_partition());
    assert_eq!(detector.state(&1), Some(State::Dead));
    // Then the other four seem to, at once.
    pass(&mut detector, 60, 80, &[]);
    assert!(detector.suspects_partition());
    pass(&mut detector, 80, 95, &all[2..]);
    assert!(!detector.suspects_partition(), "they were there all the time");
    // However long they are silent, until they are forgotten.
    pass(&mut detector, 95, 110, &[]);
    assert!(detector.suspects_partition());
    pass(&mut detector, 110, 3_600, &[]);
    assert!(detector.suspects_partition());
    pass(&mut detector, 3_600, 3_800, &[]);
    assert!(
        !detector.suspects_partition(),
        "those who never came back are gone"
    );
}

#[test]
fn members_that_die_one_by_one_are_no_sign_of_a_partition() {
    let mut detector = Detector::new(Config::default(), s(0));
    let all: Vec<u32> = (1..=6).collect();
    pass(&mut detector, 0, 20, &all);
    for dead in 1..=4 {
        let from = 20 + 120 * (dead as u64 - 1);
        pass(&mut detector, from, from + 120, &all[dead..]);
        assert!(!detector.suspects_partition(), "{dead} died");
    }
}

#[test]
fn a_goodbye_is_no_sign_of_a_partition() {
    let mut detector = Detector::new(Config::default(), s(0));
    let all: Vec<u32> = (1..=6).collect();
    pass(&mut detector, 0, 20, &all);
    steps(&mut detector);
    for peer in 1..=5 {
        detector.left(&peer, s(20));
    }
    assert_eq!(steps(&mut detector).len(), 5);
    pass(&mut detector, 20, 40, &[6]);
    assert!(!detector.suspects_partition());
    assert_eq!(steps(&mut detector), []);
}

#[test]
fn who_once_counted_too_far_is_dead_for_hours_and_not_for_ever() {
    let mut detector = Detector::new(Config::default(), s(0));
    assert!(detector.heard(1, 1_000_000, s(1)));
    pass(&mut detector, 1, 4_000, &[2]);
    assert_eq!(detector.state(&1), None, "silent for an hour");
    assert_eq!(detector.counter(&1), Some(1_000_000));
    assert!(!detector.heard(1, 4_000, s(4_000)), "it said more before");
    pass(&mut detector, 4_000, 8 * 3_600, &[2]);
    assert_eq!(detector.counter(&1), None);
    assert!(detector.heard(1, 8 * 3_600, s(8 * 3_600)));
}

#[test]
fn the_table_is_bounded_and_the_living_stay() {
    let config = Config {
        peers_max: 3,
        ..Config::default()
    };
    let mut detector = Detector::new(config, s(0));
    pass(&mut detector, 0, 20, &[1, 2, 3]);
    assert!(!detector.heard(4, 1, s(20)), "all live");
    pass(&mut detector, 20, 40, &[1, 2]);
    steps(&mut detector);
    assert!(detector.heard(4, 2, s(40)));
    assert_eq!(steps(&mut detector), [(3, None), (4, Some(State::Alive))]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any input: steps follow each other without gaps, states are those that were reported, deadlines are kept.
    #[test]
    fn what_is_told_adds_up(
        events in proptest::collection::vec((0..6_u32, 0..40_u64, any::<bool>(), 0..9_000_u64), 0..200),
    ) {
        let config = Config { peers_max: 4, gone_after: s(60), ..Config::default() };
        let mut detector = Detector::new(config, s(0));
        let mut now = Duration::ZERO;
        let mut told: BTreeMap<u32, State> = BTreeMap::new();
        for (peer, counter, leaves, ms) in events {
            now += Duration::from_millis(ms);
            if leaves && counter == 0 {
                detector.left(&peer, now);
            } else {
                detector.heard(peer, counter, now);
            }
            detector.tick(now);
            while let Some(change) = detector.poll() {
                prop_assert_eq!(told.get(&change.peer).copied(), change.from);
                prop_assert_ne!(change.from, change.to);
                match change.to {
                    Some(state) => told.insert(change.peer, state),
                    None => told.remove(&change.peer),
                };
            }
            let states: BTreeMap<u32, State> = detector.peers().map(|(peer, state)| (*peer, state)).collect();
            prop_assert_eq!(&states, &told);
            prop_assert!(states.len() <= 4);
            prop_assert!(detector.next_deadline() > now);
        }
    }
}
