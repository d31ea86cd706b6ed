//! Commands and queries of interfaces, to the role and the parts that answer them.

use protocol::AccountId;
#[cfg(feature = "relay")]
use protocol::messages::membership::Stance;

use super::Role;
#[cfg(feature = "relay")]
use super::of_relay;
use super::view_context::with_views;
use crate::api::{Command, CommandResult, Error, NetworkView, Query, QueryResult, ReplicasView, Response};
use crate::ctx::Ctx;
use crate::io::RequestId;
use crate::parts::Parts;
use crate::person::commands::{CommandParts, Done};
use crate::store::{LoadId, Rows};
use crate::views;

pub(crate) fn on_command(
    role: &mut Role,
    ctx: &mut Ctx,
    parts: &mut Parts,
    request: RequestId,
    command: Command,
) {
    let done = match role {
        Role::Person(person) => {
            let Some(command) = person.hold_until_checked(ctx, &parts.net, request, command) else {
                return;
            };
            let mut of_person = CommandParts {
                net: &mut parts.net,
                log: &mut parts.log,
                kinds: &mut parts.kinds,
            };
            person.on_command(ctx, &mut of_person, request, command)
        }
        #[cfg(feature = "relay")]
        Role::Relay(relay) => match command {
            Command::CheckReplicas { account } => {
                relay.check_replicas(ctx, &mut of_relay(parts), request, &account)
            }
            Command::InviteRelay { relay: peer } => {
                relay.vouch(ctx, &parts.net, peer, Stance::Invites);
                Some(CommandResult::Ok)
            }
            Command::ExpelRelay { relay: peer } => {
                relay.vouch(ctx, &parts.net, peer, Stance::Expels);
                Some(CommandResult::Ok)
            }
            Command::RebuildViews => {
                ctx.fact(crate::facts::Fact::RebuildViews);
                Some(CommandResult::Ok)
            }
            _ => return ctx.answer(request, Response::Error(Error::NoAccount)),
        }
        .map_or(Ok(Done::Later), |result| Ok(Done::CommandResult(result))),
    };
    let answer = match done {
        Ok(Done::Later) => return,
        Ok(Done::CommandResult(result)) => Response::Done(result),
        Ok(Done::Published(post)) => {
            let view = with_views(role, ctx, parts, |_, _, context| views::post_view(context, &post));
            Response::Done(CommandResult::Published(Box::new(view)))
        }
        Err(error) => Response::Error(error),
    };
    ctx.answer(request, answer);
}

/// Commands that waited for the check of the own feed.
pub(super) fn run_waiting(role: &mut Role, ctx: &mut Ctx, parts: &mut Parts) {
    let ready = match role {
        Role::Person(person) => person.own_feed.take_ready(ctx, &parts.net),
        #[cfg(feature = "relay")]
        Role::Relay(_) => return,
    };
    for (request, command) in ready {
        on_command(role, ctx, parts, request, command);
    }
}

pub(crate) fn on_query(role: &mut Role, ctx: &mut Ctx, parts: &mut Parts, request: RequestId, query: Query) {
    if let Some(account) = views::subject(&query) {
        visit(role, ctx, parts, account);
    }
    let unanswered = with_views(role, ctx, parts, |views, ctx, context| {
        views.on_query(ctx, context, request, query)
    });
    if let Some(views::Unanswered { request, query }) = unanswered {
        on_other_query(role, ctx, parts, request, query);
    }
}

/// Rows of a load of the views; `None`: it failed.
pub(crate) fn on_view_rows(
    role: &mut Role,
    ctx: &mut Ctx,
    parts: &mut Parts,
    load: LoadId,
    rows: Option<Rows>,
) {
    let unanswered = with_views(role, ctx, parts, |views, ctx, context| {
        views.on_rows(ctx, context, load, rows)
    });
    if let Some(views::Unanswered { request, query }) = unanswered {
        on_other_query(role, ctx, parts, request, query);
    }
}

/// Answers a query that is not about views.
fn on_other_query(role: &mut Role, ctx: &mut Ctx, parts: &mut Parts, request: RequestId, query: Query) {
    let reply = match query {
        Query::Name { name } => return parts.lookups.begin(ctx, &parts.net, request, false, &name),
        Query::Slug { slug } => return parts.lookups.begin(ctx, &parts.net, request, true, &slug),
        Query::Phrase => QueryResult::Phrase(match role {
            Role::Person(person) => person.phrase(),
            #[cfg(feature = "relay")]
            Role::Relay(_) => None,
        }),
        Query::Replicas { account } => QueryResult::Replicas(replicas(role, parts, &account)),
        Query::Network => QueryResult::Network(network(role, ctx, parts)),
        #[cfg(feature = "relay")]
        Query::Members { about } if let Role::Relay(relay) = role => {
            QueryResult::Members(relay.members_view(&parts.net, &parts.log, &parts.directory, about))
        }
        _ => return ctx.answer(request, Response::Error(Error::NotFound)),
    };
    ctx.answer(request, Response::Result(Box::new(reply)));
}

/// The account a query is about is wanted from now on, if this is a person's device.
fn visit(role: &mut Role, ctx: &mut Ctx, parts: &mut Parts, account: AccountId) {
    let Parts { net, sync, kinds, .. } = parts;
    match role {
        Role::Person(person) => {
            for (account, on) in person.visit(ctx, account, |account| kinds.follows(account)) {
                sync.send_interest(ctx, net, account, on);
                if !on {
                    sync.forget_compared(&account);
                }
            }
        }
        #[cfg(feature = "relay")]
        Role::Relay(_) => {}
    }
}

fn replicas(role: &Role, parts: &Parts, account: &AccountId) -> ReplicasView {
    match role {
        Role::Person(_) => ReplicasView::default(),
        #[cfg(feature = "relay")]
        Role::Relay(relay) => relay.replicas_view(&parts.net, &parts.log, &parts.directory, account),
    }
}

fn network(role: &Role, ctx: &Ctx, parts: &Parts) -> NetworkView {
    let Parts {
        log,
        net,
        sync,
        kinds,
        directory,
        ..
    } = parts;
    let wanting = role.wanting(kinds);
    NetworkView {
        links: net.views(ctx, |account| kinds.name_of(account).to_owned()),
        feeds: log.feeds.len() as u64,
        entries: log.feeds.entries(),
        interests: wanting.wanted(log).len() as u64,
        bytes_in: ctx.totals.bytes_in,
        bytes_out: ctx.totals.bytes_out,
        duplicates: ctx.totals.duplicates,
        over_quota: parts.sync.over_quota(),
        work_of_accounts: parts.sync.work_of_accounts(),
        refused: ctx.totals.refused,
        incompatible: ctx.incompatible,
        audits: ctx.totals.audits,
        audits_failed: ctx.totals.audits_failed,
        relays: directory
            .views()
            .into_iter()
            .chain(net.no_member_views())
            .collect(),
        delays: match role {
            Role::Person(_) => Vec::new(),
            #[cfg(feature = "relay")]
            Role::Relay(relay) => relay.delays(),
        },
        scores: match role {
            Role::Person(person) => person.choice.scores(ctx, net, directory),
            #[cfg(feature = "relay")]
            Role::Relay(_) => Vec::new(),
        },
        weights: ctx
            .config
            .routing
            .weights()
            .map(|weight| (weight * 1_000.0) as u32),
        synced: sync.compared_of(|account| kinds.follows(account)),
    }
}
