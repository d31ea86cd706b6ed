use protocol::messages::Message;
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::{EntryId, Timestamp};

use super::{PER_ACCOUNT_MAX, WITHDRAWALS_MAX, Withdrawals, stored};
use crate::facts::Fact;
use crate::io::LinkId;
use crate::relay::testing::{World, account, device, relay_key, relay_peer};
use crate::store::{Op, Table};

fn withdrawal(relay: u16, n: u16, at: u64) -> Withdrawal {
    Withdrawal::issue(&relay_key(relay), device(n), 0, Timestamp(at), Reason::MOVED)
}

/// The same, with a signature that is not looked at here.
fn unsigned(relay: u16, n: u16, at: u64) -> Withdrawal {
    Withdrawal {
        relay: relay_peer(relay),
        device: device(n),
        at: Timestamp(at),
        ..withdrawal(1, 1, 1)
    }
}

fn of(withdrawals: &Withdrawals, n: u16) -> Vec<u64> {
    withdrawals.of(&account(n)).map(|known| known.at.0).collect()
}

#[test]
fn the_latest_of_each_relay_and_feed_is_kept_until_the_relay_signs_again() {
    let mut world = World::default();
    let ctx = &mut world.ctx;
    let mut kept = Withdrawals::new(relay_peer(0));
    assert!(kept.keep(ctx, account(1), &withdrawal(1, 1, 10)));
    assert!(!kept.keep(ctx, account(1), &withdrawal(1, 1, 10)), "known");
    assert!(!kept.keep(ctx, account(1), &withdrawal(1, 1, 9)), "older");
    assert!(kept.keep(ctx, account(1), &withdrawal(1, 1, 12)));
    assert!(kept.keep(ctx, account(1), &withdrawal(2, 1, 5)));
    assert!(kept.keep(ctx, account(2), &withdrawal(2, 2, 7)));
    let mut times = of(&kept, 1);
    times.sort_unstable();
    assert_eq!((times, of(&kept, 2)), (vec![5, 12], vec![7]));
    let receipt = |at| Receipt::issue(&relay_key(1), device(1), 3, EntryId([1; 32]), Timestamp(at));
    kept.on_receipt(ctx, account(1), &receipt(12));
    assert_eq!(of(&kept, 1).len(), 2, "it was signed before");
    kept.on_receipt(ctx, account(1), &receipt(13));
    assert_eq!(of(&kept, 1), [5]);
}

#[test]
fn what_is_kept_is_stored() {
    let mut world = World::default();
    let mut kept = Withdrawals::new(relay_peer(0));
    kept.keep(&mut world.ctx, account(1), &withdrawal(0, 1, 10));
    kept.keep(&mut world.ctx, account(1), &withdrawal(1, 1, 99));
    kept.keep(&mut world.ctx, account(2), &withdrawal(0, 2, 11));
    kept.on_held(&mut world.ctx, account(2), device(2));
    world.ctx.flush(Vec::new());
    let (ops, _) = world.store();
    let mut again = Withdrawals::new(relay_peer(0));
    let mut deleted = 0;
    for op in ops {
        match op {
            Op::Put { table, key, value } => {
                assert_eq!(table, Table::Meta);
                let (account, withdrawal) = stored(&key, &value).expect("its row").expect("whole");
                again.restore(account, withdrawal);
            }
            Op::Delete { .. } => deleted += 1,
        }
    }
    assert_eq!(deleted, 1);
    assert_eq!(of(&again, 1), of(&kept, 1));
    assert_eq!(again.last_signed(), Some(Timestamp(11)));
    assert_eq!(stored(b"networked", &[]), None);
    assert_eq!(stored(b"withdrawn:x", &[]), Some(None), "damaged");
}

