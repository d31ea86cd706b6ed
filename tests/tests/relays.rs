//! Real relay processes and native peers: durability, forwarding, catching up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use engine::api::{Command, Query, QueryResult, Timeline};
use protocol::PeerId;
use protocol::messages::Message;
use starling_tests::certificates::Certificates;
use starling_tests::link::{Link, Person};
use starling_tests::network::{key, populate, repair, replicas, restored, states};
use starling_tests::tls::TlsProxy;
use starling_tests::wait::eventually;
use starling_tests::{NativePeer, PeerOptions, Relay, RelayOptions};

async fn relay() -> Result<Relay> {
    Relay::start_with(RelayOptions::default()).await
}

#[tokio::test]
async fn a_relay_forwards_to_followers_and_serves_those_who_were_away() -> Result<()> {
    let relay = relay().await?;
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    bob.follow(ada.me().await?.account).await?;
    ada.link_with(&relay).await?;
    bob.link_with(&relay).await?;
    ada.post("while you watch").await?;
    bob.wait("the live post", |seen| seen.posts == ["while you watch"])
        .await?;
    bob.unlink().await;
    bob.wait("being alone", |seen| seen.status.peers == 0).await?;
    for text in ["one", "two", "three"] {
        ada.post(text).await?;
    }
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    // The author leaves; the relay alone serves.
    drop(ada);
    bob.link_with(&relay).await?;
    bob.wait("what was missed", |seen| seen.posts.len() == 4).await?;
    let texts: Vec<_> = bob
        .timeline(Timeline::Home)
        .await?
        .into_iter()
        .map(|post| post.text)
        .collect();
    assert_eq!(texts, ["three", "two", "one", "while you watch"]);
    Ok(())
}

#[tokio::test]
async fn every_receipted_entry_survives_kill_9_in_the_middle_of_a_thousand_posts() -> Result<()> {
    const POSTS: usize = 1_000;
    let mut relay = relay().await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&relay).await?;
    let mut sent = 0;
    // Kill while it is busy: some receipts are there, some posts are not yet receipted.
    let mut receipted_at_kill = None;
    while sent < POSTS {
        ada.post(&format!("post {sent}")).await?;
        sent += 1;
        if receipted_at_kill.is_none() && sent == POSTS / 2 {
            ada.wait("the first receipts", |seen| {
                seen.status.not_durable < POSTS as u32 / 2
            })
            .await?;
            relay.kill().await?;
            receipted_at_kill = Some(());
        }
    }
    ada.wait("the link's end", |seen| seen.status.peers == 0).await?;
    let account = ada.me().await?.account;
    let posts = ada.timeline(Timeline::User(account)).await?;
    let receipted: Vec<String> = posts
        .iter()
        .filter(|post| post.durability.is_some_and(|durability| durability.relays > 0))
        .map(|post| post.text.clone())
        .collect();
    assert!(!receipted.is_empty(), "the kill came after receipts");
    assert!(receipted.len() < POSTS, "the kill came before the end");

    // The author is gone; a stranger asks the restarted relay for the feed.
    drop(ada);
    relay.restart().await?;
    let bob = NativePeer::person("Bob").await?;
    bob.follow(account).await?;
    bob.link_with(&relay).await?;
    let complete = || async {
        let posts = bob.timeline(Timeline::Home).await.ok()?;
        let held: BTreeSet<String> = posts.into_iter().map(|post| post.text).collect();
        (held.len() >= receipted.len()).then_some(held)
    };
    let held = eventually("everything receipted", Duration::from_secs(30), complete).await?;
    for text in &receipted {
        assert!(held.contains(text), "{text} had a receipt and is gone");
    }
    Ok(())
}

