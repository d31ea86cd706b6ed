//! Exchanging entries with neighbours: who wants whose feeds ([`interests`]), who holds how much ([`digest`],
//! [`compare`]), fetching what is missing ([`missing`], [`fetch`]), serving what others miss ([`serve`]), pushing what is new
//! ([`spread`]) and confirming what is durable ([`receipts`]). What takes long with many feeds is done in pieces
//! ([`work`]): [`answers`] and [`compare`].
//!
//! Each part keeps its own state of a link; [`Sync::on_session_down`] drops all of it. A channel is reliable, so what
//! was advertised on a link is remembered for as long as the link lives, and anti-entropy sends only what changed
//! since.

#[cfg(feature = "relay")]
mod account_index;
#[cfg(feature = "relay")]
mod admission;
mod answers;
pub(crate) mod compare;
#[cfg(feature = "relay")]
mod debts;
pub(crate) mod digest;
mod failures;
pub(crate) mod fetch;
pub(crate) mod interest;
pub(crate) mod interests;
mod missing;
mod quotas;
pub(crate) mod receipts;
pub(crate) mod serve;
pub(crate) mod sketch;
pub(crate) mod spread;
#[cfg(feature = "relay")]
mod unconfirmed;
mod work;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use ordered::Map;
use protocol::messages::{FeedHead, Message, Push};
use protocol::{AccountId, DeviceId, Instant, Timestamp, limits};

use crate::ctx::Ctx;
use crate::facts::{Ended, Fact};
use crate::io::LinkId;
use crate::log::Log;
use crate::log::keys::FeedNumber;
use crate::net::{Net, Session};

use answers::LinkAnswers;
use compare::Comparisons;
use fetch::Fetches;
pub(crate) use interest::{FollowList, Interest, Scope, Summary, Wanting};
pub(crate) use interests::PeerInterest;
pub(crate) use interests::Remembered;
use quotas::QuotaUse;
use serve::Serving;
use spread::Spread;
use work::{Turn, Work};

#[derive(Debug)]
pub(crate) struct Sync {
    interests: Map<LinkId, PeerInterest>,
    /// How far each feed was advertised, or sent, to each neighbour.
    advertised: Map<LinkId, Map<FeedNumber, u64>>,
    fetches: Fetches,
    serving: Serving,
    answers: Map<LinkId, LinkAnswers>,
    #[cfg(feature = "relay")]
    account_index: account_index::AccountIndex,
    work: Work,
    comparisons: Comparisons,
    pub(crate) spread: Spread,
    /// When a neighbour last said how far it holds the feeds of an account wanted here.
    compared: Map<AccountId, Timestamp>,
    /// Announced entries that did not arrive along a tree.
    overdue: Vec<(LinkId, FeedHead)>,
    quotas: QuotaUse,
    #[cfg(feature = "relay")]
    admissions: admission::Admissions,
    #[cfg(feature = "relay")]
    unconfirmed: unconfirmed::Unconfirmed,
}

impl Sync {
    pub(crate) fn new() -> Self {
        Self {
            interests: Map::new(),
            advertised: Map::new(),
            fetches: Fetches::default(),
            serving: Serving::default(),
            answers: Map::new(),
            #[cfg(feature = "relay")]
            account_index: account_index::AccountIndex::default(),
            work: Work::new(),
            comparisons: Comparisons::default(),
            spread: Spread::new(),
            compared: Map::new(),
            overdue: Vec::new(),
            quotas: QuotaUse::default(),
            #[cfg(feature = "relay")]
            admissions: admission::Admissions::default(),
            #[cfg(feature = "relay")]
            unconfirmed: unconfirmed::Unconfirmed::default(),
        }
    }

    /// Entries refused because a quota was used up, by quota.
    pub(crate) fn over_quota(&self) -> [u64; 4] {
        self.quotas.refused()
    }

    /// How often work was asked of new accounts, and how many proved it. A device asks nobody.
    pub(crate) fn work_of_accounts(&self) -> [u64; 2] {
        #[cfg(feature = "relay")]
        return self.admissions.counts();
        #[cfg(not(feature = "relay"))]
        [0; 2]
    }

    /// What a neighbour wants.
    pub(crate) fn interest(&self, link: LinkId) -> Option<&PeerInterest> {
        self.interests.get(&link)
    }

    /// When a neighbour last said how far it holds the account's feeds.
    pub(crate) fn compared(&self, account: &AccountId) -> Option<Timestamp> {
        self.compared.get(account).copied()
    }

    /// When each account of `of` was last compared with a neighbour.
    pub(crate) fn compared_of(&self, of: impl Fn(&AccountId) -> bool) -> Vec<(AccountId, Timestamp)> {
        let compared = self.compared.iter().filter(|(account, _)| of(account));
        compared.map(|(account, at)| (*account, *at)).collect()
    }

    /// A link ended. What its peer wanted.
    pub(crate) fn on_session_down(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        ended: &Ended,
    ) -> PeerInterest {
        let link = ended.link;
        self.spread.on_down(link, ctx.clock());
        self.advertised.remove(&link);
        self.serving.forget(link);
        self.comparisons.forget(link);
        self.answers.remove(&link);
        self.work.end(link);
        self.release_fetches(ctx, net, log, wanting, link);
        self.interests.remove(&link).unwrap_or_default()
    }

