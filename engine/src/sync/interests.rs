//! Who wants whose feeds. Each neighbour says what it wants, salted so that it learns of nothing the two do not share;
//! the answer is how far those feeds are held here.

use core::mem::take;

use ordered::Set;
use protocol::messages::{Interests, Message, ResumeFailed, SaltedAccount};
use protocol::{AccountId, limits};

use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::io::{AddressId, LinkId};
use crate::log::Log;
use crate::net::Net;

use super::answers::{Asked, Method};
use super::work::TELL;
use super::{Sync, Wanting};

/// Interests remembered of one neighbour. Policy when full: the link is closed.
pub(crate) const INTERESTS_MAX: usize = 65_536;
/// Accounts a device may name to a relay. Policy when full: further ones are not looked for.
pub(super) const NAMED_MAX: usize = 8_192;
/// How often a neighbour may ask on one link whether what it wants is remembered: to compare all of it costs much more than
/// the message. Policy beyond, and while the neighbour's address owes for long work: it is not, and the neighbour says all.
const RESUMES_MAX: u8 = 4;
/// A relay is not asked whether it remembers fewer interests than this.
pub(crate) const RESUME_MIN: usize = 64;

/// What a neighbour wants, and what was said about it.
#[derive(Debug, Default)]
pub(crate) struct PeerInterest {
    /// It wants everything.
    pub(crate) everything: bool,
    /// It is a relay that wants what the assignment gives it.
    pub(crate) assigned: bool,
    /// Accounts it named in plain, or that were named to it.
    pub(crate) named: Set<AccountId>,
    /// What it wants, as it said it.
    pub(crate) salted: Set<SaltedAccount>,
    /// Of what it wants, the accounts held here.
    pub(crate) matched: Set<AccountId>,
    /// Of what this device wants, the accounts it has spoken of.
    pub(crate) mentioned: Set<AccountId>,
    /// It is saying what it wants, in parts.
    hearing: bool,
    /// It has said so in full.
    pub(super) heard: bool,
    /// It asked to be remembered, and was not: until it says all, what it wants is unknown.
    pub(crate) resume_failed: bool,
    /// How often it asked to be remembered on this link.
    resumes: u8,
    /// This end announced a sketch to it.
    sketches: bool,
    /// It announced a sketch.
    pub(super) awaits_sketch: bool,
}

impl PeerInterest {
    pub(crate) fn wants(&self, account: &AccountId) -> bool {
        self.everything || self.matched.contains(account)
    }
}

/// What a relay remembers of a device that comes back.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) salted: Set<SaltedAccount>,
    pub(crate) named: Set<AccountId>,
}

impl Sync {
    /// Tells every neighbour that an account is wanted from now on, or no longer.
    pub(crate) fn send_interest(&mut self, ctx: &mut Ctx, net: &Net, account: AccountId, on: bool) {
        for session in net.neighbours() {
            let salted = SaltedAccount::new(&session.salt_sent, &account);
            let mut interests = Interests::default();
            if on {
                interests.add.push(salted);
            } else {
                interests.remove.push(salted);
            }
            ctx.send(session.link, &Message::Interests(interests));
        }
    }

    /// Tells a neighbour all that is wanted, in place of what was said before. A relay may remember it.
    pub(crate) fn send_interests(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        self.send_all_interests(ctx, net, log, wanting, link, true);
    }

    /// The relay does not remember what this device wanted.
    pub(crate) fn on_resume_failed(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        if !wanting.serves_others() {
            self.send_all_interests(ctx, net, log, wanting, link, false);
        }
    }

