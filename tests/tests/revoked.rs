//! A device that its account revoked, at a relay that decides on names and does not keep the account's feeds.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use protocol::entry::Position;
use protocol::kinds::{Body, Certificate, Revocation};
use protocol::messages::{Message, Push};
use protocol::names::{NameAction, NameAnswer, NameQuestion};
use protocol::{AccountId, DeviceId, EntryId, KeyPair, VerifiedEntry};
use starling_tests::link::{Link, Person, WRITTEN, ask_registry, name_request};
use starling_tests::network::{held, states};
use starling_tests::wait::eventually;
use starling_tests::{Relay, RelayOptions};

const WITHIN: Duration = Duration::from_secs(30);
const NAME: &str = "ada-bird";

async fn relay(args: &[&str], join: &[String]) -> Result<Relay> {
    let args = ["--heartbeat-ms", "500"].iter().chain(args);
    let args = args.map(|arg| (*arg).to_owned()).chain(join.iter().cloned());
    let options = RelayOptions {
        args: args.collect(),
        ..RelayOptions::default()
    };
    Relay::start_with(options).await
}

/// A device of the account with this key.
fn device_of(account: &KeyPair, n: u8) -> Person {
    let device = KeyPair::from_seed(&[n; 32]);
    let certificate = Certificate::issue(account, DeviceId(device.public()), "test".into(), WRITTEN);
    Person {
        account: AccountId(account.public()),
        device,
        certificate,
    }
}

/// A device's feed: its certificate, then the revocation of another device of the account.
fn feed_with(account: &KeyPair, device: &Person, revoked: &Person) -> Vec<VerifiedEntry> {
    let certificate = Body::Certificate(device.certificate.clone());
    let first = VerifiedEntry::create(
        &device.device,
        Position {
            seq: 0,
            prev: EntryId::default(),
            lamport: 1,
        },
        device.account,
        WRITTEN,
        &certificate,
    );
    let revoked = DeviceId(revoked.device.public());
    let revocation = Revocation::issue(account, revoked, 0, EntryId::default(), WRITTEN);
    let second = VerifiedEntry::create(
        &device.device,
        Position {
            seq: 1,
            prev: first.id(),
            lamport: 2,
        },
        device.account,
        WRITTEN,
        &Body::Revocation(revocation),
    );
    vec![first, second]
}

async fn ask(at: &Relay, person: &Person, question: NameQuestion) -> Result<NameAnswer> {
    ask_registry(at.at(), person, question).await
}

fn asks(person: &Person, action: NameAction, nonce: u8, known: u64) -> NameQuestion {
    name_request(person, NAME, action, nonce, known)
}

fn revision_of(answer: NameAnswer, owner: &Person) -> Result<u64> {
    match answer {
        NameAnswer::Held(receipt) if receipt.account == owner.account => Ok(receipt.revision),
        other => bail!("not held by its owner: {other:?}"),
    }
}

#[tokio::test]
async fn a_revoked_device_cannot_offer_its_accounts_name_at_an_index_relay_without_the_feed() -> Result<()> {
    let index = relay(&["--roles", "index,web,signal"], &[]).await?;
    let mut keepers = Vec::new();
    for _ in 0..2 {
        keepers.push(relay(&["--roles", "worker,web"], &index.join()?).await?);
    }
    let is_complete = async || (states(&index).await.ok()?.len() == 3).then_some(());
    eventually("three members", WITHIN, is_complete).await?;

    let account = KeyPair::from_seed(&[0xa1; 32]);
    let (ada, stolen) = (device_of(&account, 0xa2), device_of(&account, 0xa3));
    let (thief, bob) = (Person::new(1), Person::new(2));
    let mut link = Link::open(keepers[0].at(), &ada).await?;
    for entry in feed_with(&account, &ada, &stolen) {
        let entry = entry.entry().clone();
        link.send(&Message::Push(Push {
            hops: 1,
            tree: 0,
            entry,
        }))
        .await?;
    }
    for keeper in &keepers {
        let keeps = async || {
            let entries = held(keeper, &[ada.account]).await.ok()?;
            (entries.get(&ada.account) == Some(&2)).then_some(())
        };
        eventually("both to keep the revocation", WITHIN, keeps).await?;
    }
    drop(link);
    let claimed = ask(&keepers[0], &ada, asks(&ada, NameAction::Claim, 1, 0)).await?;
    let known = revision_of(claimed, &ada)?;
    let at_index = held(&index, &[ada.account]).await?;
    ensure!(
        at_index.is_empty(),
        "the index relay keeps no feeds: {at_index:?}"
    );

    let to = |to: &Person| NameAction::Offer { to: Some(to.account) };
    let answer = ask(&index, &stolen, asks(&stolen, to(&thief), 2, known)).await?;
    ensure!(answer == NameAnswer::NotYours, "a stolen device: {answer:?}");
    let answer = ask(&index, &thief, asks(&thief, NameAction::Claim, 3, known)).await?;
    ensure!(answer == NameAnswer::Taken, "it was not offered: {answer:?}");
    let lookup = NameQuestion::Lookup {
        slug: false,
        name: NAME.to_owned(),
    };
    let kept = ask(&index, &thief, lookup).await?;
    let known = revision_of(kept, &ada).context("the name stays")?;

    let offered = ask(&index, &ada, asks(&ada, to(&bob), 4, known)).await?;
    let known = revision_of(offered, &ada)?;
    let accepted = ask(&index, &bob, asks(&bob, NameAction::Claim, 5, known)).await?;
    revision_of(accepted, &bob).context("an honest offer")?;
    Ok(())
}
