//! Members in one process, for tests: a network that can be cut.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Config, ConnectionId, Event, Node, Transport};
use crate::typed::Messages;

/// A network in memory. What is sent arrives at once, unless it is cut.
#[derive(Clone, Debug, Default)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<u64, Member>,
    /// Both ends of each connection.
    connections: BTreeMap<ConnectionId, (u64, u64)>,
    cut: BTreeSet<(u64, u64)>,
    next: u64,
    births: u64,
}

#[derive(Debug)]
struct Member {
    epoch: u64,
    events: mpsc::UnboundedSender<Event<u64>>,
}

impl Network {
    /// A network with nobody on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A node called `name`, run on the current tokio runtime; the name seeds its random source. A node that had the
    /// name before leaves the network.
    #[must_use]
    pub fn bind<M: Messages>(&self, name: u64, config: Config) -> Node<M, u64> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&name.to_be_bytes());
        let (node, driver) = Node::start(self.transport(name), config, seed);
        tokio::spawn(driver);
        node
    }

    /// A place on the network.
    #[must_use]
    pub fn transport(&self, name: u64) -> Memory {
        let (sender, events) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.disconnect(|(a, b)| a == name || b == name);
        state.births += 1;
        // Message numbers start here, apart from those of earlier nodes of this name.
        let epoch = state.births << 32;
        let member = Member {
            epoch,
            events: sender,
        };
        state.members.insert(name, member);
        Memory {
            name,
            epoch,
            network: self.clone(),
            events,
            started: Instant::now(),
        }
    }

    /// Two members cannot reach each other any more. Their connections break.
    pub fn cut(&self, one: u64, other: u64) {
        let mut state = self.state();
        let pair = (one.min(other), one.max(other));
        state.cut.insert(pair);
        state.disconnect(|ends| ends == pair || ends == (pair.1, pair.0));
    }

    /// They can again.
    pub fn heal(&self, one: u64, other: u64) {
        self.state().cut.remove(&(one.min(other), one.max(other)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self, member: u64, event: Event<u64>) {
        if let Some(member) = self.members.get(&member) {
            // A node that has ended receives nothing.
            let _ = member.events.send(event);
        }
    }

    fn disconnect(&mut self, which: impl Fn((u64, u64)) -> bool) {
        let gone: Vec<_> = self.connections.extract_if(.., |_, ends| which(*ends)).collect();
        for (id, (a, b)) in gone {
            self.tell(a, Event::Closed(id));
            self.tell(b, Event::Closed(id));
        }
    }
}

/// A member's place on a [`Network`].
#[derive(Debug)]
pub struct Memory {
    name: u64,
    epoch: u64,
    network: Network,
    events: mpsc::UnboundedReceiver<Event<u64>>,
    started: Instant,
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut state = self.network.state();
        let name = self.name;
        // Another node may have the name by now.
        if state
            .members
            .get(&name)
            .is_some_and(|member| member.epoch == self.epoch)
        {
            state.disconnect(|(a, b)| a == name || b == name);
            state.members.remove(&name);
        }
    }
}

impl Transport for Memory {
    type Peer = u64;

    fn address(&self) -> u64 {
        self.name
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn dial(&mut self, peer: u64) {
        let me = self.name;
        let mut state = self.network.state();
        let reachable =
            state.members.contains_key(&peer) && !state.cut.contains(&(me.min(peer), me.max(peer)));
        if !reachable {
            let reason = "nobody is there".to_owned();
            return state.tell(me, Event::DialFailed { peer, reason });
        }
        state.next += 1;
        let connection = ConnectionId(state.next);
        state.connections.insert(connection, (me, peer));
        for (to, other, dialled) in [(peer, me, None), (me, peer, Some(peer))] {
            let opened = Event::Connected {
                connection,
                peer: other,
                dialled,
            };
            state.tell(to, opened);
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: Bytes) {
        let state = self.network.state();
        if let Some((a, b)) = state.connections.get(&connection).copied() {
            let to = if a == self.name { b } else { a };
            state.tell(to, Event::Frame(connection, frame));
            state.tell(self.name, Event::Written(connection));
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        let mut state = self.network.state();
        if let Some((a, b)) = state.connections.remove(&connection) {
            let to = if a == self.name { b } else { a };
            state.tell(to, Event::Closed(connection));
        }
    }

    async fn event(&mut self, deadline: Duration) -> Option<Event<u64>> {
        tokio::select! {
            event = self.events.recv() => event,
            () = sleep_until(self.started + deadline) => None,
        }
    }

    async fn finish(self) {}
}
