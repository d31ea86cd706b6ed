use core::time::Duration;

use protocol::Timestamp;
use protocol::kinds::{Body, Name};
use protocol::names::{NameAction, NameAnswer, NameFault, NameMark, NameRequest};
use protocol::{EntryId, EntryRef, Instant, limits};

use super::{PAUSE_MAX, PAUSE_MIN, SLUG_CLAIMS_MAX, WORK_BITS_MAX};
use crate::api::{ClaimView, Command, Error};
use crate::io::LinkId;
use crate::kinds::testing::{Author, handle, registry, slug};
use crate::log::records::meta;
use crate::person::testing::Device;
use crate::store::Table;
use crate::testing::Node;

const MOMENT: Duration = Duration::from_millis(1);

/// A device that claims a handle, and what the registry was asked.
fn claiming(name: &str) -> (Device, LinkId, u32, NameRequest) {
    let (mut device, link) = Device::online();
    device.claim(name).expect("a claim");
    let (number, request) = device.request(link);
    (device, link, number, request)
}

fn open(name: &str) -> Option<ClaimView> {
    Some(ClaimView {
        name: name.to_owned(),
        release: false,
        refused: None,
    })
}

fn mark(device: &mut Device, revision: u64) -> NameAnswer {
    device.node.kinds.learn_revision(revision);
    NameAnswer::Outdated(NameMark::issue(&registry(0), revision))
}

// From the wish to the registry.

#[test]
fn a_claim_is_sent_once_it_is_on_disk_and_so_is_that_it_is_sent() {
    let (mut device, link) = Device::online();
    device.claim(" @Ada ").expect("a claim");
    device.tick();
    assert!(device.asked(link).is_empty(), "the claim is not on disk");
    device.node.ctx.next_timeout = Instant(u64::MAX);
    device.settle();
    assert_eq!(
        device.node.ctx.next_timeout, device.node.ctx.now.instant,
        "it need not wait for the next second"
    );
    device.tick();
    assert!(device.asked(link).is_empty(), "that it is sent is not written");
    device.tick();
    assert!(device.asked(link).is_empty(), "that it is sent is not on disk");
    device.settle();
    device.tick();
    let asked = device.asked(link);
    let [(_, request)] = asked.as_slice() else {
        panic!("one request: {asked:?}");
    };
    assert_eq!(
        (request.name.as_str(), &request.action, request.post_id()),
        ("ada", &NameAction::Claim, None)
    );
    assert!(request.verify().is_ok());
}

#[test]
fn a_claim_made_offline_waits_outlives_a_restart_and_is_sent_to_the_first_relay() {
    let mut device = Device::offline();
    device.claim("ada").expect("a claim");
    for _ in 0..3 {
        device.settle();
        device.tick();
        device.node.pass(PAUSE_MAX);
    }
    assert_eq!(device.view(None), open("ada"));
    let stored = device.stored_claims();
    device.restart();
    assert_eq!((device.view(None), stored), (open("ada"), 1));
    let link = device.relay(20);
    assert_eq!(device.request(link).1.name, "ada");
}

#[test]
fn what_is_repeated_after_a_restart_is_the_same_request() {
    let (mut device, link, _, request) = claiming("ada");
    device.restart();
    let (_, again) = device.request(link);
    assert_eq!(again, request);
}

#[test]
fn a_damaged_row_is_no_claim() {
    let mut device = Device::offline();
    let Node { ctx, net, .. } = &mut device.node;
    let restored = device
        .person
        .restore_row(ctx, net, Table::Meta, meta::CLAIM, &[7; 3]);
    assert_eq!(restored, None);
    assert_eq!(device.view(None), None);
}

