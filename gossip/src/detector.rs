//! Failure detection by gossiped heartbeats.
//!
//! After van Renesse, Minsky, Hayden ("A Gossip-Style Failure Detection Service", Middleware 1998): each peer counts
//! its heartbeats, a peer that learns of a higher counter forwards it, and each judges by its own clock when it last
//! saw a counter rise. No peer is polled, so watching a hundred peers costs only their heartbeats.
//!
//! A peer goes *alive* → *suspect* → *dead* → *gone*, one step at a time, each reported once ([`Detector::poll`]); a
//! higher counter makes it alive again at any step. A suspect gets no new work. A dead peer is replaced. A peer that
//! is gone is forgotten, except for its counter, which is kept for some hours so that old heartbeats do not revive it.
//!
//! **False suspicions.** A living peer is suspected when no rise of its counter arrives for `missed_max` periods and a
//! half: one heartbeat lost is never enough, nor one that is half a period late. With losses of one in ten on each of
//! three ways, two heartbeats in a row are lost on all of them once in a million; in practice a link or a machine
//! stalls for longer, and then the suspicion is justified. A false suspicion costs little: the next heartbeat revokes
//! it. A dead peer is seen as alive for as long as `missed_max` periods and a half, plus the time gossip takes.
//!
//! **Suspected partition.** If this peer did not run for a while (a frozen tab, a sleeping machine), all others seem
//! silent: time in which [`Detector::tick`] was not called does not count. If many seem to have died within
//! [`Config::dead_after`], this peer is more likely cut off than they are dead: while
//! [`Detector::suspects_partition`], nothing should be done about it, until enough of them are heard again or
//! forgotten. If the suspicion ended earlier, it would end before a death has consequences, and be useless.

use core::fmt::Debug;
use core::time::Duration;
use std::collections::VecDeque;

use ordered::Map;

/// Time for which an old counter does not revive a peer that is gone. Longer than old heartbeats circulate, and short
/// enough that a peer whose counter ran ahead, for instance by a wrong clock, is not dead for good. A guess.
const GONE_KEPT: Duration = Duration::from_hours(6);

/// When a peer changes its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Interval of heartbeats.
    pub heartbeat_every: Duration,
    /// Heartbeats in a row that may be missed before a peer is suspect.
    pub missed_max: u32,
    /// Silence after which a suspect is dead.
    pub dead_after: Duration,
    /// Silence after which the dead are forgotten.
    pub gone_after: Duration,
    /// This peer suspects a partition when more than this share of all peers, itself included, fell silent at once …
    pub partition_share: f64,
    /// … and at least this many: of three peers one may die.
    pub partition_min: usize,
    /// Peers watched. Policy when full: the peer silent for longest is forgotten, unless all live; then new peers are
    /// not watched.
    pub peers_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_every: Duration::from_secs(5),
            missed_max: 2,
            dead_after: Duration::from_secs(30),
            gone_after: Duration::from_mins(60),
            partition_share: 0.3,
            partition_min: 3,
            peers_max: 1_024,
        }
    }
}

impl Config {
    /// Silence after which a peer is suspect.
    #[must_use]
    pub fn suspect_after(&self) -> Duration {
        // Half a period more, so that a heartbeat that is merely late does not count as missed.
        self.heartbeat_every * self.missed_max + self.heartbeat_every / 2
    }
}

/// What a peer seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Heard of lately.
    Alive,
    /// Inactive: two heartbeats are missing, or as many as configured.
    Suspect,
    /// Silent for so long that others take its place.
    Dead,
}

/// A peer is judged otherwise than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<P> {
    /// The peer.
    pub peer: P,
    /// What it was; `None`: unknown.
    pub from: Option<State>,
    /// What it is; `None`: forgotten.
    pub to: Option<State>,
    /// How long it has been silent.
    pub silent: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    counter: u64,
    heard: Duration,
    state: State,
    /// It said goodbye.
    left: bool,
}

