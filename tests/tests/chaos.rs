//! Networks of relays, of which some die: nothing acknowledged is lost, everybody stays readable and can write, and the copies
//! come back. Each scenario prints what happened when, and proves that the fault took effect.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use engine::api::Timeline;
use futures_util::future::try_join_all;
use starling_tests::link::Person;
use starling_tests::network::{Clock, copies, holds, populate, repair, restored};
use starling_tests::wait::eventually;
use starling_tests::writer::{Backlog, Writer};
use starling_tests::{NativePeer, Relay, RelayOptions, http};

/// Between two heartbeats of a relay.
const HEARTBEAT_MS: u64 = 1_000;

/// Relays in three zones, each told of the first.
async fn relays(n: usize, more: &[&str]) -> Result<Vec<Relay>> {
    let mut relays: Vec<Relay> = Vec::new();
    for n in 0..n {
        let mut args = vec!["--heartbeat-ms".to_owned(), HEARTBEAT_MS.to_string()];
        args.extend([
            "--zone".to_owned(),
            ["cellar", "attic", "garden"][n % 3].to_owned(),
        ]);
        args.extend(["--repair-grace-s".to_owned(), "3".to_owned()]);
        args.extend(["--sockets-per-address-max".to_owned(), "4096".to_owned()]);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        if let Some(first) = relays.first() {
            args.extend(["--join".to_owned(), format!("http://127.0.0.1:{}", first.port())]);
        }
        let options = RelayOptions {
            args,
            ..RelayOptions::default()
        };
        relays.push(Relay::start_with(options).await?);
    }
    let all = relays.len() as u64;
    for relay in &relays {
        let knows = || async { (repair(relay).await.ok()?["relays"] == all).then_some(()) };
        eventually("all to know all", Duration::from_secs(30), knows).await?;
    }
    Ok(relays)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_seven_relays_any_two_die_and_nobody_notices_for_long() -> Result<()> {
    const PEOPLE: u32 = 1_000;
    const POSTS: usize = 5;
    let time = Clock::new();
    let mut relays = relays(7, &[]).await?;
    time.say("seven relays know each other");
    let all: Vec<&Relay> = relays.iter().collect();
    let entries = populate(&all, 0..PEOPLE, POSTS).await?;
    time.say(format!(
        "{PEOPLE} people wrote {POSTS} posts each, all signed for"
    ));
    restored(&all, &entries, 3).await?;
    let before: usize = copies(&all, &entries).await?.values().sum();
    time.say(format!("each has three copies or more, {before} in all"));
    ensure!(before < PEOPLE as usize * 5, "feeds are divided");

    // One of them is the relay all others were told of.
    relays[0].kill().await?;
    relays[4].kill().await?;
    let killed = Instant::now();
    time.say("two relays were killed");
    let living: Vec<&Relay> = [1, 2, 3, 5, 6].map(|n| &relays[n]).to_vec();
    let after = copies(&living, &entries).await?;
    let lost = after.values().filter(|copies| **copies == 0).count();
    let short = after.values().filter(|copies| **copies < 3).count();
    time.say(format!(
        "{short} people have less than three copies left, {lost} none"
    ));
    ensure!(short > 0, "the fault took effect");
    ensure!(lost == 0, "something acknowledged is gone");

    // Readable, by somebody who never saw them, at relays that do not keep them.
    let mut slowest = Duration::ZERO;
    for n in 0..20_u32 {
        let reader = NativePeer::person("Reader").await?;
        reader.link_with(living[n as usize % living.len()]).await?;
        let account = Person::new(n * 47 % PEOPLE).account;
        let asked = Instant::now();
        holds(&reader, account, POSTS as u64 + 1).await?;
        slowest = slowest.max(asked.elapsed());
    }
    time.say(format!("twenty people were read, the slowest in {slowest:?}"));
    // The figure is printed; a busy machine is no fault.
    ensure!(slowest < Duration::from_secs(10), "{slowest:?}");

    // Writable, by those whose relay is dead.
    let writing = (0..50_u32).map(|n| {
        let (relay, person) = (living[n as usize % living.len()], n * 7);
        async move {
            let mut writer = Writer::link(relay, Backlog::new(person, POSTS + 5, "hello")).await?;
            writer.write_all(16).await
        }
    });
    try_join_all(writing).await?;
    let wrote = killed.elapsed();
    time.say(format!(
        "fifty people of the first dead relay have written on, {wrote:?} after the kill"
    ));
    let within = Duration::from_millis(2 * HEARTBEAT_MS) + Duration::from_secs(25);
    ensure!(wrote < within, "{wrote:?}");

    restored(&living, &entries, 3).await?;
    time.say("everybody has three copies again");
    ensure!(
        relays[0].pid().is_none() && relays[4].pid().is_none(),
        "they are still dead"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_away_is_ready_when_it_has_what_it_missed_and_takes_no_more() -> Result<()> {
    const MISSED: usize = 10_000;
    let time = Clock::new();
    let mut relays = relays(3, &[]).await?;
    let all: Vec<&Relay> = relays.iter().collect();
    let before = populate(&all, 0..200, 50).await?;
    restored(&all, &before, 3).await?;
    time.say("three relays hold 10,000 posts each");
    relays[2].kill().await?;
    let metrics = free_port()?;
    relays[2].also(["--metrics-listen".to_owned(), format!("127.0.0.1:{metrics}")]);
    let living: Vec<&Relay> = relays[..2].iter().collect();
    let missed = populate(&living, 1_000..1_000 + (MISSED / 100) as u32, 100).await?;
    time.say(format!("one was killed, {MISSED} posts were written meanwhile"));
    let mark = relays[2].log().mark();
    // `restart` waits until it says that it is ready.
    relays[2].restart().await?;
    let at_once = copies(&[&relays[2]], &missed).await?;
    ensure!(
        at_once.values().all(|copies| *copies == 1),
        "ready before it had caught up"
    );
    relays[2]
        .log()
        .wait(mark, "this relay has caught up with the others")
        .await?;
    let bytes = received(metrics).await?;
    time.say(format!(
        "it is back and ready; {bytes} bytes came in, {:.0} for each missed post",
        bytes as f64 / MISSED as f64
    ));
    // A post of this kind is about 300 bytes on the wire; what it had is compared, not sent.
    ensure!(bytes < MISSED as u64 * 450 + 200_000, "{bytes} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_relay_is_refilled_by_others_and_all_wiped_ones_by_people() -> Result<()> {
    let time = Clock::new();
    let mut relays = relays(3, &[]).await?;
    let all: Vec<&Relay> = relays.iter().collect();
    let entries = populate(&all, 0..100, 20).await?;
    let ada = NativePeer::person("Ada").await?;
    let bob = NativePeer::person("Bob").await?;
    let account = ada.me().await?.account;
    bob.follow(account).await?;
    ada.link_with(&relays[0]).await?;
    for n in 0..411 {
        ada.post(&format!("post {n}")).await?;
    }
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    bob.link_with(&relays[1]).await?;
    holds(&bob, account, 413).await?;
    restored(&all, &entries, 3).await?;
    time.say("three relays hold everything");

    relays[1].kill().await?;
    wipe(&relays[1])?;
    relays[1].restart().await?;
    let refilled = copies(&[&relays[1]], &entries).await?;
    ensure!(
        refilled.values().all(|copies| *copies == 1),
        "ready before it was refilled"
    );
    time.say("one was wiped, and refilled by the others before it was ready");

    // The author is gone for good; a follower is there, and turns to whatever relay comes back.
    drop(ada);
    for relay in &mut relays {
        relay.kill().await?;
        wipe(relay)?;
    }
    for relay in &mut relays {
        relay.restart().await?;
    }
    let forgotten = copies(&[&relays[0]], &entries).await?;
    ensure!(
        forgotten.values().all(|copies| *copies == 0),
        "the fault took effect"
    );
    time.say("all were wiped: what nobody else has is gone");
    bob.link_with(&relays[0]).await?;
    let cleo = NativePeer::person("Cleo").await?;
    cleo.follow(account).await?;
    cleo.link_with(&relays[2]).await?;
    holds(&cleo, account, 413).await?;
    let texts = cleo.timeline(Timeline::User(account)).await?;
    ensure!(texts.len() == 411 && texts[0].text == "post 410");
    time.say("a follower refilled them with the author's feed, and a stranger read all of it");
    Ok(())
}

/// Bytes that came in over all links since the relay was started.
async fn received(metrics: u16) -> Result<u64> {
    let text = http::get(metrics, "/metrics").await?.text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("starling_received_bytes_total "));
    Ok(line.with_context(|| text.clone())?.parse()?)
}

/// A port nobody has right now.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_emptied_before_it_is_taken_away_for_good() -> Result<()> {
    let time = Clock::new();
    let mut relays = relays(4, &[]).await?;
    let all: Vec<&Relay> = relays.iter().collect();
    let entries = populate(&all, 0..100, 20).await?;
    restored(&all, &entries, 3).await?;
    let leaver = &relays[3];
    let held = copies(&[leaver], &entries).await?.values().sum::<usize>();
    ensure!(held > 20, "it has a share: {held}");
    let drained = tokio::process::Command::new(starling_tests::relay::program()?)
        .arg("drain")
        .args(["--listen", &format!("127.0.0.1:{}", leaver.port())])
        .arg("--data-dir")
        .arg(leaver.data_dir())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&drained.stdout).into_owned();
    time.say(said.trim().replace('\n', "; "));
    ensure!(
        drained.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&drained.stderr)
    );
    ensure!(said.contains("0 feeds are left"), "{said}");
    // At once, with nobody noticing first.
    relays[3].kill().await?;
    let rest: Vec<&Relay> = relays[..3].iter().collect();
    let copies = copies(&rest, &entries).await?;
    ensure!(
        copies.values().all(|copies| *copies == 3),
        "the others have everything"
    );
    time.say("it was taken away, and everybody has three copies");
    Ok(())
}