#[test]
fn a_name_that_cannot_be_sent_is_refused_at_once() {
    let mut device = Device::offline();
    let claim = |device: &mut Device, name: &str| device.claim(name).err();
    assert_eq!(claim(&mut device, " @ "), Some(Error::Empty));
    let most = "a".repeat(limits::UNIQUE_NAME_LEN_MAX);
    assert_eq!(
        claim(&mut device, &format!("{most}a")),
        Some(Error::TooLong { max: 30 })
    );
    assert_eq!(device.view(None), None);
    assert_eq!(claim(&mut device, &most), None);
    assert_eq!(
        device.command(Command::ReleaseName).err(),
        Some(Error::NotFound),
        "there is no handle"
    );
    assert_eq!(claim(&mut Device::fresh(), "ada"), Some(Error::NoAccount));
}

#[test]
fn one_claim_is_under_way_at_a_time_and_the_next_one_does_not_wait_for_a_pause() {
    let (mut device, link) = Device::online();
    let posts = [1, 2].map(|n| device.post(n, Some(&format!("slug-{n}"))).expect("a post"));
    let (first, request) = device.request(link);
    assert_eq!(request.post_id(), Some(posts[0].entry.id));
    device.node.ctx.next_timeout = Instant(u64::MAX);
    device.answer(link, first, NameAnswer::Taken);
    assert_eq!(device.node.ctx.next_timeout, device.node.ctx.now.instant);
    let (_, request) = device.request(link);
    assert_eq!(request.post_id(), Some(posts[1].entry.id));
}

#[test]
fn a_claim_that_nobody_answers_is_repeated_after_pauses_that_grow() {
    for answer in [None, Some(NameAnswer::Unavailable), Some(NameAnswer::TooFast)] {
        let (mut device, link, mut number, request) = claiming("ada");
        let mut pause = PAUSE_MIN;
        for _ in 0..8 {
            if let Some(answer) = answer.clone() {
                assert_eq!(device.answer(link, number, answer), None);
            }
            device
                .node
                .pass(pause.checked_sub(MOMENT).expect("longer than that"));
            assert_eq!(device.requests(link), [], "{answer:?} {pause:?}");
            device.node.pass(MOMENT);
            let (next, again) = device.request(link);
            assert_ne!(next, number);
            assert_eq!(again, request);
            (number, pause) = (next, (pause * 2).min(PAUSE_MAX));
        }
        assert_eq!(pause, PAUSE_MAX);
        assert_eq!(device.view(None), open("ada"));
    }
}

#[test]
fn a_link_that_ends_moves_the_claim_to_another_relay_at_once() {
    let (mut device, one) = Device::online();
    let other = device.relay(21);
    device.claim("ada").expect("a claim");
    let first = device.requests(one).len();
    assert_eq!(first + device.asked(other).len(), 1);
    let (used, spare) = if first == 1 { (one, other) } else { (other, one) };
    device.unlink(used);
    assert_eq!(device.request(spare).1.name, "ada");
}

#[test]
fn the_end_of_another_link_does_not_repeat_a_claim() {
    let (mut device, link, ..) = claiming("ada");
    let other = device.relay(21);
    device.unlink(other);
    assert_eq!(device.requests(link), []);
}

#[test]
fn a_new_relay_ends_the_pause_of_claims_that_are_not_under_way() {
    let (mut device, link, number, _) = claiming("ada");
    let second = device.relay(21);
    assert_eq!(device.requests(link), [], "an answer may still come");
    assert_eq!(device.asked(second), []);
    device.answer(link, number, NameAnswer::Unavailable);
    assert_eq!(device.requests(link), []);
    let links = [link, second, device.relay(22)];
    let asked = links.map(|link| device.requests(link).len());
    assert_eq!(asked.iter().sum::<usize>(), 1);
}

// Answers.

#[test]
fn a_receipt_goes_into_the_feed_and_ends_the_claim() {
    let (mut device, link, number, _) = claiming("ada");
    let receipt = handle("ada", device.me(), 1);
    let held = NameAnswer::Held(receipt.clone());
    assert_eq!(device.answer(link, number, held), None);
    let receipt = Some(receipt);
    assert_eq!(device.settle().written, [Body::Name(Name { receipt })]);
    assert_eq!(
        (device.view(None), device.stored_claims(), device.handle()),
        (None, 0, "ada")
    );
    device.node.pass(PAUSE_MAX);
    assert_eq!(device.requests(link), []);
}

