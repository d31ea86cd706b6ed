//! A native peer for tests and benchmarks: the real engine, its store in memory, linked to a relay by WebSocket.
//!
//! It plays a person whose browser nobody watches, or a crowd of them; what it does is what a tab does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use engine::api::{
    Answer, Ask, Command, Event, MeView, Outcome, Page, PostView, Query, Reply, StatusView, Timeline,
    Transport,
};
use engine::memory::MemoryStore;
use engine::{AskId, Candidate, Config, Engine, Input, LinkId, Now, Output};
use futures_util::{SinkExt, StreamExt};
use protocol::handshake::{Binding, Role};
use protocol::{AccountId, Instant, PeerId, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::lan::{At, Site};

/// A relay that does not let it in for so long is not reached.
const OPENED_WITHIN: Duration = Duration::from_secs(10);

/// How long an ask may take.
const ASK_DEADLINE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<TcpStream>;

/// How a peer differs from a tab on this machine.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Where it is; on this machine's own network if nowhere else.
    pub site: Option<Site>,
    /// It links with nobody it was not told to.
    pub stays: bool,
}

enum Order {
    Ask(Ask, oneshot::Sender<Answer>),
    /// A channel to the relay at this host, known as such if it is named.
    Opened {
        host: String,
        relay: Option<PeerId>,
        socket: Box<Socket>,
    },
    Unreached(PeerId),
    Unlink,
    Frame(LinkId, Vec<u8>),
    Down(LinkId),
}

/// What it was told without asking, as far as tests wait for it.
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
    orders: mpsc::UnboundedSender<Order>,
    seen: watch::Receiver<Seen>,
    site: Option<Site>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for NativePeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NativePeer {
    /// Starts a peer with an account of this name.
    ///
    /// # Errors
    /// If the account is refused.
    pub async fn person(name: &str) -> Result<Self> {
        Self::person_of(name, Habits::default()).await
    }

    /// Starts a peer with an account of this name and habits of its own.
    ///
    /// # Errors
    /// If the account is refused.
    pub async fn person_of(name: &str, habits: Habits) -> Result<Self> {
        let peer = Self::start(habits);
        match peer
            .command(Command::CreateAccount {
                name: name.into(),
                device_name: "native".into(),
            })
            .await?
        {
            Answer::Done(Outcome::Account(_)) => Ok(peer),
            other => bail!("no account: {other:?}"),
        }
    }

    /// Starts a peer without an account.
    #[must_use]
    pub fn blank() -> Self {
        Self::start(Habits::default())
    }

    fn start(habits: Habits) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (tell, seen) = watch::channel(Seen::default());
        let site = habits.site.clone();
        let task = tokio::spawn(run(habits, orders.clone(), inbox, tell));
        Self {
            orders,
            seen,
            site,
            task,
        }
    }

    /// Links with the relay at `host` (`127.0.0.1:8080`), known as such by `relay`.
    ///
    /// # Errors
    /// If the WebSocket does not open.
    pub async fn link(&self, host: &str, relay: Option<PeerId>) -> Result<()> {
        let socket = Box::new(open(host, self.site.as_ref()).await?);
        let host = host.to_owned();
        self.order(Order::Opened { host, relay, socket })
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
    ///
    /// # Errors
    /// If the peer stopped.
    pub fn unlink(&self) -> Result<()> {
        self.order(Order::Unlink)
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the peer stopped"))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// If none comes.
    pub async fn ask(&self, ask: Ask) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ask(ask, reply))?;
        Ok(tokio::time::timeout(ASK_DEADLINE, answer)
            .await
            .context("no answer in time")??)
    }

    /// A command.
    ///
    /// # Errors
    /// If no answer comes.
    pub async fn command(&self, command: Command) -> Result<Answer> {
        self.ask(Ask::Command(command)).await
    }

    /// A query.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn query(&self, query: Query) -> Result<Reply> {
        match self.ask(Ask::Query(query)).await? {
            Answer::Reply(reply) => Ok(*reply),
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
            Answer::Done(Outcome::Published(post)) => Ok(*post),
            other => bail!("not published: {other:?}"),
        }
    }

    /// Follows.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn follow(&self, account: AccountId) -> Result<()> {
        match self.command(Command::Follow { account }).await? {
            Answer::Done(Outcome::Ok) => Ok(()),
            other => bail!("not followed: {other:?}"),
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// If it is nobody.
    pub async fn me(&self) -> Result<MeView> {
        match self.query(Query::Me).await? {
            Reply::Me(Some(me)) => Ok(me),
            other => bail!("nobody: {other:?}"),
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
                Reply::Page(Page { posts: page, next }) => {
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

    /// What it was told, as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Waits until what it was told satisfies `ready`.
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

/// Bytes from the operating system.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A machine without randomness cannot run the tests at all.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("no randomness: {error}"));
    bytes
}

struct Running {
    habits: Habits,
    engine: Engine,
    store: MemoryStore,
    began: Clock,
    answers: BTreeMap<u64, oneshot::Sender<Answer>>,
    sockets: BTreeMap<LinkId, mpsc::UnboundedSender<Option<Vec<u8>>>>,
    tell: watch::Sender<Seen>,
    orders: mpsc::UnboundedSender<Order>,
    last: u64,
}

impl Running {
    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            instant: Instant(self.began.elapsed().as_micros() as u64),
            wall: Timestamp(wall.as_millis() as u64),
        }
    }

    /// A channel to the relay at `host` is open.
    fn opened(&mut self, host: String, socket: Socket) {
        self.last += 1;
        let link = LinkId(self.last);
        self.sockets.insert(link, carry(socket, link, &self.orders));
        self.input(Input::LinkUp {
            link,
            role: Role::Initiator,
            binding: Binding::WebSocket { host },
            transport: Transport::WebSocket,
        });
    }

    /// Opens a channel to the relay at `host` while everything else goes on.
    fn dial(&self, peer: PeerId, host: &str) {
        let (host, site) = (host.to_owned(), self.habits.site.clone());
        let orders = self.orders.clone();
        tokio::spawn(async move {
            let order = match open(&host, site.as_ref()).await {
                Ok(socket) => Order::Opened {
                    host,
                    relay: None,
                    socket: Box::new(socket),
                },
                Err(_) => Order::Unreached(peer),
            };
            let _ = orders.send(order);
        });
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(self.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                // Found at its address, if at all; and no relay, so nobody asks it for names.
                Output::Introduced { .. } | Output::Name { .. } => {}
                Output::Send { link, bytes } => {
                    if let Some(socket) = self.sockets.get(&link) {
                        let _ = socket.send(Some(bytes));
                    }
                }
                Output::Close { link, .. } => {
                    if let Some(socket) = self.sockets.remove(&link) {
                        let _ = socket.send(None);
                    }
                }
                Output::Persist(batch) => {
                    self.store.apply(&batch);
                    self.engine.handle(self.now(), Input::Persisted { id: batch.id });
                }
                Output::Load(load) => {
                    let rows = self.store.load(&load);
                    self.engine
                        .handle(self.now(), Input::Loaded { id: load.id, rows });
                }
                Output::Dial { peer, url, .. } => match url.strip_prefix("http://") {
                    // As a tab reaches a relay that says where it is.
                    Some(host) if !self.habits.stays => self.dial(peer, host),
                    _ => self.engine.handle(self.now(), Input::DialFailed { peer }),
                },
                Output::Answer { id, answer } => {
                    if let Some(reply) = self.answers.remove(&id.0) {
                        let _ = reply.send(answer);
                    }
                }
                Output::Event(Event::Status(status)) => self.tell.send_modify(|seen| seen.status = status),
                Output::Event(Event::Posts { posts, .. }) => {
                    let texts = posts
                        .into_iter()
                        .rev()
                        .filter(|post| !post.mine)
                        .map(|post| post.text);
                    self.tell.send_modify(|seen| seen.posts.extend(texts));
                }
                Output::Event(_) | Output::Log(_) => {}
            }
        }
    }
}

