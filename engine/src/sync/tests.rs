use core::time::Duration;

use ordered::Set;
use protocol::link::handshake::Side;
use protocol::messages::{
    Credit, Digest, FeedHead, ForkProof, Interests, Message, Push, RangeEnd, SaltedAccount, Want,
};
use protocol::{AccountId, EntryId, VerifiedEntry, limits};

use super::fetch::{GRANT_HEADS, SLOW, STALLED};
use super::interests::{INTERESTS_MAX, RESUME_MIN};
use super::missing::MISSING_MAX;
use super::serve::{GRANT_BYTES, WAITING_MAX};
use super::testing::{Peer, entries, written};
use super::{Remembered, Wanting};
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::testing::{Node, Remote, head, spoil};

/// What a test passes to every function of [`Sync`].
macro_rules! call {
    ($peer:ident, $name:ident, $($argument:expr),*) => {{
        let Peer { node, sync, role } = &mut $peer;
        let Node { ctx, net, log, .. } = node;
        sync.$name(ctx, net, log, Wanting::without_follows(role), $($argument),*)
    }};
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

// Interests.

#[test]
fn a_neighbour_hears_of_the_accounts_it_wants_and_of_no_others() {
    let mut peer = Peer::new(&[]);
    let (mut ada, mut bob, carl) = (Author::new(2), Author::new(3), Author::new(4));
    let held = peer.node.hold(&mut ada, 3);
    peer.node.hold(&mut bob, 2);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&ada, &carl]);
    assert_eq!(peer.told(link), [head(&held[2])]);
    assert_eq!(peer.sync.links_wanting(&ada.account()), [link]);
    assert!(peer.sync.links_wanting(&bob.account()).is_empty());
}

#[test]
fn interests_are_salted_for_the_two_ends_of_a_link() {
    let mut peer = Peer::new(&[]);
    let mut ada = Author::new(2);
    peer.node.hold(&mut ada, 1);
    let (one, other) = (peer.link(&Remote::peer(20)), peer.link(&Remote::peer(21)));
    let replayed = Interests {
        add: vec![peer.salted(one, &ada)],
        ..Interests::default()
    };
    peer.interests(other, replayed, None);
    assert!(peer.sync.links_wanting(&ada.account()).is_empty());
}

#[test]
fn a_neighbour_that_wants_nothing_held_here_hears_that_there_is_nothing() {
    let mut peer = Peer::new(&[]);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&Author::new(2)]);
    let sent = peer.node.sent(link);
    let nothing = Digest {
        heads: Vec::new(),
        end: true,
    };
    assert_eq!(sent, [Message::Digest(nothing)]);
}

#[test]
fn an_interest_that_is_removed_or_not_repeated_after_a_reset_is_gone() {
    let mut peer = Peer::new(&[]);
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    peer.node.hold(&mut ada, 1);
    peer.node.hold(&mut bob, 1);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&ada, &bob]);
    let remove = Interests {
        remove: vec![peer.salted(link, &ada)],
        ..Interests::default()
    };
    peer.interests(link, remove, None);
    assert!(peer.sync.links_wanting(&ada.account()).is_empty());
    assert_eq!(peer.sync.links_wanting(&bob.account()), [link]);
    peer.wanted_by(link, &[&ada]);
    assert_eq!(peer.sync.links_wanting(&ada.account()), [link]);
    assert!(peer.sync.links_wanting(&bob.account()).is_empty());
}

#[test]
fn an_account_that_was_wanted_before_it_was_held_is_matched_when_it_is_seen() {
    let mut peer = Peer::new(&[]);
    let mut ada = Author::new(2);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&ada]);
    assert!(peer.sync.links_wanting(&ada.account()).is_empty());
    peer.node.hold(&mut ada, 1);
    let Peer { node, sync, role } = &mut peer;
    let wanting = Wanting::without_follows(role);
    sync.on_account_seen(&node.net, &node.log, wanting, ada.account());
    assert_eq!(peer.sync.links_wanting(&ada.account()), [link]);
}

