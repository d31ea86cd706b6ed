use super::*;

const START: Instant = Instant(1_000_000);

fn address(n: usize) -> AddressId {
    AddressId(n as u128)
}

#[test]
fn an_address_waits_for_what_it_used_beyond_what_it_may_use_at_once() {
    let mut debts = Debts::default();
    debts.spend(address(1), START, UNITS_AT_ONCE);
    assert_eq!(debts.until(address(1), START), None);
    debts.spend(address(1), START, 100 * UNITS_PER_MS);
    let due = START + Duration::from_millis(100);
    assert_eq!(debts.until(address(1), START), Some(due));
    assert_eq!(debts.until(address(1), due), None);
    assert_eq!(debts.until(address(2), START), None, "another address");
}

#[test]
fn what_was_not_used_for_long_is_no_more_than_what_may_be_used_at_once() {
    let mut debts = Debts::default();
    debts.spend(address(1), START, UNITS_AT_ONCE);
    let later = START + Duration::from_hours(1);
    debts.spend(address(1), later, UNITS_AT_ONCE + UNITS_PER_MS);
    assert_eq!(
        debts.until(address(1), later),
        Some(later + Duration::from_millis(1))
    );
}

#[test]
fn addresses_beyond_the_bound_owe_together_and_those_that_paid_are_forgotten() {
    let mut debts = Debts::default();
    for n in 0..=ADDRESSES_MAX {
        debts.spend(address(n), START, 2 * UNITS_AT_ONCE);
    }
    assert_eq!(debts.0.len(), ADDRESSES_MAX + 1);
    assert!(debts.until(address(ADDRESSES_MAX + 7), START).is_some());
    debts.on_timer(START + time_of(UNITS_AT_ONCE));
    assert_eq!(debts.0.len(), ADDRESSES_MAX + 1);
    debts.on_timer(START + time_of(3 * UNITS_AT_ONCE));
    assert!(debts.0.is_empty());
}
