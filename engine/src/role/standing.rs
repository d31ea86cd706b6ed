//! What views and interfaces are shown of the role.

use protocol::{AccountId, EntryId};

use crate::api::{ClaimView, NetworkView, QuotaView, ReplicasView};
use crate::ctx::Ctx;
use crate::kinds::Kinds;
use crate::net::Net;
use crate::parts::Parts;
use crate::person::Person;
use crate::relays::directory::Directory;
use crate::views::{OwnView, Standing};

use super::Role;

/// See the module.
pub(super) struct RoleStanding<'a> {
    pub(super) role: &'a Role,
    pub(super) kinds: &'a Kinds,
    pub(super) net: &'a Net,
    pub(super) directory: &'a Directory,
    /// Replicas wanted of each feed.
    pub(super) replicas: usize,
}

impl Standing for RoleStanding<'_> {
    fn searching(&self, account: &AccountId) -> bool {
        match self.role {
            Role::Person(person) => person.is_searching(account),
            #[cfg(feature = "relay")]
            Role::Relay(_) => false,
        }
    }

    fn relays_known(&self) -> u32 {
        Person::relays_known(self.replicas, self.net, self.directory)
    }

    fn claim(&self, post: &EntryId) -> Option<ClaimView> {
        match self.role {
            Role::Person(person) => person.claims.view(Some(*post)),
            #[cfg(feature = "relay")]
            Role::Relay(_) => None,
        }
    }

    fn phrase_confirmed(&self) -> bool {
        match self.role {
            Role::Person(person) => person.phrase_confirmed(),
            #[cfg(feature = "relay")]
            Role::Relay(_) => true,
        }
    }

    fn quota(&self) -> Option<QuotaView> {
        match self.role {
            Role::Person(person) => person.quota.view(),
            #[cfg(feature = "relay")]
            Role::Relay(_) => None,
        }
    }

    fn own(&self) -> Option<OwnView> {
        match self.role {
            Role::Person(person) => {
                let identity = person.identity()?;
                Some(OwnView {
                    account: identity.account(),
                    device: identity.device(),
                    claim: person.claim_view(),
                    offer: person.offer_view(self.kinds),
                    relays_only: self.net.relays_only(),
                    old_copy: person.own_feed.is_old_copy(),
                    set_aside: person.own_feed.set_aside_len(),
                    elsewhere: self.net.is_elsewhere(),
                })
            }
            #[cfg(feature = "relay")]
            Role::Relay(_) => None,
        }
    }
}

impl Role {
    pub(super) fn replicas(&self, parts: &Parts, account: &AccountId) -> ReplicasView {
        match self {
            Self::Person(_) => ReplicasView::default(),
            #[cfg(feature = "relay")]
            Self::Relay(relay) => relay.replicas_view(&parts.net, &parts.log, &parts.directory, account),
        }
    }

    pub(super) fn network(&self, ctx: &Ctx, parts: &Parts) -> NetworkView {
        let Parts {
            log,
            net,
            sync,
            kinds,
            directory,
            ..
        } = parts;
        let wanting = self.wanting(kinds);
        NetworkView {
            links: net.views(ctx, |account| kinds.name_of(account).to_owned()),
            feeds: log.feeds.len() as u64,
            entries: log.feeds.entries(),
            interests: wanting.wanted(log).len() as u64,
            bytes_in: ctx.totals.bytes_in,
            bytes_out: ctx.totals.bytes_out,
            duplicates: ctx.totals.duplicates,
            over_quota: sync.over_quota(),
            refused: ctx.totals.refused,
            incompatible: ctx.incompatible,
            audits: ctx.totals.audits,
            audits_failed: ctx.totals.audits_failed,
            relays: directory.views(),
            delays: match self {
                Self::Person(_) => Vec::new(),
                #[cfg(feature = "relay")]
                Self::Relay(relay) => relay.delays(),
            },
            scores: match self {
                Self::Person(person) => person.choice.scores(ctx, net, directory),
                #[cfg(feature = "relay")]
                Self::Relay(_) => Vec::new(),
            },
            weights: ctx
                .config
                .routing
                .weights()
                .map(|weight| (weight * 1_000.0) as u32),
            synced: sync.compared_of(|account| kinds.follows(account)),
        }
    }
}
