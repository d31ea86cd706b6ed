use protocol::{Body, EntryRef, Timestamp};

use super::*;
use crate::api::Timeline;
use crate::kinds::testing::{Author, slug};
use crate::views::testing::{Peer, feed_of, follow};

fn void_from(peer: &mut Peer, author: &Author, seq: u64) {
    let feed = peer.log.feeds.get_mut(&author.device()).expect("held");
    feed.forked = Some(seq);
    peer.views
        .reindex(&mut peer.ctx, &mut peer.log, &mut peer.kinds, author.account());
    peer.settle();
}

/// Lets time pass, and the timer run.
fn pass(peer: &mut Peer, ms: u64) {
    peer.ctx.now.instant = peer.ctx.now.instant + Duration::from_millis(ms);
    peer.views.on_timer(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
    peer.settle();
}

fn rebuild(peer: &mut Peer) {
    peer.views.rebuild(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
    peer.settle();
}

fn posts(peer: &Peer, author: &Author) -> u64 {
    peer.log.feeds.get(&author.device()).expect("held").posts
}

#[test]
fn posts_that_became_void_leave_every_table_and_the_count() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 4));
    void_from(&mut peer, &ada, 3);
    for table in [Table::Ids, Table::ByTime, Table::ByAccount] {
        assert_eq!(peer.store.len(table), 2, "{table:?}");
    }
    assert_eq!(posts(&peer, &ada), 2);
    let feed = peer.log.feeds.get(&ada.device()).expect("held");
    assert_eq!(feed.signed_at, Timestamp(1_002_000), "of the last valid entry");
    assert_eq!(peer.reindexed, [ada.account()]);
    assert!(!peer.views.is_reindexing());
}

#[test]
fn an_account_whose_entries_become_void_again_and_again_is_indexed_again_at_growing_intervals() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 99));
    // Forks, each lower than the last, ten a second.
    for seq in (2..99).rev() {
        void_from(&mut peer, &ada, seq);
        pass(&mut peer, 100);
    }
    assert_eq!(peer.reindexed.len(), 2, "no more in the first ten seconds");
    assert!(posts(&peer, &ada) > 90);
    // It is written down that there is more to do, and a crash does not change that.
    assert!(
        peer.store
            .rows(Table::Meta)
            .iter()
            .any(|(key, _)| key.starts_with(meta::REINDEX))
    );
    pass(&mut peer, 10_000);
    assert_eq!((peer.reindexed.len(), posts(&peer, &ada)), (3, 1));
    assert!(
        !peer
            .store
            .rows(Table::Meta)
            .iter()
            .any(|(key, _)| key.starts_with(meta::REINDEX))
    );
    // Next time it takes longer.
    void_from(&mut peer, &ada, 1);
    pass(&mut peer, 10_000);
    assert_eq!((peer.reindexed.len(), posts(&peer, &ada)), (3, 1));
    pass(&mut peer, 10_000);
    assert_eq!((peer.reindexed.len(), posts(&peer, &ada)), (4, 0));
    // After a quiet time it is as at first.
    pass(&mut peer, 600_000);
    assert!(peer.views.reindex.lately.is_empty());
}

#[test]
fn a_profile_that_became_void_gives_the_one_before_back() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(Some(&ada));
    peer.take(&[ada.begin(), ada.call("Ada"), ada.call("Mallory")]);
    assert_eq!(peer.kinds.name_of(&ada.account()), "Mallory");
    void_from(&mut peer, &ada, 2);
    assert_eq!(peer.kinds.name_of(&ada.account()), "Ada");
    assert_eq!(peer.store.len(Table::Profiles), 1);
    let me = peer.events.iter().any(|event| matches!(event, Event::Profile(_)));
    assert!(me, "{:?}", peer.events);
}

#[test]
fn follows_that_became_void_are_gone_and_others_stay() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let (two, three) = (bob.account(), Author::new(3).account());
    let entries = [ada.begin(), follow(&mut ada, two), follow(&mut ada, three)];
    peer.take(&entries);
    peer.take(&feed_of(&mut bob, 1));
    void_from(&mut peer, &ada, 2);
    let followed: Vec<_> = peer.kinds.followed().collect();
    assert_eq!(followed, [two]);
    void_from(&mut peer, &bob, 1);
    assert_eq!(
        peer.kinds.followed().count(),
        1,
        "another account says nothing of that"
    );
}

