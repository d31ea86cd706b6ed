//! Runs a [`Node`] in real time: wakes it at its deadlines, carries out what it wants done, and writes the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::node::{Event, Node, Output};
use crate::peers::Failure;
use crate::wire::PeerId;

/// A node and the time it lives in.
#[derive(Debug)]
pub(crate) struct Driver {
    node: Mutex<Node>,
    started: Instant,
    /// The node was given something and may have outputs.
    touched: Notify,
}

enum RequestResult {
    Told(PeerId, Result<(), Failure>),
    Answered(PeerId, Result<Vec<String>, Failure>),
}

impl Driver {
    /// The node's time begins now.
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node: Mutex::new(node),
            started: Instant::now(),
            touched: Notify::new(),
        }
    }

    /// Looks at the node, or gives it something.
    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut Node, Duration) -> T) -> T {
        let now = self.started.elapsed();
        let result = action(&mut self.node.lock().unwrap_or_else(PoisonError::into_inner), now);
        self.touched.notify_one();
        result
    }

    /// Runs for as long as it is polled. Requests under way end with it.
    pub(crate) async fn run(self: Arc<Self>, client: Client) {
        let mut requests = JoinSet::new();
        loop {
            let (outputs, deadline) = self.work();
            for output in outputs {
                match output {
                    Output::Event(event) => log(&event),
                    Output::Ask { peer } => {
                        requests.spawn(async move { RequestResult::Answered(peer, client.ask(peer).await) });
                    }
                    Output::Tell { peer, messages } => {
                        tracing::debug!(%peer, messages = messages.len(), "gossiping");
                        requests.spawn(async move {
                            RequestResult::Told(peer, client.tell(peer, messages).await)
                        });
                    }
                }
            }
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = self.touched.notified() => {}
                Some(result) = requests.join_next() => match result {
                    Ok(RequestResult::Told(peer, result)) => self.with(|node, now| node.told(peer, result, now)),
                    Ok(RequestResult::Answered(peer, result)) => {
                        self.with(|node, now| node.answered(peer, result, now));
                    }
                    Err(error) => tracing::error!(%error, "a request broke"),
                },
            }
        }
    }

    fn work(&self) -> (Vec<Output>, Instant) {
        let mut node = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        node.wake(self.started.elapsed());
        let outputs = std::iter::from_fn(|| node.poll()).collect();
        (outputs, self.started + node.deadline())
    }
}

fn log(event: &Event) {
    match event {
        Event::Chosen { version, book } => tracing::info!(version, book, "a new favourite of mine"),
        Event::Overtaken { version } => {
            tracing::info!(
                version,
                "peers remember a later version of mine; going on from there"
            );
        }
        Event::Learned { node, version, book } => tracing::info!(%node, version, book, "learned a book"),
        Event::Met { peer, contact } => tracing::info!(%peer, how = %contact, "a new peer"),
        Event::Dropped { peer, why } => tracing::warn!(%peer, %why, "dropped a peer"),
        Event::SeedFailed { seed, why } => {
            tracing::warn!(%seed, %why, "no peers from the seed; trying again");
        }
    }
}
