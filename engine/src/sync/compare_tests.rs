use ordered::Set;
use protocol::link::handshake::Side;
use protocol::messages::{
    Compared, Differences, Digest, FEED_KEY_LEN, FeedKey, Interests, Message, Sketch, Verdict, Want,
};
use protocol::{DeviceId, EntryId, VerifiedEntry, limits};

use super::{CELLS_OF_DEVICES, CELLS_OF_RELAYS, Comparing, FEEDS_MIN, PATIENCE, Stage, differences_in_parts};
use crate::facts::Fact;
use crate::io::LinkId;
use crate::kinds::testing::Author;
use crate::sync::sketch::{Cell, Item, Items, encode};
use crate::sync::testing::Peer;
use crate::sync::{Remembered, Wanting};
use crate::testing::{Node, Remote, head};

/// How far an end of a link holds a feed: the device, the number of entries and the id of the last one.
type Held = (DeviceId, u64, EntryId);

fn held(entry: &VerifiedEntry) -> Held {
    let head = head(entry);
    (head.device, head.next_seq, head.head)
}

impl Peer {
    /// A peer that wants the feeds of `authors` and holds `entries` of each. The last entry of each feed.
    fn with_feeds(authors: &mut [Author], entries: usize) -> (Self, Vec<VerifiedEntry>) {
        let mut peer = Self::new(&authors.iter().collect::<Vec<_>>());
        let heads = authors
            .iter_mut()
            .map(|author| peer.node.hold(author, entries).pop().expect("an entry"));
        let heads = heads.collect();
        (peer, heads)
    }

    fn items(&self, link: LinkId, feeds: &[Held]) -> Items {
        let salt = self.node.net.session(link).expect("a session").link_salt;
        let item = |(device, next_seq, head): &Held| Item::new(&salt, device, *next_seq, head, u32::MAX);
        Items::new(feeds.iter().map(item).collect())
    }

    fn key(&self, link: LinkId, device: &DeviceId) -> FeedKey {
        let items = self.items(link, &[(*device, 1, EntryId::default())]);
        items.iter().next().expect("one item").short()
    }

    /// The neighbour sends the cells `from..to` of its feeds.
    fn sketched(&mut self, link: LinkId, round: u32, items: &Items, from: usize, to: usize) {
        self.receive(link, sketch(round, items, from, to));
    }

    fn compared(&mut self, link: LinkId, round: u32, verdict: Verdict) {
        self.receive(link, Message::Compared(Compared { round, verdict }));
    }

    fn send_interests(&mut self, link: LinkId) {
        let Self { node, sync, role } = self;
        let Node { ctx, net, log, .. } = node;
        sync.send_interests(ctx, net, log, Wanting::without_follows(role), link);
    }

    fn keeps_comparison(&self, link: LinkId) -> bool {
        let of_link = self.sync.comparisons.links.get(&link);
        of_link.is_some_and(|of_link| of_link.under_way.is_some() || of_link.deferred.is_some())
    }

