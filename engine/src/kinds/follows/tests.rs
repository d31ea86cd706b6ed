use super::*;
use crate::kinds::testing::{Author, Bench};

pub(super) fn samples() -> Vec<Follow> {
    let (two, three) = (Author::new(2).account(), Author::new(3).account());
    let follow = |account, on| Follow { account, on };
    vec![follow(two, true), follow(three, true), follow(three, false)]
}

fn follow(account: AccountId, on: bool) -> Body {
    Body::Follow(Follow { account, on })
}

/// The changes that were recorded.
fn followed(bench: &mut Bench) -> Vec<(AccountId, bool)> {
    let facts = bench.facts().into_iter().filter_map(|fact| match fact {
        Fact::Followed { account, on } => Some((account, on)),
        _ => None,
    });
    facts.collect()
}

#[test]
fn the_newest_entry_counts_in_whatever_order_they_come() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    let off = ada.write_at(9, &follow(bob, false));
    let on = ada.write_at(4, &follow(bob, true));
    for entries in [[&on, &off], [&off, &on]] {
        let mut bench = Bench::new(ada.viewer());
        for entry in entries {
            bench.index(entry);
        }
        assert!(!bench.kinds.follows.follows(&bob));
    }
}

#[test]
fn only_what_changed_is_recorded() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    let mut bench = Bench::new(ada.viewer());
    let entries = [true, true, false].map(|on| ada.write(&follow(bob, on)));
    for entry in &entries {
        bench.index(entry);
    }
    let changes = [(bob, true), (bob, false)];
    assert_eq!(followed(&mut bench), changes);
    bench.index(&entries[0]);
    assert_eq!(followed(&mut bench), [], "an outdated entry is no change");
}

#[test]
fn whom_others_follow_means_nothing_here() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    for viewer in [Viewer::default(), Author::new(3).viewer()] {
        let mut bench = Bench::new(viewer);
        bench.index(&ada.write(&follow(bob, true)));
        assert!(!bench.kinds.follows.follows(&bob));
        assert_eq!(bench.used(&[Table::Follows]), []);
        assert_eq!((followed(&mut bench), bench.changed()), (vec![], vec![]));
    }
}

#[test]
fn posts_of_people_one_follows_belong_home_and_own_ones_as_well() {
    let (mut ada, mut bob, mut carol) = (Author::new(1), Author::new(2), Author::new(3));
    let mut bench = Bench::new(ada.viewer());
    bench.index(&ada.write(&follow(bob.account(), true)));
    for (author, expected) in [(&mut ada, true), (&mut bob, true), (&mut carol, false)] {
        let post = bench.index(&author.post("a post")).post.expect("a post");
        let view = bench.kinds.post_view(&post, bench.viewer);
        assert_eq!(view.in_home, expected);
        assert_eq!(bench.kinds.in_home(&author.account(), bench.viewer), expected);
    }
    assert_eq!(bench.me().following, 1);
    let followed: Vec<_> = bench.kinds.followed().collect();
    assert_eq!(followed, [bob.account()]);
}

#[test]
fn clearing_another_account_keeps_whom_one_follows() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    let mut bench = Bench::new(ada.viewer());
    bench.index(&ada.write(&follow(bob, true)));
    bench.kinds.clear_account(&mut bench.ctx, bench.viewer, &bob);
    bench.kinds.forget_account(&mut bench.ctx, &bob);
    bench.flush();
    assert!(bench.kinds.follows.follows(&bob));
    assert_eq!(bench.store.len(Table::Follows), 1);
}

#[test]
fn only_a_change_is_written() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    let mut bench = Bench::new(ada.viewer());
    let draft = |bench: &Bench, command| bench.kinds.draft(&command, bench.viewer);
    let (on, off) = (
        Command::Follow { account: bob },
        Command::Unfollow { account: bob },
    );
    assert_eq!(draft(&bench, on.clone()), Some(Ok(Some(follow(bob, true)))));
    assert_eq!(draft(&bench, off.clone()), Some(Ok(None)));
    bench.index(&ada.write(&follow(bob, true)));
    assert_eq!(draft(&bench, on), Some(Ok(None)));
    assert_eq!(draft(&bench, off), Some(Ok(Some(follow(bob, false)))));
    let account = ada.account();
    let own = draft(&bench, Command::Follow { account });
    assert_eq!(own, Some(Err(Error::NotFound)));
    assert_eq!(draft(&bench, Command::DropClaim), None);
}

#[test]
fn rows_are_those_of_stores_written_before() {
    let (mut ada, bob) = (Author::new(1), Author::new(2).account());
    let mut bench = Bench::new(ada.viewer());
    bench.index(&ada.write_at(9, &follow(bob, true)));
    let value = codec::encode(&(true, (9_u64, ada.device(), 1_u64)));
    assert_eq!(bench.store.rows(Table::Follows), [(bob.0.to_vec(), value)].into());
}
