//! What a user who posts all the time sees of the relays: whether there is one, and how long each post waits for a
//! relay's signature.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::wait::DEADLINE;
use crate::{NativePeer, native};

/// The last posts are signed for in far less; the rest is a busy machine.
const SIGNED_WITHIN: Duration = Duration::from_secs(60);

/// A user who posts until stopped.
#[derive(Debug)]
pub struct ContinuousPoster {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Seen>>,
    sees: watch::Receiver<native::Seen>,
}

#[derive(Debug)]
pub struct Seen {
    /// The one who posted.
    pub author: NativePeer,
    /// How long each post waited for the first receipt of a relay, in order.
    pub signed: Vec<Duration>,
    /// The longest time without a link to any relay.
    pub alone: Duration,
    /// The longest time with a link to one relay at most.
    pub with_one: Duration,
}

impl ContinuousPoster {
    /// Posts "post 0", "post 1" and so on, one each `pause`. All the author wrote before must be signed for.
    #[must_use]
    pub fn begin(author: NativePeer, pause: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let sees = author.watch();
        let task = tokio::spawn(keep(author, pause, stopped));
        Self { stop, task, sees }
    }

    /// Waits until the author is linked with this many relays.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn linked_with(&self, relays: u32) -> Result<()> {
        let mut sees = self.sees.clone();
        let linked = sees.wait_for(|seen| seen.status.relays >= relays);
        tokio::time::timeout(DEADLINE, linked)
            .await
            .with_context(|| format!("the author is not linked with {relays} relays"))??;
        Ok(())
    }

    /// Waits until all posts are signed for; what was seen.
    ///
    /// # Errors
    /// If a post was refused, or is never signed for.
    pub async fn end(self) -> Result<Seen> {
        // Who is gone has an error to tell.
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// A state that comes and goes, and the longest it lasted.
#[derive(Debug, Default)]
struct Spell {
    since: Option<Instant>,
    longest: Duration,
}

impl Spell {
    fn is(&mut self, on: bool) {
        let now = Instant::now();
        if let Some(since) = self.since {
            self.longest = self.longest.max(now - since);
        }
        self.since = on.then(|| self.since.unwrap_or(now));
    }
}

async fn keep(author: NativePeer, pause: Duration, mut stopped: oneshot::Receiver<()>) -> Result<Seen> {
    let mut seen = author.watch();
    ensure!(seen.borrow().status.not_durable == 0, "something waits already");
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut alone, mut with_one) = (Spell::default(), Spell::default());
    let (mut waiting, mut signed) = (VecDeque::new(), Vec::new());
    let mut ending: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = &mut stopped, if ending.is_none() => ending = Some(Instant::now()),
            _ = ticks.tick() => {
                let post = signed.len() + waiting.len();
                match ending {
                    None => {
                        waiting.push_back(Instant::now());
                        author.post(&format!("post {post}")).await?;
                    }
                    Some(since) => ensure!(since.elapsed() < SIGNED_WITHIN, "{} are not signed for", waiting.len()),
                }
                // Once this is answered, the status counts that post.
                author.me().await?;
            }
            changed = seen.changed() => changed.context("the author ended")?,
        }
        let status = seen.borrow_and_update().status;
        alone.is(status.relays == 0);
        with_one.is(status.relays <= 1);
        while waiting.len() > status.not_durable as usize {
            signed.extend(waiting.pop_front().map(|posted: Instant| posted.elapsed()));
        }
        if ending.is_some() && waiting.is_empty() {
            return Ok(Seen {
                author,
                signed,
                alone: alone.longest,
                with_one: with_one.longest,
            });
        }
    }
}
