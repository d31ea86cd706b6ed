//! Promises of every kind, derived from the list of kinds: a kind that is added is tested by being listed.

use protocol::kinds::Kind;
use protocol::{Body, VerifiedEntry};

use super::testing::{Author, Bench, registry, slug};
use super::{Kinds, Viewer};
use crate::store::Table;

/// The samples of every kind as entries of one author, with the tables of their kind's rows.
fn samples(author: &mut Author) -> Vec<(VerifiedEntry, &'static [Table])> {
    let mut entries = vec![];
    for (body, tables) in Kinds::samples() {
        let entry = match body {
            // Only the first entry of a feed may be one.
            Body::Certificate(_) => Author::new(1).begin(),
            body => author.write(&body),
        };
        entries.push((entry, tables));
    }
    entries
}

fn tables() -> Vec<Table> {
    [Kinds::INDEX_TABLES, Kinds::STATE_TABLES].concat()
}

fn rows(bench: &Bench) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let rows = |table: Table| {
        let rows = bench.store.rows(table).into_iter();
        rows.map(move |(key, value)| (table, key, value))
    };
    tables().into_iter().flat_map(rows).collect()
}

/// Author 1 wrote the samples; author 2 is answered in some of them.
fn viewers() -> [Viewer; 3] {
    [
        Viewer::default(),
        Author::new(1).viewer(),
        Author::new(2).viewer(),
    ]
}

#[test]
fn taking_an_entry_out_deletes_exactly_the_rows_that_adding_it_put() {
    for viewer in viewers() {
        for (entry, _) in samples(&mut Author::new(1)) {
            let mut bench = Bench::new(viewer);
            bench.index(&entry);
            bench.unindex(&entry);
            assert_eq!(bench.used(Kinds::INDEX_TABLES), [], "{:?}", entry.header().kind);
        }
    }
}

#[test]
fn the_rows_of_other_entries_stay_when_one_is_taken_out() {
    let mut author = Author::new(1);
    let entries = samples(&mut author);
    for (at, (out, _)) in entries.iter().enumerate() {
        let (mut with, mut without) = (Bench::new(viewers()[2]), Bench::new(viewers()[2]));
        for (other, (entry, _)) in entries.iter().enumerate() {
            with.index(entry);
            if other != at {
                without.index(entry);
            }
        }
        with.unindex(out);
        for table in Kinds::INDEX_TABLES {
            assert_eq!(with.store.rows(*table), without.store.rows(*table), "{table:?}");
        }
    }
}

#[test]
fn indexing_an_entry_again_changes_nothing() {
    for viewer in viewers() {
        let entries = samples(&mut Author::new(1));
        let mut bench = Bench::new(viewer);
        for (entry, _) in &entries {
            bench.index(entry);
        }
        let before = rows(&bench);
        for (entry, _) in &entries {
            bench.index(entry);
        }
        assert_eq!(rows(&bench), before);
    }
}

#[test]
fn the_order_in_which_entries_come_makes_no_difference() {
    for viewer in viewers() {
        let mut entries = samples(&mut Author::new(1));
        let (mut forwards, mut backwards) = (Bench::new(viewer), Bench::new(viewer));
        for (entry, _) in &entries {
            forwards.index(entry);
        }
        entries.reverse();
        for (entry, _) in &entries {
            backwards.index(entry);
        }
        assert_eq!(rows(&forwards), rows(&backwards));
        let account = Author::new(1).account();
        assert_eq!(
            forwards.kinds.profile_view(&account, viewer),
            backwards.kinds.profile_view(&account, viewer)
        );
    }
}

#[test]
fn entries_put_rows_into_the_tables_of_their_kind_alone_and_the_samples_reach_all_of_these() {
    let mut reached = Vec::new();
    for (entry, tables) in samples(&mut Author::new(1)) {
        let mut bench = Bench::new(Author::new(2).viewer());
        bench.index(&entry);
        let used = bench.used(Kinds::INDEX_TABLES);
        assert!(used.iter().all(|table| tables.contains(table)), "{used:?}");
        reached.extend(used);
    }
    for table in Kinds::INDEX_TABLES {
        assert!(reached.contains(table), "no sample puts a row into {table:?}");
    }
}

#[test]
fn no_table_belongs_to_two_kinds() {
    let mut all = tables();
    all.sort_unstable();
    let listed = all.len();
    all.dedup();
    assert_eq!(all.len(), listed);
    for log in [
        Table::Meta,
        Table::Feeds,
        Table::Entries,
        Table::Forks,
        Table::Revocations,
    ] {
        assert!(!all.contains(&log), "{log:?} outlives a rebuild");
    }
}

#[test]
fn an_account_that_is_forgotten_leaves_no_row_and_nothing_in_memory() {
    let author = &mut Author::new(1);
    let mut bench = Bench::new(Viewer::default());
    let entries = samples(author);
    for (entry, _) in &entries {
        bench.index(entry);
    }
    assert!(!bench.used(Kinds::STATE_TABLES).is_empty());
    bench.kinds.forget_account(&mut bench.ctx, &author.account());
    for (entry, _) in &entries {
        bench.unindex(entry);
    }
    assert_eq!(bench.used(&tables()), []);
    let view = bench.kinds.profile_view(&author.account(), bench.viewer);
    let unknown = Kinds::default().profile_view(&author.account(), bench.viewer);
    assert_eq!(view, unknown);
}