    fn facts(&mut self) -> Facts {
        let mut facts = Facts::default();
        for fact in self.node.facts() {
            match fact {
                Fact::Compared { .. } => facts.compared += 1,
                Fact::Misbehaved { .. } => facts.misbehaved += 1,
                Fact::PeerHas { device, next_seq, .. } => {
                    facts.peer_has.insert((device, next_seq));
                }
                _ => {}
            }
        }
        facts
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    compared: usize,
    misbehaved: usize,
    peer_has: Set<(DeviceId, u64)>,
}

fn sketch(round: u32, items: &Items, from: usize, to: usize) -> Message {
    Message::Sketch(Sketch {
        round,
        feeds: items.len() as u32,
        first: from as u32,
        cells: encode(&items.cells(from, to)),
    })
}

fn authors(devices: u8, accounts: u8) -> Vec<Author> {
    let devices = |account| (0..devices).map(move |device| Author::with_device(account, device));
    (2..2 + accounts).flat_map(devices).collect()
}

/// A device that holds 20 feeds of two entries each and began to compare them with a relay.
fn device() -> (Peer, LinkId, Vec<VerifiedEntry>) {
    let (mut peer, heads) = Peer::with_feeds(&mut authors(1, 20), 2);
    let link = peer.node.link_as(Side::Initiator, &Remote::relay(200));
    peer.sync.spread.on_up(link);
    peer.send_interests(link);
    let sent = peer.node.sent(link);
    let [
        Message::Interests(Interests { sketch: true, .. }),
        Message::Sketch(sketch),
    ] = sent.as_slice()
    else {
        panic!("interests and a sketch: {sent:?}");
    };
    let expected = peer.items(link, &heads.iter().map(held).collect::<Vec<_>>());
    assert_eq!((sketch.round, sketch.feeds, sketch.first), (1, 20, 0));
    assert_eq!(sketch.cells, encode(&expected.cells(0, CELLS_OF_DEVICES)));
    peer.facts();
    (peer, link, heads)
}

/// A relay that holds the feeds of these authors whole, with `entries` in each, and a neighbour that wants them all
/// and will send a sketch.
fn relay(authors: &mut [Author], entries: usize) -> (Peer, LinkId, Vec<VerifiedEntry>) {
    let (mut peer, heads) = Peer::with_feeds(authors, entries);
    peer.role.serves_others = true;
    let link = peer.link(&Remote::peer(200));
    let interests = Interests {
        reset: true,
        sketch: true,
        add: authors.iter().map(|author| peer.salted(link, author)).collect(),
        ..Interests::default()
    };
    peer.interests(link, interests, None);
    assert_eq!(peer.node.sent(link), [], "the sketch stands in for digests");
    peer.facts();
    (peer, link, heads)
}

fn same() -> Verdict {
    Verdict::Differ(Differences {
        end: true,
        ..Differences::default()
    })
}

/// The only message sent is a verdict.
fn verdict(sent: &[Message]) -> &Verdict {
    let [Message::Compared(Compared { verdict, .. })] = sent else {
        panic!("one verdict: {sent:?}");
    };
    verdict
}

/// How many cells the relay asked for; it sent nothing else.
fn more(sent: &[Message]) -> usize {
    let Verdict::More(enough) = verdict(sent) else {
        panic!("more cells: {sent:?}");
    };
    *enough as usize
}

/// Numbers of the entries asked for.
fn wanted(sent: &[Message], device: &DeviceId) -> Vec<(u64, u64)> {
    let wants = sent.iter().filter_map(|message| match message {
        Message::Want(Want {
            device: of, from, to, ..
        }) if of == device => Some((*from, *to)),
        _ => None,
    });
    wants.collect()
}

// The end that sends the sketch.

#[test]
fn when_all_is_the_same_the_device_says_nothing_more() {
    let (mut peer, link, heads) = device();
    let all = authors(1, 20);
    peer.wanted_by(link, &all.iter().collect::<Vec<_>>());
    assert_eq!(peer.node.sent(link), [], "the sketch speaks of these feeds");
    peer.compared(link, 1, same());
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts().compared, 1);
    for entry in &heads {
        let account = entry.header().account;
        assert_eq!(peer.sync.compared(&account), Some(peer.node.ctx.now.wall));
    }
    peer.anti_entropy();
    assert_eq!(peer.node.sent(link), [], "the relay holds them as well");
}

#[test]
fn a_device_tells_what_the_relay_lacks_and_fetches_what_it_has_more_of() {
    let (mut peer, link, heads) = device();
    let [lacked, behind, ahead] = [0, 1, 2].map(|n| head(&heads[n]));
    let differences = Differences {
        asked: vec![peer.key(link, &lacked.device), [0xff; FEED_KEY_LEN]],
        ahead: vec![
            (peer.key(link, &behind.device), 5),
            // No more than is held here by now.
            (peer.key(link, &ahead.device), 2),
            ([0xfe; FEED_KEY_LEN], 9),
        ],
        end: true,
    };
    peer.compared(link, 1, Verdict::Differ(differences));
    let sent = peer.node.sent(link);
    let digest = Digest {
        heads: vec![lacked],
        end: true,
    };
    assert_eq!(sent[1], Message::Digest(digest));
    assert_eq!(wanted(&sent, &behind.device), [(2, 5)]);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(peer.facts().compared, 1);
    assert_eq!(
        peer.sync.compared(&lacked.account),
        None,
        "it holds nothing of this one"
    );
    assert!(peer.sync.compared(&behind.account).is_some());
}

