//! Answers to neighbours that are under way: which of the accounts a neighbour asked for are held here, and digests of
//! their feeds.
//!
//! A neighbour's interests are kept at once. Which accounts they name is found in an index (`account_index`), or, if the
//! neighbour does not use the salt of this relay, by going over all accounts; so does the question which accounts are
//! assigned to it, and a digest of everything. All of this is done in pieces ([`super::work`]). Interests that come
//! while accounts are being looked for are merged, so that a flood of them costs as much as two.

use std::collections::VecDeque;

use core::ops::Bound;
use core::time::Duration;

use ordered::Set;
use protocol::messages::{Digest, FeedHead, Message, SaltedAccount};
use protocol::{AccountId, DeviceId, limits};

use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::log::Log;
use crate::log::feeds::Feed;
use crate::log::keys::FeedNumber;
use crate::net::Net;

use super::digest::head_of;
use super::work::{HASH, LOOK, RECORD, TELL, Turn, WorkCount, WorkLimit};
use super::{Sync, Wanting};

/// How often one neighbour may have all accounts looked through. With a million of them this takes 0.6 s.
const SEARCHES: WorkLimit = WorkLimit {
    burst: 2,
    interval: Duration::from_secs(1),
    per_feed: Duration::from_micros(8),
};
/// Questions of one neighbour that differ in how they are answered and wait. Policy when full: the last two are merged.
const ASKED_MAX: usize = 4;
/// Digests that wait to be sent to one neighbour, and accounts and feeds listed for them, 32 bytes each. Policy when
/// full: in place of the digest, one of all that the neighbour wants is sent.
const DIGESTS_MAX: usize = 64;
const LISTED_MAX: usize = super::interests::INTERESTS_MAX;

/// How a question of a neighbour is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    /// Both compare by sketch.
    #[default]
    BySketch,
    /// By a digest of what this device's sketch does not cover.
    Beside,
    ByDigest,
}

/// Interests of a neighbour that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// They replace all that was said before.
    pub(super) reset: bool,
    pub(super) everything: bool,
    pub(super) assigned: bool,
    pub(super) added: Set<SaltedAccount>,
    pub(super) removed: Set<SaltedAccount>,
    /// Named in plain, and held here.
    pub(super) named: Vec<AccountId>,
    pub(super) method: Method,
    /// A sketch is sent once they are answered.
    pub(super) sketch: bool,
}

impl Asked {
    /// The neighbour says more before this was answered.
    fn merge(&mut self, later: Self) {
        self.everything |= later.everything;
        self.assigned |= later.assigned;
        for salted in later.removed.iter() {
            self.added.remove(salted);
        }
        for salted in later.added.iter() {
            self.removed.remove(salted);
        }
        self.added.extend(later.added.iter().copied());
        self.removed.extend(later.removed.iter().copied());
        self.named.extend(later.named);
        self.named.truncate(super::interests::NAMED_MAX);
        self.method = self.method.max(later.method);
        self.sketch |= later.sketch;
    }

    /// Whether all accounts must be looked at; `by_index`: not for those that the neighbour names.
    fn looks(&self, by_index: bool) -> bool {
        let names = !self.added.is_empty() || !self.removed.is_empty();
        self.assigned || names && !by_index
    }
}

/// Accounts being looked for.
#[derive(Debug)]
struct Search {
    asked: Asked,
    after: Option<AccountId>,
    /// Accounts found that the neighbour did not want before.
    fresh: Vec<AccountId>,
}

/// The feeds that a digest lists.
#[derive(Debug)]
pub(super) enum DigestScope {
    /// Those of all accounts the neighbour wants.
    Wanted(Option<DeviceId>),
    /// The same, if these are not all feeds.
    Matched(Option<AccountId>),
    Accounts(std::vec::IntoIter<AccountId>),
    Feeds(std::vec::IntoIter<FeedNumber>),
}

