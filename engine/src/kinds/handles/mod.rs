//! Handles: the names accounts have in the registry. What the registry gives is signed and goes into the account's
//! feed, so a peer that holds the feed knows the handle without asking for it.
//!
//! Invariant: a handle is shown only with the signature of the registry this peer takes names from, and only for the
//! account that has the highest revision of it.

#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Name;

use ordered::Map;
use protocol::names::NameReceipt;
use protocol::{AccountId, codec};
use serde::{Deserialize, Serialize};

use crate::api::{MeView, ProfileView};
use crate::ctx::Ctx;
use crate::kinds::{
    EntryInfo, EntryKind, IndexRow, Indexed, Indexing, KindState, Precedence, Registry, ViewContext, Viewer,
};
use crate::log::keys::id_at;
use crate::store::{Op, Table};

/// What an account said last of its handle, as stored in [`Table::Names`] by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    receipt: Option<NameReceipt>,
    precedence: Precedence,
}

/// The account that holds a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    revision: u64,
    account: AccountId,
}

#[derive(Debug, Default)]
pub(crate) struct Handles {
    records: Map<AccountId, Record>,
    /// By handle, of this peer's registry alone: the account with the highest revision.
    holders: Map<String, Holder>,
}

pub(crate) type State = Handles;

impl Handles {
    /// The handle of an account; empty if it has none that is proven.
    pub(crate) fn of(&self, registry: &Registry, account: &AccountId) -> &str {
        let Some(receipt) = self.receipt(account).filter(|it| registry.is(it.registry)) else {
            return "";
        };
        match self.holders.get(&receipt.name) {
            Some(holder) if holder.account != *account => "",
            _ => &receipt.name,
        }
    }

    /// What the account said last of its handle, if not that it has none: of any registry, and perhaps outdated by
    /// another account.
    pub(crate) fn receipt(&self, account: &AccountId) -> Option<&NameReceipt> {
        self.records.get(account)?.receipt.as_ref()
    }

    /// The proof of whose a handle is, as far as feeds held here say.
    pub(crate) fn holder(&self, handle: &str) -> Option<&NameReceipt> {
        let holder = self.holders.get(handle)?;
        self.receipt(&holder.account).filter(|it| it.name == handle)
    }

    /// Records whose the account's handle is. Returns the account that had it until now, if that is another one.
    fn record_holder(&mut self, registry: &mut Registry, account: AccountId) -> Option<AccountId> {
        let receipt = self.records.get(&account)?.receipt.as_ref()?;
        if !registry.is(receipt.registry) {
            return None;
        }
        registry.learn_revision(receipt.revision);
        let before = self.holders.get(&receipt.name).copied();
        if before.is_some_and(|before| before.revision >= receipt.revision) {
            return None;
        }
        let holder = Holder {
            revision: receipt.revision,
            account,
        };
        self.holders.insert(receipt.name.clone(), holder);
        before
            .map(|before| before.account)
            .filter(|before| *before != account)
    }

    fn remove_record(&mut self, ctx: &mut Ctx, account: &AccountId) -> Option<Record> {
        ctx.write(Op::Delete {
            table: Table::Names,
            key: account.0.to_vec(),
        });
        self.records.remove(account)
    }
}

impl EntryKind for Name {
    type State = State;
    const TABLES: &'static [Table] = &[];

    fn rows(&self, _: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        Vec::new()
    }

    fn apply(self, state: &mut State, indexing: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed {
        let (account, precedence) = (entry.account(), entry.precedence());
        let known = state.records.get(&account);
        if known.is_none_or(|known| known.precedence < precedence) {
            let receipt = self.receipt.filter(|receipt| receipt.account == account);
            let record = Record { receipt, precedence };
            let ctx = &mut *indexing.ctx;
            ctx.write(Op::put(Table::Names, account.0.to_vec(), &record));
            ctx.changed.profiles.insert(account);
            ctx.changed.me |= indexing.viewer.is(&account);
            state.records.insert(account, record);
            let loser = state.record_holder(indexing.registry, account);
            indexing.ctx.changed.profiles.extend(loser);
        }
        Indexed::default()
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}

impl KindState for Handles {
    const TABLES: &'static [Table] = &[Table::Names];

    fn restore(&mut self, registry: &mut Registry, _: Table, key: &[u8], value: &[u8]) -> Option<()> {
        let account = AccountId(id_at(key, 0)?);
        self.records
            .insert(account, codec::decode_extensible(value).ok()?);
        self.record_holder(registry, account);
        Some(())
    }

    /// Whose a handle was is kept: the registry signed it, whatever becomes of the entry that said so.
    fn clear_account(&mut self, ctx: &mut Ctx, _: Viewer, account: &AccountId) {
        self.remove_record(ctx, account);
    }

    fn forget_account(&mut self, ctx: &mut Ctx, account: &AccountId) {
        self.remove_record(ctx, account);
        self.holders.retain(|_, holder| holder.account != *account);
    }

    fn on_registry(&mut self, ctx: &mut Ctx, registry: &mut Registry) {
        self.holders.clear();
        let accounts: Vec<_> = self.records.keys().copied().collect();
        for account in accounts {
            let loser = self.record_holder(registry, account);
            ctx.changed.profiles.extend(loser);
        }
    }

    fn show_profile(&self, view: &mut ProfileView, context: &ViewContext<'_>) {
        view.handle = self.of(context.registry, &view.account).to_owned();
    }

    fn show_me(&self, view: &mut MeView, context: &ViewContext<'_>) {
        view.handle = self.of(context.registry, &view.account).to_owned();
    }
}
