use protocol::kinds::{Kind, ReplyTo};
use protocol::{EntryId, EntryRef, Timestamp, codec};

use super::*;
use crate::api::Timeline;
use crate::kinds::testing::{Author, Bench, post};
use crate::store::Row;

pub(super) fn samples() -> Vec<Post> {
    // Author 2 is answered, and author 2 began the thread; see the tests of all kinds.
    let two = Author::new(2).post("a question").entry_ref();
    let three = Author::new(3).post("another").entry_ref();
    let reply = |root, parent| Some(ReplyTo { root, parent });
    vec![
        post("a post", None),
        post("an answer", reply(three, two)),
        post("in a thread", reply(two, three)),
        post("elsewhere", reply(three, three)),
    ]
}

/// The texts of the posts behind the rows of a table, in the order of its keys.
fn ids(bench: &Bench, table: Table) -> Vec<EntryId> {
    let rows = bench.store.rows(table).into_keys();
    let short = rows.map(|key| key[key.len() - 8..].to_vec());
    let full: Vec<_> = bench.store.rows(Table::Ids).into_keys().collect();
    let find = |short: Vec<u8>| full.iter().find(|id| id.starts_with(&short));
    short
        .map(|it| EntryId(find(it).expect("listed").as_slice().try_into().expect("an id")))
        .collect()
}

#[test]
fn timelines_are_newest_first_and_answers_oldest_first() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    let root = ada.post_at(Timestamp(10_000), "root");
    let early = ada.answer("early", root.entry_ref(), root.entry_ref());
    let late = bob.answer("late", root.entry_ref(), root.entry_ref());
    for entry in [&early, &root, &late] {
        bench.index(entry);
    }
    assert_eq!(ids(&bench, Table::ByTime), [late.id(), early.id(), root.id()]);
    assert_eq!(ids(&bench, Table::ByParent), [early.id(), late.id()]);
    let mut by_author = ids(&bench, Table::ByAccount);
    if ada.account() > bob.account() {
        by_author.rotate_left(1);
    }
    assert_eq!(by_author, [early.id(), root.id(), late.id()]);
}

#[test]
fn keys_are_those_of_stores_written_before() {
    let (account, id) = (AccountId([1; 32]), EntryId([2; 32]));
    let time = Timestamp(0x0102);
    let newest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfd];
    assert_eq!(rows::by_time(time, &id), [&newest[..], &[2; 8]].concat());
    let key = [&[1; 32][..], &newest, &[2; 8]].concat();
    assert_eq!(rows::by_account(&account, time, &id), key);
    let key = [&[2; 32][..], &[0, 0, 0, 0, 0, 0, 1, 2], &[2; 8]].concat();
    assert_eq!(rows::by_parent(&id, time, &id), key);
    let user = timeline(&Timeline::User(account));
    assert_eq!(user.not_newer(time), [&[1; 32][..], &newest].concat());
}

#[test]
fn posts_of_one_moment_have_the_same_order_everywhere() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let at = Timestamp(5_000);
    let (one, two) = (ada.post_at(at, "one"), bob.post_at(at, "two"));
    let mut bench = Bench::new(Viewer::default());
    bench.index(&one);
    bench.index(&two);
    let mut by_id = [one.id(), two.id()];
    by_id.sort_unstable();
    assert_eq!(ids(&bench, Table::ByTime), by_id);
}

#[test]
fn activity_is_what_others_answer_to_own_posts_or_write_in_own_threads() {
    let [me, other, third] = [1, 2, 3].map(|n| Author::new(n).account());
    let of = |account| EntryRef {
        account,
        id: EntryId([9; 32]),
    };
    let answer = |root, parent| {
        let (root, parent) = (of(root), of(parent));
        post("an answer", Some(ReplyTo { root, parent }))
    };
    let viewer = Viewer { me: Some(me) };
    for (author, post, expected) in [
        (other, answer(third, me), true),
        (other, answer(me, third), true),
        (other, answer(third, third), false),
        (me, answer(me, me), false),
        (other, post("no answer", None), false),
    ] {
        assert_eq!(in_activity(&post, &author, viewer), expected, "{post:?}");
        let without_account = Viewer::default();
        assert!(!in_activity(&post, &author, without_account));
    }
}

#[test]
fn a_post_says_itself_whether_it_belongs_into_the_activity_timeline() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(ada.viewer());
    let question = ada.post("a question");
    let answer = bob.answer("an answer", question.entry_ref(), question.entry_ref());
    for (entry, expected) in [(question, false), (answer, true)] {
        let post = bench.index(&entry).post.expect("a post");
        let view = bench.kinds.post_view(&post, bench.viewer);
        assert_eq!((view.in_activity, view.mine), (expected, !expected));
    }
    assert_eq!(bench.store.len(Table::Activity), 1);
}

#[test]
fn answers_are_counted_up_to_a_bound() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    let question = ada.post("a question");
    bench.index(&question);
    for n in 0..=REPLIES_COUNTED_MAX {
        let answer = bob.answer(&format!("{n}"), question.entry_ref(), question.entry_ref());
        bench.index(&answer);
    }
    let rows = bench.read(Post::around(&question.entry_ref(), bench.viewer));
    let mut beside = Beside::default();
    Post::decorate(&mut beside, &rows, &bench.kinds.context(bench.viewer));
    assert_eq!(beside.replies as usize, REPLIES_COUNTED_MAX);
}

#[test]
fn only_posts_are_read_as_posts() {
    let mut ada = Author::new(1);
    let row = |entry: &protocol::VerifiedEntry| -> Row { (Vec::new(), codec::encode(entry.entry())) };
    let entry = ada.post("a post");
    let read = PostEntry::parse(&row(&entry)).expect("a post");
    assert_eq!((read.entry, read.seq), (entry.entry_ref(), 1));
    assert_eq!(PostEntry::parse(&row(&ada.call("Ada"))), None);
    assert_eq!(PostEntry::parse(&(Vec::new(), vec![1, 2, 3])), None);
    let mut other = entry.entry().clone();
    other.signed.header.kind = Kind::PROFILE;
    assert_eq!(PostEntry::parse(&(Vec::new(), codec::encode(&other))), None);
}
