//! The relay's part in names: a question is answered by the registry this relay keeps, or forwarded to a relay that
//! keeps it; the answer takes the same way back.
//!
//! Invariants: a request is verified before it costs another peer anything. What one neighbour may ask is bounded per
//! minute, across all its links; so are the requests of all neighbours together, since keys are free, and the
//! questions under way. Policy when full: the answer is [`NameAnswer::TooFast`], after which the neighbour may ask
//! again.

use core::time::Duration;

use ordered::Map;
use protocol::kinds::Revocation;
use protocol::messages::directory::role;
use protocol::messages::{Message, NameAnswered, NameAsked, RevocationAnswer};
use protocol::names::{NameAnswer, NameQuestion, NameRequest, RegistryId};
use protocol::{AccountId, DeviceId, Instant, PeerId};

use crate::ctx::Ctx;
use crate::io::{AddressId, LinkId, NameTicket, Output};
use crate::log::Log;
use crate::net::{Net, Session};
use crate::relays::directory::Directory;

use super::placement::Placement;
use super::revocation_check::{Checked, RevocationChecks};

/// Maximum number of questions in progress at once.
const UNDER_WAY_MAX: usize = 4_096;
/// A registry that has not answered within this time cannot be reached.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A relay asks on behalf of the people linked with it, and may ask this many times as much.
const RELAY_FACTOR: u32 = 256;
/// Neighbours whose questions are counted. Policy when full: further people ask in the next minute; relays are always
/// counted.
const COUNTED_MAX: usize = 8_192;
/// Requests that neighbours of one address may make a minute, whatever keys they use.
const PER_ADDRESS: u32 = 60;
/// Proof of work that a request needs, in bits, by how many quarters of this minute's requests are used: with 18 bits, a
/// browser works for about a second.
const WORK_BITS: [u8; 4] = [0, 10, 14, 18];
/// Interval at which the counts are reset to zero.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// Devices that an account revoked, and from which entry on.
type Revocations = Map<(AccountId, DeviceId), Revocation>;

/// What decides where a question is sent.
pub(crate) struct Route<'a> {
    pub(crate) net: &'a Net,
    pub(crate) directory: &'a Directory,
    /// The registry of this network.
    pub(crate) registry: Option<RegistryId>,
    pub(crate) log: &'a Log,
    pub(crate) placement: &'a Placement,
}

impl Route<'_> {
    /// The relays to ask whether `account` revoked a device; `None`: this relay knows it, or the one that forwards the
    /// request does, or no relay keeps feeds.
    fn who_knows(&self, account: &AccountId, asking: LinkId) -> Option<Vec<LinkId>> {
        let feeds = &self.log.feeds;
        let replicas = self.placement.replicas_of(feeds, account);
        let keeps = |link: LinkId| {
            let session = self.net.session(link);
            session.is_some_and(|session| session.neighbour && replicas.contains(&session.peer))
        };
        let is_here = self.placement.is_assigned_here(feeds, account);
        if replicas.is_empty() || keeps(asking) || (is_here && !feeds.devices(account).is_empty()) {
            return None;
        }
        let asked = self.net.links_whose(|session| keeps(session.link));
        // A feed that begins is nowhere yet.
        (!is_here || !asked.is_empty()).then_some(asked)
    }
}

/// A neighbour that waits for an answer.
#[derive(Clone, Copy, Debug)]
struct PendingRequest {
    link: LinkId,
    request: u32,
    until: Instant,
}

