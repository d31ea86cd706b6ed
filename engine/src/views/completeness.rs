//! How much of what a person signed is here, and what neighbours have beyond that.
//!
//! A feed is held from its beginning without a gap, each entry linked to the one before and signed by its author: the
//! newest one held proves that nothing before it is missing or was changed. What comes after it is known from
//! neighbours alone, and counts for as long as they are linked and keep to what they said: one that is asked for it
//! and does not show it is not believed.

use core::cmp::Reverse;

use ordered::{Map, sorted_by_key};
use protocol::limits::DEVICES_PER_ACCOUNT_MAX;
use protocol::{AccountId, DeviceId, EntryId, Timestamp};

use crate::api::{FeedView, ProfileView};
use crate::log::Log;

use super::ViewContext;

/// What linked peers say of an account's feeds.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Peers that said how far they hold them.
    peers: u32,
    /// The time at which a peer last reported it.
    compared: Option<Timestamp>,
    /// How far any of them holds each feed that is not held that far here.
    next_seqs: Map<DeviceId, u64>,
}

impl Heard {
    fn record(&mut self, device: DeviceId, next_seq: u64) {
        let most = self.next_seqs.or_default(device);
        *most = next_seq.max(*most);
    }
}

pub(super) fn heard(context: &ViewContext<'_>, account: &AccountId) -> Heard {
    let sync = context.sync;
    let mut heard = Heard {
        compared: sync.compared(account),
        ..Heard::default()
    };
    for link in context.net.sessions().map(|session| session.link) {
        let interest = sync.interest(link);
        heard.peers += u32::from(interest.is_some_and(|it| it.mentioned.contains(account)));
        for (device, claim) in sync.missing(link).filter(|(_, claim)| claim.account == *account) {
            heard.record(*device, claim.next_seq);
        }
        for head in sync.spread.awaited(link).filter(|head| head.account == *account) {
            heard.record(head.device, head.next_seq);
        }
        for request in sync.requests(link).filter(|request| request.account == *account) {
            heard.record(request.device, request.next_seq);
        }
    }
    heard
}

/// Adds to a profile what is known of the person's feeds.
pub(super) fn show(profile: &mut ProfileView, log: &Log, mut heard: Heard) {
    let account = profile.account;
    let mut feeds = Vec::new();
    for (device, feed) in log.feeds.feeds_of(&account) {
        let (next_seq, limit) = (feed.next_seq, feed.limit());
        let entries = next_seq.min(limit);
        let heard = heard.next_seqs.remove(&device).unwrap_or(0);
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
            missing: heard.min(limit).saturating_sub(next_seq),
        });
    }
    // Feeds of which nothing is here.
    let room = DEVICES_PER_ACCOUNT_MAX.saturating_sub(feeds.len());
    let revoked = |device: &DeviceId| Some(log.revocations.get(&(account, *device))?.next_seq);
    let unheld = heard.next_seqs.iter().map(|(device, next_seq)| FeedView {
        device: *device,
        name: String::new(),
        entries: 0,
        posts: 0,
        head: EntryId::default(),
        signed_at: Timestamp(0),
        missing: revoked(device).unwrap_or(u64::MAX).min(*next_seq),
    });
    feeds.extend(unheld.take(room).filter(|feed| feed.missing > 0));
    profile.feeds = sorted_by_key(feeds, |feed| Reverse(feed.signed_at));
    profile.reported_by = heard.peers;
    profile.compared = heard.compared;
}

#[cfg(test)]
#[path = "completeness_tests.rs"]
mod tests;
