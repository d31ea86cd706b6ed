use core::time::Duration;

use protocol::messages::{Compared, Interests, Message, SaltedAccount, Sketch, Verdict};

use super::FEEDS_HELD_MAX;
use crate::io::{AddressId, LinkId};
use crate::sync::compare::{Comparing, PATIENCE_OF_MANY_FEEDS, Stage};
use crate::sync::testing::{Peer, account};
use crate::sync::work::FEW_FEEDS;
use crate::testing::Remote;

const FEEDS: u32 = FEW_FEEDS as u32 + 1;

/// A relay that holds so many feeds that comparing all of them is limited.
fn relay() -> Peer {
    let mut peer = Peer::new(&[]);
    peer.role.serves_others = true;
    (0..FEEDS).for_each(|n| peer.hold_made_up(n));
    peer
}

impl Peer {
    /// A neighbour from this address that wants all feeds, or some.
    fn wants_from(&mut self, n: u8, address: Option<u128>, some: Option<u32>) -> LinkId {
        self.node.wire.address = address.map(AddressId);
        let link = self.link(&Remote::peer(n));
        let salt = self.node.net.session(link).expect("a session").salt_received;
        let wanted = 0..some.unwrap_or_default();
        let interests = Interests {
            reset: true,
            everything: some.is_none(),
            sketch: true,
            add: wanted.map(|n| SaltedAccount::new(&salt, &account(n))).collect(),
            ..Interests::default()
        };
        self.interests(link, interests, None);
        self.settle();
        self.node.sent(link);
        link
    }

    /// It sends cells that tell nothing, and gets this verdict, if any.
    fn compares(&mut self, link: LinkId) -> Option<Verdict> {
        let sketch = Sketch {
            round: 1,
            feeds: FEEDS,
            first: 0,
            cells: [0x11; 20].repeat(3),
        };
        self.receive(link, Message::Sketch(sketch));
        self.settle();
        self.verdict(link)
    }

    fn verdict(&mut self, link: LinkId) -> Option<Verdict> {
        let sent = self.node.sent(link).into_iter();
        let mut verdicts = sent.filter_map(|message| match message {
            Message::Compared(Compared { verdict, .. }) => Some(verdict),
            _ => None,
        });
        verdicts.next()
    }

    fn pass(&mut self, time: Duration) {
        self.node.pass(time);
        self.on_timer();
        self.settle();
    }
}

#[test]
fn of_one_address_one_neighbour_compares_many_feeds_at_a_time() {
    let mut peer = relay();
    let [first, second] = [200, 201].map(|n| peer.wants_from(n, Some(7), None));
    assert!(matches!(peer.compares(first), Some(Verdict::More(_))));
    assert_eq!(peer.compares(second), None, "it waits");
    let elsewhere = peer.wants_from(202, Some(8), None);
    assert!(matches!(peer.compares(elsewhere), Some(Verdict::More(_))));
    let few = peer.wants_from(203, Some(7), Some(20));
    assert!(peer.compares(few).is_some(), "it has little to compare");
    for n in [204, 205] {
        let unlimited = peer.wants_from(n, None, None);
        assert!(matches!(peer.compares(unlimited), Some(Verdict::More(_))));
    }
    peer.pass(PATIENCE_OF_MANY_FEEDS - Duration::from_secs(1));
    assert_eq!(peer.verdict(second), None);
    peer.pass(Duration::from_secs(1));
    assert!(matches!(peer.verdict(second), Some(Verdict::More(_))));
}

#[test]
fn the_place_of_a_neighbour_is_free_when_its_link_ends() {
    let mut peer = relay();
    let [first, second] = [200, 201].map(|n| peer.wants_from(n, Some(7), None));
    peer.compares(first);
    assert_eq!(peer.compares(second), None);
    peer.down(first);
    peer.pass(Duration::from_secs(1));
    assert!(peer.verdict(second).is_some());
}

#[test]
fn while_comparisons_hold_too_many_feeds_a_further_neighbour_is_compared_by_digest() {
    let mut peer = relay();
    let holder = peer.wants_from(200, Some(7), None);
    let mut comparing = Comparing::new(1, peer.node.ctx.now.instant, None);
    comparing.stage = Stage::Waiting;
    comparing.place = Some((AddressId(7), FEEDS_HELD_MAX));
    peer.sync.comparisons.put(holder, comparing);
    let link = peer.wants_from(201, Some(8), None);
    peer.receive(
        link,
        Message::Sketch(Sketch {
            round: 1,
            feeds: FEEDS,
            first: 0,
            cells: [0x11; 20].repeat(3),
        }),
    );
    peer.settle();
    let sent = peer.node.sent(link);
    let Some(Message::Compared(Compared {
        verdict: Verdict::Plain,
        ..
    })) = sent.first()
    else {
        panic!("a verdict: {:?}", sent.first());
    };
    let heads = sent[1..].iter().map(|message| match message {
        Message::Digest(digest) => digest.heads.len(),
        _ => 0,
    });
    assert_eq!(heads.sum::<usize>(), FEEDS as usize);
}

#[test]
fn a_sketch_costs_what_the_neighbour_wants_and_not_what_is_held() {
    let mut peer = relay();
    let link = peer.wants_from(200, Some(7), Some(20));
    let before = peer.sync.work.spent;
    assert!(peer.compares(link).is_some());
    let spent = peer.sync.work.spent - before;
    assert!(spent < u64::from(FEEDS) / 2, "{spent}");
}