/// Everything but the key.
fn wipe(relay: &Relay) -> Result<()> {
    for entry in std::fs::read_dir(relay.data_dir())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_relays_are_restarted_one_after_the_other_under_somebody_who_posts() -> Result<()> {
    let time = Clock::new();
    let mut relays = relays(4, &[]).await?;
    let ada = NativePeer::person("Ada").await?;
    let account = ada.me().await?.account;
    ada.link_with(&relays[0]).await?;
    ada.wait("a second relay", |seen| seen.status.relays >= 2).await?;
    time.say("somebody is linked with two of four relays");
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let posting = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut posts = 0_usize;
        while stopped.try_recv().is_err() {
            ticks.tick().await;
            ada.post(&format!("post {posts}")).await?;
            posts += 1;
        }
        anyhow::Ok((ada, posts))
    });
    for (n, relay) in relays.iter_mut().enumerate() {
        relay.stop().await?;
        ensure!(!relay.is_running(), "it was stopped");
        time.say(format!("relay {n} has stopped"));
        relay.restart().await?;
        time.say(format!("relay {n} is ready again"));
    }
    // Whoever posts is done.
    let _ = stop.send(());
    let (ada, posts) = posting.await??;
    ada.wait("all receipts", |seen| seen.status.not_durable == 0)
        .await?;
    time.say(format!(
        "{posts} posts were written meanwhile, without an error, and all are signed for"
    ));
    drop(ada);
    let bob = NativePeer::person("Bob").await?;
    bob.follow(account).await?;
    bob.link_with(&relays[3]).await?;
    holds(&bob, account, posts as u64 + 2).await?;
    let texts: Vec<String> = bob
        .timeline(Timeline::User(account))
        .await?
        .into_iter()
        .map(|post| post.text)
        .collect();
    let expected: Vec<String> = (0..posts).rev().map(|n| format!("post {n}")).collect();
    ensure!(texts == expected, "all of them, in order");
    time.say("a stranger reads all of them, in order");
    Ok(())
}