#[test]
fn more_interests_than_the_bound_are_misbehaviour() {
    let mut peer = Peer::new(&[]);
    let link = peer.link(&Remote::peer(20));
    let mut next = 0_u64;
    let mut add = |count: usize| {
        let add = (0..count).map(|_| {
            next += 1;
            SaltedAccount(next.to_be_bytes())
        });
        Interests {
            add: add.collect(),
            ..Interests::default()
        }
    };
    for _ in 0..INTERESTS_MAX / limits::INTERESTS_PER_MESSAGE_MAX {
        peer.interests(link, add(limits::INTERESTS_PER_MESSAGE_MAX), None);
    }
    assert!(!peer.misbehaved());
    peer.interests(link, add(1), None);
    assert!(peer.misbehaved());
    let salted = peer.sync.interest(link).map(|interest| interest.salted.len());
    assert_eq!(salted, Some(INTERESTS_MAX));
}

#[test]
fn what_a_relay_remembers_of_a_device_counts_if_it_is_what_the_device_wants() {
    let mut peer = Peer::new(&[]);
    peer.role.serves_others = true;
    let mut ada = Author::new(2);
    peer.node.hold(&mut ada, 1);
    let link = peer.link(&Remote::peer(20));
    let salted: Set<_> = [peer.salted(link, &ada)].into_iter().collect();
    let resume = Interests {
        reset: true,
        same: Some(Interests::fingerprint(salted.iter())),
        ..Interests::default()
    };
    peer.interests(link, resume.clone(), None);
    let sent = peer.node.sent(link);
    assert!(matches!(sent.as_slice(), [Message::ResumeFailed(_)]), "{sent:?}");
    assert!(
        peer.sync
            .interest(link)
            .is_some_and(|interest| interest.resume_failed)
    );
    let remembered = |salted: Set<SaltedAccount>| {
        Some(Remembered {
            salted,
            named: Set::new(),
        })
    };
    let other: Set<_> = [SaltedAccount([3; 8])].into_iter().collect();
    peer.interests(link, resume.clone(), remembered(other));
    assert!(
        peer.sync.links_wanting(&ada.account()).is_empty(),
        "it wants something else by now"
    );
    peer.interests(link, resume.clone(), remembered(salted.clone()));
    assert_eq!(peer.sync.links_wanting(&ada.account()), [link]);
    let failed = |peer: &Peer| {
        let interest = peer.sync.interest(link);
        interest.is_some_and(|interest| interest.resume_failed)
    };
    assert!(!failed(&peer));
    for _ in 0..4 {
        peer.interests(link, resume.clone(), remembered(salted.clone()));
    }
    assert!(failed(&peer), "a link asks that a few times");
}

#[test]
fn a_device_says_all_it_wants_when_the_relay_does_not_remember_it() {
    let mut peer = Peer::new(&[]);
    let wants = |count: usize| (0..count).map(|n| AccountId([n as u8; 32])).collect();
    let link = peer.link(&Remote::relay(20));
    peer.role.wants = wants(RESUME_MIN);
    call!(peer, send_interests, link);
    let sent = peer.node.sent(link);
    let [Message::Interests(resume)] = sent.as_slice() else {
        panic!("one message: {sent:?}");
    };
    assert!(resume.same.is_some() && resume.add.is_empty() && resume.reset);
    call!(peer, on_resume_failed, link);
    let sent = peer.node.sent(link);
    let [Message::Interests(all)] = sent.as_slice() else {
        panic!("one message: {sent:?}");
    };
    assert_eq!((all.same, all.add.len(), all.reset), (None, RESUME_MIN, true));
    // So few are said at once.
    peer.role.wants = wants(RESUME_MIN - 1);
    call!(peer, send_interests, link);
    let sent = peer.node.sent(link);
    assert!(
        matches!(sent.as_slice(), [Message::Interests(all)] if all.same.is_none()),
        "{sent:?}"
    );
}