#[test]
fn differences_in_several_messages_are_complete_with_the_last_one() {
    let (mut peer, link, heads) = device();
    let lacked = head(&heads[0]);
    let first = Differences {
        asked: vec![peer.key(link, &lacked.device)],
        ..Differences::default()
    };
    peer.compared(link, 1, Verdict::Differ(first));
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts().compared, 0);
    peer.compared(link, 1, same());
    let digest = Digest {
        heads: vec![lacked],
        end: true,
    };
    assert_eq!(peer.node.sent(link), [Message::Digest(digest)]);
    assert_eq!(peer.facts().compared, 1);
    assert_eq!(
        peer.sync.compared(&lacked.account),
        None,
        "it was asked for in an earlier part"
    );
    peer.compared(link, 1, same());
    assert_eq!(peer.facts().compared, 0, "this comparison is over");
}

#[test]
fn a_device_sends_more_cells_when_asked_and_each_of_them_once() {
    let (mut peer, link, heads) = device();
    let items = peer.items(link, &heads.iter().map(held).collect::<Vec<_>>());
    for (before, enough) in [(64, 80), (80, 9_000)] {
        peer.compared(link, 1, Verdict::More(enough as u32));
        let mut at = before;
        for message in peer.node.sent(link) {
            let to = enough.min(at + limits::SKETCH_CELLS_PER_MESSAGE_MAX);
            assert_eq!(message, sketch(1, &items, at, to));
            at = to;
        }
        assert_eq!(at, enough);
    }
    assert_eq!(peer.facts(), Facts::default());
}

#[test]
fn a_relay_that_asks_for_too_few_or_too_many_cells_misbehaves() {
    let most = limits::SKETCH_CELLS_MAX as u32;
    for enough in [0, 64, 79, most + 1, u32::MAX] {
        let (mut peer, link, _) = device();
        peer.compared(link, 1, Verdict::More(enough));
        assert_eq!(peer.node.sent(link), [], "{enough}");
        assert_eq!(peer.facts().misbehaved, 1, "{enough}");
    }
    // Each request must ask for a quarter more, so that they end.
    let (mut peer, link, _) = device();
    peer.compared(link, 1, Verdict::More(most));
    assert_eq!(peer.node.sent(link).len(), 8);
    peer.compared(link, 1, Verdict::More(most));
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts().misbehaved, 1);
}

#[test]
fn where_a_digest_is_as_short_the_device_sends_it() {
    let (mut peer, link, heads) = device();
    peer.compared(link, 1, Verdict::Plain);
    let sent = peer.node.sent(link);
    let [Message::Digest(digest)] = sent.as_slice() else {
        panic!("one digest: {sent:?}");
    };
    assert!(digest.end);
    assert_eq!(digest.heads.len(), heads.len());
    assert!(heads.iter().all(|entry| digest.heads.contains(&head(entry))));
}

#[test]
fn a_verdict_on_another_round_or_on_no_sketch_means_nothing() {
    let (mut peer, link, _) = device();
    peer.compared(link, 0, Verdict::More(1));
    peer.compared(link, 2, Verdict::Plain);
    peer.send_interests(link);
    let sent = peer.node.sent(link);
    assert!(
        matches!(sent.last(), Some(Message::Sketch(Sketch { round: 2, .. }))),
        "{sent:?}"
    );
    peer.compared(link, 1, same());
    assert_eq!(peer.facts(), Facts::default());
    peer.compared(link, 2, same());
    assert_eq!(peer.facts().compared, 1);
    let other = peer.link(&Remote::relay(201));
    peer.compared(other, 1, Verdict::Plain);
    assert_eq!(peer.node.sent(other), []);
    assert_eq!(peer.facts(), Facts::default());
}