impl DigestScope {
    /// Accounts or feeds it lists.
    fn listed(&self) -> usize {
        match self {
            Self::Wanted(_) | Self::Matched(_) => 0,
            Self::Accounts(accounts) => accounts.len(),
            Self::Feeds(feeds) => feeds.len(),
        }
    }
}

/// A digest that is being sent.
#[derive(Debug)]
pub(super) struct DigestJob {
    pub(super) scope: DigestScope,
    /// Also what was advertised before; the neighbour waits for it, and hears if there is nothing.
    pub(super) all: bool,
    /// Its last part says that these are all.
    pub(super) end: bool,
    /// Proofs that feeds are forked come along.
    pub(super) forks: bool,
    /// Without heads: proofs alone.
    pub(super) heads: bool,
    /// A part was sent.
    is_begun: bool,
    /// Messages that follow it.
    pub(super) then: Vec<Message>,
    /// Heads of the next part, and the numbers of their feeds.
    part: Vec<(FeedNumber, FeedHead)>,
}

impl DigestJob {
    pub(super) fn new(scope: DigestScope, all: bool) -> Self {
        Self {
            scope,
            all,
            end: true,
            forks: false,
            heads: true,
            is_begun: false,
            then: Vec::new(),
            part: Vec::new(),
        }
    }
}

impl DigestJob {
    /// Whether it has not begun, and lists all that the neighbour wants.
    fn lists_all(&self) -> bool {
        matches!(self.scope, DigestScope::Wanted(None)) && self.all && self.heads
    }
}

/// What one neighbour asked, and the answers that are being sent.
#[derive(Debug, Default)]
pub(super) struct LinkAnswers {
    asked: VecDeque<Asked>,
    search: Option<Search>,
    searches: WorkCount,
    digests: VecDeque<DigestJob>,
    /// Heads sent for which the neighbour has not granted credit again.
    heads_under_way: u32,
}

impl LinkAnswers {
    fn heads_credit(&self) -> u32 {
        limits::HEADS_WINDOW.saturating_sub(self.heads_under_way)
    }

    /// The neighbour granted credit for heads. Whether there is a digest to go on with.
    pub(super) fn grant(&mut self, heads: u32) -> bool {
        self.heads_under_way = self.heads_under_way.saturating_sub(heads);
        !self.digests.is_empty()
    }

    /// Whether digests wait, or accounts are looked for.
    pub(super) fn is_busy(&self) -> bool {
        self.search.is_some() || !self.asked.is_empty() || !self.digests.is_empty()
    }

    /// A comparison begins: what was to be said after an earlier one means nothing any more.
    #[cfg(feature = "relay")]
    pub(super) fn drop_verdicts(&mut self) {
        self.digests.retain(|job| job.then.is_empty());
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        if asked.reset {
            self.asked.clear();
            self.search = None;
            self.digests.clear();
        }
        let full = self.asked.len() >= ASKED_MAX;
        match self.asked.back_mut() {
            Some(last) if full || (last.method == asked.method && !last.sketch) => last.merge(asked),
            _ => self.asked.push_back(asked),
        }
    }

    /// How many removed accounts wait to be looked for.
    pub(super) fn removed_len(&self) -> usize {
        self.asked.iter().map(|asked| asked.removed.len()).sum()
    }
}

impl Sync {
    /// Adds a digest to those a neighbour is sent.
    pub(super) fn add_digest(&mut self, link: LinkId, job: DigestJob) {
        let answers = self.answers.or_default(link);
        let listed: usize = answers.digests.iter().map(|job| job.scope.listed()).sum();
        let is_full = answers.digests.len() >= DIGESTS_MAX || listed + job.scope.listed() > LISTED_MAX;
        // What follows a digest must not get lost.
        if !is_full || !job.then.is_empty() {
            answers.digests.push_back(job);
        } else if !answers.digests.back().is_some_and(DigestJob::lists_all) {
            let mut all = DigestJob::new(DigestScope::Wanted(None), true);
            all.forks = true;
            answers.digests.push_back(all);
        }
        self.work.begin(link);
    }

