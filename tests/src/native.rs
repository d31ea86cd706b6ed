//! A person's peer for tests and benchmarks, in this process: the real engine on native transport, its store in memory.
//!
//! It stands for a person whose browser nobody looks at, or for many of them, and behaves as a tab does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use engine::api::{
    Command, CommandResult, Event, MeView, Page, PostView, Query, QueryResult, Request, Response, StatusView,
    Timeline,
};
use engine::{Candidate, Config};
use native::driver::{self, DriverHandle, DriverThread, Options};
use native::network::{self, AddressBook, RelayUrl};
use native::store::Store;
use native::websocket::dial::{self, Connector};
use protocol::{AccountId, PeerId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::lan::{At, Site};

/// Limit for an answer of the engine.
const ASK_DEADLINE: Duration = Duration::from_secs(20);

/// How a peer differs from a tab on this machine.
#[derive(Clone, Debug, Default)]
pub struct PeerOptions {
    /// The site it is at; this machine's own network if there is none.
    pub site: Option<Site>,
    /// It opens no links but those the test asks for.
    pub stays: bool,
}

/// What the engine reported, as far as tests wait for it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last status.
    pub status: StatusView,
    /// Texts of the posts of others, in order of arrival.
    pub posts: Vec<String>,
}

/// A running peer. Stops when dropped.
#[derive(Debug)]
pub struct NativePeer {
    driver: DriverHandle,
    _thread: DriverThread,
    seen: watch::Receiver<Seen>,
    connector: Connector,
    /// Dialling, and the links the test asked for.
    tasks: Mutex<JoinSet<()>>,
}

impl NativePeer {
    /// Starts a peer with an account of this name.
    ///
    /// # Errors
    /// If the account is refused.
    pub async fn person(name: &str) -> Result<Self> {
        Self::person_with(name, PeerOptions::default()).await
    }

    /// Starts a peer with an account of this name and options.
    ///
    /// # Errors
    /// If the account is refused.
    pub async fn person_with(name: &str, options: PeerOptions) -> Result<Self> {
        let peer = Self::start(options)?;
        match peer
            .command(Command::CreateAccount {
                name: name.into(),
                device_name: "native".into(),
            })
            .await?
        {
            Response::Done(CommandResult::Account(_)) => Ok(peer),
            other => bail!("no account: {other:?}"),
        }
    }

    /// Starts a peer that is a further device of the account with this recovery phrase.
    ///
    /// # Errors
    /// If the phrase is refused.
    pub async fn restored(phrase: &str) -> Result<Self> {
        let peer = Self::start(PeerOptions::default())?;
        match peer
            .command(Command::Restore {
                phrase: phrase.into(),
                device_name: "native, too".into(),
            })
            .await?
        {
            Response::Done(CommandResult::Account(_)) => Ok(peer),
            other => bail!("not restored: {other:?}"),
        }
    }

    fn start(options: PeerOptions) -> Result<Self> {
        let PeerOptions { site, stays } = options;
        let (book, dials) = AddressBook::open(Vec::new());
        let (reports, seen) = watch::channel(Seen::default());
        let (driver, thread) = driver::start(Options {
            on_event: Box::new(move |event| on_event(&reports, event)),
            ..Options::new(
                Config::browser(),
                random(),
                Store::in_memory()?,
                Arc::clone(&book),
            )
        })?;
        let connector = connector(site);
        let dialling = if stays { refusing() } else { connector.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(network::run(driver.clone(), book, dials, dialling));
        Ok(Self {
            driver,
            _thread: thread,
            seen,
            connector,
            tasks: Mutex::new(tasks),
        })
    }

    /// Links with the relay at `host` (`127.0.0.1:8080`), known as such by `relay`.
    ///
    /// # Errors
    /// If the WebSocket does not open.
    pub async fn link(&self, host: &str, relay: Option<PeerId>) -> Result<()> {
        let url: RelayUrl = format!("http://{host}").parse()?;
        let dialled = dial::open(&url, &self.connector).await?;
        if let Some(peer) = relay {
            self.driver
                .candidates(vec![Candidate { peer, relay: true }])
                .await;
        }
        let driver = self.driver.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move { dialled.run(&driver).await });
        Ok(())
    }

