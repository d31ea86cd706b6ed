//! Which feeds this relay keeps, as one of several: those that [`crate::relays::assignment`] gives it, those of the people linked
//! with it and of whom they asked for by name, and those it holds already.
//!
//! Nobody decides this for anybody: all relays compute the same answer from the same directory, tell each other "what is
//! assigned to me, and these", and offer what the other should have. So a relay that dies is replaced, one that comes is filled,
//! and one that was wiped is refilled, by nothing but comparing and fetching.
//!
//! A relay that fell silent keeps its share for a grace, since most come back; then the next in line takes it over. While
//! this relay doubts itself, nobody loses a share and nobody gets one.
//!
//! A relay without the role of a worker has no share: it holds the feeds of the people linked with it and of whom they
//! asked for by name, within the bounds of [`crate::relay::cache`], and signs for none.
//!
//! Whoever merely calls itself a relay is not waited for and hands nothing over: only those in the directory count.
//!
//! Invariant: as long as there are no more workers than replicas, every worker keeps everything.

use ordered::Map;
use protocol::directory::role;
use protocol::{AccountId, DeviceId, Instant, PeerId};

use crate::api::{Event, RelayState, RepairView};
use crate::io::{Config, LinkId, Log};
use crate::log::records::meta;
use crate::net::sessions::Up;
use crate::relays::assignment::{Assignment, Worker};
use crate::store::{Op, Table};
use crate::{Engine, clock};

/// How long a relay of a network waits for a first neighbour before it serves without having caught up: it may be the last.
const PATIENCE: core::time::Duration = core::time::Duration::from_secs(15);

/// A neighbour of which nothing came for so long is not waited for any more.
const STUCK: core::time::Duration = core::time::Duration::from_secs(60);
/// What is said to compare counts for so long, then only entries do: words alone must not keep this relay waiting.
const COMPARES_WITHIN: core::time::Duration = core::time::Duration::from_mins(10);
/// Relays of which it is known how they helped to catch up. Policy when full: no more are waited for.
const HELPERS_MAX: usize = 1_024;

/// How often a relay that hands over asks what others have by now.
const ASK_EVERY: core::time::Duration = core::time::Duration::from_secs(5);

/// Of more missing feeds than this,
const MANY: u64 = 20_000;
/// it is told so often how many they are.
const MANY_EVERY: core::time::Duration = core::time::Duration::from_secs(5);

/// Whose share an account is: the places of its keepers among the members, and of which division that is true. Working it out
/// for each of a million accounts takes a second, and every link with a relay asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    division: u32,
    keepers: [u16; KEEPERS_MAX],
}

/// Keepers remembered of an account. With more replicas than that it is worked out each time.
const KEEPERS_MAX: usize = 4;
/// No member has this place.
const NOBODY: u16 = u16::MAX;

impl Default for Share {
    fn default() -> Self {
        Self {
            division: 0,
            keepers: [NOBODY; KEEPERS_MAX],
        }
    }
}

/// A relay with a share.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    peer: PeerId,
    capacity: u32,
    zone: String,
}

/// How a relay helped this one to catch up. That outlives the link: who links anew again and again is not waited for again.
#[derive(Clone, Copy, Debug)]
struct Helper {
    /// When it was first linked with.
    met: Instant,
    /// When something last came of it that this relay lacked, or that serves comparing.
    helped: Instant,
}

/// Who keeps what.
#[derive(Debug)]
pub(crate) struct Placement {
    members: Vec<Member>,
    assignment: Assignment,
    /// How often feeds were divided.
    division: u32,
    /// More relays than replicas, and each keeps a part; or this one keeps none.
    divided: bool,
    /// Fewer copies than wanted, and that was said.
    short: bool,
    began: Instant,
    /// This relay has been one of several.
    networked: bool,
    caught_up: bool,
    /// Until it has caught up.
    helpers: Map<PeerId, Helper>,
    /// This relay is to end; for good?
    handing_over: Option<bool>,
    next_ask: Instant,
    next_tell: Instant,
    told: RepairView,
}