    /// Goes on with what a neighbour asked. Whether there is more to do at once.
    pub(super) fn go_on_answering(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        turn: &mut Turn,
    ) -> bool {
        while let Some(search) = self.next_search(ctx, net, log, link) {
            self.go_on_searching(ctx, net, log, wanting, link, search, turn);
            if self
                .answers
                .get(&link)
                .is_some_and(|answers| answers.search.is_some())
            {
                // The turn is over.
                return true;
            }
        }
        self.go_on_digests(ctx, log, link, turn)
    }

    /// The search under way, or the next one if it may begin.
    fn next_search(&mut self, ctx: &Ctx, net: &Net, log: &Log, link: LinkId) -> Option<Search> {
        let by_index = net.session(link)?.names_by_index;
        let answers = self.answers.get_mut(&link)?;
        if answers.search.is_some() {
            return answers.search.take();
        }
        let asked = answers.asked.front()?;
        let accounts = if asked.looks(by_index) {
            log.feeds.accounts_len()
        } else {
            0
        };
        let now = ctx.now.instant;
        let searches = &mut answers.searches;
        if !searches.may_begin(now, accounts, &SEARCHES) {
            return None;
        }
        answers.asked.pop_front().map(|asked| Search {
            asked,
            after: None,
            fresh: Vec::new(),
        })
    }

    /// Goes on with digests. Whether there is more to do at once.
    fn go_on_digests(&mut self, ctx: &mut Ctx, log: &Log, link: LinkId, turn: &mut Turn) -> bool {
        while !turn.is_over() {
            let Some(job) = self.answers.or_default(link).digests.pop_front() else {
                return false;
            };
            if let Some(job) = self.go_on_digest(ctx, log, link, job, turn) {
                let answers = self.answers.or_default(link);
                answers.digests.push_front(job);
                if answers.heads_credit() == 0 {
                    return false;
                }
            }
        }
        true
    }

    /// Sends a digest at once, as far as that may be done now.
    pub(super) fn go_on_soon(&mut self, ctx: &mut Ctx, log: &Log, link: LinkId) {
        self.work.refill(ctx.now.instant);
        let mut turn = Turn::new(self.work.units_of_turn());
        self.go_on_digests(ctx, log, link, &mut turn);
        // The neighbour did not ask for it.
        self.work.spend(&turn, None);
    }

    /// Finds the accounts that a neighbour names in the index, which is built before. `false`: the turn is over.
    #[cfg(feature = "relay")]
    fn find_named(
        &mut self,
        log: &Log,
        salt: &[u8; 32],
        link: LinkId,
        search: &mut Search,
        turn: &mut Turn,
    ) -> bool {
        let Search { asked, fresh, .. } = search;
        if asked.added.is_empty() && asked.removed.is_empty() {
            return true;
        }
        if !self.account_index.build(log, salt, turn) {
            return false;
        }
        let interest = self.interests.or_default(link);
        while let Some(salted) = asked.removed.first().copied().filter(|_| !turn.is_over()) {
            turn.spend(RECORD);
            asked.removed.remove(&salted);
            for account in self.account_index.find(&log.feeds, salted) {
                interest.matched.remove(&account);
                interest.named.remove(&account);
            }
        }
        while let Some(salted) = asked.added.first().copied().filter(|_| !turn.is_over()) {
            turn.spend(RECORD);
            asked.added.remove(&salted);
            fresh.extend(self.account_index.find(&log.feeds, salted));
        }
        asked.added.is_empty() && asked.removed.is_empty()
    }

