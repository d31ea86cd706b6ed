//! Messages of neighbours, to the role and the parts that they concern.

use protocol::messages::{Interests, Message, NameAnswered};
use protocol::names::NameAnswer;

use super::Role;
#[cfg(feature = "relay")]
use super::of_relay;
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::lookups;
use crate::parts::Parts;
use crate::person::Person;
use crate::sync::Remembered;

/// A message of a neighbour, to the part that it concerns.
pub(crate) fn on_received(
    role: &mut Role,
    ctx: &mut Ctx,
    parts: &mut Parts,
    link: LinkId,
    message: Message,
    len: usize,
) {
    let Some(message) = on_message(role, ctx, parts, link, message, len) else {
        return;
    };
    let remembered = match &message {
        Message::Interests(interests) => on_interests(role, parts, link, interests),
        _ => None,
    };
    let wanting = role.wanting(&parts.kinds);
    let (net, log, sync) = (&mut parts.net, &mut parts.log, &mut parts.sync);
    match message {
        Message::Interests(interests) => {
            sync.on_interests(ctx, net, log, wanting, link, interests, remembered);
        }
        Message::ResumeFailed(_) => sync.on_resume_failed(ctx, net, log, wanting, link),
        Message::Relays(relays) => parts.on_relays(ctx, link, relays),
        Message::NameAnswer(answered) => on_name_answer(role, ctx, parts, link, answered),
        message => {
            // What is left over is about membership: the overlay has taken it in.
            let _ = sync.on_message(ctx, net, log, wanting, link, message, len);
        }
    }
}

/// Takes a message that concerns this role alone, or before all others; another one is given back.
fn on_message(
    role: &mut Role,
    ctx: &mut Ctx,
    parts: &mut Parts,
    link: LinkId,
    message: Message,
    len: usize,
) -> Option<Message> {
    match role {
        Role::Person(person) => {
            let Parts {
                net, log, directory, ..
            } = parts;
            let mentioned = match &message {
                Message::Have(heads) => person.on_have(ctx, net, log, directory, link, &heads.heads),
                Message::Receipt(receipt) => person.on_receipt(ctx, net, log, directory, link, receipt),
                Message::Withdrawal(withdrawal) => {
                    Person::on_withdrawal(ctx, net, log, directory, link, withdrawal);
                    return None;
                }
                Message::Members(list) => {
                    Person::on_members(ctx, net, log, directory, link, list);
                    return None;
                }
                Message::NameQuestion(asked) => {
                    let answer = NameAnswer::Unavailable;
                    let request = asked.request;
                    ctx.send(link, &Message::NameAnswer(NameAnswered { request, answer }));
                    return None;
                }
                Message::QuotaExceeded(exceeded) => {
                    person.on_quota_exceeded(ctx, net, link, exceeded);
                    return None;
                }
                Message::WorkRequired(required) => {
                    person.on_work_required(ctx, net, link, *required);
                    return None;
                }
                _ => return Some(message),
            };
            if let Some(account) = mentioned {
                let wanting = role.wanting(&parts.kinds);
                parts.sync.record_mention(ctx, &parts.log, wanting, link, account);
            }
            None
        }
        #[cfg(feature = "relay")]
        Role::Relay(relay) => relay.on_message(ctx, &mut of_relay(parts), link, message, len),
    }
}

/// What is remembered of a device that says that it wants the same as when it was linked last.
fn on_interests(role: &mut Role, parts: &Parts, link: LinkId, interests: &Interests) -> Option<Remembered> {
    match role {
        Role::Person(_) => None,
        #[cfg(feature = "relay")]
        Role::Relay(relay) => relay.on_interests(&parts.net, link, interests),
    }
}

/// The registry answered one of this peer's own questions.
fn on_name_answer(role: &mut Role, ctx: &mut Ctx, parts: &mut Parts, link: LinkId, answered: NameAnswered) {
    let NameAnswered { request, answer } = answered;
    let Some(answer) = lookups::verified(ctx, &mut parts.kinds, link, answer) else {
        return;
    };
    let answer = match role {
        Role::Person(person) => {
            person.on_name_answer(ctx, &parts.kinds, &mut parts.log, link, request, answer)
        }
        #[cfg(feature = "relay")]
        Role::Relay(_) => Some(answer),
    };
    if let Some(answer) = answer {
        parts.lookups.end(ctx, &parts.kinds, request, answer);
    }
}
