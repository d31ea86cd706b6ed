//! Members on a network: TCP, and on it frames with their length before them.
//!
//! Both sides begin with a hello: a frame of [`MAGIC`] and the address the member is reached at (postcard). Then follow
//! frames of [`wire`]; a frame is its length as four bytes, big end first, and as many bytes. Addresses are
//! believed, not proven.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the edge of the crate: sockets and clocks are what it is about"
)]

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ordered::Map;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Config, ConnectionId, Event, Node, Transport};
use crate::typed::Messages;
use crate::{codec, wire};

/// The first bytes of a hello: name and version.
pub const MAGIC: &[u8; 7] = b"gossip\x01";
/// Bytes of a hello.
const HELLO_LEN_MAX: usize = 64;
/// A hello takes no longer, nor a dial.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Incoming connections before their hello is complete; further ones wait in the kernel's queue.
const STRANGERS_MAX: usize = 32;
/// A frame that cannot be written within this time ends the connection.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// What was written before a connection is closed may take so long to arrive.
const LINGER: Duration = Duration::from_secs(2);
/// Things that happened and wait for the driver. Readers wait when it is full, and with them the network.
const HAPPENED_MAX: usize = 128;

/// A node on `address`; a port of 0 takes a free one. Must be called within a tokio runtime, on which the node runs.
///
/// # Errors
/// The address is taken, or is one nobody can dial (`0.0.0.0`): then use [`bind_as`].
pub async fn bind<M: Messages>(address: SocketAddr, config: Config) -> io::Result<Node<M, SocketAddr>> {
    if address.ip().is_unspecified() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "others cannot dial this address; say which one they reach the node at",
        ));
    }
    run(Tcp::listen(address, None).await?, config)
}

/// A node that listens on `address` and is reached at `advertised`.
///
/// # Errors
/// The address is taken, or there is no secure random source.
pub async fn bind_as<M: Messages>(
    address: SocketAddr,
    advertised: SocketAddr,
    config: Config,
) -> io::Result<Node<M, SocketAddr>> {
    run(Tcp::listen(address, Some(advertised)).await?, config)
}

fn run<M: Messages>(transport: Tcp, config: Config) -> io::Result<Node<M, SocketAddr>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let (node, driver) = Node::start(transport, config, seed);
    tokio::spawn(driver);
    Ok(node)
}

enum Happened {
    Opened {
        id: ConnectionId,
        peer: SocketAddr,
        dialled: Option<SocketAddr>,
        queue: mpsc::UnboundedSender<Bytes>,
    },
    DialFailed {
        peer: SocketAddr,
        reason: String,
    },
    Frame(ConnectionId, Bytes),
    Written(ConnectionId),
    Closed(ConnectionId),
}

/// TCP as a [`Transport`].
#[derive(Debug)]
pub struct Tcp {
    address: SocketAddr,
    started: Instant,
    next: u64,
    /// What is on its way to each connection. The driver bounds it.
    queues: Map<ConnectionId, mpsc::UnboundedSender<Bytes>>,
    happened: mpsc::Receiver<Happened>,
    tasks: Tasks,
    accepting: JoinHandle<()>,
    ended: mpsc::Receiver<()>,
}

/// What every task of a transport has a copy of.
#[derive(Clone, Debug)]
struct Tasks {
    address: SocketAddr,
    happened: mpsc::Sender<Happened>,
    /// Held by every connection; once all are gone, so are the connections.
    alive: mpsc::Sender<()>,
}