    fn go_on_searching(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        mut search: Search,
        turn: &mut Turn,
    ) {
        let Some(session) = net.session(link) else { return };
        if search.after.is_none() {
            search.fresh.append(&mut search.asked.named);
        }
        #[cfg(feature = "relay")]
        if session.names_by_index && !self.find_named(log, &session.salt_received, link, &mut search, turn) {
            self.answers.or_default(link).search = Some(search);
            return;
        }
        let interest = self.interests.or_default(link);
        if search.asked.looks(session.names_by_index) {
            let scope = wanting.scope(log);
            let asked = &search.asked;
            let salts = !asked.added.is_empty() || !asked.removed.is_empty();
            let mut complete = true;
            for account in log.feeds.accounts_after(search.after) {
                if turn.is_over() {
                    complete = false;
                    break;
                }
                turn.spend(if salts { LOOK + HASH } else { LOOK });
                let salted = salts.then(|| SaltedAccount::new(&session.salt_received, account));
                let is_in = |set: &Set<SaltedAccount>| salted.is_some_and(|salted| set.contains(&salted));
                if is_in(&asked.removed) {
                    interest.matched.remove(account);
                    interest.named.remove(account);
                }
                let assigned = asked.assigned && {
                    turn.spend(RECORD);
                    wanting.role.is_replica(&scope, account, &session.peer)
                };
                if assigned || is_in(&asked.added) {
                    search.fresh.push(*account);
                }
                search.after = Some(*account);
            }
            if !complete {
                let answers = self.answers.or_default(link);
                answers.search = Some(search);
                return;
            }
        }
        let Search { asked, mut fresh, .. } = search;
        if !interest.everything {
            interest.matched.extend(fresh.iter().copied());
        }
        if asked.everything && !wanting.serves_others() {
            fresh = log.feeds.accounts().collect();
        }
        let of_own = session.account.filter(|own| interest.wants(own));
        if let Some(own) = of_own.filter(|own| asked.reset || fresh.contains(own)) {
            self.confirm_held(ctx, log, link, &own);
        }
        if asked.method == Method::Beside && !wanting.serves_others() {
            // A device's sketch covers what it wants; the neighbour may want more of what is held here.
            let beside = fresh.iter().filter(|account| !wanting.wants(log, account));
            let beside: Vec<_> = beside.copied().collect();
            if !beside.is_empty() {
                self.add_digest(
                    link,
                    DigestJob::new(DigestScope::Accounts(beside.into_iter()), true),
                );
            }
        }
        let interest = self.interests.or_default(link);
        let is_few = !interest.everything && interest.matched.len() <= LISTED_MAX;
        let source = if !asked.reset && !asked.everything {
            DigestScope::Accounts(fresh.into_iter())
        } else if is_few && asked.method == Method::ByDigest {
            DigestScope::Accounts(interest.matched.iter().copied().collect::<Vec<_>>().into_iter())
        } else {
            DigestScope::Wanted(None)
        };
        // The neighbour may have forgotten what was advertised of these accounts: advertise it again.
        let mut job = DigestJob::new(source, true);
        job.forks = true;
        job.heads = asked.method == Method::ByDigest;
        self.add_digest(link, job);
        if asked.sketch && wanting.serves_others() {
            self.send_sketch(ctx, net, log, wanting, link);
        }
    }

