use protocol::{AccountId, PeerId, Timestamp};

use super::*;
use crate::api::{ClaimView, Query, Timeline};
use crate::kinds::testing::{Author, slug};
use crate::log::records::HolderRecord;
use crate::views::testing::{Peer, feed_of};
use crate::views::{LOADS_MAX, Unanswered, subject};

fn claim() -> ClaimView {
    ClaimView {
        name: "thing".into(),
        release: false,
        refused: None,
    }
}

#[test]
fn own_posts_alone_bear_durability_and_claims() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    for author in [&mut ada, &mut bob] {
        let entries = feed_of(author, 1);
        peer.role.claims.push((entries[1].id(), claim()));
        peer.take(&entries);
    }
    let own = &peer.page_of(&ada)[0];
    assert!(own.durability.is_some());
    assert_eq!(own.slug_claim, Some(claim()));
    let other = &peer.page_of(&bob)[0];
    assert_eq!((other.durability, &other.slug_claim), (None, &None));
}

#[test]
fn an_own_post_lists_its_holders_and_a_post_that_is_not_here_is_not_found() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    let entries = feed_of(&mut ada, 2);
    peer.take(&entries);
    let record = HolderRecord {
        next_seq: 2,
        relay: true,
        at: Timestamp(5),
        ..HolderRecord::default()
    };
    peer.log.holders.restore(ada.device(), PeerId([1; 32]), record);
    let mut holders = |n: usize| {
        let post = entries[n].entry_ref();
        match peer.ask(Query::Holders { post }) {
            Some(Response::Result(reply)) => match *reply {
                QueryResult::Holders(holders) => holders.len(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([holders(1), holders(2)], [1, 0]);
    let post = Author::new(2).post("elsewhere").entry_ref();
    let refused = Response::Error(Error::NotFound);
    assert_eq!(peer.ask(Query::Holders { post }), Some(refused));
}

#[test]
fn queries_about_other_things_are_handed_back() {
    let mut peer = Peer::new(None);
    let account = AccountId([1; 32]);
    let queries = [
        Query::Phrase,
        Query::Network,
        Query::Replicas { account },
        Query::Name { name: "ada".into() },
    ];
    for query in queries {
        assert_eq!(peer.ask(query.clone()), None);
        assert_eq!(peer.unanswered.pop().map(|it| it.query), Some(query));
    }
}

#[test]
fn a_slug_that_is_not_here_is_handed_back_as_it_is_to_be_looked_up() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let slug_query = |slug: &str| Query::Slug { slug: slug.into() };
    assert_eq!(peer.ask(slug_query("/Thing/")), None);
    let handed_back = peer.unanswered.pop().map(|it: Unanswered| it.query);
    assert_eq!(handed_back, Some(slug_query("thing")));
    let mut entries = feed_of(&mut ada, 1);
    let post = entries[1].entry_ref();
    let receipt = Some(slug("thing", post, 1));
    let body = protocol::kinds::Slug {
        post: post.id,
        receipt,
    };
    entries.push(ada.write(&protocol::Body::Slug(body)));
    peer.take(&entries);
    let found = peer.ask(slug_query("/Thing/"));
    assert!(matches!(found, Some(Response::Result(_))), "{found:?}");
    assert_eq!(peer.unanswered, []);
}

#[test]
fn too_many_reads_at_once_are_refused_as_busy() {
    let mut peer = Peer::new(None);
    peer.slow = true;
    let query = Query::Timeline {
        timeline: Timeline::Public,
        after: None,
        limit: 1,
    };
    for _ in 0..LOADS_MAX {
        assert_eq!(peer.ask(query.clone()), None);
    }
    let refused = Response::Error(Error::Busy);
    assert_eq!(peer.ask(query), Some(refused));
    assert_eq!(peer.unanswered, []);
}

#[test]
fn a_query_about_a_person_names_whose_feeds_it_needs() {
    let post = Author::new(1).post("a post").entry_ref();
    let account = post.account;
    let timeline = |timeline| Query::Timeline {
        timeline,
        after: None,
        limit: 1,
    };
    assert_eq!(subject(&Query::Thread { post }), Some(account));
    assert_eq!(subject(&Query::Profile { account }), Some(account));
    assert_eq!(subject(&timeline(Timeline::User(account))), Some(account));
    assert_eq!(subject(&timeline(Timeline::Home)), None);
    assert_eq!(subject(&Query::Holders { post }), None);
}
