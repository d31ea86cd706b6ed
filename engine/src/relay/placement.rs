//! Which relays keep whose feeds, as [`crate::relays::assignment`] computes it from the directory.
//!
//! No relay decides this for another: all compute the same assignment from the same directory, ask each other for
//! "what is assigned to me, and these accounts", and offer what the other should have. So a relay that dies is
//! replaced, a new relay is filled, and a wiped relay is refilled by comparing and fetching alone.
//!
//! A relay that fell silent remains a member for a grace period, since most come back; then the next replica takes
//! over. While this relay suspects a partition, the members do not change.
//!
//! Invariants: while there are no more members than replicas, every member keeps everything; a relay that is no worker
//! is assigned nothing; only relays of the directory are members. While feeds are divided, the assignment of every
//! account that is held is cached once a change was applied to all ([`super::reassigning`]), so that the accounts of one
//! relay are counted without computing it for all of them again.

use core::time::Duration;

use ordered::Map;
use protocol::messages::directory::role;
use protocol::{AccountId, PeerId};

use crate::io::Config;
use crate::log::feeds::Feeds;
use crate::log::keys::FeedNumber;
use crate::relays::assignment::{Assignment, Worker};
use crate::relays::directory::Directory;

/// Replicas that are cached for one account. With more than this the assignment is computed each time.
const CACHED_REPLICAS_MAX: usize = 4;
/// Accounts that are looked at in one piece of work, so that it takes less than 5 ms; fewer in a network with many
/// members, since computing the replicas of an account takes some 50 ns for each member.
pub(super) const PIECE: usize = 512;
const EVALUATIONS_PER_PIECE: usize = 65_536;
/// The index that no member has.
const NO_MEMBER: u16 = u16::MAX;

/// The replicas of an account, as indexes of members.
type Replicas = [u16; CACHED_REPLICAS_MAX];

/// A relay that takes part in the assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    pub(crate) capacity: u32,
    pub(crate) zone: String,
}

/// The assignment was computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reassigned {
    /// Feeds were divided before.
    pub(crate) was_divided: bool,
}

#[derive(Debug)]
pub(crate) struct Placement {
    own: PeerId,
    worker: bool,
    replicas: usize,
    /// In the order of their keys.
    members: Vec<Member>,
    assignment: Assignment,
    divided: bool,
    /// By the number of the account's first feed: 12 bytes an account, where a map by account would cost 40.
    cached: Map<FeedNumber, Replicas>,
    /// All accounts that are held are cached.
    complete: bool,
}

impl Placement {
    pub(crate) fn new(config: &Config, own: PeerId) -> Self {
        Self {
            own,
            worker: config.worker,
            replicas: config.replicas,
            members: Vec::new(),
            assignment: Assignment::new([]),
            divided: !config.worker,
            cached: Map::new(),
            complete: false,
        }
    }