#[test]
fn a_sketch_is_sent_to_a_relay_that_this_peer_dialled_and_else_to_none() {
    let mut peer = Peer::new(&[]);
    for n in 0..16 {
        let mut author = Author::new(2 + n);
        peer.node.hold(&mut author, 1);
        peer.role.wants.insert(author.account());
    }
    let sketches = |peer: &mut Peer, side, remote: &Remote| {
        let link = peer.node.prove(side, remote);
        peer.node.sent(link);
        let Peer { node, sync, role } = peer;
        let Node { ctx, net, log, .. } = node;
        sync.send_interests(ctx, net, log, Wanting::without_follows(role), link);
        let sent = peer.node.sent(link);
        let said = sent
            .iter()
            .any(|message| matches!(message, Message::Interests(interests) if interests.sketch));
        let sketch = sent.iter().any(|message| matches!(message, Message::Sketch(_)));
        assert_eq!(said, sketch);
        sketch
    };
    assert!(sketches(&mut peer, Side::Initiator, &Remote::relay(20)));
    assert!(!sketches(&mut peer, Side::Responder, &Remote::relay(21)));
    assert!(!sketches(&mut peer, Side::Initiator, &Remote::peer(22)));
    peer.role.wants.remove(&Author::new(2).account());
    assert!(
        !sketches(&mut peer, Side::Initiator, &Remote::relay(23)),
        "too few feeds"
    );
}

// Digests.

#[test]
fn anti_entropy_says_only_what_changed() {
    let mut peer = Peer::new(&[]);
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    peer.node.hold(&mut ada, 2);
    peer.node.hold(&mut bob, 2);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&ada, &bob]);
    assert_eq!(peer.told(link).len(), 2);
    peer.anti_entropy();
    assert!(peer.node.sent(link).is_empty(), "nothing changed");
    let more = ada.post("more");
    peer.node.take_in(&more);
    peer.anti_entropy();
    assert_eq!(peer.told(link), [head(&more)]);
    peer.anti_entropy();
    assert!(peer.node.sent(link).is_empty());
}

#[test]
fn a_neighbour_is_not_told_what_it_said_that_it_holds() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&ada]);
    peer.node.sent(link);
    let held = peer.node.hold(&mut ada, 2);
    peer.sync.match_accounts(link, [ada.account()]);
    peer.tells(link, &held[1]);
    peer.anti_entropy();
    assert!(peer.told(link).is_empty());
}

#[test]
fn neighbours_hear_of_own_entries_only_once_they_are_durable() {
    let me = Author::new(1);
    let mut peer = Peer::new(&[]);
    let Node { ctx, log, .. } = &mut peer.node;
    log.begin_own(ctx, me.certificate());
    let link = peer.link(&Remote::peer(20));
    peer.wanted_by(link, &[&me]);
    assert!(peer.told(link).is_empty());
    peer.node.persist();
    peer.anti_entropy();
    let told = peer.told(link);
    assert_eq!(told.iter().map(|head| head.next_seq).collect::<Vec<_>>(), [1]);
}

// Fetching.

#[test]
fn a_feed_is_fetched_from_one_neighbour_at_a_time() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 3);
    let (one, other) = (peer.link(&Remote::peer(20)), peer.link(&Remote::peer(21)));
    peer.tells(one, &written[1]);
    peer.tells(other, &written[2]);
    let asked = peer.wants(one);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(0, 2)]
    );
    assert!(peer.wants(other).is_empty());
    peer.receive(one, entries(asked[0].request, &written[..2]));
    assert_eq!(peer.held(&ada), 2);
    assert!(peer.wants(other).is_empty(), "the first one is not done");
    let request = asked[0].request;
    peer.receive(one, Message::RangeEnd(RangeEnd { request }));
    let asked = peer.wants(other);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(2, 3)]
    );
    let request = asked[0].request;
    peer.receive(other, entries(request, &written[2..]));
    peer.receive(other, Message::RangeEnd(RangeEnd { request }));
    assert!(!peer.sync.is_fetching());
    assert_eq!(peer.held(&ada), 3);
}

#[test]
fn what_the_disk_has_no_room_for_is_refused_and_fetched_once_there_is_room() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 3);
    let link = peer.link(&Remote::peer(20));
    let room = std::mem::take(&mut peer.node.ctx.config.unwritten_bytes_max);
    for entry in &written {
        let entry = entry.entry().clone();
        let (hops, tree) = (1, 0);
        peer.receive(link, Message::Push(Push { hops, tree, entry }));
    }
    peer.tells(link, &written[2]);
    peer.on_timer();
    assert!(!peer.misbehaved());
    assert_eq!(peer.held(&ada), 0);
    assert!(peer.wants(link).is_empty(), "nothing is asked for");
    peer.node.ctx.config.unwritten_bytes_max = room;
    peer.on_timer();
    let asked = peer.wants(link);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(0, 3)]
    );
    peer.receive(link, entries(asked[0].request, &written));
    assert_eq!(peer.held(&ada), 3);
}

