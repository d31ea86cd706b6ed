use super::*;
use crate::api::{Command, Query, QueryResult, Response};
use crate::io::{Config, Output};
use crate::kinds::testing::Author;
use crate::log::records::HolderRecord;
use crate::memory::MemoryStore;
use crate::role::testing::Peer;
use crate::store::{Batch, BatchId, Load, Op, Strictness};
use crate::testing::Remote;
use protocol::Timestamp;

/// The store of a device that wrote two posts, follows an account, knows a relay and holds a post of another account.
fn store() -> MemoryStore {
    let mut peer = Peer::person();
    let mut bob = Author::new(2);
    let account = bob.account();
    peer.command(Command::Follow { account });
    peer.link_known(&Remote::relay(20));
    for n in 0..2 {
        peer.command(Command::Publish {
            token: [n; 16],
            text: format!("post {n}"),
            reply_to: None,
            slug: None,
        });
    }
    peer.hold(&[bob.begin(), bob.post("of Bob")]);
    peer.store
}

/// A peer that begins to read this store, and its first load.
fn begin(store: MemoryStore) -> (Peer, Boot, Load) {
    let mut peer = Peer::unread(Config::browser());
    peer.store = store;
    let boot = Boot::begin(&mut peer.ctx);
    let load = load(&mut peer).expect("tables are read");
    (peer, boot, load)
}

/// The load that was asked for.
fn load(peer: &mut Peer) -> Option<Load> {
    let mut loads = peer.loads();
    let load = loads.pop();
    assert!(loads.is_empty(), "one load at a time: {loads:?}");
    load.map(|(owner, load)| {
        assert_eq!(owner, LoadOwner::Boot);
        load
    })
}

/// Whether the store has been read with the rows of this load.
fn answer(peer: &mut Peer, boot: &mut Boot, load: &Load) -> bool {
    let rows = peer.store.load(load);
    let Peer { ctx, role, parts, .. } = peer;
    boot.on_rows(ctx, role, parts, rows)
}

/// Starts from this store.
fn boot(store: MemoryStore) -> Peer {
    let (mut peer, mut boot, mut next) = begin(store);
    while !answer(&mut peer, &mut boot, &next) {
        next = load(&mut peer).expect("more is read");
    }
    peer
}

fn tables_of(load: &Load) -> Vec<Table> {
    let tables = load.reads.iter().map(|read| match read {
        Read::Range { table, .. } => *table,
        other => panic!("{other:?}"),
    });
    tables.collect()
}

/// A store with this row in addition.
fn with_row(mut store: MemoryStore, table: Table, key: Vec<u8>, value: Vec<u8>) -> MemoryStore {
    store.apply(&Batch {
        id: BatchId(1),
        strictness: Strictness::Relaxed,
        ops: vec![Op::Put { table, key, value }],
    });
    store
}

/// The tables in which a damaged row was found.
fn corrupt(peer: &mut Peer) -> Vec<Table> {
    let outputs = peer.outputs().into_iter();
    let corrupt = outputs.filter_map(|output| match output {
        Output::Log(Log::Corrupt { table }) => Some(table),
        _ => None,
    });
    corrupt.collect()
}

/// What interfaces learn once the store has been read: whether there is an account.
fn ready(peer: &mut Peer) -> Option<bool> {
    let mut outputs = peer.outputs().into_iter();
    outputs.find_map(|output| match output {
        Output::Event(Event::Ready { account }) => Some(account),
        _ => None,
    })
}

#[test]
fn tables_of_memory_are_read_once_each_and_the_identity_first() {
    let (_, _, load) = begin(MemoryStore::default());
    let mut tables = tables_of(&load);
    assert_eq!(tables[0], Table::Meta);
    assert!(!tables.contains(&Table::Entries), "entries stay on disk");
    for table in Kinds::STATE_TABLES {
        assert!(tables.contains(table), "{table:?} is held in memory");
    }
    for table in Kinds::INDEX_TABLES {
        assert!(!tables.contains(table), "rows of {table:?} stay on disk");
    }
    let len = tables.len();
    tables.sort_unstable();
    tables.dedup();
    assert_eq!(tables.len(), len, "each is read once");
}

#[test]
fn an_empty_store_is_read_with_its_tables() {
    let (mut peer, mut boot, load) = begin(MemoryStore::default());
    assert!(!peer.ctx.ready);
    assert!(answer(&mut peer, &mut boot, &load));
    assert_eq!(boot, Boot::Done);
    assert!(peer.ctx.ready);
    assert_eq!(ready(&mut peer), Some(false));
}

