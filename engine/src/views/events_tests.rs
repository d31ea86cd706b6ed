use protocol::kinds::Slug;
use protocol::{Body, Timestamp};

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

#[test]
fn a_slug_follows_the_post_it_is_of_and_bears_the_claim_of_an_own_one() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    let begin = ada.begin();
    let post = ada.post("a post");
    let of = post.entry_ref();
    let claim = ClaimView {
        name: "other".into(),
        release: false,
        refused: None,
    };
    peer.role.claims.push((of.id, claim.clone()));
    let body = Slug {
        post: of.id,
        receipt: Some(slug("thing", of, 1)),
    };
    peer.take(&[begin, post, ada.write(&Body::Slug(body))]);
    let posts = peer
        .events
        .iter()
        .position(|event| matches!(event, Event::Posts { .. }));
    let expected = Event::Slug {
        post: of,
        slug: Some("thing".into()),
        claim: Some(claim.clone()),
    };
    let slug = peer.events.iter().position(|event| *event == expected);
    assert!(posts.is_some() && posts < slug, "{:?}", peer.events);
    assert_eq!(post_event(&peer).0[0].slug_claim, Some(claim));
}

#[test]
fn another_accounts_slug_comes_without_a_claim() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&Author::new(2)));
    let post = ada.post("a post").entry_ref();
    let claim = ClaimView {
        name: "other".into(),
        release: false,
        refused: None,
    };
    peer.role.claims.push((post.id, claim));
    peer.ctx.changed.slugs.push((post, None));
    peer.settle();
    let (slug, claim) = (None, None);
    assert_eq!(peer.events, [Event::Slug { post, slug, claim }]);
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
    assert!(peer.ctx.changed.profiles.is_empty());
    // What is held can be read all the same.
    assert_eq!(peer.texts(crate::api::Timeline::Public), ["1", "0"]);
}