#[test]
fn a_feed_that_does_not_grow_is_requested_from_a_second_neighbour_too() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 3);
    let (one, other) = (peer.link(&Remote::peer(20)), peer.link(&Remote::peer(21)));
    peer.tells(one, &written[2]);
    peer.tells(other, &written[2]);
    let request = peer.wants(one)[0].request;
    peer.node.pass(SLOW - seconds(1));
    peer.receive(one, entries(request, &written[..1]));
    peer.node.pass(SLOW - seconds(1));
    peer.on_timer();
    assert!(peer.wants(other).is_empty(), "it made progress");
    // The same entry again is none.
    peer.receive(one, entries(request, &written[..1]));
    peer.node.pass(seconds(1));
    peer.on_timer();
    let asked = peer.wants(other);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(1, 3)]
    );
    // The first one may still answer.
    peer.receive(one, entries(request, &written[1..]));
    assert_eq!(peer.held(&ada), 3);
    for link in [one, other] {
        let request = if link == one { request } else { asked[0].request };
        peer.receive(link, Message::RangeEnd(RangeEnd { request }));
    }
    assert!(!peer.sync.is_fetching());
}

#[test]
fn a_neighbour_that_drips_entries_of_one_feed_does_not_hold_up_others() {
    let mut authors: Vec<Author> = (2..12).map(Author::new).collect();
    let mut peer = Peer::new(&authors.iter().collect::<Vec<_>>());
    let written: Vec<_> = authors.iter_mut().map(|author| written(author, 8)).collect();
    let (hostile, honest) = (peer.link(&Remote::peer(20)), peer.link(&Remote::peer(21)));
    for link in [hostile, honest] {
        for entries in &written {
            peer.tells(link, &entries[7]);
        }
    }
    let request = peer.wants(hostile)[0].request;
    assert!(peer.wants(honest).is_empty());
    for n in 0..3 {
        peer.receive(hostile, entries(request, &written[0][n..=n]));
        peer.node.pass(seconds(2));
        peer.on_timer();
    }
    assert_eq!(peer.wants(honest).len(), 9, "all but the one that grows");
}

#[test]
fn a_request_of_a_neighbour_that_sends_nothing_is_given_up_and_made_again() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 3);
    let link = peer.link(&Remote::peer(20));
    peer.tells(link, &written[2]);
    let first = peer.wants(link);
    peer.node.pass(STALLED - seconds(1));
    peer.on_timer();
    assert!(peer.wants(link).is_empty());
    peer.node.pass(seconds(1));
    peer.on_timer();
    let again = peer.wants(link);
    assert_eq!((first.len(), again.len()), (1, 1));
    assert_ne!(first[0].request, again[0].request);
}

/// Heads of feeds that nobody holds.
fn made_up(account: AccountId, from: u64, count: u64) -> Digest {
    let head = |n: u64| {
        let mut device = [7; 32];
        device[..8].copy_from_slice(&n.to_le_bytes());
        FeedHead {
            account,
            device: protocol::DeviceId(device),
            next_seq: 5,
            head: EntryId::default(),
        }
    };
    Digest {
        heads: (from..from + count).map(head).collect(),
        end: false,
    }
}

