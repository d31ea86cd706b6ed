use protocol::messages::{Message, Ping};

use super::*;
use crate::kinds::testing::{Author, ctx};
use crate::store::Table;

fn fresh() -> Ctx {
    ctx(None, Now::default())
}

fn op(key: u8) -> Op {
    Op::Delete {
        table: Table::Meta,
        key: vec![key],
    }
}

fn read() -> Vec<Read> {
    vec![Read::prefix(Table::Meta, &[], 1)]
}

fn reached(device: u8, next_seq: u64) -> Reached {
    Reached {
        device: DeviceId([device; 32]),
        next_seq,
        head: EntryId::default(),
    }
}

fn outputs(ctx: &mut Ctx) -> Vec<Output> {
    core::iter::from_fn(|| ctx.poll_output()).collect()
}

/// The batches among the outputs.
fn batches(ctx: &mut Ctx) -> Vec<Batch> {
    let outputs = outputs(ctx).into_iter();
    let batches = outputs.filter_map(|output| match output {
        Output::Persist(batch) => Some(batch),
        _ => None,
    });
    batches.collect()
}

#[test]
fn what_an_input_writes_is_one_batch_and_its_loads_come_after_it() {
    let mut ctx = fresh();
    ctx.write(op(1));
    let load = ctx.load(LoadOwner::View, read());
    ctx.write_all([op(2), op(3)]);
    assert!(outputs(&mut ctx).is_empty(), "until the input ends");
    assert!(ctx.flush(Vec::new()).is_none());
    match &outputs(&mut ctx)[..] {
        [Output::Persist(batch), Output::Load(read)] => {
            assert_eq!(batch.ops, [op(1), op(2), op(3)]);
            assert_eq!(batch.strictness, Strictness::Relaxed);
            assert_eq!(read.id, load);
        }
        other => panic!("{other:?}"),
    }
    ctx.flush(Vec::new());
    assert!(outputs(&mut ctx).is_empty(), "nothing is written twice");
}

#[test]
fn strictness_is_that_of_one_batch_or_of_the_role() {
    let mut ctx = fresh();
    let strictness = |ctx: &mut Ctx| {
        ctx.write(op(1));
        ctx.flush(Vec::new());
        batches(ctx)[0].strictness
    };
    ctx.write_strictly();
    assert_eq!(strictness(&mut ctx), Strictness::Strict);
    assert_eq!(strictness(&mut ctx), Strictness::Relaxed);
    ctx.strict_always = true;
    assert_eq!(strictness(&mut ctx), Strictness::Strict);
}

#[test]
fn what_needs_no_batch_is_due_at_once() {
    let mut ctx = fresh();
    ctx.consume(LinkId(1), 10);
    ctx.consume(LinkId(1), 5);
    let due = ctx.flush(vec![reached(1, 3)]).expect("nothing to wait for");
    assert_eq!(due.consumed.get(&LinkId(1)), Some(&15));
    assert_eq!(due.feeds[0].next_seq, 3);
    assert_eq!(ctx.persisted(), BatchId(0));
}

#[test]
fn nothing_is_due_before_its_batch_and_all_before_are_persisted() {
    let mut ctx = fresh();
    for (n, bytes) in [(1, 10), (2, 20), (3, 40)] {
        assert_eq!(ctx.next_batch(), BatchId(n));
        ctx.write(op(1));
        ctx.consume(LinkId(1), bytes);
        assert!(ctx.flush(vec![reached(1, n)]).is_none());
    }
    assert_eq!(ctx.persisted(), BatchId(0));
    let commit = ctx.on_persisted(BatchId(2));
    let feeds: Vec<_> = commit.feeds.iter().map(|feed| feed.next_seq).collect();
    assert_eq!(feeds, [1, 2], "in order");
    assert_eq!(commit.consumed.get(&LinkId(1)), Some(&30));
    assert_eq!(ctx.persisted(), BatchId(2));
    let commit = ctx.on_persisted(BatchId(2));
    assert!(commit.feeds.is_empty(), "nothing is due twice");
    ctx.on_persisted(BatchId(3));
    assert_eq!(ctx.persisted(), BatchId(3));
}

#[test]
fn a_load_has_one_owner_until_it_ends() {
    let mut ctx = fresh();
    let (one, other) = (
        ctx.load(LoadOwner::Command, read()),
        ctx.load(LoadOwner::Cut, read()),
    );
    assert_ne!(one, other);
    assert_eq!(ctx.loads_len(), 2);
    assert_eq!(ctx.end_load(one), Some(LoadOwner::Command));
    assert_eq!(ctx.end_load(one), None);
    assert_eq!(ctx.end_load(other), Some(LoadOwner::Cut));
    assert_eq!(ctx.loads_len(), 0);
}

