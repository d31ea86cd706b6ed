use protocol::kinds::Kind;
use protocol::messages::Message;
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::{AccountId, Timestamp};

use super::Person;
use super::commands::Done;
use super::testing::{Device, writes};
use super::tokens::TOKENS_MAX;
use super::transient_interests::TRANSIENT_INTERESTS_MAX;
use crate::api::{Command, CommandResult, Error, Event};
use crate::facts::Fact;
use crate::io::{LinkId, Output};
use crate::kinds::testing::Author;
use crate::log::records::meta;
use crate::store::{Op, Table};
use crate::testing::{Node, Remote, spoil};

// Identity.

#[test]
fn an_account_begins_with_its_identity_certificate_and_profile_in_one_batch() {
    let mut device = Device::fresh();
    let created = device.create();
    assert!(
        matches!(created, Ok(Done::CommandResult(CommandResult::Account(_)))),
        "{created:?}"
    );
    device.node.log.flush(&mut device.node.ctx);
    let ops = device.node.flush();
    let identity = ops
        .iter()
        .any(|op| matches!(op, Op::Put { table: Table::Meta, key, .. } if key == meta::IDENTITY));
    assert!(identity);
    assert_eq!(writes(&ops, Table::Entries), 2);
    let kinds: Vec<_> = device
        .own_entries()
        .iter()
        .map(|entry| entry.header().kind)
        .collect();
    assert_eq!(kinds, [Kind::CERTIFICATE, Kind::PROFILE]);
    assert_eq!(device.create().err(), Some(Error::HasAccount));
}

#[test]
fn the_identity_is_the_same_after_a_restart_and_the_phrase_goes_with_its_confirmation() {
    let mut device = Device::new();
    let words = device.person.phrase().expect("not confirmed yet");
    assert_eq!(words.len(), 24);
    let again = |device: &Device| {
        let mut other = Device::fresh();
        for (key, row) in device.node.store.rows(Table::Meta) {
            let Node { ctx, net, .. } = &mut other.node;
            let restored = other.person.restore_row(ctx, net, Table::Meta, &key, &row);
            assert!(restored.is_some());
        }
        assert_eq!(other.node.ctx.device(), device.node.ctx.device());
        assert_eq!(other.node.ctx.me(), device.node.ctx.me());
        other.person.phrase()
    };
    assert_eq!(again(&device), Some(words));
    device.command(Command::ConfirmPhrase).expect("confirmed");
    device.node.flush();
    assert_eq!(again(&device), None);
}

// Tokens.

#[test]
fn a_token_is_stored_in_the_batch_of_its_post_and_makes_no_second_one() {
    let mut device = Device::new();
    let first = device.publish(1).expect("published");
    let ops = device.node.flush();
    assert_eq!(
        (writes(&ops, Table::Entries), writes(&ops, Table::Tokens)),
        (1, 1)
    );
    let again = device.publish(1).expect("published before");
    assert_eq!((again.entry, again.seq), (first.entry, first.seq));
    assert!(device.node.flush().is_empty());
    let other = device.publish(2).expect("published");
    assert_ne!(other.entry, first.entry);
}

#[test]
fn a_token_is_remembered_after_a_restart() {
    let mut device = Device::new();
    let first = device.publish(1).expect("published");
    device.node.flush();
    device.person.tokens = super::Tokens::default();
    for (key, row) in device.node.store.rows(Table::Tokens) {
        assert!(device.person.tokens.restore(&key, &row).is_some());
    }
    assert_eq!(device.publish(1).map(|post| post.entry), Ok(first.entry));
}

#[test]
fn the_token_of_the_oldest_post_is_forgotten_first() {
    let mut device = Device::new();
    let most = TOKENS_MAX as u16;
    let first = device.publish(0).expect("published");
    for token in 1..most {
        device.publish(token).expect("published");
    }
    assert_eq!(device.publish(0).map(|post| post.entry), Ok(first.entry));
    let second = device.publish(most).expect("published");
    device.node.flush();
    assert_eq!(device.node.store.len(Table::Tokens), TOKENS_MAX);
    assert_ne!(device.publish(0).map(|post| post.entry), Ok(first.entry));
    assert_eq!(device.publish(most).map(|post| post.entry), Ok(second.entry));
}

// Transient interests.

#[test]
fn a_visit_is_an_interest_until_too_many_came_after_it() {
    let mut device = Device::new();
    let account = |n: usize| AccountId([n as u8 + 1; 32]);
    let visit = |device: &mut Device, n| {
        let ctx = &device.node.ctx;
        device.person.visit(ctx, account(n), |_| false)
    };
    assert_eq!(visit(&mut device, 0), [(account(0), true)]);
    assert!(device.person.wants_unfollowed(&account(0)));
    assert_eq!(visit(&mut device, 0), [], "looked at again");
    for n in 1..TRANSIENT_INTERESTS_MAX {
        assert_eq!(visit(&mut device, n), [(account(n), true)]);
    }
    let over = visit(&mut device, TRANSIENT_INTERESTS_MAX);
    assert_eq!(
        over,
        [(account(TRANSIENT_INTERESTS_MAX), true), (account(0), false)]
    );
    assert!(!device.person.wants_unfollowed(&account(0)));
}