async fn run(
    habits: Habits,
    orders: mpsc::UnboundedSender<Order>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    tell: watch::Sender<Seen>,
) {
    let engine = Engine::new(Config::browser(), random(), Now::default());
    let began = Clock::now();
    let mut running = Running {
        habits,
        engine,
        store: MemoryStore::default(),
        began,
        answers: BTreeMap::new(),
        sockets: BTreeMap::new(),
        tell,
        orders,
        last: 0,
    };
    running.drain();
    loop {
        let deadline = running
            .engine
            .next_deadline()
            .map_or(Duration::from_secs(3600), |at| Duration::from_micros(at.0));
        let order = tokio::select! {
            order = inbox.recv() => order,
            () = tokio::time::sleep_until((began + deadline).into()) => {
                running.input(Input::Tick);
                continue;
            }
        };
        match order {
            None => return,
            Some(Order::Ask(ask, reply)) => {
                running.last += 1;
                running.answers.insert(running.last, reply);
                running.input(Input::Ask {
                    id: AskId(running.last),
                    ask,
                });
            }
            Some(Order::Frame(link, bytes)) => running.input(Input::Frame { link, bytes }),
            Some(Order::Down(link)) => {
                running.sockets.remove(&link);
                running.input(Input::LinkDown { link });
            }
            Some(Order::Unlink) => {
                for (link, socket) in std::mem::take(&mut running.sockets) {
                    let _ = socket.send(None);
                    running.input(Input::LinkDown { link });
                }
            }
            Some(Order::Unreached(peer)) => running.input(Input::DialFailed { peer }),
            Some(Order::Opened { host, relay, socket }) => {
                if let Some(peer) = relay {
                    running.input(Input::Candidates(vec![Candidate { peer, relay: true }]));
                }
                running.opened(host, *socket);
            }
        }
    }
}

async fn open(host: &str, site: Option<&Site>) -> Result<Socket> {
    let opening = async {
        let address: SocketAddr = host.parse().with_context(|| host.to_owned())?;
        let at = site.map_or_else(|| At::from(address), |site| site.at(address));
        let stream = at.connect().await?;
        let (socket, _) = tokio_tungstenite::client_async(format!("ws://{host}/link"), stream).await?;
        Ok(socket)
    };
    tokio::time::timeout(OPENED_WITHIN, opening)
        .await
        .with_context(|| format!("{host} is silent"))?
}

/// Carries frames both ways until the channel or the peer ends.
fn carry(
    socket: Socket,
    link: LinkId,
    orders: &mpsc::UnboundedSender<Order>,
) -> mpsc::UnboundedSender<Option<Vec<u8>>> {
    let (mut sink, mut stream) = socket.split();
    let (sender, mut outgoing) = mpsc::unbounded_channel::<Option<Vec<u8>>>();
    let orders = orders.clone();
    tokio::spawn(async move {
        while let Some(Some(bytes)) = outgoing.recv().await {
            if sink.send(Message::binary(bytes)).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    });
    tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && orders.send(Order::Frame(link, bytes.to_vec())).is_err()
            {
                return;
            }
        }
        let _ = orders.send(Order::Down(link));
    });
    sender
}
