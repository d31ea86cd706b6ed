//! A relay whose disk is full: nothing is acknowledged that is not on the disk, reading and looking up go on, and with
//! room again it goes on by itself. The disk is a real file system, small and in memory.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use engine::api::{Command, Timeline};
use protocol::link::frame;
use protocol::messages::{Message, Ping, Push};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest};
use starling_tests::link::{Link, Person, ask_registry};
use starling_tests::namespace::{self, Namespace};
use starling_tests::network::Clock;
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::writer::{Backlog, Writer, feed};
use starling_tests::{NativePeer, Relay, RelayOptions, http};

/// Room for the store, the journals it has at most included, the registry, and little more.
const DISK: &str = "size=320m";
/// Room nobody else can have.
const BALLAST: &str = "ballast";
/// People who write at once on a full disk, and how much each of them: more than a store's queue holds.
const FLOOD: u32 = 40;
const POSTS: usize = 200;
/// A store that fails is tried again every five seconds at least.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// Takes all the room that is left.
fn fill(disk: &Path) -> Result<PathBuf> {
    let path = disk.join(BALLAST);
    let mut ballast = File::create(&path)?;
    loop {
        match ballast.write(&[7; 4_096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(path),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the disk takes one byte more.
fn is_full(disk: &Path) -> bool {
    let path = disk.join("probe");
    let written = std::fs::write(&path, [7; 4_096]);
    let _ = std::fs::remove_file(path);
    written.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
}

/// Asks about names, once.
async fn ask(relay: &Relay, by: &Person, question: NameQuestion) -> Result<NameAnswer> {
    ask_registry(relay.at(), by, question).await
}

/// People claim until one is refused: the last page of a file has some room. Who was given what, and who was refused.
async fn claim_until_refused(relay: &Relay, first: u32) -> Result<(Vec<(Person, NameReceipt)>, Person)> {
    let mut given = Vec::new();
    loop {
        let person = Person::new(first + u32::try_from(given.len())?);
        match ask(relay, &person, claim_by(&person)).await? {
            NameAnswer::Held(receipt) => given.push((person, receipt)),
            NameAnswer::Unavailable => return Ok((given, person)),
            other => anyhow::bail!("claimed while full: {other:?}"),
        }
    }
}

/// Everybody wants the name that begins with the key of the account.
fn claim_by(person: &Person) -> NameQuestion {
    let letters = person.account.0[..12].iter();
    let name: String = letters
        .map(|byte| char::from(b"abcdefghjknpqrst"[usize::from(byte & 15)]))
        .collect();
    NameQuestion::Request(NameRequest::issue(
        &person.device,
        person.certificate.clone(),
        name,
        None,
        NameAction::Claim,
        [7; 16],
        0,
    ))
}

async fn texts(reader: &NativePeer) -> Option<Vec<String>> {
    let posts = reader.timeline(Timeline::Home).await.ok()?;
    Some(posts.into_iter().rev().map(|post| post.text).collect())
}

/// A relay whose data folder is on a disk of its own, that a test can fill; to be called in a namespace of mounts.
async fn relay_on_small_disk(args: [&str; 2]) -> Result<(tempfile::TempDir, Relay)> {
    let disk = tempfile::tempdir()?;
    let mounted = process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
        .arg(disk.path())
        .status()?;
    ensure!(mounted.success(), "no file system could be mounted");
    let options = RelayOptions {
        data_in: Some(disk.path().to_owned()),
        args: args.map(str::to_owned).to_vec(),
        ..RelayOptions::default()
    };
    Ok((disk, Relay::start_with(options).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_goes_on_by_itself_when_there_is_room() -> Result<()> {
    let test = "a_full_disk_acknowledges_nothing_and_goes_on_by_itself_when_there_is_room";
    if !namespace::is_inside(Namespace::Mounts)? {
        return namespace::run(test, Namespace::Mounts);
    }
    let time = Clock::new();
    let (disk, mut relay) = relay_on_small_disk(["--names-per-minute", "1000000"]).await?;
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    let account = ada.me().await?.account;
    ada.link_with(&relay).await?;
    bob.link_with(&relay).await?;
    let claim = |name: &str| Command::ClaimName {
        name: name.to_owned(),
    };
    ada.command(claim("ada")).await?;
    let named = || async { (ada.me().await.ok()?.handle == "ada").then_some(()) };
    eventually("Ada's name", DEADLINE, named).await?;
    let mut written: Vec<String> = (0..50).map(|n| format!("before {n}")).collect();
    for text in &written {
        ada.post(text).await?;
    }
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    time.say("50 posts and a name are on the disk");

    let ballast = fill(disk.path())?;
    ensure!(is_full(disk.path()), "the fault took effect");
    let mark = relay.log().mark();
    time.say("the disk is full");
    let early = claim_until_refused(&relay, 2_000).await?;
    bob.command(claim("bob")).await?;
    // The file has some room within itself; this is more than that.
    for n in 0..400 {
        let text = format!("while full {n}{}", " lorem ipsum".repeat(100));
        ada.post(&text).await?;
        written.push(text);
    }
    relay
        .log()
        .wait(mark, r#""store not writable; retrying""#)
        .await?;
    let line = relay.log().wait(mark, "registry store not writable").await?;
    time.say(line);
    // Reading goes on, for newcomers too, and so does looking up.
    for n in 0..3 {
        let reader = NativePeer::person("Reader").await?;
        reader.follow(account).await?;
        reader.link_with(&relay).await?;
        let reads = || async { texts(&reader).await?.starts_with(&written[..50]).then_some(()) };
        eventually("a newcomer to read what is there", AGAIN_WITHIN, reads).await?;
        let question = NameQuestion::Lookup {
            slug: false,
            name: "ada".to_owned(),
        };
        match ask(&relay, &Person::new(1), question).await? {
            NameAnswer::Held(receipt) => ensure!(receipt.account == account),
            other => anyhow::bail!("looked up while full: {other:?}"),
        }
        time.say(format!("newcomer {n} reads what is there, and whose the name is"));
    }
    ensure!(http::get(relay.at(), "/healthz").await?.status == 200, "it lives");
    let waits = bob.me().await?.claim.context("the claim waits")?;
    ensure!(waits.refused.is_none(), "it is not refused: {waits:?}");
    let posts = ada.timeline(Timeline::User(account)).await?;
    let signed = |post: &&engine::api::PostView| post.durability.is_some_and(|durable| durable.relays > 0);
    let signed: Vec<String> = posts
        .iter()
        .filter(signed)
        .map(|post| post.text.clone())
        .collect();
    ensure!(
        signed.len() < written.len(),
        "everything fits: the disk is too large"
    );
    ensure!(is_full(disk.path()), "it is still full");
    time.say(format!(
        "{} of {} posts are signed for, the claim waits",
        signed.len(),
        written.len()
    ));

    // What has a receipt is really there: killed while full, and read by a peer that never saw it.
    relay.kill().await?;
    relay.restart().await?;
    ensure!(is_full(disk.path()), "it is started on a full disk");
    let reader = NativePeer::person("Reader").await?;
    reader.follow(account).await?;
    reader.link_with(&relay).await?;
    let reads = || async {
        let read = texts(&reader).await?;
        signed.iter().all(|text| read.contains(text)).then_some(())
    };
    eventually("all that was signed for", AGAIN_WITHIN, reads).await?;
    time.say("killed and started again on the full disk: all that was signed for is there");

    // Nobody does anything but make room.
    std::fs::remove_file(&ballast)?;
    ada.link_with(&relay).await?;
    bob.link_with(&relay).await?;
    ada.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    let named = || async { (bob.me().await.ok()?.handle == "bob").then_some(()) };
    eventually("Bob's name", Duration::from_secs(150), named).await?;
    time.say("with room again everything is signed for, and the claim is decided");
    let mut writers = Vec::new();
    for n in 0..FLOOD {
        let backlog = Backlog::new(n, POSTS, "lorem ipsum");
        writers.push(Writer::link(&relay, backlog).await?);
    }
    let ballast = fill(disk.path())?;
    let mark = relay.log().mark();
    let (mut given, refused) = claim_until_refused(&relay, 1_000).await?;
    given.extend(early.0);
    relay.log().wait(mark, "registry store not writable").await?;
    time.say(format!(
        "full again: after {} more names a claim is answered as unavailable",
        given.len()
    ));
    // All of them together send more than the relay has queues for.
    let flood = writers
        .into_iter()
        .map(|mut writer| async move { writer.write_all(POSTS).await });
    let flood = tokio::spawn(futures_util::future::try_join_all(flood));
    relay
        .log()
        .wait(mark, r#""store not writable; retrying""#)
        .await?;
    for n in 0..3 {
        let reader = NativePeer::person("Reader").await?;
        reader.follow(account).await?;
        reader.link_with(&relay).await?;
        let reads = || async { (texts(&reader).await? == written).then_some(()) };
        eventually("a newcomer to read what is there", AGAIN_WITHIN, reads).await?;
        time.say(format!(
            "newcomer {n} reads what is there, under {FLOOD} people who write"
        ));
    }
    ensure!(!flood.is_finished(), "nobody is done");
    ensure!(is_full(disk.path()), "it is still full");
    std::fs::remove_file(&ballast)?;
    flood.await??;
    relay.log().wait(mark, r#""store writable again""#).await?;
    time.say("with room again all they wrote is signed for");
    let decided = || async {
        match ask(&relay, &refused, claim_by(&refused)).await.ok()? {
            NameAnswer::Held(receipt) => Some(receipt),
            _ => None,
        }
    };
    let receipt = eventually("the claim that was refused", AGAIN_WITHIN, decided).await?;
    ensure!(receipt.account == refused.account);
    for (person, receipt) in &given {
        let question = NameQuestion::Lookup {
            slug: false,
            name: receipt.name.clone(),
        };
        let answer = ask(&relay, person, question).await?;
        ensure!(answer == NameAnswer::Held(receipt.clone()), "{answer:?}");
    }
    ensure!(relay.is_running(), "it never ended");
    time.say("so is the name that was refused; nobody else's changed");
    Ok(())
}

/// Sockets that push at once, and how often each of them comes again.
const SOCKETS: u32 = 64;
const ROUNDS: u32 = 2;
/// Posts of 4 kB that each of them pushes. With 280 of them, which is the credit of a fresh link, and six rounds, more
/// comes than may wait for the disk; here it is enough that a full disk is pushed to and stopped on.
const PUSHED: usize = 40;

/// The frames that push posts of a stranger's feed, signed beforehand.
fn pushes(number: u32) -> Vec<Vec<u8>> {
    let text = "lorem ipsum ".repeat(330);
    let push = |entry: protocol::VerifiedEntry| {
        let entry = entry.entry().clone();
        let (hops, tree) = (1, 0);
        let message = Message::Push(Push { hops, tree, entry }).encode();
        frame::fragment(&message).collect::<Vec<_>>()
    };
    feed(number, PUSHED, &text).into_iter().flat_map(push).collect()
}

/// Links as a stranger and pushes them without waiting for anything, for as long as the relay puts up with that.
async fn push_and_leave(relay: &Relay, number: u32, frames: Vec<Vec<u8>>) {
    let Ok(mut link) = Link::open(relay.at(), &Person::new(number)).await else {
        return;
    };
    for (n, frame) in frames.into_iter().enumerate() {
        if link.feed(frame).await.is_err() {
            return;
        }
        // One that reads nothing would lose its link.
        while n % 8 == 0
            && let Ok(read) = tokio::time::timeout(Duration::from_micros(100), link.next()).await
        {
            if read.is_err() {
                return;
            }
        }
    }
    // It leaves once the relay has read everything: what is left of a link that ended is not taken in.
    let ping = Message::Ping(Ping { token: 1 });
    if link.send(&ping).await.is_err() {
        return;
    }
    while let Ok(message) = link.next().await {
        if matches!(message, Message::Pong(_)) {
            return;
        }
    }
}

/// All sockets of a round.
async fn push_round(relay: &Relay, first: u32) -> Result<()> {
    let signed = tokio::task::spawn_blocking(move || {
        (first..first + SOCKETS)
            .map(|number| (number, pushes(number)))
            .collect::<Vec<_>>()
    });
    let pushing = signed.await?.into_iter();
    let pushing = pushing.map(|(number, frames)| push_and_leave(relay, number, frames));
    futures_util::future::join_all(pushing).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_push_and_come_again_while_the_disk_is_full_keep_nobody_waiting() -> Result<()> {
    let test = "many_who_push_and_come_again_while_the_disk_is_full_keep_nobody_waiting";
    if !namespace::is_inside(Namespace::Mounts)? {
        return namespace::run(test, Namespace::Mounts);
    }
    let time = Clock::new();
    let (disk, mut relay) = relay_on_small_disk(["--sockets-per-address-max", "1000"]).await?;
    let ada = NativePeer::person("Ada").await?;
    let account = ada.me().await?.account;
    ada.link_with(&relay).await?;
    ada.post("before").await?;
    ada.wait("a receipt", |seen| seen.status.not_durable == 0).await?;
    let ballast = fill(disk.path())?;
    let pid = relay.pid().context("it runs")?;
    for round in 0..ROUNDS {
        push_round(&relay, 10_000 + round * SOCKETS).await?;
        let began = std::time::Instant::now();
        let ready = http::get(relay.at(), "/readyz").await?;
        ensure!(ready.status == 200, "{}", ready.text());
        let reader = NativePeer::person("Reader").await?;
        reader.follow(account).await?;
        reader.link_with(&relay).await?;
        let reads = || async { texts(&reader).await?.contains(&"before".to_owned()).then_some(()) };
        eventually("a newcomer to read what is there", AGAIN_WITHIN, reads).await?;
        time.say(format!(
            "round {round}: a newcomer reads after {:?}; the relay has {} MiB",
            began.elapsed(),
            starling_tests::process::resident_kib(pid).unwrap_or(0) >> 10
        ));
    }
    ensure!(is_full(disk.path()), "it is still full");
    ada.post("while full").await?;

    // With room again it takes what it refused, from those who are still there.
    std::fs::remove_file(&ballast)?;
    ada.wait("a receipt", |seen| seen.status.not_durable == 0).await?;
    time.say("with room again a post of meanwhile is signed for");
    let _ballast = fill(disk.path())?;
    push_round(&relay, 20_000).await?;
    let began = std::time::Instant::now();
    starling_tests::process::signal(pid, rustix::process::Signal::TERM);
    let ended = || {
        let running = relay.is_running();
        async move { (!running).then_some(()) }
    };
    eventually("the relay to stop on a full disk", Duration::from_secs(30), ended).await?;
    time.say(format!("stopped on a full disk in {:?}", began.elapsed()));
    Ok(())
}
