use protocol::messages::{Message, QuotaExceeded};

use super::*;
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::sync::testing::{Peer, entries, written};
use crate::testing::Remote;

const QUOTAS: Quotas = Quotas {
    entries_per_account: 10,
    bytes_per_account: 4_000,
    accounts_per_address: 3,
    bytes_per_address: 6_000,
    accounts_per_minute: 0,
};
const NOW: Instant = Instant(10_000_000_000);

fn of(account: u8, address: u128) -> Addition {
    Addition {
        address: AddressId(address),
        account: AccountId([account; 32]),
        is_new: false,
        bytes: 100,
    }
}

/// Adds as much as is allowed, at most 100 times; how often it was, and what ended it.
fn add(used: &mut QuotaUse, now: Instant, it: Addition) -> (u32, Option<(Quota, Duration)>) {
    for n in 0..100 {
        match used.check(&QUOTAS, now, &it) {
            Ok(()) => used.spend(&QUOTAS, now, &it),
            Err(ended) => return (n, Some(ended)),
        }
    }
    (100, None)
}

#[test]
fn an_account_may_use_its_hour_at_once_and_then_as_it_comes_back() {
    let mut used = QuotaUse::default();
    let six_minutes = Duration::from_mins(6);
    assert_eq!(
        add(&mut used, NOW, of(1, 1)),
        (10, Some((Quota::AccountEntries, six_minutes)))
    );
    assert_eq!(
        add(&mut used, NOW, of(2, 1)).0,
        10,
        "another account is not held up"
    );
    let later = NOW + six_minutes * 3;
    assert_eq!(add(&mut used, later, of(1, 1)).0, 3);
    assert_eq!(
        add(&mut used, NOW + HOUR * 9, of(1, 1)).0,
        10,
        "it does not pile up"
    );
}

#[test]
fn bytes_count_as_well_as_entries() {
    let mut used = QuotaUse::default();
    let large = Addition {
        bytes: 1_500,
        ..of(1, 1)
    };
    let (added, ended) = add(&mut used, NOW, large);
    assert_eq!((added, ended.map(|it| it.0)), (2, Some(Quota::AccountBytes)));
}

#[test]
fn all_accounts_of_an_address_share_its_bytes() {
    let mut used = QuotaUse::default();
    let large = |account| Addition {
        bytes: 3_000,
        ..of(account, 1)
    };
    assert_eq!(
        (add(&mut used, NOW, large(1)).0, add(&mut used, NOW, large(2)).0),
        (1, 1)
    );
    let (added, ended) = add(&mut used, NOW, large(3));
    assert_eq!((added, ended.map(|it| it.0)), (0, Some(Quota::AddressBytes)));
    let elsewhere = Addition {
        address: AddressId(2),
        ..large(3)
    };
    assert_eq!(add(&mut used, NOW, elsewhere).0, 1);
}

#[test]
fn an_address_brings_only_some_new_accounts_and_goes_on_with_those_it_brought() {
    let mut used = QuotaUse::default();
    let fresh = |account| Addition {
        is_new: true,
        ..of(account, 1)
    };
    for account in 1..=3 {
        used.spend(&QUOTAS, NOW, &fresh(account));
    }
    let ended = used.check(&QUOTAS, NOW, &fresh(4)).map_err(|it| it.0);
    assert_eq!(ended, Err(Quota::AddressAccounts));
    assert_eq!(used.check(&QUOTAS, NOW, &of(3, 1)), Ok(()));
}

#[test]
fn without_a_quota_nothing_is_limited_or_remembered_for_long() {
    let mut used = QuotaUse::default();
    let none = Quotas::default();
    for _ in 0..1_000 {
        assert_eq!(used.check(&none, NOW, &of(1, 1)), Ok(()));
        used.spend(&none, NOW, &of(1, 1));
    }
    used.on_timer(NOW);
    assert_eq!((used.accounts.len(), used.addresses.len()), (0, 0));
}

#[test]
fn what_was_used_is_forgotten_once_it_has_come_back() {
    let mut used = QuotaUse::default();
    used.spend(&QUOTAS, NOW, &of(1, 1));
    used.on_timer(NOW);
    assert_eq!((used.accounts.len(), used.addresses.len()), (1, 1));
    used.on_timer(NOW + Duration::from_mins(6));
    assert_eq!((used.accounts.len(), used.addresses.len()), (0, 0));
}