    fn send_all_interests(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        resume: bool,
    ) {
        let Some(session) = net.session(link) else { return };
        let sketch = self.may_sketch(log, wanting, session);
        let summary = wanting.role.summary(&wanting.scope(log), session);
        let accounts = summary.accounts.iter().take(INTERESTS_MAX);
        let salted = accounts.map(|account| SaltedAccount::new(&session.salt_sent, account));
        let salted: Set<_> = salted.collect();
        let may_resume = resume && session.relay && !wanting.serves_others() && salted.len() >= RESUME_MIN;
        let same = may_resume.then(|| Interests::fingerprint(salted.iter()));
        let mut rest: Vec<_> = match same {
            Some(_) => Vec::new(),
            None => salted.iter().copied().collect(),
        };
        let mut part = Interests {
            reset: true,
            everything: summary.everything,
            assigned: summary.assigned,
            sketch,
            same,
            ..Interests::default()
        };
        loop {
            part.add = rest;
            rest = part
                .add
                .split_off(part.add.len().min(limits::INTERESTS_PER_MESSAGE_MAX));
            part.more = !rest.is_empty();
            ctx.send(link, &Message::Interests(part));
            if rest.is_empty() {
                break;
            }
            part = Interests::default();
        }
        let interest = self.interests.or_default(link);
        interest.sketches = sketch;
        self.comparisons.expect(link, sketch);
        let heard = self.interests.get(&link).is_some_and(|interest| interest.heard);
        // A device compares what it has said; a relay compares what the other wants.
        if sketch && (heard || !wanting.serves_others()) {
            self.send_sketch(ctx, net, log, wanting, link);
            self.work(ctx, net, log, wanting);
        }
    }

    /// Names to a relay that this device knows the accounts it did not speak of: a relay that keeps a part of all
    /// feeds gets the others from the relays that keep them, if it knows whose.
    pub(crate) fn name_unknown(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
    ) {
        let known = net
            .session(link)
            .is_some_and(|session| net.known.contains(&session.peer));
        if !known {
            return;
        }
        let wanted = wanting.wanted(log);
        let interest = self.interests.or_default(link);
        let unknown = wanted
            .iter()
            .filter(|account| !interest.mentioned.contains(account) && !interest.named.contains(account));
        let named: Vec<AccountId> = unknown.copied().take(limits::NAMED_PER_MESSAGE_MAX).collect();
        if named.is_empty() {
            return;
        }
        interest.named.extend(named.iter().copied());
        let interests = Interests {
            named,
            ..Interests::default()
        };
        ctx.send(link, &Message::Interests(interests));
    }

    /// A neighbour said what it wants. `remembered`: what a relay remembers of it.
    pub(crate) fn on_interests(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        interests: Interests,
        remembered: Option<Remembered>,
    ) {
        let Some(session) = net.session(link) else { return };
        let limited = session.limited();
        let Some(mut interests) = self.resume(ctx, wanting, link, limited, interests, remembered) else {
            return;
        };
        let interest = self.interests.or_default(link);
        if interests.reset {
            interest.everything = false;
            interest.assigned = false;
            interest.salted.clear();
            interest.matched.clear();
            interest.hearing = true;
            interest.awaits_sketch = interests.sketch;
        }
        let (by_own_sketch, by_theirs) = (interest.hearing && interest.sketches, interest.awaits_sketch);
        let heard_all = interest.hearing && !interests.more;
        if heard_all {
            (interest.hearing, interest.heard) = (false, true);
        }
        let assigned = interests.assigned && session.relay;
        interest.everything |= interests.everything;
        interest.assigned |= assigned;
        let added: Set<_> = interests.add.iter().copied().collect();
        let removed: Set<_> = interests.remove.iter().copied().collect();
        if interest.salted.len() + added.len() > INTERESTS_MAX {
            return ctx.misbehaved(link, "too many interests");
        }
        interest.salted.extend(added.iter().copied());
        // One by one: a short message must not cost as much as all that was said before.
        for salted in removed.iter() {
            interest.salted.remove(salted);
        }
        let named = match wanting.serves_others() {
            true => self.on_named(ctx, log, link, take(&mut interests.named)),
            false => Vec::new(),
        };
        let method = match (by_own_sketch, by_theirs) {
            // What both compare by sketch needs no digest.
            (true, _) => Method::Beside,
            (false, true) => Method::BySketch,
            (false, false) => Method::ByDigest,
        };
        let answers = self.answers.or_default(link);
        answers.ask(Asked {
            reset: interests.reset,
            everything: interests.everything,
            assigned,
            added,
            removed,
            named,
            method,
            sketch: by_own_sketch && heard_all,
        });
        if answers.removed_len() > 2 * INTERESTS_MAX {
            return ctx.misbehaved(link, "too many interests");
        }
        self.work.begin(link);
        self.work(ctx, net, log, wanting);
    }

