use core::time::Duration;

use ordered::Map;
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::messages::{Entries, Message, RangeEnd, Want};
use protocol::{AccountId, DeviceId, EntryId, Instant, Timestamp, codec};

use super::{Cache, Dropped, EXAMINED_MAX, STEP_ROWS, drop_key, dropped_feed};
use crate::ctx::Ctx;
use crate::io::{Admission, Config, LinkId, Log as Line, Now};
use crate::log::keys::{self, FeedNumber};
use crate::log::records::FeedRecord;
use crate::memory::MemoryStore;
use crate::relay::testing::{World, account, device, feed, relay_key, relay_peer, setup, worker};
use crate::store::{Batch, BatchId, Op, Row, Strictness, Table};

const START: Instant = Instant(0);

fn at(s: u64) -> Instant {
    START + Duration::from_secs(s)
}

fn id(n: u32) -> AccountId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

fn ctx() -> Ctx {
    let config = Config::relay(relay_key(0));
    let setup = setup(&config);
    Ctx::new(config, [0; 32], Now::default(), setup)
}

/// Rows of a feed, as read from the store.
fn rows(number: FeedNumber, entries: u64) -> Vec<Row> {
    let feed = feed(1, entries);
    let row = |(seq, entry): (usize, &protocol::VerifiedEntry)| {
        (keys::entry(number, seq as u64), codec::encode(entry.entry()))
    };
    feed.iter().enumerate().map(row).collect()
}

#[test]
fn the_account_that_was_not_wanted_for_the_longest_time_goes_first() {
    let mut cache = Cache::default();
    for n in 0..10 {
        cache.touch(id(n), at(u64::from(n)));
    }
    cache.touch(id(0), at(20));
    cache.touch_cached([id(1), id(77)], at(21));
    assert_eq!(cache.len(), 10, "an account that is not held is not cached");
    assert_eq!(cache.excess(9, at(30), |_| true), Some(id(2)));
    assert_eq!(cache.excess(10, at(30), |_| true), None, "within the bound");
}

#[test]
fn what_may_not_be_dropped_takes_its_turn_after_the_others() {
    let mut cache = Cache::default();
    for n in 0..10 {
        cache.touch(id(n), at(u64::from(n)));
    }
    assert_eq!(cache.excess(3, at(30), |account| *account == id(5)), Some(id(5)));
    // 0 to 4 were looked at meanwhile: 5 to 9 come before them.
    assert_eq!(cache.excess(3, at(40), |account| *account != id(5)), Some(id(6)));
}

#[test]
fn examining_is_bounded_per_input() {
    let mut cache = Cache::default();
    for n in 0..3 * EXAMINED_MAX as u32 {
        cache.touch(id(n), at(u64::from(n)));
    }
    let examined = core::cell::Cell::new(0);
    let refuse = |_: &AccountId| {
        examined.set(examined.get() + 1);
        false
    };
    assert_eq!(cache.excess(1, at(1_000), refuse), None);
    assert_eq!(examined.get(), EXAMINED_MAX);
    assert_eq!(cache.len(), 3 * EXAMINED_MAX);
}

#[test]
fn a_new_assignment_keeps_since_when_accounts_were_not_wanted() {
    let mut cache = Cache::default();
    cache.touch(id(1), at(5));
    cache.touch(id(2), at(6));
    for (account, beside) in [(1, true), (2, false), (3, true)] {
        cache.assign(id(account), beside, at(50));
    }
    assert_eq!(cache.accounts().collect::<Vec<_>>(), [id(1), id(3)]);
    assert_eq!(cache.excess(1, at(60), |_| true), Some(id(1)));
    cache.clear();
    assert_eq!((cache.len(), cache.order.len()), (0, 0));
}

