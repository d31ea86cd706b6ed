//! What other peers confirm to hold of this account's feeds, and what they take back.

use protocol::messages::FeedHead;
use protocol::messages::directory::{Description, role};
use protocol::messages::receipt::{Reason, Receipt, Withdrawal};
use protocol::{AccountId, DeviceId, PeerId, Timestamp};

use crate::api::Event;
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::durability::Confirmed;
use crate::net::Net;
use crate::relays::directory::Directory;

use super::Person;

impl Person {
    /// How many relays should hold this device's entries: as many as there are, up to the usual number of replicas.
    pub(crate) fn relays_known(replicas: usize, net: &Net, directory: &Directory) -> u32 {
        let workers = directory.living_workers().count();
        let wanted = workers.min(replicas).max(net.known.len().min(1));
        u32::try_from(wanted).unwrap_or(u32::MAX)
    }

    /// A peer says how far it holds own feeds. The accounts it has spoken of.
    pub(crate) fn on_have(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &mut Log,
        directory: &Directory,
        link: LinkId,
        heads: &[FeedHead],
    ) -> Option<AccountId> {
        let peer = net.session(link)?.peer;
        let mut mentioned = None;
        for head in heads {
            if ctx.is_me(&head.account) {
                mentioned = Some(head.account);
            }
            let confirmed = Confirmed {
                peer,
                relay: false,
                device: head.device,
                next_seq: head.next_seq,
                head: head.head,
                signed_at: Timestamp(0),
            };
            confirm(ctx, net, log, directory, confirmed);
        }
        mentioned
    }

    /// A receipt. It counts as durable only from a relay this device knows, or one that such a relay lists and passes
    /// on, since any peer can call itself a relay; and not if that relay describes itself as keeping no feeds. The
    /// account it is about, if the signer itself sent it.
    pub(crate) fn on_receipt(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &mut Log,
        directory: &Directory,
        link: LinkId,
        receipt: &Receipt,
    ) -> Option<AccountId> {
        let session = net.session(link)?;
        if receipt.verify().is_err() {
            ctx.misbehaved(link, "a receipt with a wrong signature");
            return None;
        }
        let known = net.known.contains(&session.peer);
        let direct = receipt.relay == session.peer;
        let account = log.feeds.get(&receipt.device).map(|feed| feed.account);
        let mine = account.filter(|account| ctx.is_me(account));
        if direct || (known && directory.lists(&receipt.relay)) {
            let keeps = known && directory.may_keep(&receipt.relay);
            let confirmed = Confirmed {
                peer: receipt.relay,
                relay: keeps,
                device: receipt.device,
                next_seq: receipt.next_seq,
                head: receipt.head,
                signed_at: receipt.at,
            };
            let before = confirm(ctx, net, log, directory, confirmed);
            let news = before.is_some_and(|before| before < receipt.next_seq);
            if keeps && news && ctx.device() == Some(receipt.device) {
                let (since, now) = (Some(session.opened), ctx.now.instant);
                self.choice.signed(receipt.relay, receipt.next_seq, since, now);
            }
        }
        mine.filter(|_| direct)
    }

    /// A relay keeps a feed no longer. It takes back only what the same relay signed, so it counts from any neighbour.
    pub(crate) fn on_withdrawal(
        ctx: &mut Ctx,
        net: &Net,
        log: &mut Log,
        directory: &Directory,
        link: LinkId,
        withdrawal: &Withdrawal,
    ) {
        let Some(session) = net.session(link) else {
            return;
        };
        if withdrawal.verify().is_err() {
            return ctx.misbehaved(link, "a withdrawal with a wrong signature");
        }
        let known = net.known.contains(&session.peer);
        let direct = withdrawal.relay == session.peer;
        let believed = known && (direct || directory.lists(&withdrawal.relay));
        if let Some(from) = log.take_back(ctx, withdrawal.into(), believed) {
            Self::report_durability(ctx, net, log, directory, withdrawal.device, from);
            report_not_kept(ctx, net, directory, withdrawal.relay, withdrawal.reason);
        }
    }

    /// A relay that left its network for good keeps nothing any more, as its last description says.
    pub(crate) fn check_left(ctx: &mut Ctx, net: &Net, log: &mut Log, directory: &Directory) {
        let left = directory
            .descriptions()
            .filter(|description| description.roles & role::LEFT != 0);
        let left: Vec<(PeerId, Timestamp)> = left
            .map(|Description { relay, heartbeat, .. }| (*relay, Timestamp(*heartbeat)))
            .collect();
        for (relay, at) in left {
            let changed = log.take_back_all(ctx, relay, at, Reason::LEFT);
            for device in &changed {
                Self::report_durability(ctx, net, log, directory, *device, 0);
            }
            if !changed.is_empty() {
                report_not_kept(ctx, net, directory, relay, Reason::LEFT);
            }
        }
    }

    /// Own entries from `before` on may be safer than they were, or less safe.
    pub(crate) fn report_durability(
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        directory: &Directory,
        device: DeviceId,
        before: u64,
    ) {
        let relays_known = Self::relays_known(ctx.config.replicas, net, directory);
        for (seq, post) in log.holders.own_posts_from(device, before) {
            let durability = log.durability(&device, seq, relays_known);
            ctx.event(Event::Durability { post, durability });
        }
    }
}

pub(super) fn report_not_kept(
    ctx: &mut Ctx,
    net: &Net,
    directory: &Directory,
    relay: PeerId,
    reason: Reason,
) {
    let url = directory
        .url_of(&relay)
        .or_else(|| net.known.url(&relay).cloned());
    let url = url.unwrap_or_default();
    ctx.event(Event::NotKept { relay, url, reason });
}

fn confirm(
    ctx: &mut Ctx,
    net: &Net,
    log: &mut Log,
    directory: &Directory,
    confirmed: Confirmed,
) -> Option<u64> {
    let before = log.confirm(ctx, confirmed)?;
    Person::report_durability(ctx, net, log, directory, confirmed.device, before);
    Some(before)
}
