use core::time::Duration;

use protocol::messages::{ForkProof, HeadCredit, Interests, Message, SaltedAccount};
use protocol::{DeviceId, limits};

use super::*;
use crate::io::AddressId;
use crate::kinds::testing::Author;
use crate::sync::testing::{Peer, account};
use crate::testing::{Node, Remote};

/// A relay that holds this many made-up feeds, and a neighbour.
fn with_feeds(feeds: u32) -> (Peer, LinkId) {
    let mut peer = Peer::new(&[]);
    peer.role.serves_others = true;
    for n in 0..feeds {
        peer.hold_made_up(n);
    }
    let link = peer.link(&Remote::relay(20));
    (peer, link)
}

fn everything() -> Interests {
    Interests {
        reset: true,
        everything: true,
        ..Interests::default()
    }
}

/// The heads that were sent, and how many digests ended.
fn told(peer: &mut Peer, link: LinkId) -> (usize, usize) {
    let (mut heads, mut ends) = (0, 0);
    for message in peer.node.sent(link) {
        if let Message::Digest(digest) = message {
            heads += digest.heads.len();
            ends += usize::from(digest.end);
        }
    }
    (heads, ends)
}

fn grant(peer: &mut Peer, link: LinkId, heads: u32) {
    peer.receive(link, Message::HeadCredit(HeadCredit { heads }));
    peer.settle();
}

#[test]
fn a_digest_goes_on_as_the_neighbour_grants_credit_and_ends_once() {
    let (mut peer, link) = with_feeds(20_000);
    peer.interests(link, everything(), None);
    peer.settle();
    let window = limits::HEADS_WINDOW as usize;
    assert_eq!(told(&mut peer, link), (window, 0));
    grant(&mut peer, link, 2_048);
    assert_eq!(told(&mut peer, link), (2_048, 0));
    // More than is under way is not granted.
    grant(&mut peer, link, u32::MAX);
    assert_eq!(told(&mut peer, link), (window, 0));
    grant(&mut peer, link, limits::HEADS_WINDOW);
    assert_eq!(told(&mut peer, link), (20_000 - 2 * window - 2_048, 1));
    assert_eq!(peer.sync.next_deadline(), None);
}

#[test]
fn one_input_tells_of_a_bounded_number_of_feeds_and_the_next_ones_go_on() {
    let (mut peer, link) = with_feeds(8_000);
    peer.interests(link, everything(), None);
    let (first, ends) = told(&mut peer, link);
    assert!((500..4_000).contains(&first), "{first}");
    assert_eq!(ends, 0);
    assert!(peer.sync.next_deadline().is_some());
    peer.settle();
    assert_eq!(told(&mut peer, link), (8_000 - first, 1));
}

#[test]
fn a_neighbour_that_grants_no_credit_for_heads_is_sent_a_window_a_second() {
    let (mut peer, link) = with_feeds(20_000);
    let older = Remote {
        paces_digests: false,
        ..Remote::relay(21)
    };
    let older = peer.link(&older);
    peer.interests(older, everything(), None);
    peer.interests(link, everything(), None);
    peer.settle();
    for _ in 0..2 {
        peer.node.pass(Duration::from_secs(1));
        peer.on_timer();
        peer.settle();
    }
    assert_eq!(told(&mut peer, older), (20_000, 1));
    let window = limits::HEADS_WINDOW as usize;
    assert_eq!(told(&mut peer, link), (window, 0));
}

#[test]
fn interests_that_replace_others_end_the_digest_under_way() {
    let (mut peer, link) = with_feeds(10_000);
    peer.interests(link, everything(), None);
    peer.settle();
    told(&mut peer, link);
    let session = peer.node.net.session(link).expect("a session");
    let one = Interests {
        reset: true,
        add: vec![SaltedAccount::new(&session.salt_received, &account(5))],
        ..Interests::default()
    };
    peer.interests(link, one, None);
    peer.settle();
    assert_eq!(told(&mut peer, link), (0, 0), "there is no credit");
    grant(&mut peer, link, limits::HEADS_WINDOW);
    assert_eq!(told(&mut peer, link), (1, 1));
}

