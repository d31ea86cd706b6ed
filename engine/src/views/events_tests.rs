use protocol::kinds::Slug;
use protocol::{Body, EntryRef, Timestamp};

use super::*;
use crate::api::{ClaimView, Connection, PostView};
use crate::kinds::testing::{Author, slug};
use crate::views::testing::{Peer, feed_of, texts};

/// The posts of the one event there is about posts.
fn post_event(peer: &Peer) -> (Vec<PostView>, bool) {
    let events = peer.events.iter().filter_map(|event| match event {
        Event::Posts { posts, more } => Some((posts.clone(), *more)),
        _ => None,
    });
    let events: Vec<_> = events.collect();
    assert_eq!(events.len(), 1, "{:?}", peer.events);
    events.into_iter().next().expect("one")
}

#[test]
fn posts_of_one_input_are_one_event_with_the_newest_first() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = feed_of(&mut ada, 3);
    entries.push(ada.post_at(Timestamp(5), "of long ago"));
    peer.take(&entries);
    let (posts, more) = post_event(&peer);
    assert_eq!(texts(&posts), ["2", "1", "0", "of long ago"]);
    assert!(!more);
}

#[test]
fn more_posts_than_fit_one_event_are_only_mentioned() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, FRESH_POSTS_MAX + 1));
    let (posts, more) = post_event(&peer);
    assert_eq!((posts.len(), more), (FRESH_POSTS_MAX, true));
    peer.events.clear();
    peer.take(&[ada.post("later")]);
    let (posts, more) = post_event(&peer);
    assert_eq!((posts.len(), more), (1, false));
}

#[test]
fn a_post_bears_what_came_with_it() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let entries = [ada.begin(), ada.post("first"), ada.call("Ada")];
    peer.take(&entries);
    let (posts, _) = post_event(&peer);
    assert_eq!(posts[0].name, "Ada");
}

/// The claim that is beside this post, by the last event about it.
fn claim_event(peer: &Peer, of: EntryRef) -> Option<ClaimView> {
    let events = peer.events.iter().rev();
    let mut found = events.filter_map(|event| match event {
        Event::Beside { post, slug_claim, .. } if *post == of => Some(slug_claim.clone()),
        _ => None,
    });
    found.next().expect("an event of the post")
}

fn claim() -> ClaimView {
    ClaimView {
        name: "other".into(),
        release: false,
        refused: None,
    }
}

#[test]
fn what_is_said_of_a_post_follows_it_and_bears_the_claim_of_an_own_one() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    let begin = ada.begin();
    let post = ada.post("a post");
    let of = post.entry_ref();
    peer.role.claims.push((of.id, claim()));
    let body = Slug {
        post: of.id,
        receipt: Some(slug("thing", of, 1)),
    };
    peer.take(&[begin, post, ada.write(&Body::Slug(body))]);
    let at = |is: fn(&Event) -> bool| peer.events.iter().position(is);
    let posts = at(|event| matches!(event, Event::Posts { .. }));
    let beside = at(|event| matches!(event, Event::Beside { .. }));
    assert!(posts.is_some() && posts < beside, "{:?}", peer.events);
    assert_eq!(claim_event(&peer, of), Some(claim()));
    assert_eq!(post_event(&peer).0[0].slug_claim, Some(claim()));
}

#[test]
fn a_claim_that_changed_is_an_event_of_its_post() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    let entries = feed_of(&mut ada, 1);
    let of = entries[1].entry_ref();
    peer.take(&entries);
    for claims in [vec![(of.id, claim())], Vec::new()] {
        let expected = claims.first().map(|(_, claim)| claim.clone());
        peer.role.claims = claims;
        peer.ctx.changed.record_beside(of);
        peer.settle();
        peer.serve();
        assert_eq!(claim_event(&peer, of), expected);
    }
}

#[test]
fn another_accounts_post_comes_without_a_claim() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&Author::new(2)));
    let post = ada.post("a post").entry_ref();
    peer.role.claims.push((post.id, claim()));
    peer.ctx.changed.record_beside(post);
    peer.settle();
    peer.serve();
    assert_eq!(claim_event(&peer, post), None);
}