#[test]
fn an_answer_with_another_number_or_from_another_link_is_not_taken() {
    let (mut device, link, number, _) = claiming("ada");
    let other = device.relay(21);
    for (from, number) in [(link, number + 1), (other, number)] {
        let back = device.answer(from, number, NameAnswer::Taken);
        assert_eq!(back, Some(NameAnswer::Taken));
    }
    assert_eq!(device.view(None), open("ada"));
    device.node.pass(PAUSE_MIN);
    let asked = [device.requests(link), device.asked(other)].concat();
    assert_eq!(asked.len(), 1);
    assert!(
        device.answer(link, number, NameAnswer::Taken).is_some(),
        "it was asked again since"
    );
}

#[test]
fn a_refused_claim_says_why_and_is_not_repeated_until_it_is_dropped() {
    let stranger = Author::new(2).account();
    let until = Timestamp(9);
    let refusals = |me| {
        let post = EntryRef {
            account: me,
            id: EntryId([3; 32]),
        };
        [
            NameAnswer::Held(handle("ada", stranger, 1)),
            NameAnswer::Held(slug("ada", post, 1)),
            NameAnswer::Free,
            NameAnswer::Taken,
            NameAnswer::Resting { until },
            NameAnswer::HasOther { name: "eve".into() },
            NameAnswer::Fault(NameFault::Reserved),
            NameAnswer::NotYours,
            NameAnswer::TooMany { max: 1 },
            NameAnswer::Work {
                bits: WORK_BITS_MAX + 1,
            },
        ]
    };
    let (mut device, link) = Device::online();
    for answer in refusals(device.me()) {
        device.claim("ada").expect("a claim");
        let (number, _) = device.request(link);
        assert_eq!(device.answer(link, number, answer.clone()), None);
        let refused = Some(answer);
        let expected = open("ada").map(|claim| ClaimView { refused, ..claim });
        assert_eq!(device.view(None), expected);
        device.restart();
        assert_eq!(device.view(None), expected, "after a restart");
        device.node.pass(PAUSE_MAX);
        assert_eq!(device.requests(link), []);
        device.command(Command::DropClaim).expect("dropped");
        assert_eq!((device.view(None), device.stored_claims()), (None, 0));
        assert_eq!(device.settle().written, []);
    }
}

#[test]
fn work_is_done_in_pieces_and_sent_with_the_same_request() {
    let (mut device, link, number, request) = claiming("ada");
    let bits = 16;
    device.answer(link, number, NameAnswer::Work { bits });
    let mut pieces = 0;
    while device.person.claims.is_busy() {
        assert_eq!(device.asked(link), []);
        device.tick();
        pieces += 1;
    }
    assert!(pieces > 1, "{pieces}");
    let asked = device.asked(link);
    let [(_, worked)] = asked.as_slice() else {
        panic!("one request: {asked:?}");
    };
    assert!(worked.work_bits() >= u32::from(bits));
    assert_eq!(
        worked,
        &NameRequest {
            work: worked.work,
            ..request
        }
    );
}

#[test]
fn an_outdated_request_is_signed_again_with_the_revision_that_is_known_now() {
    let (mut device, link, number, request) = claiming("ada");
    let answer = mark(&mut device, 70);
    assert_eq!(device.answer(link, number, answer.clone()), None);
    let (number, again) = device.request(link);
    assert_eq!((again.name.as_str(), &again.action), ("ada", &NameAction::Claim));
    assert_eq!((request.known, again.known), (0, 70));
    assert_ne!(again.nonce, request.nonce);
    assert!(again.verify().is_ok());
    // It knew of this revision: the registry contradicts itself, and nothing is signed for it.
    device.answer(link, number, answer);
    assert_eq!(device.requests(link), []);
    device.node.pass(PAUSE_MIN);
    assert_eq!(device.request(link).1, again);
}