#[test]
fn a_flood_of_interests_goes_over_all_accounts_a_few_times_only_and_each_is_answered() {
    let (mut peer, link) = with_feeds(10_000);
    let session = peer.node.net.session(link).expect("a session");
    let salt = session.salt_received;
    for n in 0..200 {
        let interests = Interests {
            add: vec![SaltedAccount::new(&salt, &account(n))],
            ..Interests::default()
        };
        peer.interests(link, interests, None);
    }
    // What remains is merged.
    let answers = peer.sync.answers.get(&link).expect("asked");
    assert!(answers.asked.len() <= 1 && answers.is_busy());
    for _ in 0..3 {
        peer.settle();
        peer.node.pass(Duration::from_secs(2));
        peer.on_timer();
    }
    let (heads, ends) = told(&mut peer, link);
    assert_eq!(heads, 200);
    assert!(ends <= 6, "{ends} times");
    assert!((0..200).all(|n| peer.sync.links_wanting(&account(n)) == [link]));
}

#[test]
fn an_interest_taken_back_before_it_was_answered_matches_nothing() {
    let (mut peer, link) = with_feeds(40_000);
    let session = peer.node.net.session(link).expect("a session");
    let salted = vec![SaltedAccount::new(&session.salt_received, &account(39_999))];
    // The accounts are looked through in pieces, so the first question is not answered at once.
    let other = Interests {
        add: vec![SaltedAccount::new(&session.salt_received, &account(39_998))],
        ..Interests::default()
    };
    let (add, remove) = (
        Interests {
            add: salted.clone(),
            ..Interests::default()
        },
        Interests {
            remove: salted,
            ..Interests::default()
        },
    );
    for interests in [other, add, remove] {
        peer.interests(link, interests, None);
    }
    peer.settle();
    assert_eq!(peer.sync.links_wanting(&account(39_998)), [link]);
    assert!(peer.sync.links_wanting(&account(39_999)).is_empty());
    assert_eq!(told(&mut peer, link).0, 1);
}

#[test]
fn links_that_want_everything_at_once_get_it_in_turn() {
    let (mut peer, one) = with_feeds(7_000);
    let other = peer.link(&Remote::relay(21));
    peer.interests(one, everything(), None);
    peer.interests(other, everything(), None);
    for _ in 0..2 {
        peer.node.pass(Duration::from_millis(10));
        let Peer { node, sync, role } = &mut peer;
        let wanting = Wanting::without_follows(role);
        sync.work(&mut node.ctx, &node.net, &node.log, wanting);
    }
    let [(first, _), (second, _)] = [one, other].map(|link| told(&mut peer, link));
    assert!(first > 0 && second > 0, "{first} {second}");
    peer.settle();
    assert_eq!(told(&mut peer, one), (7_000 - first, 1));
    assert_eq!(told(&mut peer, other), (7_000 - second, 1));
}

#[test]
fn proofs_of_forks_come_with_the_digest_and_are_paced_with_it() {
    let (mut peer, link) = with_feeds(3_000);
    let mut ada = Author::new(1);
    ada.begin();
    let mut twin = Author::new(1);
    twin.begin();
    let proof = ForkProof {
        one: ada.post("one").entry().signed.clone(),
        other: twin.post("other").entry().signed.clone(),
    };
    for n in 0..3_000 {
        peer.node.log.forks.insert(DeviceId(account(n).0), proof.clone());
    }
    peer.interests(link, everything(), None);
    peer.settle();
    let mut proofs = 0;
    while peer.sync.answers.get(&link).is_some_and(LinkAnswers::is_busy) {
        let sent = peer.node.sent(link);
        let sent = sent
            .iter()
            .filter(|message| matches!(message, Message::ForkProof(_)));
        let sent = sent.count();
        assert!(sent <= limits::HEADS_WINDOW as usize / 4, "{sent} at once");
        proofs += sent;
        grant(&mut peer, link, limits::HEADS_WINDOW);
    }
    let sent = peer.node.sent(link);
    proofs += sent
        .iter()
        .filter(|message| matches!(message, Message::ForkProof(_)))
        .count();
    assert_eq!(proofs, 3_000);
}

