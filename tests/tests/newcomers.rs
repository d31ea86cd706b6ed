//! Newcomers: at a relay to which more accounts come than it takes without work, and with apps of two versions.

use std::net::{IpAddr, TcpListener};

use anyhow::{Result, ensure};
use protocol::Entry;
use protocol::link::handshake::feature;
use protocol::messages::overlay::{Request, Wish};
use protocol::messages::{Entries, Message, Push, Quota, WorkDone};
use protocol::work::Puzzle;
use starling_tests::link::{Identity, Link, Person};
use starling_tests::writer::feed;
use starling_tests::{Relay, RelayOptions, http};

/// The first entry of the `n`th person.
fn first(n: u32) -> Entry {
    feed(n, 0, "").swap_remove(0).entry().clone()
}

/// The device of the `n`th person becomes a neighbour and sends the first entry.
async fn come(relay: &Relay, n: u32, features: u64, client: IpAddr) -> Result<Link> {
    let identity = Identity {
        features,
        ..Identity::from(&Person::new(n))
    };
    let mut link = Link::prove_as(relay.at(), &identity, Some(client)).await?;
    link.send(&Message::Request(Request::alone(Wish::Join))).await?;
    let push = Push {
        hops: 1,
        tree: 0,
        entry: first(n),
    };
    link.send(&Message::Push(push)).await?;
    Ok(link)
}

/// The first message of a link that this takes.
async fn receive<T>(link: &mut Link, take: impl Fn(Message) -> Option<T>) -> Result<T> {
    loop {
        if let Some(taken) = take(link.next().await?) {
            return Ok(taken);
        }
    }
}

async fn receipt(link: &mut Link) -> Result<()> {
    let is_receipt = |message| matches!(message, Message::Receipt(_)).then_some(());
    receive(link, is_receipt).await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_accounts_come_than_expected_a_newcomer_works_and_an_older_app_hears_that_it_waits()
-> Result<()> {
    // A port that nobody has right now.
    let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let relay = Relay::start_with(RelayOptions {
        args: vec![
            "--new-accounts-per-minute=1".to_owned(),
            format!("--metrics-listen={metrics}"),
        ],
        ..RelayOptions::default()
    })
    .await?;
    let client: IpAddr = "203.0.113.7".parse()?;
    receipt(&mut come(&relay, 1, feature::WORK, client).await?).await?;
    let mut older = come(&relay, 2, 0, client).await?;
    let exceeded = receive(&mut older, |message| match message {
        Message::QuotaExceeded(exceeded) => Some(exceeded),
        _ => None,
    });
    let exceeded = exceeded.await?;
    ensure!(exceeded.quota == Quota::AddressAccounts, "{exceeded:?}");
    let mut link = come(&relay, 3, feature::WORK, client).await?;
    let required = receive(&mut link, |message| match message {
        Message::WorkRequired(required) => Some(required),
        _ => None,
    });
    let required = required.await?;
    ensure!((12..=20).contains(&required.bits), "{required:?}");
    let (bits, challenge) = (required.bits, required.challenge);
    let puzzle = Puzzle::new(&link.relay, &Person::new(3).account, &challenge, bits);
    let mut nonce = 0;
    while !puzzle.seek(&mut nonce, 10_000) {}
    let done = WorkDone {
        bits,
        challenge,
        nonce,
    };
    link.send(&Message::WorkDone(done)).await?;
    let want = receive(&mut link, |message| match message {
        Message::Want(want) => Some(want),
        _ => None,
    });
    let entries = Entries {
        request: want.await?.request,
        entries: vec![first(3)],
    };
    link.send(&Message::Entries(entries)).await?;
    receipt(&mut link).await?;
    let metrics = http::get(metrics.port(), "/metrics").await?.text();
    for line in [
        "starling_new_account_work_total{state=\"asked\"} 1",
        "starling_new_account_work_total{state=\"proven\"} 1",
    ] {
        ensure!(metrics.contains(line), "{metrics}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_of_this_version_and_of_an_earlier_one_find_an_account_by_the_salt_they_use() -> Result<()> {
    let relay = Relay::start_with(RelayOptions::default()).await?;
    let client: IpAddr = "203.0.113.7".parse()?;
    let account = Person::new(1).account;
    receipt(&mut come(&relay, 1, 0, client).await?).await?;
    for (n, features) in [(2, 0), (3, feature::RELAY_SALT)] {
        let mut link = come(&relay, n, features, client).await?;
        let held = link.holds(&[account]).await?;
        ensure!(held.get(&account) == Some(&1), "{features}: {held:?}");
    }
    Ok(())
}