#[test]
fn of_a_neighbour_no_more_feeds_are_remembered_than_are_fetched_next_and_it_is_asked_again() {
    let ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let link = peer.link(&Remote::peer(20));
    for part in 0..100 {
        let digest = made_up(ada.account(), part * 1_024, 1_024);
        peer.receive(link, Message::Digest(digest));
    }
    assert_eq!(peer.sync.missing_len(link), MISSING_MAX);
    assert!(peer.sync.overflowed(link));
    let now = peer.node.ctx.now.instant;
    assert_eq!(
        peer.sync.links_to_ask_again(now + seconds(60)),
        [],
        "there is much to fetch"
    );
    while peer.sync.missing_len(link) > 0 {
        for want in peer.wants(link) {
            let request = want.request;
            peer.receive(link, Message::RangeEnd(RangeEnd { request }));
        }
    }
    assert_eq!(peer.sync.links_to_ask_again(now), [], "not that soon");
    assert_eq!(peer.sync.links_to_ask_again(now + seconds(60)), [link]);
    assert!(!peer.sync.overflowed(link));
}

/// Credit for heads that a neighbour was granted.
fn granted(peer: &mut Peer, link: LinkId) -> u32 {
    let sent = peer.node.sent(link).into_iter();
    let heads = sent.filter_map(|message| match message {
        Message::HeadCredit(credit) => Some(credit.heads),
        _ => None,
    });
    heads.sum()
}

#[test]
fn heads_are_granted_again_once_they_need_not_be_remembered() {
    let (ada, bob) = (Author::new(2), Author::new(3));
    let mut peer = Peer::new(&[&ada]);
    let link = peer.link(&Remote::peer(20));
    // Nothing is to be done for feeds that are not wanted.
    for part in 0..2 {
        let digest = made_up(bob.account(), part * 1_024, 1_024);
        peer.receive(link, Message::Digest(digest));
    }
    assert_eq!(granted(&mut peer, link), GRANT_HEADS);
    for part in 0..8 {
        let digest = made_up(ada.account(), part * 1_024, 1_024);
        peer.receive(link, Message::Digest(digest));
    }
    assert_eq!(granted(&mut peer, link), 0, "they are to be fetched");
    let mut heads = 0;
    let mut request = 0;
    while peer.sync.missing_len(link) > 0 {
        request += 1;
        peer.receive(link, Message::RangeEnd(RangeEnd { request }));
        heads += granted(&mut peer, link);
    }
    assert_eq!(heads, 4 * GRANT_HEADS);
    // Proofs of forks count as well.
    let (one, other) = (ada_post("one"), ada_post("other"));
    let proof = ForkProof { one, other };
    for _ in 0..GRANT_HEADS / limits::FORK_PROOF_HEADS {
        peer.receive(link, Message::ForkProof(proof.clone()));
    }
    assert_eq!(granted(&mut peer, link), GRANT_HEADS);
}

/// The header of a post of Ada's, her first.
fn ada_post(text: &str) -> protocol::SignedHeader {
    let mut ada = Author::new(2);
    ada.begin();
    ada.post(text).entry().signed.clone()
}

#[test]
fn what_was_fetched_over_a_link_that_ends_is_fetched_from_another() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 2);
    let (one, other) = (peer.link(&Remote::peer(20)), peer.link(&Remote::peer(21)));
    peer.tells(one, &written[1]);
    peer.tells(other, &written[1]);
    assert!(peer.wants(other).is_empty());
    peer.down(one);
    assert_eq!(peer.wants(other).len(), 1);
}

#[test]
fn nothing_is_fetched_that_is_not_wanted_or_held_already() {
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    let mut peer = Peer::new(&[&ada]);
    let held = peer.node.hold(&mut ada, 2);
    let link = peer.link(&Remote::peer(20));
    peer.tells(link, &held[1]);
    peer.tells(link, &written(&mut bob, 2)[1]);
    assert!(peer.wants(link).is_empty() && !peer.sync.is_fetching());
}

#[test]
fn a_relay_fetches_from_relays_no_more_per_second_than_its_bound() {
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    let mut peer = Peer::new(&[&ada, &bob]);
    peer.role.serves_others = true;
    let (of_ada, of_bob) = (written(&mut ada, 2), written(&mut bob, 2));
    let (relay, person) = (peer.link(&Remote::relay(20)), peer.link(&Remote::peer(21)));
    peer.tells(relay, &of_ada[1]);
    let request = peer.wants(relay)[0].request;
    let answer = entries(request, &of_ada);
    // One answer is as much as two seconds allow.
    peer.node.ctx.config.repair_bytes_per_s = answer.encode().len() as u32 / 2;
    peer.receive(relay, answer);
    peer.receive(relay, Message::RangeEnd(RangeEnd { request }));
    peer.tells(relay, &of_bob[1]);
    assert!(peer.wants(relay).is_empty());
    peer.tells(person, &of_bob[0]);
    assert_eq!(peer.wants(person).len(), 1, "a person's device is not held back");
    peer.down(person);
    peer.wants(relay);
    peer.on_timer();
    peer.on_timer();
    peer.on_timer();
    let asked = peer
        .sync
        .requests(relay)
        .filter(|request| request.device == bob.device());
    assert_eq!(asked.count(), 1);
}

