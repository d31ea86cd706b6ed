//! What a peer is: a person's device or a relay. What only one of them does is in its folder; here facts and
//! inputs find their way to it, in [`messages`] the messages of neighbours, in [`requests`] those of interfaces.

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

pub(crate) mod messages;
pub(crate) mod requests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(all(test, feature = "relay"))]
mod tests;
pub(crate) mod view_context;

use protocol::messages::FeedHead;
use protocol::names::NameAnswer;
use protocol::{AccountId, DeviceId, Entry, PeerId, VerifiedEntry};

#[cfg(feature = "relay")]
use crate::ctx::Local;
use crate::ctx::{Ctx, DirectoryMode, LoadOwner, Setup};
use crate::facts::{Ended, Source};
use crate::io::{Config, LinkId, MembershipInput, NameTicket, Now, PeerKind};
use crate::kinds::Kinds;
use crate::net::Net;
use crate::parts::Parts;
use crate::person::Person;
#[cfg(feature = "relay")]
use crate::relay::Relay;
use crate::store::{BatchId, LoadId, Rows, Table};
use crate::sync::{FollowList, Interest, PeerInterest, Wanting};

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
            Self::Person(person) => person.is_busy(),
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
                    Some(rows) => relay.on_drop_rows(ctx, &mut of_relay(parts), rows),
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

    /// The batch and all before it are durable.
    pub(crate) fn on_persisted(&mut self, ctx: &mut Ctx, parts: &mut Parts, id: BatchId) {
        let before = ctx.persisted();
        let commit = ctx.on_persisted(id);
        for advanced in parts.log.on_persisted(&commit.feeds) {
            self.on_durable(ctx, parts, advanced.device, advanced.before);
        }
        parts.sync.grant_consumed(ctx, &commit.consumed);
        match self {
            Self::Person(person) => person.on_persisted(ctx, before),
            #[cfg(feature = "relay")]
            Self::Relay(_) => {}
        }
    }

    // Time.

    pub(crate) fn on_timer(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        let reindexing = parts.views.is_reindexing();
        match self {
            Self::Person(person) => {
                let (net, log) = (&mut parts.net, &mut parts.log);
                person.on_timer(ctx, net, log, &parts.kinds, &mut parts.directory, reindexing);
                if person.own_feed.on_timer(ctx, net, log) {
                    share_own_feed(ctx, parts);
                }
                requests::run_waiting(self, ctx, parts);
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_timer(ctx, &mut of_relay(parts)),
        }
    }

    /// Goes on with what is done in pieces.
    #[cfg(feature = "relay")]
    pub(crate) fn work(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        if let Self::Relay(relay) = self {
            relay.work(ctx, &mut of_relay(parts));
        }
    }

    pub(crate) fn on_anti_entropy(&mut self, ctx: &mut Ctx, parts: &mut Parts) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                relay.on_anti_entropy(ctx, &parts.net, &parts.log, &mut parts.sync, &parts.directory);
            }
        }
    }

    // Neighbours.

    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, parts: &mut Parts, link: LinkId) {
        let known = |link| {
            let session = parts.net.session(link);
            session.is_some_and(|session| parts.net.known.contains(&session.peer))
        };
        match self {
            Self::Person(person) => {
                let known = known(link);
                person.on_neighbour_up(ctx, &parts.net, &mut parts.log, known);
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_neighbour_up(ctx, &parts.net, &parts.directory, link),
        }
    }

    pub(crate) fn on_session_down(
        &mut self,
        ctx: &mut Ctx,
        parts: &mut Parts,
        ended: &Ended,
        interest: PeerInterest,
    ) {
        match self {
            Self::Person(person) => {
                if parts.net.link_to(&ended.peer).is_none() {
                    parts.directory.remove_list(&ended.peer);
                }
                person.on_session_down(ctx, ended.link);
            }
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_session_down(ctx, ended, interest),
        }
    }

    pub(crate) fn on_accounts_wanted(
        &mut self,
        ctx: &mut Ctx,
        parts: &Parts,
        link: LinkId,
        accounts: Vec<AccountId>,
    ) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_accounts_wanted(ctx, &parts.net, &parts.log, link, &accounts),
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
                requests::run_waiting(self, ctx, parts);
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
                sync.confirm_durable(ctx, net, log, &device);
            }
            #[cfg(feature = "relay")]
            Self::Relay(_) => parts.sync.confirm_later(device),
        }
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

    pub(crate) fn on_registry_answer(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        ticket: NameTicket,
        answer: NameAnswer,
    ) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.on_registry_answer(ctx, net, ticket, answer),
        }
    }

    /// Which relays are members changed; these are members no more.
    pub(crate) fn on_members(&mut self, ctx: &mut Ctx, parts: &mut Parts, gone: &[PeerId]) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => {
                for peer in gone {
                    parts.net.on_member_gone(ctx, peer);
                }
                parts.directory.set_members(ctx, relay.listed());
                parts.net.mark_members(ctx, &parts.directory);
                relay.send_members(ctx, &parts.net, &parts.directory);
            }
        }
    }

    pub(crate) fn on_membership(&mut self, ctx: &mut Ctx, parts: &Parts, input: MembershipInput) {
        match self {
            Self::Person(_) => {}
            #[cfg(feature = "relay")]
            Self::Relay(relay) => match input {
                MembershipInput::Configured { peer } => relay.on_join_configured(ctx, &parts.net, peer),
                MembershipInput::Join { peer, secret } => relay.join(ctx, &parts.net, peer, secret),
                MembershipInput::Invitation { link, valid } => {
                    relay.on_invitation(ctx, &parts.net, link, valid);
                }
            },
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

/// The parts that a relay's own functions take.
#[cfg(feature = "relay")]
fn of_relay(parts: &mut Parts) -> crate::relay::RelayParts<'_> {
    crate::relay::RelayParts {
        net: &parts.net,
        log: &mut parts.log,
        sync: &mut parts.sync,
        directory: &parts.directory,
        kinds: &mut parts.kinds,
    }
}