#[test]
fn a_comparison_ends_with_its_link() {
    let (mut peer, link, _) = device();
    peer.down(link);
    assert!(peer.sync.comparisons.links.is_empty());
    peer.compared(link, 1, Verdict::Plain);
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts(), Facts::default());
}

#[test]
fn a_feed_that_is_not_held_any_more_is_left_out_of_what_follows() {
    let (mut peer, link, heads) = device();
    let gone = head(&heads[0]);
    peer.node.log.feeds.forget(&gone.account);
    let asked = Differences {
        asked: vec![peer.key(link, &gone.device)],
        ahead: vec![(peer.key(link, &gone.device), 9)],
        end: true,
    };
    peer.compared(link, 1, Verdict::Differ(asked));
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts().compared, 1);
}

#[test]
fn a_device_does_not_answer_sketches() {
    let (mut peer, link, heads) = device();
    let items = peer.items(link, &[held(&heads[0])]);
    peer.sketched(link, 1, &items, 0, 64);
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts(), Facts::default());
}

#[test]
fn a_relay_begins_once_it_knows_what_the_other_one_wants_and_with_more_cells() {
    let mut all = authors(1, 20);
    let (mut peer, heads) = Peer::with_feeds(&mut all, 1);
    peer.role.serves_others = true;
    let link = peer.node.link_as(Side::Initiator, &Remote::relay(200));
    peer.send_interests(link);
    let sent = peer.node.sent(link);
    assert!(
        matches!(
            sent.as_slice(),
            [Message::Interests(Interests { sketch: true, .. })]
        ),
        "{sent:?}"
    );
    peer.wanted_by(link, &[&all[3], &all[4], &all[5]]);
    let wanted: Vec<_> = heads[3..6].iter().map(held).collect();
    let items = peer.items(link, &wanted);
    assert_eq!(peer.node.sent(link), [sketch(1, &items, 0, CELLS_OF_RELAYS)]);
}

#[test]
fn a_relay_with_few_feeds_sends_digests() {
    for (count, expected) in [(FEEDS_MIN - 1, false), (FEEDS_MIN, true)] {
        let (mut peer, _) = Peer::with_feeds(&mut authors(1, count as u8), 1);
        peer.role.serves_others = true;
        let link = peer.node.link_as(Side::Initiator, &Remote::relay(200));
        let Peer { node, sync, role } = &peer;
        let session = node.net.session(link).expect("a session");
        let wanting = Wanting::without_follows(role);
        assert_eq!(sync.may_sketch(&node.log, wanting, session), expected);
    }
}

// The relay.

#[test]
fn equal_feeds_cost_one_sketch_and_a_short_answer() {
    let mut all = authors(1, 20);
    let (mut peer, link, heads) = relay(&mut all, 2);
    let theirs: Vec<_> = heads.iter().map(held).collect();
    let items = peer.items(link, &theirs);
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    let sent = peer.node.sent(link);
    assert_eq!(verdict(&sent), &same());
    assert!(sent[0].encode().len() < 16);
    let facts = peer.facts();
    assert_eq!((facts.compared, facts.misbehaved), (1, 0));
    let expected = theirs.iter().map(|(device, next, _)| (*device, *next)).collect();
    assert_eq!(facts.peer_has, expected);
    peer.anti_entropy();
    assert_eq!(peer.node.sent(link), [], "the neighbour holds them as well");
}