#[test]
fn a_person_who_changed_is_one_event_an_input() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&[ada.begin(), ada.call("Ada"), ada.call("Countess")]);
    let profiles: Vec<_> = peer
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Profile(profile) => Some((profile.account, profile.name.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(profiles, [(ada.account(), "Countess")]);
}

#[test]
fn the_status_is_an_event_when_it_changes() {
    let mut peer = Peer::new(None);
    peer.settle();
    assert_eq!(peer.events, [], "it is as it was");
    peer.role.phrase_unconfirmed = true;
    peer.settle();
    peer.settle();
    let [Event::Status(status)] = peer.events[..] else {
        panic!("{:?}", peer.events);
    };
    assert_eq!(
        (status.phrase_confirmed, status.connection),
        (false, Connection::Connecting)
    );
}

#[test]
fn there_are_no_events_before_the_store_is_read() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.ctx.ready = false;
    peer.take(&feed_of(&mut ada, 1));
    assert_eq!(peer.events, []);
    peer.ctx.ready = true;
    peer.settle();
    assert_eq!(post_event(&peer).0.len(), 1);
}

#[test]
fn where_no_interface_listens_nothing_is_gathered() {
    let mut ada = Author::new(1);
    let mut peer = Peer::silent();
    peer.take(&feed_of(&mut ada, 2));
    peer.take(&[ada.call("Ada")]);
    assert_eq!(peer.events, []);
    let post = ada.post("a post");
    let of = post.entry_ref();
    peer.take(&[post, ada.answer("an answer", of, of)]);
    assert_eq!(peer.events, []);
    assert!(peer.ctx.changed.profiles.is_empty() && peer.ctx.changed.beside.is_empty());
    // What is held can be read all the same.
    assert_eq!(
        peer.texts(crate::api::Timeline::Public),
        ["an answer", "a post", "1", "0"]
    );
}

/// The events about what other entries say, in order: how many answers each post has.
fn beside_events(peer: &mut Peer) -> Vec<(EntryRef, u32)> {
    let events = core::mem::take(&mut peer.events).into_iter();
    let found = events.filter_map(|event| match event {
        Event::Beside { post, beside, .. } => Some((post, beside.replies)),
        _ => None,
    });
    found.collect()
}

#[test]
fn an_event_says_when_other_entries_change_what_is_shown_of_a_post() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let entries = feed_of(&mut ada, 1);
    let of = entries[1].entry_ref();
    peer.take(&entries);
    assert_eq!(beside_events(&mut peer), [], "a new post says all itself");
    let answers = [bob.begin(), bob.answer("one", of, of), bob.answer("two", of, of)];
    peer.take(&answers);
    assert_eq!(beside_events(&mut peer), [(of, 2)], "once for one input");
    peer.take(&[bob.answer("three", of, of)]);
    assert_eq!(beside_events(&mut peer), [(of, 3)]);
}

#[test]
fn of_many_posts_that_changed_some_are_read_at_a_time_and_too_many_are_left_out() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let posts = feed_of(&mut ada, BESIDE_MAX + 1);
    peer.take(&posts);
    let mut answers = vec![bob.begin()];
    for post in &posts[1..] {
        answers.push(bob.answer("an answer", post.entry_ref(), post.entry_ref()));
    }
    peer.slow = true;
    peer.take(&answers);
    peer.serve();
    peer.settle();
    assert_eq!(beside_events(&mut peer).len(), BESIDE_READ_MAX);
    peer.slow = false;
    peer.serve();
    peer.settle();
    assert_eq!(beside_events(&mut peer).len(), BESIDE_MAX - BESIDE_READ_MAX);
}

#[test]
fn what_cannot_be_read_gives_no_event_and_does_not_block_later_ones() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let entries = feed_of(&mut ada, 1);
    let of = entries[1].entry_ref();
    peer.take(&entries);
    peer.broken = true;
    peer.take(&[bob.begin(), bob.answer("one", of, of)]);
    assert_eq!(beside_events(&mut peer), []);
    peer.broken = false;
    peer.take(&[bob.answer("two", of, of)]);
    assert_eq!(beside_events(&mut peer), [(of, 2)]);
}
