use protocol::{EntryId, Timestamp};

use super::*;
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
