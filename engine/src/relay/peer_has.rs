//! How far each neighbouring relay has each feed, as it said or proved.
//!
//! Invariant: only feeds held here are recorded, and only of relays; all of a link's is forgotten with the link.

use ordered::Map;
use protocol::DeviceId;

use crate::io::LinkId;
use crate::log::feeds::Feeds;
use crate::log::keys::FeedNumber;

#[derive(Debug, Default)]
pub(crate) struct PeerHas {
    links: Map<LinkId, Map<FeedNumber, u64>>,
}

impl PeerHas {
    /// The relay at the end of a link has the entries of a feed below `next_seq`.
    pub(crate) fn record(&mut self, feeds: &Feeds, link: LinkId, device: &DeviceId, next_seq: u64) {
        if let Some(feed) = feeds.get(device) {
            let has = self.links.or_default(link).or_default(feed.number);
            *has = next_seq.max(*has);
        }
    }

    /// How far it has a feed. `None`: it never said.
    pub(crate) fn get(&self, link: LinkId, number: FeedNumber) -> Option<u64> {
        self.links.get(&link)?.get(&number).copied()
    }

    /// Whether it has the entries of a feed below `next_seq`.
    pub(crate) fn has(&self, link: LinkId, number: FeedNumber, next_seq: u64) -> bool {
        self.get(link, number).is_some_and(|has| has >= next_seq)
    }

    /// The feeds it has something of.
    pub(crate) fn of(&self, link: LinkId) -> Option<&Map<FeedNumber, u64>> {
        self.links.get(&link).filter(|feeds| !feeds.is_empty())
    }

    /// A feed is not held here any more.
    pub(crate) fn on_feed_dropped(&mut self, number: FeedNumber) {
        for feeds in self.links.values_mut() {
            feeds.remove(&number);
        }
    }

    /// What the relay said of a feed is not true.
    pub(crate) fn retract(&mut self, link: LinkId, number: FeedNumber) {
        if let Some(feeds) = self.links.get_mut(&link) {
            feeds.remove(&number);
        }
    }

    pub(crate) fn on_session_down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }
}