#[test]
fn facts_come_in_the_order_they_were_recorded() {
    let mut ctx = fresh();
    assert!(ctx.is_settled());
    ctx.misbehaved(LinkId(1), "a reason");
    ctx.fact(Fact::OwnBranch);
    assert!(!ctx.is_settled());
    assert!(matches!(
        ctx.next_fact(),
        Some(Fact::Misbehaved { link: LinkId(1), reason }) if reason == "a reason"
    ));
    assert!(matches!(ctx.next_fact(), Some(Fact::OwnBranch)));
    assert!(ctx.is_settled() && ctx.next_fact().is_none());
}

#[test]
fn frames_are_sent_and_counted_on_open_links_alone() {
    let mut ctx = fresh();
    let (link, ping) = (LinkId(1), Message::Ping(Ping { token: 1 }));
    ctx.send(link, &ping);
    assert!(outputs(&mut ctx).is_empty(), "there is no such link");
    ctx.count_received(link, 7);
    assert_eq!(ctx.traffic(link).bytes_in, 0);
    ctx.open_link(link);
    ctx.send(link, &ping);
    ctx.count_received(link, 5);
    let sent = match &outputs(&mut ctx)[..] {
        [Output::Send { link: to, bytes }] if *to == link => bytes.len() as u64,
        other => panic!("{other:?}"),
    };
    let traffic = ctx.traffic(link);
    assert_eq!((traffic.bytes_in, traffic.bytes_out), (5, sent));
    assert_eq!((ctx.totals.bytes_in, ctx.totals.bytes_out), (12, sent));
    ctx.forget_link(link);
    ctx.send(link, &ping);
    assert!(outputs(&mut ctx).is_empty(), "it has ended");
    assert_eq!(ctx.traffic(link).bytes_out, 0);
    assert_eq!(ctx.totals.bytes_out, sent, "the total stays");
}

#[test]
fn a_long_message_is_sent_in_frames() {
    let mut ctx = fresh();
    ctx.open_link(LinkId(1));
    ctx.send_bytes(LinkId(1), &vec![1; 100_000]);
    assert!(outputs(&mut ctx).len() > 1);
}

#[test]
fn who_this_is_follows_from_the_certificate() {
    let ada = Author::new(1);
    let ctx = ctx(Some(&ada), Now::default());
    assert_eq!(
        (ctx.me(), ctx.device()),
        (Some(ada.account()), Some(ada.device()))
    );
    assert_eq!(ctx.peer(), Some(PeerId(ada.device().0)));
    assert!(ctx.is_me(&ada.account()) && !ctx.is_me(&Author::new(2).account()));
    let nobody = fresh();
    assert_eq!((nobody.me(), nobody.device(), nobody.peer()), (None, None, None));
    assert!(!nobody.is_me(&ada.account()));
}

#[test]
fn posts_of_which_other_entries_say_something_are_few() {
    let mut changed = Changed::default();
    for n in 0..=u16::try_from(BESIDE_MAX).expect("few") {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let account = AccountId::default();
        changed.record_beside(EntryRef {
            account,
            id: EntryId(id),
        });
    }
    assert_eq!(changed.beside.len(), BESIDE_MAX);
}

#[test]
fn chance_is_that_of_the_seed() {
    let (mut one, mut other) = (fresh(), fresh());
    assert_eq!(one.random::<16>(), other.random::<16>());
    assert_ne!(one.random::<16>(), [0; 16]);
    assert_eq!(one.any_of::<u8>(&[]), None);
    let mut found: Vec<_> = (0..50).filter_map(|_| one.any_of(&[1, 2, 3])).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [1, 2, 3], "each is chosen");
    assert_eq!((one.next_request(), one.next_request()), (1, 2));
}

#[test]
fn a_part_that_calls_for_its_timer_gets_it_with_this_input() {
    let mut ctx = fresh();
    ctx.now.instant = Instant(5_000);
    ctx.next_timeout = Instant(9_000);
    ctx.wake();
    assert_eq!(ctx.next_timeout, Instant(5_000));
    assert_eq!(ctx.clock(), Duration::from_millis(5));
}

#[test]
fn there_is_room_to_write_until_too_much_waits_for_the_disk() {
    let mut ctx = fresh();
    ctx.config.unwritten_bytes_max = 3;
    for _ in 0..3 {
        assert!(ctx.has_room_to_write());
        ctx.write(op(1));
        ctx.flush(Vec::new());
    }
    assert!(!ctx.has_room_to_write());
    ctx.on_persisted(BatchId(1));
    assert!(ctx.has_room_to_write());
    ctx.on_persisted(BatchId(3));
    assert_eq!(ctx.unwritten_bytes, 0);
}