impl Placement {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            members: Vec::new(),
            assignment: Assignment::new([]),
            division: 0,
            divided: !config.worker,
            short: false,
            began: now,
            networked: false,
            caught_up: false,
            helpers: Map::new(),
            handing_over: None,
            next_ask: now,
            next_tell: now,
            told: RepairView::default(),
        }
    }

    pub(crate) fn restore_networked(&mut self) {
        self.networked = true;
    }

    pub(crate) fn is_divided(&self) -> bool {
        self.divided
    }

    fn place(&self, peer: &PeerId) -> Option<u16> {
        let place = self.members.binary_search_by_key(peer, |member| member.peer);
        place.ok().and_then(|place| u16::try_from(place).ok())
    }

    /// Whose share an account is by now. `before`: what is remembered of that.
    fn share(&self, account: &AccountId, replicas: usize, before: Share) -> Share {
        if before.division == self.division {
            return before;
        }
        let mut share = Share {
            division: self.division,
            ..Share::default()
        };
        let keepers = self.assignment.replicas(account, replicas);
        for (keeper, slot) in keepers.iter().zip(&mut share.keepers) {
            *slot = self.place(keeper).unwrap_or(NOBODY);
        }
        share
    }
}

impl Engine {
    /// The relays that keep an account's feeds, the primary first.
    pub(crate) fn replicas_of(&self, account: &AccountId) -> Vec<PeerId> {
        let share = self.feeds.account(account).map(|held| held.share);
        match share.filter(|share| share.division == self.placement.division) {
            Some(share) if self.config.replicas <= KEEPERS_MAX => {
                let keepers = share.keepers.iter();
                let keepers = keepers.filter_map(|place| self.placement.members.get(usize::from(*place)));
                keepers.map(|member| member.peer).collect()
            }
            _ => self.placement.assignment.replicas(account, self.config.replicas),
        }
    }

    pub(crate) fn is_assigned_here(&self, account: &AccountId) -> bool {
        let own = self.own_peer();
        own.is_some_and(|own| self.replicas_of(account).contains(&own))
    }

    /// Whether this relay keeps an account's feeds.
    pub(crate) fn keeps_feeds_of(&self, account: &AccountId) -> bool {
        if self.cache.is_dropping(account) {
            return false;
        }
        !self.placement.divided
            || !self.feeds.devices(account).is_empty()
            || self.is_subscribed(account)
            || self.is_assigned_here(account)
    }

    /// Whether it is the account of somebody linked here, or asked for by name.
    pub(crate) fn is_subscribed(&self, account: &AccountId) -> bool {
        let mut links = self.links.values().filter_map(crate::net::sessions::Link::up);
        links.any(|up| up.account == Some(*account) || up.named.contains(account))
    }

    /// What a relay says it wants beside its share.
    pub(crate) fn wanted_beside(&self) -> ordered::Set<AccountId> {
        let links = self.links.values().filter_map(crate::net::sessions::Link::up);
        let subscribed = links.flat_map(|up| up.named.iter().copied().chain(up.account));
        let subscribed = subscribed.filter(|account| !self.is_assigned_here(account));
        self.cache.accounts().chain(subscribed).collect()
    }

    /// What a neighbouring relay should have by the assignment, of what is held here.
    pub(crate) fn assigned_to(&mut self, peer: &PeerId) -> Vec<AccountId> {
        let Some(place) = self.placement.place(peer) else {
            return Vec::new();
        };
        if self.config.replicas > KEEPERS_MAX {
            let accounts = self.feeds.accounts();
            let theirs = accounts.filter(|account| self.replicas_of(account).contains(peer));
            return theirs.collect();
        }
        self.remember_shares();
        let held = self.feeds.held_mut();
        let theirs = held.filter(|(_, held)| held.share.keepers.contains(&place));
        theirs.map(|(account, _)| *account).collect()
    }

    /// Works out whose share the accounts are that are held, of which that is not remembered.
    fn remember_shares(&mut self) {
        let replicas = self.config.replicas;
        if replicas <= KEEPERS_MAX {
            for (account, held) in self.feeds.held_mut() {
                held.share = self.placement.share(account, replicas, held.share);
            }
        }
    }

    /// Once a second: who has a share, and whether this relay has all of its own.
    pub(crate) fn keep_placement(&mut self) {
        if !self.is_relay() {
            return;
        }
        if !self.directory.doubts() {
            let members = self.members();
            if members != self.placement.members {
                self.divide(members);
            }
        }
        self.tell_repair();
        self.keep_cache();
    }

