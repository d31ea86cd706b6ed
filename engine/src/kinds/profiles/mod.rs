//! Profiles: what people call themselves and say about themselves.

#[cfg(test)]
mod tests;

pub(crate) use protocol::kinds::Profile;

use ordered::Map;
use protocol::{AccountId, Body, codec, limits};
use serde::{Deserialize, Serialize};

use crate::api::{Command, MeView, ProfileView};
use crate::ctx::Ctx;
use crate::kinds::{
    Draft, EntryInfo, EntryKind, IndexRow, Indexed, Indexing, KindState, Precedence, Registry, ViewContext,
    Viewer, text, too_long,
};
use crate::log::keys::id_at;
use crate::store::{Op, Table};

/// A profile, as stored in [`Table::Profiles`] by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    bio: String,
    precedence: Precedence,
}

/// The newest profile of each account.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    records: Map<AccountId, Record>,
}

pub(crate) type State = Profiles;

impl Profiles {
    /// The display name of an account; empty if unknown.
    pub(crate) fn name(&self, account: &AccountId) -> &str {
        self.records.get(account).map_or("", |record| &record.name)
    }

    fn remove(&mut self, ctx: &mut Ctx, account: &AccountId) {
        self.records.remove(account);
        ctx.write(Op::Delete {
            table: Table::Profiles,
            key: account.0.to_vec(),
        });
    }
}

impl EntryKind for Profile {
    type State = State;
    const TABLES: &'static [Table] = &[];

    fn rows(&self, _: &EntryInfo<'_>, _: Viewer) -> Vec<IndexRow> {
        Vec::new()
    }

    fn apply(self, state: &mut State, indexing: &mut Indexing<'_>, entry: &EntryInfo<'_>) -> Indexed {
        let (account, precedence) = (entry.account(), entry.precedence());
        let known = state.records.get(&account);
        if known.is_none_or(|known| known.precedence < precedence) {
            let record = Record {
                name: self.name,
                bio: self.bio,
                precedence,
            };
            let ctx = &mut *indexing.ctx;
            ctx.write(Op::put(Table::Profiles, account.0.to_vec(), &record));
            ctx.changed.profiles.insert(account);
            ctx.changed.me |= indexing.viewer.is(&account);
            state.records.insert(account, record);
        }
        Indexed::default()
    }

    #[cfg(test)]
    fn samples() -> Vec<Self> {
        tests::samples()
    }
}

impl KindState for Profiles {
    const TABLES: &'static [Table] = &[Table::Profiles];

    fn restore(&mut self, _: &mut Registry, _: Table, key: &[u8], value: &[u8]) -> Option<()> {
        let account = AccountId(id_at(key, 0)?);
        self.records
            .insert(account, codec::decode_extensible(value).ok()?);
        Some(())
    }

    fn clear_account(&mut self, ctx: &mut Ctx, _: Viewer, account: &AccountId) {
        self.remove(ctx, account);
    }

    fn forget_account(&mut self, ctx: &mut Ctx, account: &AccountId) {
        self.remove(ctx, account);
    }

    fn show_profile(&self, view: &mut ProfileView, _: &ViewContext<'_>) {
        if let Some(record) = self.records.get(&view.account) {
            view.name.clone_from(&record.name);
            view.bio.clone_from(&record.bio);
        }
    }

    fn show_me(&self, view: &mut MeView, _: &ViewContext<'_>) {
        if let Some(record) = self.records.get(&view.account) {
            view.name.clone_from(&record.name);
            view.bio.clone_from(&record.bio);
        }
    }

    fn draft(&self, command: &Command, _: Viewer) -> Option<Draft> {
        let Command::EditProfile { name, bio } = command else {
            return None;
        };
        let bio_fits = bio.chars().count() <= limits::BIO_CHARS_MAX;
        Some(text(name, limits::NAME_CHARS_MAX).and_then(|name| {
            let bio = bio.trim().to_owned();
            let body = Body::Profile(Profile { name, bio });
            bio_fits
                .then_some(Some(body))
                .ok_or(too_long(limits::BIO_CHARS_MAX))
        }))
    }
}
