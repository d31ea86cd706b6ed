use ordered::Set;
use protocol::messages::SaltedAccount;
use protocol::{AccountId, PeerId};

use super::{ACCOUNTS_MAX, InterestCache};
use crate::sync::Remembered;
use crate::sync::interests::RESUME_MIN;

fn peer(n: u32) -> PeerId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    PeerId(id)
}

fn interests(salted: usize, named: u8) -> Remembered {
    let salted = (0..salted as u64).map(|n| SaltedAccount(n.to_be_bytes()));
    let named: Set<AccountId> = (0..named).map(|n| AccountId([n; 32])).collect();
    Remembered {
        salted: salted.collect(),
        named,
    }
}

#[test]
fn what_a_browser_wanted_is_returned_once() {
    let mut cache = InterestCache::default();
    cache.remember(peer(1), interests(RESUME_MIN, 3));
    assert!(cache.take(&peer(2)).is_none());
    let wanted = cache.take(&peer(1)).expect("remembered");
    let expected = interests(RESUME_MIN, 3);
    assert_eq!((wanted.salted, wanted.named), (expected.salted, expected.named));
    assert!(cache.take(&peer(1)).is_none());
}

#[test]
fn few_interests_are_not_remembered_and_end_what_was() {
    let mut cache = InterestCache::default();
    cache.remember(peer(1), interests(RESUME_MIN, 0));
    cache.remember(peer(1), interests(RESUME_MIN - 1, 0));
    assert!(cache.take(&peer(1)).is_none());
}

#[test]
fn the_browser_that_left_first_is_forgotten_when_full() {
    let mut cache = InterestCache::default();
    let each = ACCOUNTS_MAX / 4;
    for n in 0..4 {
        cache.remember(peer(n), interests(each, 0));
    }
    // The first comes back and leaves again: now the second left first.
    let first = cache.take(&peer(0)).expect("remembered");
    cache.remember(peer(0), first);
    cache.remember(peer(4), interests(RESUME_MIN, 1));
    assert!(cache.take(&peer(1)).is_none());
    for n in [0, 2, 3, 4] {
        assert!(cache.take(&peer(n)).is_some(), "{n}");
    }
}

#[test]
fn the_accounts_remembered_stay_within_the_bound() {
    let mut cache = InterestCache::default();
    for n in 0..10_000 {
        let salted = RESUME_MIN + (n as usize * 7) % 400;
        cache.remember(peer(n), interests(salted, (n % 200) as u8));
        assert!(cache.accounts <= ACCOUNTS_MAX);
    }
    let held: usize = cache
        .of
        .values()
        .map(|wanted| wanted.salted.len() + wanted.named.len())
        .sum();
    assert_eq!(cache.accounts, held);
    assert_eq!(cache.of.len(), cache.order.len());
    assert!(held > ACCOUNTS_MAX / 2, "the bound was reached: {held}");
    cache.remember(peer(20_000), interests(ACCOUNTS_MAX + 1, 0));
    assert!(cache.take(&peer(20_000)).is_none(), "alone over the bound");
}
