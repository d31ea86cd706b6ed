//! How far this relay is with what it should hold, and what it has to hand over before it ends.
//!
//! A relay of a network serves once it has had everything its neighbouring relays have of what is assigned to it. A
//! neighbour that sends nothing useful for a while is not waited for; how it helped outlives its link, so that a relay
//! that links again and again is not waited for again.
//!
//! A relay that only calls itself one is not waited for and is handed nothing: only relays of the directory count.

use core::time::Duration;

use ordered::{Map, Set};
use protocol::{Instant, PeerId};

use crate::api::RepairView;
use crate::io::{Config, LinkId};
use crate::log::feeds::{Feed, Feeds};
use crate::net::{Net, Session};
use crate::relays::directory::Directory;
use crate::sync::Sync;

/// How long a relay of a network waits for a first neighbour before it serves without having caught up: it may be the
/// last relay.
const PATIENCE: Duration = Duration::from_secs(15);
/// A neighbour that sent nothing useful for this long is not waited for any more.
const STUCK: Duration = Duration::from_secs(60);
/// Comparing counts as useful for this long after the first link, then only entries do: messages alone must not keep
/// this relay waiting.
const COMPARES_WITHIN: Duration = Duration::from_mins(10);
/// Relays of which it is known how they helped. Policy when full: no more are waited for.
const HELPERS_MAX: usize = 1_024;
/// Interval at which a relay that hands over asks its neighbours how far they hold its feeds.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// With at least this many missing feeds, counting them takes so long that it is done only every
/// [`MANY_FEEDS_INTERVAL`].
const MANY_FEEDS: u64 = 20_000;
/// Missing feeds of one neighbour that are counted one by one, which takes half a millisecond; of more, the numbers are
/// estimates.
const COUNTED_MAX: usize = 2_048;
/// Interval between two counts of the missing feeds if there are at least [`MANY_FEEDS`].
const MANY_FEEDS_INTERVAL: Duration = Duration::from_secs(5);

/// How a relay helped this one to catch up.
#[derive(Clone, Copy, Debug)]
struct Helper {
    /// The time at which it was linked first.
    met: Instant,
    /// When it last sent an entry that was missing here, or something that serves comparing.
    helped: Instant,
}

/// What one neighbouring relay has that is missing here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    pub(crate) link: LinkId,
    pub(crate) peer: PeerId,
    /// Feeds of which it has more, and which are not requested.
    pub(crate) feeds: u64,
    /// Feeds requested from it.
    pub(crate) requested: u64,
    /// Entries of those that are not requested.
    pub(crate) entries: u64,
    /// It named more feeds than were remembered: it is asked again.
    pub(crate) overflowed: bool,
}

#[derive(Debug)]
pub(crate) struct Repair {
    began: Instant,
    /// This relay joins others, so it has to catch up with them.
    joins: bool,
    /// It has been one of several.
    networked: bool,
    caught_up: bool,
    /// Until it has caught up.
    helpers: Map<PeerId, Helper>,
    /// The links whose relay said all that it has of what this one wants.
    compared: Set<LinkId>,
    /// Handover in progress; true if the relay leaves the network permanently.
    handing_over: Option<bool>,
    /// No other member can be reached: there is nobody to wait for.
    alone: bool,
    /// Fewer copies than wanted, and that was logged.
    short: bool,
    next_ask: Instant,
    next_view: Instant,
    /// As last emitted.
    view: RepairView,
}

