//! What this relay drops, what must be proven before, and what it says about it; and the audits that prove it.
//!
//! A feed that this relay signed receipts for is dropped to make room only if every replica of it is a member and
//! proved that it keeps all of it ([`super::replacements`]). What is removed for another reason goes at once. In both
//! cases a signed withdrawal takes the receipts back.

use protocol::messages::receipt::{Reason, Withdrawal};
use protocol::messages::{Interests, Message, SaltedAccount};
use protocol::{AccountId, PeerId};
use rand_core::Rng;

use crate::ctx::Ctx;
use crate::io::{LinkId, Log as Line};
use crate::kinds::Viewer;
use crate::log::Log;
use crate::log::records::meta;
use crate::net::{Net, Session};
use crate::relays::directory::Directory;
use crate::store::{Op, Rows, Table};
use crate::sync::Sync;

use super::audit::{Audit, Question};
use super::cache::{Demand, Dropped, Verdict};
use super::interest::want_from_relays;
use super::{Relay, RelayParts};

/// Audits.
impl Relay {
    /// The interval of anti-entropy: asks one neighbouring relay at random for one random entry that it said it has. Only
    /// members are asked: strangers would take their turns, and raise the count of failures.
    pub(crate) fn on_anti_entropy(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        sync: &mut Sync,
        directory: &Directory,
    ) {
        self.joining.on_anti_entropy(ctx, net, &self.members);
        let has_something = |session: &Session| {
            session.neighbour
                && session.relay
                && net.is_anchor(directory, &session.peer)
                && self.peer_has.of(session.link).is_some()
        };
        let Some(link) = ctx.any_of(&net.links_whose(has_something)) else {
            return;
        };
        let (feed, entry) = (ctx.rng.next_u64(), ctx.rng.next_u64());
        let Some(feeds) = self.peer_has.of(link).filter(|_| !self.audits.is_under_way(link)) else {
            return;
        };
        let claimed = feeds.iter().nth((feed % feeds.len() as u64) as usize);
        let Some((device, has)) = claimed.and_then(|(number, has)| Some((log.feeds.device(*number)?, *has)))
        else {
            return;
        };
        let question = Question {
            device,
            seq: entry % has.max(1),
            claimed: true,
        };
        self.begin_audit(ctx, net, sync, link, question);
    }

    /// Asks a neighbour to show an entry.
    pub(super) fn begin_audit(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        sync: &mut Sync,
        link: LinkId,
        question: Question,
    ) {
        if let Some(request) = sync.want_one(ctx, net, link, question.device, question.seq) {
            self.audits.begin(link, request, question, ctx.now.instant);
        }
    }

    /// Once a second: what was not answered for long fails, and what was not proven is given up.
    pub(super) fn audits_on_timer(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        let RelayParts { net, log, sync, .. } = parts;
        for (link, unanswered) in self.audits.take_overdue(ctx.now.instant) {
            self.judge_audit(ctx, net, log, sync, link, unanswered);
            self.checks.end(ctx, link);
        }
        self.replacements.on_timer(ctx.now.instant);
        for link in self.replacements.links() {
            self.ask_for_proof(ctx, net, log, sync, link);
        }
    }

    /// Whether this request was an audit; then it is judged.
    pub(super) fn on_audit_end(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        link: LinkId,
        request: u32,
    ) -> bool {
        let Some(audit) = self.audits.on_end(link, request) else {
            return false;
        };
        let RelayParts { net, log, sync, .. } = parts;
        self.judge_audit(ctx, net, log, sync, link, audit);
        self.checks.end(ctx, link);
        self.ask_for_proof(ctx, net, log, sync, link);
        if audit.shown && self.may_drop_more(ctx, parts) {
            self.drop_proven(ctx, parts);
        }
        true
    }

    fn judge_audit(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        sync: &mut Sync,
        link: LinkId,
        audit: Audit,
    ) {
        let Question { device, seq, claimed } = audit.question;
        if audit.shown {
            self.on_peer_has(net, log, link, &device, seq + 1);
            self.replacements.on_shown(link, &device);
        } else {
            self.replacements.retract(link, &device);
        }
        if !claimed {
            return;
        }
        ctx.totals.audits += 1;
        if audit.shown {
            return;
        }
        ctx.totals.audits_failed += 1;
        let session = net.session(link);
        let Some((feed, session)) = log.feeds.get(&device).zip(session) else {
            return;
        };
        self.peer_has.retract(link, feed.number);
        self.hand_over.restart();
        sync.unadvertise(link, feed.number);
        let peer = session.peer;
        ctx.log(Line::NotHeld { peer, device, seq });
        sync.send_digest(ctx, net, log, link, &[feed.account], true);
    }

