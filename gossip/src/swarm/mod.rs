//! A member of a swarm: overlay, broadcast and history put together, for messages that no store of the caller keeps.
//!
//! Programs with a store of their own (such as signed feeds) use [`crate::membership`] and [`crate::broadcast`]
//! directly and ask their store instead. Everybody else calls [`Swarm::broadcast`] and reads [`Output::Delivered`].
//! Sans-I/O like its parts: one input, drain [`Swarm::poll`], wait until [`Swarm::next_deadline`].
//!
//! Invariant: a message is delivered once, whatever the network repeats; what was missed is found by comparing digests
//! with a neighbour, at every new link and once in [`SYNC_EVERY`].

mod history;
mod message;

use core::fmt::Debug;
use core::hash::Hash;
use core::time::Duration;
use std::collections::VecDeque;

use rand_core::Rng;

use crate::broadcast::{self, AuthorActivity, Broadcast, Item, Rank, Route, Tree};
use crate::membership::{self, Config, Membership, jitter};
pub use history::{BYTES_MAX, DIGEST_MAX, DIGEST_SEQS_MAX, History, MESSAGES_MAX, ORIGINS_MAX, Stored};
pub use message::{Held, Message, MessageId};

/// How often one neighbour is compared with (anti-entropy).
pub const SYNC_EVERY: Duration = Duration::from_secs(30);
/// Bytes of payload that may wait for one neighbour's connection. Beyond it news is announced to it, not sent.
pub const CREDIT_WINDOW: u32 = 1 << 20;
/// Messages announced in answer to one digest.
const LACKING_MAX: usize = 1_024;

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P, B> {
    /// Connect to a peer.
    Dial(P),
    /// Send a message on the connection to a peer.
    Send(P, Message<P, B>),
    /// Close the connection to a peer after what was sent.
    Close(P, &'static str),
    /// A message arrived that was broadcast.
    Delivered {
        /// Its name.
        id: MessageId<P>,
        /// What it says.
        body: B,
        /// Links it travelled.
        hops: u8,
    },
    /// A message arrived for this member alone.
    Received(P, B),
    /// A neighbour was won.
    Up(P),
    /// A neighbour was lost.
    Down(P, membership::Cause),
}

/// One member. `P` names members, `B` is what messages say. See the module.
#[derive(Debug)]
pub struct Swarm<P, B> {
    me: P,
    membership: Membership<P>,
    broadcast: Broadcast<P, MessageId<P>>,
    history: History<P, B>,
    activity: AuthorActivity,
    seq: u64,
    outputs: VecDeque<Output<P, B>>,
    next_sync: Duration,
}

impl<P: Copy + Ord + Hash + Debug, B: Clone> Swarm<P, B> {
    /// A member that knows nobody. `epoch`: higher at every start, such as the Unix time in milliseconds; the member's
    /// messages and heartbeats are counted from it, so that a restart repeats none.
    #[must_use]
    pub fn new(me: P, config: Config, epoch: u64, now: Duration, rng: &mut impl Rng) -> Self {
        Self {
            me,
            membership: Membership::new(me, config, epoch, now, rng),
            broadcast: Broadcast::new(broadcast::Config {
                credit_window: CREDIT_WINDOW,
                eager_start: Some(broadcast::EAGER_START),
            }),
            history: History::default(),
            activity: AuthorActivity::default(),
            seq: epoch,
            outputs: VecDeque::new(),
            next_sync: now + jitter(SYNC_EVERY, rng),
        }
    }

    /// The next thing to be done. Drain it after every call.
    pub fn poll(&mut self) -> Option<Output<P, B>> {
        self.outputs.pop_front()
    }

    /// A member to join through became known.
    pub fn learn(&mut self, peer: P, anchor: bool, now: Duration, rng: &mut impl Rng) {
        self.membership.learn(peer, anchor, now, rng);
        self.drain(now);
    }

    /// Says something to everybody. `len`: bytes of the body.
    pub fn broadcast(&mut self, body: B, len: usize, now: Duration) -> MessageId<P> {
        self.seq += 1;
        let id = MessageId {
            origin: self.me,
            seq: self.seq,
        };
        let tree = self.activity.tree(&self.me, now);
        self.history.insert(id, Stored { body, len, hops: 0 });
        self.broadcast.publish(item(id), tree, len, now, |_| true);
        self.drain(now);
        id
    }

    /// Says something to one neighbour. False: it is none.
    pub fn send(&mut self, to: P, body: B) -> bool {
        let is_neighbour = self.membership.is_neighbour(&to);
        if is_neighbour {
            self.outputs.push_back(Output::Send(to, Message::Direct(body)));
        }
        is_neighbour
    }

    /// The last call: tells every neighbour that this member goes, and of another one that loses a neighbour by it, so
    /// that the two can take each other. What is to be sent and closed comes out of [`Swarm::poll`].
    pub fn leave(&mut self) {
        let left: Vec<P> = self.membership.neighbours().copied().collect();
        for (at, peer) in left.iter().enumerate() {
            let others = left.iter().cycle().skip(at + 1).take(left.len() - 1);
            let peers = others
                .take(membership::SAMPLE_MAX)
                .map(|other| membership::Descriptor {
                    peer: *other,
                    anchor: self.membership.is_anchor(other),
                    heartbeat: 0,
                    age_s: 0,
                })
                .collect();
            let leave = Message::Overlay(membership::Message::Leave { peers });
            self.outputs.push_back(Output::Send(*peer, leave));
            self.outputs.push_back(Output::Close(*peer, "this member leaves"));
        }
    }

    /// A connection opened.
    pub fn on_connected(&mut self, peer: P, dialled: bool, now: Duration, rng: &mut impl Rng) {
        self.membership.on_connected(peer, dialled, now, rng);
        self.drain(now);
    }

    /// A connection is gone.
    pub fn on_disconnected(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        self.membership.on_disconnected(peer, now, rng);
        self.drain(now);
    }

    /// Dialling came to nothing.
    pub fn on_dial_failed(&mut self, peer: &P, now: Duration, rng: &mut impl Rng) {
        self.membership.on_dial_failed(peer, now, rng);
        self.drain(now);
    }

    /// A peer broke the protocol: it is not linked with for a while. The caller closes the connection.
    pub fn ban(&mut self, peer: P, now: Duration, rng: &mut impl Rng) {
        self.membership.ban(peer, now, rng);
        self.drain(now);
    }

    /// A message arrived. `body_len` measures a body. An error is a breach of the protocol: close the connection.
    pub fn on_message(
        &mut self,
        from: P,
        message: Message<P, B>,
        body_len: impl Fn(&B) -> usize,
        now: Duration,
        rng: &mut impl Rng,
    ) -> Result<(), &'static str> {
        let message = match message {
            Message::Overlay(message) => {
                let result = self.membership.on_message(from, message, now, rng);
                self.drain(now);
                return result;
            }
            message => message,
        };
        if !self.membership.is_neighbour(&from) {
            // Late words of a former neighbour.
            return Ok(());
        }
        self.membership.heard(&from, now);
        match message {
            Message::Overlay(_) => {}
            Message::News { id, route, body } => self.on_news(from, id, route, body, body_len, now),
            Message::Announce(items) => {
                let history = &self.history;
                let news = self.broadcast.on_announce(
                    from,
                    &items,
                    now,
                    |item| history.has(&item.key),
                    |id| Rank::of(&id.origin),
                );
                self.membership.add_merit(&from, news);
            }
            Message::Graft { id, tree } => {
                self.broadcast.on_graft(&from, tree, now);
                if let Some(id) = id
                    && let Some(stored) = self.history.get(&id)
                {
                    self.broadcast.spend(&from, stored.len);
                    let news = Message::News {
                        id,
                        route: Route {
                            tree,
                            hops: stored.hops,
                        },
                        body: stored.body.clone(),
                    };
                    self.outputs.push_back(Output::Send(from, news));
                }
            }
            Message::Prune { tree } => self.broadcast.on_prune(&from, tree, now),
            Message::Digest(digest) => {
                for id in self.history.lacking(&digest, LACKING_MAX) {
                    self.broadcast.announce(&from, item(id), Tree::TRUNK, now);
                }
            }
            Message::Direct(body) => self.outputs.push_back(Output::Received(from, body)),
        }
        self.drain(now);
        Ok(())
    }

    /// Handles that `bytes` of payload from [`Output::Send`] were written to `peer`: the connection accepts more.
    pub fn on_written(&mut self, peer: &P, bytes: usize) {
        self.broadcast
            .grant(peer, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Time passed.
    pub fn tick(&mut self, now: Duration, rng: &mut impl Rng) {
        let broadcast = &self.broadcast;
        self.membership
            .tick(now, rng, |peer| broadcast.carries(peer, now));
        self.broadcast.tick(now);
        if now >= self.next_sync {
            self.next_sync = now + SYNC_EVERY / 2 + jitter(SYNC_EVERY, rng);
            let n = self.membership.neighbours_len();
            if n > 0 {
                let with = self
                    .membership
                    .neighbours()
                    .nth(membership::pick(n, rng))
                    .copied();
                if let Some(with) = with {
                    self.sync(with);
                }
            }
        }
        self.drain(now);
    }

    /// When [`Swarm::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Duration {
        let own = self.membership.next_deadline().min(self.next_sync);
        self.broadcast.next_deadline().map_or(own, |at| at.min(own))
    }

    /// The overlay.
    #[must_use]
    pub const fn membership(&self) -> &Membership<P> {
        &self.membership
    }

    /// How news spreads from here.
    #[must_use]
    pub const fn spreading(&self) -> &Broadcast<P, MessageId<P>> {
        &self.broadcast
    }

    /// What happened to news.
    #[must_use]
    pub const fn counters(&self) -> &broadcast::Counters {
        self.broadcast.counters()
    }

    /// The messages held.
    #[must_use]
    pub const fn history(&self) -> &History<P, B> {
        &self.history
    }

    fn on_news(
        &mut self,
        from: P,
        id: MessageId<P>,
        route: Route,
        body: B,
        body_len: impl Fn(&B) -> usize,
        now: Duration,
    ) {
        if self.history.has(&id) {
            let rank = Rank::of(&id.origin);
            return self.broadcast.on_duplicate(from, item(id), route.tree, rank, now);
        }
        let len = body_len(&body);
        let hops = route.hops.saturating_add(1);
        let stored = Stored {
            body: body.clone(),
            len,
            hops,
        };
        self.history.insert(id, stored);
        self.membership.add_merit(&from, 1);
        self.broadcast
            .on_news(from, item(id), route, Rank::of(&id.origin), len, now, |_| true);
        self.outputs.push_back(Output::Delivered { id, body, hops });
    }

    fn sync(&mut self, with: P) {
        let digest = self.history.digest();
        self.outputs
            .push_back(Output::Send(with, Message::Digest(digest)));
    }

    fn drain(&mut self, now: Duration) {
        while let Some(output) = self.membership.poll() {
            match output {
                membership::Output::Dial(peer) => self.outputs.push_back(Output::Dial(peer)),
                membership::Output::Send(peer, message) => {
                    self.outputs
                        .push_back(Output::Send(peer, Message::Overlay(message)));
                }
                membership::Output::Close(peer, why) => self.outputs.push_back(Output::Close(peer, why)),
                membership::Output::Up(peer) => {
                    self.broadcast.on_up(peer);
                    self.outputs.push_back(Output::Up(peer));
                    self.sync(peer);
                }
                membership::Output::Down(peer, cause) => {
                    self.broadcast.on_down(&peer, now);
                    self.outputs.push_back(Output::Down(peer, cause));
                }
                membership::Output::Rtt(peer, rtt) => self.broadcast.set_rtt(&peer, rtt),
            }
        }
        while let Some(output) = self.broadcast.poll() {
            let (to, message) = match output {
                broadcast::Output::Push { to, item, route } => {
                    let Some(stored) = self.history.get(&item.key) else {
                        continue;
                    };
                    let body = stored.body.clone();
                    let id = item.key;
                    (to, Message::News { id, route, body })
                }
                broadcast::Output::Announce { to, items } => (to, Message::Announce(items)),
                broadcast::Output::Reconcile { with } => (with, Message::Digest(self.history.digest())),
                broadcast::Output::Graft { to, item, tree } => {
                    let id = item.map(|item| item.key);
                    (to, Message::Graft { id, tree })
                }
                broadcast::Output::Prune { to, tree } => (to, Message::Prune { tree }),
            };
            self.outputs.push_back(Output::Send(to, message));
        }
    }
}

const fn item<P>(id: MessageId<P>) -> Item<MessageId<P>> {
    Item { key: id, upto: 1 }
}
