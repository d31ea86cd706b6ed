//! Claims: what this device asks of the registry, a name for its account and slugs for the account's posts.
//!
//! A claim is on disk before it is sent, and so is the post it is for; it is repeated, over one relay after the other, until the
//! registry has decided; so it can be made offline, and outlives a restart. What the registry gives goes into the account's feed.
//!
//! Invariants: an account has one claim for its name at most, and each post one for its slug; of slugs there are
//! [`SLUG_CLAIMS_MAX`] claims at most, and when that is full one that was refused goes, or nothing more is asked for. One claim
//! is under way at a time: those of one account change the same row in the registry, and would only be in each other's way.

use std::time::Duration;

use protocol::entry::{Header, Name, Slug};
use protocol::message::{Message, NameAsked};
use protocol::name::{NameAction, NameAnswer, NameQuestion, NameReceipt, NameRequest};
use protocol::{AccountId, Body, EntryId, EntryRef, Instant, limits};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::api::{ClaimView, Outcome, Refusal};
use crate::io::LinkId;
use crate::log::records::meta;
use crate::store::{BatchId, Op, Table};

/// Pauses between attempts, doubled from the first to the last.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// Work a registry may ask for; more is not done.
const WORK_BITS_MAX: u8 = 24;
/// Hashes tried at a time, so that everything else goes on.
const TRIES: u32 = 8_192;
/// Posts whose slug is asked for, or was refused.
const SLUG_CLAIMS_MAX: usize = 100;

/// What a claim is for: the slug of a post, or (`None`) the account's name.
type Subject = Option<EntryId>;

/// A claim, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    request: NameRequest,
    /// The registry may have heard of it.
    sent: bool,
    /// It is not wanted any more, but the registry may have decided, or be about to: it is taken back after that. The feed
    /// never said that it was had, and need not say that it is not.
    withdrawn: bool,
    /// Why it came to nothing. `None`: it is not decided.
    refused: Option<NameAnswer>,
}

/// A claim, and when it is sent again.
#[derive(Debug)]
struct Pending {
    subject: Subject,
    claim: Claim,
    next_try: Instant,
    pause: Duration,
    /// The batch that stores it as it is.
    stored: BatchId,
}

/// All claims of this device.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    all: Vec<Pending>,
    /// The one that was sent, over which link, and the number of the question.
    under_way: Option<(Subject, LinkId, u32)>,
    /// The one that work is done for, and how many bits.
    working: Option<(Subject, u8)>,
}

impl Claims {
    pub(crate) fn restore(&mut self, claim: Claim) {
        self.all.push(Pending {
            subject: claim.request.post_id(),
            next_try: Instant(0),
            pause: PAUSE_MIN,
            stored: BatchId(0),
            claim,
        });
    }

    /// Whether one of them came to be on disk.
    pub(crate) fn any_stored(&self, after: BatchId, upto: BatchId) -> bool {
        let mut all = self.all.iter();
        all.any(|it| it.stored > after && it.stored <= upto)
    }

    fn get(&self, subject: Subject) -> Option<&Pending> {
        self.all.iter().find(|it| it.subject == subject)
    }

    fn get_mut(&mut self, subject: Subject) -> Option<&mut Pending> {
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

    /// To whom (`None` in it: nobody any more) the name is to be offered.
    pub(crate) fn offer(&self) -> Option<Option<AccountId>> {
        match self.get(None)?.claim.request.action {
            NameAction::Offer { to } => Some(to),
            NameAction::Claim | NameAction::Release => None,
        }
    }

    /// Whether [`Engine::keep_claims`] has work at hand.
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
}

/// A slug as people write it, made right as far as that is certain; the registry knows the rest of the rules.
pub(crate) fn wished_slug(slug: &str) -> Result<String, Refusal> {
    fits(slug.trim().trim_matches('/').replace(' ', "-"))
}

fn fits(name: String) -> Result<String, Refusal> {
    let name = name.to_ascii_lowercase();
    match name.len() {
        0 => Err(Refusal::Empty),
        1..=limits::UNIQUE_NAME_LEN_MAX => Ok(name),
        _ => Err(Refusal::TooLong { max: 30 }),
    }
}

impl Engine {
    /// Asks the registry for a name, or to take it back (`None`).
    pub(crate) fn claim_name(&mut self, name: Option<String>) -> Result<Outcome, Refusal> {
        self.may_write()?;
        let me = self.me().ok_or(Refusal::NoAccount)?;
        let own = self.handle_of(&me).to_owned();
        let (name, action) = match name {
            None if own.is_empty() => return Err(Refusal::NotFound),
            None => (own, NameAction::Release),
            Some(name) => (
                fits(name.trim().trim_start_matches('@').to_owned())?,
                NameAction::Claim,
            ),
        };
        self.ask_registry(name, None, action, false)
    }

