//! New accounts need proof of work while many come: many from one address, or to this relay as a whole. So people get
//! through beside a flood of made-up accounts, also from its address, and the flood costs its maker the more the longer
//! it lasts. While few come, nobody is asked for anything.
//!
//! The account's own device is asked, which proved on its link that it speaks for the account. A challenge is computed
//! from a secret of this relay, the account, the bits and the time, so none is remembered. An answer is checked by
//! hashes alone, before any entry of the account is looked at. What is refused meanwhile is fetched later, like what a
//! quota refuses.

use core::time::Duration;

use ordered::Map;
use protocol::messages::{FeedHead, Message, Quota, QuotaExceeded, WorkDone, WorkRequired};
use protocol::work::Puzzle;
use protocol::{AccountId, Instant, PeerId};

use crate::ctx::Ctx;
use crate::io::{AddressId, LinkId, Quotas};
use crate::log::Log;
use crate::net::Net;

use super::quotas::{Addition, HOUR, QuotaUse, Used};
use super::{Sync, Wanting};

/// Work that a new account needs, in bits, by how many quarters of its address's quota are used. With 18 bits a browser
/// works for about a second, with 22 for a quarter of a minute.
const ADDRESS_BITS: [u8; 4] = [0, 14, 18, 22];
/// The same by how many quarters of what this relay takes in a minute from all addresses are used.
const RELAY_BITS: [u8; 4] = [0, 12, 16, 20];
/// A challenge counts for this time, and then for as long again.
const CHALLENGE_TIME: Duration = Duration::from_mins(10);
/// An account that proved its work is taken within this time, unless it needs more by then.
const ADMITTED_TIME: Duration = Duration::from_mins(10);
/// Accounts that proved their work and of which nothing came so far, 48 bytes each. Policy when full: the one that has to
/// come first is forgotten, and asked again.
const ADMITTED_MAX: usize = 4_096;
/// The time in which all addresses together use up what they may.
const MINUTE: Duration = Duration::from_mins(1);
/// What was refused is requested again after this time at the earliest, unless the work is done: others are refused again
/// each time that one comes free.
const WAIT_MIN: Duration = Duration::from_secs(30);
/// Minimum interval at which one neighbour is asked for work, unless it is for more than before.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

/// Work that a new account needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    bits: u8,
    /// What the quota that demands it allows in an hour.
    per_hour: u64,
    /// How long until it needs none, if no others come.
    wait: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Admissions {
    /// Makes the challenges; chosen with the first one.
    secret: Option<[u8; 32]>,
    /// What all addresses use of the minute.
    used: Used,
    /// Accounts that proved their work: until when each is taken, and the bits that it proved.
    admitted: Map<AccountId, (Instant, u8)>,
    /// How often work was asked for, and how many accounts proved it.
    counts: [u64; 2],
}

/// What is needed if this much of a quota is used, that comes back in `full` as a whole.
fn demand_of(used: Duration, full: Duration, bits: [u8; 4], per_hour: u64) -> Option<Demand> {
    let free = full / 4;
    let quarters = used.as_micros() / free.as_micros();
    let bits = bits[usize::try_from(quarters)
        .unwrap_or(usize::MAX)
        .min(bits.len() - 1)];
    let wait = used.saturating_sub(free).max(WAIT_MIN);
    (bits > 0).then_some(Demand { bits, per_hour, wait })
}

impl Admissions {
    /// The work that this needs. `None`: none.
    pub(super) fn demand(
        &self,
        quotas: &Quotas,
        used: &QuotaUse,
        now: Instant,
        it: &Addition,
    ) -> Option<Demand> {
        if !it.is_new {
            return None;
        }
        let of_address = match quotas.accounts_per_address {
            0 => None,
            per_hour => demand_of(
                used.accounts_in_use(now, it.address),
                HOUR,
                ADDRESS_BITS,
                per_hour,
            ),
        };
        let of_all = match quotas.accounts_per_minute {
            0 => None,
            per_minute => {
                let per_hour = per_minute.saturating_mul(60);
                demand_of(self.used.in_use(now), MINUTE, RELAY_BITS, per_hour)
            }
        };
        let demand = match (of_address, of_all) {
            (Some(one), Some(other)) => {
                let wait = one.wait.max(other.wait);
                let demand = if one.bits >= other.bits { one } else { other };
                Some(Demand { wait, ..demand })
            }
            (one, other) => one.or(other),
        };
        // What was proven while it was cheap does not count for more.
        let admitted = self.admitted.get(&it.account);
        let proven = admitted
            .filter(|(until, _)| now < *until)
            .map_or(0, |(_, bits)| *bits);
        demand.filter(|demand| demand.bits > proven)
    }

    /// Something was added.
    pub(super) fn on_added(&mut self, quotas: &Quotas, now: Instant, it: &Addition) {
        if it.is_new {
            let per_hour = quotas.accounts_per_minute.saturating_mul(60);
            self.used.spend_within(now, 1, per_hour, MINUTE);
            self.admitted.remove(&it.account);
        }
    }

