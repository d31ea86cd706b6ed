//! Claims: what this device asks of the registry, a handle for its account and slugs for the account's posts.
//!
//! A claim is on disk before it is sent, and so is the post it is for. It is repeated, over one relay after the other,
//! until the registry has decided; so it can be made offline, and outlives a restart. What the registry gives goes
//! into the account's feed.
//!
//! Invariants: an account has at most one claim for its handle, and each post one for its slug; there are at most
//! [`SLUG_CLAIMS_MAX`] claims of slugs (policy when full: a refused one goes, or the command is refused). One claim is
//! under way at a time: those of one account change the same row of the registry, and would only hinder each other.

use std::time::Duration;

use protocol::entry::Header;
use protocol::kinds::{Name, Slug};
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest};
use protocol::{AccountId, Body, EntryId, EntryRef, Instant, limits};
use serde::{Deserialize, Serialize};

use crate::api::{ClaimView, CommandResult, Error};
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::kinds::Kinds;
use crate::log::Log;
use crate::log::records::meta;
use crate::net::Net;
use crate::store::{BatchId, Op, Table};

/// Pauses between attempts, doubled from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// Greatest proof of work, in bits, that this device computes for a claim or a relay.
pub(super) const WORK_BITS_MAX: u8 = 24;
/// Number of hashes computed per step, so that other inputs are not delayed.
pub(super) const TRIES: u32 = 8_192;
/// Posts whose slug is asked for, or was refused.
const SLUG_CLAIMS_MAX: usize = 100;

/// What a claim is for: the slug of a post, or (`None`) the account's handle.
pub(super) type Subject = Option<EntryId>;

/// A claim, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    request: NameRequest,
    /// The registry may have heard of it.
    sent: bool,
    /// It is not wanted any more, but the registry may have decided, or be about to: it is taken back after that. The
    /// feed never said that it was had, and need not say that it is not.
    withdrawn: bool,
    /// Why it came to nothing. `None`: it is not decided.
    refused: Option<NameAnswer>,
}

/// A claim, and when it is sent again.
#[derive(Debug)]
struct OpenClaim {
    subject: Subject,
    claim: Claim,
    next_try: Instant,
    pause: Duration,
    /// The batch that stores it as it is.
    stored: BatchId,
}

/// All claims of this device, and its offer of the handle to another account.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    all: Vec<OpenClaim>,
    /// The one that was sent, over which link, and the number of the question.
    under_way: Option<(Subject, LinkId, u32)>,
    /// The one that work is done for, and how many bits.
    working: Option<(Subject, u8)>,
    /// To which account the handle is offered: see [`super::name_transfer`].
    pub(super) offered: Option<AccountId>,
}

/// A slug as people write it, made right as far as that is certain; the registry knows the rest of the rules.
pub(super) fn wished_slug(slug: &str) -> Result<String, Error> {
    fits(slug.trim().trim_matches('/').replace(' ', "-"))
}

fn fits(name: String) -> Result<String, Error> {
    let name = name.to_ascii_lowercase();
    match name.len() {
        0 => Err(Error::Empty),
        1..=limits::UNIQUE_NAME_LEN_MAX => Ok(name),
        _ => Err(Error::TooLong { max: 30 }),
    }
}

impl Claims {
    /// A claim read from the store. `None`: the row is damaged.
    pub(super) fn restore(&mut self, row: &[u8]) -> Option<()> {
        self.insert(protocol::codec::decode_extensible(row).ok()?);
        Some(())
    }

    fn insert(&mut self, claim: Claim) {
        self.all.push(OpenClaim {
            subject: claim.request.post_id(),
            next_try: Instant(0),
            pause: PAUSE_MIN,
            stored: BatchId(0),
            claim,
        });
    }

    /// Whether one of them came to be on disk.
    pub(super) fn any_stored(&self, after: BatchId, upto: BatchId) -> bool {
        let mut all = self.all.iter();
        all.any(|it| it.stored > after && it.stored <= upto)
    }

    fn get(&self, subject: Subject) -> Option<&OpenClaim> {
        self.all.iter().find(|it| it.subject == subject)
    }

