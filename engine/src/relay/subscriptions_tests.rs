use ordered::Set;
use protocol::AccountId;
use protocol::messages::SaltedAccount;

use super::{NAMED_MAX, Subscriptions};
use crate::io::LinkId;

fn account(n: u32) -> AccountId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

#[test]
fn an_account_stays_subscribed_until_its_last_link_ends() {
    let mut subscriptions = Subscriptions::default();
    subscriptions.add_link(LinkId(1), Some(account(1)));
    subscriptions.add_link(LinkId(2), Some(account(1)));
    subscriptions.name(LinkId(3), [account(1), account(2)]);
    subscriptions.remove_link(LinkId(1));
    subscriptions.remove_link(LinkId(2));
    assert!(subscriptions.contains(&account(1)));
    subscriptions.remove_link(LinkId(3));
    assert!(!subscriptions.contains(&account(1)) && !subscriptions.contains(&account(2)));
    assert_eq!(subscriptions.accounts().count(), 0);
}

#[test]
fn a_neighbour_that_comes_up_twice_counts_once() {
    let mut subscriptions = Subscriptions::default();
    subscriptions.add_link(LinkId(1), Some(account(1)));
    subscriptions.add_link(LinkId(1), Some(account(1)));
    subscriptions.name(LinkId(1), [account(2), account(2)]);
    subscriptions.name(LinkId(1), [account(2)]);
    subscriptions.remove_link(LinkId(1));
    assert_eq!(subscriptions.accounts().count(), 0);
}

#[test]
fn a_peer_that_names_its_own_account_keeps_it_when_it_takes_the_name_back() {
    let salt = [9; 32];
    let mut subscriptions = Subscriptions::default();
    subscriptions.add_link(LinkId(1), Some(account(1)));
    subscriptions.name(LinkId(1), [account(1), account(2)]);
    let removed: Set<_> = [1, 2]
        .map(|n| SaltedAccount::new(&salt, &account(n)))
        .into_iter()
        .collect();
    subscriptions.remove(LinkId(1), &salt, &removed);
    assert!(subscriptions.contains(&account(1)));
    assert!(!subscriptions.contains(&account(2)));
    subscriptions.remove_link(LinkId(1));
    assert_eq!(subscriptions.accounts().count(), 0);
}

#[test]
fn a_peer_names_no_more_than_the_bound() {
    let mut subscriptions = Subscriptions::default();
    let most = NAMED_MAX as u32;
    subscriptions.name(LinkId(1), (0..most + 10).map(account));
    subscriptions.name(LinkId(1), [account(most + 20)]);
    assert_eq!(subscriptions.accounts().count(), NAMED_MAX);
    assert!(!subscriptions.contains(&account(most)));
    // Another peer has its own room.
    subscriptions.name(LinkId(2), [account(most + 20)]);
    assert!(subscriptions.contains(&account(most + 20)));
}
