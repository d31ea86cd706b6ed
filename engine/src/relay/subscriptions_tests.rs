use protocol::AccountId;
use protocol::messages::SaltedAccount;

use super::{NAMED_MAX, Subscriptions};
use crate::io::LinkId;

const SALT: [u8; 32] = [9; 32];

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
    subscriptions.name(LinkId(3), &SALT, [account(1), account(2)]);
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
    subscriptions.name(LinkId(1), &SALT, [account(2), account(2)]);
    subscriptions.name(LinkId(1), &SALT, [account(2)]);
    subscriptions.remove_link(LinkId(1));
    assert_eq!(subscriptions.accounts().count(), 0);
}

#[test]
fn a_peer_that_names_its_own_account_keeps_it_when_it_takes_the_name_back() {
    let mut subscriptions = Subscriptions::default();
    subscriptions.add_link(LinkId(1), Some(account(1)));
    subscriptions.name(LinkId(1), &SALT, [account(1), account(2)]);
    let removed = [1, 2].map(|n| SaltedAccount::new(&SALT, &account(n)));
    subscriptions.remove(LinkId(1), &removed);
    assert!(subscriptions.contains(&account(1)));
    assert!(!subscriptions.contains(&account(2)));
    subscriptions.remove_link(LinkId(1));
    assert_eq!(subscriptions.accounts().count(), 0);
}

#[test]
fn a_peer_names_no_more_than_the_bound() {
    let mut subscriptions = Subscriptions::default();
    let most = NAMED_MAX as u32;
    subscriptions.name(LinkId(1), &SALT, (0..most + 10).map(account));
    subscriptions.name(LinkId(1), &SALT, [account(most + 20)]);
    assert_eq!(subscriptions.accounts().count(), NAMED_MAX);
    assert!(!subscriptions.contains(&account(most)));
    // Another peer has its own room.
    subscriptions.name(LinkId(2), &SALT, [account(most + 20)]);
    assert!(subscriptions.contains(&account(most + 20)));
}