#[test]
fn a_visit_to_oneself_or_to_a_followed_person_changes_no_interest() {
    let mut device = Device::new();
    let me = device.node.ctx.me().expect("an account");
    let followed = AccountId([3; 32]);
    let Device { node, person } = &mut device;
    assert_eq!(person.visit(&node.ctx, me, |_| false), []);
    assert_eq!(
        person.visit(&node.ctx, followed, |account| *account == followed),
        []
    );
    assert!(!person.wants_unfollowed(&followed));
}

// Receipts.

/// A device, a relay that it knows, one that it does not know, and the links to both.
fn with_relays() -> (Device, Remote, Remote, [LinkId; 2]) {
    let mut device = Device::new();
    let (known, stranger) = (Remote::relay(20), Remote::relay(21));
    let links = [device.node.link_known(&known), device.node.link(&stranger)];
    (device, known, stranger, links)
}

/// How often neighbours broke the protocol since this was last asked.
fn misbehaved(device: &mut Device) -> usize {
    let facts = device.node.facts();
    facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Misbehaved { .. }))
        .count()
}

#[test]
fn a_receipt_counts_as_that_of_a_relay_only_if_this_device_knows_the_signer() {
    let (mut device, known, stranger, links) = with_relays();
    let own = device.node.ctx.device().expect("a device");
    let (next_seq, head) = device.node.log.feeds.get(&own).expect("held").shared();
    let receipt =
        |signer: &Remote| Receipt::issue(&signer.key, own, next_seq, head, device.node.ctx.now.wall);
    let (mut forged, of_stranger, of_known) = (receipt(&known), receipt(&stranger), receipt(&known));
    spoil(&mut forged.signature);
    let mut take = |link, receipt: &Receipt| {
        let Node {
            ctx,
            net,
            log,
            directory,
            ..
        } = &mut device.node;
        device.person.on_receipt(ctx, net, log, directory, link, receipt);
        let durability = log.durability(&own, 0, 0);
        (durability.relays, durability.peers)
    };
    assert_eq!(take(links[0], &forged), (0, 0));
    assert_eq!(take(links[1], &of_stranger), (0, 1));
    assert_eq!(
        take(links[1], &of_known),
        (0, 1),
        "not sent by its signer, nor by a known relay"
    );
    assert_eq!(take(links[0], &of_known), (1, 1));
    assert_eq!(misbehaved(&mut device), 1);
}

#[test]
fn a_withdrawal_takes_the_relay_out_of_the_holders_over_any_link() {
    let (mut device, known, stranger, links) = with_relays();
    let own = device.node.ctx.device().expect("a device");
    let (next_seq, head) = device.node.log.feeds.get(&own).expect("held").shared();
    let receipt = |signer: &Remote, at| Receipt::issue(&signer.key, own, next_seq, head, Timestamp(at));
    let withdrawal =
        |signer: &Remote, at| Withdrawal::issue(&signer.key, own, 0, Timestamp(at), Reason::REMOVED);
    let mut forged = withdrawal(&known, 50);
    spoil(&mut forged.signature);
    let mut take = |link, message: Message| {
        let Node {
            ctx,
            net,
            log,
            directory,
            ..
        } = &mut device.node;
        match message {
            Message::Receipt(receipt) => {
                device.person.on_receipt(ctx, net, log, directory, link, &receipt);
            }
            Message::Withdrawal(withdrawal) => {
                Person::on_withdrawal(ctx, net, log, directory, link, &withdrawal);
            }
            other => panic!("{other:?}"),
        }
        log.durability(&own, 0, 0).relays
    };
    assert_eq!(take(links[0], Message::Receipt(receipt(&known, 50))), 1);
    assert_eq!(take(links[0], Message::Withdrawal(forged)), 1);
    assert_eq!(
        take(links[1], Message::Withdrawal(withdrawal(&known, 49))),
        1,
        "older"
    );
    assert_eq!(take(links[1], Message::Withdrawal(withdrawal(&known, 51))), 0);
    assert_eq!(take(links[1], Message::Withdrawal(withdrawal(&stranger, 51))), 0);
    assert_eq!(take(links[0], Message::Receipt(receipt(&known, 51))), 0, "older");
    assert_eq!(take(links[0], Message::Receipt(receipt(&known, 52))), 1);
    assert_eq!(misbehaved(&mut device), 1);
    let told = device.node.outputs().into_iter();
    let told = told.filter_map(|output| match output {
        Output::Event(Event::NotKept { relay, reason, .. }) => Some((relay, reason)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [(known.id(), Reason::REMOVED)]);
}

#[test]
fn a_device_wants_itself_and_whom_it_follows() {
    let mut device = Device::new();
    let me = device.node.ctx.me().expect("an account");
    assert!(device.person.wants_unfollowed(&me));
    assert!(!device.person.wants_unfollowed(&Author::new(2).account()));
    device.person.claims.offered = Some(Author::new(2).account());
    assert!(
        device.person.wants_unfollowed(&Author::new(2).account()),
        "its name is offered"
    );
}