#[test]
fn rows_are_deleted_in_steps_and_the_mark_goes_last() {
    let mut cache = Cache::default();
    let mut ctx = ctx();
    cache.touch(id(1), at(1));
    cache.delete(&mut ctx, id(1), &[4]);
    assert!(cache.is_dropping(&id(1)) && cache.is_deleting());
    assert_eq!(cache.len(), 0);
    let mut full = rows(4, 2);
    full.resize(STEP_ROWS, full[1].clone());
    let mut unindexed = 0;
    let mut count = |_: &mut Ctx, number: FeedNumber, _: &protocol::Entry| {
        assert_eq!(number, 4);
        unindexed += 1;
    };
    assert_eq!(cache.on_rows(&mut ctx, vec![full], &mut count), Dropped::Part);
    assert!(cache.is_dropping(&id(1)));
    let rest = rows(4, 3);
    assert_eq!(
        cache.on_rows(&mut ctx, vec![rest], &mut count),
        Dropped::Account(id(1))
    );
    assert!(!cache.is_deleting());
    assert_eq!(unindexed, STEP_ROWS + 3);
}

#[test]
fn an_account_is_dropped_once_all_its_feeds_are_deleted() {
    let (mut cache, mut ctx) = (Cache::default(), ctx());
    cache.delete(&mut ctx, id(1), &[4, 5]);
    cache.delete(&mut ctx, id(2), &[6]);
    let mut step = || cache.on_rows(&mut ctx, vec![Vec::new()], |_, _, _| {});
    assert_eq!(
        [step(), step(), step(), step()],
        [
            Dropped::Feed,
            Dropped::Account(id(1)),
            Dropped::Account(id(2)),
            Dropped::Part
        ]
    );
}

#[test]
fn one_read_is_under_way_and_a_failed_one_is_repeated() {
    let (mut cache, mut ctx) = (Cache::default(), ctx());
    cache.delete(&mut ctx, id(1), &[4]);
    cache.continue_deleting(&mut ctx);
    assert_eq!(ctx.loads_len(), 1);
    cache.on_load_failed();
    cache.continue_deleting(&mut ctx);
    assert_eq!(ctx.loads_len(), 2);
}

#[test]
fn marks_of_feeds_are_read_back() {
    assert_eq!(dropped_feed(&drop_key(77)), Some(Some(77)));
    assert_eq!(dropped_feed(&drop_key(77)[..7]), Some(None), "damaged");
    assert_eq!(dropped_feed(b"networked"), None);
}

/// How a relay answers a request for one entry of the feed of a person: number of the relay, number of the person, entry.
type Answers = fn(u16, u16, Want) -> Vec<Message>;

fn receipt(relay: u16, n: u16, next_seq: u64) -> Message {
    let head = feed(n, next_seq)[next_seq as usize - 1].id();
    let receipt = Receipt::issue(&relay_key(relay), device(n), next_seq, head, Timestamp(5));
    Message::Receipt(receipt)
}

fn shown(n: u16, want: Want) -> Vec<Message> {
    let entry = feed(n, want.from + 1)[want.from as usize].entry().clone();
    let entries = Entries {
        request: want.request,
        entries: vec![entry],
    };
    let end = RangeEnd {
        request: want.request,
    };
    vec![Message::Entries(entries), Message::RangeEnd(end)]
}

/// A relay that has the three entries of everybody.
fn honest(relay: u16, n: u16, want: Want) -> Vec<Message> {
    let mut answer = shown(n, want);
    answer.insert(0, receipt(relay, n, 3));
    answer
}

/// Relay 0 with six others, which are linked; it holds twenty feeds of three entries, and may cache none.
struct Divided {
    world: World,
    links: Vec<LinkId>,
    disk: MemoryStore,
    answers: Answers,
    /// The others hold everything, whether or not they said so.
    others_hold_all: bool,
    /// What was sent on each link and not looked at.
    sent: Map<LinkId, Vec<Message>>,
    /// Requests for what the others have.
    asked: Vec<(LinkId, Want)>,
}