/// Judges peers. See the module.
#[derive(Debug)]
pub struct Detector<P> {
    config: Config,
    peers: Map<P, Watched>,
    changes: VecDeque<Change<P>>,
    /// The last counters of peers that are gone, and since when, so that old heartbeats do not revive them. At most
    /// [`Config::peers_max`]; policy when full: the lowest counter goes.
    gone: Map<P, (u64, Duration)>,
    last_tick: Duration,
    /// Not later than the next change of state by silence.
    deadline: Duration,
    /// While a partition is suspected: peers that fell silent later than this are the reason.
    suspected_since: Option<Duration>,
}

impl<P: Copy + Ord + Debug> Detector<P> {
    /// A detector that watches no peers yet.
    #[must_use]
    pub const fn new(config: Config, now: Duration) -> Self {
        Self {
            config,
            peers: Map::new(),
            changes: VecDeque::new(),
            gone: Map::new(),
            last_tick: now,
            deadline: Duration::MAX,
            suspected_since: None,
        }
    }

    /// The next change. Drain it after every call.
    pub fn poll(&mut self) -> Option<Change<P>> {
        self.changes.pop_front()
    }

    /// A heartbeat of `peer` came, from itself or passed on. True: it is a new one, worth passing on.
    pub fn heard(&mut self, peer: P, counter: u64, now: Duration) -> bool {
        self.wake(now);
        let known = self.peers.get_mut(&peer);
        if known.as_ref().is_some_and(|known| counter <= known.counter) {
            return false;
        }
        if known.is_none() && self.gone.get(&peer).is_some_and(|(gone, _)| counter <= *gone) {
            return false;
        }
        let from = known.as_ref().map(|known| known.state);
        let silent = known.map_or(Duration::ZERO, |known| now.saturating_sub(known.heard));
        if from.is_none() && self.peers.len() >= self.config.peers_max && !self.make_room(now) {
            return false;
        }
        let watched = Watched {
            counter,
            heard: now,
            state: State::Alive,
            left: false,
        };
        self.peers.insert(peer, watched);
        self.gone.remove(&peer);
        self.deadline = self.deadline.min(now + self.config.suspect_after());
        if from != Some(State::Alive) {
            self.changes.push_back(Change {
                peer,
                from,
                to: Some(State::Alive),
                silent,
            });
            self.judge_itself(now);
        }
        true
    }

    /// It said goodbye: nothing more is to come. Told as a death, at once.
    pub fn left(&mut self, peer: &P, now: Duration) {
        if let Some(watched) = self.peers.get_mut(peer)
            && watched.state != State::Dead
        {
            let from = core::mem::replace(&mut watched.state, State::Dead);
            watched.left = true;
            watched.heard = now;
            self.deadline = self.deadline.min(watched.heard + self.config.gone_after);
            self.changes.push_back(Change {
                peer: *peer,
                from: Some(from),
                to: Some(State::Dead),
                silent: Duration::ZERO,
            });
        }
    }

    /// Time passed. Call it at [`Detector::next_deadline`] at the latest, and at least once a period.
    pub fn tick(&mut self, now: Duration) {
        self.wake(now);
        self.gone
            .retain(|_, (_, since)| now.saturating_sub(*since) < GONE_KEPT);
        if now < self.deadline {
            return;
        }
        let config = &self.config;
        self.deadline = Duration::MAX;
        let mut gone = Vec::new();
        for (peer, watched) in self.peers.iter_mut() {
            let silent = now.saturating_sub(watched.heard);
            loop {
                let (next, after) = match watched.state {
                    State::Alive => (Some(State::Suspect), config.suspect_after()),
                    State::Suspect => (Some(State::Dead), config.dead_after),
                    State::Dead => (None, config.gone_after),
                };
                if silent < after {
                    self.deadline = self.deadline.min(watched.heard + after);
                    break;
                }
                self.changes.push_back(Change {
                    peer: *peer,
                    from: Some(watched.state),
                    to: next,
                    silent,
                });
                match next {
                    Some(next) => watched.state = next,
                    None => {
                        gone.push(*peer);
                        break;
                    }
                }
            }
        }
        for peer in gone {
            self.forget(&peer, now);
        }
        self.judge_itself(now);
    }

    /// From now on heartbeats are expected this often, and a peer silent for `dead_after` is dead: for a peer that
    /// hears them more slowly than they are sent.
    pub fn set_pace(&mut self, heartbeat_every: Duration, dead_after: Duration) {
        if heartbeat_every < self.config.heartbeat_every {
            // A peer may be due earlier.
            self.deadline = Duration::ZERO;
        }
        self.config.heartbeat_every = heartbeat_every;
        self.config.dead_after = dead_after;
    }

