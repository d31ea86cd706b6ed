//! Handing the account's name to somebody else: the registry is told who may claim it, and who that is claims it as any name.
//! Until then it stays where it is, and the offer can be taken back.
//!
//! The offer is known to the device that made it. As long as it stands, the feeds of whom it was made to are wanted here: they
//! tell when the name was taken, and then this account's feed says that it has none any more.

use protocol::entry::Name;
use protocol::name::NameAction;
use protocol::{AccountId, Body};

use crate::Engine;
use crate::api::{OfferView, Outcome, Refusal};
use crate::log::records::meta;
use crate::store::{Op, Table};

impl Engine {
    /// Offers the account's name to another account, or (`None`) to nobody any more.
    pub(crate) fn offer_name(&mut self, to: Option<AccountId>) -> Result<Outcome, Refusal> {
        self.may_write()?;
        let me = self.me().ok_or(Refusal::NoAccount)?;
        let name = self.handle_of(&me).to_owned();
        if name.is_empty() || to == Some(me) {
            return Err(Refusal::NotFound);
        }
        // What is under way for the name is decided first.
        if self
            .claims
            .view(None)
            .is_some_and(|claim| claim.refused.is_none())
        {
            return Err(Refusal::Busy);
        }
        self.ask_registry(name, None, NameAction::Offer { to }, false)
    }

    /// To whom the name is offered, or shall be.
    pub(crate) fn offer_view(&self) -> Option<OfferView> {
        let asked = self.claims.offer();
        let to = asked.unwrap_or(self.offered);
        (asked.is_some() || to.is_some()).then(|| OfferView {
            to,
            name: to.map_or_else(String::new, |to| self.feeds.name(&to).to_owned()),
            stands: asked.is_none(),
        })
    }

    /// The registry decided about the account's name, and lets this account have it on request.
    pub(crate) fn note_offer(&mut self, to: Option<AccountId>) {
        if self.offered == to {
            return;
        }
        let before = core::mem::replace(&mut self.offered, to);
        self.write(match to {
            Some(to) => Op::put(Table::Meta, meta::OFFERED.to_vec(), &to),
            None => Op::Delete {
                table: Table::Meta,
                key: meta::OFFERED.to_vec(),
            },
        });
        self.me_changed = true;
        if let Some(before) = before.filter(|before| !self.wants(before)) {
            self.tell_interest(before, false);
            self.forget_compared(&before);
        }
        if let Some(to) = to {
            self.tell_interest(to, true);
        }
    }

    /// Notices that the name is not this account's any more.
    pub(crate) fn keep_offer(&mut self) {
        let Some(me) = self.me().filter(|_| self.offered.is_some()) else {
            return;
        };
        if !self.handle_of(&me).is_empty() || self.refold.is_busy() {
            return;
        }
        let named = self.feeds.account(&me).and_then(|held| held.named.as_ref());
        let receipt = named.and_then(|named| named.receipt.as_ref());
        match receipt.map(|receipt| Some(receipt.registry) == self.names.registry()) {
            // Whose name it is at this registry is not known.
            Some(false) => return,
            // It cannot be said now.
            Some(true) if self.may_write().is_err() => return,
            // Somebody has a later word of the registry for it.
            Some(true) => {
                self.append_own(&Body::Name(Name { receipt: None }));
            }
            // It was given back.
            None => {}
        }
        self.note_offer(None);
    }
}
