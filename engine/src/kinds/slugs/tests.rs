use protocol::names::{NameAnswer, RegistryId};
use protocol::{AccountId, Body, DeviceId, EntryId};

use super::*;
use crate::api::{QueryResult, Response};
use crate::kinds::Precedence;
use crate::kinds::testing::{Author, Bench, registry, slug};

pub(super) fn samples() -> Vec<Slug> {
    let mut ada = Author::new(1);
    let (one, two) = (ada.post("one").entry_ref(), ada.post("two").entry_ref());
    let named = |post: EntryRef, receipt| Slug {
        post: post.id,
        receipt,
    };
    vec![
        named(one, Some(slug("one", one, 1))),
        named(two, None),
        named(two, Some(slug("one", two, 2))),
        named(two, Some(foreign("two", two, 3))),
    ]
}

/// A receipt that gives another account a slug for this post.
fn foreign(name: &str, post: EntryRef, revision: u64) -> NameReceipt {
    let account = Author::new(2).account();
    slug(name, EntryRef { account, id: post.id }, revision)
}

fn say(
    author: &mut Author,
    lamport: u64,
    post: EntryRef,
    receipt: Option<NameReceipt>,
) -> protocol::VerifiedEntry {
    let post = post.id;
    author.write_at(lamport, &Body::Slug(Slug { post, receipt }))
}

/// The slug a post is shown with.
fn shown(bench: &Bench, post: &EntryRef) -> Option<String> {
    let rows = bench.read(vec![Slugs::read(post)]);
    Slugs::proven(&rows[0], &bench.kinds.registry).map(|receipt| receipt.name)
}

/// The post a slug leads to, by what is held here.
fn found(bench: &Bench, slug: &str) -> Option<EntryRef> {
    let slug = slug.to_owned();
    let mut step = bench.kinds.query(&Query::Slug { slug }, bench.viewer);
    loop {
        match step.expect("a matter of slugs") {
            Step::Read(reads, reading) => {
                let rows = bench.read(reads);
                step = Some(bench.kinds.on_rows(reading, rows, bench.viewer));
            }
            Step::Unknown(query) => {
                assert!(matches!(query, Query::Slug { slug } if slug == slug.to_ascii_lowercase()));
                return None;
            }
            Step::Response(Response::Result(reply)) => match *reply {
                QueryResult::Name(NameAnswer::Held(receipt)) => {
                    let (account, id) = (receipt.account, receipt.post?);
                    return Some(EntryRef { account, id });
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_newest_entry_about_a_slug_counts_in_whatever_order_they_come() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let late = say(&mut ada, 30, post, Some(slug("late", post, 2)));
    let early = say(&mut ada, 20, post, Some(slug("early", post, 1)));
    for entries in [[&late, &early], [&early, &late]] {
        let mut bench = Bench::new(Viewer::default());
        for entry in entries {
            bench.index(entry);
        }
        assert_eq!(shown(&bench, &post).as_deref(), Some("late"));
        assert_eq!(found(&bench, "late"), Some(post));
        assert_eq!(found(&bench, "early"), None, "the author says otherwise by now");
    }
}

#[test]
fn a_slug_leads_to_the_post_with_the_highest_revision() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let (one, two) = (ada.post("one").entry_ref(), bob.post("two").entry_ref());
    let mut bench = Bench::new(Viewer::default());
    bench.index(&say(&mut bob, 9, two, Some(slug("thing", two, 8))));
    bench.index(&say(&mut ada, 9, one, Some(slug("thing", one, 3))));
    assert_eq!(found(&bench, "thing"), Some(two));
    assert_eq!(found(&bench, "/Thing/"), Some(two), "as people write it");
}

#[test]
fn a_slug_that_was_given_back_is_neither_shown_nor_found() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let mut bench = Bench::new(Viewer::default());
    bench.index(&say(&mut ada, 9, post, Some(slug("thing", post, 1))));
    assert_eq!(found(&bench, "thing"), Some(post));
    bench.index(&say(&mut ada, 10, post, None));
    assert_eq!((shown(&bench, &post), found(&bench, "thing")), (None, None));
}

#[test]
fn only_receipts_of_the_registry_this_peer_believes_count() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let mut bench = Bench::without_registry(Viewer::default());
    bench.index(&say(&mut ada, 9, post, Some(slug("thing", post, 1))));
    assert_eq!((shown(&bench, &post), found(&bench, "thing")), (None, None));
    bench.learn(1);
    assert_eq!((shown(&bench, &post), found(&bench, "thing")), (None, None));
    let id = RegistryId(registry(0).public());
    bench.kinds.learn_registry(&mut bench.ctx, id, true);
    assert_eq!(shown(&bench, &post).as_deref(), Some("thing"));
    assert_eq!(found(&bench, "thing"), Some(post));
}

#[test]
fn a_receipt_for_another_account_counts_as_none() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let mut bench = Bench::new(Viewer::default());
    bench.index(&say(&mut ada, 9, post, Some(slug("own", post, 1))));
    bench.index(&say(&mut ada, 10, post, Some(foreign("foreign", post, 2))));
    assert_eq!(shown(&bench, &post), None, "the newest entry proves no slug");
    assert_eq!(found(&bench, "foreign"), None);
    assert_eq!(bench.store.len(Table::BySlug), 1, "no row leads there");
}

#[test]
fn a_void_entry_gives_the_slug_before_back() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let mut bench = Bench::new(Viewer::default());
    bench.index(&say(&mut ada, 9, post, Some(slug("before", post, 1))));
    let void = say(&mut ada, 10, post, Some(slug("after", post, 2)));
    bench.index(&void);
    assert_eq!(shown(&bench, &post).as_deref(), Some("after"));
    bench.unindex(&void);
    assert_eq!(shown(&bench, &post).as_deref(), Some("before"));
    assert_eq!(
        (found(&bench, "before"), found(&bench, "after")),
        (Some(post), None)
    );
}

#[test]
fn a_changed_slug_is_recorded_for_the_events() {
    let mut ada = Author::new(1);
    let post = ada.post("a post").entry_ref();
    let mut bench = Bench::new(Viewer::default());
    for (lamport, receipt) in [(9, Some(slug("thing", post, 1))), (10, None)] {
        bench.index(&say(&mut ada, lamport, post, receipt));
        let changed = core::mem::take(&mut bench.ctx.changed.beside);
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), [post]);
    }
}

#[test]
fn keys_are_those_of_stores_written_before() {
    let post = EntryRef {
        account: AccountId([1; 32]),
        id: EntryId([2; 32]),
    };
    let precedence = Precedence {
        lamport: 1,
        device: DeviceId([3; 32]),
        seq: 2,
    };
    let receipt = slug("thing", post, 5);
    let rows = rows::of(&post, Some(&receipt), &precedence);
    let newest = |n: u8| [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, !n];
    let key = [&[1; 32][..], &[2; 32], &newest(1), &[0xfc; 32], &newest(2)].concat();
    assert_eq!((rows[0].table, &rows[0].key), (Table::Slugs, &key));
    let registry = registry(0).public();
    let key = [&registry[..], b"thing\0", &newest(5), &[1; 32], &[2; 32]].concat();
    assert_eq!((rows[1].table, &rows[1].key), (Table::BySlug, &key));
    assert_eq!(rows[1].value, []);
    assert_eq!(rows::post_of(&(key, vec![])), Some(post));
    assert_eq!(rows::post_of(&(vec![0; 63], vec![])), None);
}