#[test]
fn a_new_wish_replaces_the_one_that_is_under_way() {
    let (mut device, link, number, _) = claiming("ada");
    device.claim("eve").expect("a claim");
    let held = NameAnswer::Held(handle("ada", device.me(), 1));
    assert_eq!(device.answer(link, number, held.clone()), Some(held));
    assert_eq!((device.view(None), device.stored_claims()), (open("eve"), 1));
    assert_eq!(device.request(link).1.name, "eve");
    assert_eq!(device.settle().written, []);
}

// Claims that are dropped.

#[test]
fn a_claim_dropped_before_it_was_sent_leaves_nothing() {
    let mut device = Device::offline();
    device.claim("ada").expect("a claim");
    device.settle();
    device.command(Command::DropClaim).expect("dropped");
    assert_eq!((device.view(None), device.stored_claims()), (None, 0));
    let link = device.relay(20);
    assert_eq!(device.requests(link), []);
    device.command(Command::DropClaim).expect("there is none to drop");
}

#[test]
fn a_claim_dropped_half_way_is_given_back_whatever_the_registry_decided() {
    let undecided = |me| {
        [
            None,
            Some(NameAnswer::Held(handle("ada", me, 1))),
            Some(NameAnswer::TooFast),
            Some(NameAnswer::Unavailable),
            Some(NameAnswer::Work { bits: 4 }),
        ]
    };
    for answer in undecided(Device::offline().me()) {
        let (mut device, link, number, _) = claiming("ada");
        device.command(Command::DropClaim).expect("dropped");
        let expected = open("ada").map(|claim| ClaimView {
            release: true,
            ..claim
        });
        assert_eq!(device.view(None), expected);
        assert_eq!(device.requests(link), [], "the answer may still come");
        match answer.clone() {
            Some(answer) => assert_eq!(device.answer(link, number, answer), None),
            None => device.node.pass(PAUSE_MIN),
        }
        let (number, request) = device.request(link);
        assert_eq!(
            (request.name.as_str(), request.action),
            ("ada", NameAction::Release),
            "after {answer:?}"
        );
        assert_eq!(device.view(None), expected);
        device.command(Command::DropClaim).expect("no change");
        assert_eq!(device.view(None), expected, "this is seen through");
        device.answer(link, number, NameAnswer::Free);
        assert_eq!((device.view(None), device.stored_claims()), (None, 0));
        assert_eq!(device.settle().written, [], "the feed never said that it was had");
    }
}

#[test]
fn a_claim_dropped_half_way_that_had_no_effect_needs_no_giving_back() {
    let (mut device, link) = Device::online();
    let answers = [
        NameAnswer::Taken,
        NameAnswer::Free,
        NameAnswer::NotYours,
        mark(&mut device, 70),
    ];
    for answer in answers {
        device.claim("ada").expect("a claim");
        let (number, _) = device.request(link);
        device.command(Command::DropClaim).expect("dropped");
        assert_eq!(device.answer(link, number, answer), None);
        assert_eq!((device.view(None), device.stored_claims()), (None, 0));
        device.node.pass(PAUSE_MAX);
        assert_eq!(device.requests(link), []);
    }
}

#[test]
fn giving_back_a_claim_cannot_be_dropped_before_it_was_sent() {
    let (mut device, link, number, _) = claiming("ada");
    device.command(Command::DropClaim).expect("dropped");
    device.answer(link, number, NameAnswer::Unavailable);
    device.settle();
    device.tick();
    device.command(Command::DropClaim).expect("no change");
    assert_eq!(device.request(link).1.action, NameAction::Release);
}

#[test]
fn after_a_restart_a_claim_dropped_half_way_is_given_back() {
    let (mut device, link, ..) = claiming("ada");
    device.command(Command::DropClaim).expect("dropped");
    device.restart();
    assert_eq!(device.request(link).1.action, NameAction::Release);
    device.restart();
    assert_eq!(device.request(link).1.action, NameAction::Release);
}

