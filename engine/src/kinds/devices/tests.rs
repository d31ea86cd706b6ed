use protocol::{Body, EntryId, Timestamp};

use super::*;
use crate::kinds::Kinds;
use crate::kinds::testing::{Author, Bench};

pub(super) fn certificates() -> Vec<Certificate> {
    vec![Author::new(1).certificate()]
}

pub(super) fn revocations() -> Vec<Revocation> {
    vec![revocation(&Author::new(1)), revocation(&Author::new(2))]
}

/// The account revokes its second device.
fn revocation(author: &Author) -> Revocation {
    let device = Author::with_device(1, 1).device();
    Revocation::issue(author.key(), device, 4, EntryId([4; 32]), Timestamp(5))
}

#[test]
fn a_device_that_joins_the_own_account_changes_it() {
    for (viewer, expected) in [
        (Author::new(1).viewer(), true),
        (Author::new(2).viewer(), false),
        (Viewer::default(), false),
    ] {
        let mut bench = Bench::new(viewer);
        bench.index(&Author::with_device(1, 1).begin());
        assert_eq!(bench.ctx.changed.me, expected);
    }
}

#[test]
fn devices_are_no_posts_and_have_no_rows() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(ada.viewer());
    let entries = [
        ada.begin(),
        ada.write(&Body::Revocation(revocation(&Author::new(1)))),
    ];
    for entry in &entries {
        assert_eq!(bench.index(entry).post, None);
    }
    assert_eq!(bench.used(Kinds::INDEX_TABLES), []);
    assert_eq!(bench.used(Kinds::STATE_TABLES), []);
    assert!(bench.facts().is_empty() && bench.changed().is_empty());
}

#[test]
fn a_revocation_changes_the_views_through_the_log_alone() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(ada.viewer());
    bench.index(&ada.write(&Body::Revocation(revocation(&Author::new(1)))));
    assert!(!bench.ctx.changed.me, "the log says so once it has applied it");
}

#[test]
fn a_void_certificate_takes_nothing_away() {
    let mut ada = Author::new(1);
    let mut bench = Bench::new(ada.viewer());
    let begin = ada.begin();
    bench.index(&begin);
    bench.index(&ada.call("Ada"));
    let me = bench.me();
    bench.unindex(&begin);
    assert_eq!(bench.me(), me);
}