    /// What an account is to work on at this time.
    fn challenge(&mut self, ctx: &mut Ctx, account: &AccountId, bits: u8, period: u64) -> [u8; 16] {
        let secret = *self.secret.get_or_insert_with(|| ctx.random());
        let mut hash = blake3::Hasher::new_keyed(&secret);
        hash.update(&account.0)
            .update(&[bits])
            .update(&period.to_le_bytes());
        let mut challenge = [0; 16];
        challenge.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        challenge
    }

    fn require(&mut self, ctx: &mut Ctx, account: &AccountId, bits: u8) -> WorkRequired {
        self.counts[0] += 1;
        let period = period(ctx.now.instant);
        WorkRequired {
            bits,
            challenge: self.challenge(ctx, account, bits, period),
        }
    }

    /// Whether an account proved work that was asked of it not long ago.
    fn proves(&mut self, ctx: &mut Ctx, own: &PeerId, account: &AccountId, done: &WorkDone) -> bool {
        let period = period(ctx.now.instant);
        let is_own = [period, period.wrapping_sub(1)]
            .into_iter()
            .any(|period| self.challenge(ctx, account, done.bits, period) == done.challenge);
        is_own && Puzzle::new(own, account, &done.challenge, done.bits).is_solved_by(done.nonce)
    }

    fn admit(&mut self, now: Instant, account: AccountId, bits: u8) {
        if let Some((until, before)) = self.admitted.get_mut(&account) {
            (*until, *before) = (now + ADMITTED_TIME, bits.max(*before));
            return;
        }
        self.counts[1] += 1;
        if self.admitted.len() >= ADMITTED_MAX {
            let first = self.admitted.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(first) = first.map(|(account, _)| *account) {
                self.admitted.remove(&first);
            }
        }
        self.admitted.insert(account, (now + ADMITTED_TIME, bits));
    }

    /// How often work was asked for, and how many accounts proved it.
    pub(super) fn counts(&self) -> [u64; 2] {
        self.counts
    }

    /// Once a second.
    pub(super) fn on_timer(&mut self, now: Instant) {
        self.admitted.retain(|_, (until, _)| now < *until);
    }
}

/// The number of the time for which a challenge counts first.
fn period(now: Instant) -> u64 {
    now.0 / u64::try_from(CHALLENGE_TIME.as_micros()).unwrap_or(u64::MAX)
}

impl Sync {
    /// The first entry of an account is not taken without work: it is fetched when work is done, or none is needed.
    pub(super) fn on_unadmitted(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        head: FeedHead,
        demand: Demand,
    ) {
        ctx.totals.refused += 1;
        let FeedHead { account, device, .. } = head;
        self.record_head(ctx, net, log, wanting, link, head);
        let now = ctx.now.instant;
        let session = net.session(link).filter(|it| it.account == Some(account));
        let works = session.is_some_and(|session| session.works);
        // A device that did not answer is asked again soon.
        let wait = if works { WAIT_MIN } else { demand.wait };
        self.fetches.put_off_feed(now, link, &device, wait);
        if works {
            self.ask_for_work(ctx, link, &account, demand.bits);
        } else if session.is_some() && self.fetches.may_report(now, link) {
            // Others than its own device cannot do the work, and get no message.
            let exceeded = QuotaExceeded {
                quota: Quota::AddressAccounts,
                per_hour: demand.per_hour,
                wait_s: u32::try_from(demand.wait.as_secs() + 1).unwrap_or(u32::MAX),
            };
            ctx.send(link, &Message::QuotaExceeded(exceeded));
        }
    }

    fn ask_for_work(&mut self, ctx: &mut Ctx, link: LinkId, account: &AccountId, bits: u8) {
        let now = ctx.now.instant;
        if self.fetches.may_ask_for_work(now, link, bits, ASK_INTERVAL) {
            let required = self.admissions.require(ctx, account, bits);
            ctx.send(link, &Message::WorkRequired(required));
        }
    }

    /// A device did the work that its account needs.
    pub(super) fn on_work_done(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        log: &Log,
        wanting: Wanting<'_>,
        link: LinkId,
        done: &WorkDone,
    ) {
        let Some(session) = net.session(link) else { return };
        let (Some(address), Some(account), Some(own)) = (session.limited(), session.account, ctx.peer())
        else {
            return;
        };
        let now = ctx.now.instant;
        // Also when nothing is demanded at this moment: that may change before the account's first entry comes.
        let is_new = log.feeds.devices(&account).is_empty();
        if is_new && self.admissions.proves(ctx, &own, &account, done) {
            self.admissions.admit(now, account, done.bits);
        }
        // More accounts may have come since it was asked.
        if let Some(demand) = self.demand_for(ctx, log, address, account) {
            return self.ask_for_work(ctx, link, &account, demand.bits);
        }
        self.fetches.resume_account(link, &account);
        self.pump_fetches(ctx, net, log, wanting, link);
    }

    /// The work that an account of this address needs now.
    fn demand_for(&self, ctx: &Ctx, log: &Log, address: AddressId, account: AccountId) -> Option<Demand> {
        let it = Addition {
            address,
            account,
            is_new: log.feeds.devices(&account).is_empty(),
            bytes: 0,
        };
        self.admissions
            .demand(&ctx.config.quotas, &self.quotas, ctx.now.instant, &it)
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
