//! People: others, and the own account.

use ordered::sorted_by_key;
use protocol::AccountId;

use crate::api::{DeviceView, MeView, ProfileView};

use crate::log::feeds::Feed;

use super::{Sources, completeness};

/// A person, without [`ProfileView::feeds`] and what comes after.
pub(super) fn view(sources: &Sources<'_>, account: &AccountId) -> ProfileView {
    let feeds = || sources.log.feeds.feeds_of(account).map(|(_, feed)| feed);
    let mut view = sources.kinds.profile_view(account, sources.viewer);
    view.entries = feeds().map(Feed::valid_len).sum();
    view.forked = feeds().any(|feed| feed.forked.is_some());
    view.searching = feeds().next().is_none() && sources.role.searching(account);
    view
}

/// A person, with how much of what they signed is here.
pub(super) fn whole(sources: &Sources<'_>, account: &AccountId) -> ProfileView {
    let mut view = view(sources, account);
    let heard = completeness::heard(sources, account);
    completeness::show(&mut view, sources.log, heard);
    view
}

/// The people this account follows.
pub(super) fn followed(sources: &Sources<'_>) -> Vec<ProfileView> {
    let followed = sources.kinds.followed();
    followed.map(|account| view(sources, &account)).collect()
}

/// The own account; `None` if there is none on this device.
pub(crate) fn me_view(sources: &Sources<'_>) -> Option<MeView> {
    let own = sources.role.own()?;
    let feed = sources.log.feeds.get(&own.device);
    let devices = sources.log.feeds.feeds_of(&own.account);
    let devices = devices.map(|(device, feed)| DeviceView {
        device,
        name: feed.name.clone(),
        since: feed.since,
        this: device == own.device,
        revoked: feed.revoked.is_some(),
        entries: feed.valid_len(),
    });
    let mut view = MeView {
        account: own.account,
        device: own.device,
        name: String::new(),
        bio: String::new(),
        handle: String::new(),
        claim: own.claim,
        offer: own.offer,
        phrase_confirmed: sources.role.phrase_confirmed(),
        devices: sorted_by_key(devices, |device| (!device.this, device.since, device.device)),
        following: 0,
        revoked: feed.is_some_and(|feed| feed.revoked.is_some()),
        forked: feed.is_some_and(|feed| feed.forked.is_some()),
        relays_only: own.relays_only,
        old_copy: own.old_copy,
        set_aside: own.set_aside,
        elsewhere: own.elsewhere,
    };
    sources.kinds.show_me(&mut view, sources.viewer);
    Some(view)
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
