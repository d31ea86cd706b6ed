//! Digests: how far the feeds of common interest are held.

use protocol::messages::{Digest, FeedHead, Message};
use protocol::{AccountId, DeviceId, limits};

use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::feeds::Feed;
use crate::log::keys::FeedNumber;
use crate::net::Net;

use super::{Sync, Wanting};

/// How far a feed is held, as neighbours may learn it. `None`: they may not learn of it yet.
pub(super) fn head_of(device: DeviceId, feed: &Feed) -> Option<FeedHead> {
    let (next_seq, head) = feed.shared();
    (next_seq > 0).then_some(FeedHead {
        account: feed.account,
        device,
        next_seq,
        head,
    })
}

impl Sync {
    /// How far a feed was advertised to a neighbour.
    pub(super) fn advertised(&self, link: LinkId, number: FeedNumber) -> Option<u64> {
        self.advertised.get(&link)?.get(&number).copied()
    }

    pub(super) fn set_advertised(&mut self, link: LinkId, number: FeedNumber, next_seq: u64) {
        self.advertised.or_default(link).insert(number, next_seq);
    }

    /// The neighbour holds at least this much, or it was advertised to it.
    pub(super) fn raise_advertised(&mut self, link: LinkId, number: FeedNumber, next_seq: u64) {
        let advertised = self.advertised.or_default(link).or_default(number);
        *advertised = next_seq.max(*advertised);
    }

    /// The next digest tells the neighbour of the feed again.
    pub(crate) fn unadvertise(&mut self, link: LinkId, number: FeedNumber) {
        if let Some(advertised) = self.advertised.get_mut(&link) {
            advertised.remove(&number);
        }
    }

    /// Tells a neighbour how far the feeds of `accounts` are held here; `all`: including what was advertised to it
    /// before.
    pub(crate) fn send_digest(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        link: LinkId,
        accounts: &[AccountId],
        all: bool,
    ) {
        if net.session(link).is_none() {
            return;
        }
        let advertised = self.advertised.or_default(link);
        let mut heads = Vec::new();
        for account in accounts {
            for (device, feed) in log.feeds.feeds_of(account) {
                let Some(head) = head_of(device, feed) else {
                    continue;
                };
                if all || advertised.get(&feed.number) != Some(&head.next_seq) {
                    advertised.insert(feed.number, head.next_seq);
                    heads.push(head);
                }
            }
        }
        // A neighbour that asked hears that there is nothing.
        if all || !heads.is_empty() {
            self.send_heads(ctx, link, heads, true);
        }
    }

    /// Sends heads in as many messages as it takes; `end`: these are all.
    pub(super) fn send_heads(&self, ctx: &mut Ctx, link: LinkId, mut heads: Vec<FeedHead>, end: bool) {
        loop {
            let rest = heads.split_off(heads.len().min(limits::HEADS_PER_MESSAGE_MAX));
            let end = end && rest.is_empty();
            ctx.send(link, &Message::Digest(Digest { heads, end }));
            if rest.is_empty() {
                return;
            }
            heads = rest;
        }
    }

    /// Compares with one random neighbour.
    pub(crate) fn anti_entropy(&mut self, ctx: &mut Ctx, net: &Net, log: &Log) {
        let links = net.neighbour_links();
        if let Some(link) = ctx.any_of(&links) {
            self.digest_changes(ctx, net, log, link);
        }
    }

    /// Tells a neighbour what changed since the last digest.
    pub(super) fn digest_changes(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, link: LinkId) {
        let Some(interest) = self.interest(link) else {
            return;
        };
        let accounts: Vec<_> = if interest.everything {
            log.feeds.accounts().collect()
        } else {
            interest.matched.iter().copied().collect()
        };
        self.send_digest(ctx, net, log, link, &accounts, false);
    }

    /// A neighbour said how far it holds feeds.
    pub(super) fn on_heads(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        heads: &[FeedHead],
    ) {
        for head in heads {
            self.record_mention(ctx, log, wanting, link, head.account);
            self.record_head(ctx, net, log, wanting, link, *head);
        }
        self.pump_fetches(ctx, net, log, wanting, link);
    }

    /// A neighbour said, or showed, how far it holds an account's feeds. Relays need not know that.
    pub(crate) fn record_mention(
        &mut self,
        ctx: &Ctx,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        account: AccountId,
    ) {
        if wanting.serves_others() || !wanting.wants(log, &account) {
            return;
        }
        if let Some(interest) = self.interests.get_mut(&link) {
            interest.mentioned.insert(account);
            self.compared.insert(account, ctx.now.wall);
        }
    }

    /// The account is not wanted any more: when it was compared does not matter.
    pub(crate) fn forget_compared(&mut self, account: &AccountId) {
        self.compared.remove(account);
    }

    /// A neighbour holds a feed up to here. Only relays need to know that of others.
    pub(super) fn record_peer_has(
        ctx: &mut Ctx,
        wanting: Wanting<'_>,
        link: LinkId,
        device: DeviceId,
        next_seq: u64,
    ) {
        if wanting.serves_others() {
            ctx.fact(Fact::PeerHas {
                link,
                device,
                next_seq,
            });
        }
    }

    /// Records what a neighbour holds beyond what is held here.
    pub(super) fn record_head(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        head: FeedHead,
    ) {
        Self::record_peer_has(ctx, wanting, link, head.device, head.next_seq);
        if !wanting.wants(log, &head.account) {
            return;
        }
        if ctx.device() == Some(head.device) {
            ctx.fact(Fact::OwnFeedAt { head });
        }
        let feed = log.feeds.get(&head.device);
        let held = feed.map_or(0, |feed| feed.next_seq);
        if feed.is_some_and(|feed| feed.forked.is_some() || held >= feed.limit()) {
            return;
        }
        if let Some(feed) = feed.filter(|_| head.next_seq >= held) {
            // It has all there is here: no need to tell it.
            self.set_advertised(link, feed.number, head.next_seq);
        }
        let other_branch =
            feed.is_some_and(|feed| head.next_seq == held && held > 0 && head.head != feed.head);
        if other_branch {
            if log.is_unconfirmed(ctx, &head.device, held - 1) {
                // Not a fork yet: see the fact above.
                return;
            }
            self.probe_fork(ctx, net, link, head.device, held - 1);
        } else if head.next_seq > held {
            self.fetches.record_missing(ctx, link, head);
        }
    }
}
