//! A relay's data folder with a little of everything, made through what any relay offers to the outside, and what must
//! be found in it later. `tests/tests/fixtures/README.md` says what it is for.

use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context as _, Result, bail, ensure};
use engine::api::{Command, CommandResult, Query, QueryResult, Response, Timeline};
use protocol::link::frame;
use protocol::messages::{Message, Push};
use protocol::{AccountId, VerifiedEntry};
use serde::{Deserialize, Serialize};

use crate::link::{Link, Person};
use crate::wait::{DEADLINE, eventually};
use crate::{NativePeer, Relay, RelayOptions, relay, writer};

/// The data folder in the folder of a fixture.
pub const ARCHIVE: &str = "folder.tar.gz";
/// What the relay that made it exported: all entries.
pub const EXPORT: &str = "export.jsonl";
/// [`Contents`] of it.
pub const CONTENTS: &str = "contents.json";

/// The name the first person claims at the registry.
const NAME: &str = "ada";
/// The slug of one of the posts.
const SLUG: &str = "first-morning";

/// What is in the folder, beside the entries themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// A person with a name.
    pub account: String,
    /// The name.
    pub handle: String,
    /// The slug of the first of the texts.
    pub slug: String,
    /// What the person wrote, oldest first, the last of it on a device that was revoked afterwards.
    pub texts: Vec<String>,
    /// A person whose device signed two entries with one number.
    pub forked: String,
    /// The number of entries before these.
    pub forked_at: u64,
    /// A person who follows the first one, and what that person wrote.
    pub follower: (String, Vec<String>),
}

/// Has the relay program that is tested make such a folder, and stores it and its contents in `out`.
///
/// # Errors
/// If anything goes otherwise than it should.
pub async fn make(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let mut relay = Relay::start_with(RelayOptions::default()).await?;
    relay.log().wait(0, "registry opened").await?;
    let contents = fill(&relay).await?;
    relay.stop().await?;
    let folder = relay.data_dir();
    let exported = export(folder)?;
    let packed = Process::new("tar")
        .args([
            "--create",
            "--gzip",
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--file",
        ])
        .arg(out.join(ARCHIVE))
        .arg("--directory")
        .arg(folder)
        .arg(".")
        .status()
        .context("tar cannot be run")?;
    ensure!(packed.success(), "tar: {packed}");
    std::fs::write(out.join(EXPORT), exported)?;
    std::fs::write(
        out.join(CONTENTS),
        serde_json::to_string_pretty(&contents)? + "\n",
    )?;
    Ok(())
}

/// What the relay program exports from a folder, one JSON object per line.
///
/// # Errors
/// If it refuses.
pub fn export(folder: &Path) -> Result<String> {
    let exported = Process::new(relay::program()?)
        .arg("export")
        .arg("--data-dir")
        .arg(folder)
        .output()?;
    let said = String::from_utf8_lossy(&exported.stderr);
    ensure!(exported.status.success(), "the export failed: {said}");
    Ok(String::from_utf8(exported.stdout)?)
}

async fn fill(relay: &Relay) -> Result<Contents> {
    let (ada, bob) = (NativePeer::person("Ada").await?, NativePeer::person("Bob").await?);
    ada.link_with(relay).await?;
    bob.link_with(relay).await?;
    let account = ada.me().await?.account;
    bob.follow(account).await?;
    ada.command(Command::ClaimName { name: NAME.into() }).await?;
    let named = || async { (ada.me().await.ok()?.handle == NAME).then_some(()) };
    eventually("the name", DEADLINE, named).await?;

    let mut texts = vec![
        "A bird is up before all of us.".to_owned(),
        "So is the baker.".to_owned(),
    ];
    let first = ada.post(&texts[0]).await?;
    ada.post(&texts[1]).await?;
    ada.command(Command::SetSlug {
        post: first.entry,
        slug: Some(SLUG.to_owned()),
    })
    .await?;
    let slug = || async {
        let posts = ada.timeline(Timeline::User(account)).await.ok()?;
        posts.iter().any(|post| post.beside.slug == SLUG).then_some(())
    };
    eventually("the slug", DEADLINE, slug).await?;

    // A second device writes, and is revoked.
    let QueryResult::Phrase(Some(words)) = ada.query(Query::Phrase).await? else {
        bail!("no recovery phrase");
    };
    let phrase = words.join(" ");
    let lost = NativePeer::restored(&phrase).await?;
    lost.link_with(relay).await?;
    texts.push("From the telephone, before it was lost.".to_owned());
    lost.post(&texts[2]).await?;
    lost.wait("the receipt", |seen| seen.status.not_durable == 0)
        .await?;
    let device = lost.me().await?.device;
    drop(lost);
    let known = || async { (ada.me().await.ok()?.devices.len() == 2).then_some(()) };
    eventually("the first device to know the second", DEADLINE, known).await?;
    match ada.command(Command::RevokeDevice { phrase, device }).await? {
        Response::Done(CommandResult::Ok) => {}
        other => bail!("not revoked: {other:?}"),
    }

    let bobs = vec!["Good morning from the other side.".to_owned()];
    bob.post(&bobs[0]).await?;
    for peer in [&ada, &bob] {
        peer.wait("receipts", |seen| seen.status.not_durable == 0).await?;
    }

    let forked = fork(relay).await?;
    Ok(Contents {
        account: account.to_string(),
        handle: NAME.to_owned(),
        slug: SLUG.to_owned(),
        texts,
        forked: forked.to_string(),
        forked_at: 2,
        follower: (bob.me().await?.account.to_string(), bobs),
    })
}

/// Pushes two feeds of one device that differ from the third entry on. The account.
async fn fork(relay: &Relay) -> Result<AccountId> {
    const PERSON: u32 = 7;
    let person = Person::new(PERSON);
    let one = writer::feed(PERSON, 2, "one story");
    let mut other = one[..2].to_vec();
    other.push(writer::entry_after(PERSON, &one[1], "another story"));
    let mut link = Link::open(relay.at(), &person).await?;
    for entry in one.iter().chain(&other[2..]) {
        push(&mut link, entry).await?;
    }
    relay.log().wait(0, "forked").await?;
    Ok(person.account)
}

async fn push(link: &mut Link, entry: &VerifiedEntry) -> Result<()> {
    let push = Message::Push(Push {
        hops: 1,
        tree: 0,
        entry: entry.entry().clone(),
    });
    for frame in frame::fragment(&push.encode()) {
        link.feed(frame).await?;
    }
    link.flush().await
}