impl Repair {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            began: now,
            joins: config.joins,
            networked: false,
            caught_up: false,
            helpers: Map::new(),
            compared: Set::new(),
            handing_over: None,
            alone: false,
            short: false,
            next_ask: now,
            next_view: now,
            view: RepairView::default(),
        }
    }

    pub(crate) fn restore_networked(&mut self) {
        self.networked = true;
    }

    /// This relay has been one of several; whether that is new.
    pub(crate) fn set_networked(&mut self) -> bool {
        !core::mem::replace(&mut self.networked, true)
    }

    /// This relay is to end.
    pub(crate) fn hand_over(&mut self, for_good: bool) {
        self.handing_over = Some(for_good);
    }

    /// Whether it was to leave its network, and the others hold what it had.
    pub(crate) fn has_handed_over(&self) -> bool {
        self.handing_over == Some(true) && self.view.to_hand_over == Some(0)
    }

    pub(crate) fn handing_over(&self) -> Option<bool> {
        self.handing_over
    }

    /// The relay at the end of a link is asked what it has.
    pub(crate) fn on_interests_sent(&mut self, link: LinkId) {
        self.compared.remove(&link);
    }

    /// It said all that it has.
    pub(crate) fn on_compared(&mut self, link: LinkId) {
        self.compared.insert(link);
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.compared.remove(&link);
    }

    /// A relay sent something that serves catching up; `entries`: entries that were missing here.
    pub(crate) fn on_helped(&mut self, peer: &PeerId, entries: bool, now: Instant) {
        if let Some(helper) = self.helpers.get_mut(peer)
            && (entries || now.since(helper.met) < COMPARES_WITHIN)
        {
            helper.helped = now;
        }
    }

    /// Whether the view is to be computed again.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_view
    }

    /// Sees whether this relay has caught up with these neighbouring relays. The feeds and entries it lacks, and from
    /// whom it has them.
    pub(crate) fn assess(&mut self, missing: &[Missing], now: Instant) -> RepairView {
        if !self.caught_up {
            let (met, helped) = (now, now);
            for relay in missing {
                if self.helpers.len() < HELPERS_MAX {
                    self.helpers.or_insert_with(relay.peer, || Helper { met, helped });
                }
            }
        }
        let mut view = RepairView::default();
        let (mut helpers, mut complete) = (0, true);
        for relay in missing {
            let lacking = relay.feeds + relay.requested;
            if lacking > 0 {
                view.from.push(relay.peer);
            }
            view.feeds += lacking;
            view.entries += relay.entries;
            let helper = self.helpers.get(&relay.peer);
            if helper.is_some_and(|helper| now.since(helper.helped) < STUCK) {
                helpers += 1;
                complete &= lacking == 0 && !relay.overflowed && self.compared.contains(&relay.link);
            }
        }
        if view.feeds > MANY_FEEDS {
            self.next_view = now + MANY_FEEDS_INTERVAL;
        }
        let expects = self.joins || self.networked;
        // A relay that helped a moment ago and whose link ended comes back.
        let awaited = self
            .helpers
            .values()
            .any(|helper| now.since(helper.helped) < STUCK);
        if complete && (helpers > 0 || !expects || (self.has_waited(now) && !awaited)) {
            self.caught_up = true;
            self.helpers.clear();
        }
        view.caught_up = self.caught_up;
        view
    }

    /// Whether fewer copies than wanted can be kept, if that changed since it was last logged.
    pub(crate) fn judge_copies(&mut self, wanted: usize, living: usize, now: Instant) -> bool {
        // Right after the start the other relays are not known yet.
        let short = living < wanted && self.has_waited(now);
        core::mem::replace(&mut self.short, short) != short
    }

    /// The view, if it differs from the one emitted last.
    pub(crate) fn changed(&mut self, view: RepairView) -> Option<RepairView> {
        if view == self.view {
            return None;
        }
        self.view = view.clone();
        Some(view)
    }

    /// Whether the neighbours are to be asked what they have by now. That another relay told them of a feed does not
    /// make them say that they have it; asked again, they say all.
    pub(crate) fn is_time_to_ask(&mut self, now: Instant) -> bool {
        let due = now >= self.next_ask;
        if due {
            self.next_ask = now + ASK_INTERVAL;
        }
        due
    }

    /// Whether every other member was dialled without success.
    pub(crate) fn set_alone(&mut self, alone: bool) {
        self.alone = alone;
    }

    fn has_waited(&self, now: Instant) -> bool {
        self.alone || now.since(self.began) >= PATIENCE
    }
}

/// The neighbours that are relays of this network: those of the directory. In an open network that is
/// every relay that describes itself on its link.
pub(crate) fn relay_neighbours<'a>(
    net: &'a Net,
    directory: &'a Directory,
) -> impl Iterator<Item = &'a Session> {
    net.neighbours()
        .filter(move |session| session.relay && net.is_anchor(directory, &session.peer))
}

/// What each neighbouring relay has that is missing here.
pub(crate) fn missing(net: &Net, directory: &Directory, feeds: &Feeds, sync: &Sync) -> Vec<Missing> {
    let missing = |session: &Session| {
        let (mut ahead, mut entries, mut counted) = (0_u64, 0_u64, 0);
        for (device, claim) in sync.missing(session.link).take(COUNTED_MAX) {
            let held = feeds.get(device).map_or(0, Feed::valid_len);
            ahead += u64::from(claim.next_seq > held);
            entries = entries.saturating_add(claim.next_seq.saturating_sub(held));
            counted += 1;
        }
        let all = sync.missing_len(session.link) as u64;
        // The others are taken to be like those that were counted.
        let scaled = |n: u64| n.saturating_add(n.saturating_mul(all - counted) / counted.max(1));
        Missing {
            link: session.link,
            peer: session.peer,
            feeds: scaled(ahead).max(all - counted),
            requested: sync.requests(session.link).count() as u64,
            entries: scaled(entries),
            overflowed: sync.overflowed(session.link),
        }
    };
    relay_neighbours(net, directory).map(missing).collect()
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
