use protocol::messages::RangeEnd;

use super::*;
use crate::facts::Fact;
use crate::kinds::testing::Author;
use crate::sync::testing::{Peer, entries, written};
use crate::testing::{Remote, spoil};

/// Two accounts of an address need no work.
const QUOTAS: Quotas = Quotas {
    entries_per_account: 0,
    bytes_per_account: 0,
    accounts_per_address: 8,
    bytes_per_address: 0,
    accounts_per_minute: 0,
};
const NOW: Instant = Instant(10_000_000_000);

fn new(account: u8, address: u128) -> Addition {
    Addition {
        address: AddressId(address),
        account: AccountId([account; 32]),
        is_new: true,
        bytes: 1,
    }
}

/// The work that each of this many accounts needed. They come from addresses in turn.
fn bits(quotas: &Quotas, accounts: u8, addresses: u8) -> Vec<u8> {
    let (mut admissions, mut used) = (Admissions::default(), QuotaUse::default());
    let bits = (0..accounts).map(|n| {
        let it = new(n, (n % addresses).into());
        let demand = admissions.demand(quotas, &used, NOW, &it);
        used.spend(quotas, NOW, &it);
        admissions.on_added(quotas, NOW, &it);
        demand.map_or(0, |demand| demand.bits)
    });
    bits.collect()
}

#[test]
fn the_more_accounts_come_from_an_address_the_more_work_the_next_one_needs() {
    let of_one = [0, 0, 14, 14, 18, 18, 22, 22, 22];
    assert_eq!(bits(&QUOTAS, 9, 1), of_one);
    assert_eq!(bits(&QUOTAS, 8, 4), [0; 8], "each address for itself");
    assert_eq!(bits(&Quotas::default(), 200, 1), [0; 200], "without quotas");
}

#[test]
fn the_more_accounts_come_from_everywhere_the_more_work_the_next_one_needs_and_none_is_refused() {
    let quotas = Quotas {
        accounts_per_minute: 8,
        ..Quotas::default()
    };
    let (mut admissions, used) = (Admissions::default(), QuotaUse::default());
    assert_eq!(bits(&quotas, 10, 200), [0, 0, 12, 12, 16, 16, 20, 20, 20, 20]);
    for n in 0..200 {
        admissions.on_added(&quotas, NOW, &new(n, n.into()));
    }
    let demand = admissions
        .demand(&quotas, &used, NOW, &new(201, 1))
        .expect("work");
    assert_eq!((demand.bits, demand.wait), (20, MINUTE * 3 / 4));
    // The flood is forgotten within a minute.
    let later = NOW + MINUTE * 3 / 4;
    assert!(admissions.demand(&quotas, &used, later, &new(201, 1)).is_some());
    let later = later + Duration::from_micros(1);
    assert_eq!(admissions.demand(&quotas, &used, later, &new(201, 1)), None);
}

#[test]
fn work_that_was_done_while_little_was_needed_does_not_count_for_more() {
    let (mut admissions, mut used) = (Admissions::default(), QuotaUse::default());
    for n in 0..2 {
        used.spend(&QUOTAS, NOW, &new(n, 1));
    }
    let bits = |admissions: &Admissions, used: &QuotaUse| {
        let demand = admissions.demand(&QUOTAS, used, NOW, &new(100, 1));
        demand.map(|demand| demand.bits)
    };
    assert_eq!(bits(&admissions, &used), Some(14));
    admissions.admit(NOW, new(100, 1).account, 14);
    assert_eq!(bits(&admissions, &used), None);
    for n in 2..4 {
        used.spend(&QUOTAS, NOW, &new(n, 1));
    }
    assert_eq!(bits(&admissions, &used), Some(18));
    admissions.admit(NOW, new(100, 1).account, 18);
    assert_eq!(bits(&admissions, &used), None);
}

