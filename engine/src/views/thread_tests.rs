use protocol::Body;
use protocol::kinds::Slug;

use super::*;
use crate::kinds::testing::{Author, slug};
use crate::views::testing::{Peer, texts};

#[test]
fn a_thread_goes_from_the_root_down_to_the_post_and_on_to_its_answers() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = vec![ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    let mut parent = root;
    for text in ["one", "two", "three", "four"] {
        let entry = ada.answer(text, root, parent);
        parent = entry.entry_ref();
        entries.push(entry);
    }
    peer.take(&entries);
    let thread = peer.thread(entries[3].entry_ref());
    assert_eq!(thread.post.map(|post| post.text).as_deref(), Some("two"));
    assert_eq!(texts(&thread.ancestors), ["root", "one"]);
    assert_eq!(texts(&thread.replies), ["three", "four"]);
}

#[test]
fn answers_of_all_branches_are_oldest_first() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    let entries = [ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    peer.take(&entries);
    bob.time = ada.time;
    let mut answers = vec![bob.begin(), bob.answer("first", root, root)];
    answers.push(bob.answer("second", root, root));
    answers.push(bob.answer("to the first", root, answers[1].entry_ref()));
    answers.push(bob.answer("third", root, root));
    peer.take(&answers);
    let thread = peer.thread(root);
    let expected = ["first", "second", "to the first", "third"];
    assert_eq!(texts(&thread.replies), expected);
    let counts: Vec<_> = thread.replies.iter().map(|post| post.beside.replies).collect();
    assert_eq!(counts, [1, 0, 0, 0]);
    assert_eq!(thread.post.map(|post| post.beside.replies), Some(3));
}

#[test]
fn a_gap_ends_the_ancestors() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    // Bob's post is not held here.
    let root = ada.post("root").entry_ref();
    let missing = bob.answer("missing", root, root).entry_ref();
    let mut carol = Author::new(3);
    let entries = [carol.begin(), carol.answer("below", root, missing)];
    peer.take(&entries);
    let mut last = vec![carol.answer("last", root, entries[1].entry_ref())];
    peer.take(&last);
    let thread = peer.thread(last.remove(0).entry_ref());
    assert_eq!(thread.post.map(|post| post.text).as_deref(), Some("last"));
    assert_eq!(texts(&thread.ancestors), ["below"]);
}

#[test]
fn answers_to_a_post_that_is_not_here_are_shown_and_the_post_is_searched_for() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    let missing = ada.post("missing").entry_ref();
    peer.take(&[bob.begin(), bob.answer("an answer", missing, missing)]);
    let thread = peer.thread(missing);
    assert_eq!((thread.post, thread.searching), (None, false));
    assert_eq!(texts(&thread.replies), ["an answer"]);
    peer.role.searching.push(missing.account);
    assert!(peer.thread(missing).searching);
}

#[test]
fn a_post_that_is_here_is_not_searched_for() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let entries = [ada.begin(), ada.post("here")];
    peer.take(&entries);
    peer.role.searching.push(ada.account());
    let thread = peer.thread(entries[1].entry_ref());
    assert!(thread.post.is_some() && !thread.searching);
}

#[test]
fn a_void_post_is_not_shown() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let entries = [ada.begin(), ada.post("valid"), ada.post("void")];
    peer.take(&entries);
    let feed = peer.log.feeds.get_mut(&ada.device()).expect("held");
    feed.revoked = Some(2);
    assert!(peer.thread(entries[1].entry_ref()).post.is_some());
    assert_eq!(peer.thread(entries[2].entry_ref()).post, None);
}

#[test]
fn the_number_of_ancestors_is_bounded() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = vec![ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    let mut parent = root;
    for n in 0..ANCESTORS_MAX + 3 {
        let entry = ada.answer(&n.to_string(), root, parent);
        parent = entry.entry_ref();
        entries.push(entry);
    }
    peer.take(&entries);
    let thread = peer.thread(parent);
    assert_eq!(thread.ancestors.len(), ANCESTORS_MAX);
    let nearest = (ANCESTORS_MAX + 1).to_string();
    assert_eq!(thread.ancestors.last().map(|post| &post.text), Some(&nearest));
}

#[test]
fn the_number_of_answers_is_bounded() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = vec![ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    for n in 0..REPLIES_MAX - 1 {
        entries.push(ada.answer(&format!("first {n}"), root, root));
    }
    let first = entries[2].entry_ref();
    for n in 0..3 {
        entries.push(ada.answer(&format!("second {n}"), root, first));
    }
    peer.take(&entries);
    let thread = peer.thread(root);
    assert_eq!(thread.replies.len(), REPLIES_MAX);
    let last = thread.replies.last().map(|post| post.text.as_str());
    assert_eq!(last, Some("second 0"));
}

#[test]
fn the_bound_of_answers_holds_over_all_branches() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = vec![ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    let branches = [ada.answer("one", root, root), ada.answer("two", root, root)];
    entries.extend(branches.clone());
    for branch in &branches {
        for n in 0..REPLIES_MAX - 2 {
            entries.push(ada.answer(&n.to_string(), root, branch.entry_ref()));
        }
    }
    peer.take(&entries);
    assert_eq!(peer.thread(root).replies.len(), REPLIES_MAX);
}

#[test]
fn every_post_of_a_thread_bears_what_stands_beside_it() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    let mut entries = vec![ada.begin(), ada.post("root")];
    let root = entries[1].entry_ref();
    entries.push(ada.answer("the post", root, root));
    let post = entries[2].entry_ref();
    entries.push(ada.answer("an answer", root, post));
    for (name, of) in [("a", root), ("b", post), ("c", entries[3].entry_ref())] {
        let receipt = Some(slug(name, of, 1));
        let post = of.id;
        entries.push(ada.write(&Body::Slug(Slug { post, receipt })));
    }
    peer.take(&entries);
    let thread = peer.thread(post);
    let beside = |post: &PostView| (post.beside.slug.clone(), post.beside.replies);
    assert_eq!(
        thread.ancestors.iter().map(beside).collect::<Vec<_>>(),
        [("a".into(), 1)]
    );
    assert_eq!(thread.post.as_ref().map(beside), Some(("b".into(), 1)));
    assert_eq!(
        thread.replies.iter().map(beside).collect::<Vec<_>>(),
        [("c".into(), 0)]
    );
}