#[test]
fn what_a_crash_interrupted_is_completed_at_the_next_start() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&[ada.begin(), ada.call("Ada")]);
    peer.slow = true;
    void_from(&mut peer, &ada, 9);
    assert_eq!(
        peer.store.len(Table::Profiles),
        0,
        "cleared, and not yet indexed again"
    );
    let again = peer.restarted(None);
    assert_eq!(again.reindexed, [ada.account()]);
    assert_eq!(again.kinds.name_of(&ada.account()), "Ada");
    assert_eq!(again.store.len(Table::Profiles), 1);
    assert_eq!(again.store.len(Table::Meta), 2, "the registry and the kinds");
}

#[test]
fn a_rebuild_throws_stray_rows_away_and_gives_the_same_views() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(Some(&ada));
    let mut entries = feed_of(&mut ada, STEP_ROWS + 3);
    entries.extend([ada.call("Ada"), follow(&mut ada, bob.account())]);
    peer.take(&entries);
    let question = entries[1].entry_ref();
    peer.take(&[bob.begin(), bob.answer("an answer", question, question)]);
    let before = peer.store.clone();
    for table in Kinds::INDEX_TABLES {
        peer.ctx.write(Op::put(*table, vec![9; 60], &1_u8));
    }
    peer.ctx.write(Op::Delete {
        table: Table::Ids,
        key: question.id.0.to_vec(),
    });
    peer.settle();
    peer.events.clear();
    rebuild(&mut peer);
    for table in Kinds::INDEX_TABLES.iter().chain(Kinds::STATE_TABLES) {
        assert_eq!(peer.store.rows(*table), before.rows(*table), "{table:?}");
    }
    assert_eq!(
        peer.store.rows(Table::Meta),
        before.rows(Table::Meta),
        "no work is left"
    );
    assert_eq!(posts(&peer, &ada), STEP_ROWS as u64 + 3);
    let progress: Vec<_> = peer
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Rebuilding { done, total } => Some((*done, *total)),
            _ => None,
        })
        .collect();
    let total = peer.log.feeds.entries();
    assert_eq!(progress.last(), Some(&(total, total)));
    assert!(
        progress.windows(2).all(|pair| pair[0].0 <= pair[1].0),
        "{progress:?}"
    );
    assert!(progress.len() > 3, "{progress:?}");
}

#[test]
fn an_interrupted_rebuild_begins_again() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 3));
    peer.slow = true;
    rebuild(&mut peer);
    // The tables are being cleared.
    for _ in 0..3 {
        peer.serve();
        peer.settle();
    }
    assert_eq!(peer.store.len(Table::ByTime), 0);
    let mut again = peer.restarted(None);
    assert_eq!(again.texts(Timeline::Public), ["2", "1", "0"]);
    assert!(!again.views.is_reindexing());
    assert_eq!(again.store.len(Table::Meta), 2, "the registry and the kinds");
}

#[test]
fn posts_that_come_while_a_feed_is_indexed_are_counted_once() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, STEP_ROWS + 10));
    peer.slow = true;
    rebuild(&mut peer);
    let mut came = 0;
    while peer.views.is_reindexing() {
        let before = posts(&peer, &ada);
        peer.take(&[ada.post("meanwhile")]);
        came += 1;
        assert!(posts(&peer, &ada) > before, "it never falls");
        peer.serve();
        peer.settle();
    }
    assert!(came > 2);
    assert_eq!(posts(&peer, &ada), (STEP_ROWS + 10 + came) as u64);
    let feed = peer.log.feeds.get(&ada.device()).expect("held");
    assert_eq!(feed.signed_at.0, ada.time.0 - 1_000, "of the newest");
}

#[test]
fn a_load_that_failed_is_tried_again() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 4));
    peer.broken = true;
    void_from(&mut peer, &ada, 3);
    assert!(peer.views.is_reindexing());
    peer.views.on_timer(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
    peer.settle();
    assert!(peer.views.is_reindexing(), "it still fails");
    peer.broken = false;
    peer.views.on_timer(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
    peer.settle();
    assert!(!peer.views.is_reindexing());
    assert_eq!(posts(&peer, &ada), 2);
}

#[test]
fn time_alone_starts_no_second_load() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 4));
    peer.slow = true;
    void_from(&mut peer, &ada, 3);
    let loads = peer.ctx.loads_len();
    peer.views.on_timer(&mut peer.ctx, &mut peer.log, &mut peer.kinds);
    assert_eq!(peer.ctx.loads_len(), loads);
}