    /// Puts in what a device wanted when it was linked last, if that is what it says. `None`: it must say all.
    fn resume(
        &mut self,
        ctx: &mut Ctx,
        wanting: Wanting<'_>,
        link: LinkId,
        limited: Option<AddressId>,
        mut interests: Interests,
        remembered: Option<Remembered>,
    ) -> Option<Interests> {
        if !wanting.serves_others() {
            return Some(interests);
        }
        let interest = self.interests.or_default(link);
        if interests.reset {
            interest.resume_failed = false;
        }
        let Some(same) = interests.same else {
            return Some(interests);
        };
        interest.resumes = interest.resumes.saturating_add(1);
        self.work.refill(ctx.now.instant);
        if interest.resumes > RESUMES_MAX || self.work.owes_until(limited).is_some() {
            interest.resume_failed = true;
            ctx.send(link, &Message::ResumeFailed(ResumeFailed));
            return None;
        }
        let said_here = Interests::fingerprint(interest.salted.iter()) == same;
        let before = if said_here {
            Remembered {
                salted: interest.salted.clone(),
                named: interest.named.clone(),
            }
        } else {
            remembered.unwrap_or_default()
        };
        let compared = interest.salted.len() + before.salted.len();
        let units = u32::try_from(compared).unwrap_or(u32::MAX).saturating_mul(TELL);
        self.work.debit(units, limited);
        if Interests::fingerprint(before.salted.iter()) == same {
            interests.add.extend(before.salted);
            interests.named.extend(before.named);
            return Some(interests);
        }
        interest.resume_failed = true;
        ctx.send(link, &Message::ResumeFailed(ResumeFailed));
        None
    }

    /// A device names accounts to this relay. Those held here, which are matched at once; the others it gets from
    /// other relays.
    fn on_named(
        &mut self,
        ctx: &mut Ctx,
        log: &Log,
        link: LinkId,
        accounts: Vec<AccountId>,
    ) -> Vec<AccountId> {
        if accounts.is_empty() {
            return Vec::new();
        }
        let interest = self.interests.or_default(link);
        let room = NAMED_MAX.saturating_sub(interest.named.len());
        interest.named.extend(accounts.iter().copied().take(room));
        let held = accounts.iter().copied();
        let held = held.filter(|account| !log.feeds.devices(account).is_empty());
        let held = held.collect();
        ctx.fact(Fact::AccountsWanted { link, accounts });
        held
    }

    /// A new account is held here: neighbours that asked for it before want it from now on.
    pub(crate) fn on_account_seen(&mut self, net: &Net, log: &Log, wanting: Wanting<'_>, account: AccountId) {
        #[cfg(feature = "relay")]
        self.account_index.on_account_seen(&log.feeds, &account);
        let scope = wanting.scope(log);
        // What most neighbours call it: they use one salt.
        let mut usual: Option<([u8; 32], SaltedAccount)> = None;
        for (link, interest) in self.interests.iter_mut() {
            let Some(session) = net.session(*link) else {
                continue;
            };
            let salt = session.salt_received;
            let (_, salted) = match usual {
                Some(usual) if usual.0 == salt => usual,
                _ => *usual.insert((salt, SaltedAccount::new(&salt, &account))),
            };
            if interest.salted.contains(&salted)
                || interest.named.contains(&account)
                || (interest.assigned && wanting.role.is_replica(&scope, &account, &session.peer))
            {
                interest.matched.insert(account);
            }
        }
    }

    /// Neighbouring relays are to have these accounts' feeds from now on.
    pub(crate) fn match_accounts(&mut self, link: LinkId, accounts: impl IntoIterator<Item = AccountId>) {
        self.interests.or_default(link).matched.extend(accounts);
    }
}