#[test]
fn each_difference_is_told_asked_or_fetched_by_what_it_is() {
    let mut all = authors(1, 20);
    let (mut peer, link, heads) = relay(&mut all, 2);
    let mut theirs: Vec<_> = heads.iter().map(held).collect();
    let unknown = Author::new(30).device();
    theirs.remove(0);
    theirs[0].1 = 1;
    theirs[1].1 = 5;
    theirs[2].2 = EntryId([9; 32]);
    theirs.push((unknown, 3, EntryId([8; 32])));
    let items = peer.items(link, &theirs);
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    let sent = peer.node.sent(link);
    let [lacked, shorter, longer, other] = [0, 1, 2, 3].map(|n| head(&heads[n]));
    let digests: Vec<_> = sent
        .iter()
        .filter_map(|message| match message {
            Message::Digest(digest) => Some(digest),
            _ => None,
        })
        .collect();
    let [digest] = digests.as_slice() else {
        panic!("one digest: {sent:?}");
    };
    assert!(!digest.end, "the differences end the comparison");
    assert_eq!(digest.heads.len(), 2);
    assert!(digest.heads.contains(&lacked) && digest.heads.contains(&other));
    let differences = Differences {
        asked: vec![peer.key(link, &unknown)],
        ahead: vec![(peer.key(link, &shorter.device), 2)],
        end: true,
    };
    let verdict = Verdict::Differ(differences);
    assert!(sent.contains(&Message::Compared(Compared { round: 1, verdict })));
    assert_eq!(wanted(&sent, &longer.device), [(2, 5)]);
    assert_eq!(wanted(&sent, &other.device), [(1, 2)], "the last entries differ");
    assert_eq!(sent.len(), 4, "{sent:?}");
    let facts = peer.facts();
    assert_eq!(facts.compared, 0, "a digest of what was asked for is to come");
    assert_eq!(facts.peer_has.len(), 16 + 1);
    assert!(facts.peer_has.contains(&(longer.device, 5)));
}

#[test]
fn only_feeds_that_the_neighbour_wants_are_compared() {
    let mut all = authors(1, 20);
    let (mut peer, link, heads) = relay(&mut all, 2);
    let remove = Interests {
        remove: vec![peer.salted(link, &all[0])],
        ..Interests::default()
    };
    peer.interests(link, remove, None);
    let items = peer.items(link, &heads[1..].iter().map(held).collect::<Vec<_>>());
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    assert_eq!(verdict(&peer.node.sent(link)), &same());
}

#[test]
fn where_little_is_held_by_both_they_exchange_digests() {
    let mut all = authors(1, 1);
    let (mut peer, link, heads) = relay(&mut all, 2);
    let many = authors(2, 36);
    let theirs: Vec<_> = many
        .iter()
        .map(|author| (author.device(), 1, EntryId([9; 32])))
        .collect();
    let items = peer.items(link, &theirs);
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    let plain = Message::Compared(Compared {
        round: 1,
        verdict: Verdict::Plain,
    });
    let digest = Message::Digest(Digest {
        heads: vec![head(&heads[0])],
        end: true,
    });
    assert_eq!(peer.node.sent(link), [plain, digest]);
    assert!(!peer.keeps_comparison(link), "nothing is kept");
}

#[test]
fn differences_beyond_all_cells_allowed_are_left_to_digests() {
    let mut all = authors(1, 20);
    let (mut peer, link, _) = relay(&mut all, 1);
    let feeds: Vec<Held> = (0..40_000_u64)
        .map(|n| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            (DeviceId(id), 1, EntryId(id))
        })
        .collect();
    let mut comparing = Comparing::new(1, peer.node.ctx.now.instant, None);
    comparing.items = peer.items(link, &feeds);
    comparing.stage = Stage::Waiting;
    comparing.cells = vec![Cell::default(); limits::SKETCH_CELLS_MAX / 2];
    peer.sync.comparisons.put(link, comparing);
    let mut theirs = Sketch {
        round: 1,
        feeds: 40_000,
        first: (limits::SKETCH_CELLS_MAX / 2) as u32,
        ..Sketch::default()
    };
    theirs.cells = encode(&[Cell::default()]);
    peer.receive(link, Message::Sketch(theirs));
    peer.settle();
    let sent = peer.node.sent(link);
    let plain = Compared {
        round: 1,
        verdict: Verdict::Plain,
    };
    assert_eq!(sent[0], Message::Compared(plain));
}

/// A relay that asked for more cells of a sketch in which every feed differs, the items of that sketch, and how many
/// cells it needs.
fn asking() -> (Peer, LinkId, Items, usize) {
    let mut all = authors(2, 36);
    let (mut peer, link, heads) = relay(&mut all, 2);
    let theirs: Vec<_> = heads
        .iter()
        .map(|entry| (entry.header().device, 1, EntryId([9; 32])))
        .collect();
    let items = peer.items(link, &theirs);
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    let enough = more(&peer.node.sent(link));
    (peer, link, items, enough)
}

