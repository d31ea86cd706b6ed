//! What interfaces are told without asking, gathered over one input.

use core::cmp::Reverse;

use ordered::sorted_by_key;

use crate::Engine;
use crate::api::{Connection, Event, MeView, StatusView};
use crate::boot::Stage;

impl Engine {
    pub(crate) fn current_status(&self) -> StatusView {
        let up = || {
            self.links
                .values()
                .filter_map(crate::net::sessions::Link::neighbour)
        };
        let peers = up().count();
        let (mut waiting, mut not_durable) = (0, 0);
        if let Some(identity) = &self.identity
            && let Some(feed) = self.feeds.get(&identity.device)
        {
            let (anybody, relays) = self.holders.reach(&identity.device);
            waiting = feed.next_seq.saturating_sub(anybody);
            not_durable = feed.next_seq.saturating_sub(relays);
        }
        StatusView {
            connection: match (peers, self.online) {
                (0, false) => Connection::Offline,
                (0, true) => Connection::Connecting,
                _ => Connection::Online,
            },
            peers: count(peers),
            relays: count(up().filter(|up| self.peers.is_relay(&up.peer)).count()),
            waiting: count(waiting as usize),
            not_durable: count(not_durable as usize),
            syncing: self.fetches.any(),
            store: self.store_state,
            phrase_confirmed: self
                .identity
                .as_ref()
                .is_none_or(|identity| identity.account_key.is_none()),
        }
    }

    pub(crate) fn me_view(&self) -> Option<MeView> {
        let identity = self.identity.as_ref()?;
        let profile = self
            .feeds
            .account(&identity.account)
            .and_then(|account| account.profile.as_ref());
        let own = self.feeds.get(&identity.device);
        let devices = self
            .feeds
            .feeds_of(&identity.account)
            .map(|(device, feed)| crate::api::DeviceView {
                device,
                name: feed.name.clone(),
                since: feed.since,
                this: device == identity.device,
                revoked: feed.revoked.is_some(),
                entries: feed.next_seq,
            });
        let devices = sorted_by_key(devices, |device| (!device.this, device.since, device.device));
        Some(MeView {
            account: identity.account,
            device: identity.device,
            name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
            bio: profile.map(|profile| profile.bio.clone()).unwrap_or_default(),
            handle: self.handle_of(&identity.account).to_owned(),
            claim: self.claims.view(None),
            offer: self.offer_view(),
            phrase_confirmed: identity.account_key.is_none(),
            devices,
            following: count(self.follows.values().filter(|follow| follow.on).count()),
            revoked: own.is_some_and(|feed| feed.revoked.is_some()),
            forked: own.is_some_and(|feed| feed.forked.is_some()),
            relays_only: self.relays_only,
        })
    }

    pub(crate) fn flush_events(&mut self) {
        if !matches!(self.stage, Stage::Ready) {
            return;
        }
        if !self.fresh_posts.is_empty() {
            let posts = core::mem::take(&mut self.fresh_posts);
            let posts = sorted_by_key(posts, |post| Reverse((post.timestamp, post.entry.id)));
            let more = core::mem::take(&mut self.fresh_more);
            self.event(Event::Posts { posts, more });
        }
        self.flush_slugs();
        for account in core::mem::take(&mut self.changed_profiles) {
            if !self.is_relay() {
                let profile = self.profile_view(&account);
                self.event(Event::Profile(profile));
            }
        }
        if core::mem::take(&mut self.me_changed)
            && let Some(me) = self.me_view()
        {
            self.event(Event::Me(me));
        }
        if !self.is_relay() {
            let status = self.current_status();
            if status != self.status {
                self.status = status;
                self.event(Event::Status(status));
            }
        }
    }
}

/// A count for people: more than four thousand million is shown as that.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