#[test]
fn work_counts_for_its_account_its_bits_and_twenty_minutes() {
    let mut peer = Peer::new(&[]);
    let ctx = &mut peer.node.ctx;
    let own = ctx.peer().expect("a key");
    let (account, other) = (AccountId([1; 32]), AccountId([2; 32]));
    let mut admissions = Admissions::default();
    ctx.now.instant = NOW;
    let required = admissions.require(ctx, &account, 8);
    let done = work(&own, &account, required);
    assert!(admissions.proves(ctx, &own, &account, &done));
    for (account, done) in [
        (account, WorkDone { bits: 7, ..done }),
        (other, work(&own, &other, required)),
        (
            account,
            WorkDone {
                nonce: wrong(&own, &account, required),
                ..done
            },
        ),
    ] {
        assert!(!admissions.proves(ctx, &own, &account, &done), "{done:?}");
    }
    ctx.now.instant = NOW + CHALLENGE_TIME;
    assert!(admissions.proves(ctx, &own, &account, &done));
    ctx.now.instant = NOW + CHALLENGE_TIME * 2;
    assert!(!admissions.proves(ctx, &own, &account, &done));
    let another = &mut Admissions::default();
    another.require(ctx, &account, 8);
    ctx.now.instant = NOW;
    assert!(!another.proves(ctx, &own, &account, &done), "with another secret");
}

fn work(relay: &PeerId, account: &AccountId, required: WorkRequired) -> WorkDone {
    let WorkRequired { bits, challenge } = required;
    let puzzle = Puzzle::new(relay, account, &challenge, bits);
    let mut nonce = 0;
    while !puzzle.seek(&mut nonce, 1_000) {}
    WorkDone {
        bits,
        challenge,
        nonce,
    }
}

/// A number that is not the work.
fn wrong(relay: &PeerId, account: &AccountId, required: WorkRequired) -> u64 {
    let puzzle = Puzzle::new(relay, account, &required.challenge, required.bits);
    let nonce = (0..).find(|nonce| !puzzle.is_solved_by(*nonce));
    nonce.expect("there is one")
}

#[test]
fn accounts_that_proved_work_and_do_not_come_are_remembered_up_to_a_bound() {
    let mut admissions = Admissions::default();
    let account = |n: usize| {
        let mut account = [0; 32];
        account[..8].copy_from_slice(&n.to_be_bytes());
        AccountId(account)
    };
    for n in 0..=ADMITTED_MAX {
        admissions.admit(NOW + Duration::from_micros(n as u64), account(n), 12);
    }
    assert_eq!(admissions.admitted.len(), ADMITTED_MAX);
    assert!(!admissions.admitted.contains_key(&account(0)), "the first one");
    admissions.on_timer(NOW + ADMITTED_TIME);
    assert_eq!(admissions.admitted.len(), ADMITTED_MAX);
    admissions.on_timer(NOW + ADMITTED_TIME * 2);
    assert_eq!(admissions.admitted.len(), 0);
}

/// A relay that had as many accounts of an address as need no work, the device of a newcomer at that address, and what
/// the newcomer wrote.
fn crowded(works: bool) -> (Peer, Author, Vec<protocol::VerifiedEntry>, LinkId) {
    let mut author = Author::new(2);
    let mut crowd = [Author::new(3), Author::new(4)];
    let mut peer = Peer::new(&[&author, &crowd[0], &crowd[1]]);
    peer.role.serves_others = true;
    peer.node.ctx.config.quotas = QUOTAS;
    peer.node.wire.address = Some(AddressId(1));
    let other = peer.link(&Remote::peer(20));
    for author in &mut crowd {
        peer.receive(other, entries(1, &[author.begin()]));
        assert_eq!(peer.held(author), 1);
    }
    assert_eq!(required(&mut peer, other), []);
    let link = peer.link(&Remote {
        key: author.device_key().clone(),
        certificate: Some(author.certificate()),
        works,
        ..Remote::peer(0)
    });
    let feed = written(&mut author, 3);
    (peer, author, feed, link)
}

