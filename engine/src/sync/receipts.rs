//! Confirmations: telling authors what is held, durably, of their feeds. A relay that keeps feeds signs receipts; any
//! other peer says "have".

use protocol::messages::receipt::Receipt;
use protocol::messages::{FeedHead, Heads, Message, Want};
use protocol::{AccountId, DeviceId};

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::net::Net;

use super::Sync;

impl Sync {
    /// A feed has more on disk: its author, and the relay it came from, learn of it.
    pub(crate) fn confirm_durable(&self, ctx: &mut Ctx, net: &Net, log: &Log, device: &DeviceId) {
        let Some(feed) = log.feeds.get(device) else {
            return;
        };
        let mut links = net.links_whose(|session| session.account == Some(feed.account));
        // To relays only what is signed means something. The relay it came from passes it on to the author.
        let source = feed.source.filter(|_| ctx.signs_receipts);
        links.extend(source.filter(|link| net.session(*link).is_some()));
        if links.is_empty() {
            return;
        }
        if let Some(message) = confirmation(ctx, log, device) {
            for link in links {
                ctx.send(link, &message);
            }
        }
    }

    /// Tells a neighbour what is durable here of its account's feeds.
    pub(super) fn confirm_held(&self, ctx: &mut Ctx, log: &Log, link: LinkId, account: &AccountId) {
        for device in log.feeds.devices(account) {
            if let Some(message) = confirmation(ctx, log, device) {
                ctx.send(link, &message);
            }
        }
    }
}

impl Sync {
    /// A relay asks for a single entry, by which it checks what this one holds: the answer begins with a receipt, so that the relay
    /// knows what of the feed is durable here.
    pub(super) fn confirm_asked(ctx: &mut Ctx, net: &Net, log: &Log, link: LinkId, want: &Want) {
        let by_relay = net.session(link).is_some_and(|session| session.relay);
        let asked = ctx.signs_receipts && by_relay && want.to - want.from == 1;
        if asked && let Some(message) = confirmation(ctx, log, &want.device) {
            ctx.send(link, &message);
        }
    }
}

/// "I hold this". Nothing that is not on disk: a feed that is ahead of its disk is confirmed as far as the disk has it.
fn confirmation(ctx: &mut Ctx, log: &Log, device: &DeviceId) -> Option<Message> {
    let (account, next_seq, head) = log.durable(device)?;
    if ctx.signs_receipts {
        let at = ctx.time_of_receipt();
        let key = &ctx.local.as_ref()?.key;
        let receipt = Receipt::issue(key, *device, next_seq, head, at);
        return Some(Message::Receipt(receipt));
    }
    Some(Message::Have(Heads {
        heads: vec![FeedHead {
            account,
            device: *device,
            next_seq,
            head,
        }],
    }))
}
