//! Newcomers beside a flood of made-up accounts.

use core::ops::Range;
use std::collections::BTreeSet;

use protocol::messages::{Message, Push, WorkDone, WorkRequired};
use protocol::{AccountId, Entry, KeyPair, codec};
use starling_engine::Config;
use starling_engine::api::{Durability, Timeline};
use starling_engine::io::{AddressId, Quotas};
use starling_engine::store::Table;

use crate::hostile::certificate;
use crate::network::{Network, open_relay, seed};
use crate::placement::{describe, know};

/// The first entry of an account that nobody else has heard of.
fn made_up(n: u32) -> Message {
    let key = |role: u8| {
        let mut seed = [role; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        KeyPair::from_seed(&seed)
    };
    Message::Push(Push {
        hops: 1,
        tree: 0,
        entry: certificate(&key(1), &key(2)).entry().clone(),
    })
}

fn newcomer(net: &mut Network, relay: usize, address: AddressId) -> usize {
    let person = net.person("newcomer");
    net.peers[person].address = Some(address);
    know(net, person, relay);
    person
}

fn durability(net: &mut Network, person: usize, post: protocol::EntryRef) -> Durability {
    let posts = net.page(person, Timeline::Home).into_iter();
    let mut of = posts.filter(|it| it.entry == post);
    let durability = of.next().and_then(|post| post.durability);
    durability.expect("an own post")
}

fn accounts(net: &Network, relay: usize) -> BTreeSet<AccountId> {
    let rows = net.peers[relay].disk.rows(Table::Entries);
    let entries = rows.values().map(|row| codec::decode::<Entry>(row).unwrap());
    entries.map(|entry| entry.signed.header.account).collect()
}

/// A stranger sends made-up accounts, a thousand in ten seconds.
fn flood(net: &mut Network, stranger: usize, accounts: Range<u32>) {
    for n in accounts {
        net.lie(stranger, &made_up(n));
        net.run_for_ms(10);
    }
}

/// Bytes of demands for work, and of work, that were sent.
fn work_sent(net: &Network) -> [usize; 2] {
    let (bits, challenge, nonce) = (0, [0; 16], 0);
    let kinds = [
        Message::WorkRequired(WorkRequired { bits, challenge }),
        Message::WorkDone(WorkDone {
            bits,
            challenge,
            nonce,
        }),
    ];
    kinds.map(|message| net.traffic.get(&message.encode()[0]).copied().unwrap_or(0))
}

#[test]
fn a_newcomer_at_the_address_of_a_flood_of_accounts_is_taken_once_it_has_worked() {
    let mut net = Network::new(seed());
    let relay = net.add(Config {
        quotas: Quotas {
            accounts_per_address: 200,
            accounts_per_minute: 600,
            ..Quotas::default()
        },
        ..open_relay(KeyPair::from_seed(&[9; 32]))
    });
    describe(&mut net, relay, 0);
    let address = AddressId(7);
    // While few come, nobody works.
    let first = newcomer(&mut net, relay, address);
    net.run_for_ms(5_000);
    let post = net.post(first, "the first one here");
    net.run_for_ms(5_000);
    assert_eq!(
        durability(&mut net, first, post.entry).relays,
        1,
        "seed {}",
        net.seed
    );
    assert_eq!(work_sent(&net), [0, 0]);
    let attacker = newcomer(&mut net, relay, address);
    net.run_for_ms(5_000);
    flood(&mut net, attacker, 0..3_000);
    let taken = accounts(&net, relay).len();
    assert!(
        (40..=60).contains(&taken),
        "a quarter of the address's quota: {taken}"
    );
    let later = newcomer(&mut net, relay, address);
    let post = net.post(later, "am I heard?");
    net.run_for_ms(20);
    let before = durability(&mut net, later, post.entry);
    assert_eq!((before.peers, before.relays), (0, 0), "it is not said to be safe");
    // The flood goes on, so that what the address may add without work is used up again at once.
    flood(&mut net, attacker, 3_000..5_000);
    let after = durability(&mut net, later, post.entry);
    assert_eq!(after.relays, 1, "{after:?} (seed {})", net.seed);
    assert!(work_sent(&net).iter().all(|bytes| *bytes > 0));
    let account = net.account(later);
    assert!(accounts(&net, relay).contains(&account));
    assert!(accounts(&net, relay).len() <= 60, "the flood is where it was");
}