    fn get_mut(&mut self, subject: Subject) -> Option<&mut OpenClaim> {
        self.all.iter_mut().find(|it| it.subject == subject)
    }

    /// How the claim for this stands.
    pub(crate) fn view(&self, subject: Subject) -> Option<ClaimView> {
        let claim = &self.get(subject)?.claim;
        Some(ClaimView {
            name: claim.request.name.clone(),
            release: claim.withdrawn || claim.request.action == NameAction::Release,
            refused: claim.refused.clone(),
        })
    }

    /// The offer that was asked for and is not decided; `Some(None)`: that there is none any more.
    pub(super) fn asked_offer(&self) -> Option<Option<AccountId>> {
        match self.get(None)?.claim.request.action {
            NameAction::Offer { to } => Some(to),
            NameAction::Claim | NameAction::Release => None,
        }
    }

    /// Whether [`Self::on_timer`] has work at hand.
    pub(crate) fn is_busy(&self) -> bool {
        self.working.is_some()
    }

    /// The undecided one whose turn it is, of those that are on disk.
    fn due(&self, now: Instant, persisted: BatchId) -> Option<Subject> {
        let stored = self.all.iter().filter(|it| it.stored <= persisted);
        let open = stored.filter(|it| it.claim.refused.is_none());
        let next = open.min_by_key(|it| it.next_try)?;
        (next.next_try <= now).then_some(next.subject)
    }

    /// Whether the one that was sent may still be answered.
    fn waits(&self, now: Instant) -> bool {
        let sent = self.under_way.and_then(|(subject, ..)| self.get(subject));
        sent.is_some_and(|sent| sent.next_try > now)
    }

    fn forget(&mut self, subject: Subject) {
        if self.under_way.is_some_and(|(it, ..)| it == subject) {
            self.under_way = None;
        }
        if self.working.is_some_and(|(it, _)| it == subject) {
            self.working = None;
        }
        self.all.retain(|it| it.subject != subject);
    }

    /// Asks the registry for a handle, or to take it back (`None`).
    pub(super) fn claim_handle(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        handle: Option<String>,
    ) -> Result<CommandResult, Error> {
        let me = ctx.me().ok_or(Error::NoAccount)?;
        let own = kinds.handle_of(&me).to_owned();
        let (handle, action) = match handle {
            None if own.is_empty() => return Err(Error::NotFound),
            None => (own, NameAction::Release),
            Some(handle) => {
                let handle = handle.trim().trim_start_matches('@').to_owned();
                (fits(handle)?, NameAction::Claim)
            }
        };
        self.ask_registry(ctx, kinds, handle, None, action, false)
    }

    /// Makes room for one more claim of a slug.
    pub(super) fn make_room(&mut self, ctx: &mut Ctx, post: Option<EntryId>) -> Result<(), Error> {
        let slugs = || self.all.iter().filter(|it| it.subject.is_some());
        if slugs().count() < SLUG_CLAIMS_MAX || (post.is_some() && self.get(post).is_some()) {
            return Ok(());
        }
        let refused = slugs().find(|it| it.claim.refused.is_some());
        let subject = refused.ok_or(Error::Busy)?.subject;
        self.end(ctx, subject);
        report(ctx, subject);
        Ok(())
    }

    /// Asks the registry for something, in place of what was asked for that account or post before.
    pub(super) fn ask_registry(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        name: String,
        post: Option<Header>,
        action: NameAction,
        withdrawn: bool,
    ) -> Result<CommandResult, Error> {
        let (nonce, known) = (ctx.random(), kinds.registry().revision());
        let local = ctx.local.as_ref().ok_or(Error::NoAccount)?;
        let certificate = local.certificate.clone().ok_or(Error::NoAccount)?;
        let request = NameRequest::issue(&local.key, certificate, name, post, action, nonce, known);
        let subject = request.post_id();
        self.forget(subject);
        self.insert(Claim {
            request,
            sent: false,
            withdrawn,
            refused: None,
        });
        self.update(ctx, subject);
        ctx.wake();
        Ok(CommandResult::Ok)
    }

