//! Digests: how far the feeds of common interest are held.

use protocol::messages::{Digest, FeedHead};
use protocol::{AccountId, DeviceId};

use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::feeds::Feed;
use crate::log::keys::FeedNumber;
use crate::net::Net;

use super::answers::{DigestJob, DigestScope, LinkAnswers};
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

    /// The next digest to the neighbour lists the feed again.
    pub(crate) fn unadvertise(&mut self, link: LinkId, number: FeedNumber) {
        if let Some(advertised) = self.advertised.get_mut(&link) {
            advertised.remove(&number);
        }
    }

    /// Sends a neighbour how far the feeds of `accounts` are held here; `all`: including what was advertised to it
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
        let accounts: Vec<AccountId> = accounts.to_vec();
        self.add_digest(
            link,
            DigestJob::new(DigestScope::Accounts(accounts.into_iter()), all),
        );
        self.go_on_soon(ctx, log, link);
    }

    /// Compares with one random neighbour.
    pub(crate) fn anti_entropy(&mut self, ctx: &mut Ctx, net: &Net, log: &Log) {
        let links = net.neighbour_links();
        if let Some(link) = ctx.any_of(&links) {
            self.digest_changes(ctx, net, log, link);
        }
    }

    /// Sends a neighbour what changed since the last digest.
    pub(super) fn digest_changes(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, link: LinkId) {
        let is_answering = self.answers.get(&link).is_some_and(LinkAnswers::is_busy);
        if net.session(link).is_none() || is_answering || self.comparisons.is_open(link) {
            // A digest of everything is under way.
            return;
        }
        self.add_digest(link, DigestJob::new(DigestScope::Wanted(None), false));
        self.go_on_soon(ctx, log, link);
    }

    /// A digest of a neighbour, or a part of one.
    pub(super) fn on_digest(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        digest: &Digest,
    ) {
        let before = self.fetches.missing_len(link);
        self.record_heads(ctx, net, log, wanting, link, &digest.heads);
        let missing = self.fetches.missing_len(link).saturating_sub(before);
        self.fetches
            .add_handled(link, digest.heads.len().saturating_sub(missing));
        self.pump_fetches(ctx, net, log, wanting, link);
        if digest.end && !self.comparisons.is_open(link) {
            ctx.fact(Fact::Compared { link });
        }
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
        self.record_heads(ctx, net, log, wanting, link, heads);
        self.pump_fetches(ctx, net, log, wanting, link);
    }

    fn record_heads(
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
        let held = feed.map_or(0, Feed::valid_len);
        let limit = log.limit_of(head.account, &head.device);
        // A neighbour that does not know yet where the feed ends says more.
        let next_seq = head.next_seq.min(limit);
        if let Some(feed) = feed.filter(|_| next_seq >= held) {
            // It has all there is here, so nothing is sent.
            self.set_advertised(link, feed.number, next_seq);
        }
        if next_seq > held {
            let head = FeedHead { next_seq, ..head };
            return self.fetches.record_missing(ctx, net.session(link), link, head);
        }
        let Some(last) = next_seq.checked_sub(1).filter(|_| head.next_seq == next_seq) else {
            return;
        };
        if ctx.device() == Some(head.device) {
            // What is not published yet would never be found to contradict by the neighbour.
            if log
                .own_head(&head.device, head.next_seq)
                .is_some_and(|own| own != head.head)
            {
                self.want_one(ctx, net, link, head.device, last);
            }
        } else if feed.is_some_and(|feed| feed.shared().0 == next_seq && feed.shared().1 != head.head) {
            self.probe_fork(ctx, net, link, head.device, last);
        }
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
