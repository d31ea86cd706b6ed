use core::time::Duration;

use protocol::Instant;
use protocol::messages::Entries;

use super::{Audits, Question};
use crate::io::LinkId;
use crate::relay::testing::{device, feed};

const LINK: LinkId = LinkId(1);
const START: Instant = Instant(1_000);

fn question(seq: u64) -> Question {
    Question {
        device: device(1),
        seq,
        claimed: true,
    }
}

fn entries(request: u32, range: core::ops::Range<usize>) -> Entries {
    let feed = feed(1, 4);
    let entries = feed[range].iter().map(|entry| entry.entry().clone()).collect();
    Entries { request, entries }
}

#[test]
fn the_entry_asked_for_proves_that_it_is_held() {
    let mut audits = Audits::default();
    audits.begin(LINK, 7, question(2), START);
    assert!(audits.on_entries(LINK, &entries(7, 2..3)));
    let audit = audits.on_end(LINK, 7).expect("under way");
    assert!(audit.shown);
    assert_eq!(audit.question, question(2));
    assert!(!audits.is_under_way(LINK));
}

#[test]
fn entries_of_other_requests_and_links_are_no_answer() {
    let mut audits = Audits::default();
    audits.begin(LINK, 7, question(2), START);
    assert!(!audits.on_entries(LINK, &entries(8, 2..3)));
    assert!(!audits.on_entries(LinkId(2), &entries(7, 2..3)));
    assert_eq!(audits.on_end(LINK, 8), None);
    assert!(!audits.on_end(LINK, 7).expect("under way").shown);
}

#[test]
fn another_entry_a_forged_one_or_several_prove_nothing() {
    let mut forged = entries(7, 2..3);
    forged.entries[0].body.push(0);
    for answer in [entries(7, 1..2), entries(7, 2..4), entries(7, 0..0), forged] {
        let mut audits = Audits::default();
        audits.begin(LINK, 7, question(2), START);
        assert!(audits.on_entries(LINK, &answer), "it is the answer all the same");
        assert!(!audits.on_end(LINK, 7).expect("under way").shown, "{answer:?}");
    }
}

#[test]
fn a_question_that_is_not_answered_ends() {
    let mut audits = Audits::default();
    audits.begin(LINK, 7, question(2), START);
    assert_eq!(audits.take_overdue(START + Duration::from_secs(29)), []);
    let overdue = audits.take_overdue(START + Duration::from_secs(30));
    let [(LINK, audit)] = overdue.as_slice() else {
        panic!("{overdue:?}");
    };
    assert_eq!((audit.question.seq, audit.shown), (2, false));
    assert!(!audits.on_entries(LINK, &entries(7, 2..3)), "too late");
    audits.begin(LINK, 8, question(3), START);
    audits.on_session_down(LINK);
    assert!(!audits.is_under_way(LINK));
}
