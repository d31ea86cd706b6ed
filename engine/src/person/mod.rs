//! The role of a person's device: its identity, what its person changes and looks at, and which relays it links with.

pub(crate) mod admission;
pub(crate) mod claims;
pub(crate) mod commands;
mod confirmations;
pub(crate) mod identity;
mod name_transfer;
pub(crate) mod own_feed;
mod post_slug;
pub(crate) mod quota;
pub(crate) mod relay_choice;
mod standing;
mod tokens;
mod transient_interests;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use ordered::{Map, Set};
use protocol::messages::{FeedHead, QuotaExceeded, WorkRequired};
use protocol::names::NameAnswer;
use protocol::{AccountId, PeerId, VerifiedEntry, codec, phrase};
use serde::{Deserialize, Serialize};

use crate::api::{ClaimView, OfferView};
use crate::ctx::Ctx;
use crate::io::LinkId;
use crate::kinds::Kinds;
use crate::log::Log;
use crate::log::records::meta;
use crate::net::{Net, Session};
use crate::relays::directory::Directory;
use crate::store::{BatchId, LoadId, Rows, Table};
use crate::sync::{Interest, Scope, Summary};

use admission::AdmissionWork;
use claims::Claims;
use identity::{Identity, IdentityRecord};
use own_feed::OwnFeed;
use post_slug::SlugChange;
use quota::QuotaNote;
use relay_choice::RelayChoice;
use tokens::Tokens;
use transient_interests::TransientInterests;

/// Settings of this device, as stored.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Preferences {
    relays_only: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Person {
    identity: Option<Identity>,
    pub(crate) claims: Claims,
    pub(crate) choice: RelayChoice,
    pub(crate) own_feed: OwnFeed,
    pub(crate) quota: QuotaNote,
    admission: AdmissionWork,
    tokens: Tokens,
    transient_interests: TransientInterests,
    slug_changes: Map<LoadId, SlugChange>,
}

impl Person {
    // The store.

    /// Takes in a row of a table that is this role's. `None`: it is damaged.
    pub(crate) fn restore_row(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Option<()> {
        match table {
            Table::Tokens => self.tokens.restore(key, value),
            Table::Meta if key == meta::IDENTITY => {
                let record: IdentityRecord = codec::decode_extensible(value).ok()?;
                let identity = Identity::from(record);
                ctx.local = Some(identity.local());
                self.identity = Some(identity);
                Some(())
            }
            Table::Meta if key == meta::PREFERENCES => {
                let preferences: Preferences = codec::decode_extensible(value).ok()?;
                net.restore_relays_only(preferences.relays_only);
                Some(())
            }
            Table::Meta if key == meta::OFFERED => {
                self.claims.offered = Some(codec::decode_extensible(value).ok()?);
                Some(())
            }
            Table::Meta if key == meta::OLD_COPY || key.starts_with(meta::SET_ASIDE) => {
                self.own_feed.restore(key, value)
            }
            Table::Meta if key.starts_with(meta::CLAIM) => self.claims.restore(value),
            _ => Some(()),
        }
    }

    // What is shown.

    /// The identity of this device, once there is an account.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(crate) fn phrase_confirmed(&self) -> bool {
        let identity = self.identity.as_ref();
        identity.is_none_or(|identity| identity.account_key.is_none())
    }

    /// The recovery words, until they were confirmed.
    pub(crate) fn phrase(&self) -> Option<Vec<String>> {
        let account_key = self.identity.as_ref()?.account_key.as_ref();
        account_key.map(phrase::to_words)
    }

    pub(crate) fn is_searching(&self, account: &AccountId) -> bool {
        self.transient_interests.is_searching(account)
    }

    pub(crate) fn claim_view(&self) -> Option<ClaimView> {
        self.claims.view(None)
    }

    pub(crate) fn offer_view(&self, kinds: &Kinds) -> Option<OfferView> {
        self.claims.offer_view(kinds)
    }

    // Interest.

    /// Whether the account is wanted for another reason than being followed.
    pub(crate) fn wants_unfollowed(&self, account: &AccountId) -> bool {
        let own = self.identity.as_ref().map(Identity::account);
        own.as_ref() == Some(account)
            || self.claims.offered.as_ref() == Some(account)
            || self.transient_interests.contains(account)
    }

    /// An interface looks at a person: `(account, on)` are the interests that change with it.
    pub(crate) fn visit(
        &mut self,
        ctx: &Ctx,
        account: AccountId,
        follows: impl Fn(&AccountId) -> bool,
    ) -> Vec<(AccountId, bool)> {
        let wanted = self.wants_unfollowed(&account) || follows(&account);
        if wanted && !self.transient_interests.is_searching(&account) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        if self.transient_interests.add(account, ctx.now.instant) && !wanted {
            changed.push((account, true));
        }
        let left = self.transient_interests.pop_excess();
        let left = left.filter(|left| !self.wants_unfollowed(left) && !follows(left));
        changed.extend(left.map(|left| (left, false)));
        changed
    }

    // The own feed.

    /// The store has been read.
    pub(crate) fn on_ready(&mut self, ctx: &mut Ctx, log: &mut Log) {
        self.own_feed.on_ready(ctx, log);
    }