impl PendingRequest {
    fn new(ctx: &Ctx, link: LinkId, request: u32) -> Self {
        Self {
            link,
            request,
            until: ctx.now.instant + TIMEOUT,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct NameProxy {
    /// Questions to this relay's own registry.
    own: Map<NameTicket, PendingRequest>,
    /// Forwarded questions, by the link they were forwarded on and their number there.
    forwarded: Map<(LinkId, u32), PendingRequest>,
    /// Requests to this relay's own registry that are not put to it yet.
    checks: RevocationChecks,
    /// Questions of this minute by peer: a peer that opens another link does not begin again at zero.
    counts: Map<PeerId, u32>,
    /// Requests of this minute, of all peers.
    requests: u32,
    /// The same by address; members and this machine are not counted. Policy when full: further addresses ask in the next
    /// minute.
    requests_of: Map<AddressId, u32>,
    counted_until: Instant,
    last_ticket: u64,
}

impl NameProxy {
    /// A neighbour asks the registry.
    pub(crate) fn on_question(&mut self, ctx: &mut Ctx, route: &Route<'_>, link: LinkId, asked: NameAsked) {
        let Some(peer) = route.net.session(link).map(|session| session.peer) else {
            return;
        };
        let NameAsked { request, question } = asked;
        let relay = route.net.is_anchor(route.directory, &peer);
        if !self.admits(ctx, peer, relay) {
            return reply(ctx, link, request, NameAnswer::TooFast);
        }
        if let NameQuestion::Request(claim) = &question {
            if claim.verify().is_err() {
                return ctx.misbehaved(link, "a name request with a wrong signature");
            }
            let address = route.net.session(link).and_then(Session::limited);
            if let Some(answer) = self.refusal_of(ctx, &route.log.revocations, claim, address) {
                return reply(ctx, link, request, answer);
            }
        }
        if ctx.config.runs_registry {
            return self.ask_registry(ctx, route, link, request, question);
        }
        let waiting = PendingRequest::new(ctx, link, request);
        let Some(index) = index_link(ctx, route, link) else {
            return reply(ctx, link, request, NameAnswer::Unavailable);
        };
        // Differs from the numbers of this relay's own questions.
        let request = ctx.next_request();
        self.forwarded.insert((index, request), waiting);
        ctx.send(index, &Message::NameQuestion(NameAsked { request, question }));
    }

    /// Asks this relay's own registry, once it is known that the device was not revoked.
    fn ask_registry(
        &mut self,
        ctx: &mut Ctx,
        route: &Route<'_>,
        link: LinkId,
        request: u32,
        question: NameQuestion,
    ) {
        let claim = match question {
            NameQuestion::Request(claim) => claim,
            lookup @ NameQuestion::Lookup { .. } => return self.put(ctx, link, request, lookup),
        };
        let Some(neighbours) = route.who_knows(&claim.certificate.account, link) else {
            return self.put(ctx, link, request, NameQuestion::Request(claim));
        };
        if let Some(answer) = self.checks.begin(ctx, neighbours, link, request, claim) {
            reply(ctx, link, request, answer);
        }
    }

    fn put(&mut self, ctx: &mut Ctx, link: LinkId, request: u32, question: NameQuestion) {
        let waiting = PendingRequest::new(ctx, link, request);
        self.last_ticket += 1;
        let ticket = NameTicket(self.last_ticket);
        self.own.insert(ticket, waiting);
        ctx.emit(Output::Name { ticket, question });
    }

    fn on_checked(&mut self, ctx: &mut Ctx, checked: impl IntoIterator<Item = Checked>) {
        for Checked {
            link,
            request,
            outcome,
        } in checked
        {
            match outcome {
                Ok(claim) => self.put(ctx, link, request, NameQuestion::Request(claim)),
                Err(answer) => reply(ctx, link, request, answer),
            }
        }
    }

    /// A neighbour says whether an account revoked a device.
    pub(crate) fn on_revocation_answer(&mut self, ctx: &mut Ctx, link: LinkId, answer: &RevocationAnswer) {
        let checked = self.checks.on_answer(ctx, link, answer);
        self.on_checked(ctx, checked);
    }

    /// Counts a question of a peer; whether it may be asked.
    fn admits(&mut self, ctx: &Ctx, peer: PeerId, relay: bool) -> bool {
        let factor = if relay { RELAY_FACTOR } else { 1 };
        let most = ctx.config.names_per_minute.saturating_mul(factor);
        let counted = relay || self.counts.len() < COUNTED_MAX || self.counts.contains_key(&peer);
        if !counted {
            return false;
        }
        let count = self.counts.or_default(peer);
        *count = count.saturating_add(1);
        *count <= most && self.own.len() + self.forwarded.len() < UNDER_WAY_MAX
    }

    /// Counts a verified request. The answer, if it may not be made.
    fn refusal_of(
        &mut self,
        ctx: &Ctx,
        revocations: &Revocations,
        request: &NameRequest,
        address: Option<AddressId>,
    ) -> Option<NameAnswer> {
        let by = &request.certificate;
        if revocations.contains_key(&(by.account, by.device)) {
            return Some(NameAnswer::NotYours);
        }
        if self.requests >= ctx.config.claims_per_minute {
            return Some(NameAnswer::TooFast);
        }
        let most = ctx.config.claims_per_minute.max(1);
        let quarters = u64::from(self.requests) * WORK_BITS.len() as u64 / u64::from(most);
        let bits = WORK_BITS.get(quarters as usize).copied().unwrap_or(0);
        if request.work_bits() < u32::from(bits) {
            return Some(NameAnswer::Work { bits });
        }
        if let Some(address) = address {
            let known = self.requests_of.len() < COUNTED_MAX || self.requests_of.contains_key(&address);
            let count = self.requests_of.get(&address).copied().unwrap_or(0);
            if !known || count >= PER_ADDRESS {
                return Some(NameAnswer::TooFast);
            }
            self.requests_of.insert(address, count + 1);
        }
        self.requests += 1;
        None
    }

    /// This relay's registry answered.
    pub(crate) fn on_registry_answer(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        ticket: NameTicket,
        answer: NameAnswer,
    ) {
        if let Some(waiting) = self.own.remove(&ticket) {
            pass_on(ctx, waiting, known_to(net, waiting.link, answer));
        }
    }

    /// A neighbour answered. Returned if this is no answer to a forwarded question.
    pub(crate) fn on_answer(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        link: LinkId,
        answered: NameAnswered,
    ) -> Option<NameAnswered> {
        let Some(waiting) = self.forwarded.remove(&(link, answered.request)) else {
            return Some(answered);
        };
        pass_on(ctx, waiting, known_to(net, waiting.link, answered.answer));
        None
    }

    /// Gives up questions that had no answer in time, and begins counting again.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx) {
        let now = ctx.now.instant;
        let checked = self.checks.on_timer(now);
        self.on_checked(ctx, checked);
        if now >= self.counted_until {
            self.counted_until = now + COUNT_INTERVAL;
            self.counts.clear();
            self.requests = 0;
            self.requests_of.clear();
        }
        let mut late = Vec::new();
        let mut keep = |waiting: &PendingRequest| {
            let waits = now < waiting.until;
            if !waits {
                late.push(*waiting);
            }
            waits
        };
        self.own.retain(|_, waiting| keep(waiting));
        self.forwarded.retain(|_, waiting| keep(waiting));
        for waiting in late {
            pass_on(ctx, waiting, NameAnswer::Unavailable);
        }
    }

    /// A link ended: questions forwarded on it are answered, questions that came over it need no answer.
    pub(crate) fn on_session_down(&mut self, ctx: &mut Ctx, link: LinkId) {
        let checked = self.checks.on_session_down(link);
        self.on_checked(ctx, checked);
        self.own.retain(|_, waiting| waiting.link != link);
        let mut lost = Vec::new();
        self.forwarded.retain(|(over, _), waiting| {
            if *over == link {
                lost.push(*waiting);
            }
            *over != link && waiting.link != link
        });
        for waiting in lost {
            pass_on(ctx, waiting, NameAnswer::Unavailable);
        }
    }
}

/// A linked relay that keeps the registry of this network, other than the one that asks.
fn index_link(ctx: &mut Ctx, route: &Route<'_>, asking: LinkId) -> Option<LinkId> {
    let keeps = |peer: &PeerId| {
        route.directory.alive(peer).is_some_and(|description| {
            description.roles & role::INDEX != 0 && description.registry == route.registry
        })
    };
    let relays = route
        .net
        .links_whose(|session| session.neighbour && session.link != asking && keeps(&session.peer));
    ctx.any_of(&relays)
}

/// The answer in a form that the neighbour knows.
fn known_to(net: &Net, link: LinkId, answer: NameAnswer) -> NameAnswer {
    let session = net.session(link);
    match answer {
        NameAnswer::LooksLike { .. } if !session.is_some_and(|session| session.knows_look_alikes) => {
            NameAnswer::Taken
        }
        known => known,
    }
}

fn pass_on(ctx: &mut Ctx, waiting: PendingRequest, answer: NameAnswer) {
    reply(ctx, waiting.link, waiting.request, answer);
}

fn reply(ctx: &mut Ctx, link: LinkId, request: u32, answer: NameAnswer) {
    ctx.send(link, &Message::NameAnswer(NameAnswered { request, answer }));
}

#[cfg(test)]
#[path = "name_proxy_tests.rs"]
mod tests;
