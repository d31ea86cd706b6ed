use core::time::Duration;

use ordered::Set;
use protocol::DeviceId;
use protocol::link::handshake::{feature, pair_salt, relay_salt};
use protocol::messages::{Interests, Message};

use super::super::Wanting;
use super::*;
use crate::io::LinkId;
use crate::sync::testing::{Peer, account};
use crate::testing::Remote;

/// A relay that holds the made-up accounts below `accounts`.
fn relay(accounts: u32) -> Peer {
    let mut peer = Peer::new(&[]);
    peer.role.serves_others = true;
    if let Some(local) = &mut peer.node.ctx.local {
        local.features |= feature::RELAY;
    }
    for n in 0..accounts {
        peer.hold_made_up(n);
    }
    peer
}

/// A device of an earlier version.
fn older(n: u8) -> Remote {
    Remote {
        relay_salt: false,
        ..Remote::peer(n)
    }
}

fn interests(peer: &Peer, link: LinkId, accounts: impl IntoIterator<Item = u32>) -> Interests {
    let salt = peer.node.net.session(link).expect("a session").salt_received;
    let add = accounts.into_iter();
    Interests {
        add: add.map(|n| SaltedAccount::new(&salt, &account(n))).collect(),
        ..Interests::default()
    }
}

fn ask(peer: &mut Peer, link: LinkId, accounts: impl IntoIterator<Item = u32>) {
    let interests = interests(peer, link, accounts);
    peer.interests(link, interests, None);
}

/// The units of work that this takes.
fn cost(peer: &mut Peer, of: impl FnOnce(&mut Peer)) -> u64 {
    let before = peer.sync.work.spent;
    of(peer);
    peer.settle();
    peer.sync.work.spent - before
}

fn see(peer: &mut Peer, n: u32) {
    peer.hold_made_up(n);
    let Peer { node, sync, role } = peer;
    let wanting = Wanting::without_follows(role);
    sync.on_account_seen(&node.net, &node.log, wanting, account(n));
}

fn drop_account(peer: &mut Peer, n: u32) {
    let numbers = take_out(&mut peer.node.log.feeds, n);
    peer.sync.forget_account(&account(n), &numbers);
}

/// Takes a made-up account out of the feeds. The numbers of its feeds.
fn take_out(feeds: &mut Feeds, n: u32) -> Vec<FeedNumber> {
    // Its entries were never counted.
    let feed = feeds.get_mut(&DeviceId(account(n).0));
    feed.expect("held").next_seq = 0;
    let feeds = feeds.forget(&account(n));
    feeds.iter().map(|(_, feed)| feed.number).collect()
}

/// How many heads the neighbour was sent.
fn heads(peer: &mut Peer, link: LinkId) -> usize {
    peer.told(link).len()
}

#[test]
fn a_message_costs_its_own_length_however_many_accounts_are_held() {
    const HELD: u32 = 100_000;
    let mut peer = relay(HELD);
    let [one, other] = [20, 21].map(|n| peer.link(&Remote::peer(n)));
    let built = cost(&mut peer, |peer| ask(peer, one, [0]));
    assert!((HELD.into()..10 * u64::from(HELD)).contains(&built), "{built}");
    // A message names some that are held, and some that are not.
    let (messages, each) = (50_u32, 36_u32);
    for link in [one, other] {
        let spent = cost(&mut peer, |peer| {
            for n in 0..messages {
                ask(peer, link, (n..).step_by(5_000).take(each as usize));
                // As late as that, a search through all accounts is allowed again.
                peer.node.pass(Duration::from_secs(2));
                peer.on_timer();
                peer.settle();
                peer.receive(link, grant());
            }
        });
        let steps = u64::from(messages * each);
        assert!(spent < 12 * steps, "{spent} units for {steps} interests");
    }
    let spent = cost(&mut peer, |peer| {
        let replaced = Interests {
            reset: true,
            ..interests(peer, one, 0..100)
        };
        peer.interests(one, replaced, None);
    });
    assert!(spent < 2_000, "{spent} units for a list of a hundred accounts");
}

/// The neighbour takes more heads.
fn grant() -> Message {
    Message::HeadCredit(protocol::messages::HeadCredit { heads: u32::MAX })
}

