//! Networks of relays with people's posts in them: who holds what, and what a relay says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use engine::api::{Query, QueryResult};
use futures_util::future::try_join_all;
use protocol::AccountId;

use crate::link::{Link, Person};
use crate::wait::eventually;
use crate::writer::{Backlog, Writer};
use crate::{NativePeer, Relay, http};

/// When things happened.
#[derive(Debug)]
pub struct Clock(Instant);

impl Clock {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a moment is no default")]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// A line of the timeline.
    pub fn say(&self, what: impl std::fmt::Display) {
        println!("{:7.2} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

/// Which relays keep an account's feeds, as this one sees it.
pub async fn replicas(relay: &Relay, account: AccountId) -> Result<BTreeSet<String>> {
    let answer = loop {
        let answer = http::get(relay.at(), &format!("/api/replicas/{account}")).await?;
        // A relay limits the requests of an address per minute, and says when the next one is answered.
        let Some(wait) = answer.header("retry-after") else {
            break answer;
        };
        tokio::time::sleep(Duration::from_secs(wait.parse()?)).await;
    };
    let text = answer.text();
    let answer: serde_json::Value = serde_json::from_str(&text)?;
    let replicas = answer["replicas"].as_array().with_context(|| text.clone())?;
    let replicas = replicas
        .iter()
        .map(|replica| Some(replica["peer"].as_str()?.to_owned()));
    replicas.collect::<Option<_>>().context(text)
}

/// The key of a relay, in text form.
pub async fn key(relay: &Relay) -> Result<String> {
    let text = http::get(relay.at(), "/api/relay").await?.text();
    let about: serde_json::Value = serde_json::from_str(&text)?;
    Ok(about["peer"].as_str().context("its key")?.to_owned())
}

/// How a relay sees the relays that it lists, by their ports.
pub async fn states(relay: &Relay) -> Result<BTreeMap<u16, String>> {
    let text = http::get(relay.at(), "/api/network").await?.text();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&text).context(text)?;
    let state = |relay: &serde_json::Value| {
        let port = relay["url"].as_str()?.rsplit(':').next()?.parse().ok()?;
        Some((port, relay["state"].as_str()?.to_owned()))
    };
    let states = listed.iter();
    states
        .map(|relay| state(relay).context(format!("{relay}")))
        .collect()
}

/// What `/api/repair` of a relay says.
pub async fn repair(relay: &Relay) -> Result<serde_json::Value> {
    let text = http::get(relay.at(), "/api/repair").await?.text();
    serde_json::from_str(&text).context(text)
}

/// How far a relay itself holds the feeds of these accounts.
pub async fn held(relay: &Relay, accounts: &[AccountId]) -> Result<BTreeMap<AccountId, u64>> {
    let visitor = Person::new(800_000 + u32::from(relay.port()));
    Link::open(relay.at(), &visitor).await?.holds(accounts).await
}

/// How many of these relays hold each account to the end.
pub async fn copies(
    relays: &[&Relay],
    entries: &BTreeMap<AccountId, u64>,
) -> Result<BTreeMap<AccountId, usize>> {
    let accounts: Vec<AccountId> = entries.keys().copied().collect();
    let mut copies: BTreeMap<AccountId, usize> = accounts.iter().map(|account| (*account, 0)).collect();
    for relay in relays {
        for (account, held) in held(relay, &accounts).await? {
            if let (Some(copies), Some(entries)) = (copies.get_mut(&account), entries.get(&account)) {
                *copies += usize::from(held >= *entries);
            }
        }
    }
    Ok(copies)
}

/// Waits until each account has this many complete replicas at these relays.
pub async fn restored(relays: &[&Relay], entries: &BTreeMap<AccountId, u64>, n: usize) -> Result<()> {
    let last = Mutex::new(String::from("nothing"));
    let least = || async {
        let copies = match copies(relays, entries).await {
            Ok(copies) => copies,
            Err(error) => {
                *last.lock().ok()? = format!("{error:#}");
                return None;
            }
        };
        let short = copies.values().filter(|copies| **copies < n).count();
        *last.lock().ok()? = format!("{short} of {} accounts have less than {n}", entries.len());
        (short == 0).then_some(())
    };
    let waited = eventually("the copies", Duration::from_secs(90), least).await;
    if waited.is_err() {
        // What each of them thinks it lacks.
        for relay in relays {
            println!(
                "relay {}: {:?}",
                relay.port(),
                repair(relay).await.map(|said| said.to_string())
            );
        }
    }
    waited.with_context(|| last.lock().map(|last| last.clone()).unwrap_or_default())
}

/// People by turns at these relays, each with some posts, all of them signed for; how many entries each has.
pub async fn populate(
    relays: &[&Relay],
    people: impl IntoIterator<Item = u32>,
    posts: usize,
) -> Result<BTreeMap<AccountId, u64>> {
    let mut entries = BTreeMap::new();
    let people: Vec<u32> = people.into_iter().collect();
    for part in people.chunks(64) {
        let writing = part.iter().map(|n| async move {
            let backlog = Backlog::new(*n, posts, "hello");
            let account = backlog.account();
            let relay = relays[*n as usize % relays.len()];
            let mut writer = Writer::link(relay, backlog).await?;
            writer.write_all(16).await?;
            anyhow::Ok((account, posts as u64 + 1))
        });
        entries.extend(try_join_all(writing).await?);
    }
    Ok(entries)
}

/// Waits until a peer holds this many entries of an account, requesting them as a user does who looks at a profile.
pub async fn holds(peer: &NativePeer, account: AccountId, entries: u64) -> Result<()> {
    let complete = || async {
        match peer.query(Query::Profile { account }).await.ok()? {
            QueryResult::Profile(profile) => (profile.entries >= entries).then_some(()),
            _ => None,
        }
    };
    eventually("a feed", Duration::from_secs(30), complete).await
}
