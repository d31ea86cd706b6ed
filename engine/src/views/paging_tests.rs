use protocol::{AccountId, Body};

use super::*;
use crate::api::{Error, Query, Response, StoreState};
use crate::kinds::testing::{Author, slug};
use crate::store::{Op, Table};
use crate::views::testing::{Peer, feed_of, follow, texts};

#[test]
fn pages_continue_where_the_one_before_ended() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 7));
    let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = peer.page(Timeline::Public, after, 3);
        seen.extend(texts(&page.posts));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(pages, 3);
}

#[test]
fn a_timeline_without_posts_is_one_empty_page() {
    let page = Peer::new(None).page(Timeline::Public, None, 20);
    assert_eq!(page, api::Page::default());
}

#[test]
fn a_page_that_holds_the_last_post_says_that_it_is_the_end() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    assert_eq!(peer.page(Timeline::Public, None, 3).next, None);
    assert!(peer.page(Timeline::Public, None, 2).next.is_some());
}

#[test]
fn a_page_has_at_least_one_post_and_at_most_a_hundred() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 103));
    for (limit, expected) in [(0, 1), (1, 1), (100, 100), (u32::MAX, 100)] {
        let page = peer.page(Timeline::Public, None, limit);
        assert_eq!(page.posts.len(), expected);
    }
}

#[test]
fn posts_from_the_future_are_shown_when_their_time_has_come() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let now = peer.ctx.now.wall;
    let (near, far) = (now.plus(FUTURE_MAX), now.plus(FUTURE_MAX * 2));
    let entries = [ada.begin(), ada.post_at(near, "near"), ada.post_at(far, "far")];
    peer.take(&entries);
    for timeline in [Timeline::Public, Timeline::User(ada.account())] {
        assert_eq!(peer.texts(timeline), ["near"]);
    }
    peer.ctx.now.wall = now.plus(FUTURE_MAX);
    assert_eq!(peer.texts(Timeline::Public), ["far", "near"]);
}

#[test]
fn no_cursor_shows_posts_from_the_future() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let far = peer.ctx.now.wall.plus(FUTURE_MAX * 2);
    let mut entries = feed_of(&mut ada, 2);
    entries.push(ada.post_at(far, "far"));
    peer.take(&entries);
    let account = ada.account().0;
    for cursor in [account.to_vec(), [&account[..], &[0; 16]].concat()] {
        let page = peer.page(Timeline::User(ada.account()), Some(Cursor(cursor)), 9);
        assert_eq!(texts(&page.posts), ["1", "0"]);
    }
    let page = peer.page(Timeline::Public, Some(Cursor(vec![])), 9);
    assert_eq!(texts(&page.posts), ["1", "0"]);
    let page = peer.page(Timeline::Public, Some(Cursor(vec![0xff; 16])), 9);
    assert!(page.posts.is_empty());
}

#[test]
fn a_cursor_of_another_timeline_is_refused() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 2));
    peer.take(&feed_of(&mut bob, 2));
    let timeline = Timeline::User(bob.account());
    let of_ada = peer.page(Timeline::User(ada.account()), None, 1).next;
    for after in [of_ada, Some(Cursor(vec![])), Some(Cursor(vec![0xff; 48]))] {
        assert!(after.is_some());
        let limit = 9;
        let query = Query::Timeline {
            timeline,
            after,
            limit,
        };
        let refused = Response::Error(Error::NotFound);
        assert_eq!(peer.ask(query), Some(refused));
    }
}

#[test]
fn home_is_what_the_account_and_those_it_follows_wrote() {
    let (mut ada, mut bob, mut carol) = (Author::new(1), Author::new(2), Author::new(3));
    let mut peer = Peer::new(Some(&ada));
    let follow = follow(&mut ada, bob.account());
    let begin = Author::new(1).begin();
    peer.take(&[begin, follow, ada.post("own")]);
    bob.time = ada.time;
    peer.take(&[bob.begin(), bob.post("followed")]);
    carol.time = bob.time;
    peer.take(&[carol.begin(), carol.post("other")]);
    assert_eq!(peer.texts(Timeline::Home), ["followed", "own"]);
    assert_eq!(peer.texts(Timeline::Public), ["other", "followed", "own"]);
    assert_eq!(peer.texts(Timeline::User(carol.account())), ["other"]);
    assert_eq!(peer.texts(Timeline::User(AccountId([9; 32]))), [""; 0]);
}