    fn members(&self) -> Vec<Member> {
        let now = clock(self.now);
        let given_up = |peer: &PeerId| {
            let dead = self.directory.dead_for(peer, now);
            dead.is_some_and(|dead| dead >= self.config.repair_grace)
        };
        let described = self.directory.descriptions();
        let workers = described.filter(|description| {
            description.roles & role::WORKER != 0 && description.capacity > 0 && !given_up(&description.relay)
        });
        let mut members: Vec<Member> = workers
            .map(|description| Member {
                peer: description.relay,
                capacity: description.capacity,
                zone: description.zone.clone(),
            })
            .collect();
        members.sort_by_key(|member| member.peer);
        members
    }

    fn divide(&mut self, members: Vec<Member>) {
        let workers = members.iter().map(|member| Worker {
            peer: member.peer,
            capacity: member.capacity,
            zone: &member.zone,
        });
        self.placement.assignment = Assignment::fair(&workers.collect::<Vec<_>>());
        self.placement.division += 1;
        let was_divided = self.placement.divided;
        self.placement.divided = !self.config.worker || members.len() > self.config.replicas;
        self.emit(crate::io::Output::Log(Log::Placement {
            relays: members.len(),
            replicas: self.config.replicas.min(members.len()),
        }));
        self.placement.members = members;
        if self.placement.divided {
            self.remember_shares();
        }
        self.sort_cache();
        if !was_divided && !self.placement.divided {
            // Everybody keeps everything, as before.
            return;
        }
        let relays: Vec<(LinkId, PeerId)> = self
            .links
            .iter()
            .filter_map(|(link, it)| it.neighbour().filter(|up| up.relay).map(|up| (*link, up.peer)))
            .collect();
        for (link, peer) in relays {
            self.tell_interests(link);
            let Some(up) = self.up(link).filter(|up| up.assigned) else {
                continue;
            };
            let matched = up.matched.clone();
            let fresh: Vec<AccountId> = self
                .assigned_to(&peer)
                .into_iter()
                .filter(|account| !matched.contains(account))
                .collect();
            if let Some(up) = self.up_mut(link) {
                up.matched.extend(fresh.iter().copied());
            }
            self.send_digest(link, &fresh, true);
        }
    }

    /// This relay is to end.
    pub(crate) fn hand_over(&mut self, for_good: bool) {
        if !self.is_relay() {
            return;
        }
        self.placement.handing_over = Some(for_good);
        if for_good {
            self.give_up_share();
        }
        self.keep_placement();
    }

    /// Who knows that somebody has a feed does not say that it has it, too: asked again, it says all.
    fn ask_what_others_have(&mut self) {
        let now = self.now.instant;
        if now < self.placement.next_ask {
            return;
        }
        self.placement.next_ask = now + ASK_EVERY;
        for link in self.up_links() {
            if self.up(link).is_some_and(|up| up.relay) {
                self.tell_interests(link);
            }
        }
    }

    /// A neighbouring relay has so much of a feed.
    pub(crate) fn note_has(&mut self, link: LinkId, device: &DeviceId, next_seq: u64) {
        if !self.is_relay() {
            return;
        }
        let number = self.feeds.get(device).map(|feed| feed.number);
        if let Some((number, up)) = number.zip(self.up_mut(link).filter(|up| up.relay)) {
            let has = up.has.or_default(number);
            *has = next_seq.max(*has);
        }
    }

    /// Feeds of which relays that should have them lack a part. Without a link to any of those there is nobody to hand
    /// them to.
    fn left_to_hand_over(&self, for_good: bool) -> u64 {
        let relays: Vec<&Up> = self.fellows().collect();
        let mut left = 0;
        for account in self.feeds.accounts() {
            let replicas = self.replicas_of(&account);
            for (_, feed) in self.feeds.feeds_of(&account) {
                let has = |up: &&&Up| {
                    let has = up.has.get(&feed.number);
                    has.is_some_and(|has| *has >= feed.next_seq)
                };
                // To come back in a moment, one that has all of it is enough.
                let safe = match for_good {
                    true => {
                        let mut replicas = relays.iter().filter(|up| replicas.contains(&up.peer));
                        replicas.all(|up| has(&up))
                    }
                    false => relays.is_empty() || relays.iter().any(|up| has(&up)),
                };
                left += u64::from(!safe);
            }
        }
        left
    }

    /// The neighbours that are relays of this network: those of the directory. Without [`Config::relays_allowed`] that is
    /// whoever describes itself on its link.
    fn fellows(&self) -> impl Iterator<Item = &Up> {
        let neighbours = self
            .links
            .values()
            .filter_map(crate::net::sessions::Link::neighbour);
        neighbours.filter(|up| up.relay && self.is_anchor(&up.peer))
    }

