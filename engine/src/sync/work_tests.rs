use super::*;

const LINKS: [LinkId; 2] = [LinkId(1), LinkId(2)];

fn at(ms: u64) -> Instant {
    Instant(1_000_000 + ms * 1_000)
}

/// Units each link got until no more may be done now.
fn turns(work: &mut Work) -> [u32; 2] {
    let mut used = [0; 2];
    while let Some((link, units)) = work.next_turn(WorkOf::All, |_| None) {
        used[usize::from(link == LINKS[1])] += units;
        work.spend(&used_up(units), None);
    }
    used
}

fn used_up(units: u32) -> Turn {
    let mut turn = Turn::new(units);
    turn.spend(units);
    turn
}

#[test]
fn links_take_turns_and_one_input_does_a_bounded_amount_of_work() {
    let mut work = Work::new();
    work.refill(at(0));
    assert_eq!(work.next_turn(WorkOf::All, |_| None), None);
    assert_eq!(work.deadline(), None);
    LINKS.iter().for_each(|link| work.begin(*link));
    assert_eq!(turns(&mut work), [STEP_UNITS / 2; 2]);
    assert_eq!(turns(&mut work), [0; 2]);
    assert_eq!(work.deadline(), Some(at(0) + INTERVAL));
    work.refill(at(1));
    assert_eq!(turns(&mut work).iter().sum::<u32>(), UNITS_PER_MS);
    // Time in which nothing is done does not add up beyond one step.
    work.refill(at(10_000));
    assert_eq!(turns(&mut work).iter().sum::<u32>(), STEP_UNITS);
    work.refill(at(20_000));
    work.end(LINKS[0]);
    assert_eq!(turns(&mut work), [0, STEP_UNITS]);
}

#[test]
fn work_over_many_feeds_may_begin_some_times_at_once_and_then_at_intervals() {
    const RATE: WorkLimit = WorkLimit {
        burst: 3,
        interval: Duration::from_secs(1),
        per_feed: Duration::from_micros(10),
    };
    let mut pace = WorkCount::default();
    let mut begin = |ms: u64, feeds| pace.may_begin(at(ms), feeds, &RATE);
    assert_eq!((0..10).filter(|_| begin(0, 100_000)).count(), 3);
    assert!(begin(0, FEW_FEEDS), "little work is not paced");
    // A second, and ten microseconds for each feed.
    assert!(!begin(1_900, 100_000));
    assert!(begin(2_000, 100_000) && !begin(2_001, 100_000));
    assert_eq!((0..10).filter(|_| begin(60_000, 100_000)).count(), 3);
}

#[test]
fn the_input_of_a_link_does_its_own_work_alone_and_one_turn_while_others_wait() {
    let mut work = Work::new();
    work.refill(at(0));
    work.begin(LINKS[0]);
    assert_eq!(work.next_turn(WorkOf::Link(LINKS[1]), |_| None), None);
    for _ in 0..STEP_UNITS / TURN_UNITS {
        assert_eq!(
            work.next_turn(WorkOf::Link(LINKS[0]), |_| None),
            Some((LINKS[0], TURN_UNITS))
        );
        work.spend(&used_up(TURN_UNITS), None);
    }
    work.refill(at(1_000));
    work.begin(LINKS[1]);
    let mut next = |of| Some(work.next_turn(of, |_| None)?.0);
    assert_eq!(next(WorkOf::Link(LINKS[0])), None, "the other one waits");
    assert_eq!(next(WorkOf::Link(LINKS[1])), Some(LINKS[1]));
    assert_eq!(next(WorkOf::Link(LINKS[1])), None);
    assert_eq!(next(WorkOf::Nobody), None);
    assert!(
        work.deadline() < Some(at(1_000)),
        "other inputs do not put it off"
    );
    assert_eq!(
        work.next_turn(WorkOf::All, |_| None),
        Some((LINKS[0], TURN_UNITS))
    );
    assert_eq!(work.deadline(), Some(at(1_000) + INTERVAL));
}

#[cfg(feature = "relay")]
#[test]
fn links_of_an_address_that_owes_have_no_turn_until_it_has_paid() {
    let address = |link| (link == LINKS[0]).then_some(AddressId(7));
    let mut work = Work::new();
    work.refill(at(0));
    work.debit(1 << 21, address(LINKS[0]));
    work.begin(LINKS[0]);
    assert_eq!(work.next_turn(WorkOf::Link(LINKS[0]), address), None);
    assert_eq!(work.next_turn(WorkOf::All, address), None);
    let due = work.deadline().expect("there is work");
    assert!(due > at(1_000), "nothing is to be done before: {due:?}");
    work.begin(LINKS[1]);
    assert_eq!(work.deadline(), Some(at(0) + INTERVAL));
    assert_eq!(work.next_turn(WorkOf::All, address), Some((LINKS[1], TURN_UNITS)));
    work.refill(due);
    work.end(LINKS[1]);
    assert_eq!(work.next_turn(WorkOf::All, address), Some((LINKS[0], TURN_UNITS)));
}

#[cfg(feature = "relay")]
#[test]
fn what_all_links_have_is_debited_to_nobody() {
    let address = Some(AddressId(7));
    let mut work = Work::new();
    let mut turn = Turn::new(1 << 21);
    turn.spend_for_all(1 << 21);
    work.spend(&turn, address);
    assert_eq!(work.owes_until(address), None);
    work.spend(&used_up(1 << 21), address);
    assert!(work.owes_until(address).is_some());
    assert_eq!(work.spent, 1 << 22);
}
