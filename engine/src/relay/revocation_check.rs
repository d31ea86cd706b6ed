//! Whether a device may still speak for its account: a relay that decides on names need not keep the account's feeds,
//! where a revocation would be. Before it decides, it asks relays that keep them.
//!
//! Invariant: each check ends once all relays asked have answered, or after [`TIMEOUT`].

use core::time::Duration;

use ordered::{Map, Set};
use protocol::Instant;
use protocol::messages::{Message, RevocationAnswer, RevocationQuestion};
use protocol::names::{NameAnswer, NameRequest};

use crate::ctx::Ctx;
use crate::io::LinkId;

/// Relays asked about one device.
const ASKED_MAX: usize = 3;
/// Checks under way at once. Policy when full: the request is answered as too fast.
const CHECKS_MAX: usize = 1_024;
/// How long answers are waited for. Less than a device waits for the registry.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// A request that waits for the answers.
#[derive(Debug)]
struct RevocationCheck {
    link: LinkId,
    request: u32,
    claim: NameRequest,
    asked: Set<LinkId>,
    is_answered: bool,
    until: Instant,
}

/// How a check ended: the request of the neighbour at `link` goes on to the registry, or is answered.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) link: LinkId,
    pub(super) request: u32,
    pub(super) outcome: Result<NameRequest, NameAnswer>,
}

#[derive(Debug, Default)]
pub(super) struct RevocationChecks {
    /// By the number of the question.
    checks: Map<u32, RevocationCheck>,
}

impl RevocationChecks {
    /// Asks these neighbours. The answer to the request, if they cannot be asked.
    pub(super) fn begin(
        &mut self,
        ctx: &mut Ctx,
        neighbours: Vec<LinkId>,
        link: LinkId,
        request: u32,
        claim: NameRequest,
    ) -> Option<NameAnswer> {
        if neighbours.is_empty() {
            return Some(NameAnswer::Unavailable);
        }
        if self.checks.len() >= CHECKS_MAX {
            return Some(NameAnswer::TooFast);
        }
        let number = ctx.next_request();
        let asked: Set<_> = neighbours.into_iter().take(ASKED_MAX).collect();
        for neighbour in asked.iter() {
            let question = RevocationQuestion {
                request: number,
                account: claim.certificate.account,
                device: claim.certificate.device,
            };
            ctx.send(*neighbour, &Message::RevocationQuestion(question));
        }
        let check = RevocationCheck {
            link,
            request,
            claim,
            asked,
            is_answered: false,
            until: ctx.now.instant + TIMEOUT,
        };
        self.checks.insert(number, check);
        None
    }

    /// A neighbour answered.
    pub(super) fn on_answer(
        &mut self,
        ctx: &mut Ctx,
        link: LinkId,
        answer: &RevocationAnswer,
    ) -> Option<Checked> {
        let check = self.checks.get_mut(&answer.request)?;
        if !check.asked.remove(&link) {
            return None;
        }
        if let Some(revocation) = &answer.revocation {
            let certificate = &check.claim.certificate;
            let concerns =
                revocation.account == certificate.account && revocation.device == certificate.device;
            if !concerns || revocation.verify().is_err() {
                ctx.misbehaved(link, "a revocation that proves nothing");
            } else {
                return self.end(answer.request, Err(NameAnswer::NotYours));
            }
        } else {
            check.is_answered = true;
        }
        match check.asked.is_empty() {
            true => self.end_unrevoked(answer.request),
            false => None,
        }
    }

    /// Ends checks that have waited long enough.
    pub(super) fn on_timer(&mut self, now: Instant) -> Vec<Checked> {
        let late = self.checks.iter().filter(|(_, check)| now >= check.until);
        let late: Vec<u32> = late.map(|(number, _)| *number).collect();
        late.into_iter()
            .filter_map(|number| self.end_unrevoked(number))
            .collect()
    }

    /// A link ended: nothing is asked for it, and it answers nothing, any more.
    pub(super) fn on_session_down(&mut self, link: LinkId) -> Vec<Checked> {
        self.checks.retain(|_, check| check.link != link);
        let mut over = Vec::new();
        for (number, check) in self.checks.iter_mut() {
            if check.asked.remove(&link) && check.asked.is_empty() {
                over.push(*number);
            }
        }
        over.into_iter()
            .filter_map(|number| self.end_unrevoked(number))
            .collect()
    }

    /// No revocation was shown. One answer is enough; without any, nothing is known.
    fn end_unrevoked(&mut self, number: u32) -> Option<Checked> {
        match self.checks.get(&number)?.is_answered {
            true => {
                let RevocationCheck {
                    link, request, claim, ..
                } = self.checks.remove(&number)?;
                let outcome = Ok(claim);
                Some(Checked {
                    link,
                    request,
                    outcome,
                })
            }
            false => self.end(number, Err(NameAnswer::Unavailable)),
        }
    }

    fn end(&mut self, number: u32, outcome: Result<NameRequest, NameAnswer>) -> Option<Checked> {
        let RevocationCheck { link, request, .. } = self.checks.remove(&number)?;
        Some(Checked {
            link,
            request,
            outcome,
        })
    }
}
