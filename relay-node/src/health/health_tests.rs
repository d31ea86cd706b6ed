use std::time::Duration;

use engine::api::{RepairView, StoreState};
use protocol::Timestamp;

use super::{Change, Health, Kind, Membership, Observed, WARNING_AFTER, conditions};

fn kinds(change: impl FnOnce(&mut Observed)) -> Vec<Kind> {
    let mut seen = Observed::default();
    change(&mut seen);
    conditions(&seen).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn a_relay_that_is_well_has_no_condition() {
    assert_eq!(kinds(|_| ()), []);
}

#[test]
fn each_condition_follows_from_what_is_seen() {
    let check = |change: fn(&mut Observed), expected: Kind| {
        assert_eq!(kinds(change), [expected]);
    };
    check(
        |seen| seen.store_stands = Duration::from_secs(10),
        Kind::StoreStands,
    );
    check(|seen| seen.starting = true, Kind::Starting);
    check(|seen| seen.store = StoreState::Failing, Kind::StoreFails);
    check(|seen| seen.store = StoreState::Full, Kind::StoreFull);
    check(
        |seen| seen.membership = Membership::Expelled("https://a".to_owned()),
        Kind::Expelled,
    );
    check(
        |seen| seen.membership = Membership::NotInvited { refused: false },
        Kind::NoMember,
    );
    check(|seen| seen.membership = Membership::Alone, Kind::NoMember);
    check(|seen| seen.registry_unreachable = true, Kind::RegistryUnreachable);
    check(|seen| seen.repair.caught_up = false, Kind::CatchingUp);
    check(|seen| seen.clock_ahead_min = -3, Kind::Clock);
    check(
        |seen| seen.set_back = Duration::from_secs(3 * 86_400),
        Kind::Clock,
    );
    check(
        |seen| seen.repair.suspects_partition = true,
        Kind::PartitionSuspected,
    );
    check(|seen| seen.repair.wanted = 3, Kind::FewReplicas);
    check(|seen| seen.index_relays = 0, Kind::NoRegistry);
    check(|seen| seen.repair.to_hand_over = Some(0), Kind::Leaving);
}

#[test]
fn while_the_store_is_read_nothing_is_said_of_feeds_and_other_relays() {
    let found = kinds(|seen| {
        seen.starting = true;
        seen.repair = RepairView::default();
        seen.index_relays = 0;
        seen.membership = Membership::NotInvited { refused: false };
        seen.registry_unreachable = true;
    });
    assert_eq!(found, [Kind::Starting]);
}

#[test]
fn a_full_disk_and_other_warnings_leave_the_relay_ready() {
    let mut health = Health::default();
    let found = vec![
        (Kind::StoreFull, "full".to_owned()),
        (Kind::Leaving, "leaving".to_owned()),
    ];
    health.update(Duration::ZERO, Timestamp(5), found);
    let report = health.report();
    assert!(report.ready && report.conditions.len() == 2, "{report:?}");
    assert_eq!(report.why_not_ready(), None);

    health.update(
        Duration::ZERO,
        Timestamp(5),
        vec![(Kind::Expelled, "A expelled it".to_owned())],
    );
    let report = health.report();
    assert!(!report.ready);
    assert_eq!(report.why_not_ready().as_deref(), Some("A expelled it"));
    assert_eq!(report.conditions[0].since_ms, 5);
}

#[test]
fn a_condition_begins_once_and_ends_once_whatever_its_reason_says() {
    let mut health = Health::default();
    let mut at = |s, found: &[(Kind, &str)]| {
        let found = found.iter().map(|(kind, why)| (*kind, (*why).to_owned()));
        health.update(Duration::from_secs(s), Timestamp(s * 1_000), found.collect())
    };
    let began = at(1, &[(Kind::CatchingUp, "9 entries")]);
    assert!(matches!(&began[..], [Change::Began(condition)] if condition.since_ms == 1_000));
    assert_eq!(at(2, &[(Kind::CatchingUp, "8 entries")]), []);
    assert_eq!(
        at(4, &[]),
        [Change::Ended(Kind::CatchingUp, Duration::from_secs(3))]
    );
    assert_eq!(at(5, &[]), []);
}

#[test]
fn a_warning_that_passes_soon_is_never_shown() {
    let mut health = Health::default();
    let few = || vec![(Kind::FewReplicas, "1 of 3".to_owned())];
    assert_eq!(health.update(Duration::ZERO, Timestamp(0), few()), []);
    assert!(health.report().conditions.is_empty());
    assert_eq!(
        health.update(Duration::from_secs(1), Timestamp(0), Vec::new()),
        []
    );

    health.update(Duration::from_secs(2), Timestamp(0), few());
    let began = health.update(Duration::from_secs(2) + WARNING_AFTER, Timestamp(0), few());
    assert_eq!(began.len(), 1);
    assert_eq!(health.report().conditions.len(), 1);
}

#[test]
fn names_are_distinct_and_each_kind_says_what_to_do() {
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        assert!(
            Kind::ALL[..n]
                .iter()
                .all(|other| other.name() != kind.name() && *other < kind)
        );
        assert!(!kind.remedy().is_empty());
        let written = serde_json::to_value(kind).unwrap();
        assert_eq!(written, kind.name(), "one name in documents and metrics");
    }
}
