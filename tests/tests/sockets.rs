//! Sockets of strangers: those that are only held open keep nobody out, and however many there are, the relay says how it
//! is and its store works.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use starling_tests::link::{Link, Person, connect};
use starling_tests::network::Clock;
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::{NativePeer, Relay, RelayOptions, http};
use tokio::net::TcpStream;

/// Sockets that are held open.
const SILENT: usize = 64;
/// People who come while they are, from the same address.
const NEWCOMERS: u32 = 40;

/// Whether a person becomes a neighbour of the relay: it answers a question, which it does for neighbours alone.
async fn is_served(relay: &Relay, person: u32, client: IpAddr) -> Result<Link> {
    let person = Person::new(person);
    let mut link = Link::open_from(relay.at(), &person, Some(client)).await?;
    link.holds(&[person.account]).await?;
    Ok(link)
}

async fn newcomers_are_served(relay: &Relay, first: u32, client: IpAddr) -> Result<()> {
    let mut links = Vec::new();
    for n in 0..NEWCOMERS {
        let served = is_served(relay, first + n, client).await;
        links.push(served.with_context(|| format!("newcomer {n} from {client}"))?);
    }
    // Nobody who came in has to go for another.
    for (n, link) in links.iter_mut().enumerate() {
        let own = Person::new(first + u32::try_from(n)?).account;
        link.holds(&[own]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_keep_no_newcomer_of_their_address_out() -> Result<()> {
    let relay = Relay::start_with(RelayOptions::default()).await?;
    for (round, client) in ["203.0.113.7", "2001:db8::1"].into_iter().enumerate() {
        let client: IpAddr = client.parse()?;
        // Half of them prove a key, which costs little, and ask for nothing.
        let mut silent = Vec::new();
        for _ in 0..SILENT / 2 {
            silent.push(connect(relay.at(), Some(client)).await?);
        }
        let mut silent = Vec::new();
        for n in 0..SILENT / 2 {
            let stranger = Person::new(1_000 * (1 + u32::try_from(round)?) + u32::try_from(n)?);
            silent.push(Link::prove(relay.at(), &stranger, Some(client)).await?);
        }
        let began = Instant::now();
        newcomers_are_served(&relay, 10_000 * (1 + u32::try_from(round)?), client).await?;
        eprintln!(
            "{NEWCOMERS} newcomers of {client} were served in {:?}",
            began.elapsed()
        );
        ensure!(
            began.elapsed() < Duration::from_secs(9),
            "the silent ones would be closed by then in any case"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_few_files_allowed_health_is_answered_the_store_works_and_links_come_back() -> Result<()> {
    let time = Clock::new();
    let options = RelayOptions {
        open_files: Some(256),
        ..RelayOptions::default()
    };
    let mut relay = Relay::start_with(options).await?;
    time.say(relay.log().wait(0, "limit of open files").await?);
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&relay).await?;
    ada.post("before").await?;
    ada.wait("a receipt", |seen| seen.status.not_durable == 0).await?;
    let mark = relay.log().mark();
    time.say("a post is on the disk");

    // 300 that say nothing, then 300 that are neighbours as far as there is room for them.
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(relay.address()).await?);
    }
    time.say("300 sockets are open and silent");
    ensure!(http::get(relay.at(), "/healthz").await?.status == 200);
    time.say("health is answered beside them");
    let newcomer = Person::new(1);
    let mut link = Link::open(relay.at(), &newcomer)
        .await
        .context("beside silent sockets")?;
    link.holds(&[newcomer.account]).await?;
    let (mut links, mut refused) = (vec![link], 0);
    for n in 2..300 {
        match Link::open(relay.at(), &Person::new(n)).await {
            Ok(link) => links.push(link),
            Err(_) => refused += 1,
        }
    }
    let held: Vec<_> = join_all((0..100).map(|_| TcpStream::connect(relay.address()))).await;
    time.say(format!("{} neighbours, {refused} refused", links.len()));
    ensure!(links.len() >= 50 && refused > 100, "the bound lies between");
    for path in ["/healthz", "/readyz"] {
        let answer = http::get(relay.at(), path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
    }
    ada.post("meanwhile").await?;
    ada.wait("a receipt", |seen| seen.status.not_durable == 0).await?;
    time.say("health is answered and posts are stored beside neighbours");

    drop((silent, links, held));
    let back = || async {
        let person = Person::new(1_000);
        let mut link = Link::open(relay.at(), &person).await.ok()?;
        link.holds(&[person.account]).await.ok()
    };
    eventually("links to come back", DEADLINE, back).await?;
    ensure!(
        relay.log().find(mark, "not writable").is_empty(),
        "the store failed"
    );
    ensure!(relay.is_running());
    Ok(())
}