    /// When [`Detector::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Duration {
        self.deadline.min(self.last_tick + self.config.heartbeat_every)
    }

    /// Forgets a peer that is not to be watched any more; no change is reported.
    pub fn remove(&mut self, peer: &P) {
        self.peers.remove(peer);
    }

    /// What a peer seems to be; `None`: never heard of, or gone.
    #[must_use]
    pub fn state(&self, peer: &P) -> Option<State> {
        self.peers.get(peer).map(|watched| watched.state)
    }

    /// The highest heartbeat heard of, also of who is gone, as long as that counts.
    #[must_use]
    pub fn counter(&self, peer: &P) -> Option<u64> {
        let watched = self.peers.get(peer).map(|watched| watched.counter);
        watched.or_else(|| self.gone.get(peer).map(|(counter, _)| *counter))
    }

    /// How long a peer has been dead by now. `None`: it is not.
    #[must_use]
    pub fn dead_for(&self, peer: &P, now: Duration) -> Option<Duration> {
        let watched = self.peers.get(peer)?;
        let silent = now.saturating_sub(watched.heard);
        let seemed_alive = if watched.left {
            Duration::ZERO
        } else {
            self.config.dead_after
        };
        (watched.state == State::Dead).then(|| silent.saturating_sub(seemed_alive))
    }

    /// The watched peers and their states.
    pub fn peers(&self) -> impl Iterator<Item = (&P, State)> {
        self.peers.iter().map(|(peer, watched)| (peer, watched.state))
    }

    /// Whether a partition is suspected: many peers fell silent at once, so this peer is more likely cut off. Changes
    /// of state are reported meanwhile, but should have no consequences.
    #[must_use]
    pub const fn suspects_partition(&self) -> bool {
        self.suspected_since.is_some()
    }

    /// Does not count time in which this peer did not run as silence of others.
    fn wake(&mut self, now: Duration) {
        let slept = now.saturating_sub(self.last_tick);
        self.last_tick = self.last_tick.max(now);
        if slept >= self.config.suspect_after() {
            for watched in self.peers.values_mut() {
                watched.heard += slept;
            }
            self.deadline = self.deadline.saturating_add(slept);
        }
    }

    fn judge_itself(&mut self, now: Duration) {
        // Only peers that fell silent together count, not those that died long ago or left in order.
        let recent = now.saturating_sub(self.config.dead_after * 2);
        let since = self.suspected_since.unwrap_or(recent);
        let silent = self
            .peers
            .values()
            .filter(|watched| watched.state != State::Alive && !watched.left)
            .filter(|watched| watched.heard >= since)
            .count();
        let all = self.peers.len() + 1;
        let suspected =
            silent >= self.config.partition_min && silent as f64 > self.config.partition_share * all as f64;
        self.suspected_since = suspected.then_some(since);
        if suspected {
            // Some of them may leave in order.
            self.deadline = self.deadline.min(now + self.config.heartbeat_every);
        }
    }

    /// Forgets the peer that was silent for longest; returns false if all live.
    fn make_room(&mut self, now: Duration) -> bool {
        let silent = self
            .peers
            .iter()
            .filter(|(_, watched)| watched.state != State::Alive)
            .min_by_key(|(_, watched)| watched.heard)
            .map(|(peer, watched)| (*peer, *watched));
        let Some((peer, watched)) = silent else {
            return false;
        };
        self.forget(&peer, now);
        self.changes.push_back(Change {
            peer,
            from: Some(watched.state),
            to: None,
            silent: now.saturating_sub(watched.heard),
        });
        true
    }

    fn forget(&mut self, peer: &P, now: Duration) {
        let Some(watched) = self.peers.remove(peer) else {
            return;
        };
        if self.gone.len() >= self.config.peers_max {
            let lowest = self.gone.iter().min_by_key(|(_, (counter, _))| *counter);
            if let Some(lowest) = lowest.map(|(peer, _)| *peer) {
                self.gone.remove(&lowest);
            }
        }
        self.gone.insert(*peer, (watched.counter, now));
    }
}