    /// Whether this relay keeps a part of all feeds: there are more members than replicas, or it is no worker.
    pub(crate) fn is_divided(&self) -> bool {
        self.divided
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Accounts whose replicas may be looked at in one piece of work.
    pub(crate) fn piece(&self) -> usize {
        let accounts = EVALUATIONS_PER_PIECE / self.members.len().max(1);
        accounts.clamp(1, PIECE)
    }

    /// How many members keep each account.
    pub(crate) fn replicas_assigned(&self) -> usize {
        self.replicas.min(self.members.len())
    }

    /// Changes the assignment if the members changed. Nothing is cached afterwards.
    pub(crate) fn set_members(&mut self, members: Vec<Member>) -> Option<Reassigned> {
        if members == self.members {
            return None;
        }
        let was_divided = self.divided;
        let workers = members.iter().map(|member| Worker {
            peer: member.peer,
            capacity: member.capacity,
            zone: &member.zone,
        });
        self.assignment = Assignment::fair(&workers.collect::<Vec<_>>());
        self.divided = !self.worker || members.len() > self.replicas;
        self.members = members;
        self.cached = Map::new();
        self.complete = false;
        Some(Reassigned { was_divided })
    }

    /// All accounts that are held were given to [`Self::on_account_seen`].
    pub(crate) fn set_complete(&mut self) {
        self.complete = self.caches();
    }

    /// The first feed of an account begins here, or the assignment changed.
    pub(crate) fn on_account_seen(&mut self, feeds: &Feeds, account: AccountId) {
        if self.caches() {
            self.cache(feeds, account);
        }
    }

    /// An account is held no longer; `numbers`: its feeds.
    pub(crate) fn on_account_dropped(&mut self, numbers: &[FeedNumber]) {
        for number in numbers {
            self.cached.remove(number);
        }
    }

    /// The relays that keep an account's feeds, the primary first.
    pub(crate) fn replicas_of(&self, feeds: &Feeds, account: &AccountId) -> Vec<PeerId> {
        let cached = first_feed(feeds, account).and_then(|number| self.cached.get(&number));
        match cached {
            Some(replicas) => replicas.iter().filter_map(|index| self.member(*index)).collect(),
            None => self.assignment.replicas(account, self.replicas),
        }
    }

    pub(crate) fn is_replica(&self, feeds: &Feeds, account: &AccountId, peer: &PeerId) -> bool {
        self.replicas_of(feeds, account).contains(peer)
    }

    pub(crate) fn is_assigned_here(&self, feeds: &Feeds, account: &AccountId) -> bool {
        self.is_replica(feeds, account, &self.own)
    }

    /// Of the accounts held here, those a member keeps.
    #[cfg(test)]
    pub(crate) fn assigned_to(&self, feeds: &Feeds, peer: &PeerId) -> Vec<AccountId> {
        match self.index_of(peer) {
            Some(_) => self.accounts_where(feeds, |replicas| replicas.contains(peer)),
            None => Vec::new(),
        }
    }

    /// Of the accounts held here, how many a member keeps. While not all are cached, this is estimated from as many as
    /// may be looked at in one piece of work: keys are random, so the first ones are as good as any.
    pub(crate) fn assigned_len(&self, feeds: &Feeds, peer: &PeerId) -> usize {
        let Some(index) = self.index_of(peer) else {
            return 0;
        };
        let all = feeds.accounts_len();
        if !self.divided {
            // Every member keeps everything.
            return all;
        }
        if self.complete {
            let kept = self.cached.values().filter(|replicas| replicas.contains(&index));
            return kept.count();
        }
        let sample = self.piece().min(all);
        let looked_at = feeds.accounts().take(sample);
        let kept = looked_at.filter(|account| self.is_replica(feeds, account, peer));
        kept.count() * all / sample.max(1)
    }

    /// The accounts held here that are assigned to other relays alone; none while every member keeps everything.
    #[cfg(test)]
    pub(crate) fn held_beside(&self, feeds: &Feeds) -> Vec<AccountId> {
        match self.divided {
            true => self.accounts_where(feeds, |replicas| !replicas.contains(&self.own)),
            false => Vec::new(),
        }
    }

    #[cfg(test)]
    fn accounts_where(&self, feeds: &Feeds, test: impl Fn(&[PeerId]) -> bool) -> Vec<AccountId> {
        if !self.complete {
            let passes = |account: &AccountId| test(&self.replicas_of(feeds, account));
            return feeds.accounts().filter(passes).collect();
        }
        // By the cache, so that only the accounts that pass are looked up.
        let mut peers = Vec::with_capacity(CACHED_REPLICAS_MAX);
        let passes = |(_, replicas): &(&FeedNumber, &Replicas)| {
            peers.clear();
            peers.extend(replicas.iter().filter_map(|index| self.member(*index)));
            test(&peers)
        };
        let numbers = self.cached.iter().filter(passes).map(|(number, _)| *number);
        let accounts = numbers.filter_map(|number| Some(feeds.by_number(number)?.1.account));
        accounts.collect()
    }

    fn caches(&self) -> bool {
        self.divided && self.replicas <= CACHED_REPLICAS_MAX
    }

    fn cache(&mut self, feeds: &Feeds, account: AccountId) {
        let Some(number) = first_feed(feeds, &account) else {
            return;
        };
        let mut replicas = [NO_MEMBER; CACHED_REPLICAS_MAX];
        let peers = self.assignment.replicas(&account, self.replicas);
        for (peer, slot) in peers.iter().zip(&mut replicas) {
            *slot = self.index_of(peer).unwrap_or(NO_MEMBER);
        }
        self.cached.insert(number, replicas);
    }

    fn member(&self, index: u16) -> Option<PeerId> {
        self.members.get(usize::from(index)).map(|member| member.peer)
    }

    fn index_of(&self, peer: &PeerId) -> Option<u16> {
        let index = self.members.binary_search_by_key(peer, |member| member.peer);
        index.ok().and_then(|index| u16::try_from(index).ok())
    }
}

/// The number of the account's first feed, which stays the first for as long as the account is held.
fn first_feed(feeds: &Feeds, account: &AccountId) -> Option<FeedNumber> {
    let device = feeds.devices(account).first()?;
    Some(feeds.get(device)?.number)
}

/// The relays that take part: workers of the directory that accept feeds and have not been dead for the grace period.
pub(crate) fn members(directory: &Directory, now: Duration, grace: Duration) -> Vec<Member> {
    let given_up = |peer: &PeerId| directory.dead_for(peer, now).is_some_and(|dead| dead >= grace);
    let described = directory.descriptions();
    let workers = described.filter(|description| {
        description.roles & role::WORKER != 0 && description.capacity > 0 && !given_up(&description.relay)
    });
    let members = workers.map(|description| Member {
        peer: description.relay,
        capacity: description.capacity,
        zone: description.zone.clone(),
    });
    ordered::sorted_by_key(members, |member| member.peer)
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
