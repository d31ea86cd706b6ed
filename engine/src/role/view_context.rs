//! What views read of the parts and of the role.

use protocol::{AccountId, EntryId};

use crate::api::{ClaimView, QuotaView};
use crate::ctx::Ctx;
use crate::kinds::{Kinds, Viewer};
use crate::net::Net;
use crate::parts::Parts;
use crate::person::Person;
use crate::relays::directory::Directory;
use crate::views::{OwnView, RoleView, ViewContext, Views};

use super::Role;

/// Lets the views read the other parts.
pub(super) fn with_views<T>(
    role: &Role,
    ctx: &mut Ctx,
    parts: &mut Parts,
    read: impl FnOnce(&mut Views, &mut Ctx, &ViewContext<'_>) -> T,
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
    let shown = ShownRole {
        role,
        kinds,
        net,
        directory,
        replicas: ctx.config.replicas,
    };
    let context = ViewContext {
        viewer: Viewer::of(ctx),
        log,
        kinds,
        net,
        sync,
        role: &shown,
    };
    read(views, ctx, &context)
}

pub(crate) fn flush_events(role: &Role, ctx: &mut Ctx, parts: &mut Parts) {
    with_views(role, ctx, parts, Views::flush_events);
}

/// The role, for views.
struct ShownRole<'a> {
    role: &'a Role,
    kinds: &'a Kinds,
    net: &'a Net,
    directory: &'a Directory,
    /// Replicas wanted of each feed.
    replicas: usize,
}

impl RoleView for ShownRole<'_> {
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
