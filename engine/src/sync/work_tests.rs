use super::*;

const LINKS: [LinkId; 2] = [LinkId(1), LinkId(2)];

fn at(ms: u64) -> Instant {
    Instant(1_000_000 + ms * 1_000)
}

/// Units each link got until no more may be done now.
fn turns(work: &mut Work) -> [u32; 2] {
    let mut used = [0; 2];
    while let Some((link, units)) = work.next_turn() {
        used[usize::from(link == LINKS[1])] += units;
        work.spend(units);
    }
    used
}

#[test]
fn links_take_turns_and_one_input_does_a_bounded_amount_of_work() {
    let mut work = Work::new();
    work.refill(at(0));
    assert_eq!(work.next_turn(), None);
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