    /// Goes on with a digest; what is left of it.
    fn go_on_digest(
        &mut self,
        ctx: &mut Ctx,
        log: &Log,
        link: LinkId,
        mut job: DigestJob,
        turn: &mut Turn,
    ) -> Option<DigestJob> {
        let interest = self.interests.or_default(link);
        let advertised = self.advertised.or_default(link);
        let answers = self.answers.or_default(link);
        let credit = answers.heads_credit() as usize;
        if credit == 0 {
            return Some(job);
        }
        let most = credit.min(limits::HEADS_PER_MESSAGE_MAX);
        let (mut proofs, mut complete) = (0, true);
        // How many heads a proof that the feed is forked counts as.
        let mut add = |device: &DeviceId, feed: &Feed, part: &mut Vec<_>, turn: &mut Turn| {
            if job.heads
                && let Some(head) = head_of(*device, feed)
            {
                turn.spend(TELL);
                if job.all || advertised.get(&feed.number) != Some(&head.next_seq) {
                    part.push((feed.number, head));
                }
            }
            let proof = log.forks.get(device).filter(|_| job.forks);
            if let Some(proof) = proof {
                turn.spend(RECORD);
                ctx.send(link, &Message::ForkProof(proof.clone()));
            }
            proof.map_or(0, |_| limits::FORK_PROOF_HEADS)
        };
        let mut part = core::mem::take(&mut job.part);
        if job.heads && !interest.everything && matches!(job.scope, DigestScope::Wanted(None)) {
            job.scope = DigestScope::Matched(None);
        }
        let is_full = |part: &Vec<_>, proofs: u32| part.len() + proofs as usize >= most;
        match &mut job.scope {
            DigestScope::Wanted(after) if job.heads => {
                for (device, feed) in log.feeds.after(*after) {
                    if turn.is_over() || is_full(&part, proofs) {
                        complete = false;
                        break;
                    }
                    turn.spend(LOOK);
                    if interest.wants(&feed.account) {
                        proofs += add(device, feed, &mut part, turn);
                    }
                    *after = Some(*device);
                }
            }
            DigestScope::Matched(after) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                for account in interest.matched.range((from, Bound::Unbounded)) {
                    if turn.is_over() || is_full(&part, proofs) {
                        complete = false;
                        break;
                    }
                    turn.spend(LOOK);
                    for (device, feed) in log.feeds.feeds_of(account) {
                        proofs += add(&device, feed, &mut part, turn);
                    }
                    *after = Some(*account);
                }
            }
            // Proofs alone.
            DigestScope::Wanted(after) => {
                for device in log.forked_after(*after) {
                    if turn.is_over() || is_full(&part, proofs) {
                        complete = false;
                        break;
                    }
                    let feed = log.feeds.get(device);
                    if let Some(feed) = feed.filter(|feed| interest.wants(&feed.account)) {
                        proofs += add(device, feed, &mut part, turn);
                    }
                    *after = Some(*device);
                }
            }
            DigestScope::Accounts(accounts) => loop {
                if turn.is_over() || is_full(&part, proofs) {
                    complete = accounts.as_slice().is_empty();
                    break;
                }
                let Some(account) = accounts.next() else { break };
                turn.spend(LOOK);
                for (device, feed) in log.feeds.feeds_of(&account) {
                    proofs += add(&device, feed, &mut part, turn);
                }
            },
            DigestScope::Feeds(numbers) => loop {
                if turn.is_over() || is_full(&part, proofs) {
                    complete = numbers.as_slice().is_empty();
                    break;
                }
                let Some(number) = numbers.next() else { break };
                turn.spend(LOOK);
                if let Some((device, feed)) = log.feeds.by_number(number) {
                    proofs += add(&device, feed, &mut part, turn);
                }
            },
        }
        answers.heads_under_way = answers.heads_under_way.saturating_add(proofs);
        if !complete && turn.is_over() && part.len() < most {
            // The part goes on with the next turn.
            job.part = part;
            return Some(job);
        }
        // The last account may have more devices than there was room for.
        let rest = part.split_off(part.len().min(limits::HEADS_PER_MESSAGE_MAX));
        complete &= rest.is_empty();
        job.part = rest;
        // A neighbour that asked hears that there is nothing.
        let is_told = job.heads && (complete && (job.all || job.is_begun) || !part.is_empty());
        if is_told {
            job.is_begun = true;
            answers.heads_under_way = answers.heads_under_way.saturating_add(part.len() as u32);
            for (number, head) in &part {
                advertised.insert(*number, head.next_seq);
            }
            let heads = part.into_iter().map(|(_, head)| head).collect();
            let end = complete && job.end;
            ctx.send(link, &Message::Digest(Digest { heads, end }));
        }
        if !complete {
            return Some(job);
        }
        for message in job.then {
            ctx.send(link, &message);
        }
        None
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