#[test]
fn an_entry_that_comes_too_early_makes_the_range_before_it_be_fetched() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let written = written(&mut ada, 4);
    let link = peer.link(&Remote::peer(20));
    peer.receive(link, entries(9, &written[3..]));
    let asked = peer.wants(link);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(0, 4)]
    );
    assert_eq!(peer.held(&ada), 0);
}

#[test]
fn an_entry_with_a_wrong_signature_is_misbehaviour_and_one_that_is_not_wanted_is_dropped() {
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    let mut peer = Peer::new(&[&ada]);
    let link = peer.link(&Remote::peer(20));
    let push = |entry: &VerifiedEntry| Push {
        hops: 1,
        tree: 0,
        entry: entry.entry().clone(),
    };
    peer.receive(link, Message::Push(push(&bob.begin())));
    assert_eq!(peer.held(&bob), 0);
    assert!(!peer.misbehaved());
    let mut wrong = push(&ada.begin());
    spoil(&mut wrong.entry.signed.signature);
    peer.receive(link, Message::Push(wrong));
    assert_eq!(peer.held(&ada), 0);
    assert!(peer.misbehaved());
}

#[test]
fn a_pushed_entry_goes_on_to_those_that_want_it_and_not_back() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    peer.node.hold(&mut ada, 1);
    let links = [20, 21, 22].map(|n| peer.link(&Remote::peer(n)));
    peer.wanted_by(links[0], &[&ada]);
    peer.wanted_by(links[1], &[&ada]);
    for link in links {
        peer.node.sent(link);
    }
    let entry = ada.post("news");
    let push = Push {
        hops: 1,
        tree: 0,
        entry: entry.entry().clone(),
    };
    peer.receive(links[0], Message::Push(push));
    call!(peer, pump,);
    let pushed = links.map(|link| {
        let sent = peer.node.sent(link);
        sent.iter()
            .any(|message| matches!(message, Message::Push(push) if push.hops == 2))
    });
    assert_eq!(pushed, [false, true, false]);
}

#[test]
fn a_fork_proof_of_an_account_that_is_not_wanted_is_not_kept() {
    let (mut ada, mut again) = (Author::new(2), Author::new(2));
    let mut peer = Peer::new(&[]);
    peer.node.hold(&mut ada, 1);
    again.begin();
    let proof = ForkProof {
        one: ada.post("one").entry().signed.clone(),
        other: again.post("other").entry().signed.clone(),
    };
    let link = peer.link(&Remote::peer(20));
    peer.receive(link, Message::ForkProof(proof.clone()));
    assert!(peer.node.log.forks.is_empty());
    peer.role.wants.insert(ada.account());
    peer.receive(link, Message::ForkProof(proof));
    assert_eq!(peer.node.log.forks.len(), 1);
}

// Serving.

fn want(request: u32, author: &Author, from: u64, to: u64) -> Message {
    let device = author.device();
    Message::Want(Want {
        request,
        device,
        from,
        to,
    })
}

/// A peer with three entries of an author, and a neighbour.
fn serving() -> (Peer, Author, Vec<VerifiedEntry>, LinkId) {
    let mut peer = Peer::new(&[]);
    let mut ada = Author::new(2);
    let held = peer.node.hold(&mut ada, 3);
    let link = peer.link(&Remote::peer(20));
    peer.node.outputs();
    (peer, ada, held, link)
}