    /// Asks a relay for the next entry that is to prove that it keeps a feed, unless it has not answered the question before.
    fn ask_for_proof(&mut self, ctx: &mut Ctx, net: &Net, log: &Log, sync: &mut Sync, link: LinkId) {
        if self.audits.is_under_way(link) {
            return;
        }
        while let Some(device) = self.replacements.next_question(link) {
            let Some(feed) = log.feeds.get(&device).filter(|feed| feed.valid_len() > 0) else {
                continue;
            };
            let question = Question {
                device,
                seq: ctx.rng.next_u64() % feed.valid_len(),
                claimed: true,
            };
            return self.begin_audit(ctx, net, sync, link, question);
        }
    }
}

/// Dropping.
impl Relay {
    /// Whether devices may count on what this relay holds: it signs receipts, or has signed some.
    fn signs(&self, ctx: &Ctx) -> bool {
        self.signed || ctx.signs_receipts
    }

    /// The store has been read: from now on this relay may sign receipts, and remembers that.
    pub(super) fn begin_to_sign(&mut self, ctx: &mut Ctx) {
        if ctx.signs_receipts && !core::mem::replace(&mut self.signed, true) {
            ctx.write(Op::Put {
                table: Table::Meta,
                key: meta::SIGNED.to_vec(),
                value: Vec::new(),
            });
        }
        if let Some(at) = self.withdrawals.last_signed() {
            ctx.record_signed_at(at);
        }
    }

    /// Goes on deleting, or drops an account if more than wanted are held.
    pub(super) fn trim_cache(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) {
        if self.cache.is_deleting() {
            // Unless a load failed, it is under way.
            return self.cache.continue_deleting(ctx);
        }
        if !self.may_drop_more(ctx, parts) || self.drop_proven(ctx, parts) {
            return;
        }
        let (most, now) = (ctx.config.cached_accounts_max, ctx.now.instant);
        let mut room = self.replacements.room();
        let (mut unproven, mut unheard) = (Vec::new(), Vec::new());
        // What judges an account reads the other parts of this role, while the cache changes the order of the accounts.
        let mut cache = core::mem::take(&mut self.cache);
        let demand = self.demand(ctx, parts);
        let may_drop = |account: &AccountId| {
            let verdict = demand.judge(account);
            let feeds = parts.log.feeds.devices(account).len();
            match verdict {
                Verdict::Drop => return true,
                Verdict::Keep => {}
                Verdict::Unheard(links) => unheard.push((*account, links)),
                Verdict::Unproven(links) if feeds <= room => {
                    room -= feeds;
                    unproven.push((*account, links));
                }
                Verdict::Unproven(_) => {}
            }
            false
        };
        let excess = cache.excess(most, now, may_drop);
        self.cache = cache;
        for (account, links) in unproven {
            self.replacements.examine(&parts.log.feeds, &account, &links, now);
            for link in links {
                self.ask_for_proof(ctx, parts.net, parts.log, parts.sync, link);
            }
        }
        for (account, links) in unheard {
            self.ask_how_far(ctx, parts, &account, &links);
        }
        if let Some(account) = excess {
            self.drop_account(ctx, parts, account, Reason::MOVED);
        }
    }

    /// Asks relays for the last entry of a feed that they have not said to have. What they said is forgotten with their
    /// links, and two relays that hold a feed alike do not speak of it when they compare what each wants.
    fn ask_how_far(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        account: &AccountId,
        links: &[LinkId],
    ) {
        let RelayParts { net, log, sync, .. } = parts;
        for link in links {
            let behind = self.behind(net, log, *link, log.feeds.devices(account));
            if let Some((device, held, _)) = behind.first().filter(|_| !self.audits.is_under_way(*link)) {
                let question = Question {
                    device: *device,
                    seq: held - 1,
                    claimed: false,
                };
                self.begin_audit(ctx, net, sync, *link, question);
            }
        }
    }

    /// Whether more is held than wanted, and something of it can be dropped now.
    fn may_drop_more(&self, ctx: &Ctx, parts: &RelayParts<'_>) -> bool {
        let most = ctx.config.cached_accounts_max;
        self.cache.len() > most && !self.cache.is_deleting() && !parts.directory.suspects_partition()
    }

    /// Drops an account that was proven to be kept by others. `false`: there is none.
    fn drop_proven(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>) -> bool {
        let mut news = self.replacements.take_news();
        let mut proven = None;
        while proven.is_none()
            && let Some(account) = news.pop_front()
        {
            let is_cached = self.cache.contains(&account);
            let drops = is_cached && self.demand(ctx, parts).judge(&account) == Verdict::Drop;
            proven = drops.then_some(account);
        }
        self.replacements.return_news(news);
        if let Some(account) = proven {
            self.drop_account(ctx, parts, account, Reason::MOVED);
        }
        proven.is_some()
    }