impl Divided {
    fn new() -> Self {
        let members = (1..=6).map(relay_peer).collect();
        Self::with(|config| config.admission = Admission::Listed(members))
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = World::new(|config| {
            config.cached_accounts_max = 0;
            change(config);
        });
        world.workers(6);
        for n in 0..20 {
            world.hold(n, 3);
        }
        let links = (1..=6).map(|n| world.link_relay(n)).collect();
        let mut this = Self {
            world,
            links,
            disk: MemoryStore::default(),
            answers: honest,
            others_hold_all: false,
            sent: Map::new(),
            asked: Vec::new(),
        };
        this.world.tick();
        this.world.persist();
        this.execute();
        // Nobody has said to have anything, and nobody has.
        this.answer();
        this
    }

    /// Everybody that is held beside the assignment, by number.
    fn beside(&self) -> Vec<u16> {
        let relay = &self.world.relay;
        let beside = relay.placement.held_beside(&self.world.log.feeds);
        (0..20).filter(|n| beside.contains(&account(*n))).collect()
    }

    fn all_replicas_have(&mut self, n: u16) {
        for link in self.links.clone() {
            self.world.peer_has(link, n, 3);
        }
    }

    /// The replicas of person `n`, which are linked.
    fn replicas(&self, n: u16) -> Vec<LinkId> {
        let world = &self.world;
        let replicas = world.relay.placement.replicas_of(&world.log.feeds, &account(n));
        let links = replicas
            .iter()
            .map(|replica| world.net.link_to(replica).expect("linked"));
        links.collect()
    }

    /// Executes what was written and the loads, until there is nothing left to do.
    fn execute(&mut self) {
        loop {
            let (ops, loads) = self.world.store();
            self.disk.apply(&Batch {
                id: BatchId(1),
                strictness: Strictness::Strict,
                ops,
            });
            if loads.is_empty() {
                return;
            }
            for load in loads {
                let rows = self.disk.load(&load);
                self.world.ctx.end_load(load.id);
                self.world.on_drop_rows(rows);
            }
        }
    }

    /// The other relays answer what they were asked. `false`: nothing.
    fn answer(&mut self) -> bool {
        let mut any = false;
        for (relay, link) in (1..).zip(self.links.clone()) {
            let sent = self.world.sent(link);
            let wants = sent.iter().filter_map(|message| match message {
                Message::Want(want) => Some(*want),
                _ => None,
            });
            let wants: Vec<Want> = wants.collect();
            assert!(wants.len() <= 1, "one question is under way");
            self.sent.or_default(link).extend(sent);
            for want in wants {
                any = true;
                let n = (0..20).find(|n| device(*n) == want.device).expect("a feed");
                let (feed, peer_has) = (self.world.log.feeds.get(&want.device), &self.world.relay.peer_has);
                let has = feed.is_none_or(|feed| peer_has.has(link, feed.number, want.to));
                let answer = match has || self.others_hold_all {
                    true => {
                        self.asked.push((link, want));
                        (self.answers)(relay, n, want)
                    }
                    false => vec![Message::RangeEnd(RangeEnd {
                        request: want.request,
                    })],
                };
                for message in answer {
                    self.world.on_message(link, message);
                }
            }
        }
        any
    }

    /// What was sent on a link since this was last asked.
    fn sent(&mut self, link: LinkId) -> Vec<Message> {
        let mut sent = self.sent.remove(&link).unwrap_or_default();
        sent.extend(self.world.sent(link));
        sent
    }

    /// A second later.
    fn tick(&mut self) {
        self.tick_only();
        self.execute();
        while self.answer() {
            self.execute();
        }
    }

    /// The same, without executing what it asks of the store.
    fn tick_only(&mut self) {
        self.world.pass(Duration::from_secs(1));
        self.world.tick();
        while self.answer() {}
    }

    fn is_held(&self, n: u16) -> bool {
        !self.world.log.feeds.devices(&account(n)).is_empty()
    }
}