    /// The claim is not wanted any more. If the registry may have decided already, it is asked to take that back.
    pub(super) fn withdraw(&mut self, ctx: &mut Ctx, kinds: &Kinds, subject: Subject) -> CommandResult {
        let offered = self.offered;
        let Some(pending) = self.get_mut(subject) else {
            return CommandResult::Ok;
        };
        let claim = &mut pending.claim;
        let undecided = claim.sent && claim.refused.is_none();
        if undecided && matches!(claim.request.action, NameAction::Offer { .. }) {
            let name = claim.request.name.clone();
            // The offer that stood before is restored. It cannot be refused: there is an account, since it asked.
            let action = NameAction::Offer { to: offered };
            let _ = self.ask_registry(ctx, kinds, name, None, action, false);
            if let Some(pending) = self.get_mut(subject) {
                // Withdrawing this one as well does not undo what was sent before.
                pending.claim.sent = true;
            }
            self.write(ctx, subject);
        } else if claim.refused.is_none()
            && (claim.withdrawn || (claim.sent && claim.request.action == NameAction::Release))
        {
            // What is being given back may have another owner already: that is seen through, or the feed and the
            // registry would differ for good.
        } else if undecided {
            claim.withdrawn = true;
            self.update(ctx, subject);
        } else {
            self.end(ctx, subject);
            report(ctx, subject);
        }
        CommandResult::Ok
    }

    fn end(&mut self, ctx: &mut Ctx, subject: Subject) {
        self.forget(subject);
        ctx.write(Op::Delete {
            table: Table::Meta,
            key: claim_key(subject),
        });
    }

    fn update(&mut self, ctx: &mut Ctx, subject: Subject) {
        self.write(ctx, subject);
        report(ctx, subject);
    }

    fn write(&mut self, ctx: &mut Ctx, subject: Subject) {
        let stored = ctx.next_batch();
        if let Some(pending) = self.get_mut(subject) {
            pending.stored = stored;
            ctx.write(Op::put(Table::Meta, claim_key(subject), &pending.claim));
            ctx.write_strictly();
        }
    }

    /// A relay was linked: claims need not wait for their pause, except the one under way.
    pub(super) fn retry_now(&mut self, ctx: &mut Ctx) {
        let under_way = self.under_way.map(|(subject, ..)| subject);
        let others = self.all.iter_mut();
        for pending in others.filter(|it| Some(it.subject) != under_way) {
            pending.pause = PAUSE_MIN;
            pending.next_try = ctx.now.instant;
        }
        ctx.wake();
    }

    pub(super) fn on_session_down(&mut self, ctx: &mut Ctx, link: LinkId) {
        if self.under_way.is_some_and(|(_, over, _)| over == link) {
            self.under_way = None;
            self.retry_now(ctx);
        }
    }

    /// What time alone does: work, and attempts.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx, kinds: &Kinds, net: &Net) {
        let now = ctx.now.instant;
        if let Some((subject, bits)) = self.working
            && let Some(pending) = self.get_mut(subject)
        {
            if !pending.claim.request.seek_work(u32::from(bits), TRIES) {
                return;
            }
            pending.next_try = now;
            self.working = None;
        }
        if self.waits(now) {
            return;
        }
        let (Some(subject), Some(link)) = (self.due(now, ctx.persisted()), net.any_known_relay(ctx)) else {
            return;
        };
        // Nothing is about to be decided any more: what may have been had is given back.
        let claim = self.get(subject).map(|it| &it.claim);
        let claim = claim.filter(|it| it.withdrawn && it.request.action == NameAction::Claim);
        if let Some(Claim { request, .. }) = claim.cloned() {
            // It cannot be refused: there is an account, since it asked.
            let _ = self.ask_registry(ctx, kinds, request.name, request.post, NameAction::Release, true);
            return;
        }
        if let Some(pending) = self.get_mut(subject).filter(|it| !it.claim.sent) {
            // That it is sent is on disk before it is: after a crash it is known what may have to be taken back.
            pending.claim.sent = true;
            return self.write(ctx, subject);
        }
        let number = ctx.next_request();
        self.under_way = Some((subject, link, number));
        let Some(pending) = self.get_mut(subject) else {
            return;
        };
        pending.next_try = now + pending.pause;
        pending.pause = (pending.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        let question = NameAsked {
            request: number,
            question: NameQuestion::Request(pending.claim.request.clone()),
        };
        ctx.send(link, &Message::NameQuestion(question));
    }