    fn demand<'a>(&'a self, ctx: &Ctx, parts: &'a RelayParts<'_>) -> Demand<'a> {
        let signed = self.signs(ctx);
        Demand {
            placement: &self.placement,
            subscriptions: &self.subscriptions,
            peer_has: &self.peer_has,
            feeds: &parts.log.feeds,
            net: parts.net,
            sync: parts.sync,
            directory: parts.directory,
            members: &self.members,
            replacements: &self.replacements,
            signed,
            // What nobody was promised is worth keeping only until one relay has it.
            copies: if signed { ctx.config.replicas } else { 1 },
        }
    }

    /// Drops an account's feeds at once, and takes back the receipts for them. Nothing is asked of other relays. The
    /// caller makes sure that the account is not wanted again ([`Self::keeps`]).
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "operators' blocks and quotas will call it")
    )]
    pub(crate) fn withdraw(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        account: AccountId,
        reason: Reason,
    ) {
        if !parts.log.feeds.devices(&account).is_empty() {
            self.drop_account(ctx, parts, account, reason);
        }
    }

    /// Forgets an account's feeds, and begins to delete their rows.
    fn drop_account(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        account: AccountId,
        reason: Reason,
    ) {
        if self.signs(ctx) {
            self.take_back(ctx, parts, account, reason);
        }
        let feeds = parts.log.feeds.forget(&account);
        let numbers: Vec<_> = feeds.iter().map(|(_, feed)| feed.number).collect();
        for (device, _) in &feeds {
            ctx.write(Op::Delete {
                table: Table::Feeds,
                key: device.0.to_vec(),
            });
            self.replacements.on_feed_dropped(device);
        }
        self.placement.on_account_dropped(&numbers);
        for number in &numbers {
            self.peer_has.on_feed_dropped(*number);
        }
        parts.kinds.forget_account(ctx, &account);
        parts.sync.forget_account(&account, &numbers);
        for session in parts.net.neighbours().filter(|session| session.relay) {
            let interests = Interests {
                remove: vec![SaltedAccount::new(&session.salt_sent, &account)],
                ..Interests::default()
            };
            ctx.send(session.link, &Message::Interests(interests));
        }
        self.cache.delete(ctx, account, &numbers);
    }

    /// Signs that an account's feeds are kept no longer. Devices of the account learn of it now or when they link, and
    /// relays that want these feeds pass it on.
    fn take_back(&mut self, ctx: &mut Ctx, parts: &RelayParts<'_>, account: AccountId, reason: Reason) {
        let RelayParts { net, log, sync, .. } = parts;
        let wants = |session: &Session| {
            let interest = sync.interest(session.link);
            session.neighbour && session.relay && interest.is_some_and(|interest| interest.wants(&account))
        };
        let links = net.links_whose(|session| session.account == Some(account) || wants(session));
        for (device, feed) in log.feeds.feeds_of(&account) {
            let at = ctx.time_of_withdrawal();
            let Some(local) = &ctx.local else { return };
            let withdrawal = Withdrawal::issue(&local.key, device, 0, at, reason);
            self.withdrawals.keep(ctx, account, &withdrawal);
            let source = feed.source.filter(|source| !links.contains(source));
            for link in links.iter().copied().chain(source) {
                ctx.send(link, &Message::Withdrawal(withdrawal.clone()));
            }
        }
    }

    /// A relay says that it keeps a feed no longer.
    pub(super) fn on_withdrawal(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        directory: &Directory,
        link: LinkId,
        withdrawal: &Withdrawal,
    ) {
        if withdrawal.verify().is_err() {
            return ctx.misbehaved(link, "a withdrawal with a wrong signature");
        }
        let from: Option<PeerId> = net.session(link).map(|session| session.peer);
        // Only its signer passes it on to relays, so that it cannot circulate.
        if from != Some(withdrawal.relay) || !net.is_anchor(directory, &withdrawal.relay) {
            return;
        }
        let Some(feed) = log.feeds.get(&withdrawal.device) else {
            return;
        };
        self.peer_has.retract(link, feed.number);
        self.hand_over.restart();
        self.replacements.retract(link, &withdrawal.device);
        if self.withdrawals.keep(ctx, feed.account, withdrawal) {
            for author in net.links_whose(|session| session.account == Some(feed.account)) {
                ctx.send(author, &Message::Withdrawal(withdrawal.clone()));
            }
        }
    }

    pub(crate) fn on_drop_failed(&mut self) {
        self.cache.on_load_failed();
    }

    /// Entries to be deleted.
    pub(crate) fn on_drop_rows(&mut self, ctx: &mut Ctx, parts: &mut RelayParts<'_>, rows: Rows) {
        let viewer = Viewer::of(ctx);
        let kinds = &mut *parts.kinds;
        let dropped = self.cache.on_rows(ctx, rows, |ctx, number, entry| {
            let header = &entry.signed.header;
            kinds.unindex(ctx, viewer, header, header.id(), &entry.body, number);
        });
        match dropped {
            // A person may have come to want the account while it was being deleted.
            Dropped::Account(account) if self.keeps(parts.log, &account) => {
                want_from_relays(ctx, parts.net, &[account]);
            }
            Dropped::Account(_) | Dropped::Feed | Dropped::Part => {}
        }
        self.trim_cache(ctx, parts);
    }
}
