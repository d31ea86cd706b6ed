//! Messages and commands that only a relay answers.

use std::time::Duration;

use protocol::messages::{Message, RevocationAnswer};
use protocol::{AccountId, Entry, Instant};

use crate::api::{CommandResult, Response};
use crate::ctx::Ctx;
use crate::io::{LinkId, Log as Line, RequestId};
use crate::log::Log;

use super::audit::Question;
use super::name_proxy::Route;
use super::{Relay, RelayParts};

/// In the log: an entry came over no link.
const NO_LINK: LinkId = LinkId(0);
/// Checks of replicas under way. Policy when full: the next one is answered from what is known.
const CHECKS_MAX: usize = 64;

/// A check is answered from what is known when a neighbour has not answered for this long: its link may be dead.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// A check of an account's replicas that waits for the answers of neighbours.
#[derive(Debug)]
struct ReplicaCheck {
    request: RequestId,
    links: Vec<LinkId>,
    until: Instant,
}

/// The checks under way ([`crate::api::Command::CheckReplicas`]).
#[derive(Debug, Default)]
pub(super) struct Checks {
    checks: Vec<ReplicaCheck>,
}

impl Checks {
    fn is_full(&self) -> bool {
        self.checks.len() >= CHECKS_MAX
    }

    /// The neighbour has answered the question it was asked, or its link has ended. Checks that waited for nothing
    /// else are over.
    pub(super) fn end(&mut self, ctx: &mut Ctx, link: LinkId) {
        for check in &mut self.checks {
            check.links.retain(|other| *other != link);
        }
        self.answer(ctx, |check| check.links.is_empty());
    }

    /// Answers the checks that have waited for long enough.
    pub(super) fn on_timer(&mut self, ctx: &mut Ctx) {
        let now = ctx.now.instant;
        self.answer(ctx, |check| now >= check.until);
    }

    fn answer(&mut self, ctx: &mut Ctx, is_over: impl Fn(&ReplicaCheck) -> bool) {
        for check in self.checks.extract_if(.., |check| is_over(check)) {
            ctx.answer(check.request, Response::Done(CommandResult::Ok));
        }
    }
}

impl Relay {
    /// Takes a message that a relay answers itself. Any other is given back.
    pub(crate) fn on_message(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        link: LinkId,
        message: Message,
        len: usize,
    ) -> Option<Message> {
        let RelayParts {
            net,
            log,
            directory,
            kinds,
            ..
        } = parts;
        match message {
            Message::Entries(entries) if self.audits.on_entries(link, &entries) => ctx.consume(link, len),
            Message::RangeEnd(end) => {
                if !self.on_audit_end(ctx, parts, link, end.request) {
                    return Some(Message::RangeEnd(end));
                }
            }
            Message::Receipt(receipt) => self.on_receipt(ctx, net, log, directory, link, &receipt),
            Message::Withdrawal(withdrawal) => {
                self.on_withdrawal(ctx, net, log, directory, link, &withdrawal);
            }
            // A relay has no feeds of its own that others could hold.
            Message::Have(_) => {}
            Message::Presence(clients) => {
                self.presence.on_presence(net, directory, link, clients);
            }
            Message::Vouches(vouches) => {
                self.joining
                    .on_vouches(ctx, net, &mut self.members, link, vouches);
            }
            Message::JoinRequest(request) => {
                self.joining
                    .on_join_request(ctx, net, &self.members, link, request);
            }
            Message::JoinAnswer(answer) => self.joining.on_join_answer(ctx, net, link, answer),
            Message::NameQuestion(asked) => {
                let route = Route {
                    net,
                    directory,
                    registry: kinds.registry().id(),
                    log,
                    placement: &self.placement,
                };
                self.names.on_question(ctx, &route, link, asked);
            }
            Message::NameAnswer(answered) => {
                let answered = self.names.on_answer(ctx, net, link, answered);
                return answered.map(Message::NameAnswer);
            }
            Message::RevocationQuestion(asked) => {
                let peer = net.session(link).map(|session| session.peer);
                if peer.is_some_and(|peer| net.is_anchor(directory, &peer)) {
                    let revocation = log.revocations.get(&(asked.account, asked.device)).cloned();
                    let request = asked.request;
                    let answer = RevocationAnswer { request, revocation };
                    ctx.send(link, &Message::RevocationAnswer(answer));
                }
            }
            Message::RevocationAnswer(answer) => self.names.on_revocation_answer(ctx, link, &answer),
            message => return Some(message),
        }
        None
    }

    /// Takes in an entry of a backup, of every account: the relays that should keep it will fetch it.
    pub(crate) fn restore_entry(&mut self, ctx: &mut Ctx, log: &mut Log, entry: Entry) {
        let account = entry.signed.header.account;
        let taken = if self.cache.is_dropping(&account) {
            Err("an entry of a feed whose rows are being deleted: restore it again".into())
        } else {
            log.restore(ctx, entry)
        };
        if let Err(reason) = taken {
            ctx.totals.refused += 1;
            ctx.log(Line::Refused {
                link: NO_LINK,
                peer: None,
                reason,
            });
        }
    }

    /// Asks the replicas of an account that seem to lack entries whether they still do: a relay that got an entry from
    /// another does not announce it here. `None`: the answer is given when all of them have answered.
    pub(crate) fn check_replicas(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut RelayParts<'_>,
        request: RequestId,
        account: &AccountId,
    ) -> Option<CommandResult> {
        if self.checks.is_full() {
            return Some(CommandResult::Ok);
        }
        let RelayParts { net, log, sync, .. } = parts;
        let devices = log.feeds.devices(account);
        let mut links = Vec::new();
        for relay in self.placement.replicas_of(&log.feeds, account) {
            // A peer that is no neighbour does not answer.
            let link = net.neighbour_link(&relay);
            let Some(link) = link else { continue };
            let behind = self.behind(net, log, link, devices);
            let Some((device, held, _)) = behind.first() else {
                continue;
            };
            if !self.audits.is_under_way(link) {
                let question = Question {
                    device: *device,
                    seq: held - 1,
                    claimed: false,
                };
                self.begin_audit(ctx, net, sync, link, question);
            }
            links.push(link);
        }
        if links.is_empty() {
            return Some(CommandResult::Ok);
        }
        let until = ctx.now.instant + CHECK_TIMEOUT;
        self.checks.checks.push(ReplicaCheck {
            request,
            links,
            until,
        });
        None
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