#[test]
fn a_neighbour_that_asks_for_more_than_it_takes_is_told_all_it_wants_once() {
    let (mut peer, link) = with_feeds(1_000);
    peer.interests(link, everything(), None);
    peer.settle();
    told(&mut peer, link);
    peer.sync.answers.or_default(link).heads_under_way = limits::HEADS_WINDOW;
    let accounts: Vec<AccountId> = (0..1_000).map(account).collect();
    for _ in 0..200 {
        let Node { ctx, net, log, .. } = &mut peer.node;
        peer.sync.send_digest(ctx, net, log, link, &accounts, true);
    }
    let answers = peer.sync.answers.get(&link).expect("asked");
    assert_eq!(answers.digests.len(), DIGESTS_MAX + 1);
    let listed: usize = answers.digests.iter().map(|job| job.scope.listed()).sum();
    assert!(listed <= LISTED_MAX);
    for _ in 0..100 {
        grant(&mut peer, link, limits::HEADS_WINDOW);
    }
    let (heads, ends) = told(&mut peer, link);
    assert_eq!((heads, ends), ((DIGESTS_MAX + 1) * 1_000, DIGESTS_MAX + 1));
}

#[test]
fn links_of_one_address_one_after_the_other_cause_a_bounded_amount_of_work_and_the_last_one_is_answered() {
    let (mut peer, _) = with_feeds(100_000);
    // Older devices, for which all accounts are hashed: 300,000 units.
    let asks = |peer: &mut Peer, n: u8, address| {
        peer.node.wire.address = Some(AddressId(address));
        let link = peer.link(&Remote {
            relay_salt: false,
            ..Remote::peer(200 + n)
        });
        let salt = peer.node.net.session(link).expect("a session").salt_received;
        let interests = Interests {
            add: vec![SaltedAccount::new(&salt, &account(n.into()))],
            ..Interests::default()
        };
        peer.interests(link, interests, None);
        for _ in 0..20 {
            peer.node.pass(Duration::from_millis(5));
            let Peer { node, sync, role } = peer;
            sync.work(
                &mut node.ctx,
                &node.net,
                &node.log,
                Wanting::without_follows(role),
            );
        }
        (link, told(peer, link) == (1, 1))
    };
    let mut answered = 0;
    for n in 0..8 {
        let (link, is_answered) = asks(&mut peer, n, 7);
        answered += u32::from(is_answered);
        peer.down(link);
    }
    assert!((2..=4).contains(&answered), "{answered}");
    assert!(peer.sync.work.spent < 1_600_000, "{}", peer.sync.work.spent);
    let (elsewhere, is_answered) = asks(&mut peer, 8, 8);
    assert!(is_answered, "another address");
    peer.down(elsewhere);
    let (link, is_answered) = asks(&mut peer, 9, 7);
    assert!(!is_answered);
    peer.settle();
    assert_eq!(told(&mut peer, link), (1, 1));
}

#[test]
fn a_digest_of_what_changed_costs_what_the_neighbour_wants_and_not_what_is_held() {
    let (mut peer, link) = with_feeds(2_000);
    let session = peer.node.net.session(link).expect("a session");
    let some = (0..20).map(|n| SaltedAccount::new(&session.salt_received, &account(n)));
    let interests = Interests {
        reset: true,
        add: some.collect(),
        ..Interests::default()
    };
    peer.interests(link, interests, None);
    peer.settle();
    assert_eq!(told(&mut peer, link).0, 20);
    let before = peer.sync.work.spent;
    peer.anti_entropy();
    assert!(peer.sync.work.spent - before < 200);
}

#[test]
fn a_neighbour_whose_address_owes_is_not_remembered_but_says_all_that_it_wants() {
    let (mut peer, _) = with_feeds(10);
    peer.node.wire.address = Some(AddressId(7));
    let link = peer.link(&Remote::peer(100));
    let salted = SaltedAccount([5; 8]);
    let same = || Interests {
        reset: true,
        same: Some(Interests::fingerprint([&salted])),
        ..Interests::default()
    };
    let remembered = || crate::sync::Remembered {
        salted: [salted].into_iter().collect(),
        ..crate::sync::Remembered::default()
    };
    peer.interests(link, same(), Some(remembered()));
    let failed = |peer: &mut Peer| {
        let sent = peer.node.sent(link);
        sent.iter()
            .any(|message| matches!(message, Message::ResumeFailed(_)))
    };
    assert!(!failed(&mut peer));
    let now = peer.node.ctx.now.instant;
    peer.sync.work.refill(now);
    peer.sync.work.debit(1 << 21, Some(AddressId(7)));
    peer.interests(link, same(), Some(remembered()));
    assert!(failed(&mut peer));
}