impl Tcp {
    /// Listens on `address`, and gives `advertised` to other members as its address.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn listen(address: SocketAddr, advertised: Option<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = advertised.map_or_else(|| listener.local_addr(), Ok)?;
        let (sender, happened) = mpsc::channel(HAPPENED_MAX);
        let (alive, ended) = mpsc::channel(1);
        let tasks = Tasks {
            address,
            happened: sender,
            alive,
        };
        Ok(Self {
            address,
            started: Instant::now(),
            next: 0,
            queues: Map::new(),
            happened,
            accepting: tokio::spawn(accept(listener, tasks.clone())),
            tasks,
            ended,
        })
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Transport for Tcp {
    type Peer = SocketAddr;

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn epoch(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
    }

    fn dial(&mut self, peer: SocketAddr) {
        // Even numbers are ours, odd ones those of who comes in.
        self.next += 2;
        tokio::spawn(dial(peer, ConnectionId(self.next), self.tasks.clone()));
    }

    fn send(&mut self, connection: ConnectionId, frame: Bytes) {
        if let Some(queue) = self.queues.get(&connection) {
            // If its task has ended, what follows is that it closed.
            let _ = queue.send(frame);
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.queues.remove(&connection);
    }

    async fn event(&mut self, deadline: Duration) -> Option<Event<SocketAddr>> {
        loop {
            let happened = tokio::select! {
                happened = self.happened.recv() => happened?,
                () = sleep_until(self.started + deadline) => return None,
            };
            let known = |id| self.queues.contains_key(id);
            return Some(match happened {
                Happened::Opened {
                    id,
                    peer,
                    dialled,
                    queue,
                } => {
                    self.queues.insert(id, queue);
                    Event::Connected {
                        connection: id,
                        peer,
                        dialled,
                    }
                }
                Happened::DialFailed { peer, reason } => Event::DialFailed { peer, reason },
                Happened::Frame(id, frame) if known(&id) => Event::Frame(id, frame),
                Happened::Written(id) if known(&id) => Event::Written(id),
                Happened::Closed(id) if self.queues.remove(&id).is_some() => Event::Closed(id),
                // Words of a connection that was closed here.
                Happened::Frame(..) | Happened::Written(_) | Happened::Closed(_) => continue,
            });
        }
    }

    async fn finish(mut self) {
        self.accepting.abort();
        self.queues = Map::new();
        let (_, none) = mpsc::channel(1);
        // Nobody listens any more: readers end.
        self.happened = none;
        self.tasks.alive = mpsc::channel(1).0;
        // The connections' tasks end by themselves, at the latest by their own time limits.
        while self.ended.recv().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, tasks: Tasks) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let mut next = 1;
    loop {
        let Ok(place) = Arc::clone(&strangers).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of descriptors, most likely: others close.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (id, tasks) = (ConnectionId(next), tasks.clone());
        next += 2;
        tokio::spawn(async move {
            let mut stream = stream;
            let hello = timeout(HELLO_WITHIN, greet(&mut stream, tasks.address)).await;
            drop(place);
            if let Ok(Ok(peer)) = hello {
                talk(stream, id, peer, None, tasks).await;
            }
        });
    }
}

async fn dial(peer: SocketAddr, id: ConnectionId, tasks: Tasks) {
    let opening = async {
        let mut stream = TcpStream::connect(peer).await?;
        let called = greet(&mut stream, tasks.address).await?;
        io::Result::Ok((stream, called))
    };
    let reason = match timeout(HELLO_WITHIN, opening).await {
        Ok(Ok((stream, called))) => return talk(stream, id, called, Some(peer), tasks).await,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    // If the driver is gone nobody waits for this.
    let _ = tasks.happened.send(Happened::DialFailed { peer, reason }).await;
}

/// Says who is here and hears who is there.
async fn greet(stream: &mut TcpStream, me: SocketAddr) -> io::Result<SocketAddr> {
    let no_member = || io::Error::new(io::ErrorKind::InvalidData, "no member of a swarm is there");
    stream.set_nodelay(true)?;
    let hello = codec::encode(MAGIC.to_vec(), &me).map_err(|_| no_member())?;
    let mut bytes = (hello.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&hello);
    stream.write_all(&bytes).await?;
    let theirs = read_frame(stream, HELLO_LEN_MAX)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => no_member(),
            _ => error,
        })?;
    let peer = theirs.strip_prefix(MAGIC.as_slice()).ok_or_else(no_member)?;
    codec::decode(peer).map_err(|_| no_member())
}

/// From the hello to the end.
async fn talk(
    stream: TcpStream,
    id: ConnectionId,
    peer: SocketAddr,
    dialled: Option<SocketAddr>,
    tasks: Tasks,
) {
    let Tasks {
        happened,
        alive: _alive,
        ..
    } = tasks;
    let (queue, queued) = mpsc::unbounded_channel();
    let opened = Happened::Opened {
        id,
        peer,
        dialled,
        queue,
    };
    if happened.send(opened).await.is_err() {
        return;
    }
    let (mut reader, writer) = stream.into_split();
    tokio::select! {
        () = read_all(&mut reader, id, &happened) => {}
        sent = write_all(writer, queued, id, &happened) => if sent.is_ok() {
            // Closed from here: what was sent arrives only if what comes meanwhile is read.
            let rest = async { while matches!(reader.read(&mut [0; 1_024]).await, Ok(1..)) {} };
            let _ = timeout(LINGER, rest).await;
        },
    }
    let _ = happened.send(Happened::Closed(id)).await;
}

async fn read_all(
    reader: &mut (impl AsyncRead + Unpin),
    id: ConnectionId,
    happened: &mpsc::Sender<Happened>,
) {
    while let Ok(frame) = read_frame(reader, wire::LEN_MAX).await {
        if happened.send(Happened::Frame(id, frame.into())).await.is_err() {
            return;
        }
    }
}

/// One frame of at most `len_max` bytes. Its length is looked at before there is a place for it.
async fn read_frame(reader: &mut (impl AsyncRead + Unpin), len_max: usize) -> io::Result<Vec<u8>> {
    let len = reader.read_u32().await? as usize;
    if len > len_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long a frame"));
    }
    let mut frame = vec![0; len];
    reader.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Writes until the queue is closed and empty, and says so to the other side.
async fn write_all(
    writer: impl AsyncWrite + Unpin,
    mut queued: mpsc::UnboundedReceiver<Bytes>,
    id: ConnectionId,
    happened: &mpsc::Sender<Happened>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(16 * 1024, writer);
    while let Some(frame) = queued.recv().await {
        let write = async {
            writer.write_u32(frame.len() as u32).await?;
            writer.write_all(&frame).await?;
            if queued.is_empty() {
                writer.flush().await?;
            }
            io::Result::Ok(())
        };
        timeout(WRITE_WITHIN, write).await??;
        // When the driver is gone, what it sent still leaves.
        let _ = happened.send(Happened::Written(id)).await;
    }
    timeout(WRITE_WITHIN, writer.shutdown()).await?
}
