//! How much of what a person signed is here, and what neighbours have beyond that.
//!
//! A feed is held from its beginning without a gap, each entry linked to the one before and signed by its author: the newest
//! one held proves that nothing before it is missing or was changed. What comes after it is known from neighbours alone,
//! and counts for as long as they are linked and stand to their word: one that is asked and does not show it is not believed.

use core::cmp::Reverse;

use ordered::{Map, sorted_by_key};
use protocol::limits::DEVICES_PER_ACCOUNT_MAX;
use protocol::{DeviceId, EntryId, Timestamp};

use crate::Engine;
use crate::api::{FeedView, ProfileView};
use crate::net::sessions::Link;

impl Engine {
    /// Finds what is known of the person's feeds.
    pub(crate) fn note_feeds(&self, profile: &mut ProfileView) {
        let account = profile.account;
        let mut told: Map<DeviceId, u64> = Map::new();
        for up in self.links.values().filter_map(Link::up) {
            profile.told_by += u32::from(up.spoke_of.contains(&account));
            // What was announced and is not waited for any more came, or did not come when it was asked for.
            let announced = up.announced.iter();
            let announced = announced.filter(|(device, _)| self.broadcast.waits_for(device));
            let heads = up.ahead.values().chain(announced.map(|(_, head)| head));
            let heads = heads.map(|head| (head.account, head.device, head.next_seq));
            let asked = up.inflight.values();
            let asked = asked.map(|asked| (asked.account, asked.device, asked.next_seq));
            for (_, device, next_seq) in heads.chain(asked).filter(|(of, ..)| *of == account) {
                let most = told.or_default(device);
                *most = next_seq.max(*most);
            }
        }
        profile.compared = self.compared.get(&account).copied();
        let mut feeds = Vec::new();
        for (device, feed) in self.feeds.feeds_of(&account) {
            let (next_seq, limit) = (feed.next_seq, feed.limit());
            let entries = next_seq.min(limit);
            let told = told.remove(&device).unwrap_or(0);
            feeds.push(FeedView {
                device,
                name: feed.name.clone(),
                entries,
                posts: feed.posts,
                head: if entries == next_seq {
                    feed.head
                } else {
                    EntryId::default()
                },
                signed_at: feed.signed_at,
                ahead: told.min(limit).saturating_sub(next_seq),
            });
        }
        let room = DEVICES_PER_ACCOUNT_MAX.saturating_sub(feeds.len());
        let revoked = |device: &DeviceId| self.revocations.get(&(account, *device)).copied();
        let unheld = told.iter().map(|(device, told)| FeedView {
            device: *device,
            name: String::new(),
            entries: 0,
            posts: 0,
            head: EntryId::default(),
            signed_at: Timestamp(0),
            ahead: revoked(device).unwrap_or(u64::MAX).min(*told),
        });
        feeds.extend(unheld.take(room).filter(|feed| feed.ahead > 0));
        profile.feeds = sorted_by_key(feeds, |feed| Reverse(feed.signed_at));
    }
}