fn required(peer: &mut Peer, link: LinkId) -> Vec<WorkRequired> {
    let sent = peer.node.sent(link).into_iter();
    let required = sent.filter_map(|message| match message {
        Message::WorkRequired(required) => Some(required),
        _ => None,
    });
    required.collect()
}

#[test]
fn a_newcomer_among_many_is_asked_for_work_and_its_entries_are_fetched_once_it_is_done() {
    let (mut peer, author, feed, link) = crowded(true);
    let own = peer.node.ctx.peer().expect("a key");
    peer.tells(link, &feed[2]);
    let wants = peer.wants(link);
    peer.receive(link, entries(wants[0].request, &feed));
    peer.receive(link, Message::RangeEnd(RangeEnd { request: 1 }));
    let asked = required(&mut peer, link);
    assert_eq!(asked.iter().map(|it| it.bits).collect::<Vec<_>>(), [14]);
    assert_eq!(peer.held(&author), 0, "nothing of it is stored");
    // What is refused again soon is not asked for again.
    peer.receive(link, entries(9, &feed));
    assert_eq!(required(&mut peer, link), []);
    let wrong = WorkDone {
        bits: 14,
        challenge: asked[0].challenge,
        nonce: wrong(&own, &author.account(), asked[0]),
    };
    peer.receive(link, Message::WorkDone(wrong));
    assert_eq!(required(&mut peer, link), [], "it was asked a moment ago");
    peer.node.pass(ASK_INTERVAL);
    let now = peer.node.ctx.now.instant;
    peer.sync.quotas.spend(&QUOTAS, now, &new(49, 1));
    peer.receive(link, Message::WorkDone(wrong));
    assert_eq!(required(&mut peer, link), asked, "the same is asked for");
    // More come before it is done.
    for n in 50..52 {
        let now = peer.node.ctx.now.instant;
        peer.sync.quotas.spend(&QUOTAS, now, &new(n, 1));
    }
    let done = work(&own, &author.account(), asked[0]);
    peer.receive(link, Message::WorkDone(done));
    let more = required(&mut peer, link);
    assert_eq!(more.iter().map(|it| it.bits).collect::<Vec<_>>(), [18]);
    peer.receive(link, entries(9, &feed));
    assert_eq!(peer.held(&author), 0);
    peer.node.sent(link);
    let done = work(&own, &author.account(), more[0]);
    peer.receive(link, Message::WorkDone(done));
    let wants = peer.wants(link);
    assert_eq!((wants.len(), wants[0].from), (1, 0), "at once");
    peer.receive(link, entries(wants[0].request, &feed));
    assert_eq!(peer.held(&author), 3);
    assert_eq!(peer.sync.work_of_accounts(), [3, 1]);
}

#[test]
fn work_that_was_done_while_none_was_needed_counts_when_more_come_again() {
    let (mut peer, author, feed, link) = crowded(true);
    let own = peer.node.ctx.peer().expect("a key");
    peer.receive(link, entries(9, &feed));
    let asked = required(&mut peer, link);
    assert_eq!(asked.len(), 1);
    peer.node.pass(Duration::from_secs(300));
    let done = work(&own, &author.account(), asked[0]);
    peer.receive(link, Message::WorkDone(done));
    let now = peer.node.ctx.now.instant;
    for n in 50..52 {
        peer.sync.quotas.spend(&QUOTAS, now, &new(n, 1));
    }
    peer.receive(link, entries(9, &feed));
    assert_eq!(required(&mut peer, link), []);
    assert_eq!(peer.held(&author), 3);
}

