use protocol::Body;
use protocol::names::{NameReceipt, RegistryId};

use super::*;
use crate::kinds::testing::{Author, Bench, handle, registry};

pub(super) fn samples() -> Vec<Name> {
    let account = Author::new(1).account();
    let name = |receipt| Name { receipt };
    vec![
        name(Some(handle("ada", account, 1))),
        name(None),
        name(Some(handle("countess", account, 3))),
    ]
}

fn named(receipt: Option<NameReceipt>) -> Body {
    Body::Name(Name { receipt })
}

fn take(bench: &mut Bench, author: &mut Author, name: &str, revision: u64) {
    let receipt = handle(name, author.account(), revision);
    bench.index(&author.write(&named(Some(receipt))));
}

#[test]
fn a_handle_is_shown_only_with_a_receipt_of_the_registry_this_peer_believes() {
    let mut ada = Author::new(1);
    let mut bench = Bench::without_registry(Viewer::default());
    take(&mut bench, &mut ada, "ada", 1);
    assert_eq!(bench.kinds.handle_of(&ada.account()), "", "no registry is known");
    bench.learn(1);
    assert_eq!(bench.kinds.handle_of(&ada.account()), "", "another one is");
    let own = RegistryId(registry(0).public());
    bench.kinds.learn_registry(&mut bench.ctx, own, true);
    assert_eq!(bench.kinds.handle_of(&ada.account()), "ada");
    assert_eq!(bench.kinds.registry.revision(), 1);
}

#[test]
fn of_two_accounts_with_one_handle_the_higher_revision_has_it() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    for first in [false, true] {
        let mut bench = Bench::new(Viewer::default());
        if first {
            take(&mut bench, &mut bob, "ada", 5);
            take(&mut bench, &mut ada, "ada", 4);
        } else {
            take(&mut bench, &mut ada, "ada", 4);
            take(&mut bench, &mut bob, "ada", 5);
        }
        assert_eq!(bench.kinds.handle_of(&ada.account()), "");
        assert_eq!(bench.kinds.handle_of(&bob.account()), "ada");
        let holder = bench.kinds.handles.holder("ada").map(|it| it.account);
        assert_eq!(holder, Some(bob.account()));
    }
}

#[test]
fn an_account_that_loses_its_handle_is_reported_as_changed() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(ada.viewer());
    take(&mut bench, &mut ada, "ada", 4);
    assert!(bench.ctx.changed.me);
    assert_eq!(bench.changed(), [ada.account()]);
    take(&mut bench, &mut bob, "ada", 7);
    let mut both = [ada.account(), bob.account()];
    both.sort_unstable();
    assert_eq!(bench.changed(), both);
}

#[test]
fn the_newest_entry_counts_and_may_say_that_there_is_no_handle() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    let (early, late) = (
        handle("early", ada.account(), 1),
        handle("late", ada.account(), 2),
    );
    bench.index(&ada.write_at(8, &named(Some(late))));
    bench.index(&ada.write_at(5, &named(Some(early))));
    assert_eq!(bench.kinds.handle_of(&ada.account()), "late");
    bench.index(&ada.write_at(9, &named(None)));
    assert_eq!(bench.kinds.handle_of(&ada.account()), "");
    assert_eq!(
        bench.kinds.handles.holder("late"),
        None,
        "it has no proof any more"
    );
    assert_eq!(bench.kinds.handles.receipt(&ada.account()), None);
}

#[test]
fn a_receipt_for_another_account_proves_nothing() {
    let (mut ada, bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    let stolen = handle("bob", bob.account(), 1);
    bench.index(&ada.write(&named(Some(stolen))));
    assert_eq!(bench.kinds.handle_of(&ada.account()), "");
    assert_eq!(bench.kinds.handle_of(&bob.account()), "");
    assert_eq!(bench.kinds.handles.holder("bob"), None);
}

#[test]
fn the_holder_is_asked_for_by_the_handle_it_has_now() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    take(&mut bench, &mut ada, "ada", 1);
    take(&mut bench, &mut ada, "countess", 2);
    assert_eq!(bench.kinds.handles.holder("ada"), None);
    let holder = bench.kinds.handles.holder("countess").map(|it| it.account);
    assert_eq!(holder, Some(ada.account()));
}

#[test]
fn an_account_that_is_forgotten_leaves_its_handle_to_others() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    take(&mut bench, &mut ada, "ada", 4);
    take(&mut bench, &mut bob, "ada", 7);
    bench.kinds.forget_account(&mut bench.ctx, &bob.account());
    bench.flush();
    assert_eq!(bench.kinds.handle_of(&bob.account()), "");
    assert_eq!(bench.kinds.handle_of(&ada.account()), "ada");
    assert!(bench.kinds.handles.holders.is_empty());
    assert_eq!(bench.store.len(Table::Names), 1);
}

#[test]
fn a_later_revision_still_counts_while_its_account_is_indexed_again() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    take(&mut bench, &mut ada, "ada", 4);
    take(&mut bench, &mut bob, "ada", 7);
    let account = bob.account();
    bench.kinds.clear_account(&mut bench.ctx, bench.viewer, &account);
    assert_eq!(bench.kinds.handle_of(&ada.account()), "");
}

#[test]
fn rows_may_be_read_before_or_after_the_registry() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    take(&mut bench, &mut ada, "ada", 4);
    let id = RegistryId(registry(0).public());
    for first in [false, true] {
        let mut again = Bench::without_registry(Viewer::default());
        if first {
            again.kinds.restore_registry(&mut again.ctx, id);
        }
        for (key, value) in bench.store.rows(Table::Names) {
            again.kinds.restore_row(Table::Names, &key, &value);
        }
        if !first {
            again.kinds.restore_registry(&mut again.ctx, id);
        }
        assert_eq!(again.kinds.handle_of(&ada.account()), "ada");
        assert!(again.kinds.handles.holder("ada").is_some());
        assert_eq!(again.kinds.registry.revision(), 4);
    }
}

#[test]
fn rows_are_those_of_stores_written_before() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    let receipt = handle("ada", ada.account(), 4);
    bench.index(&ada.write_at(9, &named(Some(receipt.clone()))));
    let value = codec::encode(&(Some(receipt), (9_u64, ada.device(), 1_u64)));
    let rows = [(ada.account().0.to_vec(), value)];
    assert_eq!(bench.store.rows(Table::Names), rows.into());
}