/// The decision once the device sent cells from `from` up to `enough`, and more if the relay asks for more: how many are
/// enough is an estimate.
fn decided(
    peer: &mut Peer,
    link: LinkId,
    round: u32,
    items: &Items,
    from: usize,
    enough: usize,
) -> Differences {
    let (mut from, mut enough) = (from, enough);
    for _ in 0..4 {
        peer.sketched(link, round, items, from, enough);
        let sent = peer.node.sent(link);
        if let Verdict::Differ(differences) = verdict(&sent) {
            return differences.clone();
        }
        (from, enough) = (enough, more(&sent));
        assert!(enough > from);
    }
    panic!("no decision with {enough} cells");
}

#[test]
fn cells_that_are_too_few_are_followed_by_as_many_as_are_enough() {
    let (mut peer, link, items, enough) = asking();
    assert!((80..=256).contains(&enough), "{enough}");
    // The device may send them in several messages.
    peer.sketched(link, 1, &items, 64, 70);
    assert_eq!(peer.node.sent(link), []);
    let differences = decided(&mut peer, link, 1, &items, 70, enough);
    assert_eq!((differences.ahead.len(), differences.asked.len()), (72, 0));
    assert!(differences.end);
    assert_eq!(peer.facts().compared, 1);
}

#[test]
fn cells_that_are_none_are_misbehaviour() {
    for cells in [vec![1; 21], vec![0xff; 20]] {
        let (mut peer, link, _) = relay(&mut authors(1, 2), 1);
        let sketch = Sketch {
            round: 1,
            cells,
            ..Sketch::default()
        };
        peer.receive(link, Message::Sketch(sketch));
        assert_eq!(peer.node.sent(link), []);
        assert_eq!(peer.facts().misbehaved, 1);
    }
}

#[test]
fn cells_that_do_not_follow_those_before_are_misbehaviour() {
    for from in [0, 63, 65] {
        let (mut peer, link, items, enough) = asking();
        peer.sketched(link, 1, &items, from, enough);
        assert_eq!(peer.node.sent(link), [], "from {from}");
        assert_eq!(peer.facts().misbehaved, 1, "from {from}");
    }
}

#[test]
fn later_cells_of_a_sketch_that_did_not_begin_are_ignored() {
    let (mut peer, link, items, enough) = asking();
    peer.sketched(link, 7, &items, 64, enough);
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts(), Facts::default());
    decided(&mut peer, link, 1, &items, 64, enough);
}

#[test]
fn more_cells_than_the_bound_are_misbehaviour_and_are_not_kept() {
    let (mut peer, link, _) = relay(&mut authors(1, 2), 1);
    let mut comparing = Comparing::new(1, peer.node.ctx.now.instant, None);
    comparing.stage = Stage::Waiting;
    comparing.cells = vec![Cell::default(); limits::SKETCH_CELLS_MAX];
    peer.sync.comparisons.put(link, comparing);
    let sketch = Sketch {
        round: 1,
        feeds: 2,
        first: limits::SKETCH_CELLS_MAX as u32,
        cells: encode(&[Cell::default()]),
    };
    peer.receive(link, Message::Sketch(sketch));
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts().misbehaved, 1);
    assert!(!peer.keeps_comparison(link));
}

#[test]
fn made_up_cells_make_the_relay_send_one_digest() {
    let (mut peer, link, heads) = relay(&mut authors(1, 20), 1);
    let sketch = Sketch {
        round: 1,
        feeds: u32::MAX,
        first: 0,
        cells: [0x11; 20].repeat(limits::SKETCH_CELLS_PER_MESSAGE_MAX),
    };
    peer.receive(link, Message::Sketch(sketch));
    peer.settle();
    let sent = peer.node.sent(link);
    let [
        Message::Compared(Compared {
            verdict: Verdict::Plain,
            ..
        }),
        Message::Digest(digest),
    ] = sent.as_slice()
    else {
        panic!("a verdict and a digest: {sent:?}");
    };
    assert_eq!(digest.heads.len(), heads.len());
    assert!(!peer.keeps_comparison(link));
}