#[test]
fn an_account_goes_once_every_replica_has_all_of_it() {
    let mut divided = Divided::new();
    let beside = divided.beside();
    assert!(beside.len() > 3, "{beside:?}");
    divided.tick();
    assert_eq!(divided.beside(), beside, "nobody else has anything");
    for link in divided.links.clone() {
        divided.world.peer_has(link, beside[0], 2);
        divided.sent(link);
    }
    divided.tick();
    assert_eq!(divided.beside(), beside, "nobody else has all");
    divided.all_replicas_have(beside[0]);
    divided.world.interested(divided.links[0], &beside[..1]);
    divided.tick();
    assert!(!divided.is_held(beside[0]));
    assert_eq!(divided.beside(), beside[1..]);
    let interest = divided.world.sync.interest(divided.links[0]).expect("said");
    assert!(interest.matched.is_empty(), "a relay is not told of it any more");
    let sent = divided.sent(divided.links[0]);
    let told = |message: &Message| matches!(message, Message::Interests(it) if it.remove.len() == 1);
    assert!(
        sent.iter().any(told),
        "relays learn that it is not wanted: {sent:?}"
    );
}

#[test]
fn replicas_that_have_not_said_what_they_hold_are_asked() {
    let mut divided = Divided::new();
    let beside = divided.beside();
    divided.others_hold_all = true;
    for _ in 0..beside.len() * 4 {
        divided.tick();
    }
    assert_eq!(divided.beside(), [0u16; 0]);
}

#[test]
fn dropping_leaves_no_row_behind() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    assert_eq!(divided.disk.len(Table::Entries), 60);
    divided.all_replicas_have(gone);
    divided.tick();
    assert_eq!(divided.disk.len(Table::Entries), 57);
    assert_eq!(divided.disk.len(Table::Feeds), 19);
    let marks = divided.disk.rows(Table::Meta);
    assert!(marks.keys().all(|key| dropped_feed(key).is_none()));
}

#[test]
fn what_a_person_here_wants_is_never_dropped() {
    let mut divided = Divided::new();
    let beside = divided.beside();
    for n in &beside {
        divided.all_replicas_have(*n);
    }
    // One reads the first, one named the second, and the third is here itself.
    let reader = divided.world.link_person(100);
    divided.world.interested(reader, &beside[..1]);
    divided.world.name(reader, &beside[1..2]);
    let itself = divided.world.link_person(beside[2]);
    for _ in 0..3 {
        divided.tick();
    }
    assert_eq!(divided.beside(), beside[..3]);
    divided.world.unlink(itself);
    divided.tick();
    assert_eq!(divided.beside(), beside[..2]);
    divided.world.unlink(reader);
    divided.tick();
    assert_eq!(divided.beside(), [0u16; 0]);
}

#[test]
fn the_account_of_a_device_that_is_about_to_become_a_neighbour_is_not_dropped() {
    let mut divided = Divided::new();
    let beside = divided.beside();
    divided.all_replicas_have(beside[0]);
    let link = divided.world.prove_person(beside[0]);
    divided.tick();
    assert!(divided.is_held(beside[0]));
    divided.world.unlink(link);
    divided.tick();
    assert!(!divided.is_held(beside[0]));
}

#[test]
fn a_replica_that_is_not_linked_keeps_the_account_here() {
    let mut divided = Divided::new();
    let beside = divided.beside();
    let link = divided.replicas(beside[0])[1];
    divided.all_replicas_have(beside[0]);
    divided.world.unlink(link);
    divided.tick();
    assert!(divided.is_held(beside[0]));
}

#[test]
fn entries_are_not_wanted_while_rows_are_deleted_and_wanted_again_after() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    divided.all_replicas_have(gone);
    divided.tick_only();
    assert!(divided.world.relay.cache.is_dropping(&account(gone)));
    // A reader comes for it while its rows are being deleted.
    let reader = divided.world.link_person(100);
    divided.world.name(reader, &[gone]);
    assert!(!divided.world.wants(gone));
    divided.sent(divided.links[0]);
    divided.execute();
    assert!(divided.world.wants(gone));
    let sent = divided.sent(divided.links[0]);
    let asked = |message: &Message| matches!(message, Message::Interests(it) if it.add.len() == 1);
    assert!(sent.iter().any(asked), "relays are asked for it: {sent:?}");
}