    /// Makes room for one more claim of a slug.
    pub(crate) fn room_for_slug(&mut self, post: Option<EntryId>) -> Result<(), Refusal> {
        let slugs = || self.claims.all.iter().filter(|it| it.subject.is_some());
        if slugs().count() < SLUG_CLAIMS_MAX || (post.is_some() && self.claims.get(post).is_some()) {
            return Ok(());
        }
        let refused = slugs().find(|it| it.claim.refused.is_some());
        let subject = refused.ok_or(Refusal::Busy)?.subject;
        self.end_claim(subject);
        self.tell_claim(subject);
        Ok(())
    }

    /// Asks the registry for something, in place of what was asked for that account or post before.
    pub(crate) fn ask_registry(
        &mut self,
        name: String,
        post: Option<Header>,
        action: NameAction,
        withdrawn: bool,
    ) -> Result<Outcome, Refusal> {
        let (nonce, known) = (self.random(), self.names.known());
        let identity = self.identity.as_ref().ok_or(Refusal::NoAccount)?;
        let certificate = identity.certificate.clone();
        let request = NameRequest::issue(&identity.key, certificate, name, post, action, nonce, known);
        let subject = request.post_id();
        self.claims.forget(subject);
        self.claims.restore(Claim {
            request,
            sent: false,
            withdrawn,
            refused: None,
        });
        self.write_claim(subject);
        self.next_housekeeping = self.now.instant;
        Ok(Outcome::Ok)
    }

    /// The claim is not wanted any more. If the registry may have decided already, it is asked to take that back.
    pub(crate) fn drop_claim(&mut self, subject: Subject) -> Outcome {
        let Some(pending) = self.claims.get_mut(subject) else {
            return Outcome::Ok;
        };
        let claim = &mut pending.claim;
        let undecided = claim.sent && claim.refused.is_none();
        if undecided && matches!(claim.request.action, NameAction::Offer { .. }) {
            let name = claim.request.name.clone();
            // What stood before stands again. It cannot be refused: there is an account, since it asked.
            let action = NameAction::Offer { to: self.offered };
            let _ = self.ask_registry(name, None, action, false);
            if let Some(pending) = self.claims.get_mut(subject) {
                // Dropping this one as well does not undo what was sent before.
                pending.claim.sent = true;
            }
            self.keep_claim(subject);
        } else if undecided && claim.request.action == NameAction::Claim {
            claim.withdrawn = true;
            self.write_claim(subject);
        } else {
            self.end_claim(subject);
            self.tell_claim(subject);
        }
        Outcome::Ok
    }

    fn end_claim(&mut self, subject: Subject) {
        self.claims.forget(subject);
        self.write(Op::Delete {
            table: Table::Meta,
            key: claim_key(subject),
        });
    }

    fn write_claim(&mut self, subject: Subject) {
        self.keep_claim(subject);
        self.tell_claim(subject);
    }

    fn keep_claim(&mut self, subject: Subject) {
        if let Some(pending) = self.claims.get(subject) {
            let op = Op::put(Table::Meta, claim_key(subject), &pending.claim);
            self.write(op);
            self.write_strictly();
            let stored = self.next_batch();
            if let Some(pending) = self.claims.get_mut(subject) {
                pending.stored = stored;
            }
        }
    }

    fn tell_claim(&mut self, subject: Subject) {
        match (subject, self.me()) {
            (Some(id), Some(account)) => {
                let post = EntryRef { account, id };
                self.tell_slug(post, None);
            }
            _ => self.me_changed = true,
        }
    }

    /// A relay came: what waits for one is asked.
    pub(crate) fn on_relay_for_names(&mut self) {
        self.retry_claims_now();
        self.send_lookups();
    }

    /// All but the one under way.
    fn retry_claims_now(&mut self) {
        let under_way = self.claims.under_way.map(|(subject, ..)| subject);
        let others = self.claims.all.iter_mut();
        for pending in others.filter(|it| Some(it.subject) != under_way) {
            pending.pause = PAUSE_MIN;
            pending.next_try = self.now.instant;
        }
        self.next_housekeeping = self.now.instant;
    }

    /// A link ended.
    pub(crate) fn forget_name_link(&mut self, link: LinkId) {
        if self.claims.under_way.is_some_and(|(_, over, _)| over == link) {
            self.claims.under_way = None;
            self.retry_claims_now();
        }
    }