#[test]
fn the_own_entries_are_read_after_the_tables_and_before_anything_is_answered() {
    let (mut peer, mut boot, tables) = begin(store());
    assert!(!answer(&mut peer, &mut boot, &tables));
    assert_eq!((boot, peer.ctx.ready), (Boot::OwnEntries, false));
    let own = load(&mut peer).expect("own entries are read");
    assert_eq!(tables_of(&own), [Table::Entries]);
    let device = peer.ctx.device().expect("a device");
    assert_eq!(peer.parts.log.holders.own_id(device, 1), None, "not read yet");
    assert!(answer(&mut peer, &mut boot, &own));
    assert_eq!((boot, peer.ctx.ready), (Boot::Done, true));
    assert_eq!(ready(&mut peer), Some(true));
    let head = peer.own_head();
    assert_eq!(
        peer.parts.log.holders.own_id(device, head.next_seq - 1),
        Some(head.head)
    );
    assert!(!answer(&mut peer, &mut boot, &own), "it is read once");
}

#[test]
fn what_was_known_before_is_known_again() {
    let store = store();
    let mut peer = boot(store.clone());
    assert_eq!(corrupt(&mut peer), []);
    let bob = Author::new(2);
    assert!(peer.ctx.me().is_some());
    assert_eq!(peer.parts.kinds.followed().collect::<Vec<_>>(), [bob.account()]);
    assert_eq!(peer.parts.net.known.len(), 1);
    assert_eq!(peer.parts.log.feeds.len(), 2);
    let feed = peer.parts.log.feeds.get(&bob.device()).expect("a feed");
    assert_eq!(feed.next_seq, 2);
    let again = peer.command(Command::Publish {
        token: [1; 16],
        text: "post 1".into(),
        reply_to: None,
        slug: None,
    });
    assert!(matches!(again, Some(Response::Done(_))), "{again:?}");
    assert_eq!(
        peer.own_head().next_seq,
        boot(store).own_head().next_seq,
        "a token that was used says which post it is"
    );
}

#[test]
fn a_damaged_row_is_skipped_and_logged() {
    let damaged = [
        (Table::Meta, meta::IDENTITY.to_vec()),
        (Table::Meta, meta::REGISTRY.to_vec()),
        (Table::Feeds, vec![5; 32]),
        (Table::Holders, vec![5; 64]),
        (Table::Forks, vec![5; 32]),
        (Table::Revocations, vec![5; 64]),
        (Table::Tokens, vec![5; 16]),
    ];
    for (table, key) in damaged {
        let mut peer = boot(with_row(store(), table, key.clone(), vec![0xff; 3]));
        assert_eq!(corrupt(&mut peer), [table], "{key:?}");
        assert_eq!(peer.parts.log.feeds.len(), 2, "the other rows are taken in");
        assert_eq!(peer.parts.net.known.len(), 1, "so are those of tables after it");
    }
    for table in [
        Table::Feeds,
        Table::Holders,
        Table::Forks,
        Table::Revocations,
        Table::Relays,
    ] {
        let mut peer = boot(with_row(store(), table, vec![5; 31], Vec::new()));
        assert_eq!(corrupt(&mut peer), [table], "a key that is too short");
    }
    for table in Kinds::STATE_TABLES {
        let mut peer = boot(with_row(store(), *table, vec![5; 7], vec![0xff; 3]));
        assert_eq!(corrupt(&mut peer), [*table]);
    }
}

#[test]
fn holders_of_own_entries_are_restored() {
    let peer = boot(store());
    let (device, holder) = (peer.ctx.device().expect("a device"), Remote::relay(20).id());
    let record = HolderRecord {
        next_seq: 3,
        relay: true,
        at: Timestamp(1),
        ..HolderRecord::default()
    };
    let key = crate::log::keys::holder(&device, &holder);
    let value = codec::encode(&record);
    let peer = boot(with_row(store(), Table::Holders, key, value));
    assert_eq!(peer.parts.log.holders.reach(&device).0, 3);
}

#[test]
fn work_that_was_not_finished_goes_on() {
    let peer = boot(with_row(store(), Table::Meta, meta::REBUILD.to_vec(), Vec::new()));
    assert!(peer.parts.views.is_reindexing());
}

#[test]
fn who_this_is_is_known_after_a_restart() {
    let mut peer = boot(store());
    let Some(Response::Result(result)) = peer.query(Query::Me) else {
        panic!("it is in memory");
    };
    assert!(matches!(*result, QueryResult::Me(Some(me)) if me.name == "Ada"));
}