    pub(crate) fn on_own_feed_at(&mut self, ctx: &mut Ctx, log: &mut Log, head: FeedHead) {
        self.own_feed.on_heard(ctx, log, head);
    }

    pub(crate) fn on_own_branch(&mut self, ctx: &mut Ctx, log: &mut Log) {
        self.own_feed.on_other_branch(ctx, log);
    }

    /// A feed of an account turned out to be forked.
    pub(crate) fn on_forked(&mut self, ctx: &mut Ctx, log: &Log, account: &AccountId) {
        if ctx.is_me(account) {
            self.own_feed.on_forked(ctx, log);
        }
    }

    /// Rows of entries that are taken back or set aside; `None`: they could not be read.
    pub(crate) fn on_cut_rows(&mut self, ctx: &mut Ctx, log: &mut Log, kinds: &Kinds, rows: Option<Rows>) {
        match rows {
            Some(rows) => self.own_feed.on_cut_rows(ctx, log, kinds, rows),
            None => self.own_feed.on_cut_failed(),
        }
    }

    /// A peer became a neighbour.
    pub(crate) fn on_neighbour_up(&mut self, ctx: &mut Ctx, net: &Net, log: &mut Log, known: bool) {
        self.own_feed.on_neighbour_up(ctx, net, log);
        if known {
            self.on_relay_up(ctx);
        }
    }

    /// An entry came from a neighbour.
    pub(crate) fn on_arrived(&mut self, ctx: &mut Ctx, log: &mut Log, entry: &VerifiedEntry) {
        if ctx.device() == Some(entry.header().device) {
            self.own_feed.on_arrived(ctx, log, entry.header(), &entry.id());
        }
    }

    /// A neighbour takes no more entries for a time.
    pub(crate) fn on_quota_exceeded(&mut self, ctx: &Ctx, net: &Net, link: LinkId, exceeded: &QuotaExceeded) {
        self.quota.on_exceeded(ctx, net, link, exceeded);
    }

    /// A relay asks for work before it takes this account.
    pub(crate) fn on_work_required(
        &mut self,
        ctx: &mut Ctx,
        net: &Net,
        link: LinkId,
        required: WorkRequired,
    ) {
        self.admission.on_required(ctx, net, link, required);
    }

    // Time and neighbours.

    /// Whether [`Self::on_timer`] has work at hand that should go on at once.
    pub(crate) fn is_busy(&self) -> bool {
        self.claims.is_busy() || self.admission.is_busy()
    }

    /// Once a second.
    pub(crate) fn on_timer(
        &mut self,
        ctx: &mut Ctx,
        net: &mut Net,
        log: &mut Log,
        kinds: &Kinds,
        directory: &mut Directory,
        reindexing: bool,
    ) {
        let given_up = self.transient_interests.on_timer(ctx.now.instant);
        ctx.changed.profiles.extend(given_up);
        self.claims.on_timer(ctx, kinds, net);
        self.claims.check_offer(ctx, kinds, log, reindexing);
        Self::check_members(ctx, net, log, directory);
        self.choice.on_timer(ctx, net, directory);
        self.quota.on_timer(ctx);
        self.admission.on_timer(ctx);
        Self::check_left(ctx, net, log, directory);
    }

    /// Batches were persisted: claims that are on disk by now can be sent.
    pub(crate) fn on_persisted(&mut self, ctx: &mut Ctx, before: BatchId) {
        if self.claims.any_stored(before, ctx.persisted()) {
            ctx.wake();
        }
    }

    /// A known relay became a neighbour.
    pub(crate) fn on_relay_up(&mut self, ctx: &mut Ctx) {
        self.claims.retry_now(ctx);
    }

    pub(crate) fn on_session_down(&mut self, ctx: &mut Ctx, link: LinkId) {
        self.claims.on_session_down(ctx, link);
        self.admission.on_session_down(link);
    }

    /// An own entry leaves this device.
    pub(crate) fn on_published(&mut self, ctx: &Ctx, entry: &VerifiedEntry) {
        self.choice.wrote(entry.header().seq + 1, ctx.now.instant);
    }

    /// The registry answered a question of this device. An answer that is not to a claim is given back.
    pub(crate) fn on_name_answer(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        log: &mut Log,
        link: LinkId,
        request: u32,
        answer: NameAnswer,
    ) -> Option<NameAnswer> {
        self.claims.on_answer(ctx, kinds, log, link, request, answer)
    }
}

impl Interest for Person {
    fn wants(&self, scope: &Scope<'_>, account: &AccountId) -> bool {
        self.wants_unfollowed(account) || scope.follows.follows(account)
    }

    fn summary(&self, scope: &Scope<'_>, _: &Session) -> Summary {
        Summary {
            accounts: self.wanted(scope),
            ..Summary::default()
        }
    }

    fn wanted(&self, scope: &Scope<'_>) -> Set<AccountId> {
        let own = self.identity.as_ref().map(Identity::account);
        own.into_iter()
            .chain(self.claims.offered)
            .chain(scope.follows.followed())
            .chain(self.transient_interests.accounts())
            .collect()
    }

    fn is_replica(&self, _: &Scope<'_>, _: &AccountId, _: &PeerId) -> bool {
        false
    }
}