// Giving a handle back.

#[test]
fn a_handle_is_given_back_and_the_feed_says_so() {
    for answer in [NameAnswer::Free, NameAnswer::NotYours] {
        let (mut device, link) = Device::with_handle("ada");
        device.command(Command::ReleaseName).expect("a claim");
        let (number, request) = device.request(link);
        assert_eq!(
            (request.name.as_str(), request.action, request.known),
            ("ada", NameAction::Release, 5)
        );
        assert_eq!(device.handle(), "ada", "nothing is decided");
        device.answer(link, number, answer);
        let receipt = None;
        assert_eq!(device.settle().written, [Body::Name(Name { receipt })]);
        assert_eq!(
            (device.view(None), device.stored_claims(), device.handle()),
            (None, 0, "")
        );
    }
}

#[test]
fn giving_back_can_be_dropped_until_it_is_sent() {
    let (mut device, link) = Device::with_handle("ada");
    device.command(Command::ReleaseName).expect("a claim");
    device.command(Command::DropClaim).expect("dropped");
    assert_eq!((device.view(None), device.stored_claims()), (None, 0));
    assert_eq!(device.requests(link), []);
    device.command(Command::ReleaseName).expect("a claim");
    let (number, _) = device.request(link);
    device.command(Command::DropClaim).expect("no change");
    assert!(device.view(None).is_some_and(|claim| claim.release));
    device.answer(link, number, NameAnswer::Free);
    device.settle();
    assert_eq!(device.handle(), "");
}

#[test]
fn a_receipt_does_not_answer_a_request_to_give_back() {
    let (mut device, link) = Device::with_handle("ada");
    device.command(Command::ReleaseName).expect("a claim");
    let (number, _) = device.request(link);
    let held = NameAnswer::Held(handle("ada", device.me(), 9));
    device.answer(link, number, held.clone());
    assert_eq!(device.view(None).and_then(|claim| claim.refused), Some(held));
    assert_eq!(device.settle().written, []);
}

#[test]
fn a_claim_dropped_half_way_whose_giving_back_is_refused_can_be_dropped() {
    let (mut device, link, number, _) = claiming("ada");
    device.command(Command::DropClaim).expect("dropped");
    device.answer(link, number, NameAnswer::Unavailable);
    let (number, _) = device.request(link);
    device.answer(link, number, NameAnswer::Taken);
    assert_eq!(
        device.view(None).and_then(|claim| claim.refused),
        Some(NameAnswer::Taken)
    );
    device.command(Command::DropClaim).expect("dropped");
    assert_eq!((device.view(None), device.stored_claims()), (None, 0));
}

// The bound.

#[test]
fn claims_of_slugs_are_bounded_and_a_refused_one_makes_room() {
    let (mut device, link) = Device::online();
    let first = device.post(0, Some("slug-0")).expect("a post");
    for n in 1..SLUG_CLAIMS_MAX as u16 {
        device.post(n, Some(&format!("slug-{n}"))).expect("a post");
    }
    let before = device.settle().written.len();
    assert_eq!(before, SLUG_CLAIMS_MAX);
    assert_eq!(device.post(1_000, Some("one-more")).err(), Some(Error::Busy));
    assert_eq!(device.settle().written, [], "nothing is published either");
    device.post(1_001, None).expect("a post without a slug");
    device.claim("ada").expect("a handle is no slug");
    let (number, request) = device.request(link);
    assert_eq!(request.post_id(), Some(first.entry.id));
    device.answer(link, number, NameAnswer::Taken);
    device.changed_slugs();
    device.post(1_000, Some("one-more")).expect("there is room");
    assert_eq!(device.view(Some(first.entry.id)), None);
    assert!(
        device.changed_slugs().contains(&first.entry),
        "interfaces learn of it"
    );
    assert_eq!(device.stored_claims(), SLUG_CLAIMS_MAX + 1);
}
