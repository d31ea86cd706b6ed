//! The relay's part in names: a question is answered by the registry this relay keeps, or passed on to a relay that keeps
//! it, and the answer takes the same way back.
//!
//! Invariants: a request is checked before it costs anybody else anything; what a neighbour may ask is bounded per minute,
//! whatever links it ends and begins meanwhile, and so are the requests of all together, since keys cost nothing, and what is
//! under way. Policy when full: "too fast", which may be asked again.

use std::time::Duration;

use crate::Engine;
use crate::io::{LinkId, NameTicket, Output};
use ordered::Map;
use protocol::directory::role;
use protocol::message::{Message, NameAnswered, NameAsked};
use protocol::name::{NameAnswer, NameQuestion};
use protocol::{Instant, PeerId};

/// Questions under way at once.
const UNDER_WAY_MAX: usize = 4_096;
/// A registry that has not answered by then cannot be reached.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A relay asks for its people: so many times as much.
const RELAYS_SHARE: u32 = 256;
/// Neighbours whose questions are counted; whoever comes after them asks in the next minute. Relays are always counted.
const COUNTED_MAX: usize = 8_192;
/// How often what neighbours asked is forgotten.
const COUNTED: Duration = Duration::from_mins(1);

/// A question somebody waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    link: LinkId,
    request: u32,
    until: Instant,
}

/// Questions under way.
#[derive(Debug, Default)]
pub(crate) struct Registrar {
    /// At this relay's own registry.
    here: Map<NameTicket, Waiting>,
    /// Passed on, by link and number there.
    elsewhere: Map<(LinkId, u32), Waiting>,
    /// Questions of this minute. They outlive the link, or a new one would begin to count anew.
    counts: Map<PeerId, u32>,
    /// Requests of this minute, of everybody.
    requests: u32,
    counted_until: Instant,
    last: u64,
}

impl Registrar {
    /// Counts a question; whether it is one that may be asked.
    fn count(&mut self, peer: PeerId, most: u32, always: bool) -> bool {
        let room = always || self.counts.len() < COUNTED_MAX || self.counts.contains_key(&peer);
        if !room {
            return false;
        }
        let count = self.counts.or_default(peer);
        *count = count.saturating_add(1);
        *count <= most
    }
}

impl Engine {
    /// A neighbour asks the registry something.
    pub(crate) fn on_name_question(&mut self, link: LinkId, asked: NameAsked) {
        let NameAsked { request, question } = asked;
        let refuse = |engine: &mut Self, answer| {
            engine.send(link, &Message::NameAnswer(NameAnswered { request, answer }));
        };
        if !self.is_relay() {
            return refuse(self, NameAnswer::Unavailable);
        }
        let Some(peer) = self.up(link).map(|up| up.peer) else {
            return;
        };
        let share = if self.is_anchor(&peer) { RELAYS_SHARE } else { 1 };
        let most = self.config.names_per_minute.saturating_mul(share);
        let under_way = self.registrar.here.len() + self.registrar.elsewhere.len();
        if !self.registrar.count(peer, most, share > 1) || under_way >= UNDER_WAY_MAX {
            return refuse(self, NameAnswer::TooFast);
        }
        if let NameQuestion::Request(request) = &question {
            if request.verify().is_err() {
                return self.misbehaved(link, "a name request with a wrong signature");
            }
            let by = &request.certificate;
            let revoked = self.revocations.contains_key(&(by.account, by.device));
            if revoked {
                return refuse(self, NameAnswer::NotYours);
            }
            if self.registrar.requests >= self.config.claims_per_minute {
                return refuse(self, NameAnswer::TooFast);
            }
            self.registrar.requests += 1;
        }
        let waiting = Waiting {
            link,
            request,
            until: self.now.instant + ANSWER_WITHIN,
        };
        self.registrar.last += 1;
        if self.config.registrar {
            let ticket = NameTicket(self.registrar.last);
            self.registrar.here.insert(ticket, waiting);
            return self.emit(Output::Name { ticket, question });
        }
        let Some(index) = self.index_link(link) else {
            return refuse(self, NameAnswer::Unavailable);
        };
        let number = self.registrar.last as u32;
        self.registrar.elsewhere.insert((index, number), waiting);
        let passed_on = NameAsked {
            request: number,
            question,
        };
        self.send(index, &Message::NameQuestion(passed_on));
    }

    /// A linked relay that keeps the registry this network takes names from, but not `other`.
    fn index_link(&mut self, other: LinkId) -> Option<LinkId> {
        let registry = self.names.registry();
        let keeps = |peer: &PeerId| {
            self.directory.alive(peer).is_some_and(|description| {
                description.roles & role::INDEX != 0 && description.registry == registry
            })
        };
        let mut links = self.links_whose(|up| up.neighbour && keeps(&up.peer));
        links.retain(|link| *link != other);
        self.any_of(&links)
    }

    /// This relay's registry answered.
    pub(crate) fn on_named(&mut self, ticket: NameTicket, answer: NameAnswer) {
        if !self.is_relay() {
            return;
        }
        if let Some(waiting) = self.registrar.here.remove(&ticket) {
            self.pass_answer(waiting, answer);
        }
    }

    /// A neighbour answered a question that was passed on to it, or one of this device's own.
    pub(crate) fn on_name_answer(&mut self, link: LinkId, answered: NameAnswered) {
        let NameAnswered { request, answer } = answered;
        if !self.is_relay() {
            return self.on_own_name_answer(link, request, answer);
        }
        match self.registrar.elsewhere.remove(&(link, request)) {
            Some(waiting) => self.pass_answer(waiting, answer),
            None => self.on_own_name_answer(link, request, answer),
        }
    }

    fn pass_answer(&mut self, waiting: Waiting, answer: NameAnswer) {
        let request = waiting.request;
        self.send(
            waiting.link,
            &Message::NameAnswer(NameAnswered { request, answer }),
        );
    }

    /// What time alone does: questions given up, counts forgotten.
    pub(crate) fn keep_registrar(&mut self) {
        if !self.is_relay() {
            return;
        }
        let now = self.now.instant;
        if now >= self.registrar.counted_until {
            self.registrar.counted_until = now + COUNTED;
            self.registrar.counts.clear();
            self.registrar.requests = 0;
        }
        let mut late = Vec::new();
        let mut keep = |waiting: &Waiting| {
            let waits = now < waiting.until;
            if !waits {
                late.push(*waiting);
            }
            waits
        };
        self.registrar.here.retain(|_, waiting| keep(waiting));
        self.registrar.elsewhere.retain(|_, waiting| keep(waiting));
        for waiting in late {
            self.pass_answer(waiting, NameAnswer::Unavailable);
        }
    }

    /// A link ended: what was asked over it is answered, what came over it need not be.
    pub(crate) fn forget_registrar_link(&mut self, link: LinkId) {
        if !self.is_relay() {
            return;
        }
        self.registrar.here.retain(|_, waiting| waiting.link != link);
        let mut lost = Vec::new();
        self.registrar.elsewhere.retain(|(over, _), waiting| {
            if *over == link {
                lost.push(*waiting);
            }
            *over != link && waiting.link != link
        });
        for waiting in lost {
            self.pass_answer(waiting, NameAnswer::Unavailable);
        }
    }
}