#[test]
fn beyond_the_bound_addresses_are_still_counted() {
    let mut used = QuotaUse::default();
    for n in 0..ACCOUNTS_MAX {
        let mut account = [0; 32];
        account[..8].copy_from_slice(&n.to_le_bytes());
        used.accounts.insert(
            AccountId(account),
            OfAccount {
                entries: Used(NOW + HOUR),
                ..OfAccount::default()
            },
        );
    }
    let it = Addition {
        bytes: 4_000,
        ..of(0xee, 7)
    };
    used.spend(&QUOTAS, NOW, &it);
    assert_eq!(used.accounts.len(), ACCOUNTS_MAX);
    assert_eq!(
        used.check(&QUOTAS, NOW, &it).map_err(|it| it.0),
        Err(Quota::AddressBytes)
    );
    // Room is made by those whose quotas have come back.
    used.spend(&QUOTAS, NOW + HOUR, &it);
    assert_eq!(used.accounts.len(), 1);
}

/// A peer that takes ten entries of an account in an hour, and a neighbour of another address that holds twelve of an
/// account.
fn fetching() -> (Peer, Author, LinkId) {
    let mut author = Author::new(2);
    let mut peer = Peer::new(&[&author]);
    peer.role.serves_others = true;
    peer.node.ctx.config.quotas = Quotas {
        entries_per_account: 10,
        ..Quotas::default()
    };
    peer.node.wire.address = Some(AddressId(1));
    let link = peer.link(&Remote::peer(20));
    let feed = written(&mut author, 12);
    peer.tells(link, &feed[11]);
    let wants = peer.wants(link);
    peer.receive(link, entries(wants[0].request, &feed));
    (peer, author, link)
}

fn exceeded(peer: &mut Peer, link: LinkId) -> Vec<QuotaExceeded> {
    let sent = peer.node.sent(link).into_iter();
    let exceeded = sent.filter_map(|message| match message {
        Message::QuotaExceeded(exceeded) => Some(exceeded),
        _ => None,
    });
    exceeded.collect()
}

#[test]
fn what_a_quota_refuses_is_said_and_fetched_once_it_allows_more() {
    let (mut peer, author, link) = fetching();
    assert_eq!(peer.held(&author), 10);
    let expected = QuotaExceeded {
        quota: Quota::AccountEntries,
        per_hour: 10,
        wait_s: 361,
    };
    let sent = peer.node.sent(link);
    assert!(sent.contains(&Message::QuotaExceeded(expected)), "{sent:?}");
    assert!(
        !sent.iter().any(|it| matches!(it, Message::Want(_))),
        "not at once"
    );
    peer.receive(
        link,
        Message::RangeEnd(protocol::messages::RangeEnd { request: 1 }),
    );
    peer.node.pass(Duration::from_secs(359));
    peer.on_timer();
    assert_eq!(peer.wants(link), []);
    peer.node.pass(Duration::from_secs(1));
    peer.on_timer();
    let wants = peer.wants(link);
    assert_eq!((wants.len(), wants[0].from), (1, 10));
    peer.receive(
        link,
        entries(wants[0].request, &written(&mut Author::new(2), 12)[10..]),
    );
    assert_eq!(peer.held(&author), 11);
    assert_eq!(exceeded(&mut peer, link).len(), 1, "the minute is over");
    assert_eq!(peer.sync.quotas.refused()[Quota::AccountEntries as usize], 2);
}

#[test]
fn this_machine_and_members_are_not_limited() {
    let mut author = Author::new(2);
    let mut peer = Peer::new(&[&author]);
    peer.node.ctx.config.quotas = Quotas {
        entries_per_account: 10,
        ..Quotas::default()
    };
    let link = peer.link(&Remote::peer(20));
    let feed = written(&mut author, 12);
    peer.receive(link, entries(1, &feed));
    assert_eq!(peer.held(&author), 12);
    assert_eq!(exceeded(&mut peer, link), []);
}