#[test]
fn activity_is_what_others_answer() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let entries = [ada.begin(), ada.post("a question")];
    let question = entries[1].entry_ref();
    peer.take(&entries);
    let begin = bob.begin();
    peer.take(&[
        begin,
        bob.post("something"),
        bob.answer("an answer", question, question),
    ]);
    let page = peer.page(Timeline::Activity, None, 9);
    assert_eq!(texts(&page.posts), ["an answer"]);
    assert!(page.posts[0].in_activity);
    let all = peer.page(Timeline::Public, None, 9).posts;
    assert_eq!(all.iter().filter(|post| post.in_activity).count(), 1);
}

/// Adds rows to the public timeline, newer than this, of an author who is not followed.
fn crowd(peer: &mut Peer, newer_than: Timestamp, rows: usize) {
    let mut bob = Author::new(2);
    peer.take(&feed_of(&mut bob, 1));
    let feed = peer.log.feeds.get(&bob.device()).expect("held").number;
    let place = EntryPlace { feed, seq: 1 };
    for n in 0..rows {
        let time = newer_than.plus(Duration::from_millis(1 + n as u64));
        let key = timeline_rows(&Timeline::Public).not_newer(time);
        peer.ctx
            .write(Op::put(Table::ByTime, [&key[..], &[0; 8]].concat(), &place));
    }
    peer.settle();
}

#[test]
fn posts_far_down_are_found_behind_those_that_do_not_belong() {
    for rows in [
        INDEX_ROWS - 3,
        INDEX_ROWS - 2,
        INDEX_ROWS - 1,
        INDEX_ROWS,
        INDEX_ROWS * 3,
    ] {
        let mut ada = Author::new(1);
        let mut peer = Peer::new(Some(&ada));
        peer.take(&feed_of(&mut ada, 2));
        crowd(&mut peer, ada.time, rows);
        let page = peer.page(Timeline::Home, None, 9);
        assert_eq!(
            (texts(&page.posts), page.next),
            (vec!["1".into(), "0".into()], None)
        );
    }
}

#[test]
fn a_page_gives_up_after_a_bound_and_says_where_to_go_on() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    peer.take(&feed_of(&mut ada, 1));
    crowd(&mut peer, ada.time, INDEX_ROWS_MAX);
    let page = peer.page(Timeline::Home, None, 9);
    assert!(page.posts.is_empty());
    assert!(page.next.is_some());
    let page = peer.page(Timeline::Home, page.next, 9);
    assert_eq!((texts(&page.posts), page.next), (vec!["0".into()], None));
}

#[test]
fn void_posts_are_left_out_also_before_the_views_are_built_again() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    feed.forked = Some(2);
    assert_eq!(peer.texts(Timeline::Public), ["0"]);
    let page = peer.page(Timeline::Public, None, 1);
    assert_eq!(texts(&page.posts), ["0"], "they take no place in the page");
}

#[test]
fn posts_bear_what_stands_beside_them() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&bob));
    let mut entries = feed_of(&mut ada, 2);
    let post = entries[2].entry_ref();
    let receipt = Some(slug("thing", post, 1));
    let body = protocol::kinds::Slug {
        post: post.id,
        receipt,
    };
    entries.extend([ada.write(&Body::Slug(body)), ada.call("Ada")]);
    peer.take(&entries);
    peer.take(&[bob.begin(), bob.answer("an answer", post, post)]);
    let page = peer.page(Timeline::User(ada.account()), None, 9).posts;
    let beside = page.iter().map(|it| {
        (
            it.name.as_str(),
            it.beside.slug.as_str(),
            it.beside.replies,
            it.durability,
        )
    });
    let expected = [("Ada", "thing", 1, None), ("Ada", "", 0, None)];
    assert_eq!(beside.collect::<Vec<_>>(), expected);
    let own = peer.page(Timeline::User(bob.account()), None, 9).posts;
    let durability = own[0].durability.expect("an own post");
    assert_eq!((own[0].mine, durability.relays_known), (true, 3));
}

#[test]
fn a_store_that_cannot_be_read_refuses_the_page() {
    let mut peer = Peer::new(None);
    peer.broken = true;
    let query = Query::Timeline {
        timeline: Timeline::Public,
        after: None,
        limit: 9,
    };
    let refused = Response::Error(Error::Store(StoreState::Failing));
    assert_eq!(peer.ask(query), Some(refused));
}