#[test]
fn an_account_that_becomes_void_once_more_is_indexed_once_more() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 6));
    peer.slow = true;
    void_from(&mut peer, &ada, 5);
    for _ in 0..3 {
        void_from(&mut peer, &ada, 3);
    }
    peer.slow = false;
    peer.serve();
    peer.settle();
    assert_eq!(peer.reindexed, [ada.account(), ada.account()]);
    assert_eq!(posts(&peer, &ada), 2);
    assert_eq!(peer.store.len(Table::ByTime), 2);
    assert_eq!(peer.store.len(Table::Meta), 2, "the registry and the kinds");
}

#[test]
fn a_crash_between_the_two_rounds_of_an_account_loses_neither() {
    let mut ada = Author::new(1);
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 6));
    peer.slow = true;
    void_from(&mut peer, &ada, 5);
    void_from(&mut peer, &ada, 3);
    peer.serve();
    peer.settle();
    assert_eq!(peer.reindexed, [ada.account()], "the first round is over");
    let again = peer.restarted(None);
    assert_eq!(again.reindexed, [ada.account()]);
    assert_eq!(again.store.len(Table::Meta), 2, "the registry and the kinds");
}

#[test]
fn an_account_that_is_dropped_meanwhile_ends_its_work() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut ada, 2));
    peer.take(&feed_of(&mut bob, 2));
    peer.slow = true;
    void_from(&mut peer, &ada, 2);
    void_from(&mut peer, &bob, 2);
    peer.log.feeds.forget(&ada.account());
    peer.slow = false;
    peer.serve();
    peer.settle();
    assert!(!peer.views.is_reindexing());
    assert_eq!(posts(&peer, &bob), 1);
}

#[test]
fn both_feeds_of_an_account_are_indexed() {
    let (mut one, mut two) = (Author::with_device(1, 0), Author::with_device(1, 1));
    let mut peer = Peer::new(None);
    peer.take(&feed_of(&mut one, 2));
    peer.take(&feed_of(&mut two, 3));
    for table in [Table::ByTime, Table::Ids, Table::ByAccount] {
        for (key, _) in peer.store.rows(table) {
            peer.ctx.write(Op::Delete { table, key });
        }
    }
    peer.settle();
    void_from(&mut peer, &one, 2);
    assert_eq!((posts(&peer, &one), posts(&peer, &two)), (1, 3));
    assert_eq!(peer.texts(Timeline::User(one.account())).len(), 4);
}

#[test]
fn only_own_rows_of_meta_are_taken_in() {
    let mut reindex = Reindex::default();
    assert_eq!(reindex.restore(b"identity", &[]), None);
    assert_eq!(reindex.restore(&[meta::REINDEX, &[1; 9]].concat(), &[]), None);
    assert_eq!(reindex.restore(meta::KINDS, &[9]), None, "a damaged row");
    assert!(!reindex.is_busy());
    assert_eq!(
        reindex.restore(&[meta::REINDEX, &[1; 32]].concat(), &[]),
        Some(())
    );
    assert!(reindex.is_busy());
    let mut reindex = Reindex::default();
    assert_eq!(reindex.restore(meta::REBUILD, &[]), Some(()));
    assert!(reindex.is_busy());
}

/// The store as a version leaves it that stored entries of these kinds and did not index them: their rows are missing,
/// and the record does not name them (`recorded`) or is missing.
fn written_before(peer: &mut Peer, unknown: &[Kind], tables: &[Table], recorded: bool) {
    for table in tables {
        for (key, _) in peer.store.rows(*table) {
            peer.ctx.write(Op::Delete { table: *table, key });
        }
    }
    let known = Kinds::INDEXED.iter().filter(|kind| !unknown.contains(kind));
    let known: Vec<_> = known.copied().collect();
    peer.ctx.write(match recorded {
        true => Op::put(Table::Meta, meta::KINDS.to_vec(), &known),
        false => unmark(meta::KINDS.to_vec()),
    });
    peer.settle();
}