#[test]
fn a_new_sketch_ends_the_comparison_before_it() {
    let (mut peer, link, items, enough) = asking();
    peer.sketched(link, 2, &items, 0, CELLS_OF_DEVICES);
    assert_eq!(more(&peer.node.sent(link)), enough);
    peer.sketched(link, 1, &items, 64, enough);
    assert_eq!(peer.node.sent(link), [], "that one is over");
    decided(&mut peer, link, 2, &items, 64, enough);
}

#[test]
fn a_new_sketch_that_is_decided_at_once_ends_the_comparison_before_it() {
    let (mut peer, link, items, enough) = asking();
    let held: Vec<_> = peer.node.log.feeds.accounts().collect();
    assert_eq!(held.len(), 36);
    let own: Vec<Held> = held
        .iter()
        .flat_map(|account| peer.node.log.feeds.feeds_of(account))
        .map(|(device, feed)| (device, feed.next_seq, feed.head))
        .collect();
    let equal = peer.items(link, &own);
    peer.sketched(link, 2, &equal, 0, CELLS_OF_DEVICES);
    assert_eq!(verdict(&peer.node.sent(link)), &same());
    peer.sketched(link, 1, &items, 64, enough);
    assert_eq!(peer.node.sent(link), []);
}

#[test]
fn a_neighbour_whose_interests_are_unknown_is_not_compared() {
    let (mut peer, link, heads) = relay(&mut authors(1, 20), 1);
    let resume = Interests {
        reset: true,
        sketch: true,
        same: Some([7; 16]),
        ..Interests::default()
    };
    peer.interests(link, resume, Some(Remembered::default()));
    peer.node.sent(link);
    let items = peer.items(link, &[held(&heads[0])]);
    peer.sketched(link, 1, &items, 0, CELLS_OF_DEVICES);
    assert_eq!(peer.node.sent(link), []);
    assert_eq!(peer.facts(), Facts::default());
}

#[test]
fn many_differences_are_sent_in_parts_of_which_only_the_last_is_the_end() {
    let key = |n: usize| -> FeedKey {
        let bytes = n.to_be_bytes();
        bytes[bytes.len() - FEED_KEY_LEN..].try_into().expect("six bytes")
    };
    let most = limits::DIFFERENCES_PER_MESSAGE_MAX;
    for (asked, ahead) in [(most + 9, most), (most, 0), (0, most + 1), (0, 0)] {
        let told = Differences {
            asked: (0..asked).map(key).collect(),
            ahead: (0..ahead).map(|n| (key(n), 1)).collect(),
            end: false,
        };
        let sent = differences_in_parts(3, told.clone());
        assert_eq!(sent.len(), (asked + ahead).div_ceil(most).max(1));
        let mut all = Differences::default();
        for (n, message) in sent.iter().enumerate() {
            let Message::Compared(Compared {
                round: 3,
                verdict: Verdict::Differ(part),
            }) = message
            else {
                panic!("differences: {message:?}");
            };
            assert_eq!(part.end, n + 1 == sent.len());
            assert!(part.asked.len() + part.ahead.len() <= most);
            all.asked.extend(&part.asked);
            all.ahead.extend(&part.ahead);
        }
        assert_eq!(all, told);
    }
}

#[test]
fn a_neighbour_that_does_not_send_the_cells_it_was_asked_for_is_not_waited_for() {
    let (mut peer, link, _, _) = asking();
    assert!(peer.keeps_comparison(link));
    peer.node.pass(PATIENCE);
    peer.on_timer();
    assert!(!peer.keeps_comparison(link));
}

#[test]
fn a_digest_that_ends_while_a_comparison_is_open_is_not_all_the_neighbour_holds() {
    let (mut peer, link, _) = device();
    let digest = Digest {
        heads: vec![],
        end: true,
    };
    peer.receive(link, Message::Digest(digest.clone()));
    assert_eq!(peer.facts().compared, 0);
    peer.compared(link, 1, Verdict::Plain);
    peer.receive(link, Message::Digest(digest));
    assert_eq!(peer.facts().compared, 1);
}