    /// A neighbour goes on comparing, or sent entries that this relay lacked.
    pub(crate) fn note_use(&mut self, link: LinkId, entries: bool) {
        if !self.is_relay() || self.placement.caught_up {
            return;
        }
        let now = self.now.instant;
        let peer = self.up(link).map(|up| up.peer);
        let helper = peer.and_then(|peer| self.placement.helpers.get_mut(&peer));
        if let Some(helper) = helper
            && (entries || now.since(helper.met) < COMPARES_WITHIN)
        {
            helper.helped = now;
        }
    }

    /// A neighbour said all it has of what this peer wants.
    pub(crate) fn on_compared(&mut self, link: LinkId) {
        if !self.is_relay() {
            return self.name_unknown(link);
        }
        let Some(up) = self.up_mut(link).filter(|up| up.relay) else {
            return;
        };
        up.compared = true;
        let peer = up.peer;
        if !self.placement.networked && self.is_anchor(&peer) {
            self.placement.networked = true;
            self.write(Op::Put {
                table: Table::Meta,
                key: meta::NETWORKED.to_vec(),
                value: Vec::new(),
            });
        }
    }

    fn tell_repair(&mut self) {
        if self.now.instant < self.placement.next_tell {
            return;
        }
        if !self.placement.caught_up {
            self.meet_helpers();
        }
        let (mut feeds, mut entries, mut from) = (0, 0, Vec::new());
        let (mut relays, mut complete) = (0, true);
        for up in self.fellows() {
            let mut ahead = 0;
            for (device, head) in &up.ahead {
                let held = self.feeds.get(device).map_or(0, |feed| feed.next_seq);
                ahead += u64::from(head.next_seq > held);
                entries += head.next_seq.saturating_sub(held);
            }
            if ahead > 0 || !up.inflight.is_empty() {
                from.push(up.peer);
            }
            let lacking = ahead + up.inflight.len() as u64;
            feeds += lacking;
            let helper = self.placement.helpers.get(&up.peer);
            if helper.is_some_and(|helper| self.now.instant.since(helper.helped) < STUCK) {
                relays += 1;
                complete &= up.compared && lacking == 0;
            }
        }
        if feeds > MANY {
            // Counting them takes a while itself.
            self.placement.next_tell = self.now.instant + MANY_EVERY;
        }
        let expects = self.config.joins || self.placement.networked;
        let waited = self.now.instant.since(self.placement.began) >= PATIENCE;
        if complete && (relays > 0 || !expects || waited) {
            self.placement.caught_up = true;
            self.placement.helpers.clear();
        }
        let living = self.living_members();
        self.tell_copies(living, waited);
        let view = RepairView {
            caught_up: self.placement.caught_up,
            feeds,
            entries,
            from,
            relays: self.placement.members.len() as u32,
            replicas: self.config.replicas.min(self.placement.members.len()) as u32,
            wanted: self.config.replicas as u32,
            living: living as u32,
            cached: self.cache.len() as u64,
            doubts: self.directory.doubts(),
            to_hand_over: self
                .placement
                .handing_over
                .map(|for_good| self.left_to_hand_over(for_good)),
        };
        if view.to_hand_over.is_some_and(|left| left > 0) {
            self.ask_what_others_have();
        }
        if view != self.placement.told {
            self.placement.told = view.clone();
            self.event(Event::Repair(view));
        }
    }

    fn meet_helpers(&mut self) {
        let (met, helped) = (self.now.instant, self.now.instant);
        let fellows: Vec<PeerId> = self.fellows().map(|up| up.peer).collect();
        for peer in fellows {
            let helpers = &mut self.placement.helpers;
            if helpers.len() < HELPERS_MAX {
                helpers.or_insert_with(peer, || Helper { met, helped });
            }
        }
    }

    /// Relays with a share that live.
    fn living_members(&self) -> usize {
        let living = |member: &&Member| self.relay_state(&member.peer) == Some(RelayState::Alive);
        self.placement.members.iter().filter(living).count()
    }

    /// Says when there begin to be fewer copies of each feed than wanted, and when that ends.
    fn tell_copies(&mut self, living: usize, waited: bool) {
        let wanted = self.config.replicas;
        // Right after the start the others are not known yet.
        let short = living < wanted && waited;
        if short != self.placement.short {
            self.placement.short = short;
            self.emit(crate::io::Output::Log(Log::Copies { wanted, living }));
        }
    }
}