#[test]
fn a_want_is_answered_with_the_range_and_its_end() {
    let (mut peer, ada, held, link) = serving();
    peer.receive(link, want(7, &ada, 1, 9));
    assert_eq!(peer.serve(), 1);
    let end = Message::RangeEnd(RangeEnd { request: 7 });
    assert_eq!(peer.node.sent(link), [entries(7, &held[1..]), end]);
}

#[test]
fn a_want_of_what_is_not_held_is_answered_as_empty_without_a_read() {
    let (mut peer, ada, _, link) = serving();
    for wanted in [
        want(1, &ada, 3, 9),
        want(2, &Author::new(3), 0, 1),
        want(3, &ada, 2, 2),
    ] {
        peer.receive(link, wanted);
    }
    assert_eq!(peer.serve(), 0);
    let ends = [1, 2, 3].map(|request| Message::RangeEnd(RangeEnd { request }));
    assert_eq!(peer.node.sent(link), ends);
}

#[test]
fn nothing_is_served_without_credit_and_what_waits_is_bounded() {
    let (mut peer, ada, _, link) = serving();
    let all = limits::CREDIT_WINDOW_BYTES;
    peer.sync.spread.spend(link, all as usize);
    for request in 0..WAITING_MAX as u32 {
        peer.receive(link, want(request, &ada, 0, 3));
    }
    assert_eq!(peer.serve(), 0);
    assert!(peer.node.sent(link).is_empty());
    peer.receive(link, want(999, &ada, 0, 3));
    let end = Message::RangeEnd(RangeEnd { request: 999 });
    assert_eq!(peer.node.sent(link), [end], "one too many");
    peer.receive(link, Message::Credit(Credit { bytes: 1 }));
    assert!(peer.serve() > 0);
    assert!(peer.sync.spread.credit(link) < 0, "what was sent was charged");
    assert_eq!(peer.serve(), 0, "the credit is used up");
}

#[test]
fn a_neighbour_gets_credit_again_in_pieces_and_only_for_what_is_stored() {
    let (mut peer, _, _, link) = serving();
    let mut grant = |bytes: u32| {
        let consumed = [(link, bytes)].into_iter().collect();
        peer.sync.grant_consumed(&mut peer.node.ctx, &consumed);
        peer.node.sent(link)
    };
    assert_eq!(grant(GRANT_BYTES - 1), []);
    assert_eq!(grant(1), [Message::Credit(Credit { bytes: GRANT_BYTES })]);
    assert_eq!(grant(1), []);
}

#[test]
fn rows_that_come_after_the_link_ended_are_sent_to_no_one() {
    let (mut peer, ada, _, link) = serving();
    peer.receive(link, want(7, &ada, 0, 3));
    let loads = peer.node.loads();
    peer.down(link);
    assert!(peer.sync.interest(link).is_none());
    let rows = peer.node.store.load(&loads[0]);
    let Node { ctx, log, .. } = &mut peer.node;
    peer.sync.on_serve_rows(ctx, log, loads[0].id, rows);
    assert!(peer.node.sent(link).is_empty());
}

#[test]
fn own_entries_that_are_not_durable_are_not_served() {
    let me = Author::new(1);
    let mut peer = Peer::new(&[]);
    let Node { ctx, log, .. } = &mut peer.node;
    log.begin_own(ctx, me.certificate());
    let link = peer.link(&Remote::peer(20));
    peer.node.outputs();
    peer.receive(link, want(1, &me, 0, 1));
    assert_eq!(peer.serve(), 0);
    peer.node.persist();
    peer.receive(link, want(2, &me, 0, 1));
    assert_eq!(peer.serve(), 1);
}

#[test]
fn a_head_that_differs_at_the_same_number_makes_the_entry_be_compared() {
    let mut ada = Author::new(2);
    let mut peer = Peer::new(&[&ada]);
    let held = peer.node.hold(&mut ada, 2);
    let link = peer.link(&Remote::peer(20));
    let other = Digest {
        heads: vec![FeedHead {
            head: EntryId([9; 32]),
            ..head(&held[1])
        }],
        end: true,
    };
    peer.receive(link, Message::Digest(other));
    let asked = peer.wants(link);
    assert_eq!(
        asked.iter().map(|want| (want.from, want.to)).collect::<Vec<_>>(),
        [(1, 2)]
    );
}