#[test]
fn an_account_that_is_cleared_says_nothing_until_its_entries_are_indexed_again() {
    let author = &mut Author::new(1);
    let mut bench = Bench::new(author.viewer());
    let entries = samples(author);
    for (entry, _) in &entries {
        bench.index(entry);
    }
    let (before, me) = (rows(&bench), bench.me());
    bench
        .kinds
        .clear_account(&mut bench.ctx, bench.viewer, &author.account());
    bench.flush();
    assert_eq!(bench.used(Kinds::STATE_TABLES), []);
    assert_eq!(bench.me(), Bench::new(author.viewer()).me());
    for (entry, _) in &entries {
        bench.index(entry);
    }
    assert_eq!((rows(&bench), bench.me()), (before, me));
}

#[test]
fn what_is_in_memory_comes_back_from_the_store() {
    let author = &mut Author::new(1);
    let mut bench = Bench::new(author.viewer());
    for (entry, _) in samples(author) {
        bench.index(&entry);
    }
    let again = bench.restarted();
    assert_ne!(bench.me(), Bench::new(author.viewer()).me(), "there is something");
    assert_eq!(again.me(), bench.me());
    let view = |bench: &Bench| bench.kinds.profile_view(&author.account(), bench.viewer);
    assert_eq!(view(&again), view(&bench));
}

#[test]
fn a_row_that_is_not_what_was_written_is_refused() {
    for table in Kinds::STATE_TABLES {
        let mut kinds = Kinds::default();
        assert_eq!(kinds.restore_row(*table, &[1; 32], &[]), None, "{table:?}");
        assert_eq!(kinds.restore_row(*table, &[1; 5], &[0; 80]), None, "{table:?}");
    }
    assert_eq!(Kinds::default().restore_row(Table::Ids, &[1; 32], &[1, 1]), None);
}

#[test]
fn each_post_gets_what_was_read_beside_it() {
    let (mut ada, mut bob) = (Author::new(1), Author::new(2));
    let mut bench = Bench::new(Viewer::default());
    let (one, two) = (ada.post("one"), ada.post("two"));
    let mut entries = vec![one.clone(), two.clone()];
    for text in ["first", "second"] {
        entries.push(bob.answer(text, two.entry_ref(), two.entry_ref()));
    }
    let receipt = Some(slug("two", two.entry_ref(), 1));
    let post = two.id();
    entries.push(ada.write(&Body::Slug(protocol::kinds::Slug { post, receipt })));
    let posts: Vec<_> = entries
        .iter()
        .filter_map(|entry| bench.index(entry).post)
        .collect();
    let reads = posts
        .iter()
        .flat_map(|post| Kinds::around(&post.entry, bench.viewer));
    let mut rows = bench.read(reads.collect()).into_iter();
    let beside: Vec<_> = posts
        .iter()
        .map(|post| bench.kinds.beside(&post.entry, bench.viewer, &mut rows))
        .map(|it| (it.replies, it.slug))
        .collect();
    assert_eq!(rows.next(), None, "all rows were taken");
    let expected = [(0, ""), (2, "two"), (0, ""), (0, "")];
    assert_eq!(beside, expected.map(|(replies, slug)| (replies, slug.to_owned())));
}

#[test]
fn an_entry_of_an_unknown_kind_means_nothing() {
    let mut author = Author::new(1);
    let entry = author.post("a post");
    let mut header = entry.header().clone();
    header.kind = Kind(999);
    let mut bench = Bench::new(Viewer::default());
    let (ctx, id) = (&mut bench.ctx, header.id());
    let indexed = bench.kinds.index(ctx, bench.viewer, &header, id, entry.body(), 1);
    assert!(indexed.post.is_none());
    bench
        .kinds
        .unindex(&mut bench.ctx, bench.viewer, &header, id, entry.body(), 1);
    bench.flush();
    assert_eq!(bench.used(Table::ALL), [Table::Meta], "the registry alone");
}

#[test]
fn a_body_that_does_not_decode_means_nothing() {
    let mut author = Author::new(1);
    let entry = author.post("a post");
    let mut bench = Bench::without_registry(Viewer::default());
    let (ctx, header) = (&mut bench.ctx, entry.header());
    let indexed = bench
        .kinds
        .index(ctx, bench.viewer, header, entry.id(), &[0xff; 3], 1);
    bench.flush();
    assert!(indexed.post.is_none());
    assert_eq!(bench.used(Table::ALL), []);
}

#[test]
fn the_first_registry_named_stays_and_another_one_is_logged_once() {
    let mut bench = Bench::new(Viewer::default());
    let id = |number| protocol::names::RegistryId(registry(number).public());
    bench.kinds.registry.learn_revision(5);
    for _ in 0..2 {
        bench.learn(1);
    }
    assert_eq!(bench.kinds.registry.id(), Some(id(0)));
    assert_eq!(bench.outputs.len(), 1, "{:?}", bench.outputs);
    bench.learn(0);
    assert_eq!((bench.outputs.len(), bench.kinds.registry.revision()), (1, 5));
}

#[test]
fn the_own_registry_takes_the_place_of_the_one_named_before() {
    let mut bench = Bench::new(Viewer::default());
    bench.kinds.registry.learn_revision(5);
    let own = protocol::names::RegistryId(registry(1).public());
    bench.kinds.learn_registry(&mut bench.ctx, own, true);
    bench.flush();
    let known = &bench.kinds.registry;
    assert_eq!((known.id(), known.revision()), (Some(own), 0));
    assert_eq!(bench.store.len(Table::Meta), 1);
}

#[test]
fn a_revision_never_goes_back() {
    let mut bench = Bench::new(Viewer::default());
    bench.kinds.registry.learn_revision(9);
    bench.kinds.registry.learn_revision(4);
    assert_eq!(bench.kinds.registry.revision(), 9);
}