    /// Links with a running relay and waits until the handshake is through.
    ///
    /// # Errors
    /// If it does not come about.
    pub async fn link_with(&self, relay: &crate::Relay) -> Result<()> {
        let about = crate::http::get(relay.at(), "/api/relay").await?.text();
        let about: serde_json::Value = serde_json::from_str(&about)?;
        let peer = about["peer"]
            .as_str()
            .context("/api/relay names its peer")?
            .parse()?;
        self.link(&relay.host(), Some(peer)).await?;
        self.wait("a link", |seen| seen.status.peers > 0).await
    }

    /// Breaks its links.
    pub async fn unlink(&self) {
        self.driver.disconnect().await;
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// If none comes.
    pub async fn ask(&self, request: Request) -> Result<Response> {
        tokio::time::timeout(ASK_DEADLINE, self.driver.request(request))
            .await
            .context("no answer in time")?
            .context("the peer stopped")
    }

    /// A command.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn command(&self, command: Command) -> Result<Response> {
        self.ask(Request::Command(command)).await
    }

    /// A query.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn query(&self, query: Query) -> Result<QueryResult> {
        match self.ask(Request::Query(query)).await? {
            Response::Result(reply) => Ok(*reply),
            other => bail!("not a reply: {other:?}"),
        }
    }

    /// Publishes.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn post(&self, text: &str) -> Result<PostView> {
        let mut token = [0; 16];
        token.copy_from_slice(&random::<16>());
        match self
            .command(Command::Publish {
                token,
                text: text.into(),
                reply_to: None,
                slug: None,
            })
            .await?
        {
            Response::Done(CommandResult::Published(post)) => Ok(*post),
            other => bail!("not published: {other:?}"),
        }
    }

    /// Follows.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn follow(&self, account: AccountId) -> Result<()> {
        match self.command(Command::Follow { account }).await? {
            Response::Done(CommandResult::Ok) => Ok(()),
            other => bail!("not followed: {other:?}"),
        }
    }

    /// Its account.
    ///
    /// # Errors
    /// If it has none.
    pub async fn me(&self) -> Result<MeView> {
        match self.query(Query::Me).await? {
            QueryResult::Me(Some(me)) => Ok(me),
            other => bail!("no account: {other:?}"),
        }
    }

    /// A whole timeline, newest first.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn timeline(&self, timeline: Timeline) -> Result<Vec<PostView>> {
        let (mut posts, mut after) = (Vec::new(), None);
        loop {
            match self
                .query(Query::Timeline {
                    timeline,
                    after: after.take(),
                    limit: 100,
                })
                .await?
            {
                QueryResult::Page(Page { posts: page, next }) => {
                    posts.extend(page);
                    match next {
                        Some(next) => after = Some(next),
                        None => return Ok(posts),
                    }
                }
                other => bail!("not a page: {other:?}"),
            }
        }
    }

    /// What the engine reports, as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Waits until what the engine reported satisfies `ready`.
    ///
    /// # Errors
    /// If that takes longer than a minute.
    pub async fn wait(&self, what: &str, mut ready: impl FnMut(&Seen) -> bool) -> Result<()> {
        let mut seen = self.seen.clone();
        let waiting = seen.wait_for(|seen| ready(seen));
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => bail!(
                "waited in vain for {what}; last seen: {:?}",
                self.seen.borrow().status
            ),
        }
    }
}

fn on_event(reports: &watch::Sender<Seen>, event: &Event) {
    match event {
        Event::Status(status) => reports.send_modify(|seen| seen.status = *status),
        Event::Posts { posts, .. } => {
            let texts = posts
                .iter()
                .rev()
                .filter(|post| !post.mine)
                .map(|post| post.text.clone());
            reports.send_modify(|seen| seen.posts.extend(texts));
        }
        _ => {}
    }
}

/// Opens TCP connections at a site.
fn connector(site: Option<Site>) -> Connector {
    let Some(site) = site else {
        return Connector::system();
    };
    Connector::new(move |url| {
        let at = url.host().parse().map(|address| site.at(address));
        Box::pin(async move {
            let at: At = at.map_err(std::io::Error::other)?;
            at.connect().await.map_err(std::io::Error::other)
        })
    })
}

/// Opens none.
fn refusing() -> Connector {
    Connector::new(|_| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }))
}

/// Bytes from the operating system.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A machine without randomness cannot run the tests at all.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("no randomness: {error}"));
    bytes
}
