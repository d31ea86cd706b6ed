//! What a peer is: a person's device or a relay. What only one of them does is in its folder; here inputs and facts
//! find their way to it.

#![cfg_attr(
    not(feature = "relay"),
    allow(
        unused_variables,
        clippy::unused_self,
        clippy::needless_pass_by_value,
        irrefutable_let_patterns,
        reason = "taken in by relays alone"
    )
)]

mod members;
mod standing;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(all(test, feature = "relay"))]
mod tests;

#[cfg(feature = "relay")]
use protocol::messages::membership::Stance;
use protocol::messages::{FeedHead, Interests, Message, NameAnswered};
use protocol::names::NameAnswer;
use protocol::{AccountId, DeviceId, Entry, VerifiedEntry};

use crate::api::{Command, CommandResult, Error, Query, QueryResult, Response};
#[cfg(feature = "relay")]
use crate::ctx::Local;
use crate::ctx::{Commit, Ctx, DirectoryMode, LoadOwner, Setup};
use crate::facts::{Ended, Source};
use crate::io::{Config, LinkId, NameTicket, Now, PeerKind, RequestId};
use crate::kinds::{Kinds, Viewer};
use crate::lookups;
use crate::parts::Parts;
use crate::person::Person;
use crate::person::commands::Done;
#[cfg(feature = "relay")]
use crate::relay::Relay;
use crate::store::{BatchId, LoadId, Rows, Table};
use crate::sync::{FollowList, Interest, PeerInterest, Remembered, Wanting};
use crate::views::{self, Sources};

use standing::RoleStanding;

/// See the module.
#[derive(Debug)]
pub(crate) enum Role {
    Person(Person),
    #[cfg(feature = "relay")]
    Relay(Relay),
}

impl Role {
    pub(crate) fn new(config: &Config, now: Now) -> (Self, Setup) {
        match &config.kind {
            PeerKind::Browser => {
                let setup = Setup {
                    local: None,
                    // Feeds that this person asked for are never refused for want of room.
                    feeds_max: usize::MAX,
                    strict: false,
                    signs_receipts: false,
                    directory: DirectoryMode::Device,
                    events: true,
                };
                (Self::Person(Person::default()), setup)
            }
            #[cfg(feature = "relay")]
            PeerKind::Relay { key } => {
                let own = protocol::PeerId(key.public());
                let setup = Setup {
                    local: Some(Local {
                        key: key.clone(),
                        features: protocol::link::handshake::feature::RELAY,
                        certificate: None,
                    }),
                    feeds_max: config.feeds_max,
                    strict: true,
                    signs_receipts: config.worker,
                    directory: DirectoryMode::Relay,
                    events: false,
                };
                (Self::Relay(Relay::new(config, own, now.instant)), setup)
            }
        }
    }

    pub(crate) fn interest(&self) -> &dyn Interest {
        match self {
            Self::Person(person) => person,
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay,
        }
    }

    pub(crate) fn wanting<'a>(&'a self, kinds: &'a Kinds) -> Wanting<'a> {
        Wanting {
            role: self.interest(),
            follows: kinds,
        }
    }