#[tokio::test]
async fn a_restarted_relay_is_refilled_with_what_it_missed() -> Result<()> {
    let mut relay = relay().await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&relay).await?;
    ada.post("before").await?;
    ada.wait("the receipt", |seen| seen.status.not_durable == 0)
        .await?;
    relay.kill().await?;
    ada.wait("the link's end", |seen| seen.status.peers == 0).await?;
    for n in 0..300 {
        ada.post(&format!("alone {n}")).await?;
    }
    ada.wait("they wait", |seen| seen.status.waiting == 300).await?;
    relay.restart().await?;
    ada.link_with(&relay).await?;
    ada.wait("all durable", |seen| {
        seen.status.not_durable == 0 && seen.status.waiting == 0
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_relay_says_why_and_exits_in_order() -> Result<()> {
    let mut relay = relay().await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&relay).await?;
    tokio::time::timeout(Duration::from_secs(30), relay.stop())
        .await
        .context("it takes too long")??;
    ada.wait("the link's end", |seen| seen.status.peers == 0).await?;
    Ok(())
}

/// Invited by the first of these, and told of the others.
fn joining(relays: &[&Relay]) -> RelayOptions {
    let mut args = Vec::new();
    if let Some((first, others)) = relays.split_first() {
        args.extend(first.join().expect("an invitation"));
        for other in others {
            args.extend(["--join".to_owned(), format!("http://{}", other.host())]);
        }
    }
    RelayOptions {
        args,
        ..RelayOptions::default()
    }
}

#[tokio::test]
async fn a_post_reaches_a_follower_at_another_relay_and_what_one_missed_the_other_has() -> Result<()> {
    let mut first = relay().await?;
    let second = Relay::start_with(joining(&[&first])).await?;
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    let account = ada.me().await?.account;
    bob.follow(account).await?;
    ada.link_with(&first).await?;
    bob.link_with(&second).await?;
    ada.post("to all relays").await?;
    bob.wait("the live post", |seen| seen.posts == ["to all relays"])
        .await?;

    // One of them is killed; what is written meanwhile is at the other, and comes over by itself.
    first.kill().await?;
    ada.wait("the link's end", |seen| seen.status.peers == 0).await?;
    ada.link_with(&second).await?;
    ada.post("the first is away").await?;
    ada.wait("the receipt", |seen| seen.status.not_durable == 0)
        .await?;
    drop(ada);
    let mark = second.log().mark();
    first.restart().await?;
    second.log().wait(mark, "\"relay\":true").await?;
    let cleo = NativePeer::person("Cleo").await?;
    cleo.follow(account).await?;
    cleo.link_with(&first).await?;
    cleo.wait("both posts from the one that was away", |seen| {
        seen.posts.len() == 2
    })
    .await
}

#[tokio::test]
async fn a_relay_joins_late_through_one_that_is_not_there_yet() -> Result<()> {
    // The port of a relay that is about to start.
    let mut first = relay().await?;
    first.kill().await?;
    let alone = RelayOptions {
        unready: true,
        ..joining(&[&first])
    };
    let second = Relay::start_with(alone).await?;
    second
        .log()
        .wait(0, "cannot join through this relay; retrying")
        .await?;
    let ada = NativePeer::person("Ada").await?;
    ada.link_with(&second).await?;
    ada.post("early").await?;
    first.restart().await?;
    second.log().wait(0, "\"relay\":true").await?;
    let bob = NativePeer::person("Bob").await?;
    bob.follow(ada.me().await?.account).await?;
    bob.link_with(&first).await?;
    bob.wait("what was written before", |seen| seen.posts == ["early"])
        .await
}

#[tokio::test]
async fn relays_find_each_other_through_any_one_and_notice_who_dies_and_who_returns() -> Result<()> {
    let quick = |mut options: RelayOptions| {
        options
            .args
            .extend(["--heartbeat-ms".to_owned(), "1000".to_owned()]);
        options
    };
    let first = Relay::start_with(quick(RelayOptions::default())).await?;
    let mut second = Relay::start_with(quick(joining(&[&first]))).await?;
    // The third knows the second alone, and gets to know the first.
    let third = Relay::start_with(quick(joining(&[&second]))).await?;
    let all = |state: &str| {
        let others = [first.port(), third.port()].map(|port| (port, "alive".to_owned()));
        let mut all = BTreeMap::from(others);
        all.insert(second.port(), state.to_owned());
        all
    };
    let (alive, dead) = (all("alive"), all("dead"));
    for relay in [&first, &second, &third] {
        let known = async || (states(relay).await.ok()? == alive).then_some(());
        eventually("all know all", Duration::from_secs(20), known).await?;
    }
    // Now the first and the third are linked, and the second is not needed.
    let about = starling_tests::http::get(first.port(), "/api/relay")
        .await?
        .text();
    let about: serde_json::Value = serde_json::from_str(&about)?;
    let name = about["peer"].as_str().context("a name")?;
    third
        .log()
        .wait(0, &format!("\"peer\":\"{name}\",\"relay\":true"))
        .await?;
    let marks = [first.log().mark(), third.log().mark()];
    second.kill().await?;
    for (relay, mark) in [&first, &third].into_iter().zip(marks) {
        let noticed = async || (states(relay).await.ok()? == dead).then_some(());
        eventually("the death is noticed", Duration::from_secs(20), noticed).await?;
        let mut told = relay.log().find(mark, "\"to\":\"suspect\"");
        told.retain(|line| line.contains(&format!(":{}\"", second.port())));
        assert_eq!(told.len(), 1, "suspected once, by {}: {told:?}", relay.port());
    }
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    bob.follow(ada.me().await?.account).await?;
    ada.link_with(&first).await?;
    bob.link_with(&third).await?;
    ada.post("without the second").await?;
    bob.wait("the post", |seen| seen.posts == ["without the second"])
        .await?;

    second.restart().await?;
    for relay in [&first, &second, &third] {
        let known = async || (states(relay).await.ok()? == alive).then_some(());
        eventually("it is back", Duration::from_secs(20), known).await?;
    }
    Ok(())
}

/// Until a relay has said so often that it is there.
async fn beats(relay: &Relay, times: u64) -> Result<()> {
    let own: PeerId = key(relay).await?.parse()?;
    let mut link = Link::open(relay.at(), &Person::new(900_001)).await?;
    let mut first = None;
    loop {
        let Message::Relays(told) = link.next().await? else {
            continue;
        };
        for signed in told
            .relays
            .iter()
            .filter(|signed| signed.description.relay == own)
        {
            let now = signed.description.heartbeat;
            if now >= *first.get_or_insert(now) + times {
                return Ok(());
            }
        }
    }
}

#[tokio::test]
async fn a_closed_network_takes_a_stranger_for_a_guest_whose_receipts_do_not_count() -> Result<()> {
    let quick = |join: &[&Relay]| {
        let mut options = joining(join);
        options.args.extend(["--heartbeat-ms", "1000"].map(str::to_owned));
        options
    };
    // Each is configured with the other's key, which exists since its first start.
    let mut first = Relay::start_with(quick(&[])).await?;
    let mut second = Relay::start_with(quick(&[&first])).await?;
    let keys = [key(&first).await?, key(&second).await?];
    for relay in [&mut first, &mut second] {
        relay.stop().await?;
        relay.also(["--allow-relay".to_owned(), keys.join(",")]);
    }
    // Together: one alone waits for the other before it says that it is ready.
    tokio::try_join!(first.restart(), second.restart())?;
    let members = BTreeMap::from([&first, &second].map(|relay| (relay.port(), "alive".to_owned())));
    for relay in [&first, &second] {
        let known = async || (states(relay).await.ok()? == members).then_some(());
        eventually("they know each other", Duration::from_secs(20), known).await?;
    }

    // It links with both, describes itself there, and sees a network it is in.
    let unready = RelayOptions {
        unready: true,
        ..quick(&[&first, &second])
    };
    let stranger = Relay::start_with(unready).await?;
    let name = key(&stranger).await?;
    for relay in [&first, &second] {
        relay.log().wait(0, &format!("\"peer\":\"{name}\"")).await?;
    }
    // It has no statement of the first one, so the second is no member to it.
    let of_two = async || (states(&stranger).await.ok()?.len() == 2).then_some(());
    eventually("the stranger to see the first", Duration::from_secs(20), of_two).await?;
    let accounts = populate(&[&first, &second], 0..50, 5).await?;
    restored(&[&first, &second], &accounts, 2).await?;
    // Some of its heartbeats later it is no member and has no share. What it asks for it may read, as everybody may.
    beats(&stranger, 3).await?;
    for relay in [&first, &second] {
        assert_eq!(states(relay).await?, members, "it was taken for a member");
        assert_eq!(repair(relay).await?["relays"], 2);
    }
    let members: BTreeSet<String> = keys.iter().cloned().collect();
    for account in accounts.keys() {
        assert_eq!(replicas(&first, *account).await?, members, "it has a share");
    }

    // A person who knows the network, linked with the stranger alone: it takes the posts, signs for them, and that
    // does not count.
    let stays = PeerOptions {
        stays: true,
        ..PeerOptions::default()
    };
    let ada = NativePeer::person_with("Ada", stays).await?;
    ada.link_with(&first).await?;
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    ada.unlink().await;
    ada.wait("being alone", |seen| seen.status.peers == 0).await?;
    ada.post("to a stranger").await?;
    ada.link(&stranger.host(), None).await?;
    ada.wait("the stranger to have it", |seen| {
        seen.status.peers == 1 && seen.status.waiting == 0
    })
    .await?;
    let bob = NativePeer::person("Bob").await?;
    bob.follow(ada.me().await?.account).await?;
    bob.link_with(&stranger).await?;
    bob.wait("the post from there", |seen| seen.posts == ["to a stranger"])
        .await?;
    let seen = ada.watch().borrow().status;
    assert_eq!((seen.relays, seen.not_durable), (0, 1), "its receipt counted");
    ada.link_with(&second).await?;
    ada.wait("a receipt that counts", |seen| seen.status.not_durable == 0)
        .await
}

#[tokio::test]
async fn relays_behind_proxies_that_speak_tls_are_linked_and_one_that_does_not_trust_them_is_not()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::make(folder.path())?;
    let proxies = [
        TlsProxy::start(&certificates).await?,
        TlsProxy::start(&certificates).await?,
    ];
    let authority = certificates.authority.to_str().context("a path")?.to_owned();
    let behind = |proxy: &TlsProxy, join: Option<String>| {
        let mut args = ["--heartbeat-ms", "1000", "--advertise"]
            .map(str::to_owned)
            .to_vec();
        args.push(proxy.url());
        args.extend(join.into_iter().flat_map(|join| ["--join".to_owned(), join]));
        let env = vec![("SSL_CERT_FILE".to_owned(), authority.clone())];
        RelayOptions {
            args,
            env,
            ..RelayOptions::default()
        }
    };
    let first = Relay::start_with(behind(&proxies[0], None)).await?;
    proxies[0].lead_to(first.port());
    // It is not reached any other way than through the proxy.
    let second = Relay::start_with(behind(&proxies[1], Some(first.invitation(&proxies[0].url())?))).await?;
    proxies[1].lead_to(second.port());
    // The third is configured with the second alone, and finds the first at its advertised address. Nobody vouched for
    // that authority to the fourth.
    let third_proxy = TlsProxy::start(&certificates).await?;
    let mistrusts = RelayOptions {
        args: vec!["--join".to_owned(), proxies[0].url()],
        unready: true,
        ..RelayOptions::default()
    };
    let (third, fourth) = tokio::try_join!(
        Relay::start_with(behind(&third_proxy, Some(second.invitation(&proxies[1].url())?))),
        Relay::start_with(mistrusts)
    )?;
    third_proxy.lead_to(third.port());
    for (from, to) in [(&second, &first), (&third, &second), (&third, &first)] {
        let name = key(to).await?;
        from.log()
            .wait(0, &format!("\"peer\":\"{name}\",\"relay\":true"))
            .await?;
    }
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    bob.follow(ada.me().await?.account).await?;
    ada.link_with(&first).await?;
    bob.link_with(&third).await?;
    ada.post("through two proxies").await?;
    bob.wait("the post", |seen| seen.posts == ["through two proxies"])
        .await?;

    fourth
        .log()
        .wait(0, "cannot join through this relay; retrying")
        .await?;
    fourth.log().wait(0, "UnknownIssuer").await?;
    assert!(fourth.log().find(0, "\"relay\":true").is_empty(), "it is linked");

    // The commands that ask such a relay for its status trust the same authorities.
    for (trusts, answers) in [(Some(&authority), true), (None, false)] {
        let mut status = tokio::process::Command::new(starling_tests::relay::program()?);
        status.args(["status", "--at", &proxies[1].url()]);
        status.envs(trusts.map(|authority| ("SSL_CERT_FILE", authority)));
        let said = status.output().await?;
        assert_eq!(said.status.success(), answers, "{said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_relay_that_is_worker_and_index_alone_keeps_feeds_and_names_and_says_what_it_does_not() -> Result<()>
{
    let roles = ["--roles", "worker,index"].map(str::to_owned);
    let relay = Relay::start_with(RelayOptions {
        args: roles.to_vec(),
        ..RelayOptions::default()
    })
    .await?;
    for (path, says) in [
        ("/", "it has not the role web"),
        ("/index.html", "it has not the role web"),
        ("/u/unknown", "it has not the role web"),
        ("/signal", "it has not the role signal"),
    ] {
        let answer = starling_tests::http::get(relay.port(), path).await?;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let network = starling_tests::http::get(relay.port(), "/api/network").await?;
    let network: serde_json::Value = serde_json::from_str(&network.text())?;
    assert_eq!(network[0]["roles"], serde_json::json!(["worker", "index"]));
    for path in ["/api/relay", "/api/repair", "/healthz", "/readyz"] {
        let answer = starling_tests::http::get(relay.port(), path).await?;
        assert_eq!(answer.status, 200, "{path}");
    }

    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    let account = ada.me().await?.account;
    bob.follow(account).await?;
    ada.link_with(&relay).await?;
    bob.link_with(&relay).await?;
    ada.command(Command::ClaimName {
        name: "ada".to_owned(),
    })
    .await?;
    ada.post("to a worker").await?;
    bob.wait("the post", |seen| seen.posts == ["to a worker"]).await?;
    let known = || async {
        match bob.query(Query::Profile { account }).await.ok()? {
            QueryResult::Profile(profile) => (profile.handle == "ada").then_some(()),
            _ => None,
        }
    };
    eventually("her name", Duration::from_secs(30), known).await?;
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await
}
