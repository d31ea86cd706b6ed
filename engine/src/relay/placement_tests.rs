use protocol::{AccountId, DeviceId, PeerId, Timestamp};

use super::{Member, PIECE, Placement, Reassigned};
use crate::io::Config;
use crate::log::feeds::Feeds;
use crate::relay::testing::{World, relay_key, relay_peer, worker};
use crate::relays::assignment::{Assignment, Worker};

const ACCOUNTS: u32 = 500;

fn account(n: u32) -> AccountId {
    let mut id = [0x5a; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

fn begin(feeds: &mut Feeds, n: u32, device: u8) {
    let mut id = [device; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    feeds
        .begin(
            DeviceId(id),
            account(n),
            "laptop".into(),
            Timestamp(0),
            usize::MAX,
        )
        .expect("room");
}

fn feeds() -> Feeds {
    let mut feeds = Feeds::default();
    for n in 0..ACCOUNTS {
        begin(&mut feeds, n, 1);
    }
    feeds
}

fn members(peers: impl IntoIterator<Item = u16>) -> Vec<Member> {
    let members = peers.into_iter().map(|n| Member {
        peer: relay_peer(n),
        capacity: 100 + u32::from(n),
        zone: format!("zone {}", n % 3),
    });
    ordered::sorted_by_key(members, |member| member.peer)
}

/// What the pure function says.
fn assignment(members: &[Member]) -> Assignment {
    let workers: Vec<Worker<'_>> = members
        .iter()
        .map(|member| Worker {
            peer: member.peer,
            capacity: member.capacity,
            zone: &member.zone,
        })
        .collect();
    Assignment::fair(&workers)
}

fn placement(change: impl FnOnce(&mut Config)) -> Placement {
    let mut config = Config::relay(relay_key(0));
    change(&mut config);
    Placement::new(&config, relay_peer(0))
}

/// Changes the members, and applies that to all accounts.
fn set_members(placement: &mut Placement, feeds: &Feeds, members: Vec<Member>) -> Option<Reassigned> {
    let reassigned = placement.set_members(members)?;
    assert_eq!(placement.cached.len(), 0);
    for account in feeds.accounts() {
        placement.on_account_seen(feeds, account);
    }
    placement.set_complete();
    Some(reassigned)
}

fn sorted(accounts: impl IntoIterator<Item = AccountId>) -> Vec<AccountId> {
    ordered::sorted_by_key(accounts, |account| *account)
}

/// Every answer of `placement` is that of the pure function.
fn assert_as_computed(placement: &Placement, feeds: &Feeds, members: &[Member], replicas: usize) {
    let assignment = assignment(members);
    let held: Vec<AccountId> = feeds.accounts().collect();
    for account in &held {
        let expected = assignment.replicas(account, replicas);
        assert_eq!(placement.replicas_of(feeds, account), expected);
    }
    for member in members {
        let mine = |account: &AccountId| assignment.replicas(account, replicas).contains(&member.peer);
        let expected = held.iter().copied().filter(mine);
        let assigned = placement.assigned_to(feeds, &member.peer);
        assert_eq!(sorted(assigned), sorted(expected));
    }
}

#[test]
fn few_members_keep_everything() {
    let (feeds, mut placement) = (feeds(), placement(|_| {}));
    let few = members(0..3);
    let reassigned = set_members(&mut placement, &feeds, few.clone());
    assert_eq!(reassigned, Some(Reassigned { was_divided: false }));
    assert!(!placement.is_divided());
    assert!(placement.held_beside(&feeds).is_empty());
    assert_eq!(placement.replicas_assigned(), 3);
    assert_as_computed(&placement, &feeds, &few, 3);
}

#[test]
fn the_cached_assignment_is_the_computed_one() {
    let (feeds, mut placement) = (feeds(), placement(|_| {}));
    let all = members(0..7);
    set_members(&mut placement, &feeds, all.clone());
    assert!(placement.is_divided());
    assert_eq!(placement.cached.len(), ACCOUNTS as usize);
    assert_as_computed(&placement, &feeds, &all, 3);
    let beside = placement.held_beside(&feeds);
    let mine = placement.assigned_to(&feeds, &relay_peer(0));
    assert_eq!(beside.len() + mine.len(), ACCOUNTS as usize);
    assert!(!beside.is_empty() && !mine.is_empty());
}

#[test]
fn what_a_member_keeps_is_counted_or_estimated_from_one_piece() {
    let (mut feeds, mut placement) = (feeds(), placement(|_| {}));
    for n in ACCOUNTS..8 * ACCOUNTS {
        begin(&mut feeds, n, 1);
    }
    let all = members(0..7);
    let exact = |placement: &Placement, peer: &PeerId| placement.assigned_to(&feeds, peer).len();
    set_members(&mut placement, &feeds, all.clone());
    for member in &all {
        let kept = placement.assigned_len(&feeds, &member.peer);
        assert_eq!(kept, exact(&placement, &member.peer));
        assert!(kept > 0);
    }
    assert_eq!(placement.assigned_len(&feeds, &relay_peer(40)), 0, "no member");
    // Not applied to the accounts yet.
    placement.set_members(members(0..6));
    for member in members(0..6) {
        let (about, kept) = (
            placement.assigned_len(&feeds, &member.peer),
            exact(&placement, &member.peer),
        );
        assert!(about.abs_diff(kept) * 5 < kept, "{about} of {kept}");
    }
    let few = members(0..2);
    set_members(&mut placement, &feeds, few);
    assert_eq!(
        placement.assigned_len(&feeds, &relay_peer(1)),
        feeds.accounts_len()
    );
}

#[test]
fn a_change_of_members_replaces_what_is_cached() {
    let (feeds, mut placement) = (feeds(), placement(|_| {}));
    set_members(&mut placement, &feeds, members(0..7));
    assert_eq!(
        set_members(&mut placement, &feeds, members(0..7)),
        None,
        "unchanged"
    );
    let fewer = members([0, 2, 3, 5, 6]);
    let reassigned = set_members(&mut placement, &feeds, fewer.clone());
    assert_eq!(reassigned, Some(Reassigned { was_divided: true }));
    assert_as_computed(&placement, &feeds, &fewer, 3);
    let few = members([0, 2]);
    set_members(&mut placement, &feeds, few.clone());
    assert!(!placement.is_divided());
    assert_as_computed(&placement, &feeds, &few, 3);
    assert!(placement.cached.is_empty());
}

#[test]
fn only_accounts_of_the_lost_member_move() {
    let (feeds, mut placement) = (feeds(), placement(|_| {}));
    let equal = |n: &u16| Member {
        peer: relay_peer(*n),
        capacity: 100,
        zone: String::new(),
    };
    let all = ordered::sorted_by_key([0, 1, 2, 3, 4, 5].iter().map(equal), |member| member.peer);
    set_members(&mut placement, &feeds, all.clone());
    let before: Vec<Vec<PeerId>> = (0..ACCOUNTS)
        .map(|n| placement.replicas_of(&feeds, &account(n)))
        .collect();
    let lost = relay_peer(3);
    let left = all.into_iter().filter(|member| member.peer != lost).collect();
    set_members(&mut placement, &feeds, left);
    for (n, before) in before.iter().enumerate() {
        let after = placement.replicas_of(&feeds, &account(n as u32));
        let stay = before.iter().filter(|peer| **peer != lost);
        assert!(stay.clone().all(|peer| after.contains(peer)), "{n}");
        assert_eq!(after.len(), 3);
    }
}

#[test]
fn new_and_dropped_accounts_keep_the_cache_complete() {
    let (mut feeds, mut placement) = (feeds(), placement(|_| {}));
    let all = members(0..7);
    set_members(&mut placement, &feeds, all.clone());
    begin(&mut feeds, ACCOUNTS, 1);
    placement.on_account_seen(&feeds, account(ACCOUNTS));
    // A second device of an account that is held changes nothing.
    begin(&mut feeds, 3, 2);
    let dropped = feeds.forget(&account(5));
    let numbers: Vec<_> = dropped.iter().map(|(_, feed)| feed.number).collect();
    placement.on_account_dropped(&numbers);
    assert_eq!(placement.cached.len(), ACCOUNTS as usize);
    assert_as_computed(&placement, &feeds, &all, 3);
    // Accounts that are not held are computed.
    assert_eq!(
        placement.replicas_of(&feeds, &account(5)),
        assignment(&all).replicas(&account(5), 3)
    );
}

#[test]
fn more_replicas_than_are_cached_are_computed() {
    let (feeds, mut placement) = (feeds(), placement(|config| config.replicas = 6));
    let all = members(0..9);
    set_members(&mut placement, &feeds, all.clone());
    assert!(placement.is_divided());
    assert!(placement.cached.is_empty());
    assert_as_computed(&placement, &feeds, &all, 6);
}

#[test]
fn a_relay_that_is_no_worker_is_assigned_nothing() {
    let (feeds, mut placement) = (feeds(), placement(|config| config.worker = false));
    assert!(placement.is_divided());
    set_members(&mut placement, &feeds, members(1..3));
    assert!(
        placement.is_divided(),
        "others keep everything, this one only what is wanted here"
    );
    assert_eq!(placement.held_beside(&feeds).len(), ACCOUNTS as usize);
    assert!(placement.assigned_to(&feeds, &relay_peer(0)).is_empty());
    assert!(!placement.is_assigned_here(&feeds, &account(1)));
}

#[test]
fn the_dead_remain_members_for_the_grace_period() {
    let mut world = World::new(|config| config.relays_beat_every = core::time::Duration::from_secs(5));
    world.workers(4);
    let mut idle = worker("");
    idle.capacity = 0;
    world.describe(5, idle, crate::io::LinkId(77));
    let grace = core::time::Duration::from_secs(60);
    let members = |world: &World| super::members(&world.directory, world.ctx.clock(), grace).len();
    assert_eq!(members(&world), 5, "the emptied one is no member");
    // Relays 2 to 4 go on; relay 1 falls silent.
    let mut counts = Vec::new();
    for _ in 0..30 {
        world.pass(core::time::Duration::from_secs(5));
        for n in 2..=4 {
            world.describe(n, worker(""), crate::io::LinkId(10_000 + u64::from(n)));
        }
        world.judge();
        counts.push(members(&world));
    }
    // Six heartbeats until it is dead, then the grace.
    let gone = counts.iter().position(|count| *count == 4).expect("it goes");
    assert!((16..=20).contains(&gone), "{counts:?}");
    assert!(counts[gone..].iter().all(|count| *count == 4), "{counts:?}");
}

#[test]
fn with_many_members_a_piece_has_fewer_accounts() {
    let (feeds, mut placement) = (feeds(), placement(|_| {}));
    set_members(&mut placement, &feeds, members(0..7));
    assert_eq!(placement.piece(), PIECE);
    placement.set_members(members(0..1_000));
    assert_eq!(placement.piece(), 65);
}