/// Ada's post with a slug, and another feed.
fn post_with_slug() -> (Author, Peer, EntryRef) {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut peer = Peer::new(None);
    let (begin, post) = (ada.begin(), ada.post("a post"));
    let of = post.entry_ref();
    let receipt = Some(slug("thing", of, 1));
    let body = Body::Slug(protocol::kinds::Slug { post: of.id, receipt });
    peer.take(&[begin, post, ada.write(&body), ada.call("Ada")]);
    peer.take(&feed_of(&mut bob, STEP_ROWS + 2));
    (ada, peer, of)
}

#[test]
fn entries_of_a_kind_that_the_version_before_did_not_know_are_indexed_at_the_start() {
    let (ada, mut peer, of) = post_with_slug();
    let expected = peer.store.clone();
    written_before(&mut peer, &[Kind::SLUG], &[Table::Slugs, Table::BySlug], true);
    let mut again = peer.restarted(None);
    for table in Table::ALL {
        assert_eq!(again.store.rows(*table), expected.rows(*table), "{table:?}");
    }
    let post = again.thread(of).post.expect("held");
    assert_eq!(post.beside.slug, "thing");
    assert_eq!(
        (posts(&again, &ada), again.kinds.name_of(&ada.account())),
        (1, "Ada")
    );
    assert_eq!(again.reindexed, [], "nobody's account was indexed again");
}

#[test]
fn entries_of_known_kinds_are_left_alone_meanwhile() {
    let (_, mut peer, _) = post_with_slug();
    let tables = [Table::Slugs, Table::BySlug, Table::ByTime];
    written_before(&mut peer, &[Kind::SLUG], &tables, true);
    let again = peer.restarted(None);
    assert_eq!(
        (again.store.len(Table::Slugs), again.store.len(Table::ByTime)),
        (1, 0)
    );
}

#[test]
fn an_interrupted_start_goes_on_with_the_new_kinds_at_the_next() {
    let (_, mut peer, _) = post_with_slug();
    written_before(&mut peer, &[Kind::SLUG], &[Table::Slugs, Table::BySlug], true);
    let record = peer.store.rows(Table::Meta);
    let interrupted = peer.restarted_slowly();
    assert!(!interrupted.views.is_reindexing(), "what is known is complete");
    assert_eq!(
        interrupted.store.rows(Table::Meta),
        record,
        "not before all is done"
    );
    let again = interrupted.restarted(None);
    assert_eq!(again.store.len(Table::Slugs), 1);
    assert_ne!(again.store.rows(Table::Meta), record);
}

#[test]
fn void_entries_of_new_kinds_stay_out() {
    let (ada, mut peer, _) = post_with_slug();
    void_from(&mut peer, &ada, 2);
    written_before(&mut peer, &[Kind::SLUG], &[], true);
    let mut again = peer.restarted_slowly();
    again.log.feeds.get_mut(&ada.device()).expect("held").forked = Some(2);
    again.slow = false;
    again.serve();
    again.settle();
    assert_eq!(again.store.len(Table::Slugs), 0);
}

#[test]
fn a_store_of_before_the_record_has_the_kinds_of_then() {
    let (_, mut peer, _) = post_with_slug();
    written_before(&mut peer, &[], &[Table::Slugs], false);
    let again = peer.restarted(None);
    assert_eq!(again.store.len(Table::Slugs), 0, "it knew of slugs");
    assert_eq!(again.store.len(Table::Meta), 2, "and has a record from now on");
}

#[test]
fn an_account_that_becomes_void_while_new_kinds_are_indexed_is_indexed_again() {
    let (ada, mut peer, _) = post_with_slug();
    written_before(&mut peer, &[Kind::SLUG], &[Table::Slugs, Table::BySlug], true);
    let mut again = peer.restarted_slowly();
    again.slow = false;
    void_from(&mut again, &ada, 1);
    again.serve();
    again.settle();
    assert_eq!(again.reindexed, [ada.account()]);
    assert_eq!((posts(&again, &ada), again.store.len(Table::Slugs)), (0, 0));
    assert_eq!(again.store.len(Table::Meta), 2, "no work is left");
}
