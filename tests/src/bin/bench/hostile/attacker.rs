//! What attacks are made of: a thread of their own with low priority, links under fresh keys, and a count of what was
//! sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use protocol::link::frame;
use protocol::messages::Message;
use protocol::messages::overlay::{Request, Wish};
use starling_tests::lan::At;
use starling_tests::link::{Identity, Link, Person, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout_at};

/// How much the priority of an attacker's thread is lowered, so that it takes no processor from the relay and the
/// honest peers beside it, which are on the same machine here.
const NICER: i32 = 10;
/// Bytes of the request that opens a WebSocket.
pub(super) const UPGRADE_BYTES: usize = 250;
/// Messages between two flushes.
const AT_ONCE: usize = 32;
/// Pause after a refused link.
const PAUSE: Duration = Duration::from_millis(20);

/// One attack while it runs.
pub(super) struct Attacker {
    pub(super) at: At,
    /// Tells keys and addresses of different attacks apart.
    number: u32,
    pub(super) until: Instant,
    pub(super) sent: AtomicU64,
    persons: AtomicU32,
    opened: AtomicUsize,
    closed: AtomicUsize,
    kept: Mutex<Vec<Kept>>,
    /// Why the relay closed links, and how many for each reason.
    pub(super) reasons: Arc<Mutex<BTreeMap<String, usize>>>,
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A link that stays open.
#[expect(dead_code, reason = "holding it keeps the link open")]
enum Kept {
    Halves(Sender, Reading),
    Other(Box<dyn std::any::Any + Send>),
}

/// A task that takes what arrives on a link. It ends with its handle.
pub(super) struct Reading(JoinHandle<()>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reading {
    /// Takes messages until the link ends; `on` sees each.
    pub(super) fn start(
        attacker: &Attacker,
        mut receiver: Receiver,
        mut on: impl FnMut(Message) + Send + 'static,
    ) -> Self {
        let reasons = Arc::clone(&attacker.reasons);
        Self(tokio::spawn(async move {
            let reason = loop {
                match receiver.next().await {
                    Ok(message) => on(message),
                    Err(reason) => break format!("{reason:#}"),
                }
            };
            *lock(&reasons).entry(reason).or_default() += 1;
        }))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Attacker {
    pub(super) fn new(at: At, number: u32, time: Duration) -> Arc<Self> {
        Arc::new(Self {
            at,
            number,
            until: Instant::now() + time,
            sent: AtomicU64::new(0),
            persons: AtomicU32::new(0),
            opened: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            kept: Mutex::default(),
            reasons: Arc::default(),
        })
    }

    /// The address that this attack comes from.
    pub(super) fn address(&self) -> IpAddr {
        address(self.number)
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// The number of a person whom the relay has never met.
    pub(super) fn number(&self) -> u32 {
        let n = self.persons.fetch_add(1, Ordering::Relaxed);
        10_000_000 * (1 + self.number) + n
    }

    pub(super) fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Links opened, and those of them that the relay closed.
    pub(super) fn links(&self) -> (usize, usize) {
        (
            self.opened.load(Ordering::Relaxed),
            self.closed.load(Ordering::Relaxed),
        )
    }

    pub(super) fn count_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Links that stay open when the attack is over.
    pub(super) fn kept(&self) -> usize {
        lock(&self.kept)
            .iter()
            .filter(|kept| !matches!(kept, Kept::Halves(_, reading) if reading.is_over()))
            .count()
    }

    fn keep_this(&self, kept: Kept) {
        lock(&self.kept).push(kept);
    }

    /// Holds something open until the memory of the relay was measured.
    pub(super) fn keep(&self, held: impl std::any::Any + Send) {
        self.keep_this(Kept::Other(Box::new(held)));
    }

    /// The same for the halves of a link.
    pub(super) fn keep_halves(&self, sender: Sender, reading: Reading) {
        self.keep_this(Kept::Halves(sender, reading));
    }

    /// A link as a person whom the relay has never met; it asks to be a neighbour.
    pub(super) async fn link(&self) -> Result<Link> {
        self.link_as(&Identity::from(&Person::new(self.number()))).await
    }

    /// A link that asks to be a neighbour.
    pub(super) async fn link_as(&self, identity: &Identity) -> Result<Link> {
        self.count(UPGRADE_BYTES);
        let linking = async {
            let mut link = Link::prove_as(self.at.clone(), identity, Some(self.address())).await?;
            link.send(&Message::Request(Request::alone(Wish::Join))).await?;
            anyhow::Ok(link)
        };
        let linked = timeout_at(self.until.into(), linking).await?;
        match linked {
            Ok(link) => {
                self.count_opened();
                self.count(link.sent());
                Ok(link)
            }
            Err(error) => {
                sleep(PAUSE).await;
                Err(error)
            }
        }
    }

    /// Sends a message and counts it.
    pub(super) async fn send(&self, sender: &mut Sender, message: &[u8]) -> Result<()> {
        for frame in frame::fragment(message) {
            self.count(frame.len());
            timeout_at(self.until.into(), sender.feed(frame)).await??;
        }
        Ok(())
    }

    /// Sends the messages that `begin` makes for a link, as fast as the relay takes them, and links again when the relay
    /// closed the link. Returns when the attack is over, or when there are no more messages.
    pub(super) async fn flood<M>(&self, mut begin: impl FnMut(&Link) -> M) -> Result<()>
    where
        M: FnMut() -> Option<Vec<u8>>,
    {
        while !self.is_over() {
            let Ok(link) = self.link().await else { continue };
            let mut next = begin(&link);
            let (mut sender, receiver) = link.split();
            let reading = Reading::start(self, receiver, |_| {});
            let sending = async {
                while !self.is_over() && !reading.is_over() {
                    for _ in 0..AT_ONCE {
                        let Some(message) = next() else {
                            sender.flush().await?;
                            return anyhow::Ok(());
                        };
                        self.send(&mut sender, &message).await?;
                    }
                    timeout_at(self.until.into(), sender.flush()).await??;
                    tokio::task::yield_now().await;
                }
                Ok(())
            };
            let sent = sending.await;
            if reading.is_over() || (sent.is_err() && !self.is_over()) {
                self.count_closed();
                continue;
            }
            self.keep_halves(sender, reading);
            break;
        }
        Ok(())
    }

    /// Links again and again under fresh keys; each link sends a few messages, is read for `time` and closed.
    pub(super) async fn bursts(
        &self,
        time: Duration,
        mut messages: impl FnMut(&Link) -> Vec<Message>,
    ) -> Result<()> {
        while !self.is_over() {
            let Ok(link) = self.link().await else { continue };
            let messages = messages(&link);
            let (mut sender, receiver) = link.split();
            let reading = Reading::start(self, receiver, |_| {});
            for message in messages {
                if self.send(&mut sender, &message.encode()).await.is_err() {
                    break;
                }
            }
            let _ = timeout_at(self.until.into(), sender.flush()).await;
            tokio::time::sleep_until((Instant::now() + time).min(self.until).into()).await;
            if reading.is_over() {
                self.count_closed();
            } else if self.is_over() {
                self.keep_halves(sender, reading);
            }
        }
        Ok(())
    }
}

/// The address that the `n`th attack comes from.
pub(super) fn address(n: u32) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(203, 0, 113, 0)) + n).into()
}

/// An attack in a thread of its own.
pub(super) struct Assault {
    attacker: Arc<Attacker>,
    thread: Option<thread::JoinHandle<Result<()>>>,
    done: oneshot::Receiver<()>,
    release: Option<oneshot::Sender<()>>,
}

impl Assault {
    pub(super) fn start<F, A>(attacker: Arc<Attacker>, attack: A) -> Result<Self>
    where
        A: FnOnce(Arc<Attacker>) -> F + Send + 'static,
        F: Future<Output = Result<()>>,
    {
        let (done_sender, done) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let theirs = Arc::clone(&attacker);
        let thread = thread::Builder::new()
            .name("attacker".to_owned())
            .spawn(move || {
                rustix::process::nice(NICER)?;
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build()?;
                runtime.block_on(async {
                    let attacked = attack(theirs).await;
                    let _ = done_sender.send(());
                    // Links are read until they may end.
                    let _ = released.await;
                    attacked
                })
            })?;
        Ok(Self {
            attacker,
            thread: Some(thread),
            done,
            release: Some(release),
        })
    }

    /// Waits until nothing more is sent. Links stay open.
    pub(super) async fn over(&mut self) -> Result<()> {
        (&mut self.done).await.context("the attack failed")
    }

    /// Closes its links.
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.release.take());
        let thread = self.thread.take().context("ended once")?;
        let ended = thread.join().ok().context("the attack panicked")?;
        lock(&self.attacker.kept).clear();
        ended
    }
}