#[test]
fn own_ones_outlast_those_of_others_and_later_ones_earlier_ones() {
    let mut world = World::default();
    let mut kept = Withdrawals::new(relay_peer(0));
    let mut id = 0;
    let mut keep = |kept: &mut Withdrawals, relay, at| {
        let mut account = account(1);
        id += 1;
        account.0[..4].copy_from_slice(&u32::to_be_bytes(id));
        let taken = kept.keep(&mut world.ctx, account, &unsigned(relay, 1, at));
        (account, taken)
    };
    let (own, _) = keep(&mut kept, 0, 1);
    let (oldest, _) = keep(&mut kept, 1, 2);
    while kept.kept.len() < WITHDRAWALS_MAX {
        keep(&mut kept, 1, 3);
    }
    assert!(!keep(&mut kept, 1, 1).1, "older than all others");
    assert!(keep(&mut kept, 1, 9).1);
    assert_eq!(kept.of(&oldest).count(), 0);
    assert_eq!(kept.of(&own).count(), 1);
    assert_eq!(
        (kept.kept.len(), kept.order.len()),
        (WITHDRAWALS_MAX, WITHDRAWALS_MAX)
    );
}

#[test]
fn those_of_one_account_are_bounded() {
    let mut world = World::default();
    let mut kept = Withdrawals::new(relay_peer(0));
    for relay in 0..PER_ACCOUNT_MAX as u16 {
        kept.keep(&mut world.ctx, account(1), &unsigned(relay, 1, 10));
    }
    kept.keep(&mut world.ctx, account(1), &unsigned(1_000, 1, 5));
    let times = of(&kept, 1);
    assert_eq!(times.len(), PER_ACCOUNT_MAX);
    assert!(times.contains(&5));
    let own = |known: &Withdrawal| known.relay == relay_peer(0);
    assert!(kept.of(&account(1)).any(own), "those of others make room");
}

// Those of other relays.

fn receive(world: &mut World, link: LinkId, withdrawal: &Withdrawal) {
    let message = Message::Withdrawal(withdrawal.clone());
    assert!(world.on_message(link, message).is_none());
}

fn sent(world: &mut World, link: LinkId) -> usize {
    let sent = world.sent(link);
    let withdrawals = sent
        .iter()
        .filter(|message| matches!(message, Message::Withdrawal(_)));
    withdrawals.count()
}

#[test]
fn that_of_a_relay_goes_to_the_author_now_and_at_later_links() {
    let mut world = World::default();
    world.workers(2);
    let (one, two) = (world.link_relay(1), world.link_relay(2));
    world.hold(1, 2);
    let (author, other) = (world.link_person(1), world.link_person(2));
    world.peer_has(one, 1, 2);
    receive(&mut world, one, &withdrawal(1, 1, 10));
    assert_eq!([author, other, two].map(|link| sent(&mut world, link)), [1, 0, 0]);
    let number = world.log.feeds.get(&device(1)).expect("held").number;
    assert_eq!(world.relay.peer_has.get(one, number), None, "it does not have it");
    receive(&mut world, one, &withdrawal(1, 1, 10));
    assert_eq!(sent(&mut world, author), 0, "once");
    world.unlink(author);
    let author = world.prove_person(1);
    assert_eq!(world.neighbour(author).len(), 1);
}

#[test]
fn that_of_a_third_relay_a_stranger_or_about_an_unknown_feed_is_not_kept() {
    let mut world = World::default();
    world.workers(2);
    let (one, stranger) = (world.link_relay(1), world.link_relay(9));
    world.hold(1, 2);
    receive(&mut world, one, &withdrawal(2, 1, 10));
    receive(&mut world, stranger, &withdrawal(9, 1, 10));
    receive(&mut world, one, &withdrawal(1, 2, 10));
    for n in [1, 2] {
        let author = world.prove_person(n);
        assert_eq!(world.neighbour(author), []);
    }
}

#[test]
fn a_forged_one_is_the_senders_fault() {
    let mut world = World::default();
    world.workers(1);
    let one = world.link_relay(1);
    world.hold(1, 2);
    receive(&mut world, one, &unsigned(1, 1, 10));
    let facts = world.facts();
    assert!(
        matches!(facts[..], [Fact::Misbehaved { link, .. }] if link == one),
        "{facts:?}"
    );
}
