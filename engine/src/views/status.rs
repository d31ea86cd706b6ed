//! The state of the connection and of this device, as the interface always shows it.

use crate::api::{Connection, StatusView};
use crate::ctx::Ctx;

use super::ViewContext;

pub(crate) fn status(ctx: &Ctx, context: &ViewContext<'_>) -> StatusView {
    let ViewContext { log, net, .. } = context;
    let peers = net.neighbours().count();
    let relays = net.neighbours().filter(|it| net.known.contains(&it.peer));
    let (mut waiting, mut not_durable) = (0, 0);
    if let Some(device) = ctx.device()
        && let Some(feed) = log.feeds.get(&device)
    {
        let (any_peer, any_relay) = log.holders.reach(&device);
        waiting = feed.next_seq.saturating_sub(any_peer);
        not_durable = feed.next_seq.saturating_sub(any_relay);
    }
    StatusView {
        connection: match (peers, net.is_online()) {
            (0, false) => Connection::Offline,
            (0, true) => Connection::Connecting,
            _ => Connection::Online,
        },
        peers: count(peers as u64),
        relays: count(relays.count() as u64),
        waiting: count(waiting),
        not_durable: count(not_durable),
        syncing: context.sync.is_fetching(),
        store: ctx.store_state,
        phrase_confirmed: context.role.phrase_confirmed(),
        quota: context.role.quota(),
        clock_ahead_min: net.clock_ahead_min(),
    }
}

/// A count as it is shown: of more than fits, the most that does.
fn count(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