    /// What time alone does: work, and attempts.
    pub(crate) fn keep_claims(&mut self) {
        let now = self.now.instant;
        if let Some((subject, bits)) = self.claims.working
            && let Some(pending) = self.claims.get_mut(subject)
        {
            if !pending.claim.request.seek_work(u32::from(bits), TRIES) {
                return;
            }
            pending.next_try = now;
            self.claims.working = None;
        }
        if self.claims.waits(now) {
            return;
        }
        let (Some(subject), Some(link)) = (self.claims.due(now, self.persisted()), self.any_relay()) else {
            return;
        };
        // Nobody is about to decide any more: what may have been had is given back.
        let claim = self.claims.get(subject).map(|it| &it.claim);
        let claim = claim.filter(|it| it.withdrawn && it.request.action == NameAction::Claim);
        if let Some(Claim { request, .. }) = claim.cloned() {
            // It cannot be refused: there is an account, since it asked.
            let _ = self.ask_registry(request.name, request.post, NameAction::Release, true);
            return;
        }
        if let Some(pending) = self.claims.get_mut(subject).filter(|it| !it.claim.sent) {
            // That it is sent is on disk before it is: after a crash it is known what may have to be taken back.
            pending.claim.sent = true;
            return self.keep_claim(subject);
        }
        let number = self.names.number();
        self.claims.under_way = Some((subject, link, number));
        let Some(pending) = self.claims.get_mut(subject) else {
            return;
        };
        pending.next_try = now + pending.pause;
        pending.pause = (pending.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        let question = NameAsked {
            request: number,
            question: NameQuestion::Request(pending.claim.request.clone()),
        };
        self.send(link, &Message::NameQuestion(question));
    }

    /// The registry's answer to the claim under way; any other answer is given back.
    pub(crate) fn on_claim_answer(
        &mut self,
        link: LinkId,
        request: u32,
        answer: NameAnswer,
    ) -> Option<NameAnswer> {
        let Some((subject, ..)) = self
            .claims
            .under_way
            .filter(|(_, over, number)| (*over, *number) == (link, request))
        else {
            return Some(answer);
        };
        self.claims.under_way = None;
        // The next one need not wait.
        self.next_housekeeping = self.now.instant;
        let pending = self.claims.get_mut(subject)?;
        let claim = &mut pending.claim;
        let release = claim.request.action == NameAction::Release;
        let withdrawn = claim.withdrawn && !release;
        let account = claim.request.certificate.account;
        match answer {
            NameAnswer::Held(_) | NameAnswer::Work { .. } | NameAnswer::TooFast | NameAnswer::Unavailable
                if withdrawn =>
            {
                pending.next_try = self.now.instant;
            }
            NameAnswer::Held(receipt)
                if !release && receipt.account == account && receipt.post == subject =>
            {
                self.note_decided(subject, Some(receipt));
            }
            // Or it was given back already, perhaps from another device.
            NameAnswer::Free | NameAnswer::NotYours if release => self.note_decided(subject, None),
            // It is wished for all the same: the request is signed anew, with what is known now.
            NameAnswer::Outdated(mark) if !withdrawn => {
                if mark.revision > claim.request.known {
                    let Claim {
                        request, withdrawn, ..
                    } = claim.clone();
                    // It cannot be refused: there is an account, since it asked.
                    let _ = self.ask_registry(request.name, request.post, request.action, withdrawn);
                }
            }
            NameAnswer::Work { bits } if bits <= WORK_BITS_MAX => self.claims.working = Some((subject, bits)),
            NameAnswer::TooFast | NameAnswer::Unavailable => {}
            _ if withdrawn => {
                self.end_claim(subject);
                self.tell_claim(subject);
            }
            refused => {
                claim.refused = Some(refused);
                self.write_claim(subject);
            }
        }
        None
    }

    /// The registry decided: the account's feed says so from now on.
    fn note_decided(&mut self, subject: Subject, receipt: Option<NameReceipt>) {
        let withdrawn = self.claims.get(subject).is_some_and(|it| it.claim.withdrawn);
        let claim = self.claims.get(None).filter(|_| subject.is_none());
        match claim.map(|it| &it.claim.request.action) {
            Some(&NameAction::Offer { to }) => self.note_offer(to),
            Some(NameAction::Release) => self.note_offer(None),
            // A claim of what one has changes no offer.
            Some(NameAction::Claim) | None => {}
        }
        self.end_claim(subject);
        if withdrawn {
            return self.tell_claim(subject);
        }
        self.me_changed |= subject.is_none();
        self.append_own(&match subject {
            None => Body::Name(Name { receipt }),
            Some(post) => Body::Slug(Slug { post, receipt }),
        });
    }
}

fn claim_key(subject: Subject) -> Vec<u8> {
    let mut key = meta::CLAIM.to_vec();
    key.extend(subject.iter().flat_map(|post| post.0));
    key
}