#[test]
fn an_older_neighbour_names_accounts_by_the_salt_of_the_pair_and_a_newer_one_by_that_of_the_relay() {
    let mut peer = relay(3_000);
    let own = peer.node.ctx.peer().expect("a key");
    let (older, newer) = (older(20), Remote::peer(21));
    let links = [&older, &newer].map(|remote| peer.link(remote));
    let salts = [pair_salt(&own, &older.id()), relay_salt(&own)];
    for (link, salt) in links.into_iter().zip(salts) {
        let add = vec![SaltedAccount::new(&salt, &account(7)), SaltedAccount([7; 8])];
        let asked = Interests {
            add,
            ..Interests::default()
        };
        peer.interests(link, asked, None);
        peer.settle();
        assert_eq!(heads(&mut peer, link), 1);
    }
    assert_eq!(peer.sync.links_wanting(&account(7)), links);
    // One that comes later is found for both, and none of another salt.
    for (link, salt) in links.into_iter().zip([salts[1], salts[0]]) {
        let add = vec![SaltedAccount::new(&salt, &account(8))];
        let asked = Interests {
            add,
            ..Interests::default()
        };
        peer.interests(link, asked, None);
    }
    for link in links {
        ask(&mut peer, link, [5_000]);
    }
    peer.settle();
    assert!(peer.sync.links_wanting(&account(8)).is_empty());
    see(&mut peer, 5_000);
    assert_eq!(peer.sync.links_wanting(&account(5_000)), links);
}

#[test]
fn a_device_and_a_relay_without_the_feature_use_the_salt_of_the_pair() {
    let mut device = Peer::new(&[]);
    let own = device.node.ctx.peer().expect("a key");
    let peers = [
        (Remote::peer(20), false),
        (Remote::relay(21), true),
        (
            Remote {
                relay_salt: false,
                ..Remote::relay(22)
            },
            false,
        ),
    ];
    for (remote, by_its_own) in peers {
        let link = device.link(&remote);
        let session = device.node.net.session(link).expect("a session");
        let pair = pair_salt(&own, &remote.id());
        let sent = if by_its_own {
            relay_salt(&remote.id())
        } else {
            pair
        };
        assert_eq!((session.salt_sent, session.salt_received), (sent, pair));
        assert!(!session.names_by_index);
    }
    let mut peer = relay(0);
    let own = peer.node.ctx.peer().expect("a key");
    let other = Remote::relay(23);
    let link = peer.link(&other);
    let session = peer.node.net.session(link).expect("a session");
    let salts = (relay_salt(&other.id()), relay_salt(&own));
    assert_eq!((session.salt_sent, session.salt_received), salts, "of two relays");
}

#[test]
fn accounts_that_come_and_go_while_the_index_is_built_and_later_are_found_while_they_are_held() {
    let mut peer = relay(10_000);
    let link = peer.link(&Remote::peer(20));
    ask(&mut peer, link, [0]);
    assert!(
        matches!(peer.sync.account_index.indexed, Indexed::UpTo(_)),
        "one input builds a part"
    );
    // On both sides of what was indexed so far.
    for n in [1, 9_999] {
        drop_account(&mut peer, n);
    }
    for n in [10_001, 10_000] {
        see(&mut peer, n);
    }
    drop_account(&mut peer, 10_001);
    see(&mut peer, 1);
    peer.settle();
    assert_eq!(peer.sync.account_index.indexed, Indexed::All);
    drop_account(&mut peer, 2);
    see(&mut peer, 10_002);
    let wanted = [0, 1, 2, 3, 9_999, 10_000, 10_001, 10_002];
    ask(&mut peer, link, wanted);
    peer.settle();
    let found = |n: &u32| !peer.sync.links_wanting(&account(*n)).is_empty();
    let found: Vec<u32> = wanted.into_iter().filter(found).collect();
    assert_eq!(found, [0, 1, 3, 10_000, 10_002]);
}

#[test]
fn two_accounts_with_one_salted_form_are_both_found() {
    let mut peer = relay(2);
    let mut index = AccountIndex::default();
    assert!(index.build(&peer.node.log, &[1; 32], &mut Turn::new(100)));
    let salted = SaltedAccount::new(&[1; 32], &account(0));
    let other = SaltedAccount::new(&[1; 32], &account(1));
    // The other one is filed under the same form, as if it had that.
    let (_, feed) = peer.node.log.feeds.feeds_of(&account(1)).next().expect("held");
    let number = feed.number;
    index.numbers.remove(&(other, number));
    index.numbers.insert((salted, number), ());
    let found: Set<_> = index.find(&peer.node.log.feeds, salted).collect();
    assert_eq!(found.len(), 2);
    index.numbers.remove(&(salted, number));
    index.numbers.insert((other, number), ());
    let numbers = take_out(&mut peer.node.log.feeds, 0);
    index.forget(&account(0), &numbers);
    assert_eq!(index.find(&peer.node.log.feeds, salted).count(), 0);
    assert_eq!(index.find(&peer.node.log.feeds, other).count(), 1);
}
