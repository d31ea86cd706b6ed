use super::*;
use crate::api::{Query, QueryResult, Response};
use crate::kinds::testing::Author;
use crate::views::OwnView;
use crate::views::testing::{Peer, feed_of, follow};

fn own(author: &Author) -> OwnView {
    OwnView {
        account: author.account(),
        device: author.device(),
        claim: None,
        offer: None,
        relays_only: true,
        old_copy: false,
        set_aside: 0,
        elsewhere: false,
    }
}

#[test]
fn a_person_of_whom_nothing_is_here_is_searched_for_if_peers_are_asked() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    assert!(!view(&peer.context(), &ada.account()).searching);
    peer.role.searching.push(ada.account());
    assert!(view(&peer.context(), &ada.account()).searching);
    peer.take(&feed_of(&mut ada, 1));
    let found = view(&peer.context(), &ada.account());
    assert_eq!((found.searching, found.entries), (false, 2));
}

#[test]
fn a_fork_of_one_device_shows_at_the_person() {
    let (mut one, mut two) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut one, 1));
    peer.take(&feed_of(&mut two, 2));
    let account = one.account();
    assert!(!view(&peer.context(), &account).forked);
    peer.log.feeds.get_mut(&two.device()).expect("held").forked = Some(1);
    let person = view(&peer.context(), &account);
    assert_eq!((person.forked, person.entries), (true, 3));
}

#[test]
fn the_own_account_lists_its_devices_with_this_one_first() {
    let (mut one, mut two) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let mut peer = Peer::new(Some(&two));
    assert_eq!(me_view(&peer.context()), None, "no account yet");
    let mut entries = feed_of(&mut one, 1);
    entries.extend([one.call("Ada"), follow(&mut one, Author::new(2).account())]);
    peer.take(&entries);
    peer.take(&feed_of(&mut two, 2));
    peer.log.feeds.get_mut(&one.device()).expect("held").revoked = Some(3);
    peer.role.own = Some(own(&two));
    let me = me_view(&peer.context()).expect("an account");
    let devices: Vec<_> = me
        .devices
        .iter()
        .map(|it| (it.device, it.this, it.revoked, it.entries))
        .collect();
    let expected = [(two.device(), true, false, 3), (one.device(), false, true, 3)];
    assert_eq!(devices, expected);
    assert_eq!((me.name.as_str(), me.following, me.relays_only), ("Ada", 1, true));
    assert_eq!((me.revoked, me.forked), (false, false), "it is another device");
}

#[test]
fn a_device_that_was_withdrawn_or_forked_knows_it() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    peer.take(&feed_of(&mut ada, 1));
    peer.role.own = Some(own(&ada));
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    (feed.revoked, feed.forked) = (Some(2), Some(2));
    let me = me_view(&peer.context()).expect("an account");
    assert_eq!((me.revoked, me.forked), (true, true));
}

#[test]
fn the_people_one_follows_are_listed_with_their_names() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let begin = ada.begin();
    peer.take(&[begin, follow(&mut ada, bob.account())]);
    peer.take(&[bob.begin(), bob.call("Bob")]);
    let Some(Response::Result(reply)) = peer.ask(Query::Following) else {
        panic!("an answer");
    };
    let QueryResult::Profiles(people) = *reply else {
        panic!("{reply:?}");
    };
    let people: Vec<_> = people.iter().map(|it| (it.name.as_str(), it.followed)).collect();
    assert_eq!(people, [("Bob", true)]);
}
