//! Questions about names that nothing held here answers: a known relay asks the registry.

use std::time::Duration;

use ordered::Map;
use protocol::messages::{Message, NameAsked};
use protocol::names::{NameAnswer, NameQuestion};
use protocol::{Instant, limits};

use crate::api::{Error, QueryResult, Response};
use crate::ctx::Ctx;
use crate::io::{LinkId, RequestId};
use crate::kinds::Kinds;
use crate::net::Net;

/// Lookups under way at once. Policy when full: further ones are refused as busy.
const LOOKUPS_MAX: usize = 64;
/// A lookup without an answer for this long is given up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Clone, Debug)]
struct Lookup {
    request: RequestId,
    slug: bool,
    name: String,
    until: Instant,
    sent: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Lookups {
    lookups: Map<u32, Lookup>,
}

impl Lookups {
    /// An interface asks whose a handle, or (`slug`) which post's a slug is.
    pub(crate) fn begin(&mut self, ctx: &mut Ctx, net: &Net, request: RequestId, slug: bool, name: &str) {
        let name = match slug {
            true => name.trim_matches('/'),
            false => name.trim().trim_start_matches('@'),
        };
        let name = name.to_ascii_lowercase();
        if name.is_empty() || name.len() > limits::UNIQUE_NAME_LEN_MAX {
            return ctx.answer(request, Response::Error(Error::NotFound));
        }
        if self.lookups.len() >= LOOKUPS_MAX {
            return ctx.answer(request, Response::Error(Error::Busy));
        }
        let lookup = Lookup {
            request,
            slug,
            name,
            until: ctx.now.instant + LOOKUP_TIMEOUT,
            sent: false,
        };
        self.lookups.insert(ctx.next_request(), lookup);
        self.send(ctx, net);
    }

    /// Asks a relay what has not been asked yet, if one is linked.
    pub(crate) fn send(&mut self, ctx: &mut Ctx, net: &Net) {
        if self.lookups.values().all(|lookup| lookup.sent) {
            return;
        }
        let Some(link) = net.any_known_relay(ctx) else {
            return;
        };
        for (request, lookup) in self.lookups.iter_mut().filter(|(_, lookup)| !lookup.sent) {
            lookup.sent = true;
            let question = NameQuestion::Lookup {
                slug: lookup.slug,
                name: lookup.name.clone(),
            };
            let asked = NameAsked {
                request: *request,
                question,
            };
            ctx.send(link, &Message::NameQuestion(asked));
        }
    }

    /// Gives up lookups that had no answer.
    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, kinds: &Kinds) {
        let now = ctx.now.instant;
        let late = self.lookups.iter().filter(|(_, lookup)| now >= lookup.until);
        let late: Vec<u32> = late.map(|(request, _)| *request).collect();
        for request in late {
            self.end(ctx, kinds, request, NameAnswer::Unavailable);
        }
    }

    /// The registry answered.
    pub(crate) fn end(&mut self, ctx: &mut Ctx, kinds: &Kinds, request: u32, answer: NameAnswer) {
        let Some(lookup) = self.lookups.remove(&request) else {
            return;
        };
        let answer = match answer {
            // What feeds say is proof as well, only perhaps not the latest.
            NameAnswer::Unavailable if !lookup.slug => {
                let known = kinds.holder_of(&lookup.name);
                known.map_or(answer, |receipt| NameAnswer::Held(receipt.clone()))
            }
            answer => answer,
        };
        ctx.answer(
            lookup.request,
            Response::Result(Box::new(QueryResult::Name(answer))),
        );
    }
}

/// Checks what the registry signed in an answer to one of this peer's own questions. `None`: the neighbour broke the
/// protocol.
pub(crate) fn verified(
    ctx: &mut Ctx,
    kinds: &mut Kinds,
    link: LinkId,
    answer: NameAnswer,
) -> Option<NameAnswer> {
    let signed = match &answer {
        NameAnswer::Held(it) => Some((it.registry, it.revision, it.verify().is_ok())),
        NameAnswer::Outdated(it) => Some((it.registry, it.revision, it.verify().is_ok())),
        _ => None,
    };
    let Some((registry, revision, holds)) = signed else {
        return Some(answer);
    };
    let known = kinds.registry().id();
    if !holds || known.is_some_and(|known| known != registry) {
        ctx.misbehaved(link, "an answer that the registry of this network did not sign");
        return None;
    }
    if known.is_none() {
        // No relay has named the registry yet: the question is asked again once one has.
        return Some(NameAnswer::Unavailable);
    }
    kinds.learn_revision(revision);
    Some(answer)
}

#[cfg(test)]
#[path = "lookups_tests.rs"]
mod tests;
