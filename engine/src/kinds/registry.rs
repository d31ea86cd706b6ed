//! Which registry of names this peer believes, and how far it is.
//!
//! Invariant: what the registry gives (handles, slugs) is shown only with the signature of the registry this peer
//! takes names from. Which one that is, a relay this device knows says first; it stays so.

use protocol::names::RegistryId;

use crate::ctx::Ctx;
use crate::io::Log;
use crate::log::records::meta;
use crate::store::{Op, Table};

#[derive(Debug, Default)]
pub(crate) struct Registry {
    id: Option<RegistryId>,
    /// Another one that was named last: each is logged once.
    other: Option<RegistryId>,
    /// The highest revision that it is known to have signed.
    revision: u64,
}

impl Registry {
    pub(crate) fn id(&self) -> Option<RegistryId> {
        self.id
    }

    pub(crate) fn is(&self, id: RegistryId) -> bool {
        self.id == Some(id)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The registry signed this revision.
    pub(crate) fn learn_revision(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    pub(super) fn restore(&mut self, id: RegistryId) {
        self.id = Some(id);
    }

    /// Whether names are taken from this registry from now on, and were not before.
    pub(super) fn learn(&mut self, ctx: &mut Ctx, id: RegistryId, own: bool) -> bool {
        match self.id {
            Some(known) if known == id => return false,
            Some(_) if !own && self.other == Some(id) => return false,
            Some(known) if !own => {
                self.other = Some(id);
                ctx.log(Log::OtherRegistry { known, other: id });
                return false;
            }
            _ => {}
        }
        self.id = Some(id);
        self.revision = 0;
        ctx.write(Op::put(Table::Meta, meta::REGISTRY.to_vec(), &id));
        true
    }
}