#[test]
fn rows_that_could_not_be_read_are_read_again_with_the_next_timer() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    divided.all_replicas_have(gone);
    divided.tick_only();
    let (ops, loads) = divided.world.store();
    divided.disk.apply(&Batch {
        id: BatchId(1),
        strictness: Strictness::Strict,
        ops,
    });
    divided.world.ctx.end_load(loads[0].id);
    divided.tick();
    assert_eq!(divided.disk.len(Table::Entries), 60, "one is under way");
    divided.world.relay.on_drop_failed();
    divided.tick();
    assert_eq!(divided.disk.len(Table::Entries), 57);
}

#[test]
fn a_backup_is_not_restored_into_a_feed_that_is_being_deleted() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    divided.all_replicas_have(gone);
    divided.tick_only();
    let first = feed(gone, 1)[0].entry().clone();
    let World { ctx, log, relay, .. } = &mut divided.world;
    relay.restore_entry(ctx, log, first.clone());
    assert_eq!(ctx.totals.refused, 1);
    assert!(!divided.is_held(gone));
    let refused = divided.world.lines();
    assert!(
        refused
            .iter()
            .any(|line| matches!(line, Line::Refused { peer: None, .. })),
        "{refused:?}"
    );
    // Once it is deleted, it can be restored.
    divided.world.on_drop_rows(vec![Vec::new()]);
    let World { ctx, log, relay, .. } = &mut divided.world;
    relay.restore_entry(ctx, log, first);
    assert_eq!(ctx.totals.refused, 1);
    assert!(divided.is_held(gone));
}

#[test]
fn a_crash_while_deleting_is_made_good_at_the_next_start() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    divided.all_replicas_have(gone);
    divided.tick_only();
    // The batch that forgets the feed is on disk; the rows were not read before the crash.
    let (ops, loads) = divided.world.store();
    assert_eq!(loads.len(), 1);
    divided.disk.apply(&Batch {
        id: BatchId(1),
        strictness: Strictness::Strict,
        ops,
    });
    assert_eq!(divided.disk.len(Table::Entries), 60);
    assert_eq!(divided.disk.len(Table::Feeds), 19);
    divided.world = World::default();
    for (key, value) in divided.disk.rows(Table::Feeds) {
        let (record, _) = FeedRecord::parse(&value).expect("a whole row");
        let device = DeviceId(keys::id_at(&key, 0).expect("a device"));
        divided.world.log.feeds.restore(device, record);
    }
    for (key, value) in divided.disk.rows(Table::Meta) {
        divided.world.restore(&key, &value).expect("a whole row");
    }
    divided.world.hold(50, 1);
    divided.world.on_ready();
    divided.execute();
    // Twenty feeds of three entries without that one, and the fresh one.
    assert_eq!(divided.disk.len(Table::Entries), 58);
    let marks = divided.disk.rows(Table::Meta);
    assert!(marks.keys().all(|key| dropped_feed(key).is_none()));
}

#[test]
fn the_number_of_rows_that_are_left_to_delete_is_not_given_to_another_feed() {
    let mut world = World::default();
    world.restore_row(&drop_key(1_000)).expect("a whole row");
    world.hold(1, 1);
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    assert!(number > 1_000, "{number}");
}

#[test]
fn a_damaged_mark_is_refused() {
    let mut world = World::default();
    assert_eq!(world.restore_row(b"drop:x"), None);
    assert_eq!(world.restore_row(b"preferences"), Some(()), "not a row of relays");
    let (ops, loads) = world.store();
    assert!(loads.is_empty() && ops.iter().all(|op| !matches!(op, Op::Delete { .. })));
}

// What must be proven.

/// Everybody beside the share is said to be held by all; what is left after some time if relays answer like this.
fn left_if(answers: Answers) -> (usize, usize) {
    let mut divided = Divided::new();
    divided.answers = answers;
    let beside = divided.beside();
    for n in &beside {
        divided.all_replicas_have(*n);
    }
    for _ in 0..25 {
        divided.tick();
    }
    let often = divided.asked.len();
    assert!(
        often <= 3 * 3 * beside.len(),
        "asked again every ten seconds: {often}"
    );
    (beside.len(), divided.beside().len())
}