    /// Whether this role has work at hand that should go on at once.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Person(person) => person.claims.is_busy(),
            #[cfg(feature = "relay")]
            Self::Relay(_) => false,
        }
    }

    // The store.

    pub(crate) fn restore_row(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Option<()> {
        match self {
            Self::Person(person) => person.restore_row(ctx, &mut parts.net, table, key, value),
            #[cfg(feature = "relay")]
            Self::Relay(relay) => match crate::relays::directory::stored(key, value) {
                Some(member) => {
                    parts.directory.restore(member?, ctx.clock());
                    Some(())
                }
                None => relay.restore_row(&mut parts.log, key, value),
            },
        }
    }

    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        match self {
            Self::Person(person) => person.on_ready(ctx, &mut parts.log),
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                relay.on_ready(ctx);
                parts.directory.set_members(ctx, relay.listed());
                parts.directory.on_ready(ctx);
            }
        }
    }

    /// Rows of a load that is none of the views'; `None`: it failed.
    pub(crate) fn on_rows(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        owner: LoadOwner,
        load: LoadId,
        rows: Option<Rows>,
    ) {
        let Parts {
            log,
            sync,
            kinds,
            views,
            ..
        } = parts;
        match (owner, rows) {
            (LoadOwner::Serve, Some(rows)) => sync.on_serve_rows(ctx, log, load, rows),
            (LoadOwner::Serve, None) => sync.on_serve_failed(ctx, log, load),
            (LoadOwner::ForkCheck, Some(rows)) => log.on_fork_check_rows(ctx, load, rows),
            (LoadOwner::ForkCheck, None) => log.on_fork_check_failed(ctx, load),
            (LoadOwner::Reindex, Some(rows)) => views.on_reindex_rows(ctx, log, kinds, load, rows),
            (LoadOwner::Reindex, None) => views.on_reindex_failed(load),
            #[cfg(feature = "relay")]
            (LoadOwner::Drop, rows) => {
                let Self::Relay(relay) = self else { return };
                match rows {
                    Some(rows) => relay.on_drop_rows(ctx, &mut parts.of_relay(), rows),
                    None => relay.on_drop_failed(),
                }
            }
            (LoadOwner::Command, rows) => {
                let Self::Person(person) = self else { return };
                match rows {
                    Some(rows) => person.on_slug_rows(ctx, kinds, load, rows),
                    None => person.on_slug_load_failed(ctx, load),
                }
            }
            (LoadOwner::Cut, rows) => {
                let Self::Person(person) = self else { return };
                person.on_cut_rows(ctx, log, kinds, rows);
            }
            (LoadOwner::Boot | LoadOwner::View, _) => {}
        }
    }

    /// Rows of a load of the views; `None`: it failed.
    pub(crate) fn on_view_rows(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        load: LoadId,
        rows: Option<Rows>,
    ) {
        let unanswered = self.with_views(ctx, parts, |views, ctx, sources| {
            views.on_rows(ctx, sources, load, rows)
        });
        if let Some(views::Unanswered { request, query }) = unanswered {
            self.on_other_query(ctx, parts, request, query);
        }
    }

    /// Lets the views read the other parts.
    fn with_views<T>(
        &self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        read: impl FnOnce(&mut views::Views, &mut Ctx, &Sources<'_>) -> T,
    ) -> T {
        let Parts {
            log,
            net,
            sync,
            kinds,
            views,
            directory,
            ..
        } = parts;
        let standing = RoleStanding {
            role: self,
            kinds,
            net,
            directory,
            replicas: ctx.config.replicas,
        };
        let sources = Sources {
            viewer: Viewer::of(ctx),
            log,
            kinds,
            net,
            sync,
            standing: &standing,
        };
        read(views, ctx, &sources)
    }

    pub(crate) fn flush_events(&self, ctx: &mut Ctx, parts: &mut Parts) {
        self.with_views(ctx, parts, views::Views::flush_events);
    }

    pub(crate) fn on_persisted(&mut self, ctx: &mut Ctx, before: BatchId) {
        match self {
            Self::Person(person) => person.on_persisted(ctx, before),
            #[cfg(feature = "relay")]
            Self::Relay(_) => {}
        }
    }

    /// Batches are durable.
    pub(crate) fn on_commit(&mut self, ctx: &mut Ctx, parts: &mut Parts, commit: &Commit) {
        for advanced in parts.log.on_persisted(&commit.feeds) {
            self.on_durable(ctx, parts, advanced.device, advanced.before);
        }
        parts.sync.grant_consumed(ctx, &commit.consumed);
    }

    /// A message of a neighbour, to the part that it concerns.
    pub(crate) fn on_received(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        link: LinkId,
        message: Message,
        len: usize,
    ) {
        let Some(message) = self.on_message(ctx, parts, link, message, len) else {
            return;
        };
        let remembered = match &message {
            Message::Interests(interests) => self.on_interests(parts, link, interests),
            _ => None,
        };
        let wanting = self.wanting(&parts.kinds);
        let (net, log, sync) = (&mut parts.net, &mut parts.log, &mut parts.sync);
        match message {
            Message::Interests(interests) => {
                sync.on_interests(ctx, net, log, wanting, link, interests, remembered);
            }
            Message::ResumeFailed(_) => sync.on_resume_failed(ctx, net, log, wanting, link),
            Message::Relays(relays) => parts.on_relays(ctx, link, relays),
            Message::NameAnswer(answered) => self.on_name_answer(ctx, parts, link, answered),
            message => {
                // What is left over is about membership: the overlay has taken it in.
                let _ = sync.on_message(ctx, net, log, wanting, link, message, len);
            }
        }
    }

    // Time.

    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        let reindexing = parts.views.is_reindexing();
        match self {
            Self::Person(person) => {
                let (net, log) = (&mut parts.net, &mut parts.log);
                person.on_timer(ctx, net, log, &parts.kinds, &parts.directory, reindexing);
                if person.own_feed.on_timer(ctx, net, log) {
                    share_own_feed(ctx, parts);
                }
                self.run_waiting(ctx, parts);
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_timer(ctx, &mut parts.of_relay()),
        }
    }

    pub(crate) fn on_anti_entropy(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_anti_entropy(ctx, &parts.net, &parts.log, &mut parts.sync),
        }
    }

    // Neighbours.

    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, parts: &mut Parts, link: LinkId) {
        let known = |link| {
            let session = parts.net.session(link);
            session.is_some_and(|session| parts.net.known.contains(&session.peer))
        };
        match self {
            Self::Person(person) if known(link) => person.on_relay_up(ctx),
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_neighbour_up(ctx, &parts.net, link),
        }
    }

    pub(crate) fn on_session_down(&mut self, ctx: &mut Ctx, ended: &Ended, interest: PeerInterest) {
        match self {
            Self::Person(person) => person.on_session_down(ctx, ended.link),
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_session_down(ctx, ended, interest),
        }
    }

    /// What is remembered of a device that says that it wants the same as when it was linked last.
    pub(crate) fn on_interests(
        &mut self,
        parts: &Parts,
        link: LinkId,
        interests: &Interests,
    ) -> Option<Remembered> {
        match self {
            Self::Person(_) => None,
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_interests(&parts.net, link, interests),
        }
    }

    pub(crate) fn on_named(&mut self, ctx: &mut Ctx, parts: &Parts, link: LinkId, accounts: Vec<AccountId>) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_named(ctx, &parts.net, &parts.log, link, &accounts),
        }
    }

    pub(crate) fn on_peer_has(&mut self, parts: &Parts, link: LinkId, device: DeviceId, next_seq: u64) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_peer_has(&parts.net, &parts.log, link, &device, next_seq),
        }
    }

    /// A neighbour said all it holds of what this peer wants.
    pub(crate) fn on_compared(&mut self, ctx: &mut Ctx, parts: &mut Parts, link: LinkId) {
        match self {
            Self::Person(person) => {
                if person.own_feed.on_compared(ctx, &parts.net, &mut parts.log, link) {
                    share_own_feed(ctx, parts);
                }
                let wanting = self.wanting(&parts.kinds);
                parts
                    .sync
                    .name_unknown(ctx, &parts.net, &parts.log, wanting, link);
                self.run_waiting(ctx, parts);
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_compared(ctx, &parts.net, &parts.directory, link),
        }
    }

    pub(crate) fn on_helped(&mut self, ctx: &Ctx, parts: &Parts, link: LinkId, entries: bool) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_helped(ctx, &parts.net, link, entries),
        }
    }

    /// Takes a message that concerns this role alone, or before all others; another one is given back.
    pub(crate) fn on_message(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        link: LinkId,
        message: Message,
        len: usize,
    ) -> Option<Message> {
        match self {
            Self::Person(person) => {
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
                    _ => return Some(message),
                };
                if let Some(account) = mentioned {
                    let wanting = self.wanting(&parts.kinds);
                    parts.sync.record_mention(ctx, &parts.log, wanting, link, account);
                }
                None
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_message(ctx, &mut parts.of_relay(), link, message, len),
        }
    }

    /// The registry answered one of this peer's own questions.
    pub(crate) fn on_name_answer(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        link: LinkId,
        answered: NameAnswered,
    ) {
        let NameAnswered { request, answer } = answered;
        let Some(answer) = lookups::verified(ctx, &mut parts.kinds, link, answer) else {
            return;
        };
        let answer = match self {
            Self::Person(person) => {
                person.on_name_answer(ctx, &parts.kinds, &mut parts.log, link, request, answer)
            }
            #[cfg(feature = "relay")]
            Self::Relay(_) => Some(answer),
        };
        if let Some(answer) = answer {
            parts.lookups.end(ctx, &parts.kinds, request, answer);
        }
    }

    // Feeds.

    pub(crate) fn on_account_seen(&mut self, ctx: &Ctx, parts: &Parts, account: AccountId) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_account_seen(ctx, &parts.log, account),
        }
    }

    pub(crate) fn on_appended(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        entry: &VerifiedEntry,
        from: Source,
    ) {
        match self {
            Self::Person(person) if from != Source::Own => person.on_arrived(ctx, &mut parts.log, entry),
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_appended(ctx, &parts.net, entry, from),
        }
    }

    /// More of a feed is on disk.
    pub(crate) fn on_durable(&mut self, ctx: &mut Ctx, parts: &mut Parts, device: DeviceId, before: u64) {
        match self {
            Self::Person(person) => {
                let Parts {
                    net,
                    log,
                    sync,
                    directory,
                    ..
                } = parts;
                let mine = log.feeds.get(&device).map(|feed| feed.account);
                if mine.is_some_and(|account| ctx.is_me(&account)) {
                    Person::report_durability(ctx, net, log, directory, device, before);
                }
                while let Some((entry, len)) = log.next_saved(&device) {
                    person.on_published(ctx, &entry);
                    sync.publish(ctx, net, log, &entry, len);
                }
            }
            #[cfg(feature = "relay")]
            Self::Relay(_) => {}
        }
        parts.sync.confirm_durable(ctx, &parts.net, &parts.log, &device);
    }

    /// Takes in entries of a backup. What does not hold is left out, and logged.
    pub(crate) fn restore_entries(&mut self, ctx: &mut Ctx, parts: &mut Parts, entries: Vec<Entry>) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                for entry in entries {
                    relay.restore_entry(ctx, &mut parts.log, entry);
                }
            }
        }
    }

    /// Interest in an account changes, if it is not wanted for another reason.
    pub(crate) fn on_interest(&mut self, ctx: &mut Ctx, parts: &mut Parts, account: AccountId, on: bool) {
        let wanted = self.wanting(&parts.kinds).wants(&parts.log, &account);
        if wanted == on {
            parts.sync.send_interest(ctx, &parts.net, account, on);
        }
        if !wanted {
            parts.sync.forget_compared(&account);
        }
    }

    /// This account follows another, or does so no more.
    pub(crate) fn on_followed(&mut self, ctx: &mut Ctx, parts: &mut Parts, account: AccountId, on: bool) {
        match self {
            Self::Person(person) if person.wants_unfollowed(&account) => {}
            _ => self.on_interest(ctx, parts, account, on),
        }
    }

    // What only one role takes in.

    pub(crate) fn hand_over(&mut self, ctx: &mut Ctx, parts: &mut Parts, for_good: bool) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                let own = parts.own_description();
                if for_good {
                    parts.directory.give_up_share(ctx, own);
                } else if relay.has_handed_over() {
                    let links = parts.neighbour_kinds();
                    parts.directory.leave(ctx, own, &links);
                }
                relay.hand_over(ctx, for_good);
            }
        }
    }

    pub(crate) fn on_registry_answer(&mut self, ctx: &mut Ctx, ticket: NameTicket, answer: NameAnswer) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_named_by_registry(ctx, ticket, answer),
        }
    }

    // Interfaces.

    /// Commands that waited for the check of the own feed.
    fn run_waiting(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        let ready = match self {
            Self::Person(person) => person.own_feed.take_ready(ctx, &parts.net),
            #[cfg(feature = "relay")]
            Self::Relay(_) => return,
        };
        for (request, command) in ready {
            self.on_command(ctx, parts, request, command);
        }
    }

    /// A neighbour says how far it holds the own feed.
    pub(crate) fn on_own_feed_at(&mut self, ctx: &mut Ctx, parts: &mut Parts, head: FeedHead) {
        if let Self::Person(person) = self {
            person.on_own_feed_at(ctx, &mut parts.log, head);
        }
    }

    /// A feed of an account turned out to be forked.
    pub(crate) fn on_forked(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        account: &AccountId,
        device: &DeviceId,
    ) {
        match self {
            Self::Person(person) => person.on_forked(ctx, &parts.log, account),
            #[cfg(feature = "relay")]
            Self::Relay(_) => {}
        }
        parts.sync.on_forked(ctx, &parts.log, account, device);
    }

    /// Neighbours hold another continuation of the own feed.
    pub(crate) fn on_own_branch(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        if let Self::Person(person) = self {
            person.on_own_branch(ctx, &mut parts.log);
        }
    }

    pub(crate) fn on_command(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        request: RequestId,
        command: Command,
    ) {
        let done = match self {
            Self::Person(person) => {
                let Some(command) = person.hold_until_checked(ctx, &parts.net, request, command) else {
                    return;
                };
                let mut of_person = crate::person::commands::CommandParts {
                    net: &mut parts.net,
                    log: &mut parts.log,
                    kinds: &mut parts.kinds,
                };
                person.on_command(ctx, &mut of_person, request, command)
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => match command {
                Command::CheckReplicas { account } => {
                    relay.check_replicas(ctx, &mut parts.of_relay(), request, &account)
                }
                Command::InviteRelay { relay: peer } => {
                    relay.state(ctx, &parts.net, peer, Stance::Invites);
                    Some(CommandResult::Ok)
                }
                Command::ExpelRelay { relay: peer } => {
                    relay.state(ctx, &parts.net, peer, Stance::Expels);
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
                let view = self.with_views(ctx, parts, |_, _, sources| views::post_view(sources, &post));
                Response::Done(CommandResult::Published(Box::new(view)))
            }
            Err(error) => Response::Error(error),
        };
        ctx.answer(request, answer);
    }

    /// The account a query is about is wanted from now on, if this is a person's device.
    pub(crate) fn visit(&mut self, ctx: &mut Ctx, parts: &mut Parts, account: AccountId) {
        let Parts { net, sync, kinds, .. } = parts;
        match self {
            Self::Person(person) => {
                for (account, on) in person.visit(ctx, account, |account| kinds.follows(account)) {
                    sync.send_interest(ctx, net, account, on);
                    if !on {
                        sync.forget_compared(&account);
                    }
                }
            }
            #[cfg(feature = "relay")]
            Self::Relay(_) => {}
        }
    }

    pub(crate) fn on_query(&mut self, ctx: &mut Ctx, parts: &mut Parts, request: RequestId, query: Query) {
        if let Some(account) = views::subject(&query) {
            self.visit(ctx, parts, account);
        }
        let unanswered = self.with_views(ctx, parts, |views, ctx, sources| {
            views.on_query(ctx, sources, request, query)
        });
        if let Some(views::Unanswered { request, query }) = unanswered {
            self.on_other_query(ctx, parts, request, query);
        }
    }

    /// Answers a query that is not about views.
    fn on_other_query(&mut self, ctx: &mut Ctx, parts: &mut Parts, request: RequestId, query: Query) {
        let reply = match query {
            Query::Name { name } => return parts.lookups.begin(ctx, &parts.net, request, false, &name),
            Query::Slug { slug } => return parts.lookups.begin(ctx, &parts.net, request, true, &slug),
            Query::Phrase => QueryResult::Phrase(match self {
                Self::Person(person) => person.phrase(),
                #[cfg(feature = "relay")]
                Self::Relay(_) => None,
            }),
            Query::Replicas { account } => QueryResult::Replicas(self.replicas(parts, &account)),
            Query::Network => QueryResult::Network(self.network(ctx, parts)),
            #[cfg(feature = "relay")]
            Query::Members { about } if let Self::Relay(relay) = self => {
                QueryResult::Members(relay.members_view(&parts.net, &parts.log, &parts.directory, about))
            }
            _ => return ctx.answer(request, Response::Error(Error::NotFound)),
        };
        ctx.answer(request, Response::Result(Box::new(reply)));
    }
}

impl FollowList for Kinds {
    fn follows(&self, account: &AccountId) -> bool {
        Kinds::follows(self, account)
    }

    fn followed(&self) -> Vec<AccountId> {
        Kinds::followed(self).collect()
    }
}

/// Neighbours that want the own account's feeds learn how far they are held here.
fn share_own_feed(ctx: &mut Ctx, parts: &mut Parts) {
    let Some(me) = ctx.me() else { return };
    let Parts { log, net, sync, .. } = parts;
    for link in sync.links_wanting(&me) {
        sync.send_digest(ctx, net, log, link, &[me], false);
    }
}

impl Parts {
    #[cfg(feature = "relay")]
    fn of_relay(&mut self) -> crate::relay::RelayParts<'_> {
        crate::relay::RelayParts {
            net: &self.net,
            log: &mut self.log,
            sync: &mut self.sync,
            directory: &self.directory,
            kinds: &mut self.kinds,
        }
    }
}