    /// An account is not held any more.
    pub(crate) fn forget_account(&mut self, account: &AccountId, numbers: &[FeedNumber]) {
        #[cfg(feature = "relay")]
        self.account_index.forget(account, numbers);
        for interest in self.interests.values_mut() {
            interest.matched.remove(account);
        }
        for advertised in self.advertised.values_mut() {
            for number in numbers {
                advertised.remove(number);
            }
        }
    }

    /// Routes a message about feeds. A message of another part is given back.
    pub(crate) fn on_message(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        wanting: Wanting<'_>,
        link: LinkId,
        message: Message,
        len: usize,
    ) -> Option<Message> {
        if matches!(
            message,
            Message::Digest(_) | Message::Sketch(_) | Message::Compared(_)
        ) {
            ctx.fact(Fact::Helped { link, entries: false });
        }
        match message {
            Message::Digest(digest) => self.on_digest(ctx, net, log, wanting, link, &digest),
            Message::HeadCredit(credit) => {
                if self.answers.or_default(link).grant(credit.heads) {
                    self.work.begin(link);
                    self.work(ctx, net, log, wanting);
                }
            }
            Message::Sketch(sketch) => self.on_sketch(ctx, net, log, wanting, link, sketch),
            Message::Compared(compared) => self.on_verdict(ctx, net, log, wanting, link, compared),
            Message::Announce(announcements) => {
                self.on_announce(ctx, net, log, wanting, link, &announcements);
            }
            Message::Want(want) => {
                Self::confirm_asked(ctx, net, log, link, &want);
                self.on_want(ctx, log, link, want);
            }
            Message::Entries(entries) => self.on_entries(ctx, net, log, wanting, link, entries, len),
            Message::RangeEnd(end) => self.on_range_end(ctx, net, log, wanting, link, end.request),
            Message::Push(push) => self.on_push(ctx, net, log, wanting, link, push, len),
            Message::Credit(credit) => {
                self.spread.grant(link, credit.bytes);
                self.pump_serving(ctx, log, link);
            }
            Message::ForkProof(proof) => {
                self.fetches.add_handled(link, limits::FORK_PROOF_HEADS as usize);
                self.pump_fetches(ctx, net, log, wanting, link);
                if wanting.wants(log, &proof.one.header.account) {
                    log.on_fork_proof(ctx, link, proof);
                }
            }
            #[cfg(feature = "relay")]
            Message::WorkDone(done) => self.on_work_done(ctx, net, log, wanting, link, &done),
            Message::Graft(on) => self.spread.on_graft(link, on, ctx.clock()),
            Message::Prune(on) => self.spread.on_prune(link, on, ctx.clock()),
            other => return Some(other),
        }
        None
    }

    /// Goes on with long work, as far as it may be done now.
    pub(crate) fn work(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, wanting: Wanting<'_>) {
        self.work.refill(ctx.now.instant);
        let address = |link| net.session(link).and_then(Session::limited);
        while let Some((link, units)) = self.work.next_turn(ctx.work_of, address) {
            self.work.end(link);
            let mut turn = Turn::new(units);
            let compares = self.go_on_comparing(ctx, net, log, wanting, link, &mut turn);
            let answers = self.go_on_answering(ctx, net, log, wanting, link, &mut turn);
            self.work.spend(&turn, address(link));
            if compares || answers {
                self.work.begin(link);
            }
        }
    }

    /// When there is long work to go on with.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        #[cfg(feature = "relay")]
        if !self.unconfirmed.is_empty() {
            return Some(Instant(0));
        }
        self.work.deadline()
    }

    /// Once a second.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, wanting: Wanting<'_>) {
        self.fetch_on_timer(ctx, net, log, wanting);
        #[cfg(feature = "relay")]
        {
            self.quotas.on_timer(ctx.now.instant);
            self.admissions.on_timer(ctx.now.instant);
            self.work.debts.on_timer(ctx.now.instant);
        }
        for link in self.comparisons.on_timer(ctx.now.instant) {
            self.work.begin(link);
        }
        for (link, answers) in self.answers.iter_mut() {
            // A peer that does not grant credit for heads is sent a window a second.
            if net.session(*link).is_some_and(|session| !session.paces_digests) {
                answers.grant(limits::HEADS_WINDOW);
            }
            if answers.is_busy() {
                self.work.begin(*link);
            }
        }
    }

    /// A new entry, pushed along a tree.
    fn on_push(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        wanting: Wanting<'_>,
        link: LinkId,
        push: Push,
        len: usize,
    ) {
        ctx.consume(link, len);
        let route = spread::route_of(&push);
        if let Err(reason) = self.ingest(ctx, net, log, wanting, link, push.entry, Some(route)) {
            ctx.misbehaved(link, reason);
        }
    }

    /// A feed of the account turned out to be forked: neighbours that want it learn of it.
    pub(crate) fn on_forked(&self, ctx: &mut Ctx, log: &Log, account: &AccountId, device: &DeviceId) {
        let Some(proof) = log.forks.get(device) else {
            return;
        };
        for link in self.links_wanting(account) {
            ctx.send(link, &Message::ForkProof(proof.clone()));
        }
    }

    /// Lets neighbours send as many bytes of entries again as were stored.
    pub(crate) fn grant_consumed(&mut self, ctx: &mut Ctx, consumed: &Map<LinkId, u32>) {
        for (link, bytes) in consumed {
            self.serving.grant(ctx, *link, *bytes);
        }
    }
}