    /// The registry's answer to the claim under way; any other answer is given back.
    pub(super) fn on_answer(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        log: &mut Log,
        link: LinkId,
        request: u32,
        answer: NameAnswer,
    ) -> Option<NameAnswer> {
        let under_way = self.under_way;
        let Some((subject, ..)) = under_way.filter(|(_, over, number)| (*over, *number) == (link, request))
        else {
            return Some(answer);
        };
        self.under_way = None;
        // The next one need not wait.
        ctx.wake();
        let pending = self.get_mut(subject)?;
        let claim = &mut pending.claim;
        let release = claim.request.action == NameAction::Release;
        let withdrawn = claim.withdrawn && !release;
        let account = claim.request.certificate.account;
        match answer {
            NameAnswer::Held(_) | NameAnswer::Work { .. } | NameAnswer::TooFast | NameAnswer::Unavailable
                if withdrawn =>
            {
                pending.next_try = ctx.now.instant;
            }
            NameAnswer::Held(receipt)
                if !release && receipt.account == account && receipt.post == subject =>
            {
                self.on_decided(ctx, log, subject, Some(receipt));
            }
            // Or it was given back already, perhaps from another device.
            NameAnswer::Free | NameAnswer::NotYours if release => self.on_decided(ctx, log, subject, None),
            // It is wished for all the same: the request is signed again, with what is known now.
            NameAnswer::Outdated(mark) if !withdrawn => {
                if mark.revision > claim.request.known {
                    let Claim {
                        request, withdrawn, ..
                    } = claim.clone();
                    // It cannot be refused: there is an account, since it asked.
                    let _ =
                        self.ask_registry(ctx, kinds, request.name, request.post, request.action, withdrawn);
                }
            }
            NameAnswer::Work { bits } if bits <= WORK_BITS_MAX => self.working = Some((subject, bits)),
            NameAnswer::TooFast | NameAnswer::Unavailable => {}
            _ if withdrawn => {
                self.end(ctx, subject);
                report(ctx, subject);
            }
            refused => {
                claim.refused = Some(refused);
                self.update(ctx, subject);
            }
        }
        None
    }

    /// The registry decided: the account's feed says so from now on.
    fn on_decided(&mut self, ctx: &mut Ctx, log: &mut Log, subject: Subject, receipt: Option<NameReceipt>) {
        let withdrawn = self.get(subject).is_some_and(|it| it.claim.withdrawn);
        let claim = self.get(None).filter(|_| subject.is_none());
        match claim.map(|it| it.claim.request.action.clone()) {
            Some(NameAction::Offer { to }) => self.record_offer(ctx, to),
            Some(NameAction::Release) => self.record_offer(ctx, None),
            // A claim of a handle the account has changes no offer.
            Some(NameAction::Claim) | None => {}
        }
        self.end(ctx, subject);
        if withdrawn {
            return report(ctx, subject);
        }
        ctx.changed.me |= subject.is_none();
        log.append_own(
            ctx,
            &match subject {
                None => Body::Name(Name { receipt }),
                Some(post) => Body::Slug(Slug { post, receipt }),
            },
        );
    }
}

/// Interfaces learn how the claim stands.
fn report(ctx: &mut Ctx, subject: Subject) {
    match (subject, ctx.me()) {
        (Some(id), Some(account)) => {
            ctx.changed.record_beside(EntryRef { account, id });
        }
        _ => ctx.changed.me = true,
    }
}

fn claim_key(subject: Subject) -> Vec<u8> {
    let mut key = meta::CLAIM.to_vec();
    key.extend(subject.iter().flat_map(|post| post.0));
    key
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
