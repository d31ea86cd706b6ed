//! Handing the account's handle to another account: the registry learns which account may claim it, and that account
//! claims it like any other. Until then it stays where it is, and the offer can be taken back.
//!
//! The offer is known to the device that made it. As long as it stands, the feeds of the other account are wanted
//! here: they tell when the handle was taken, and then this account's feed says that it has none any more.

use protocol::kinds::Name;
use protocol::names::NameAction;
use protocol::{AccountId, Body};

use crate::api::{CommandResult, Error, OfferView};
use crate::ctx::Ctx;
use crate::facts::Fact;
use crate::kinds::Kinds;
use crate::log::Log;
use crate::log::records::meta;
use crate::store::{Op, Table};

use super::claims::Claims;

impl Claims {
    /// Offers the account's handle to another account, or (`None`) to no account any more.
    pub(super) fn offer_handle(
        &mut self,
        ctx: &mut Ctx,
        kinds: &Kinds,
        to: Option<AccountId>,
    ) -> Result<CommandResult, Error> {
        let me = ctx.me().ok_or(Error::NoAccount)?;
        let handle = kinds.handle_of(&me).to_owned();
        if handle.is_empty() || to == Some(me) {
            return Err(Error::NotFound);
        }
        // What is under way for the handle is decided first.
        if self.view(None).is_some_and(|claim| claim.refused.is_none()) {
            return Err(Error::Busy);
        }
        self.ask_registry(ctx, kinds, handle, None, NameAction::Offer { to }, false)
    }

    /// To which account the handle is offered, or is to be.
    pub(crate) fn offer_view(&self, kinds: &Kinds) -> Option<OfferView> {
        let asked = self.asked_offer();
        let to = asked.unwrap_or(self.offered);
        (asked.is_some() || to.is_some()).then(|| OfferView {
            to,
            name: to.map_or_else(String::new, |to| kinds.name_of(&to).to_owned()),
            stands: asked.is_none(),
        })
    }

    /// The registry decided about the account's handle, and lets this account have it on request.
    pub(super) fn record_offer(&mut self, ctx: &mut Ctx, to: Option<AccountId>) {
        if self.offered == to {
            return;
        }
        let before = core::mem::replace(&mut self.offered, to);
        let key = meta::OFFERED.to_vec();
        ctx.write(match to {
            Some(to) => Op::put(Table::Meta, key, &to),
            None => Op::Delete {
                table: Table::Meta,
                key,
            },
        });
        ctx.changed.me = true;
        for (account, on) in before
            .map(|before| (before, false))
            .into_iter()
            .chain(to.map(|to| (to, true)))
        {
            ctx.fact(Fact::Interest { account, on });
        }
    }

    /// Notices that the handle is not this account's any more. `reindexing`: the account may only seem to have said
    /// nothing.
    pub(super) fn check_offer(&mut self, ctx: &mut Ctx, kinds: &Kinds, log: &mut Log, reindexing: bool) {
        let Some(me) = ctx.me().filter(|_| self.offered.is_some()) else {
            return;
        };
        if !kinds.handle_of(&me).is_empty() || reindexing {
            return;
        }
        let receipt = kinds.receipt_of(&me);
        match receipt.map(|receipt| kinds.registry().is(receipt.registry)) {
            // Whose handle it is at this registry is not known.
            Some(false) => return,
            // It cannot be said now.
            Some(true) if log.may_write(ctx).is_err() => return,
            // Another account has a later receipt of the registry for it.
            Some(true) => {
                log.append_own(ctx, &Body::Name(Name { receipt: None }));
            }
            // It was given back.
            None => {}
        }
        self.record_offer(ctx, None);
    }
}

#[cfg(test)]
#[path = "name_transfer_tests.rs"]
mod tests;
