//! Data folders that earlier versions of the relay made are opened by this one, and everything in them is served.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use engine::api::{Query, QueryResult, Timeline};
use protocol::AccountId;
use starling_tests::folder::{ARCHIVE, CONTENTS, Contents, EXPORT, export};
use starling_tests::wait::{DEADLINE, eventually};
use starling_tests::{NativePeer, Relay, RelayOptions, http, workspace_root};

fn fixture(version: u32) -> PathBuf {
    workspace_root().join(format!("tests/tests/fixtures/relay-{version}"))
}

/// Entries by their ids, as an export has them.
fn entries(exported: &str) -> Result<BTreeMap<String, String>> {
    let entry = |line: &str| -> Result<(String, String)> {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let text = |field: &str| {
            line[field]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {field}"))
        };
        Ok((text("id")?, text("entry")?))
    };
    exported.lines().map(entry).collect()
}

/// The texts of an account's posts, oldest first, once there are this many.
async fn texts(reader: &NativePeer, account: AccountId, count: usize) -> Result<Vec<String>> {
    let all_there = || async {
        let posts = reader.timeline(Timeline::User(account)).await.ok()?;
        (posts.len() >= count).then(|| posts.into_iter().rev().map(|post| post.text).collect())
    };
    eventually("the posts", DEADLINE, all_there).await
}

#[tokio::test]
async fn a_folder_of_the_first_format_is_opened_and_all_of_it_is_served() -> Result<()> {
    let fixture = fixture(1);
    let contents: Contents = serde_json::from_str(&std::fs::read_to_string(fixture.join(CONTENTS))?)?;
    let mut relay = Relay::start_with(RelayOptions {
        data_from: Some(fixture.join(ARCHIVE)),
        ..RelayOptions::default()
    })
    .await?;
    relay.log().wait(0, "registry opened").await?;

    // Names: the registry knows the owner.
    let known = http::get(relay.at(), &format!("/api/names/{}", contents.handle)).await?;
    ensure!(known.status == 200, "{}", known.text());
    ensure!(known.text().contains(&contents.account), "{}", known.text());

    // Posts of all devices, the revoked one included, with the slug and the author's name.
    let reader = NativePeer::person("Reader").await?;
    let account: AccountId = contents.account.parse()?;
    let (follower, followers_texts) = &contents.follower;
    let (follower, forked): (AccountId, AccountId) = (follower.parse()?, contents.forked.parse()?);
    for followed in [account, follower, forked] {
        reader.follow(followed).await?;
    }
    reader.link_with(&relay).await?;
    let read = texts(&reader, account, contents.texts.len()).await?;
    ensure!(read == contents.texts, "{read:?}");
    let read = texts(&reader, follower, followers_texts.len()).await?;
    ensure!(read == *followers_texts, "{read:?}");
    let slug = || async {
        let posts = reader.timeline(Timeline::User(account)).await.ok()?;
        let post = posts.into_iter().find(|post| post.text == contents.texts[0])?;
        (post.beside.slug == contents.slug && post.handle == contents.handle).then_some(())
    };
    eventually("the slug and the name", DEADLINE, slug).await?;

    // The fork: what came before it is shown, and the feed is frozen. The proof is of use to a peer that holds some of
    // the feed, so this one gets it when it links again.
    let before = usize::try_from(contents.forked_at)? - 1;
    texts(&reader, forked, before).await?;
    reader.unlink().await;
    reader.link_with(&relay).await?;
    let frozen = || async {
        match reader.query(Query::Profile { account: forked }).await.ok()? {
            QueryResult::Profile(profile) => profile.forked.then_some(()),
            _ => None,
        }
    };
    eventually("the forked feed to be known as such", DEADLINE, frozen).await?;
    let only_before = || async {
        let posts = reader.timeline(Timeline::User(forked)).await.ok()?;
        (posts.len() == before).then_some(())
    };
    eventually("the posts from the fork on to be hidden", DEADLINE, only_before).await?;

    // Entries: all that there were, byte for byte.
    relay.stop().await?;
    let was = entries(&std::fs::read_to_string(fixture.join(EXPORT))?)?;
    let is = entries(&export(relay.data_dir())?)?;
    for (id, entry) in &was {
        ensure!(is.get(id) == Some(entry), "entry {id} is lost or changed");
    }
    ensure!(was.len() > 10, "the fixture is empty");
    Ok(())
}