#[test]
fn a_receipt_and_an_entry_of_the_very_feed_are_the_proof() {
    assert_eq!(left_if(honest).1, 0);
    let (beside, left) = left_if(|_, n, want| shown(n, want));
    assert_eq!(left, beside, "no receipt");
    let (beside, left) = left_if(|relay, n, want| {
        let request = want.request;
        vec![receipt(relay, n, 3), Message::RangeEnd(RangeEnd { request })]
    });
    assert_eq!(left, beside, "no entry");
    let (beside, left) = left_if(|relay, n, want| {
        let mut answer = shown(n, want);
        answer.insert(0, receipt(relay, n, 2));
        answer
    });
    assert_eq!(left, beside, "a receipt for less");
    let (beside, left) = left_if(|relay, n, want| {
        let mut answer = shown(n, want);
        let head = EntryId([7; 32]);
        let other = Receipt::issue(&relay_key(relay), device(n), 3, head, Timestamp(5));
        answer.insert(0, Message::Receipt(other));
        answer
    });
    assert_eq!(left, beside, "a receipt for another branch");
    let (beside, left) = left_if(|relay, n, want| {
        let mut answer = shown(n, want);
        answer.insert(0, receipt(relay % 6 + 1, n, 3));
        answer
    });
    assert_eq!(left, beside, "a receipt of another relay");
}

#[test]
fn one_replica_that_proves_nothing_keeps_the_account_here() {
    let (beside, left) = left_if(|relay, n, want| match relay {
        1 => vec![Message::RangeEnd(RangeEnd {
            request: want.request,
        })],
        _ => honest(relay, n, want),
    });
    assert!(0 < left && left < beside, "{left} of {beside}");
}

#[test]
fn strangers_replace_nothing_whatever_they_sign_and_show() {
    // In an open network a relay that describes itself is assigned feeds.
    let mut divided = Divided::with(|config| config.admission = Admission::Open);
    let beside = divided.beside();
    assert!(!beside.is_empty());
    for n in &beside {
        divided.all_replicas_have(*n);
    }
    for _ in 0..4 {
        divided.tick();
    }
    assert_eq!(divided.beside(), beside);
    assert_eq!(divided.asked, [], "and they are not asked");
}

#[test]
fn a_relay_that_never_signed_drops_what_others_say_they_have() {
    let members = || Admission::Listed((1..=6).map(relay_peer).collect());
    let mut divided = Divided::with(|config| {
        config.admission = members();
        config.worker = false;
    });
    let beside = divided.beside();
    divided.answers = |_, _, _| Vec::new();
    divided.all_replicas_have(beside[0]);
    divided.tick();
    assert_eq!((divided.is_held(beside[0]), divided.asked.len()), (false, 0));
    let row = |divided: &Divided| divided.disk.rows(Table::Meta).contains_key(&b"withdrawn:"[..]);
    assert!(!row(&divided), "there is nothing to take back");
    // One that signed before the last start does not.
    divided.world.restore_row(b"signed").expect("a whole row");
    divided.all_replicas_have(beside[1]);
    divided.tick();
    assert!(divided.is_held(beside[1]) && !divided.asked.is_empty());
}

#[test]
fn a_relay_that_signs_receipts_remembers_it() {
    let mut divided = Divided::new();
    divided.world.on_ready();
    divided.execute();
    assert!(divided.disk.rows(Table::Meta).contains_key(&b"signed"[..]));
    divided.world.on_ready();
    assert_eq!(divided.world.store().0, [], "once");
}

#[test]
fn a_feed_that_grew_since_the_proof_is_proven_again() {
    let mut divided = Divided::new();
    let n = divided.beside()[0];
    divided.answers = |relay, n, want| match relay % 2 {
        0 => Vec::new(),
        _ => honest(relay, n, want),
    };
    divided.all_replicas_have(n);
    divided.tick();
    divided.world.hold(n, 4);
    let go_on = |divided: &mut Divided| {
        for link in divided.links.clone() {
            divided.world.peer_has(link, n, 4);
        }
        for _ in 0..40 {
            divided.tick();
        }
        divided.is_held(n)
    };
    divided.answers = honest;
    assert!(go_on(&mut divided), "receipts for three entries");
    divided.answers = |relay, n, want| {
        let mut answer = shown(n, want);
        answer.insert(0, receipt(relay, n, 4));
        answer
    };
    assert!(!go_on(&mut divided));
}

