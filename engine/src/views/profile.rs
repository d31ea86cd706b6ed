//! People: others, and the own account.

use ordered::sorted_by_key;
use protocol::AccountId;

use crate::api::{DeviceView, MeView, ProfileView};

use crate::log::feeds::Feed;

use super::{ViewContext, completeness};

/// A person, without [`ProfileView::feeds`] and what comes after.
pub(super) fn view(context: &ViewContext<'_>, account: &AccountId) -> ProfileView {
    let feeds = || context.log.feeds.feeds_of(account).map(|(_, feed)| feed);
    let mut view = context.kinds.profile_view(account, context.viewer);
    view.entries = feeds().map(Feed::valid_len).sum();
    view.forked = feeds().any(|feed| feed.forked.is_some());
    view.searching = feeds().next().is_none() && context.role.searching(account);
    view
}

/// A person, with how much of what they signed is here.
pub(super) fn whole(context: &ViewContext<'_>, account: &AccountId) -> ProfileView {
    let mut view = view(context, account);
    let heard = completeness::heard(context, account);
    completeness::show(&mut view, context.log, heard);
    view
}

/// The people this account follows.
pub(super) fn followed(context: &ViewContext<'_>) -> Vec<ProfileView> {
    let followed = context.kinds.followed();
    followed.map(|account| view(context, &account)).collect()
}

/// The own account; `None` if there is none on this device.
pub(crate) fn me_view(context: &ViewContext<'_>) -> Option<MeView> {
    let own = context.role.own()?;
    let feed = context.log.feeds.get(&own.device);
    let devices = context.log.feeds.feeds_of(&own.account);
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
        phrase_confirmed: context.role.phrase_confirmed(),
        devices: sorted_by_key(devices, |device| (!device.this, device.since, device.device)),
        following: 0,
        revoked: feed.is_some_and(|feed| feed.revoked.is_some()),
        forked: feed.is_some_and(|feed| feed.forked.is_some()),
        relays_only: own.relays_only,
        old_copy: own.old_copy,
        set_aside: own.set_aside,
        elsewhere: own.elsewhere,
    };
    context.kinds.show_me(&mut view, context.viewer);
    Some(view)
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