#[test]
fn a_newcomer_that_does_not_answer_is_asked_again_soon() {
    let (mut peer, author, feed, link) = crowded(true);
    for n in 50..55 {
        let now = peer.node.ctx.now.instant;
        peer.sync.quotas.spend(&QUOTAS, now, &new(n, 1));
    }
    peer.tells(link, &feed[2]);
    for request in 1..4 {
        let wants = peer.wants(link);
        assert_eq!(wants.len(), 1);
        peer.receive(link, entries(wants[0].request, &feed));
        peer.receive(link, Message::RangeEnd(RangeEnd { request }));
        assert_eq!(required(&mut peer, link).len(), 1);
        peer.node.pass(WAIT_MIN);
        peer.on_timer();
    }
    assert_eq!(peer.held(&author), 0);
}

#[test]
fn an_account_is_admitted_for_all_neighbours_and_those_that_are_held_need_no_work() {
    let (mut peer, author, feed, link) = crowded(true);
    let own = peer.node.ctx.peer().expect("a key");
    let other = peer.link(&Remote::peer(21));
    peer.receive(other, entries(1, &feed[..1]));
    assert_eq!(peer.held(&author), 0);
    let sent = peer.node.sent(other);
    let asks = |it: &Message| matches!(it, Message::WorkRequired(_) | Message::QuotaExceeded(_));
    assert!(!sent.iter().any(asks), "it cannot do the work: {sent:?}");
    peer.receive(link, entries(1, &feed[..1]));
    let asked = required(&mut peer, link);
    let done = work(&own, &author.account(), asked[0]);
    peer.receive(other, Message::WorkDone(done));
    peer.receive(other, entries(1, &feed[..1]));
    assert_eq!(peer.held(&author), 0, "only its own device proves it");
    peer.receive(link, Message::WorkDone(done));
    peer.receive(other, entries(1, &feed[..1]));
    assert_eq!(peer.held(&author), 1);
    peer.receive(other, entries(1, &feed[1..]));
    assert_eq!(peer.held(&author), 3);
    assert_eq!(required(&mut peer, link), []);
}

#[test]
fn nothing_of_an_account_is_verified_before_its_work_is_done() {
    let (mut peer, author, feed, link) = crowded(true);
    let mut entry = feed[0].entry().clone();
    spoil(&mut entry.signed.signature);
    let spoiled = Message::Entries(protocol::messages::Entries {
        request: 1,
        entries: vec![entry],
    });
    let misbehaved = |peer: &mut Peer| {
        let facts = peer.node.facts();
        facts.iter().any(|it| matches!(it, Fact::Misbehaved { .. }))
    };
    peer.receive(link, spoiled.clone());
    let asked = required(&mut peer, link);
    assert!(!misbehaved(&mut peer) && asked.len() == 1);
    let own = peer.node.ctx.peer().expect("a key");
    peer.receive(link, Message::WorkDone(work(&own, &author.account(), asked[0])));
    peer.receive(link, spoiled);
    assert!(misbehaved(&mut peer));
}

#[test]
fn a_device_that_does_no_work_hears_of_a_quota_and_is_taken_when_fewer_come() {
    let (mut peer, author, feed, link) = crowded(false);
    peer.tells(link, &feed[0]);
    let wants = peer.wants(link);
    peer.receive(link, entries(wants[0].request, &feed[..1]));
    peer.receive(link, Message::RangeEnd(RangeEnd { request: 1 }));
    let sent = peer.node.sent(link);
    let exceeded = sent.iter().find_map(|message| match message {
        Message::QuotaExceeded(exceeded) => Some(*exceeded),
        Message::WorkRequired(asked) => panic!("{asked:?}"),
        _ => None,
    });
    let exceeded = exceeded.expect("it is sent that");
    assert_eq!(
        (exceeded.quota, exceeded.per_hour, exceeded.wait_s),
        (Quota::AddressAccounts, 8, 31)
    );
    peer.node.pass(Duration::from_secs(29));
    peer.on_timer();
    assert_eq!(peer.wants(link), []);
    peer.node.pass(Duration::from_secs(1));
    peer.on_timer();
    let wants = peer.wants(link);
    peer.receive(link, entries(wants[0].request, &feed[..1]));
    assert_eq!(peer.held(&author), 1);
}