#[test]
fn nothing_is_dropped_while_a_partition_is_suspected() {
    let mut divided = Divided::new();
    for n in divided.beside() {
        divided.all_replicas_have(n);
    }
    let beside = divided.beside();
    // Five of six relays fall silent at once.
    for _ in 0..3 {
        divided.world.pass(Duration::from_secs(5));
        divided.world.describe(1, worker(""), divided.links[0]);
        divided.world.judge();
    }
    assert!(divided.world.directory.suspects_partition());
    divided.tick();
    assert_eq!((divided.beside(), divided.asked.len()), (beside, 0));
}

// What is said about it.

fn withdrawals(sent: Vec<Message>) -> Vec<Withdrawal> {
    let withdrawals = sent.into_iter().filter_map(|message| match message {
        Message::Withdrawal(withdrawal) => Some(withdrawal),
        _ => None,
    });
    withdrawals.collect()
}

#[test]
fn a_feed_that_moved_is_taken_back_and_its_author_learns_of_it_at_the_next_link() {
    let mut divided = Divided::new();
    let gone = divided.beside()[0];
    divided.all_replicas_have(gone);
    let (wants, others) = (divided.links[0], divided.links[1]);
    divided.world.interested(wants, &[gone]);
    divided.tick();
    assert!(!divided.is_held(gone));
    let told = withdrawals(divided.sent(wants));
    let [withdrawal] = &told[..] else {
        panic!("the relay that wants the feed passes it on: {told:?}");
    };
    assert_eq!(
        (withdrawal.relay, withdrawal.device),
        (relay_peer(0), device(gone))
    );
    assert_eq!((withdrawal.from, withdrawal.reason), (0, Reason::MOVED));
    assert!(withdrawal.verify().is_ok());
    assert_eq!(withdrawals(divided.sent(others)), []);
    // The row outlives a crash, and goes to every device of the account.
    let rows = divided.disk.rows(Table::Meta);
    let mut world = World::default();
    for (key, value) in rows {
        world.restore(&key, &value).expect("a whole row");
    }
    for _ in 0..2 {
        let author = world.prove_person(gone);
        assert_eq!(world.neighbour(author), told);
        world.unlink(author);
    }
    let other = world.prove_person(77);
    assert_eq!(world.neighbour(other), []);
}

#[test]
fn what_an_operator_removes_goes_at_once_and_a_linked_author_learns_of_it() {
    let mut divided = Divided::new();
    // One that is assigned here, and whose author is linked.
    let n = (0..20).find(|n| !divided.beside().contains(n)).expect("a share");
    let author = divided.world.link_person(n);
    divided.answers = |_, _, _| panic!("nobody is asked");
    divided.world.withdraw(n, Reason::REMOVED);
    divided.execute();
    assert!(!divided.is_held(n));
    let told = withdrawals(divided.sent(author));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].device, told[0].reason), (device(n), Reason::REMOVED));
    assert_eq!(divided.disk.len(Table::Entries), 57);
    divided.world.withdraw(n, Reason::REMOVED);
    assert_eq!(withdrawals(divided.sent(author)), [], "it is gone");
}

#[test]
fn a_withdrawal_is_later_than_every_receipt_before_it() {
    let mut world = World::default();
    let receipt = world.ctx.time_of_receipt();
    let withdrawal = world.ctx.time_of_withdrawal();
    assert!(withdrawal > receipt);
    world.ctx.now.wall = Timestamp(1);
    assert!(
        world.ctx.time_of_receipt() >= withdrawal,
        "the clock was set back"
    );
    assert!(world.ctx.time_of_withdrawal() > withdrawal);
}
